//! What the server holds of the inventory, as digests, and what is to be said next.
//!
//! Invariant: when nothing is on its way and nothing changed, what the server holds is what there
//! is; every loss on the way ends in a whole inventory. Pure: no clock, no file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use metsuke_event::inventory::{Delta, Item, ItemKind, Stage, Survey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Kind and key.
pub(crate) type Name = (ItemKind, String);

/// Most items in one message; the link takes no more.
pub(crate) const ITEMS_MAX: usize = 2_000;
/// Most bytes of items in one message, as JSON: half of what the link takes.
const BYTES_MAX: usize = 2 << 20;
/// A survey that found the same is told again when it is so much younger, in nanoseconds: what
/// "looked at ten minutes ago" may be wrong by.
const SURVEY_NANOS: i64 = 15 * 60 * 1_000_000_000;

/// What was kept of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    generation: u64,
    told: Vec<(ItemKind, String, u64)>,
    surveys: Vec<Survey>,
}

/// Something on its way, and what it makes of the ledger.
#[derive(Clone, Debug)]
struct Pending {
    delta: Delta,
    digests: Vec<(Name, u64)>,
}

/// The ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    generation: u64,
    told: BTreeMap<Name, u64>,
    surveys: BTreeMap<ItemKind, Survey>,
    dirty: BTreeSet<Name>,
    /// What of a whole inventory is still to be said, and whether it began.
    whole: Option<(VecDeque<Name>, bool)>,
    pending: Option<Pending>,
    /// Nothing that this sensor knows of is held by the server.
    fresh: bool,
}

/// The digest of an item.
fn digest(item: &Item) -> (u64, usize) {
    let text = serde_json::to_vec(item).unwrap_or_default();
    let hash: [u8; 32] = Sha256::digest(&text).into();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    (u64::from_be_bytes(first), text.len())
}

/// Whether the server should hear of `new`.
fn worth_telling(old: Option<&Survey>, new: &Survey) -> bool {
    let Some(old) = old else { return true };
    let younger = match (old.taken, new.taken) {
        (Some(old), Some(new)) => new.nanos_since(old) >= SURVEY_NANOS,
        (old, new) => old != new,
    };
    younger || Survey { taken: None, ..old.clone() } != Survey { taken: None, ..new.clone() }
}

impl Ledger {
    /// As it was kept; without that, a whole inventory comes first.
    pub(crate) fn new(kept: Option<Kept>) -> Self {
        let Some(kept) = kept else { return Self { fresh: true, ..Self::default() } };
        let told = kept.told.into_iter().map(|(kind, key, digest)| ((kind, key), digest));
        let surveys = kept.surveys.into_iter().map(|survey| (survey.kind, survey));
        Self {
            generation: kept.generation,
            told: told.collect(),
            surveys: surveys.collect(),
            fresh: kept.generation == 0,
            ..Self::default()
        }
    }

    /// What to keep. While a whole one is under way there is nothing to build on.
    pub(crate) fn kept(&self) -> Kept {
        if self.fresh || self.whole.is_some() {
            return Kept::default();
        }
        let told = self.told.iter().map(|((kind, key), digest)| (*kind, key.clone(), *digest));
        let surveys = self.surveys.values().cloned().collect();
        Kept { generation: self.generation, told: told.collect(), surveys }
    }

    /// An item came, changed or went.
    pub(crate) fn touch(&mut self, kind: ItemKind, key: &str) {
        self.dirty.insert((kind, key.to_owned()));
    }

    /// All of a kind was looked at for the first time since the start: what the server holds of it
    /// and is no longer there shows now.
    pub(crate) fn touch_all(&mut self, kind: ItemKind) {
        let names = self.told.keys().filter(|name| name.0 == kind).cloned();
        self.dirty.extend(names.collect::<Vec<_>>());
    }

