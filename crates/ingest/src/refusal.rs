//! Whether the store refuses what comes, for people: a counter tells that it did, not that it does.

use std::sync::{Mutex, PoisonError};

use metsuke_event::Timestamp;

/// The store takes nothing: what came since `since` waits on the sensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When the first batch was not stored.
    pub since: Timestamp,
    /// Why the last one was not, for people.
    pub reason: String,
}

/// The refusal that lasts, if one does.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Option<Refusal>>);

impl Refusals {
    /// From the first batch the store did not take until the next that it takes. Sensors send again
    /// until then, so it ends soon after there is room.
    pub fn now(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn begin_or_last(&self, now: Timestamp, reason: String) {
        let mut refusal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = refusal.as_ref().map_or(now, |refusal| refusal.since);
        *refusal = Some(Refusal { since, reason });
    }

    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
