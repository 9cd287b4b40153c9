//! One segment: a file of records, or the same bytes in memory while the disk is full.
//!
//! Invariant: `len` is the end of the last whole record; whatever a failed write left behind it is
//! cut off before the next one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use metsuke_event::{GivenUp, Timestamp};

use super::SpoolError;
use super::losses::{DAMAGED, Loss};
use super::record::{self, HEAD_BYTES};
use crate::codec::{Encoded, given_up};

#[derive(Debug)]
enum Store {
    Disk(File),
    Memory(Vec<u8>),
}

/// Whether records may still be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
}

#[derive(Debug)]
pub(super) struct Segment {
    id: u64,
    store: Store,
    door: Door,
    len: u64,
    committed: u64,
    waiting: u64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

pub(super) fn parse_name(name: &str) -> Option<u64> {
    name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?.parse().ok()
}

fn path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:020}.seg"))
}

/// Removes a segment's file; one that is gone already is as good.
pub(super) fn remove(dir: &Path, id: u64) {
    if let Err(error) = fs::remove_file(path(dir, id))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, segment = id, "cannot remove a finished segment of the spool");
    }
}

impl Segment {
    /// A new segment on disk with its first record.
    pub(super) fn create(
        dir: &Path,
        id: u64,
        bytes: &[u8],
        batch: &Encoded,
    ) -> Result<Self, SpoolError> {
        let path = path(dir, id);
        let result = create_file(&path).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            Ok(file)
        });
        match result {
            Ok(file) => {
                let mut segment = Self::empty(id, Store::Disk(file));
                segment.len = bytes.len() as u64;
                segment.note(batch);
                Ok(segment)
            }
            Err(source) => {
                remove(dir, id);
                Err(SpoolError::new("write", &path, source))
            }
        }
    }

    /// A new segment in memory with its only record.
    pub(super) fn in_memory(id: u64, bytes: &[u8], batch: &Encoded) -> Self {
        let mut segment = Self::empty(id, Store::Memory(bytes.to_vec()));
        segment.len = bytes.len() as u64;
        segment.note(batch);
        segment
    }

    const fn empty(id: u64, store: Store) -> Self {
        let door = Door::Open;
        Self { id, store, door, len: 0, committed: 0, waiting: 0, from: None, to: None }
    }

    /// Reads a segment that an earlier process left; cuts off what is not whole. When that is not
    /// the torn end that killing a writer leaves, it comes back as a loss.
    pub(super) fn recover(
        dir: &Path,
        id: u64,
        newest: bool,
    ) -> Result<(Self, Option<Loss>), SpoolError> {
        let path = path(dir, id);
        let failed = |what| {
            let path = path.clone();
            move |source| SpoolError::new(what, &path, source)
        };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed("open"))?;
        let size = file.metadata().map_err(failed("read"))?.len();
        let mut segment = Self::empty(id, Store::Disk(file));
        segment.door = Door::Closed;
        segment.len = size;
        let mut at = 0;
        while let Ok(Some(batch)) = segment.read(at) {
            at += HEAD_BYTES as u64 + batch.payload.len() as u64;
            segment.note(&batch);
        }
        if at == size {
            return Ok((segment, None));
        }
        tracing::warn!(segment = id, bytes = size - at, "cutting off what is not a whole record");
        segment.truncate(at).map_err(failed("write"))?;
        let now_lost = (!newest).then(|| Loss {
            reason: DAMAGED,
            lost: None,
            from: segment.to.unwrap_or_default(),
            to: segment.to.unwrap_or_default(),
        });
        Ok((segment, now_lost))
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) const fn from(&self) -> Option<Timestamp> {
        self.from
    }

    pub(super) const fn is_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.door, Door::Open)
    }

    /// Whether the server has all of it.
    pub(super) const fn is_finished(&self) -> bool {
        self.committed >= self.len
    }

    /// No more is added.
    pub(super) fn close(&mut self) {
        if self.is_open()
            && let Store::Disk(file) = &self.store
            && let Err(error) = file.sync_data()
        {
            tracing::warn!(%error, segment = self.id, "a segment of the spool may not survive a power failure");
        }
        self.door = Door::Closed;
    }

    pub(super) fn sync(&self, dir: &Path) -> Result<(), SpoolError> {
        match &self.store {
            Store::Disk(file) => file
                .sync_data()
                .map_err(|source| SpoolError::new("sync", &path(dir, self.id), source)),
            Store::Memory(_) => Ok(()),
        }
    }

    /// Adds a record, whole or not at all.
    pub(super) fn append(&mut self, bytes: &[u8], batch: &Encoded) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(held) => held.extend_from_slice(bytes),
            Store::Disk(file) => {
                if let Err(error) = file.write_all_at(bytes, self.len) {
                    self.truncate(self.len)?;
                    return Err(error);
                }
            }
        }
        self.len += bytes.len() as u64;
        self.note(batch);
        Ok(())
    }

    /// Moves a memory segment to disk.
    pub(super) fn settle(&mut self, dir: &Path) -> io::Result<()> {
        let Store::Memory(bytes) = &self.store else { return Ok(()) };
        let path = path(dir, self.id);
        let written = create_file(&path).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                self.store = Store::Disk(file);
                Ok(())
            }
            Err(error) => {
                remove(dir, self.id);
                Err(error)
            }
        }
    }

    /// The record at `offset`; `None` at the end.
    ///
    /// # Errors
    /// When there is no whole record.
    pub(super) fn read(&self, offset: u64) -> io::Result<Option<Encoded>> {
        if offset >= self.len {
            return Ok(None);
        }
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let mut head = [0; HEAD_BYTES];
        self.read_at(&mut head, offset)?;
        let head = record::read_head(&head).ok_or_else(broken)?;
        let payload_at = offset + HEAD_BYTES as u64;
        if payload_at + head.payload as u64 > self.len {
            return Err(broken());
        }
        let mut payload = vec![0; head.payload];
        self.read_at(&mut payload, payload_at)?;
        head.complete(payload).map(Some).ok_or_else(broken)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match &self.store {
            Store::Disk(file) => file.read_exact_at(buffer, offset),
            Store::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(buffer.len());
                let part = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(part);
                Ok(())
            }
        }
    }

    /// The server has everything before `offset`.
    pub(super) fn commit_to(&mut self, offset: u64) {
        let offset = offset.min(self.len);
        while self.committed < offset {
            let Ok(Some(batch)) = self.read(self.committed) else { break };
            self.committed += HEAD_BYTES as u64 + batch.payload.len() as u64;
            self.waiting = self.waiting.saturating_sub(u64::from(batch.count));
        }
        self.committed = self.committed.max(offset);
        if self.is_finished() {
            self.waiting = 0;
        }
    }

    /// Cuts off everything from `offset` on, and says what is lost by it.
    pub(super) fn cut(&mut self, offset: u64) -> Loss {
        let loss = Loss {
            reason: DAMAGED,
            lost: None,
            from: self.from.unwrap_or_default(),
            to: self.to.unwrap_or_default(),
        };
        self.door = Door::Closed;
        // Reading stops at `len` from now on, whether or not the file gets shorter.
        let _ = self.truncate(offset);
        self.len = offset;
        self.waiting = 0;
        loss
    }

    /// What is lost when this segment is given up now.
    pub(super) fn remaining(&self, reason: &'static str) -> Option<Loss> {
        let (from, to) = self.from.zip(self.to)?;
        (self.waiting > 0).then(|| Loss { reason, lost: Some(self.given_up()), from, to })
    }

    /// What waits in it, by kind: read once more, as no more is known of it than its heads say.
    fn given_up(&self) -> GivenUp {
        let mut lost = GivenUp::default();
        let (mut at, mut unread) = (self.committed, self.waiting);
        while let Ok(Some(batch)) = self.read(at) {
            at += HEAD_BYTES as u64 + batch.payload.len() as u64;
            unread = unread.saturating_sub(u64::from(batch.count));
            lost.merge(&given_up(&batch));
        }
        lost.all.add(None, unread);
        lost
    }

    pub(super) fn delete(&mut self, dir: &Path) {
        if !self.is_memory() {
            remove(dir, self.id);
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        match &mut self.store {
            Store::Disk(file) => file.set_len(len)?,
            Store::Memory(bytes) => bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX)),
        }
        self.len = len;
        Ok(())
    }

    fn note(&mut self, batch: &Encoded) {
        self.waiting += u64::from(batch.count);
        self.from = Some(self.from.map_or(batch.from, |from| from.min(batch.from)));
        self.to = Some(self.to.map_or(batch.to, |to| to.max(batch.to)));
    }
}

fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}
