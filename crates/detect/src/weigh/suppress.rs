//! Suppression: a model that asks for it alerts once for the same detections on a host, then counts.
//!
//! Invariant: at most [`bounds::RAISED`] alerts are remembered; those that were raised longest ago
//! are dropped first, and counted: after one is, the next alert like it comes again.

use std::collections::HashMap;

use metsuke_event::{EndpointId, TenantId, Timestamp};

use crate::bounds;

/// Tenant, endpoint, model and digest of the detections.
pub(crate) type Like = (TenantId, EndpointId, usize, u64);

/// The alert that stands for those like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) time: Timestamp,
    pub(crate) storyline: String,
}

/// Alerts that others may be like.
#[derive(Debug, Default)]
pub(crate) struct Suppressed {
    pub(crate) raised: HashMap<Like, Raised>,
    /// Storylines that raised no alert of their own since the beginning.
    pub(crate) count: u64,
    /// Alerts forgotten for want of room since the beginning.
    pub(crate) evicted: u64,
}

impl Suppressed {
    /// The storyline whose alert, raised at most `nanos` before `time`, stands for one like it.
    pub(super) fn stands_for(&self, like: &Like, time: Timestamp, nanos: i64) -> Option<&str> {
        let raised = self.raised.get(like)?;
        let near = time.nanos_since(raised.time).saturating_abs() < nanos;
        near.then_some(raised.storyline.as_str())
    }

    /// Remembers an alert.
    pub(super) fn remember(&mut self, like: Like, time: Timestamp, storyline: &str) {
        if self.raised.len() >= bounds::RAISED {
            let mut times: Vec<Timestamp> = self.raised.values().map(|one| one.time).collect();
            let (_, edge, _) = times.select_nth_unstable(bounds::RAISED / 8);
            let edge = *edge;
            let before = self.raised.len();
            self.raised.retain(|_, one| one.time > edge);
            self.evicted += (before - self.raised.len()) as u64;
        }
        self.raised.insert(like, Raised { time, storyline: storyline.to_owned() });
    }
}
