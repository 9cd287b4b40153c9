//! The probe's own tables in the kernel: whether they are there, and whether the one of names holds what
//! was written, which decides what readings are told. The kernel itself keeps the configuration and the
//! programs that system calls go over to (`groups`) from being changed; the others hold what changes all
//! the time.
//!
//! Invariant: what is found is told once, and written again where that can be; of a descriptor that has
//! become another's, nothing is looked up here.

use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use metsuke_event::Timestamp;

use super::hooks::Word;
use crate::host;

/// Names looked at in one look: some microseconds, and all of them in a quarter of a minute.
const CHECKED: usize = 16;

/// The table of names.
pub(super) const NAMES: &str = "sensitive";

/// A key of the table of names, and what it stands for.
pub(super) type Entry = (Vec<u8>, u8);

/// What is looked after.
#[derive(Debug)]
pub(super) struct Tables {
    all: Vec<Table>,
    /// What was written into the table of names, which is one of all.
    names: Vec<Entry>,
    /// The name that is looked at next; when this round through all began, and the one before.
    next: usize,
    rounds: [Timestamp; 2],
    /// It cannot be written.
    is_wrong: bool,
    next_look: u64,
    every: u64,
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    /// That through which it is used.
    map: Arc<MapHandle>,
    /// `None` where the kernel does not tell; then nobody knows whether it is there.
    id: Option<u32>,
    is_lost: bool,
    seen: Timestamp,
}

impl Tables {
    /// These tables, with what was written into that of names; looked at every so many nanoseconds.
    pub(super) fn new(
        all: Vec<(&'static str, Arc<MapHandle>)>,
        names: Vec<Entry>,
        every: u64,
    ) -> Self {
        let now = host::now();
        let table = |(name, map): (_, Arc<MapHandle>)| Table {
            name,
            id: id(&map),
            map,
            is_lost: false,
            seen: now,
        };
        Self {
            all: all.into_iter().map(table).collect(),
            names,
            next: 0,
            rounds: [now; 2],
            is_wrong: false,
            next_look: 0,
            every,
        }
    }

    /// Looks whether everything is as it should be, when it is time.
    pub(super) fn look(&mut self, now: u64) -> Vec<Word> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + self.every;
        let at = host::now();
        let mut words: Vec<Word> = self.all.iter_mut().filter_map(|one| one.look(at)).collect();
        words.extend(self.rewrite(at));
        words
    }

    /// What is not as it should be now.
    pub(super) fn off(&self) -> Vec<String> {
        let lost = self.all.iter().filter(|table| table.is_lost);
        let lost = lost.map(|table| format!("the table `{}` was taken away", table.name));
        let wrong = self.is_wrong.then(|| "the table of names cannot be written".to_owned());
        lost.chain(wrong).collect()
    }

    fn rewrite(&mut self, at: Timestamp) -> Option<Word> {
        let entries = &self.names;
        let table = self.all.iter().find(|table| table.name == NAMES && table.is_own())?;
        let map = &table.map;
        if self.next == 0 {
            self.rounds = [at, self.rounds[0]];
        }
        let mut put = Ok(());
        let mut changed = 0_u32;
        for (key, means) in entries.iter().skip(self.next).take(CHECKED) {
            if map.lookup(key, MapFlags::ANY).ok().flatten().is_some_and(|held| held == [*means]) {
                continue;
            }
            changed += 1;
            put = put.and(map.update(key, &[*means], MapFlags::ANY));
        }
        self.next = if self.next + CHECKED < entries.len() { self.next + CHECKED } else { 0 };
        // Taken in the midst of this, it has another word.
        if changed == 0 || !table.is_own() {
            return None;
        }
        let what = format!("somebody changed {changed} names of the table `{NAMES}`");
        let detail = match put {
            Ok(()) => {
                self.is_wrong = false;
                format!("{what}; they are written again")
            }
            Err(_) if self.is_wrong => return None,
            Err(error) => {
                self.is_wrong = true;
                format!("{what}, and they cannot be written again: {error:#}")
            }
        };
        // Each was as it was written in the round before.
        Some(tampered("names_changed", detail, self.rounds[1], at))
    }
}

impl Table {
    fn look(&mut self, at: Timestamp) -> Option<Word> {
        let is_lost = self.id.is_some() && id(&self.map) != self.id;
        let is_new = is_lost && !self.is_lost;
        self.is_lost = is_lost;
        if !is_lost {
            self.seen = at;
        }
        let detail = format!(
            "somebody took the table `{}` from the sensor: it is neither read nor kept right any \
             more; restart the sensor",
            self.name
        );
        is_new.then(|| tampered("table_lost", detail, self.seen, at))
    }

    /// Whether its descriptor is known to be its own still: the kernel writes another table's values
    /// in that one's size.
    fn is_own(&self) -> bool {
        self.id.is_some() && id(&self.map) == self.id
    }
}

fn tampered(reason: &'static str, detail: String, from: Timestamp, at: Timestamp) -> Word {
    Word { reason, detail, from, at, tampered: Some("bpf_map") }
}

fn id(map: &MapHandle) -> Option<u32> {
    map.info().ok().map(|info| info.info.id)
}
