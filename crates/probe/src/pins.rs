//! Files in memory that are held open for a while, so that they can still be hashed when the
//! process that wrote or ran them is gone.
//!
//! Invariant: few and not for long, since what is held keeps its memory.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::procfs;

/// Files held at most.
const MAX_HELD: usize = 16;

/// How long one is held, in nanoseconds.
const HELD_NANOS: u64 = 5_000_000_000;

/// The files held, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    held: VecDeque<(u64, u64, File)>,
}

impl Pins {
    /// Holds the file with `inode` that process `pid` has open.
    pub(crate) fn hold(&mut self, pid: u64, inode: u64, now: u64) {
        if self.held.iter().any(|(held, ..)| *held == inode) {
            return;
        }
        let file = procfs::descriptor_of(pid, inode).and_then(|path| File::open(path).ok());
        if let Some(file) = file {
            if self.held.len() >= MAX_HELD {
                self.held.pop_front();
            }
            self.held.push_back((inode, now + HELD_NANOS, file));
        }
    }

    /// A path that opens the held file with `inode` anew.
    pub(crate) fn path(&self, inode: u64) -> Option<PathBuf> {
        let (.., file) = self.held.iter().find(|(held, ..)| *held == inode)?;
        Some(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
    }

    /// Lets go of what was held long enough.
    pub(crate) fn release(&mut self, now: u64) {
        self.held.retain(|(_, until, _)| *until > now);
    }
}
