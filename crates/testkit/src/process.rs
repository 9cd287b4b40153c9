//! A child process that is ended when its owner goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// How long a process may take to end by itself after SIGTERM on drop.
const DROP_GRACE: Duration = Duration::from_secs(5);
/// Bytes of a log that an error message shows.
const LOG_SHOWN: usize = 3_000;

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A running child, with standard output and error in a log file.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
    /// Bytes of the log that earlier processes wrote.
    log_before: usize,
}

impl Running {
    /// Starts `command` in a process group of its own, so that a Ctrl-C reaches only the parent,
    /// which then ends its children in order. `log` is appended to.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::options().create(true).append(true).open(log)?;
        let log_before = usize::try_from(file.metadata()?.len())?;
        let child = command
            // A file shows no colours.
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name} ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), log_before })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The end of what it wrote to its log, for messages.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(LOG_SHOWN).max(self.log_before).min(text.len());
        String::from_utf8_lossy(&text[from..]).into_owned()
    }

    /// That it ended with `status`, and the end of its log.
    pub fn told(&self, status: ExitStatus) -> String {
        format!("{} ended with {status}:\n{}", self.name, self.log_tail())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails with its log when it has ended.
    ///
    /// # Errors
    /// When it has.
    pub fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{}", self.told(status)),
        }
    }

    /// Sends `signal`; nothing happens when it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process id out of range")?;
        kill_process(pid, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// `kill -9`, then waits.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end and waits at most `limit`.
    ///
    /// # Errors
    /// When it has not ended by then; it still runs.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let what = format!("{} to end", self.name);
        wait::until(&what, limit, || Ok(self.child.try_wait()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop(DROP_GRACE).is_err() {
            let _ = self.kill9();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Running;

    #[test]
    fn a_child_ends_with_its_owner() {
        let folder = tempfile::tempdir().expect("temp dir");
        let log = folder.path().join("log");
        let child =
            Running::start("sleeper", Command::new("sleep").arg("600"), &log).expect("runs");
        let proc = format!("/proc/{}", child.pid());
        assert!(std::path::Path::new(&proc).exists());
        drop(child);
        assert!(!std::path::Path::new(&proc).exists());
    }
}
