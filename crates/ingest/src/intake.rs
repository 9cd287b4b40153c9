//! De-duplication and durable append.
//!
//! Activities of one (endpoint, boot) come in the order of their numbers, so one high-water mark
//! per boot tells the new from the known. Invariant: for one boot, appends come one after another,
//! and what is new is handed on in that order. Invariant: what is kept grows by at most
//! [`MAX_NEW_BOOTS`] boots of one endpoint in an hour, whatever boots its sensor invents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metsuke_catalog::clock::now;
use metsuke_event::{BootId, EndpointId, Event};

use crate::metrics::{Metrics, add};
use crate::store::{Store, StoreError};

/// Boots of one endpoint that may be new within [`NEW_BOOTS_IN`]: a host that starts anew every
/// minute stays below, and a sensor that invents boots fills no memory.
const MAX_NEW_BOOTS: u32 = 64;
/// See [`MAX_NEW_BOOTS`].
const NEW_BOOTS_IN: Duration = Duration::from_secs(3_600);

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The numbers do not grow within the batch.
    #[error("the activities are not in the order of their numbers (at {0})")]
    Disorder(u64),
    /// The endpoint brought too many new boots; the batch may come again.
    #[error(
        "the endpoint brought {MAX_NEW_BOOTS} new boots within the hour, the most that are taken; \
         look whether its sensor is what it should be"
    )]
    TooManyBoots,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One boot's mark; the lock is held during its append.
type Mark = Arc<tokio::sync::Mutex<u64>>;

/// The marks, and how many boots each endpoint brought lately.
struct Marks {
    of: HashMap<(EndpointId, BootId), Mark>,
    /// Bounded by the endpoints that are enrolled.
    new: HashMap<EndpointId, NewBoots>,
}

/// New boots of one endpoint since some moment.
struct NewBoots {
    since: Instant,
    count: u32,
}

impl NewBoots {
    const fn none(now: Instant) -> Self {
        Self { since: now, count: 0 }
    }

    /// Counts one more, unless there are as many as there may be.
    fn has_room(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= NEW_BOOTS_IN {
            *self = Self::none(now);
        }
        let room = self.count < MAX_NEW_BOOTS;
        self.count += u32::from(room);
        room
    }
}

/// The door to the store.
pub struct Intake {
    store: Arc<dyn Store>,
    marks: Mutex<Marks>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

impl Intake {
    /// The door to `store`, with the marks the store has on disk.
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        let marks = store.high_water().into_iter();
        let of = marks.map(|(boot, seq)| (boot, Mark::new(seq.into()))).collect();
        let marks = Mutex::new(Marks { of, new: HashMap::new() });
        Self { store, marks, metrics }
    }

    fn mark(&self, boot: (EndpointId, BootId)) -> Result<Mark, IntakeError> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = marks.of.get(&boot) {
            return Ok(Arc::clone(mark));
        }
        let now = Instant::now();
        let new = marks.new.entry(boot.0).or_insert(NewBoots::none(now));
        if !new.has_room(now) {
            add(&self.metrics.boots_refused, 1);
            return Err(IntakeError::TooManyBoots);
        }
        Ok(Arc::clone(marks.of.entry(boot).or_default()))
    }

    /// Takes activities of one boot; what is there already is passed over and counted. What is new
    /// goes to `hand_on` once it is on disk. Returns the highest number of the boot on disk.
    ///
    /// Not to be dropped in the middle: the store may have the activities by then, the mark and
    /// `hand_on` would not. A caller whose own future may be dropped runs this in a task.
    ///
    /// # Errors
    /// When the order is wrong, the endpoint brought too many boots, or the store fails; then nothing
    /// of the batch was stored.
    pub async fn take(
        &self,
        endpoint: EndpointId,
        boot: BootId,
        events: Vec<Event>,
        hand_on: impl FnOnce(Vec<Event>) + Send,
    ) -> Result<u64, IntakeError> {
        if let Some(pair) = events.windows(2).find(|pair| pair[0].id.seq >= pair[1].id.seq) {
            return Err(IntakeError::Disorder(pair[1].id.seq));
        }
        let mark = self.mark((endpoint, boot))?;
        let mut mark = mark.lock().await;
        let total = events.len();
        let received = now();
        let mut new: Vec<Event> = events.into_iter().filter(|event| event.id.seq > *mark).collect();
        add(&self.metrics.batches, 1);
        add(&self.metrics.duplicates, total - new.len());
        for event in &mut new {
            event.id.endpoint = endpoint;
            event.id.boot = boot;
            event.received = Some(received);
        }
        if let Some(last) = new.last().map(|event| event.id.seq) {
            if let Err(error) = self.store.append(new.clone()).await {
                add(&self.metrics.append_failures, 1);
                self.metrics.refusals.begin_or_last(received, error.to_string());
                return Err(error.into());
            }
            *mark = last;
            add(&self.metrics.events, new.len());
            self.metrics.refusals.end();
            // Under the lock, so that a batch sent again beside this one cannot overtake it:
            // detection passes over numbers behind those it has seen.
            hand_on(new);
        }
        Ok(*mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_later_boots_may_be_new_again() {
        let start = Instant::now();
        let mut new = NewBoots::none(start);
        assert!((0..MAX_NEW_BOOTS).all(|_| new.has_room(start)));
        let late = start + NEW_BOOTS_IN;
        assert!(!new.has_room(late.checked_sub(Duration::from_secs(1)).unwrap()));
        assert!(new.has_room(late));
    }
}
