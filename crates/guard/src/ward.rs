//! One guarded process: its pipes, its beats, its end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use metsuke_event::Timestamp;

use crate::clock;
use crate::leash::GUARDED;
use crate::sys::{self, End};
use crate::watchdog::Condition;
use crate::word::{BEAT, Word};

/// Bytes read at once; beats of a minute.
const READ: usize = 64;

/// The process.
#[derive(Debug)]
pub(crate) struct Ward {
    pid: u32,
    words: File,
    beats: Option<File>,
    last_beat: Timestamp,
}

impl Ward {
    /// Starts `program run …`.
    pub(crate) fn start(program: &Path, run: &[OsString], more: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("run")
            .args(run)
            .args(more)
            .env(GUARDED, "1")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(io::Error::other("the sensor has no pipes"));
        };
        Self::new(child.id(), OwnedFd::from(input), OwnedFd::from(output))
    }

    fn new(pid: u32, words: OwnedFd, beats: OwnedFd) -> io::Result<Self> {
        sys::set_nonblocking(words.as_fd())?;
        sys::set_nonblocking(beats.as_fd())?;
        let (words, beats) = (File::from(words), Some(File::from(beats)));
        Ok(Self { pid, words, beats, last_beat: clock::now() })
    }

    /// What [`Self::hand_over`] gave, in the program that replaced this one.
    pub(crate) fn adopt(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let pid = parts.next()?.parse().ok()?;
        let mut fd = || sys::adopt(parts.next()?.parse().ok()?).ok();
        let (words, beats) = (fd()?, fd()?);
        Self::new(pid, words, beats).ok()
    }

    /// Lets the pipes survive an exec; gives what is needed to go on.
    pub(crate) fn hand_over(&self) -> Option<String> {
        let beats = self.beats.as_ref()?;
        sys::keep_over_exec(self.words.as_fd()).ok()?;
        sys::keep_over_exec(beats.as_fd()).ok()?;
        Some(format!("{}:{}:{}", self.pid, self.words.as_raw_fd(), beats.as_raw_fd()))
    }

    pub(crate) fn beats_fd(&self) -> Option<BorrowedFd<'_>> {
        self.beats.as_ref().map(AsFd::as_fd)
    }

    /// Whether it beat since the last look.
    pub(crate) fn take_beats(&mut self) -> bool {
        let mut bytes = [0; READ];
        let Some(beats) = &mut self.beats else { return false };
        match beats.read(&mut bytes) {
            // Closed: its end is told by the kernel.
            Ok(0) => {
                self.beats = None;
                false
            }
            Ok(count) => {
                let beat = bytes[..count].contains(&BEAT);
                if beat {
                    self.last_beat = clock::now();
                }
                beat
            }
            Err(_) => false,
        }
    }

    pub(crate) const fn last_beat(&self) -> Timestamp {
        self.last_beat
    }

    /// Says something to it. A full pipe or an ended process hears nothing; the log keeps it.
    pub(crate) fn say(&mut self, word: &Word) {
        if let Err(error) = self.words.write_all(word.line().as_bytes()) {
            tracing::warn!(%error, detail = word.detail, "the sensor could not be told");
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<End> {
        match sys::reap(self.pid) {
            Ok(end) => end,
            // Somebody else took leave of it.
            Err(_) => Some(End::Code(-1)),
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid));
        Condition::of(&stat.unwrap_or_default())
    }

    /// It is our child and was not reaped: the pid is its own.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        sys::signal_child(self.pid, signal)
    }
}
