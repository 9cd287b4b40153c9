//! The room in which a test runs: made by `room.sh`, watched from outside, taken away afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use metsuke_atomics::group::Group;

use crate::document::Atomic;

/// How long a test may run, in seconds.
pub(crate) const SECONDS: u64 = 25;
/// How long all of it may take, preparation included, before the room is ended from outside.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the room is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Most characters of a test's output that are kept as a reason.
const OUTPUT_MAX: usize = 160;

/// What a test finds in its environment.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("USER", "root"),
    ("LOGNAME", "root"),
    ("SHELL", "/bin/bash"),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
];

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ran: the exit status of its last command.
    Ran(i32),
    /// It was cut off after [`SECONDS`].
    CutOff,
    /// It did not run.
    NotRun(String),
}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    group: Group,
    work: tempfile::TempDir,
}

impl Room {
    /// Prepares one for `atomic` in a new control group below `parent`.
    pub(crate) fn new(parent: &Path, number: usize, atomic: &Atomic) -> Result<Self> {
        let work = tempfile::tempdir().context("no temporary folder")?;
        for folder in ["room", "room/truth", "mnt", "atomics"] {
            fs::create_dir(work.path().join(folder))?;
        }
        let group = Group::new(parent.join(format!("t{number}")))?;
        let room = Self { group, work };
        room.write("room.sh", include_str!("room.sh"))?;
        room.write("inner.sh", include_str!("inner.sh"))?;
        room.write("command", &atomic.command)?;
        room.write("executor", &atomic.executor)?;
        room.write("with", &atomic.dependency_executor)?;
        room.write("seconds", &SECONDS.to_string())?;
        for (number, need) in atomic.dependencies.iter().enumerate() {
            room.write(&format!("check.{number}"), &need.check)?;
            room.write(&format!("get.{number}"), &need.get)?;
        }
        Ok(room)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.path().join("room").join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.file(name), text).with_context(|| format!("cannot write {name}"))
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read(self.file(name)).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    /// Where strace wrote.
    pub(crate) fn truth(&self) -> PathBuf {
        self.file("truth")
    }

    /// The control group's folder.
    pub(crate) fn group(&self) -> &Path {
        self.group.path()
    }

    /// Runs `atomic` over `base`.
    pub(crate) fn run(&self, base: &Path, folder: &Path, atomic: &Atomic) -> Result<Ending> {
        copy_files(folder, &self.work.path().join("atomics"))?;
        let join = format!("echo $$ > {} && exec \"$@\"", self.group.processes().display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &join, "room", "unshare", "--mount", "--pid", "--fork"]);
        command.args(["--kill-child=KILL", "/bin/sh"]).arg(self.file("room.sh"));
        command.arg(base).arg(self.work.path());
        // Root's at a login; not ours, in which cargo names its own folders of libraries.
        command.env_clear().envs(ENVIRONMENT);
        let log = fs::File::create(self.file("stage"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().context("cannot start the room")?;
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                break;
            }
            std::thread::sleep(LOOK);
        }
        self.group.end_processes();
        Ok(self.ending(atomic))
    }

    fn ending(&self, atomic: &Atomic) -> Ending {
        if let Some(failed) = self.read("failed") {
            return Ending::NotRun(failed.trim().to_owned());
        }
        if let Some(number) = self.read("missing") {
            let need = number.trim().parse().ok().and_then(|n: usize| atomic.dependencies.get(n));
            let need = need.map(|need| need.description.clone()).unwrap_or_default();
            return Ending::NotRun(format!("needs: {}", one_line(&need)));
        }
        if self.read("started").is_none() {
            let stage = self.read("stage").unwrap_or_default();
            return Ending::NotRun(format!("the room could not be made: {}", one_line(&stage)));
        }
        let output = self.read("out").unwrap_or_default();
        match self.read("exit").and_then(|code| code.trim().parse::<i32>().ok()) {
            Some(127) => {
                let last = output.lines().rfind(|line| line.contains("not found"));
                Ending::NotRun(format!(
                    "its last command is not there: {}",
                    one_line(last.unwrap_or(""))
                ))
            }
            // timeout's own: it ended the test, or had to kill it.
            Some(124 | 137) | None => Ending::CutOff,
            Some(code) => Ending::Ran(code),
        }
    }
}

/// The atomics' own files (`src/`, `bin/` beside the documents) into the room, where there are any.
fn copy_files(folder: &Path, room: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            let status = Command::new("cp").arg("-r").arg(entry.path()).arg(room).status()?;
            if !status.success() {
                bail!("cannot copy {}", entry.path().display());
            }
        }
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(OUTPUT_MAX).collect()
}
