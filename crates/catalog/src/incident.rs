//! Incidents: which alerts belong together, and what people changed about it by hand.
//!
//! Invariant: membership is computed from the alerts and the hand-made changes that hold
//! (`metsuke-incident`), so it is the same after a restart and whatever order alerts came in. What is
//! needed of each alert is kept in memory and only what changed is read again.
//! Invariant: at most [`MAX_ALERTS`] alerts are looked at, the newest; the rest is counted.

mod change;
mod held;
mod reach;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use metsuke_event::finding::Level;
use metsuke_event::{AlertId, Timestamp};
use metsuke_incident::Reason;

use crate::alert::Status;
use crate::{Catalog, Result};

pub use change::IncidentEntry;
pub(crate) use held::{Held, StaleAlerts};
pub use reach::Spread;

/// Alerts that are put into incidents, the newest: some 1 KB each in memory.
pub(crate) const MAX_ALERTS: usize = 20_000;

/// Alerts that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Identity: the alert of it that was raised first.
    pub id: AlertId,
    /// Title of the alert with the highest score, or the recording's name.
    pub title: String,
    /// The highest score of its alerts.
    pub score: u8,
    /// The highest level of its alerts.
    pub level: Level,
    /// Closed when all its alerts are, new when nobody looked at any.
    pub status: Status,
    /// Its alerts, by first step.
    pub alerts: Vec<AlertId>,
    /// Host names.
    pub hosts: BTreeSet<String>,
    /// Users.
    pub users: BTreeSet<String>,
    /// ATT&CK tactics.
    pub tactics: BTreeSet<String>,
    /// The recording that it is; nothing for what is live.
    pub recording: Option<String>,
    /// First step of all.
    pub first: Timestamp,
    /// Last step of all.
    pub last: Timestamp,
    /// When one of its alerts last grew or was changed.
    pub updated: Timestamp,
    /// Why its alerts are together.
    pub reasons: Vec<Reason>,
}

/// All incidents at one moment.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    /// The incidents, the one with the newest last step first.
    pub items: Vec<Incident>,
    /// Alerts that are too old to be looked at.
    pub left_out: u64,
    by_alert: HashMap<AlertId, usize>,
}

impl Incidents {
    pub(crate) fn of(mut items: Vec<Incident>, left_out: u64) -> Self {
        items.sort_by(|a, b| b.last.cmp(&a.last).then(a.id.cmp(&b.id)));
        let places = items.iter().enumerate();
        let by_alert =
            places.flat_map(|(place, one)| one.alerts.iter().map(move |id| (*id, place))).collect();
        Self { items, left_out, by_alert }
    }

    /// The incident that holds `alert`. The identity of an incident is one of its alerts', so this
    /// finds an incident by its identity too, also by one it had before it was merged.
    pub fn holding(&self, alert: AlertId) -> Option<&Incident> {
        self.items.get(*self.by_alert.get(&alert)?)
    }
}

impl Catalog {
    /// The incidents as they are now.
    pub async fn incidents(&self) -> Result<Arc<Incidents>> {
        let mut held = self.incidents.lock().await;
        held.refresh(self).await
    }
}
