//! What is waited for: sequences whose steps are all there, and that strike when what must not come
//! has not come in time.
//!
//! Time is that of the activities, per endpoint, and what [`crate::Engine::advance`] says. A
//! sequence is judged [`GRACE_NANOS`] after its time is over, for what comes late. Invariant: at
//! most [`bounds::AWAITED`] are waited for; what finds no room is counted and not waited for.

use std::collections::BTreeMap;

use metsuke_event::finding::Hit;
use metsuke_event::{EndpointId, EventId, Timestamp};

use crate::bounds;
use crate::correlate::Key;

/// How long after its time something may still come.
pub(crate) const GRACE_NANOS: i64 = 60_000_000_000;

/// Endpoint, when the time is over, and whose it is.
pub(crate) type Due = (EndpointId, Timestamp, Key);

/// A strike that is not yet one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    /// When the last step was.
    pub(crate) since: Timestamp,
    /// The hit, as it would be.
    pub(crate) hit: Hit,
    pub(crate) events: Vec<EventId>,
    /// Models that exceptions keep it from.
    pub(crate) withheld: Vec<usize>,
}

/// All that is waited for.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    pub(crate) due: BTreeMap<Due, Pending>,
    /// What was not waited for, for want of room, since the beginning.
    pub(crate) evicted: u64,
}

impl Awaited {
    /// Waits for `due`; the first that was armed for it stays.
    pub(crate) fn arm(&mut self, due: Due, pending: Pending) {
        if self.due.len() >= bounds::AWAITED {
            self.evicted += 1;
            return;
        }
        self.due.entry(due).or_insert(pending);
    }

    /// Something came at `time` that ends what is waited for under `key`.
    pub(crate) fn disarm(&mut self, key: &Key, time: Timestamp) {
        let ends =
            |due: &Due, pending: &Pending| due.2 == *key && pending.since <= time && time <= due.1;
        self.due.retain(|due, pending| !ends(due, pending));
    }

    /// Takes what of `endpoint`, or of all, is over at `now`.
    pub(crate) fn over(
        &mut self,
        endpoint: Option<EndpointId>,
        now: Timestamp,
    ) -> Vec<(Due, Pending)> {
        self.over_each(|of| endpoint.is_none_or(|endpoint| of == endpoint).then_some(now))
    }

    /// Takes what is over at the time that `now` has for its endpoint.
    pub(crate) fn over_each(
        &mut self,
        now: impl Fn(EndpointId) -> Option<Timestamp>,
    ) -> Vec<(Due, Pending)> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let is = |due: &&Due| now(due.0).is_some_and(|now| due.1 < now.plus_nanos(-GRACE_NANOS));
        let over: Vec<Due> = self.due.keys().filter(is).cloned().collect();
        let take = |due: Due| self.due.remove(&due).map(|pending| (due, pending));
        let mut taken: Vec<(Due, Pending)> = over.into_iter().filter_map(take).collect();
        taken.sort_by_key(|((_, time, _), _)| *time);
        taken
    }
}
