//! Control groups (version 2) of one's own, removed with all that runs in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// How long the kernel may take to empty a group after its processes were killed.
const EMPTY_LIMIT: Duration = Duration::from_secs(5);

/// A group that was made here.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

/// Where the version 2 hierarchy is mounted, from `/proc/self/mountinfo` (proc(5)).
///
/// # Errors
/// When none is mounted.
pub fn mounted() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
    mounts
        .lines()
        .find_map(|line| {
            let (head, tail) = line.split_once(" - ")?;
            tail.starts_with("cgroup2 ").then(|| head.split(' ').nth(4).map(PathBuf::from))?
        })
        .context("no cgroup v2 hierarchy is mounted")
}

impl Cgroup {
    /// A new group at the top of the hierarchy, its name beginning with `name`.
    ///
    /// # Errors
    /// When the hierarchy is missing or may not be written.
    pub fn create(name: &str) -> Result<Self> {
        Self::create_in(&mounted()?, name)
    }

    /// A new group in `folder` of the mounted hierarchy.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_in(folder: &Path, name: &str) -> Result<Self> {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("metsuke-{name}-{}-{number}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("making control group {}", path.display()))?;
        Ok(Self { path })
    }

    /// A group below this one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn child(&self, name: &str) -> Result<Self> {
        let path = self.path.join(name);
        fs::create_dir(&path)
            .with_context(|| format!("making control group {}", path.display()))?;
        Ok(Self { path })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that joins the group and then becomes `program`, with the same process id.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo 0 > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.path)
            .arg(program);
        command
    }

    /// Processes in it and below it.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        collect(&self.path, &mut found)?;
        Ok(found)
    }

    fn remove(&self) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        wait::until_true("a control group to be empty", EMPTY_LIMIT, || {
            for pid in self.processes()? {
                if pid == std::process::id() {
                    bail!("this very process sits in {}", self.path.display());
                }
                // The group is our own, so is everything in it.
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            Ok(self.processes()?.is_empty())
        })?;
        remove_tree(&self.path)
    }
}

fn collect(folder: &Path, found: &mut Vec<u32>) -> Result<()> {
    let procs = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(procs.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

fn remove_tree(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    // A group is removed by rmdir alone; its files are the kernel's.
    fs::remove_dir(folder).with_context(|| format!("removing {}", folder.display()))
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::Cgroup;
    use crate::process::Running;

    #[test]
    fn a_group_takes_what_runs_in_it_along() -> anyhow::Result<()> {
        crate::needs!("a_group_takes_what_runs_in_it_along", Root, Cgroup);
        let folder = tempfile::tempdir()?;
        let group = Cgroup::create("kit")?;
        let path = group.path().to_owned();
        let child = group.child("inner")?;
        let mut running = Running::start(
            "sleeper",
            child.command("sleep").arg("600"),
            &folder.path().join("log"),
        )?;
        crate::wait::until_true("the sleeper to join", std::time::Duration::from_secs(10), || {
            Ok(group.processes()? == [running.pid()])
        })?;
        drop(child);
        drop(group);
        assert!(!path.exists());
        let end = std::time::Duration::from_secs(10);
        crate::wait::until_true("the sleeper to end", end, || Ok(running.ended()?.is_some()))?;
        Ok(())
    }
}
