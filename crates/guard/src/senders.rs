//! Who sent this process a signal that it can catch.
//!
//! Invariant: a handler only stores into atomics. SIGKILL and SIGSTOP cannot be caught: of those the
//! probe tells, or nobody.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Signals that are looked at: those that end a process by default, and the one that has it go on.
const SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGCONT];

static LAST: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
static COUNT: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signalled {
    /// Its number.
    pub signal: i32,
    /// Who sent it (the last of several); `None` for the kernel and for processes of another
    /// process namespace.
    pub sender: Option<u32>,
}

/// Signals since the last look.
#[derive(Debug, Default)]
pub struct Senders {
    seen: [u64; 3],
}

impl Senders {
    /// Begins to look.
    ///
    /// # Errors
    /// When a signal cannot be handled.
    pub fn watch() -> io::Result<Self> {
        for (index, signal) in SIGNALS.into_iter().enumerate() {
            crate::sys::on_signal(signal, move |pid| {
                LAST[index].store(pid, Ordering::Relaxed);
                COUNT[index].fetch_add(1, Ordering::Release);
            })?;
        }
        Ok(Self::default())
    }

    /// What came since the last look.
    pub fn since(&mut self) -> Vec<Signalled> {
        let mut came = Vec::new();
        for (index, signal) in SIGNALS.into_iter().enumerate() {
            let count = COUNT[index].load(Ordering::Acquire);
            if count > self.seen[index] {
                let sender = Some(LAST[index].load(Ordering::Relaxed)).filter(|pid| *pid > 0);
                came.push(Signalled { signal, sender });
            }
            self.seen[index] = count;
        }
        came
    }
}
