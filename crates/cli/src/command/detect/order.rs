//! Records of one file of text in the order of their time, as far as a bounded window reaches.
//!
//! Windows logs are in order already; lines that were exported may be newest first, or of several
//! hosts by turns. A file that fits into the window comes out in order whatever its lines'.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use metsuke_event::Timestamp;
use metsuke_intake::Record;

/// Records held: enough for small files, and for what is out of order in large ones.
const RECORDS: usize = 4_096;
/// Bytes of the lines that the held records were read from; a record is a few times its line.
const BYTES: usize = 32 * 1024 * 1024;

/// The window.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Time, then the order they came in, then where the record is kept.
    heap: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    kept: Vec<Option<(Record, usize)>>,
    free: Vec<usize>,
    bytes: usize,
    count: u64,
}

impl Window {
    /// Takes a record that was read from so many bytes.
    pub(super) fn push(&mut self, record: Record, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
        let time = record.event.time;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.kept.push(None);
            self.kept.len() - 1
        });
        self.kept[slot] = Some((record, bytes));
        self.heap.push(Reverse((time, self.count, slot)));
    }

    /// The earliest record, once more are held than may be.
    pub(super) fn overflow(&mut self) -> Option<Record> {
        if self.heap.len() > RECORDS || self.bytes > BYTES { self.pop() } else { None }
    }

    /// The earliest record.
    pub(super) fn pop(&mut self) -> Option<Record> {
        let Reverse((_, _, slot)) = self.heap.pop()?;
        let (record, bytes) = self.kept[slot].take()?;
        self.free.push(slot);
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(record)
    }
}
