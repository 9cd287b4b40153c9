//! What searches see: the table's files and the hot tail, switched in one step.
//!
//! Invariant: at any moment each stored event is in exactly one of the files and the tail.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow::array::{Array, RecordBatch};
use metsuke_event::{LossInterval, Timestamp};

use crate::frame::time_bounds;
use crate::lake::HighWater;
use crate::losses::LossBook;
use crate::request::{LakeStats, TimeRange};
use crate::schema::{BATCH_ROWS, thrifty};

/// One Parquet file of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// As the table's log names it: relative to the table's folder.
    pub(crate) path: String,
    /// On this machine.
    pub(crate) local: PathBuf,
    pub(crate) day: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
}

impl DataFile {
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        self.min_time < range.to.as_nanos() && range.from.as_nanos() <= self.max_time
    }
}

/// One batch of the hot tail.
#[derive(Clone, Debug)]
pub(crate) struct TailPart {
    pub(crate) segment: u64,
    pub(crate) batch: RecordBatch,
    pub(crate) bytes: usize,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
}

impl TailPart {
    fn new(segment: u64, batch: RecordBatch) -> Self {
        let (min_time, max_time) = time_bounds(&batch);
        Self { segment, bytes: memory(&batch), batch, min_time, max_time }
    }

    /// Small neighbours become one batch, so that a tail of many small appends stays fast.
    fn joined(&self, other: &Self) -> Option<Self> {
        let rows = self.batch.num_rows() + other.batch.num_rows();
        if self.segment != other.segment
            || rows > BATCH_ROWS
            || self.batch.num_rows() > 2 * other.batch.num_rows()
        {
            return None;
        }
        let schema = self.batch.schema_ref();
        let batch = arrow::compute::concat_batches(schema, [&self.batch, &other.batch]).ok()?;
        let columns = batch.columns().iter().cloned().map(thrifty).collect();
        let batch = RecordBatch::try_new(batch.schema(), columns).ok()?;
        Some(Self {
            segment: self.segment,
            bytes: memory(&batch),
            batch,
            min_time: self.min_time.min(other.min_time),
            max_time: self.max_time.max(other.max_time),
        })
    }
}

/// Bytes a batch holds of its own; shared empty columns are not counted.
fn memory(batch: &RecordBatch) -> usize {
    batch
        .columns()
        .iter()
        .filter(|column| column.null_count() < column.len())
        .map(Array::get_array_memory_size)
        .sum()
}

#[derive(Debug, Default)]
struct State {
    files: Arc<Vec<DataFile>>,
    tail: Vec<TailPart>,
    marks: HighWater,
    /// Marks of each segment in the tail, and of the table.
    segment_marks: BTreeMap<u64, HighWater>,
    table_marks: HighWater,
    losses: LossBook,
    wal_bytes: BTreeMap<u64, u64>,
    quarantined: u64,
    failed_flushes: u64,
    last_failure: Option<String>,
}

impl State {
    /// `files` are the table's, and the tail's rows of segments ≤ `segment` are among them.
    fn moved(&mut self, segment: u64, files: Vec<DataFile>) {
        self.files = Arc::new(files);
        self.tail.retain(|part| part.segment > segment);
        self.wal_bytes.retain(|number, _| *number > segment);
        let later = self.segment_marks.split_off(&(segment + 1));
        let flushed = std::mem::replace(&mut self.segment_marks, later);
        for marks in flushed.values() {
            raise(&mut self.table_marks, marks);
        }
        self.failed_flushes = 0;
        self.last_failure = None;
    }
}

/// A moment's view; holding it holds the data.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) files: Arc<Vec<DataFile>>,
    pub(crate) tail: Vec<TailPart>,
}

