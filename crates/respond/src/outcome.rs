//! What a plan did to the host: told as found, also when it failed half-way.

use metsuke_event::ProcessKey;
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

/// The result of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// Of [`crate::Verb::Terminate`].
    Terminated {
        /// Processes that were ended, each with the evidence taken before.
        ended: Vec<Ended>,
        /// Processes that were to be ended and were not, each with the reason.
        spared: Vec<Spared>,
    },
    /// Of [`crate::Verb::Poc`].
    Poc(PocTruth),
    /// Of [`crate::Verb::PocCleanup`].
    PocCleaned {
        /// Paths removed.
        removed: Vec<String>,
    },
    /// Of every verb that takes evidence.
    Evidence(Evidence),
}

/// A process that was ended, as it was just before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub process: ProcessKey,
    /// Its executable.
    pub exe: String,
    /// Its command line.
    pub cmd_line: String,
    /// Its control group.
    pub cgroup: String,
}

/// A process that was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spared {
    /// Which.
    pub process: ProcessKey,
    /// Why.
    pub reason: String,
}

/// What the proof-of-coverage exercise did on one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PocTruth {
    /// SHA-256 of the executable it made, lower-case hexadecimal.
    pub sha256: String,
    /// Where it was first written, before the rename; nothing is there any more.
    pub dropped: String,
    /// Every place where a file with that content stands now.
    pub paths: Vec<String>,
    /// The copy that was run.
    pub ran: String,
    /// The copy that was never run.
    pub never_ran: String,
}
