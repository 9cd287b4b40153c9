//! The gate: on mounts that it is told, executions and openings wait until their content was looked
//! at (fanotify permission events, fanotify(7)), so that a copy nobody has seen is met also where no
//! BPF LSM is.
//!
//! A [`holder`] holds the gate in a process of its own; a [`Keeper`], in another process, listens to
//! it and ends it when it falls silent. Whatever is not answered in time is allowed, and when the
//! holder ends the kernel allows all that waits.
//!
//! Invariant: only what the list may say something of is looked at, only in the scope, and never
//! what the sensor's own processes do. Invariant: a question that is not answered is allowed: by its
//! deadline, by being dropped, or by the holder's end.
//!
//! Leaves the list to [`crate::deny`], and who is told to the sensor.

mod group;
mod hold;
mod judge;
mod keep;
mod message;
mod mounts;

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use hold::{holder, refuse};
pub use keep::{Keeper, KeeperConfig, News, SILENCE_MAX};
pub use mounts::MountError;

use crate::deny::DenyList;
use crate::host::Seen;
use crate::scope::EnforceScope;

/// Mounts gated at most: each is a decision of the operator's own.
pub const MOUNTS_MAX: usize = 16;
/// How long a question may wait. A person does not mind; a hash of the largest file takes half.
pub const WAIT: Duration = Duration::from_secs(2);

/// What a holder is to do.
#[derive(Clone, Debug)]
pub struct GateSpec {
    /// Mount points; the whole file system behind each is gated, through whatever mount.
    pub mounts: Vec<PathBuf>,
    /// Folders of the sensor's own: a file system that holds one is not gated.
    pub private: Vec<PathBuf>,
    /// Whose doings are asked about.
    pub scope: EnforceScope,
    /// What is denied there; of it `exec` and `open` of files.
    pub list: DenyList,
    /// The sensor and its guard, who are never asked, nor what either has started itself.
    pub own: Vec<OwnProcess>,
    /// How long a question may wait, [`WAIT`] by default.
    pub wait: Duration,
}

/// A process of the sensor's own; as text `PID:START`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnProcess {
    pid: u32,
    /// In clock ticks since boot: tells it from who has its number later.
    start_ticks: u64,
}

impl OwnProcess {
    /// Who has this number now; `None` when nobody has.
    pub fn look(pid: u32) -> Option<Self> {
        Seen::look(pid).map(|seen| Self { pid, start_ticks: seen.start_ticks })
    }

    /// Whether that is who has the number `pid` now.
    fn is(&self, pid: u32) -> bool {
        self.pid == pid && Self::look(pid) == Some(*self)
    }
}

impl Display for OwnProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.start_ticks)
    }
}

impl FromStr for OwnProcess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once(':');
        numbers
            .and_then(|(pid, start)| Some((pid.parse().ok()?, start.parse().ok()?)))
            .map(|(pid, start_ticks)| Self { pid, start_ticks })
            .ok_or_else(|| format!("`{text}` is no PID:START; name a process by both numbers"))
    }
}

/// What was let pass without being looked at, since the holder began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// For want of time.
    pub late: u64,
    /// For want of room in the queue.
    pub shed: u64,
    /// Larger than what is hashed.
    pub too_large: u64,
    /// Could not be read, or changed meanwhile.
    pub unread: u64,
    /// Decisions that were carried out and could not be told, or not be understood.
    pub untold: u64,
    /// Not let pass but denied, by the kernel itself: it could not open the file for the holder.
    pub unopened: u64,
}

/// Tries whether this kernel asks at all, on a file in memory that nobody else can reach.
///
/// # Errors
/// Why not: no right (`CAP_SYS_ADMIN`), or a kernel without `CONFIG_FANOTIFY_ACCESS_PERMISSIONS`.
pub fn trial() -> std::io::Result<()> {
    group::trial()
}
