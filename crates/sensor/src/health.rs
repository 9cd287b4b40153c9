//! The sensor's own word: `sensor.health` activities it makes itself.

use std::sync::Arc;

use metsuke_event::activity::Activity;
use metsuke_event::{Event, Health, Kind, Tally, Timestamp};
use metsuke_link::client::RefusedBatch;
use metsuke_link::spool::Loss;
use metsuke_link::spool::watch::Ending;

use crate::facts;

/// An interval in which something was not, or may not have been, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) part: &'static str,
    pub(crate) reason: &'static str,
    /// How much was lost of each kind; `None` when it cannot be known, or nothing was.
    pub(crate) lost: Option<Tally>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) detail: String,
}

impl Note {
    /// What the spool gave up.
    pub(crate) fn spool(loss: &Loss) -> Self {
        Self {
            part: "spool",
            reason: loss.reason,
            lost: loss.lost.as_ref().map(|lost| lost.all.clone()),
            from: loss.from,
            to: loss.to,
            detail: String::new(),
        }
    }

    /// What the server will never take.
    pub(crate) fn refused(batch: &RefusedBatch) -> Self {
        Self {
            part: "link",
            reason: "batch_refused",
            lost: Some(batch.lost.all.clone()),
            from: batch.from,
            to: batch.to,
            detail: batch.reason.clone(),
        }
    }

    /// Nobody watched between two runs of the sensor.
    pub(crate) fn down(kept: Timestamp, ending: Ending) -> Self {
        let now = facts::now();
        let detail = match ending {
            Ending::Stopped => "the sensor had been stopped",
            Ending::Killed => "the sensor or its host ended without notice",
        };
        Self {
            part: "sensor",
            reason: "sensor_down",
            lost: None,
            // A clock set back must not turn the interval inside out.
            from: kept.min(now),
            to: kept.max(now),
            detail: detail.to_owned(),
        }
    }

    /// The probe does not run.
    pub(crate) fn blind(error: &anyhow::Error) -> Self {
        let now = facts::now();
        Self {
            part: "probe",
            reason: "probe_failed",
            lost: None,
            from: now,
            to: now,
            detail: format!("{error:#}"),
        }
    }

    /// The probe broke down: what it saw since `kept` may be lost, and nothing is seen any more.
    pub(crate) fn broken(kept: Timestamp) -> Self {
        let now = facts::now();
        Self {
            part: "probe",
            reason: "probe_failed",
            lost: None,
            // A clock set back must not turn the interval inside out.
            from: kept.min(now),
            to: kept.max(now),
            detail: "the probe broke down, and the sensor stopped; its log says why".to_owned(),
        }
    }

    /// As an activity.
    pub(crate) fn event(self) -> Event {
        let mut event = Event::empty(Kind::SensorHealth);
        event.time = facts::now();
        event.process = Arc::default();
        event.activity = Activity::Health(Health {
            part: Some(self.part.into()),
            reason: Some(self.reason.into()),
            lost: self.lost.as_ref().map(Tally::total),
            from: Some(self.from),
            to: Some(self.to),
            detail: (!self.detail.is_empty()).then(|| self.detail.into()),
            tier: None,
            object: None,
            lost_kinds: self.lost.map(|lost| lost.to_string().into()),
        });
        event
    }
}
