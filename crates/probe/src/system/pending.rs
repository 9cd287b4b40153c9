//! Changed files that are looked at in a moment: what was just made has no content yet, what
//! vanished may be put back in the same go, and under a flood each file is looked at once.

use std::collections::HashMap;
use std::sync::Arc;

use metsuke_event::{Process, Timestamp};

use crate::system::bucket::Bucket;
use crate::system::mechanisms::Subject;

/// How long a look is put off, in nanoseconds: longer than an editor or package manager takes to
/// put a new file in the place of an old one.
const WAIT_NANOS: u64 = 300_000_000;

/// Files that may wait at once; beyond it they are counted as not looked at.
const MAX_WAITING: usize = 2_048;

/// Looks a second, and at once: a package upgrade changes some hundred files a second.
const LOOKS_PER_SECOND: u64 = 400;
const LOOKS_BURST: u64 = 800;

/// A change to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) subject: Subject,
    pub(super) process: Arc<Process>,
    pub(super) time: Timestamp,
    /// The file was seen to come to be.
    pub(super) created: bool,
}

type Key = (Option<u64>, String);

#[derive(Debug)]
pub(super) struct Pending {
    waiting: HashMap<Key, (u64, Item)>,
    next: u64,
    refused: u64,
    looks: Bucket,
}

impl Default for Pending {
    fn default() -> Self {
        let waiting = HashMap::new();
        Self {
            waiting,
            next: u64::MAX,
            refused: 0,
            looks: Bucket::new(LOOKS_PER_SECOND, LOOKS_BURST),
        }
    }
}

fn key(item: &Item) -> Key {
    (item.process.mount_namespace, item.path.clone())
}

impl Pending {
    /// How often a change found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether one more file may be looked at right now; takes its share.
    pub(super) fn may_look(&mut self, now: u64) -> bool {
        self.looks.take(1, now)
    }

    pub(super) fn put(&mut self, item: Item, now: u64) {
        let key = key(&item);
        if let Some((_, known)) = self.waiting.get_mut(&key) {
            known.created |= item.created;
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            self.refused += 1;
            return;
        }
        let due = now.saturating_add(WAIT_NANOS);
        self.next = self.next.min(due);
        self.waiting.insert(key, (due, item));
    }

    /// Forgets a look at the same file; whether that one saw it come to be.
    pub(super) fn take(&mut self, item: &Item) -> bool {
        !self.waiting.is_empty()
            && self.waiting.remove(&key(item)).is_some_and(|(_, item)| item.created)
    }

    /// What is due at `now`, oldest first.
    pub(super) fn due(&mut self, now: u64) -> Vec<Item> {
        if now < self.next {
            return Vec::new();
        }
        let (due, rest): (HashMap<_, _>, HashMap<_, _>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, (at, _))| *at <= now);
        self.waiting = rest;
        self.next = self.waiting.values().map(|(at, _)| *at).min().unwrap_or(u64::MAX);
        let mut items: Vec<Item> = due.into_values().map(|(_, item)| item).collect();
        items.sort_by_key(|item| item.time);
        items
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::{Process, Timestamp};

    use super::{Item, LOOKS_BURST, MAX_WAITING, Pending, WAIT_NANOS};
    use crate::system::mechanisms::Subject;

    fn item(path: &str, created: bool) -> Item {
        let process = Arc::new(Process::default());
        let time = Timestamp::default();
        Item { path: path.to_owned(), subject: Subject::Init, process, time, created }
    }

    #[test]
    fn each_file_waits_once_and_what_finds_no_room_is_counted() {
        let mut pending = Pending::default();
        pending.put(item("/a", true), 0);
        pending.put(item("/a", false), 5);
        assert!(pending.due(WAIT_NANOS - 1).is_empty());
        let due = pending.due(WAIT_NANOS);
        assert_eq!((due.len(), due[0].created), (1, true));
        pending.put(item("/a", true), 0);
        assert!(pending.take(&item("/a", false)), "it was seen to come to be");
        assert!(pending.due(u64::MAX).is_empty());
        for number in 0..=MAX_WAITING {
            pending.put(item(&number.to_string(), false), 0);
        }
        assert_eq!((pending.refused(), pending.due(u64::MAX).len()), (1, MAX_WAITING));
    }

    #[test]
    fn looks_are_bounded_and_refilled() {
        let mut pending = Pending::default();
        let looks = (0..10_000).filter(|_| pending.may_look(1)).count() as u64;
        assert_eq!(looks, LOOKS_BURST);
        assert!(pending.may_look(1_000_000_000));
    }
}
