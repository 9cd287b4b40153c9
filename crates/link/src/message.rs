//! What travels beside activities, as Rust types: facts at enrolment, hello, heartbeat, plan
//! updates, content bundles. Conversion from and to the wire is in `wire.rs`.

use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::coverage::Coverage;
use metsuke_event::finding::Level;
use metsuke_event::id::PlanId;
use metsuke_event::{BootId, Timestamp};
use metsuke_respond::{Outcome, Plan, Policy, Update};
use serde::{Deserialize, Serialize};

use crate::limits::{INDICATOR_PART_MAX, INDICATOR_PARTS_MAX};

/// What a host says of itself when it enrols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnrolFacts {
    /// Host name.
    pub host: String,
    /// Operating system, for example `Debian GNU/Linux 12`.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// The sensor's version.
    pub version: String,
}

/// The first message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sensor's version.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Operating system.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// The boot the sensor runs in.
    pub boot: BootId,
    /// What it can see and stop; `None` when what came was no coverage report.
    pub coverage: Option<Coverage>,
    /// The sensor's clock when it sent this; the server's clock minus this is the skew (plus the
    /// way).
    pub sent: Timestamp,
    /// What it watches and acts on: a cgroup path, or `host`.
    pub scope: String,
    /// Addresses of the host.
    pub addresses: Vec<String>,
    /// Version of the content it runs; empty for what is built in.
    pub content_version: String,
    /// Version of the policy it follows.
    pub policy_version: u64,
    /// Which packs of indicators it holds.
    pub packs: PackVersions,
}

/// Which packs of indicators a sensor holds; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackVersions {
    /// What people decided.
    pub decided: u64,
    /// The filter.
    pub filter: u64,
}

impl PackVersions {
    /// The version of one.
    pub const fn of(&mut self, pack: PackKind) -> &mut u64 {
        match pack {
            PackKind::Decided => &mut self.decided,
            PackKind::Filter => &mut self.filter,
        }
    }
}

/// The packs of indicators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackKind {
    /// What people decided: block and allow lists.
    Decided,
    /// The filter of everything that is bad.
    Filter,
}

impl PackKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Decided, Self::Filter];
}

/// A part of a pack of indicators. Parts of one version come in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackPart {
    /// Of which pack.
    pub pack: PackKind,
    /// Of which version.
    pub version: u64,
    /// Which part, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// Its bytes.
    pub bytes: Bytes,
}

impl PackPart {
    /// How many parts `bytes` are: one at least.
    pub fn count(bytes: &Bytes) -> u32 {
        u32::try_from(bytes.len().div_ceil(INDICATOR_PART_MAX).max(1)).unwrap_or(u32::MAX)
    }

    /// Part `index` of a pack; `None` when there are fewer, or the pack is too large.
    pub fn cut(pack: PackKind, version: u64, bytes: &Bytes, index: u32) -> Option<Self> {
        let count = Self::count(bytes);
        if index >= count || count > INDICATOR_PARTS_MAX {
            return None;
        }
        let from = index as usize * INDICATOR_PART_MAX;
        let to = (from + INDICATOR_PART_MAX).min(bytes.len());
        Some(Self { pack, version, index, count, bytes: bytes.slice(from..to) })
    }
}

/// A sensor's word on how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sensor's clock when it sent this.
    pub sent: Timestamp,
    /// Age of the oldest activity not acknowledged yet, in milliseconds.
    pub lag_ms: u64,
    /// Bytes waiting in the spool.
    pub spool_bytes: u64,
    /// Activities waiting in the spool.
    pub spool_events: u64,
    /// Activities lost since the sensor started.
    pub lost_total: u64,
    /// Activities observed since the sensor started.
    pub events_total: u64,
    /// CPU time the sensor used since it started, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Detections that fired on the sensor itself.
    pub edge_hits: u64,
    /// Set when it changed since Hello.
    pub coverage: Option<Coverage>,
    /// Version of the content it runs.
    pub content_version: String,
    /// Version of the policy it follows.
    pub policy_version: u64,
    /// What is wrong, for people; empty when all is well.
    pub degraded: Vec<String>,
    /// What bounded tables had to let go.
    #[serde(default)]
    pub evictions: Evictions,
    /// Activities with a value that the filter of indicators perhaps holds, since the sensor started.
    #[serde(default)]
    pub indicator_candidates: u64,
    /// Activities with a value on a block list, since the sensor started.
    #[serde(default)]
    pub indicator_blocked: u64,
}

/// How often a bounded table of the sensor let something go, since the sensor started. What went
/// was knowledge, not activities; but for `spool`, whose activities are in `lost_total` too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evictions {
    /// Lineage: processes that found no room, described by their own records alone.
    pub processes: u64,
    /// Hashes forgotten; the files are read again.
    pub hashes: u64,
    /// Processes whose storyline is no longer known, or never was, for want of room.
    pub storylines: u64,
    /// Detection on the sensor: correlation keys dropped.
    pub detection_keys: u64,
    /// Detection on the sensor: storylines dropped from models.
    pub detection_storylines: u64,
    /// Activities the spool gave up.
    pub spool: u64,
}

