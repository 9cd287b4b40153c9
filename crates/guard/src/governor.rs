//! Budgets of the sensor, and what it leaves out, step by step, when it exceeds one.
//!
//! Pure: one [`Usage`] a second in, at most one [`Change`] out. Invariants (a property test draws
//! for them): a step is taken down only after [`OVER_SECONDS`] seconds over a budget in a row, and
//! up only after [`CALM_SECONDS`] seconds with every resource below [`CALM_PERCENT`] of its budget;
//! one change is one step.

use metsuke_event::Kind;
use serde::{Deserialize, Serialize};

/// Seconds over a budget in a row before a step is taken: a burst of builds is no reason.
pub const OVER_SECONDS: u32 = 10;
/// Seconds of calm before a step is taken back.
pub const CALM_SECONDS: u32 = 60;
/// Calm is below this share of each budget: the gap keeps the governor from swinging.
pub const CALM_PERCENT: u64 = 80;
/// Of sampled activities one in so many is kept.
pub const SAMPLE: u64 = 10;
/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;
/// What may be sent at once, as a part of the day's budget: six hours' worth.
const BURST_PARTS: u64 = 4;

/// What the sensor may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// CPU time, in thousandths of one core.
    pub cpu_permille: u64,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// Disk taken by what waits for the server, in bytes.
    pub disk_bytes: u64,
    /// Bytes sent in a day.
    pub day_bytes: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            cpu_permille: 500,
            memory_bytes: 256 << 20,
            disk_bytes: 768 << 20,
            day_bytes: 1 << 30,
        }
    }
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time within the last second, in thousandths of one core.
    pub cpu_permille: u64,
    /// Resident memory now, in bytes.
    pub memory_bytes: u64,
    /// Disk taken now, in bytes.
    pub disk_bytes: u64,
    /// Bytes made ready to be sent within the last second.
    pub sent_bytes: u64,
}

/// What a budget is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// CPU time.
    Cpu,
    /// Resident memory.
    Memory,
    /// Disk.
    Disk,
    /// Bytes to the server.
    Wire,
}

impl Resource {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Disk, Self::Wire];

    /// Its name, with its unit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU (thousandths of a core)",
            Self::Memory => "memory (bytes)",
            Self::Disk => "disk (bytes)",
            Self::Wire => "bytes sent beyond the day's pace",
        }
    }
}

/// How far the sensor has gone down; each includes those above it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Everything.
    #[default]
    Full,
    /// Files are hashed at a quarter of the pace.
    HashesPaced,
    /// Without the content of scripts.
    ScriptsOff,
    /// Of reads of sensitive files, attribute changes and closed flows, one in [`SAMPLE`].
    ReadsSampled,
    /// Without libraries loaded and memory mapped.
    ImagesOff,
    /// Without hashes.
    HashesOff,
    /// Without changes of files: processes, flows, logons, persistence and what is done to others
    /// remain, and they are never left out.
    FilesOff,
}

impl Step {
    /// Every one, from everything to least.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::HashesPaced,
        Self::ScriptsOff,
        Self::ReadsSampled,
        Self::ImagesOff,
        Self::HashesOff,
        Self::FilesOff,
    ];

    /// What is left out, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Full => "nothing is left out",
            Self::HashesPaced => "files are hashed at a quarter of the pace",
            Self::ScriptsOff => "the content of scripts is left out",
            Self::ReadsSampled => "of reads, attribute changes and closed flows one in ten is kept",
            Self::ImagesOff => "libraries loaded and memory mapped are left out",
            Self::HashesOff => "files are not hashed",
            Self::FilesOff => "changes of files are left out",
        }
    }

    fn down(self) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step > self)
    }

    fn up(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|step| *step < self)
    }

    /// What becomes of activities of `kind`.
    pub const fn treatment(self, kind: Kind) -> Treatment {
        let from = match kind {
            Kind::ScriptExecute => Self::ScriptsOff,
            Kind::FileRead | Kind::FileAttributes | Kind::NetworkClose => Self::ReadsSampled,
            Kind::ImageLoad | Kind::MemoryMap => Self::ImagesOff,
            Kind::FileCreate | Kind::FileModify | Kind::FileDelete | Kind::FileRename => {
                Self::FilesOff
            }
            _ => return Treatment::Keep,
        };
        if (self as u8) < (from as u8) {
            Treatment::Keep
        } else if matches!(from, Self::ReadsSampled) {
            Treatment::Sample
        } else {
            Treatment::Drop
        }
    }

    /// The pace of hashing, in thousandths of the usual.
    pub const fn hash_permille(self) -> u32 {
        match self {
            Self::Full => 1_000,
            Self::HashesPaced | Self::ScriptsOff | Self::ReadsSampled | Self::ImagesOff => 250,
            Self::HashesOff | Self::FilesOff => 0,
        }
    }
}

