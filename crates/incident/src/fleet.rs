//! How common a value is: what is asked of the fleet, and what its answer means.
//!
//! What tells an intruder's tool from the fleet's own is not on how many hosts it is now (a wide
//! intrusion is on many) but on how many it was before anything struck. So each value that alerts of
//! several hosts share is asked for in the time before. An intruder who had been on many hosts for long
//! without an alert looks like the fleet's own there; other ties, or people, join those alerts.

use std::collections::BTreeMap;

use metsuke_event::Timestamp;

use crate::group::in_order;
use crate::link::{ReasonKind, all_shared};
use crate::{Facts, bounds};

/// A value that alerts of several hosts share: who else has it?
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// A hash, an address, a domain or a user.
    pub kind: ReasonKind,
    /// The value, in lower case.
    pub value: String,
    /// The first step of the first alert that has it.
    pub since: Timestamp,
}

impl Question {
    /// The time before, `[from, to)`: who had it then had it as part of the usual.
    pub const fn before(&self) -> (Timestamp, Timestamp) {
        let to = self.since.plus_nanos(-bounds::SPREAD_NANOS);
        (to.plus_nanos(-bounds::LOOK_BACK_NANOS), to)
    }

    /// The time in which it spread, `[from, to)`.
    pub const fn spread(&self) -> (Timestamp, Timestamp) {
        let (_, from) = self.before();
        (from, self.since.plus_nanos(bounds::SPREAD_NANOS))
    }
}

/// The fleet's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Hosts of the fleet when it was asked.
    pub fleet: u64,
    /// Hosts that had the value before; counted up to [`bounds::COMMON_HOSTS_MAX`].
    pub before: u64,
    /// Hosts that had it while it spread; counted up to the same bound.
    pub during: u64,
    /// Whether there is any history of the time before. On a new server there is none.
    pub has_history: bool,
}

impl Reach {
    /// Hosts that must have had a value in a fleet of this many for it to be common.
    pub fn threshold(fleet: u64) -> u64 {
        let least = bounds::COMMON_HOSTS_MIN.min(fleet).max(2);
        fleet.div_ceil(bounds::COMMON_SHARE).clamp(least, bounds::COMMON_HOSTS_MAX)
    }

    /// Whether it is common, when it stands in alerts of `hosts` hosts. Without history those are asked
    /// that have it and raise no alert: when they are at least as many as those that do, it is no
    /// intruder's.
    pub fn is_common(&self, hosts: u64) -> bool {
        let common = Self::threshold(self.fleet);
        if self.has_history {
            return self.before >= common;
        }
        let quiet = self.during.saturating_sub(hosts);
        quiet >= common && quiet >= hosts
    }
}

/// What is known of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet(BTreeMap<Question, Reach>);

impl Fleet {
    /// Takes an answer, in place of an earlier one.
    pub fn learn(&mut self, question: Question, reach: Reach) {
        self.0.insert(question, reach);
    }

    /// Forgets the answers about alerts up to `until`.
    pub fn forget(&mut self, until: Timestamp) {
        self.0.retain(|question, _| question.since > until);
    }

    /// The answer to a question, where there is one.
    pub fn reach(&self, question: &Question) -> Option<&Reach> {
        self.0.get(question)
    }
}

/// What the fleet is to be asked about `alerts`: values that stand in alerts of several hosts, the newest
/// first, at most [`bounds::QUESTIONS`].
pub fn questions(alerts: &[Facts]) -> Vec<Question> {
    let alerts = in_order(alerts);
    let all = all_shared(&alerts);
    let asked = all.iter().filter(|one| one.hosts(&alerts).len() > 1);
    let mut questions: Vec<Question> = asked.filter_map(|one| one.question(&alerts)).collect();
    questions.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.cmp(b)));
    questions.truncate(bounds::QUESTIONS);
    questions
}
