//! What a probe counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A moment's counts, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events delivered to the sink.
    pub events: u64,
    /// Events shed because the sink was full.
    pub shed: u64,
    /// Records the kernel could not queue.
    pub kernel_lost: u64,
    /// Processes in the table.
    pub processes: u64,
    /// Processes that found no room in the table, counted at each of their records that needed it.
    pub processes_refused: u64,
    /// Ends of processes that the kernel told again, passed over.
    pub repeated_ends: u64,
    /// Files hashed.
    pub hashed: u64,
    /// Hashes forgotten to make room.
    pub hashes_evicted: u64,
    /// Files of interest kept as they were last seen, for a change to be told as a difference.
    pub snapshots: u64,
    /// Of these, forgotten or never kept for want of room.
    pub snapshots_evicted: u64,
    /// Steps still to be done until every file of interest is known.
    pub scan_left: u64,
    /// Scripts told without their text, to keep within the rate.
    pub scripts_shortened: u64,
    /// Logons that a second source told of as well, passed over.
    pub logons_repeated: u64,
    /// How long the newest event waited between the kernel and the sink, in milliseconds.
    pub lag_ms: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) events: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) kernel_lost: AtomicU64,
    pub(crate) processes: AtomicU64,
    pub(crate) processes_refused: AtomicU64,
    pub(crate) repeated_ends: AtomicU64,
    pub(crate) hashed: AtomicU64,
    pub(crate) hashes_evicted: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) snapshots_evicted: AtomicU64,
    pub(crate) scan_left: AtomicU64,
    pub(crate) scripts_shortened: AtomicU64,
    pub(crate) logons_repeated: AtomicU64,
    pub(crate) lag_ms: AtomicU64,
    /// The wall-clock time of boot by which times are told, in nanoseconds.
    pub(crate) boot_time_ns: AtomicU64,
    /// Hooks that are not attached now, and tables that are not there, each with why: at most as many
    /// as there are.
    hooks_off: Mutex<Vec<String>>,
}

impl Counters {
    pub(crate) fn set_hooks_off(&self, off: Vec<String>) {
        // A list is replaced or copied whole: one that was left by a panic is as good.
        *self.hooks_off.lock().unwrap_or_else(PoisonError::into_inner) = off;
    }

    pub(crate) fn hooks_off(&self) -> Vec<String> {
        self.hooks_off.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            events: read(&self.events),
            shed: read(&self.shed),
            kernel_lost: read(&self.kernel_lost),
            processes: read(&self.processes),
            processes_refused: read(&self.processes_refused),
            repeated_ends: read(&self.repeated_ends),
            hashed: read(&self.hashed),
            hashes_evicted: read(&self.hashes_evicted),
            snapshots: read(&self.snapshots),
            snapshots_evicted: read(&self.snapshots_evicted),
            scan_left: read(&self.scan_left),
            scripts_shortened: read(&self.scripts_shortened),
            logons_repeated: read(&self.logons_repeated),
            lag_ms: read(&self.lag_ms),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(crate) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}
