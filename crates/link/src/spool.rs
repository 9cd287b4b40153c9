//! The sensor's spool: encoded batches on disk until the server has them.
//!
//! Format and reasons: `docs/spec/spool.md`. Invariants: what `append` took survives `kill -9` of
//! the process as soon as it returns (unless the disk was full, see below); records come out in
//! the order they went in; bytes on disk stay under `max_bytes`, bytes in memory under
//! `memory_bytes`; whatever is given up for that is counted as a [`Loss`], never silent.
//!
//! Full disk: new records stay in memory, in order, and are written out as soon as there is room.
//! When memory is full too, new records are given up and counted.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use metsuke_event::Timestamp;

use crate::codec::Encoded;
use crate::files;

mod losses;
mod record;
mod segment;
pub mod sequence;
pub mod shared;
mod slots;
pub mod watch;

pub use losses::Loss;
use record::HEAD_BYTES;
use segment::Segment;
pub use sequence::Sequence;
pub use shared::SharedSpool;
use slots::Slots;

/// Where the spool is and how large it may grow.
#[derive(Clone, Debug)]
pub struct SpoolConfig {
    /// Its folder; made when missing.
    pub dir: PathBuf,
    /// Most bytes on disk. A day of an ordinary host is about 100 MB.
    pub max_bytes: u64,
    /// Size at which a segment is closed, in bytes. The oldest segment is what is given up at once
    /// when the spool is full.
    pub segment_bytes: u64,
    /// Most bytes kept in memory while the disk is full.
    pub memory_bytes: u64,
}

impl SpoolConfig {
    /// The defaults, in `dir`.
    pub const fn new(dir: PathBuf) -> Self {
        Self { dir, max_bytes: 512 << 20, segment_bytes: 4 << 20, memory_bytes: 8 << 20 }
    }
}

/// A spool that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}; check that the sensor's state folder is writable and has room")]
pub struct SpoolError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl SpoolError {
    pub(crate) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.to_owned(), source }
    }
}

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    segment: u64,
    offset: u64,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Bytes on disk, acknowledged ones of open segments included.
    pub disk_bytes: u64,
    /// Bytes in memory because the disk is full; above zero means trouble.
    pub memory_bytes: u64,
    /// Activities not acknowledged.
    pub events: u64,
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    config: SpoolConfig,
    /// Oldest first; only the last is appended to.
    segments: VecDeque<Segment>,
    next_id: u64,
    committed: Position,
    acked: Slots,
    losses: losses::Losses,
}

