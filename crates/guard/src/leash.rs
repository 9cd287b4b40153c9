//! The sensor's end of the pipes to its guard.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use crate::sys;
use crate::watchdog::Condition;
use crate::word::{BEAT, LINE_MAX, Word};

/// Set in the environment of a guarded sensor.
pub(crate) const GUARDED: &str = "METSUKE_GUARDED";
/// Words taken in one look; the guard says far fewer.
const WORDS_MAX: usize = 64;

/// The pipes.
#[derive(Debug)]
pub struct Leash {
    words: File,
    beats: File,
    guard: u32,
    rest: Vec<u8>,
    gone: bool,
}

/// What came from the guard.
#[derive(Debug, Default)]
pub struct Heard {
    /// What it said.
    pub words: Vec<Word>,
    /// It ended since the last look.
    pub guard_ended: bool,
    /// It stood still and was made to go on.
    pub guard_stopped: bool,
}

impl Leash {
    /// The leash of a sensor that is guarded; `None` for one that is not. To be taken once, before
    /// anything else is started: standard input and output are the pipes, and are given back to
    /// `/dev/null`.
    ///
    /// # Errors
    /// When the pipes cannot be taken.
    pub fn take() -> io::Result<Option<Self>> {
        if std::env::var_os(GUARDED).is_none() {
            return Ok(None);
        }
        let (words, beats) = (sys::take_standard(0)?, sys::take_standard(1)?);
        sys::set_nonblocking(words.as_fd())?;
        sys::set_nonblocking(beats.as_fd())?;
        let (words, beats) = (File::from(words), File::from(beats));
        let guard = std::os::unix::process::parent_id();
        Ok(Some(Self { words, beats, guard, rest: Vec::new(), gone: false }))
    }

    /// The guard's process id.
    pub const fn guard(&self) -> u32 {
        self.guard
    }

    /// Gives a sign of life. A full pipe, or none, is the guard's concern.
    pub fn beat(&mut self) {
        let _ = self.beats.write(&[BEAT]);
    }

    /// What the guard said since the last look, and how it is.
    pub fn listen(&mut self) -> Heard {
        let mut heard = Heard::default();
        let mut bytes = [0; LINE_MAX];
        match self.words.read(&mut bytes) {
            Ok(0) => heard.guard_ended = !std::mem::replace(&mut self.gone, true),
            Ok(count) => self.rest.extend_from_slice(&bytes[..count]),
            Err(_) => {}
        }
        while heard.words.len() < WORDS_MAX
            && let Some(end) = self.rest.iter().position(|byte| *byte == b'\n')
        {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            heard.words.extend(Word::parse(&String::from_utf8_lossy(&line)));
        }
        if self.rest.len() > LINE_MAX {
            self.rest.clear();
        }
        if !self.gone && std::os::unix::process::parent_id() == self.guard {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.guard));
            if Condition::of(&stat.unwrap_or_default()) == Condition::Stopped {
                // Our own parent: the pid cannot be another's while it is.
                heard.guard_stopped = sys::signal_child(self.guard, libc::SIGCONT).is_ok();
            }
        }
        heard
    }
}