impl Evictions {
    /// Each with its name and one line of help, in the manner of Prometheus.
    pub const fn list(&self) -> [(&'static str, &'static str, u64); 6] {
        // Every field is named, so that a new one cannot be left out.
        let Self { processes, hashes, storylines, detection_keys, detection_storylines, spool } =
            *self;
        [
            ("sensor_evicted_processes_total", "Processes without room.", processes),
            ("sensor_evicted_hashes_total", "Hashes forgotten.", hashes),
            ("sensor_evicted_storylines_total", "Storylines not known.", storylines),
            ("sensor_evicted_detection_keys_total", "Keys of rules dropped.", detection_keys),
            (
                "sensor_evicted_detection_storylines_total",
                "Storylines of models dropped.",
                detection_storylines,
            ),
            ("sensor_evicted_spool_total", "Activities given up.", spool),
        ]
    }

    /// What came on top since `earlier`; all of it when the sensor was started anew meanwhile, which
    /// shows by a count that is less.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        let restarted = self.processes < earlier.processes
            || self.hashes < earlier.hashes
            || self.storylines < earlier.storylines
            || self.detection_keys < earlier.detection_keys
            || self.detection_storylines < earlier.detection_storylines
            || self.spool < earlier.spool;
        if restarted {
            return *self;
        }
        Self {
            processes: self.processes - earlier.processes,
            hashes: self.hashes - earlier.hashes,
            storylines: self.storylines - earlier.storylines,
            detection_keys: self.detection_keys - earlier.detection_keys,
            detection_storylines: self.detection_storylines - earlier.detection_storylines,
            spool: self.spool - earlier.spool,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            processes: self.processes.saturating_add(other.processes),
            hashes: self.hashes.saturating_add(other.hashes),
            storylines: self.storylines.saturating_add(other.storylines),
            detection_keys: self.detection_keys.saturating_add(other.detection_keys),
            detection_storylines: self
                .detection_storylines
                .saturating_add(other.detection_storylines),
            spool: self.spool.saturating_add(other.spool),
        }
    }
}

/// A plan's progress, as the sensor reports it; the same one may come more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanUpdate {
    /// Which plan.
    pub plan: PlanId,
    /// Counts the updates of this plan, from 1.
    pub revision: u32,
    /// The step.
    pub update: Update,
    /// What it did, with the last step.
    pub outcome: Option<Outcome>,
}

/// Detection content as it is pushed to sensors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Names this content; sensors report it back.
    pub version: String,
    /// Grows with each bundle; a sensor refuses a smaller one than it holds.
    pub serial: u64,
    /// The documents; one list for all the sessions that it is pushed to.
    #[serde(with = "shared")]
    pub documents: Arc<Vec<BundleDocument>>,
    /// What the site says about them, as far as it holds for the endpoint it is sent to.
    #[serde(default)]
    pub site: BundleSite,
}

/// Tuning and exceptions that hold on one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleSite {
    /// Tuning; of several for one detection the last counts.
    pub tunings: Vec<BundleTuning>,
    /// Exceptions.
    pub exceptions: Vec<BundleException>,
}

/// A detection switched off, or of another level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleTuning {
    /// The detection's id.
    pub detection: String,
    /// Whether it is in force; as it is when not said.
    pub enabled: Option<bool>,
    /// Its level; as it is when not said.
    pub level: Option<Level>,
}

/// Hits that are collected and not acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleException {
    /// Identity.
    pub id: String,
    /// Ids of the detections it is about; empty: every one.
    pub detections: Vec<String>,
    /// What the activity must be like, as a selection of Sigma; empty: whatever.
    pub condition: String,
    /// From this time of activities on it hides nothing more.
    pub expires: Timestamp,
}

/// One document of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleDocument {
    /// Path relative to the content folder.
    pub path: String,
    /// The document.
    pub text: String,
}

/// A list that is shared here and plain on the wire.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, T: Serialize>(
        list: &Arc<Vec<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        list.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<Arc<Vec<T>>, D::Error> {
        Vec::deserialize(deserializer).map(Arc::new)
    }
}

/// What the server tells a sensor. The link signs what needs a signature.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "few are held at a time, and none for long")]
pub enum Downstream {
    /// Content to run from now on.
    Content(Bundle),
    /// Policy to follow from now on.
    Policy(Policy),
    /// Something to do. Send it again on each session until an update shows it delivered: the
    /// sensor does it once.
    Plan(Plan),
    /// Withdraw a plan that has not begun. The answer is a [`PlanUpdate`] that says where the plan
    /// stands.
    Cancel(PlanId),
    /// A part of a pack of indicators.
    Indicators(PackPart),
}
