//! Loss as data: an interval in which something was not, or may not have been, seen.

use serde::{Deserialize, Serialize};

use crate::id::EndpointId;
use crate::time::Timestamp;

/// An interval of one endpoint in which observations are missing.
///
/// It accompanies every answer whose time range it overlaps: "not found" is only as good as what
/// was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossInterval {
    /// The endpoint whose observations are missing.
    pub endpoint: EndpointId,
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Which bounded part lost it: a probe's ring, the spool, the server's intake …
    pub part: String,
    /// Why: `queue_full`, `sensor_down`, `disk_full`, `probe_failed` …
    pub reason: String,
    /// How many observations; `None` when nobody can know.
    pub lost: Option<u64>,
}

impl LossInterval {
    /// Whether it overlaps `[from, to)`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from < to && from < self.to.max(self.from.plus_nanos(1))
    }
}
