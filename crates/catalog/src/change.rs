//! The feed of changes: who shows the catalog hears at once what to show anew.

use metsuke_event::id::PlanId;
use metsuke_event::{AlertId, EndpointId};
use tokio::sync::broadcast;

use crate::Catalog;

/// Changes a slow listener may lag behind; one that lags more is told so and loads anew.
pub(crate) const CHANGES_HELD: usize = 1_024;

/// Something that is no longer as it was; sent after it was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An alert was raised, grew, or was triaged.
    Alert(AlertId),
    /// An endpoint was enrolled or said something of itself.
    Endpoint(EndpointId),
    /// A plan was made or took a step.
    Plan(PlanId),
    /// Incidents may be others than they were, although no alert changed.
    Incidents,
}

impl Catalog {
    /// Every change from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(crate) fn tell(&self, change: Change) {
        if let Change::Alert(id) = change {
            self.stale.add(id);
        }
        // An error means that nobody listens.
        let _ = self.changes.send(change);
    }
}
