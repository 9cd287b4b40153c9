//! The room in which an action is done: an overlay over this machine's own root without its homes
//! and temporary files, in namespaces of its own (loopback is all the network there is), without the
//! capabilities that reach the machine. Made by `room.sh`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::group::Group;

/// How long the making of a room may take, beside the script itself, before it is ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(10);
/// Most characters of an action's output that are kept.
const OUTPUT_MAX: usize = 400;

/// What is done in a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a> {
    /// A script for bash that defines `act`, and `prepare` where something must be there first.
    pub(crate) text: &'a str,
    /// Seconds between the sensor's first look into the room and `act`, and between `act` and its end.
    pub(crate) pause: u64,
    /// Seconds after which `act` is ended.
    pub(crate) seconds: u64,
    /// Space for what the room writes, in MiB of memory.
    pub(crate) space: u64,
}

/// One room and its control group.
#[derive(Debug)]
pub(crate) struct Room {
    group: Group,
    work: tempfile::TempDir,
    patience: Duration,
}

impl Room {
    /// Prepares one in the new control group `group`.
    pub(crate) fn new(group: &Path, script: Script<'_>) -> Result<Self> {
        let work = tempfile::tempdir().context("no temporary folder")?;
        fs::create_dir(work.path().join("mnt"))?;
        let room = work.path().join("room");
        fs::create_dir(&room)?;
        fs::write(room.join("room.sh"), include_str!("room.sh"))?;
        fs::write(room.join("kit.sh"), include_str!("kit.sh"))?;
        fs::write(room.join("action.sh"), script.text)?;
        fs::write(room.join("pause"), script.pause.to_string())?;
        fs::write(room.join("seconds"), script.seconds.to_string())?;
        fs::write(room.join("space"), script.space.to_string())?;
        let patience = PATIENCE + Duration::from_secs(script.seconds);
        Ok(Self { group: Group::new(group.to_owned())?, work, patience })
    }

    /// The control group's folder.
    pub(crate) fn group(&self) -> &Path {
        self.group.path()
    }

    /// Does what the script says; gives what went wrong in making the room, or in the script itself.
    /// `look` is called every now and then meanwhile.
    pub(crate) fn act(&self, mut look: impl FnMut()) -> Result<Option<String>> {
        let join = format!("exec 9>{} && exec \"$@\"", self.group.processes().display());
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &join, "room", "unshare", "--mount", "--pid", "--net", "--uts"]);
        command.args(["--ipc", "--fork", "--kill-child=KILL", "/bin/bash"]);
        command.arg(self.work.path().join("room/room.sh")).arg(self.work.path());
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let log = fs::File::create(self.work.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().context("cannot start a room")?;
        let deadline = Instant::now() + self.patience;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                break None;
            }
            look();
            std::thread::sleep(LOOK);
        };
        self.group.end_processes();
        let text = fs::read(self.work.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let skip = text.chars().count().saturating_sub(OUTPUT_MAX);
        let text: String = text.chars().skip(skip).collect();
        Ok(match status {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("{status}: {text}")),
            None => Some(format!("it did not end in {} s: {text}", self.patience.as_secs())),
        })
    }
}
