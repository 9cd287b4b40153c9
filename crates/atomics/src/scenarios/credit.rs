//! Whose step an activity is: that in which its own process began, as far as the shell that does the steps;
//! a job left in the background stays its step's.
//!
//! What a service does, whether it was there before the first step or a step began it (`serves: true`), is
//! the step's in which it does so, and what it starts the step's in which that began. What the shell does
//! itself is placed by time: it begins the steps one after the other.

use std::collections::HashMap;

use metsuke_event::{Event, Kind, Text, Timestamp};

use super::{STEP, Step};

/// Ancestors looked at; a scenario's processes are some ten deep.
const DEPTH: usize = 64;

/// The steps' begins, and what is known of processes.
#[derive(Debug)]
pub(super) struct Credit {
    begun: Vec<Option<Timestamp>>,
    serves: Vec<bool>,
    shell: Option<Text>,
    parents: HashMap<Text, Text>,
    first: HashMap<Text, Timestamp>,
}

impl Credit {
    /// Of everything told of `steps`.
    pub(super) fn of(steps: &[Step], told: &[Event]) -> Self {
        let mut credit = Self {
            begun: vec![None; steps.len()],
            serves: steps.iter().map(|step| step.serves).collect(),
            shell: None,
            parents: HashMap::new(),
            first: HashMap::new(),
        };
        for event in told {
            let process = &event.process;
            let Some(uid) = &process.uid else { continue };
            credit.seen(uid, event.time);
            if let Some(parent) = &process.parent_uid {
                credit.seen(parent, event.time);
                credit.parents.entry(uid.clone()).or_insert_with(|| parent.clone());
            }
            let Some(name) = begins(event) else { continue };
            let Some(number) = steps.iter().position(|step| step.name == name) else { continue };
            if credit.begun[number].is_none() {
                credit.begun[number] = Some(event.time);
                credit.shell = process.parent_uid.clone().or_else(|| credit.shell.take());
            }
        }
        credit
    }

    fn seen(&mut self, uid: &Text, time: Timestamp) {
        let first = self.first.entry(uid.clone()).or_insert(time);
        *first = time.min(*first);
    }

    /// When step `number` began.
    pub(super) fn begun(&self, number: usize) -> Option<Timestamp> {
        self.begun.get(number).copied().flatten()
    }

    /// The step of `event`.
    pub(super) fn step(&self, event: &Event) -> usize {
        let by_time = self.at(event.time).unwrap_or(0);
        let Some(uid) = &event.process.uid else { return by_time };
        if Some(uid) == self.shell.as_ref() {
            return by_time;
        }
        let began = |uid: &Text| self.first.get(uid).and_then(|time| self.at(*time));
        let own = began(uid);
        match self.below_shell(uid).map(|top| began(top).unwrap_or(0)) {
            Some(step) if !self.serves.get(step).copied().unwrap_or(false) => step,
            Some(step) => own.filter(|own| *own != step).unwrap_or(by_time),
            None => own.unwrap_or(by_time),
        }
    }

    /// The ancestor of `uid`, or itself, that the shell started.
    fn below_shell<'a>(&'a self, uid: &'a Text) -> Option<&'a Text> {
        let shell = self.shell.as_ref()?;
        let mut at = uid;
        for _ in 0..DEPTH {
            let parent = self.parents.get(at)?;
            if parent == shell {
                return Some(at);
            }
            at = parent;
        }
        None
    }

    /// The step that was under way at `time`.
    fn at(&self, time: Timestamp) -> Option<usize> {
        self.begun.iter().rposition(|begun| begun.is_some_and(|begun| begun <= time))
    }
}

/// The step that an activity begins.
fn begins(event: &Event) -> Option<&str> {
    let line = event.process.cmd_line.as_deref();
    let line = line.filter(|_| event.activity.kind() == Kind::ProcessExec)?;
    line.split_once(STEP).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use metsuke_event::ecs;
    use serde_json::json;

    use super::*;

    fn told(second: u32, uid: &str, parent: &str, line: &str) -> Event {
        let time = format!("2026-11-20T10:00:{second:02}Z");
        let json = json!({
            "event.action": "process.exec", "@timestamp": time, "event.sequence": second,
            "agent.id": "0000000000000000000000000000e001",
            "host.boot.id": "00000000000000000000000000000b07",
            "process.entity_id": uid, "process.parent.entity_id": parent,
            "process.pid": 7, "process.executable": "/usr/bin/x", "process.command_line": line,
        });
        ecs::from_ecs(&json).unwrap_or_else(|error| panic!("{error}"))
    }

    fn uid(number: u32) -> String {
        format!("00000000000000000000000000000b07-{number}-{number}")
    }

    /// The shell is 1; step a starts 10 which stays, step b starts 30; 90 was there before.
    fn course(serves: bool) -> (Credit, Vec<Event>) {
        let step = |name: &str, serves| Step {
            name: name.to_owned(),
            what: String::new(),
            techniques: Vec::new(),
            caught: true,
            serves,
            why: String::new(),
        };
        let told = vec![
            told(1, &uid(2), &uid(1), "true metsuke-step a"),
            told(2, &uid(10), &uid(1), "stays"),
            told(5, &uid(20), &uid(1), "true metsuke-step b"),
            told(6, &uid(30), &uid(1), "begun in b"),
            told(7, &uid(11), &uid(10), "child, late"),
            told(8, &uid(10), &uid(1), "what stays does later"),
            told(9, &uid(1), &uid(90), "the shell itself"),
            told(9, &uid(91), &uid(90), "a daemon's child"),
        ];
        (Credit::of(&[step("a", serves), step("b", false)], &told), told)
    }

    #[test]
    fn a_background_job_stays_its_steps() {
        let (credit, told) = course(false);
        let steps: Vec<usize> = told.iter().map(|event| credit.step(event)).collect();
        assert_eq!(steps, [0, 0, 1, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn what_a_service_does_is_the_steps_in_which_it_does_so() {
        let (credit, told) = course(true);
        let steps: Vec<usize> = told.iter().map(|event| credit.step(event)).collect();
        assert_eq!(steps, [0, 0, 1, 1, 1, 1, 1, 1]);
    }
}
