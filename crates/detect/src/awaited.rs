//! What is waited for: sequences whose steps are all there, and that strike when what must not come
//! has not come in time.
//!
//! Time is that of the activities, per endpoint, and what [`crate::Engine::advance`] says. A
//! sequence is judged [`GRACE_NANOS`] after its time is over, for what comes late. Invariants: at
//! most [`bounds::AWAITED`] are waited for; what finds no room is counted and not waited for. What
//! is looked at is what is over or ended, never all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    due: BTreeMap<Due, Pending>,
    /// Of each key when its waits are over, and where.
    of_key: HashMap<Key, BTreeSet<(Timestamp, EndpointId)>>,
    /// What was not waited for, for want of room, since the beginning.
    pub(crate) evicted: u64,
}

/// What comes before everything of `endpoint` that is over at `time` or later.
fn before(endpoint: EndpointId, time: Timestamp) -> Due {
    (endpoint, time, (0, 0, Vec::new()))
}

impl Awaited {
    /// How many are waited for.
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// All, by endpoint and time.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Due, &Pending)> {
        self.due.iter()
    }

    /// Everything, taken out.
    pub(crate) fn into_all(self) -> impl Iterator<Item = (Due, Pending)> {
        self.due.into_iter()
    }

    /// Waits for `due`; the first that was armed for it stays.
    pub(crate) fn arm(&mut self, due: Due, pending: Pending) {
        if self.due.len() >= bounds::AWAITED {
            self.evicted += 1;
            return;
        }
        self.of_key.entry(due.2.clone()).or_default().insert((due.1, due.0));
        self.due.entry(due).or_insert(pending);
    }

    /// Something came at `time` that ends what is waited for under `key`.
    pub(crate) fn disarm(&mut self, key: &Key, time: Timestamp) {
        let Some(times) = self.of_key.get(key) else { return };
        let later = times.range((time, EndpointId::from_u128(0))..);
        let dues = later.map(|(over, endpoint)| (*endpoint, *over, key.clone()));
        let begun = |due: &Due| self.due.get(due).is_some_and(|pending| pending.since <= time);
        let ends: Vec<Due> = dues.filter(begun).collect();
        for due in ends {
            self.take(due);
        }
    }

    fn take(&mut self, due: Due) -> Option<(Due, Pending)> {
        let pending = self.due.remove(&due)?;
        if let Some(times) = self.of_key.get_mut(&due.2) {
            times.remove(&(due.1, due.0));
            if times.is_empty() {
                self.of_key.remove(&due.2);
            }
        }
        Some((due, pending))
    }

    /// Takes what of `endpoint` is over at `now`, by time.
    pub(crate) fn over(&mut self, endpoint: EndpointId, now: Timestamp) -> Vec<(Due, Pending)> {
        if self.due.is_empty() {
            return Vec::new();
        }
        let first = before(endpoint, Timestamp::from_nanos(i64::MIN));
        let end = before(endpoint, now.plus_nanos(-GRACE_NANOS));
        if first >= end {
            return Vec::new();
        }
        let over: Vec<Due> = self.due.range(first..end).map(|(due, _)| due.clone()).collect();
        over.into_iter().filter_map(|due| self.take(due)).collect()
    }

    /// Takes what is over at the time that `now` has for its endpoint, by time.
    pub(crate) fn over_each(
        &mut self,
        now: impl Fn(EndpointId) -> Option<Timestamp>,
    ) -> Vec<(Due, Pending)> {
        let mut taken = Vec::new();
        let mut next = self.due.first_key_value().map(|(due, _)| due.0);
        while let Some(endpoint) = next {
            if let Some(now) = now(endpoint) {
                taken.extend(self.over(endpoint, now));
            }
            let after = endpoint.as_u128().checked_add(1).map(EndpointId::from_u128);
            let after = after.map(|after| before(after, Timestamp::from_nanos(i64::MIN)));
            next = after.and_then(|after| self.due.range(after..).next()).map(|(due, _)| due.0);
        }
        taken.sort_by_key(|((_, time, _), _)| *time);
        taken
    }
}
