//! Where cases take place: a control group that is the scope, one that is not, the guard, and
//! deeds done in either.

use std::ffi::CString;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::{
    Decision, DenyList, Disposition, Entry, Guard, Mode, Operations, Subject,
};
use metsuke_event::coverage::Tier;

/// How long a decision may take to be told: the emulated machine is slow.
const TOLD: Duration = Duration::from_secs(20);

/// What is done.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Execute this file.
    Exec(PathBuf),
    /// This program of the guest's own kind does what it is told.
    Role(PathBuf, Vec<String>),
}

impl Deed {
    /// The guest itself does it.
    pub(crate) fn role(words: &[&str]) -> Self {
        Self::Role("/guest".into(), words.iter().map(|word| (*word).to_owned()).collect())
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    /// It was done.
    Done,
    /// The kernel refused with this error.
    Refused(i32),
    /// The process was ended by this signal.
    Killed(i32),
}

/// Where.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) inside: PathBuf,
    pub(crate) outside: PathBuf,
    pub(crate) guard: Guard,
}

impl World {
    pub(crate) fn new(tier: Tier) -> Result<Self> {
        let root = metsuke_enforce::scope::hierarchy().context("no cgroup v2")?;
        let (inside, outside) = (root.join("inside"), root.join("outside"));
        for group in [&inside, &outside] {
            fs::create_dir_all(group)?;
        }
        let guard = Guard::attach(&EnforceScope::cgroup(&inside)?, tier);
        Ok(Self { inside, outside, guard })
    }

    /// Puts a list of one entry in force.
    pub(crate) fn list(
        &mut self,
        subject: &Subject,
        operation: Operations,
        mode: Mode,
    ) -> Result<()> {
        let mut list = DenyList::default();
        list.add(Entry { subject: subject.clone(), operations: operation, mode })?;
        self.guard.apply(list)?;
        Ok(())
    }

    /// Nothing is denied, and nothing is waiting to be told.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.guard.apply(DenyList::default())?;
        self.guard.take(Duration::ZERO);
        Ok(())
    }

    /// Waits until a decision about `operation` is told.
    pub(crate) fn told(&mut self, operation: Operations, wanted: Disposition) -> Result<Decision> {
        let end = Instant::now() + TOLD;
        let mut others = Vec::new();
        while Instant::now() < end {
            for decision in self.guard.take(Duration::from_millis(20)) {
                if decision.operation == operation && decision.disposition == wanted {
                    return Ok(decision);
                }
                others.push(decision);
            }
        }
        bail!("no decision {wanted:?} about {operation} was told, but {others:?}")
    }

    /// Nothing was told.
    pub(crate) fn nothing_told(&mut self) -> Result<()> {
        // The queue is written before the deed ends, so one look is enough.
        let told = self.guard.take(Duration::ZERO);
        ensure!(told.is_empty(), "told although nothing met the list: {told:?}");
        Ok(())
    }
}

/// A command that joins `group` before it becomes what it is.
pub(crate) fn within(group: &Path, program: &Path) -> Result<Command> {
    let procs = CString::new(group.join("cgroup.procs").to_string_lossy().into_owned())?;
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    let join = move || {
        // SAFETY: a string that ends with NUL; the descriptor is ours and closed again; the write
        // is of one byte that is there. All of it is allowed between fork and exec.
        let written = unsafe {
            let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            let written = libc::write(fd, b"0".as_ptr().cast(), 1);
            libc::close(fd);
            written
        };
        if written == 1 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure only makes system calls.
    unsafe { command.pre_exec(join) };
    Ok(command)
}

/// Does it in `group`.
pub(crate) fn act(group: &Path, deed: &Deed) -> Result<Went> {
    let mut command = match deed {
        Deed::Exec(path) => within(group, path)?,
        Deed::Role(program, words) => {
            let mut command = within(group, program)?;
            command.arg("role").args(words);
            command
        }
    };
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => return Ok(Went::Refused(error.raw_os_error().unwrap_or(-1))),
    };
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => Went::Done,
        (Some(code), _) => Went::Refused(code),
        (_, signal) => Went::Killed(signal.unwrap_or(-1)),
    })
}

/// A process outside the scope that waits; ended when dropped.
#[derive(Debug)]
pub(crate) struct Sleeper(pub(crate) Child);

impl Sleeper {
    pub(crate) fn start() -> Result<Self> {
        let child = Command::new("/guest").args(["role", "wait"]).stdin(Stdio::piped()).spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