impl Spool {
    /// Opens the spool, taking up what an earlier process left. A torn end, as `kill -9` leaves
    /// it, is cut off; damage elsewhere is cut off and counted as a loss.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(config: SpoolConfig) -> Result<Self, SpoolError> {
        let dir = &config.dir;
        files::private_dir(dir).map_err(|source| SpoolError::new("create", dir, source))?;
        let acked = Slots::open(&dir.join("acked"))?;
        let committed = acked.value().map_or_else(Position::default, read_position);
        let mut losses = losses::Losses::default();
        let mut ids = segment_ids(dir)?;
        ids.sort_unstable();
        let mut segments = VecDeque::new();
        let newest = ids.last().copied();
        // What was lost after a damaged segment's last record lies before the next one's first.
        let mut open_damage: Option<Loss> = None;
        for id in ids {
            if id < committed.segment {
                segment::remove(dir, id);
                continue;
            }
            let (mut segment, damage) = Segment::recover(dir, id, Some(id) == newest)?;
            if let Some(loss) = open_damage.take() {
                losses
                    .add(Loss { to: segment.from().map_or(loss.to, |to| to.max(loss.to)), ..loss });
            }
            open_damage = damage;
            if id == committed.segment {
                segment.commit_to(committed.offset);
            }
            segments.push_back(segment);
        }
        let next_id = segments.back().map_or(committed.segment, Segment::id) + 1;
        let mut spool = Self { config, segments, next_id, committed, acked, losses };
        spool.drop_finished();
        Ok(spool)
    }

    /// Keeps one batch. It always goes somewhere: to disk, to memory while the disk is full, or
    /// into the losses.
    pub fn append(&mut self, batch: &Encoded) {
        let Some(record) = record::write(batch) else {
            // `encode` makes none such; whoever puts one together otherwise is told.
            tracing::error!(bytes = batch.payload.len(), "a batch is too large to be kept");
            self.losses.add(Loss::of(batch, losses::TOO_LARGE));
            return;
        };
        let length = record.len() as u64;
        self.make_room(length);
        let memory_full = self.depth().memory_bytes + length > self.config.memory_bytes;
        let segment_bytes = self.config.segment_bytes;
        let last = self.segments.back_mut();
        if let Some(last) =
            last.filter(|last| last.is_open() && last.len() + length <= segment_bytes)
        {
            if last.is_memory() && memory_full {
                self.losses.add(Loss::of(batch, losses::DISK_FULL));
                return;
            }
            if last.append(&record, batch).is_ok() {
                return;
            }
        }
        self.append_to_new(&record, batch);
    }

    fn append_to_new(&mut self, record: &[u8], batch: &Encoded) {
        if let Some(last) = self.segments.back_mut() {
            last.close();
        }
        let id = self.next_id;
        match Segment::create(&self.config.dir, id, record, batch) {
            Ok(segment) => self.segments.push_back(segment),
            Err(error) => {
                tracing::warn!(%error, "the spool cannot write; keeping activities in memory");
                if self.depth().memory_bytes + record.len() as u64 > self.config.memory_bytes {
                    self.losses.add(Loss::of(batch, losses::DISK_FULL));
                    return;
                }
                self.segments.push_back(Segment::in_memory(id, record, batch));
            }
        }
        self.next_id += 1;
    }

    /// Writes to disk what is in memory, oldest first, as far as there is room. To be called now
    /// and then; on a disk that is not full it does nothing.
    pub fn settle(&mut self) {
        let dir = &self.config.dir;
        for segment in self.segments.iter_mut().filter(|segment| segment.is_memory()) {
            if segment.settle(dir).is_err() {
                return;
            }
        }
    }

    /// Gives up oldest segments until `length` more bytes fit.
    fn make_room(&mut self, length: u64) {
        while self.depth().disk_bytes + length > self.config.max_bytes {
            let Some(mut oldest) = self.segments.pop_front() else { return };
            if let Some(loss) = oldest.remaining(losses::SPOOL_FULL) {
                self.losses.add(loss);
            }
            oldest.delete(&self.config.dir);
        }
    }

    /// The record after `position` with the place behind it; `None` when there is no more yet.
    /// Damage found on the way is cut off and counted.
    pub fn next(&mut self, position: Position) -> Option<(Encoded, Position)> {
        let mut at = position.max(self.committed);
        loop {
            let index = self.segments.iter().position(|segment| segment.id() >= at.segment)?;
            let segment = self.segments.get_mut(index)?;
            if segment.id() > at.segment {
                at = Position { segment: segment.id(), offset: 0 };
            }
            match segment.read(at.offset) {
                Ok(Some(batch)) => {
                    let length = HEAD_BYTES as u64 + batch.payload.len() as u64;
                    let behind = Position { segment: at.segment, offset: at.offset + length };
                    return Some((batch, behind));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "the spool is damaged; the rest of a segment is lost");
                    let loss = segment.cut(at.offset);
                    self.losses.add(loss);
                }
            }
            if index + 1 == self.segments.len() {
                return None;
            }
            at = Position { segment: at.segment + 1, offset: 0 };
        }
    }

    /// Everything before `position` is on the server's disk.
    pub fn commit(&mut self, position: Position) {
        if position <= self.committed {
            return;
        }
        self.committed = position;
        for segment in &mut self.segments {
            match segment.id().cmp(&position.segment) {
                std::cmp::Ordering::Less => segment.commit_to(u64::MAX),
                std::cmp::Ordering::Equal => segment.commit_to(position.offset),
                std::cmp::Ordering::Greater => break,
            }
        }
        self.drop_finished();
        if let Err(error) = self.acked.set(write_position(position)) {
            // Only costs sending again after a restart.
            tracing::warn!(%error, "cannot note what the server has");
        }
    }

    fn drop_finished(&mut self) {
        while let Some(first) = self.segments.front() {
            let finished = first.is_finished() && (first.is_memory() || !first.is_open());
            if !finished && first.id() >= self.committed.segment {
                return;
            }
            if let Some(mut first) = self.segments.pop_front() {
                first.delete(&self.config.dir);
            }
        }
    }

    /// How full it is.
    pub fn depth(&self) -> Depth {
        let mut depth = Depth::default();
        for segment in &self.segments {
            if segment.is_memory() {
                depth.memory_bytes += segment.len();
            } else {
                depth.disk_bytes += segment.len();
            }
            depth.events += segment.waiting();
        }
        depth
    }

    /// Time of the oldest activity that is not acknowledged.
    pub fn oldest(&mut self) -> Option<Timestamp> {
        let (batch, _) = self.next(self.committed)?;
        Some(batch.from)
    }

    /// Time of the oldest activity that a `kill -9` now would lose, because it is in memory only.
    pub fn oldest_in_memory(&self) -> Option<Timestamp> {
        let memory = self.segments.iter().filter(|segment| segment.is_memory());
        let held = memory.filter_map(Segment::from).min();
        let lost = self.losses.earliest();
        held.into_iter().chain(lost).min()
    }

    /// Where reading begins: behind what the server has.
    pub const fn start(&self) -> Position {
        self.committed
    }

    /// What was given up since this was last asked.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        self.losses.take()
    }

    /// Makes what was appended survive a power failure.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        match self.segments.back_mut() {
            Some(last) => last.sync(&self.config.dir),
            None => Ok(()),
        }
    }
}

fn segment_ids(dir: &Path) -> Result<Vec<u64>, SpoolError> {
    let failed = |source| SpoolError::new("read", dir, source);
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        ids.extend(name.to_str().and_then(segment::parse_name));
    }
    Ok(ids)
}

fn read_position(value: slots::Value) -> Position {
    Position { segment: slots::word(&value, 0), offset: slots::word(&value, 1) }
}

fn write_position(position: Position) -> slots::Value {
    slots::words(&[position.segment, position.offset])
}

#[cfg(test)]
mod tests;
