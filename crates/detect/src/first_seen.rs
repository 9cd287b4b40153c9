//! What was seen before: values per rule and host, user or fleet, with when they were seen last.
//!
//! Invariant: at most [`bounds::FIRST_SEEN_VALUES`] values; when there is no room, those that are
//! too old to matter go, then the eighth that was seen longest ago, which is counted: such a value
//! would be called new once more.

use std::collections::HashMap;

use metsuke_event::Timestamp;
use sha2::{Digest, Sha256};

use crate::bounds;
use crate::correlate::Key;
use crate::question::FirstSeen;

/// What is known under one key.
#[derive(Debug, PartialEq)]
pub(crate) struct Known {
    /// The first hit.
    pub(crate) since: Timestamp,
    /// Nanoseconds after which its rule forgets a value.
    pub(crate) within_nanos: i64,
    /// By digest of the value, when it was seen last.
    pub(crate) values: HashMap<u64, Timestamp>,
}

/// The state of all first-seen rules.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(crate) keys: HashMap<Key, Known>,
    /// Values of all keys together.
    pub(crate) values: usize,
    /// Values dropped since the beginning.
    pub(crate) evicted: u64,
}

impl Learned {
    /// Takes a value; whether it is new.
    pub(crate) fn take(
        &mut self,
        asked: FirstSeen,
        key: Key,
        value: &str,
        time: Timestamp,
    ) -> bool {
        if self.values >= bounds::FIRST_SEEN_VALUES {
            self.make_room();
        }
        let within_nanos = asked.within_nanos;
        let empty = || Known { since: time, within_nanos, values: HashMap::new() };
        let known = self.keys.entry(key).or_insert_with(empty);
        known.since = known.since.min(time);
        let learning = time.nanos_since(known.since) < asked.learning_nanos;
        let mut new = true;
        known
            .values
            .entry(digest(value))
            .and_modify(|last| {
                new = time.nanos_since(*last) > within_nanos;
                *last = (*last).max(time);
            })
            .or_insert_with(|| {
                self.values += 1;
                time
            });
        new && !learning
    }

    /// Drops what is older than its rule asks, by the newest value of its key, and if that is not
    /// enough the eighth that was seen longest ago.
    fn make_room(&mut self) {
        for known in self.keys.values_mut() {
            if let Some(newest) = known.values.values().max().copied() {
                let edge = newest.plus_nanos(-known.within_nanos);
                known.values.retain(|_, last| *last >= edge);
            }
        }
        let count = |keys: &HashMap<Key, Known>| keys.values().map(|one| one.values.len()).sum();
        let left: usize = count(&self.keys);
        if left > bounds::FIRST_SEEN_VALUES / 8 * 7 {
            let mut times: Vec<Timestamp> =
                self.keys.values().flat_map(|known| known.values.values().copied()).collect();
            let (_, edge, _) = times.select_nth_unstable(bounds::FIRST_SEEN_VALUES / 8);
            let edge = *edge;
            for known in self.keys.values_mut() {
                known.values.retain(|_, last| *last > edge);
            }
        }
        self.keys.retain(|_, known| !known.values.is_empty());
        let kept = count(&self.keys);
        self.evicted += (left - kept) as u64;
        self.values = kept;
    }
}

/// Eight bytes stand for a value: of a million, two are taken for one once in 37 million cases.
fn digest(value: &str) -> u64 {
    let digest = Sha256::digest(value.as_bytes());
    u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
}
