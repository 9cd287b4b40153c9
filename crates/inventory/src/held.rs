//! What is held in memory, shared by the thread that looks, the pipeline that saw files change, and
//! the link that tells the server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metsuke_event::Timestamp;
use metsuke_event::inventory::{Delta, Item, ItemKind, LeftOut, Survey};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::index::{Entry, Index, keep, kept};
use crate::known::Known;
use crate::ledger::{Kept, Ledger, Name};

/// Paths seen to change that wait to be looked at; beyond it everything is walked again.
const TOUCHED_MAX: usize = 8_192;
/// A day, over which the budget of items is filled again.
const DAY: Duration = Duration::from_hours(24);
/// Files of the state folder.
const FILES: &str = "files.zst";
const LEDGER: &str = "ledger.zst";

/// Why the server's copy may be behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The server will not have it.
    #[error("the server refuses the inventory: {0}")]
    Refused(String),
    /// The day's budget is spent.
    #[error("{waiting} changes of the inventory wait: the day's budget of items is spent")]
    Budget {
        /// How many.
        waiting: usize,
    },
    /// The state folder cannot be written: a restart reads everything again.
    #[error("the inventory cannot be kept on disk: {0}; make room in the state folder")]
    Disk(String),
}

/// What the thread that looks and the link share.
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) others: BTreeMap<Name, Item>,
    pub(crate) surveys: BTreeMap<ItemKind, Survey>,
    pub(crate) ledger: Ledger,
    pub(crate) unsaved: bool,
    /// Kinds that were looked at since the start.
    looked: BTreeSet<ItemKind>,
    /// Items that may be told now, and since when that is so.
    budget: (u64, Instant),
    told: Option<Instant>,
    refused: Option<String>,
    disk: Option<String>,
}

/// Paths seen to change.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub(crate) paths: BTreeSet<String>,
    /// How many found no room.
    pub(crate) lost: u64,
}

/// The files of the index, as they are kept.
#[derive(Default, Serialize, Deserialize)]
struct KeptFiles {
    entries: Vec<Entry>,
    survey: Option<Survey>,
}

/// The inventory of one host. Cheap to ask.
pub struct Inventory {
    pub(crate) config: Config,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) stop: Arc<AtomicBool>,
    news: Box<dyn Fn() + Send + Sync>,
    /// Called with each content that is known.
    pub(crate) known: Box<dyn Fn(&Known) + Send + Sync>,
    state: Mutex<State>,
    touched: Mutex<Touched>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inventory").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Executables are told once it is known whom they belong to.
fn item(state_index: &Index, others: &BTreeMap<Name, Item>, name: &Name) -> Option<Item> {
    if name.0 != ItemKind::Executable {
        return others.get(name).cloned();
    }
    let entry = state_index.get(&name.1).filter(|entry| entry.owner_known)?;
    Some(Item::Executable(entry.file.clone()))
}

