//! Raw logs of auditd: records of one event, joined by its time and serial number.
//!
//! A rule of Sigma's service `auditd` asks for the fields of one record (`type: EXECVE`, `a0`, …), so
//! every record is a record here too, with its own fields by their own names; who acted is typed, as
//! the event's `SYSCALL` record tells it. The record that says what happened carries kind and typed
//! fields: `EXECVE`, `SOCKADDR`, `PATH` that came or went, logons, accounts and services.

mod event;
mod line;
mod syscalls;

use std::collections::VecDeque;

use crate::bounds;
use crate::json::SourcesOf;
use crate::record::{Output, Place};
use line::{Line, Stamp};

/// Joins the records of events. Invariant: events come out in the order of their first lines.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    open: VecDeque<Open>,
    sources: SourcesOf,
}

/// An event whose records still come.
#[derive(Debug)]
struct Open {
    stamp: Stamp,
    lines: Vec<Line>,
    since: u64,
    whole: bool,
}

impl Joiner {
    /// Takes line `number`.
    pub(crate) fn line(&mut self, number: u64, text: &[u8], out: &mut Output) {
        let line = match line::parse(number, &String::from_utf8_lossy(text)) {
            Ok(line) => line,
            Err(reason) => return out.problem(Place::Line(number), reason),
        };
        let whole = line.ends_event();
        let known = self.open.iter_mut().rev().find(|open| open.stamp == line.stamp);
        if let Some(open) = known.filter(|open| open.lines.len() < bounds::AUDIT_RECORDS) {
            open.whole |= whole;
            open.lines.push(line);
        } else {
            let stamp = line.stamp.clone();
            self.open.push_back(Open { stamp, lines: vec![line], since: number, whole });
        }
        while let Some(first) = self.open.front() {
            let old = number.saturating_sub(first.since) > bounds::AUDIT_LINES;
            if !(first.whole || old || self.open.len() > bounds::OPEN_AUDIT_EVENTS) {
                break;
            }
            self.give_first(out);
        }
    }

    /// Gives out what is open.
    pub(crate) fn end(&mut self, out: &mut Output) {
        while !self.open.is_empty() {
            self.give_first(out);
        }
    }

    fn give_first(&mut self, out: &mut Output) {
        if let Some(first) = self.open.pop_front() {
            event::records(&mut self.sources, &first.lines, &mut out.records);
        }
    }
}
