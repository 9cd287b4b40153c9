//! What a lake is told when it is opened, with the reason of each bound.

use std::path::PathBuf;
use std::time::Duration;

/// How a lake stores.
#[derive(Clone, Debug)]
pub struct LakeConfig {
    /// The lake's folder; made when missing.
    pub dir: PathBuf,
    /// How often the hot tail is moved to the table; `None` leaves it to [`crate::Lake::flush`].
    pub flush_interval: Option<Duration>,
    /// Bytes in the hot tail from which it is moved to the table before its time.
    pub flush_bytes: usize,
    /// Bytes in the hot tail from which `append` refuses ([`crate::LakeError::Backlog`]): memory
    /// must not grow while the table cannot be written.
    pub max_tail_bytes: usize,
    /// Bytes of write-ahead segment from which a new one is begun.
    pub segment_bytes: u64,
    /// Appends that may wait for the writer at once; more wait at the door.
    pub append_queue: usize,
    /// Threads a search may use.
    pub search_threads: usize,
    /// Bytes of memory all searches together may use.
    pub search_memory_bytes: usize,
    /// Commits between two checkpoints of the table's log: reading the log stays short.
    pub checkpoint_every: u64,
}

impl LakeConfig {
    /// The defaults, in folder `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            flush_interval: Some(Duration::from_mins(1)),
            flush_bytes: 128 << 20,
            max_tail_bytes: 512 << 20,
            segment_bytes: 64 << 20,
            append_queue: 1_024,
            search_threads: 2,
            search_memory_bytes: 512 << 20,
            checkpoint_every: 50,
        }
    }
}
