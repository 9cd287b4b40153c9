//! De-duplication and durable append.
//!
//! Activities of one (endpoint, boot) come in the order of their numbers, so one high-water mark
//! per boot tells the new from the known. Invariant: for one boot, appends come one after another,
//! and what is new is handed on in that order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metsuke_catalog::clock::now;
use metsuke_event::{BootId, EndpointId, Event};

use crate::metrics::{Metrics, add};
use crate::store::{Store, StoreError};

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The numbers do not grow within the batch.
    #[error("the activities are not in the order of their numbers (at {0})")]
    Disorder(u64),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One boot's mark; the lock is held during its append.
type Mark = Arc<tokio::sync::Mutex<u64>>;

/// The door to the store.
pub struct Intake {
    store: Arc<dyn Store>,
    marks: Mutex<HashMap<(EndpointId, BootId), Mark>>,
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
        let marks = marks.map(|(boot, seq)| (boot, Mark::new(seq.into()))).collect();
        Self { store, marks: Mutex::new(marks), metrics }
    }

    fn mark(&self, boot: (EndpointId, BootId)) -> Mark {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(marks.entry(boot).or_default())
    }

    /// Takes activities of one boot; what is there already is passed over and counted. What is new
    /// goes to `hand_on` once it is on disk. Returns the highest number of the boot on disk.
    ///
    /// Not to be dropped in the middle: the store may have the activities by then, the mark and
    /// `hand_on` would not. A caller whose own future may be dropped runs this in a task.
    ///
    /// # Errors
    /// When the order is wrong or the store fails; then nothing of the batch was stored.
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
        let mark = self.mark((endpoint, boot));
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
