//! The control group of a room: made for it, emptied and removed with it, also after a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long a group that was emptied may take to be removable.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried.
const LOOK: Duration = Duration::from_millis(10);

/// A control group of our own.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes the group `path`.
    ///
    /// # Errors
    /// When it cannot be made: only root can, below a hierarchy of cgroup v2.
    pub fn new(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).context("cannot make a control group; run as root")?;
        Ok(Self { path })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its list of processes.
    pub fn processes(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Ends whatever is left in it.
    pub fn end_processes(&self) {
        if fs::write(self.path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        let pids = fs::read_to_string(self.processes()).unwrap_or_default();
        for pid in pids.lines() {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end_processes();
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.path).is_err() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}
