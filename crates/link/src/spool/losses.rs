//! What the spool gave up, merged by reason until somebody takes it away.

use metsuke_event::{GivenUp, Timestamp};

use crate::codec::{Encoded, given_up};

/// The disk was full, and memory too.
pub(super) const DISK_FULL: &str = "disk_full";
/// The spool reached its bound while the server was away; the oldest went.
pub(super) const SPOOL_FULL: &str = "spool_full";
/// The batch is larger than a record may be: it could be written, and not be read again.
pub(super) const TOO_LARGE: &str = "batch_too_large";
/// Something else changed the spool's files.
pub(super) const DAMAGED: &str = "spool_damaged";

/// Activities given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// `disk_full`, `spool_full`, `batch_too_large` or `spool_damaged`.
    pub reason: &'static str,
    /// How many of each kind; `None` when nobody can know.
    pub lost: Option<GivenUp>,
    /// Time of the earliest.
    pub from: Timestamp,
    /// Time of the latest.
    pub to: Timestamp,
}

impl Loss {
    pub(super) fn of(batch: &Encoded, reason: &'static str) -> Self {
        Self { reason, lost: Some(given_up(batch)), from: batch.from, to: batch.to }
    }
}

/// At most one loss per reason, so this is bounded however long nobody asks.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Loss>);

impl Losses {
    pub(super) fn add(&mut self, loss: Loss) {
        match self.0.iter_mut().find(|known| known.reason == loss.reason) {
            Some(known) => {
                known.lost = known.lost.take().zip(loss.lost).map(|(mut sum, more)| {
                    sum.merge(&more);
                    sum
                });
                known.from = known.from.min(loss.from);
                known.to = known.to.max(loss.to);
            }
            None => self.0.push(loss),
        }
    }

    pub(super) fn take(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.0.iter().map(|loss| loss.from).min()
    }
}
