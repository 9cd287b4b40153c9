//! What a sensor can see and stop on its host, found by trial, and what it cannot.

use serde::{Deserialize, Serialize};

/// What the sensor can do on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// BPF LSM: deny in the kernel.
    Lsm,
    /// BPF tracing and cgroup hooks: see, and stop shortly after.
    Tracing,
    /// Proc connector, fanotify and /proc: see.
    Interfaces,
}

impl Tier {
    /// Its number: 1, 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::Lsm => 1,
            Self::Tracing => 2,
            Self::Interfaces => 3,
        }
    }
}

/// How trying one hook ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Loaded and attached for real.
    Works,
    /// The kernel refused it.
    Refused {
        /// What it said, with the error's name and what could be done.
        reason: String,
    },
    /// It was not tried.
    NotTried {
        /// Why not.
        reason: String,
    },
}

/// One hook that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTrial {
    /// The tier it belongs to.
    pub tier: Tier,
    /// The kernel's name for it, for example `tp_btf/sched_process_exec`.
    pub hook: String,
    /// What it is for.
    pub purpose: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Something that cannot be seen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSpot {
    /// Stable code, for translation, for example `dns_over_tls`.
    pub code: String,
    /// Which activities are affected, by class name (`dns.query`, …).
    pub activities: Vec<String>,
    /// Why, and what would open the eye.
    pub reason: String,
}

/// A fact about the kernel or operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFact {
    /// Name, for example `kernel`.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Whether a detection can fire on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectionReach {
    /// The detection's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Whether what it needs is seen here.
    pub can_fire: bool,
    /// What it needs and has not, or what it stands on.
    pub why: String,
}

/// The whole report of `metsuke-sensor probe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The tier in force.
    pub tier: Tier,
    /// Every hook tried, in order of tier.
    pub hooks: Vec<HookTrial>,
    /// What stays unseen.
    pub blind: Vec<BlindSpot>,
    /// Facts about the host.
    pub facts: Vec<HostFact>,
    /// Classes of activity this sensor delivers (`process.exec`, …).
    pub sees: Vec<String>,
    /// Whether each detection of the content in force can fire here; empty in reports of sensors
    /// that did not tell.
    #[serde(default)]
    pub detections: Vec<DetectionReach>,
}