/// The state that the writer, the flusher and searches share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: RwLock<State>,
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a written group visible.
    pub(crate) fn publish(
        &self,
        segment: u64,
        batches: Vec<RecordBatch>,
        marks: &HighWater,
        losses: Vec<LossInterval>,
    ) {
        let parts: Vec<TailPart> =
            batches.into_iter().map(|batch| TailPart::new(segment, batch)).collect();
        let mut state = self.write();
        for part in parts {
            let mut part = part;
            while let Some(joined) = state.tail.last().and_then(|last| last.joined(&part)) {
                state.tail.pop();
                part = joined;
            }
            state.tail.push(part);
        }
        raise(&mut state.marks, marks);
        raise(state.segment_marks.entry(segment).or_default(), marks);
        for loss in losses {
            state.losses.add(loss);
        }
    }

    /// Adds losses that no event of the log speaks of.
    pub(crate) fn add_losses(&self, losses: impl IntoIterator<Item = LossInterval>) {
        let mut state = self.write();
        for loss in losses {
            state.losses.add(loss);
        }
    }

    /// Adds the losses that the table's events speak of.
    pub(crate) fn absorb_losses(&self, losses: LossBook) {
        self.write().losses.absorb(losses);
    }

    /// Marks of what is in the table, read at the opening.
    pub(crate) fn raise_table_marks(&self, marks: &HighWater) {
        let mut state = self.write();
        raise(&mut state.marks, marks);
        raise(&mut state.table_marks, marks);
    }

    /// The marks of everything up to `segment`.
    pub(crate) fn flushed_marks(&self, segment: u64) -> HighWater {
        let state = self.read();
        let mut marks = state.table_marks.clone();
        for (_, more) in state.segment_marks.range(..=segment) {
            raise(&mut marks, more);
        }
        marks
    }

    pub(crate) fn marks(&self) -> HighWater {
        self.read().marks.clone()
    }

    pub(crate) fn view(&self) -> View {
        let state = self.read();
        View { files: Arc::clone(&state.files), tail: state.tail.clone() }
    }

    /// The tail's batches of segments up to `segment`.
    pub(crate) fn tail_until(&self, segment: u64) -> Vec<RecordBatch> {
        let state = self.read();
        state
            .tail
            .iter()
            .filter(|part| part.segment <= segment)
            .map(|part| part.batch.clone())
            .collect()
    }

    /// The step of a flush that readers see: the file in, tail rows of segments ≤ `segment` out.
    pub(crate) fn switch(&self, segment: u64, file: DataFile) {
        let mut state = self.write();
        let mut all = state.files.to_vec();
        all.push(file);
        state.moved(segment, all);
    }

    /// The same for a flush that had failed after its commit: all of the table's `files`, and what
    /// it says of `segment`.
    pub(crate) fn settle(&self, segment: u64, files: Vec<DataFile>) {
        self.write().moved(segment, files);
    }

    pub(crate) fn set_files(&self, files: Vec<DataFile>) {
        self.write().files = Arc::new(files);
    }

    pub(crate) fn remove_file(&self, path: &str) {
        let mut state = self.write();
        let files = state.files.iter().filter(|file| file.path != path).cloned().collect();
        state.files = Arc::new(files);
        state.quarantined += 1;
    }

    pub(crate) fn set_wal_bytes(&self, segment: u64, bytes: u64) {
        self.write().wal_bytes.insert(segment, bytes);
    }

    pub(crate) fn flush_failed(&self, why: &str) {
        let mut state = self.write();
        state.failed_flushes += 1;
        state.last_failure = Some(why.to_owned());
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.read().last_failure.clone()
    }

    pub(crate) fn tail_bytes(&self) -> usize {
        self.read().tail.iter().map(|part| part.bytes).sum()
    }

    pub(crate) fn losses(&self, range: TimeRange) -> Vec<LossInterval> {
        self.read().losses.overlapping(range)
    }

    /// The times of the oldest and newest event.
    pub(crate) fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let state = self.read();
        let files = state.files.iter().map(|file| (file.min_time, file.max_time));
        let tail = state.tail.iter().map(|part| (part.min_time, part.max_time));
        files
            .chain(tail)
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .map(|(low, high)| (Timestamp::from_nanos(low), Timestamp::from_nanos(high)))
    }

    pub(crate) fn stats(&self) -> LakeStats {
        let state = self.read();
        LakeStats {
            table_rows: state.files.iter().map(|file| file.rows).sum(),
            table_files: state.files.len() as u64,
            table_bytes: state.files.iter().map(|file| file.bytes).sum(),
            tail_rows: state.tail.iter().map(|part| part.batch.num_rows() as u64).sum(),
            tail_bytes: state.tail.iter().map(|part| part.bytes as u64).sum(),
            wal_bytes: state.wal_bytes.values().sum(),
            quarantined: state.quarantined,
            failed_flushes: state.failed_flushes,
            loss_intervals: state.losses.len() as u64,
            losses_joined: state.losses.joined(),
        }
    }
}

fn raise(marks: &mut HighWater, with: &HighWater) {
    for (key, seq) in with {
        let mark = marks.entry(*key).or_default();
        *mark = (*mark).max(*seq);
    }
}
