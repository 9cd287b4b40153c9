//! What the sensor counts of its own work.
//!
//! Invariant: what was lost is counted once, however often it is told.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metsuke_event::{GivenUp, Tally};

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) events: AtomicU64,
    losses: Mutex<Losses>,
    pub(crate) edge_hits: AtomicU64,
    /// Activities with a value that is perhaps an indicator, and with one on a block list.
    pub(crate) candidates: AtomicU64,
    pub(crate) blocked: AtomicU64,
    /// Storylines of processes not kept, or forgotten.
    pub(crate) storylines: AtomicU64,
    /// What detection here dropped, over all engines that ran.
    pub(crate) detection_keys: AtomicU64,
    pub(crate) detection_storylines: AtomicU64,
    /// What the spool gave up.
    pub(crate) spool: AtomicU64,
}

/// Losses, each counted when its word is numbered: once, also when that word is lost, and told
/// again by the word about that.
#[derive(Debug, Default)]
struct Losses {
    lost: Tally,
    /// Counted already, and to be told again.
    retold: Tally,
}

impl Counters {
    /// A word says that so much more was lost.
    pub(crate) fn lose(&self, mut told: Tally) {
        let mut losses = self.losses();
        losses.retold.cancel(&mut told);
        losses.lost.merge(&told);
    }

    /// A word is to come about what was given up; what words among that had told is counted.
    pub(crate) fn lose_words(&self, lost: &GivenUp) {
        self.losses().retold.merge(&lost.retold);
    }

    /// What was lost so far, by kind.
    pub(crate) fn lost(&self) -> Tally {
        self.losses().lost.clone()
    }

    fn losses(&self) -> MutexGuard<'_, Losses> {
        // Nothing that is done under this lock leaves a value half-way.
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
