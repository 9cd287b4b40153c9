//! Plans on disk: each is written before it begins and after each step, so it is carried out once,
//! and its truth survives the sensor.
//!
//! Invariant: a plan that is `running` on disk when the sensor starts was interrupted; it is not
//! begun again. Invariant: an update is offered to the server until the server has confirmed it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use metsuke_event::{ProcessKey, Timestamp};
use metsuke_link::message::PlanUpdate;
use metsuke_respond::{Outcome, Plan, PlanId, State, Update};
use serde::{Deserialize, Serialize};

/// Most plans remembered; the oldest ended and confirmed ones are forgotten first. A forgotten
/// plan that came again would have expired by then.
const PLANS_MAX: usize = 1_000;
/// Largest plan file read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// One plan with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// `None` when it was cancelled before it came.
    pub(crate) plan: Option<Plan>,
    pub(crate) id: PlanId,
    pub(crate) state: State,
    /// Processes it set out to end, written down before the first was.
    pub(crate) members: Vec<ProcessKey>,
    updates: Vec<PlanUpdate>,
    /// Highest revision the server has confirmed.
    seen: u32,
}

impl Record {
    fn new(id: PlanId, plan: Option<Plan>) -> Self {
        Self { plan, id, state: State::Queued, members: Vec::new(), updates: Vec::new(), seen: 0 }
    }

    fn step(&mut self, update: Update, outcome: Option<Outcome>) {
        let revision = u32::try_from(self.updates.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.state = update.state;
        self.updates.push(PlanUpdate { plan: self.id, revision, update, outcome });
    }

    fn is_forgettable(&self) -> bool {
        self.state.is_end() && self.seen as usize >= self.updates.len()
    }

    /// When it reached its present state.
    pub(crate) fn since(&self) -> Timestamp {
        self.updates.last().map_or_else(Timestamp::default, |update| update.update.time)
    }
}

/// Every plan this sensor was given.
#[derive(Debug)]
pub(crate) struct Plans {
    dir: PathBuf,
    records: BTreeMap<u128, Record>,
}

impl Plans {
    /// Takes up what an earlier process left. A file that cannot be read is set aside, not lost.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut records = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let record = fs::metadata(&path)
                .ok()
                .filter(|facts| facts.len() <= FILE_MAX)
                .and_then(|_| fs::read(&path).ok())
                .and_then(|text| serde_json::from_slice::<Record>(&text).ok());
            if let Some(record) = record {
                records.insert(record.id.as_u128(), record);
            } else {
                tracing::error!(path = %path.display(), "a plan's file is damaged; set aside");
                fs::rename(&path, path.with_extension("damaged"))?;
            }
        }
        Ok(Self { dir: dir.to_owned(), records })
    }

    /// A plan came. When it is known, its updates are offered again and nothing else happens.
    pub(crate) fn deliver(&mut self, plan: Plan, now: Timestamp) {
        let id = plan.id;
        if let Some(known) = self.records.get_mut(&id.as_u128()) {
            known.seen = 0;
            return;
        }
        self.make_room();
        let mut record = Record::new(id, Some(plan));
        record.step(update(State::Delivered, now, String::new()), None);
        if let Err(error) = self.write(&record) {
            // Without a note on disk it could be carried out twice, so it is not begun.
            let detail = format!(
                "it cannot be noted on the endpoint's disk ({error}); make room and send it again"
            );
            record.step(update(State::Failed, now, detail), None);
        }
        self.records.insert(id.as_u128(), record);
    }

    /// A plan is withdrawn. One that has begun goes on.
    pub(crate) fn cancel(&mut self, id: PlanId, now: Timestamp) {
        let record = self.records.entry(id.as_u128()).or_insert_with(|| Record::new(id, None));
        record.seen = 0;
        if record.state.may_become(State::Cancelled) {
            record.step(update(State::Cancelled, now, String::new()), None);
            let record = record.clone();
            if let Err(error) = self.write(&record) {
                tracing::error!(%error, plan = %id, "a withdrawn plan is not noted on disk");
            }
        }
    }

    /// Takes one step, if the plan may (it may have been withdrawn meanwhile: look at its state
    /// afterwards). The note is on disk when this returns `Ok`.
    ///
    /// # Errors
    /// When it cannot be noted; the step still stands in memory unless it is `running`.
    pub(crate) fn step(
        &mut self,
        id: PlanId,
        update: Update,
        outcome: Option<Outcome>,
    ) -> io::Result<()> {
        let Some(record) = self.records.get_mut(&id.as_u128()) else { return Ok(()) };
        if !record.state.may_become(update.state) {
            return Ok(());
        }
        let mut next = record.clone();
        let begins = update.state == State::Running;
        next.step(update, outcome);
        if !begins {
            *record = next.clone();
        }
        self.write(&next)?;
        self.records.insert(id.as_u128(), next);
        Ok(())
    }

    /// Notes whom a running plan is about to end.
    ///
    /// # Errors
    /// When it cannot be noted; then nobody must be ended.
    pub(crate) fn note_members(&mut self, id: PlanId, members: &[ProcessKey]) -> io::Result<()> {
        let Some(record) = self.records.get_mut(&id.as_u128()) else { return Ok(()) };
        record.members = members.to_vec();
        let record = record.clone();
        self.write(&record)
    }

    /// Plans in `state`.
    pub(crate) fn in_state(&self, state: State) -> Vec<Record> {
        self.records.values().filter(|record| record.state == state).cloned().collect()
    }

    /// The record of `id`.
    pub(crate) fn get(&self, id: PlanId) -> Option<&Record> {
        self.records.get(&id.as_u128())
    }

    /// Updates the server has not confirmed, each plan's in order.
    pub(crate) fn unseen(&self) -> Vec<PlanUpdate> {
        self.records
            .values()
            .flat_map(|record| record.updates.iter().filter(|update| update.revision > record.seen))
            .cloned()
            .collect()
    }

    /// The server has confirmed an update.
    pub(crate) fn seen(&mut self, id: PlanId, revision: u32) {
        let Some(record) = self.records.get_mut(&id.as_u128()) else { return };
        if revision <= record.seen {
            return;
        }
        record.seen = revision;
        let record = record.clone();
        if let Err(error) = self.write(&record) {
            // Costs only that it is offered again after a restart.
            tracing::warn!(%error, plan = %id, "a confirmation is not noted on disk");
        }
    }

    fn make_room(&mut self) {
        while self.records.len() >= PLANS_MAX {
            let oldest = self
                .records
                .values()
                .filter(|record| record.is_forgettable())
                .min_by_key(|record| record.since())
                .map(|record| record.id);
            let Some(id) = oldest else { return };
            self.records.remove(&id.as_u128());
            // A file left behind is only read again at the next start.
            let _ = fs::remove_file(self.path(id));
        }
    }

    fn path(&self, id: PlanId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        replace(&self.path(record.id), &serde_json::to_vec(record)?)
    }
}

/// A step.
pub(crate) fn update(state: State, time: Timestamp, detail: String) -> Update {
    Update { time, state, detail }
}

/// Replaces a file so that a crash leaves the old or the new content.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // The error that counts is the first.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests;
