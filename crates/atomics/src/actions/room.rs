//! The room in which an action is done: an overlay over this machine's own root without its homes
//! and temporary files, in namespaces of its own (loopback is all the network there is), without the
//! capabilities that reach the machine. Made by `room.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long an action may take, the making of its room included, before it is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(10);
/// Most characters of an action's output that are kept.
const OUTPUT_MAX: usize = 400;

/// One room and its control group.
#[derive(Debug)]
pub(super) struct Room {
    work: tempfile::TempDir,
    group: PathBuf,
}

impl Room {
    /// Prepares one in the new control group `group`; the action begins `pause` seconds after the
    /// sensor sees the room.
    pub(super) fn new(group: &Path, action: &str, pause: u64) -> Result<Self> {
        let work = tempfile::tempdir().context("no temporary folder")?;
        fs::create_dir(work.path().join("mnt"))?;
        fs::create_dir(work.path().join("room"))?;
        let room = work.path().join("room");
        fs::write(room.join("room.sh"), include_str!("room.sh"))?;
        fs::write(room.join("kit.sh"), include_str!("kit.sh"))?;
        fs::write(room.join("action.sh"), action)?;
        fs::write(room.join("pause"), pause.to_string())?;
        fs::create_dir(group).context("cannot make a control group")?;
        Ok(Self { work, group: group.to_owned() })
    }

    /// The control group's folder.
    pub(super) fn group(&self) -> &Path {
        &self.group
    }

    /// Does the action; gives what went wrong in making the room, or in the action itself.
    pub(super) fn act(&self) -> Result<Option<String>> {
        let procs = self.group.join("cgroup.procs");
        let join = format!("exec 9>{} && exec \"$@\"", procs.display());
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
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(LOOK);
        };
        self.end_processes();
        let text = fs::read(self.work.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text: String = text.chars().take(OUTPUT_MAX).collect();
        Ok(match status {
            Some(status) if status.success() => None,
            Some(status) => Some(format!("{status}: {text}")),
            None => Some(format!("it did not end in {} s: {text}", PATIENCE.as_secs())),
        })
    }

    /// Ends what is left of the action, all in our own control group.
    fn end_processes(&self) {
        if fs::write(self.group.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        let pids = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines() {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.end_processes();
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.group).is_err() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}