impl Inventory {
    pub(crate) fn open(
        config: Config,
        clock: fn() -> Timestamp,
        news: Box<dyn Fn() + Send + Sync>,
        known: Box<dyn Fn(&Known) + Send + Sync>,
    ) -> Self {
        let files: KeptFiles = kept(&config.state.join(FILES)).unwrap_or_default();
        let ledger = Ledger::new(kept::<Kept>(&config.state.join(LEDGER)));
        let index = files.entries.into_iter().map(|entry| (entry.file.path.clone(), entry));
        let state = State {
            index: index.collect(),
            others: BTreeMap::new(),
            surveys: files.survey.into_iter().map(|survey| (survey.kind, survey)).collect(),
            ledger,
            unsaved: false,
            looked: BTreeSet::new(),
            budget: (config.items_per_day, Instant::now()),
            told: None,
            refused: None,
            disk: None,
        };
        Self {
            config,
            clock,
            stop: Arc::default(),
            news,
            known,
            state: Mutex::new(state),
            touched: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock leaves the value half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A file was seen to be written, renamed, or deleted at this absolute path. Cheap; most paths
    /// are in no place that is walked.
    pub fn touched(&self, path: &str) {
        let path_ = Path::new(path);
        if !self.config.places.iter().any(|place| path_.starts_with(place)) {
            return;
        }
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if touched.paths.len() < TOUCHED_MAX {
            touched.paths.insert(path.to_owned());
        } else if !touched.paths.contains(path) {
            touched.lost += 1;
        }
    }

    pub(crate) fn take_touched(&self) -> Touched {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What to tell the server next, if anything; the same again until [`Inventory::seen`].
    pub fn next(&self) -> Option<Delta> {
        let now_ms = u64::try_from((self.clock)().as_nanos() / 1_000_000).unwrap_or(0);
        let mut state = self.state();
        let State { index, others, surveys, ledger, budget, told, .. } = &mut *state;
        if !ledger.has_news(surveys) && !ledger.is_waiting_for_answer() {
            return None;
        }
        // A whole one goes out piece after piece; changes are gathered for a while.
        let gathers = ledger.gathers();
        if gathers && told.is_some_and(|told| told.elapsed() < self.config.tell_every) {
            return None;
        }
        refill(budget, self.config.items_per_day);
        if budget.0 == 0 {
            return None;
        }
        let most = usize::try_from(budget.0).unwrap_or(usize::MAX);
        let names = || {
            let files = index.keys().map(|path| (ItemKind::Executable, path.clone()));
            files.chain(others.keys().cloned()).collect::<VecDeque<_>>()
        };
        let delta =
            ledger.next((now_ms, most), surveys, names, |name| item(index, others, name))?;
        *told = Some(Instant::now());
        Some(delta)
    }

    /// The server's answer: the generation it holds now, or why it refused.
    pub fn seen(&self, generation: u64, refused: Option<String>) {
        let mut state = self.state();
        if refused.is_none() {
            state.budget.0 = state.budget.0.saturating_sub(state.ledger.on_its_way());
        }
        state.ledger.seen(generation);
        state.refused = refused;
        state.unsaved = true;
    }

    /// Why the server's copy may be behind.
    pub fn trouble(&self) -> Option<Trouble> {
        let mut state = self.state();
        refill(&mut state.budget, self.config.items_per_day);
        if let Some(why) = &state.refused {
            return Some(Trouble::Refused(why.clone()));
        }
        let waiting = state.ledger.waiting();
        if state.budget.0 == 0 && waiting > 0 {
            return Some(Trouble::Budget { waiting });
        }
        state.disk.clone().map(Trouble::Disk)
    }

    /// Every item there is now; for people at the host and for tests.
    pub fn items(&self) -> Vec<Item> {
        let state = self.state();
        let files = state.index.values().filter(|entry| entry.owner_known);
        let files = files.map(|entry| Item::Executable(entry.file.clone()));
        files.chain(state.others.values().cloned()).collect()
    }

    /// How far each kind was looked at.
    pub fn surveys(&self) -> Vec<Survey> {
        self.state().surveys.values().cloned().collect()
    }

    /// Wakes the link when there is something to tell.
    pub(crate) fn announce(&self) {
        let state = self.state();
        let has_news = state.ledger.has_news(&state.surveys);
        drop(state);
        if has_news {
            (self.news)();
        }
    }

    /// Takes what a look at one kind found.
    pub(crate) fn apply(
        &self,
        kind: ItemKind,
        places: Vec<String>,
        found: Result<(Vec<Item>, Vec<LeftOut>), String>,
    ) {
        let mut state = self.state();
        let state = &mut *state;
        let survey = match found {
            Ok((items, left_out)) => {
                let new: BTreeMap<Name, Item> =
                    items.into_iter().map(|item| ((kind, item.key()), item)).collect();
                let items = new.len() as u64;
                state.replace(kind, new);
                Survey { kind, taken: Some((self.clock)()), items, places, left_out, missing: None }
            }
            Err(missing) => Survey {
                kind,
                taken: state.surveys.get(&kind).and_then(|survey| survey.taken),
                items: 0,
                places,
                left_out: Vec::new(),
                missing: Some(missing),
            },
        };
        state.surveys.insert(kind, survey);
    }

    /// Keeps it on disk, if it changed.
    pub(crate) fn keep(&self) {
        let (files, ledger) = {
            let mut state = self.state();
            if !std::mem::take(&mut state.unsaved) {
                return;
            }
            let survey = state.surveys.get(&ItemKind::Executable).cloned();
            let entries = state.index.values().cloned().collect();
            (KeptFiles { entries, survey }, state.ledger.kept())
        };
        let kept = keep(&self.config.state.join(FILES), &files)
            .and_then(|()| keep(&self.config.state.join(LEDGER), &ledger));
        self.state().disk = kept.err().map(|error| error.to_string());
    }
}

/// A budget grows back at a steady rate over a day.
fn refill((left, since): &mut (u64, Instant), per_day: u64) {
    let passed = since.elapsed().as_millis() * u128::from(per_day) / DAY.as_millis();
    let grown = u64::try_from(passed).unwrap_or(u64::MAX);
    if grown > 0 {
        *left = left.saturating_add(grown).min(per_day);
        *since = Instant::now();
    }
}

impl State {
    /// A first look at a kind compares with all that the server holds of it.
    pub(crate) fn first_look(&mut self, kind: ItemKind) -> bool {
        let first = self.looked.insert(kind);
        if first {
            self.ledger.touch_all(kind);
        }
        first
    }

    fn replace(&mut self, kind: ItemKind, new: BTreeMap<Name, Item>) {
        let first = self.first_look(kind);
        let old: Vec<Name> = self.others.keys().filter(|name| name.0 == kind).cloned().collect();
        for name in old {
            if !new.contains_key(&name) {
                self.others.remove(&name);
                self.ledger.touch(kind, &name.1);
            }
        }
        for (name, item) in new {
            if first || self.others.get(&name) != Some(&item) {
                self.ledger.touch(kind, &name.1);
                self.others.insert(name, item);
            }
        }
    }
}