    /// How many changes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.dirty.len() + self.whole.as_ref().map_or(0, |(queue, _)| queue.len())
    }

    /// Whether something was said and not answered.
    pub(crate) fn is_waiting_for_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// How many items are on their way.
    pub(crate) fn on_its_way(&self) -> u64 {
        let delta = self.pending.as_ref().map(|pending| &pending.delta);
        delta.map_or(0, |delta| (delta.set.len() + delta.removed.len()) as u64)
    }

    /// Whether what comes next is changes, which are better told a few at once.
    pub(crate) fn gathers(&self) -> bool {
        self.pending.is_none() && !self.fresh && self.whole.is_none()
    }

    /// Whether there may be something to say.
    pub(crate) fn has_news(&self, surveys: &BTreeMap<ItemKind, Survey>) -> bool {
        self.fresh
            || self.waiting() > 0
            || surveys.values().any(|new| worth_telling(self.surveys.get(&new.kind), new))
    }

    /// What to say next, with at most `most` items: what is on its way is said again.
    /// `now_ms` is the clock; `names` are all items, `item` gives one.
    pub(crate) fn next(
        &mut self,
        (now_ms, most): (u64, usize),
        surveys: &BTreeMap<ItemKind, Survey>,
        names: impl FnOnce() -> VecDeque<Name>,
        item: impl Fn(&Name) -> Option<Item>,
    ) -> Option<Delta> {
        if let Some(pending) = &self.pending {
            return Some(pending.delta.clone());
        }
        if std::mem::take(&mut self.fresh) {
            self.told.clear();
            self.surveys.clear();
            self.dirty.clear();
            self.whole = Some((names(), false));
        }
        let most = most.min(ITEMS_MAX);
        let mut delta = Delta {
            base: self.generation,
            generation: now_ms.max(self.generation + 1),
            stage: Stage::Change,
            surveys: Vec::new(),
            set: Vec::new(),
            removed: Vec::new(),
        };
        let new = surveys.values().filter(|new| worth_telling(self.surveys.get(&new.kind), new));
        delta.surveys = new.cloned().collect();
        let mut digests = Vec::new();
        let mut bytes = 0;
        if let Some((queue, begun)) = &mut self.whole {
            while digests.len() < most && bytes < BYTES_MAX {
                let Some(name) = queue.pop_front() else { break };
                let Some(found) = item(&name) else { continue };
                let (digest, size) = digest(&found);
                bytes += size;
                digests.push((name, digest));
                delta.set.push(found);
            }
            delta.stage = match (*begun, queue.is_empty()) {
                (false, true) => Stage::Whole,
                (false, false) => Stage::First,
                (true, true) => Stage::Last,
                (true, false) => Stage::More,
            };
            *begun = true;
        } else {
            while delta.set.len() + delta.removed.len() < most && bytes < BYTES_MAX {
                let Some(name) = self.dirty.pop_first() else { break };
                match item(&name) {
                    Some(found) => {
                        let (digest, size) = digest(&found);
                        if self.told.get(&name) != Some(&digest) {
                            bytes += size;
                            digests.push((name, digest));
                            delta.set.push(found);
                        }
                    }
                    None if self.told.contains_key(&name) => delta.removed.push(name),
                    None => {}
                }
            }
            if delta.set.is_empty() && delta.removed.is_empty() && delta.surveys.is_empty() {
                return None;
            }
        }
        self.pending = Some(Pending { delta: delta.clone(), digests });
        Some(delta)
    }

    /// The server holds `generation` now.
    pub(crate) fn seen(&mut self, generation: u64) {
        let Some(Pending { delta, digests }) = self.pending.take() else { return };
        if generation != delta.generation {
            // It has another past: tell it everything.
            (self.fresh, self.whole) = (true, None);
            // Whatever it holds, the next generation is greater.
            self.generation = self.generation.max(generation).max(delta.generation);
            return;
        }
        self.generation = generation;
        self.told.extend(digests);
        for name in &delta.removed {
            self.told.remove(name);
        }
        for survey in delta.surveys {
            self.surveys.insert(survey.kind, survey);
        }
        if delta.stage.ends() {
            self.whole = None;
        }
    }
}

#[cfg(test)]
mod tests;