/// What becomes of an activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It is told.
    Keep,
    /// One in [`SAMPLE`] is told, the others are counted.
    Sample,
    /// It is counted.
    Drop,
}

/// A step that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stood.
    pub from: Step,
    /// Where it stands.
    pub to: Step,
    /// The resource that asked for it; when a step is taken back, the one that is nearest to its
    /// budget.
    pub resource: Resource,
    /// What was used of it.
    pub used: u64,
    /// What may be.
    pub budget: u64,
}

/// The state.
#[derive(Clone, Debug)]
pub struct Governor {
    budgets: Budgets,
    step: Step,
    over: [u32; 4],
    calm: u32,
    /// Bytes sent beyond the day's pace.
    backlog: u64,
    /// What of a second's pace was not a whole byte, in bytes times [`DAY_SECONDS`].
    remainder: u64,
}

impl Governor {
    /// Begins with everything.
    pub const fn new(budgets: Budgets) -> Self {
        Self { budgets, step: Step::Full, over: [0; 4], calm: 0, backlog: 0, remainder: 0 }
    }

    /// Where it stands.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Its budgets.
    pub const fn budgets(&self) -> Budgets {
        self.budgets
    }

    /// Other budgets from now on; the step stays until usage asks for another.
    pub const fn set_budgets(&mut self, budgets: Budgets) {
        self.budgets = budgets;
    }

    /// One second's usage.
    pub fn observe(&mut self, usage: &Usage) -> Option<Change> {
        self.spend(usage.sent_bytes);
        let measured = self.measured(usage);
        let mut is_calm = true;
        for (index, (used, budget)) in measured.into_iter().enumerate() {
            self.over[index] = if used > budget { self.over[index].saturating_add(1) } else { 0 };
            is_calm &= u128::from(used) * 100 < u128::from(budget) * u128::from(CALM_PERCENT);
        }
        self.calm = if is_calm { self.calm.saturating_add(1) } else { 0 };
        if let Some(index) = self.over.iter().position(|seconds| *seconds >= OVER_SECONDS) {
            self.over = [0; 4];
            let to = self.step.down()?;
            return Some(self.change(to, index, measured[index]));
        }
        if self.calm >= CALM_SECONDS {
            self.calm = 0;
            let to = self.step.up()?;
            let nearest = (0..4).max_by_key(|index| share(measured[*index])).unwrap_or(0);
            return Some(self.change(to, nearest, measured[nearest]));
        }
        None
    }

    fn change(&mut self, to: Step, index: usize, (used, budget): (u64, u64)) -> Change {
        let from = std::mem::replace(&mut self.step, to);
        Change { from, to, resource: Resource::ALL[index], used, budget }
    }

    /// The day's budget flows off evenly; what is sent beyond stays.
    fn spend(&mut self, sent: u64) {
        let flowing = self.budgets.day_bytes.saturating_add(self.remainder);
        self.remainder = flowing % DAY_SECONDS;
        self.backlog = self.backlog.saturating_add(sent).saturating_sub(flowing / DAY_SECONDS);
    }

    fn measured(&self, usage: &Usage) -> [(u64, u64); 4] {
        let budgets = &self.budgets;
        [
            (usage.cpu_permille, budgets.cpu_permille),
            (usage.memory_bytes, budgets.memory_bytes),
            (usage.disk_bytes, budgets.disk_bytes),
            (self.backlog, budgets.day_bytes / BURST_PARTS),
        ]
    }
}

fn share((used, budget): (u64, u64)) -> u128 {
    u128::from(used) * 1_000_000 / u128::from(budget.max(1))
}

#[cfg(test)]
mod tests;
