//! What a run did, as it knows itself: the measure for everything a sensor says about it.

use metsuke_event::Timestamp;
use serde::{Deserialize, Serialize};

/// One process that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTruth {
    /// Its id; unset where only the parent is known (a pipeline's members).
    pub pid: Option<u32>,
    /// Its parent's id at the time it was started.
    pub parent_pid: u32,
    /// Arguments it was started with, the program's name first.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Absolute path of the file it executed, links resolved, where that is one on disk.
    pub exe: Option<String>,
}

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTruth {
    /// Short name, for example `download`.
    pub name: String,
    /// ATT&CK tactic short names a detector may rightly give it; the first is the main one.
    pub tactics: Vec<String>,
    /// ATT&CK technique ids it imitates.
    pub techniques: Vec<String>,
    /// Before its first process started.
    pub started: Timestamp,
    /// After its last process ended.
    pub ended: Timestamp,
    /// What it started.
    pub processes: Vec<ProcessTruth>,
}

/// Which scenario ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// The imitation of an intrusion.
    Intrusion,
    /// The same tools in ordinary use.
    Twin,
}

/// Something a detector must have said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// The step it is about.
    pub step: String,
    /// Its tactics; informative.
    pub tactics: Vec<String>,
    /// A highlight of one of these techniques (or a sibling sub-technique), struck while the step
    /// ran, meets it.
    pub techniques: Vec<String>,
}

/// The whole truth about one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// What ran.
    pub scenario: Scenario,
    /// The seed its choices came from.
    pub seed: u64,
    /// User id it ran as.
    pub uid: u32,
    /// The control group it joined, as a path of the mounted hierarchy.
    pub cgroup: Option<String>,
    /// The process at the root of it.
    pub root: ProcessTruth,
    /// Start of the first step.
    pub started: Timestamp,
    /// End of the last step.
    pub ended: Timestamp,
    /// Steps in the order they ran.
    pub steps: Vec<StepTruth>,
    /// What a detector must say; empty for the twin.
    pub expected: Vec<Expectation>,
    /// What did not go as planned (a command that failed, a tool that is missing).
    pub problems: Vec<String>,
}

impl Truth {
    /// Every process it knows of, the root included.
    pub fn processes(&self) -> impl Iterator<Item = &ProcessTruth> {
        std::iter::once(&self.root).chain(self.steps.iter().flat_map(|step| &step.processes))
    }
}

/// The wall clock, for truth.
pub fn now() -> Timestamp {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
