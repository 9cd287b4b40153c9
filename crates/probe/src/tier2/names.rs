//! DNS questions waiting for their answers, and the names that addresses were given for.
//!
//! Invariant: every question is told once: with its answer, or without one after a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use metsuke_event::{Dns, Process, Text};

use metsuke_packet::dns::{Answer, Message, rcode_name, type_name};

/// How long a question waits for its answer.
const WAIT_NANOS: u64 = 400_000_000;

/// Questions waiting at most; beyond it they are told at once.
const MAX_WAITING: usize = 4096;

/// Addresses remembered at most; forgotten all at once when full.
const MAX_ADDRESSES: usize = 8192;

/// A question ready to be told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) process: Arc<Process>,
    pub(super) time: u64,
    pub(super) dns: Dns,
}

type Question = (u32, u16, u16, String);

#[derive(Debug, Default)]
pub(super) struct Names {
    waiting: HashMap<Question, Told>,
    addresses: HashMap<IpAddr, Text>,
}

impl Names {
    /// The name that was last answered with `address`.
    pub(super) fn of(&self, address: IpAddr) -> Option<Text> {
        self.addresses.get(&address).cloned()
    }

    /// Takes in a message that `process` sent or received; gives what can be told now. With
    /// the process's pid and the message's time.
    pub(super) fn message(
        &mut self,
        process: &Arc<Process>,
        (pid, time): (u32, u64),
        server: (IpAddr, u16),
        message: &Message,
    ) -> Option<Told> {
        let question = (pid, message.id, message.record_type, message.name.clone());
        let new = || Told {
            process: Arc::clone(process),
            time,
            dns: Dns {
                query: Some(message.name.as_str().into()),
                record_type: Some(type_name(message.record_type).into()),
                server_ip: Some(server.0),
                server_port: Some(u64::from(server.1)),
                ..Dns::default()
            },
        };
        if !message.response {
            if self.waiting.len() >= MAX_WAITING {
                return Some(new());
            }
            // Asked again before an answer came: one question.
            self.waiting.entry(question).or_insert_with(new);
            return None;
        }
        let mut told = self.waiting.remove(&question).unwrap_or_else(new);
        told.dns.response_code = Some(rcode_name(message.rcode).into());
        let texts: Vec<String> = message.answers.iter().map(Answer::to_string).collect();
        told.dns.answers = (!texts.is_empty()).then(|| texts.join(" ").into());
        self.remember(message);
        Some(told)
    }

    fn remember(&mut self, message: &Message) {
        for answer in &message.answers {
            if let Answer::Address(address) = answer {
                if self.addresses.len() >= MAX_ADDRESSES {
                    self.addresses.clear();
                }
                self.addresses.insert(address.to_canonical(), message.name.as_str().into());
            }
        }
    }

    /// The questions that waited long enough at `now`; `u64::MAX` for all of them.
    pub(super) fn overdue(&mut self, now: u64) -> Vec<Told> {
        let mut told: Vec<_> = self
            .waiting
            .extract_if(|_, told| told.time.saturating_add(WAIT_NANOS) <= now)
            .map(|(_, told)| told)
            .collect();
        told.sort_by_key(|told| told.time);
        told
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Names, WAIT_NANOS};
    use metsuke_packet::dns::{Answer, Message};

    fn message(response: bool) -> Message {
        let answers =
            if response { vec![Answer::Address([10, 0, 0, 1].into())] } else { Vec::new() };
        Message { id: 7, response, rcode: 0, name: "a.b".into(), record_type: 1, answers }
    }

    #[test]
    fn a_question_is_told_once_with_or_without_answer() {
        let mut names = Names::default();
        let process = Arc::default();
        let server = ([127, 0, 0, 53].into(), 53);
        assert!(names.message(&process, (1, 5), server, &message(false)).is_none());
        assert!(names.message(&process, (1, 6), server, &message(false)).is_none());
        let told = names.message(&process, (1, 9), server, &message(true)).unwrap();
        assert_eq!((told.time, told.dns.answers.as_deref()), (5, Some("10.0.0.1")));
        assert_eq!(names.of([10, 0, 0, 1].into()).as_deref(), Some("a.b"));
        assert!(names.overdue(u64::MAX).is_empty());
        assert!(names.message(&process, (1, 10), server, &message(false)).is_none());
        assert!(names.overdue(10).is_empty());
        assert_eq!(names.overdue(10 + WAIT_NANOS).len(), 1);
    }
}
