//! What may be read: which processes, which files.
//!
//! Invariant: with a control group as scope, processes outside of it and files outside of the
//! configured roots are refused. Neither the sensor's memory nor its keys on disk are read.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use metsuke_enforce::host::{self, Seen};
use metsuke_enforce::pidfd::Pidfd;
use metsuke_enforce::{EnforceScope, ScopeError};
use metsuke_event::{BootId, ProcessKey};

/// Where evidence may be taken.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Processes.
    pub scope: EnforceScope,
    /// The running boot.
    pub boot: BootId,
    /// Folders whose files may be read; `None` for all.
    pub roots: Option<Vec<PathBuf>>,
    /// Files that are never read, whatever name they are asked for by: they hold the sensor's keys.
    pub private: Vec<PathBuf>,
}

/// Why something is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// From another boot.
    #[error("the process belongs to an earlier boot of this host; its memory went with it")]
    OtherBoot,
    /// Ended.
    #[error("the process has ended; nothing of its memory is left")]
    Gone,
    /// The pid is another process's now.
    #[error(
        "pid {pid} belongs to another process now (started at tick {found}, not {expected}); nothing was read"
    )]
    Reused {
        /// The pid.
        pid: u32,
        /// The start asked for.
        expected: u64,
        /// The start found.
        found: u64,
    },
    /// Outside the scope.
    #[error("the process is in control group `{cgroup}`, outside this sensor's scope `{scope}`")]
    OutsideScope {
        /// Where it is.
        cgroup: String,
        /// Where the sensor may read.
        scope: String,
    },
    /// It has no memory of its own, or holds the sensor's keys.
    #[error("{0} is not read")]
    Protected(&'static str),
    /// Outside the roots.
    #[error(
        "{0} lies in none of the folders this scoped sensor may read; name its folder in \"evidence_roots\" of the sensor's configuration"
    )]
    OutsideRoots(PathBuf),
    /// The kernel said no.
    #[error(
        "{what} cannot be opened: {source}; the sensor needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
    )]
    Kernel {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The scope is none.
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

/// A process that is the one meant, with its memory open.
#[derive(Debug)]
pub struct Subject {
    /// Which.
    pub key: ProcessKey,
    handle: Pidfd,
    pub(crate) memory: File,
    pub(crate) pages: Option<File>,
}

impl Reach {
    /// Opens `key`. The order matters: the handles first, then the checks.
    ///
    /// # Errors
    /// Why it is not read.
    pub fn process(&self, key: ProcessKey) -> Result<Subject, ReachError> {
        if key.pid == std::process::id() {
            return Err(ReachError::Protected("the sensor itself (it holds the key of its link)"));
        }
        if key.boot != self.boot {
            return Err(ReachError::OtherBoot);
        }
        let handle = Pidfd::open(key.pid).map_err(|error| of_kernel("the process", error))?;
        let before = Seen::look(key.pid).ok_or(ReachError::Gone)?;
        if before.is_kernel() {
            return Err(ReachError::Protected("a kernel thread (it has no memory of its own)"));
        }
        let memory = File::open(format!("/proc/{}/mem", key.pid));
        let pages = File::open(format!("/proc/{}/pagemap", key.pid)).ok();
        let seen = Seen::look(key.pid).ok_or(ReachError::Gone)?;
        if seen.start_ticks != key.start_ticks {
            return Err(ReachError::Reused {
                pid: key.pid,
                expected: key.start_ticks,
                found: seen.start_ticks,
            });
        }
        if seen.is_dead() {
            return Err(ReachError::Gone);
        }
        self.in_scope(key.pid)?;
        let memory = memory.map_err(|error| of_kernel("its memory", error))?;
        let subject = Subject { key, handle, memory, pages };
        // Still the process of the handle, so all of the above was about it.
        if subject.is_alive() { Ok(subject) } else { Err(ReachError::Gone) }
    }

    /// Whether the process that has `pid` lies within the scope.
    pub(crate) fn in_scope(&self, pid: u32) -> Result<(), ReachError> {
        let cgroup = host::cgroup(pid);
        if self.scope.contains(cgroup.as_deref()) {
            return Ok(());
        }
        let cgroup = cgroup.unwrap_or_default();
        Err(ReachError::OutsideScope { cgroup, scope: self.scope.to_string() })
    }
}

impl Subject {
    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        // A handle that cannot be asked is taken for a process that is there: reading tells more.
        !self.handle.wait(Duration::ZERO).unwrap_or(false)
    }
}

fn of_kernel(what: &str, source: io::Error) -> ReachError {
    match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::SRCH | rustix::io::Errno::NOENT) => ReachError::Gone,
        _ => ReachError::Kernel { what: what.to_owned(), source },
    }
}
