//! The lake's face: opening, storing, moving to the table, closing. Searches are in `search`.

use std::collections::HashMap;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::prelude::SessionContext;
use futures::FutureExt as _;
use metsuke_event::{BootId, EndpointId, Event, LossInterval, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::codec::encode;
use crate::config::LakeConfig;
use crate::error::LakeError;
use crate::frame::{Prepared, prepare};
use crate::losses::{LossLog, of_event};
use crate::request::{LakeStats, TimeRange};
use crate::schema::BATCH_ROWS;
use crate::table::Table;
use crate::view::{DataFile, Shared};
use crate::wal::Wal;
use crate::{marks, part, recover};

/// The highest sequence number stored, per endpoint and boot.
pub type HighWater = HashMap<(EndpointId, BootId), u64>;

/// Events from which encoding leaves the async worker for a blocking thread.
const BLOCKING_FROM: usize = 64;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Events moved from the tail to the table.
    pub rows: u64,
    /// Bytes of Parquet written.
    pub bytes: u64,
}

impl FlushReport {
    const fn add(&mut self, file: &DataFile) {
        self.rows += file.rows;
        self.bytes += file.bytes;
    }
}

/// The steps of a flush, between which a crash must lose nothing and double nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Sealed,
    PartsWritten,
    MarksWritten,
    Committed,
    Switched,
}

/// Where things stand in the lake's folder.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) root: PathBuf,
    pub(crate) wal: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) table: PathBuf,
    pub(crate) quarantine: PathBuf,
}

impl Folders {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            wal: root.join("wal"),
            state: root.join("state"),
            table: root.join("table"),
            quarantine: root.join("quarantine"),
        }
    }
}

/// The event store. Cheap to clone; all clones are one lake.
#[derive(Clone, Debug)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: LakeConfig,
    pub(crate) folders: Folders,
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: tokio::sync::Mutex<Table>,
    pub(crate) session: SessionContext,
    pub(crate) losses: LossLog,
    wal: Option<Wal>,
    closed: AtomicBool,
    stop: CancellationToken,
    flush_soon: Arc<Notify>,
    /// The background flush; closing waits for it, dropping the lake ends it.
    flusher: tokio::sync::Mutex<JoinSet<()>>,
    /// Where a test wants the flush to die.
    #[cfg(test)]
    pub(crate) crash_at: std::sync::Mutex<Option<Step>>,
    /// Held for as long as the lake is open.
    _lock: File,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("dir", &self.config.dir).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(wal) = self.wal.take() {
            let thread = wal.take_thread();
            drop(wal);
            // The lock is given back only when the writer has put the file down.
            if let Some(thread) = thread
                && thread.join().is_err()
            {
                tracing::error!("the writer of the lake died");
            }
        }
    }
}

impl Lake {
    /// Opens the lake in `config.dir`, or makes it; recovers what a crash left.
    ///
    /// # Errors
    /// [`LakeError::InUse`] when another process has it open; `Io` and `Table` when the folder or
    /// the table's log cannot be read. Damaged data files and segments are no error: they are set
    /// aside and stated as loss.
    pub async fn open(config: LakeConfig) -> Result<Self, LakeError> {
        let recovered = Box::pin(recover::open(&config)).await?;
        let wal = Wal::start(
            &recovered.folders.wal,
            recovered.next_segment,
            (config.append_queue, config.segment_bytes),
            Arc::clone(&recovered.shared),
        )?;
        let inner = Arc::new(Inner {
            losses: LossLog::new(&recovered.folders.root),
            folders: recovered.folders,
            shared: recovered.shared,
            table: tokio::sync::Mutex::new(recovered.table),
            session: recovered.session,
            wal: Some(wal),
            closed: AtomicBool::new(false),
            stop: CancellationToken::new(),
            flush_soon: Arc::new(Notify::new()),
            flusher: tokio::sync::Mutex::default(),
            #[cfg(test)]
            crash_at: std::sync::Mutex::new(None),
            _lock: recovered.lock,
            config,
        });
        inner.flusher.lock().await.spawn(flush_regularly(
            Arc::downgrade(&inner),
            inner.stop.clone(),
            Arc::clone(&inner.flush_soon),
            inner.config.flush_interval,
        ));
        Ok(Self { inner })
    }

    fn wal(&self) -> Result<&Wal, LakeError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(LakeError::Closed);
        }
        self.inner.wal.as_ref().ok_or(LakeError::Closed)
    }

    /// Stores events; returns once they are on disk, from when on searches find them. All of them
    /// are stored or, on an error, none. When the returned future is dropped before it is done
    /// they may or may not be stored; the high-water marks tell.
    ///
    /// # Errors
    /// [`LakeError::NoSpace`] on a full disk and [`LakeError::Backlog`] while too much waits for
    /// the table: send them again later.
    pub async fn append(&self, events: Vec<Event>) -> Result<(), LakeError> {
        let wal = self.wal()?;
        if events.is_empty() {
            return Ok(());
        }
        let waiting_bytes = self.inner.shared.tail_bytes();
        let limit_bytes = self.inner.config.max_tail_bytes;
        if waiting_bytes > limit_bytes {
            self.inner.flush_soon.notify_one();
            let last_failure = self.inner.shared.last_failure().unwrap_or("none".to_owned());
            return Err(LakeError::Backlog { waiting_bytes, limit_bytes, last_failure });
        }
        let mut marks = HighWater::new();
        for event in &events {
            let mark = marks.entry((event.id.endpoint, event.id.boot)).or_default();
            *mark = event.id.seq.max(*mark);
        }
        let losses: Vec<LossInterval> = events.iter().filter_map(of_event).collect();
        let frames = if events.len() < BLOCKING_FROM {
            frames(&events)?
        } else {
            blocking(move || frames(&events)).await?
        };
        wal.append(frames, marks, losses).await?;
        if self.inner.shared.tail_bytes() >= self.inner.config.flush_bytes {
            self.inner.flush_soon.notify_one();
        }
        Ok(())
    }

    /// The highest sequence number on disk, per endpoint and boot; exact also after a crash.
    pub fn high_water(&self) -> HighWater {
        self.inner.shared.marks()
    }

    /// Moves the tail to the table now. On an error everything stays searchable where it is.
    pub async fn flush(&self) -> Result<FlushReport, LakeError> {
        self.wal()?;
        self.move_tail().await
    }

    async fn move_tail(&self) -> Result<FlushReport, LakeError> {
        let wal = self.inner.wal.as_ref().ok_or(LakeError::Closed)?;
        let result = Box::pin(self.inner.flush(wal)).await;
        if let Err(error) = &result {
            self.inner.shared.flush_failed(&error.to_string());
        }
        result
    }

    /// Refuses further appends, stops the background work and moves the tail to the table; what
    /// cannot be moved now is in the log and will be found at the next opening. Searches go on.
    pub async fn close(&self) -> Result<(), LakeError> {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.inner.stop.cancel();
        let mut flusher = std::mem::take(&mut *self.inner.flusher.lock().await);
        while let Some(end) = flusher.join_next().await {
            if let Err(error) = end {
                tracing::error!(%error, "the background flush of the lake died");
            }
        }
        self.move_tail().await.map(|_| ())
    }

    /// Figures for health and metrics.
    pub fn stats(&self) -> LakeStats {
        self.inner.shared.stats()
    }

    /// Where something was not seen in `range`: the sensors' words and the lake's own, by time.
    pub fn loss(&self, range: TimeRange) -> Vec<LossInterval> {
        self.inner.shared.losses(range)
    }

    /// The time of the newest event the lake holds, by the endpoints' clocks.
    pub fn newest(&self) -> Option<Timestamp> {
        self.inner.shared.bounds().map(|(_, newest)| newest)
    }
}

impl Inner {
    #[cfg(test)]
    fn at(&self, step: Step) -> Result<(), LakeError> {
        if self.crash_at.lock().is_ok_and(|at| *at == Some(step)) {
            return Err(LakeError::Closed);
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a test's crash point")]
    fn at(&self, _step: Step) -> Result<(), LakeError> {
        Ok(())
    }

    async fn flush(&self, wal: &Wal) -> Result<FlushReport, LakeError> {
        let mut table = self.table.lock().await;
        let mut report = self.settle(&mut table).await?;
        let sealed = wal.seal().await?;
        self.at(Step::Sealed)?;
        let batches = self.shared.tail_until(sealed);
        if batches.is_empty() {
            return Ok(report);
        }
        let dir = table.dir().to_owned();
        let file = blocking(move || part::write_part(&batches, &dir, now(), sealed)).await?;
        self.at(Step::PartsWritten)?;
        let flushed_marks = self.shared.flushed_marks(sealed);
        marks::write(&self.folders.state, sealed, &flushed_marks)?;
        self.at(Step::MarksWritten)?;
        table.add(&file, sealed).await?;
        self.at(Step::Committed)?;
        report.add(&file);
        self.shared.switch(sealed, file);
        table.settled();
        self.at(Step::Switched)?;
        recover::drop_segments(&self.folders, sealed);
        marks::keep_only(&self.folders.state, sealed);
        tracing::debug!(rows = report.rows, bytes = report.bytes, segment = sealed, "flushed");
        Ok(report)
    }

    /// Finishes the flush before this one, when its commit stands and readers were not switched:
    /// its rows are in the table and in the tail, and must not be moved once more. (A commit that
    /// comes to stand only later makes the next one fail, by the application's transaction.)
    async fn settle(&self, table: &mut Table) -> Result<FlushReport, LakeError> {
        let mut report = FlushReport::default();
        if !table.in_doubt() {
            return Ok(report);
        }
        table.reload().await?;
        let stands = table.segment().await?.unwrap_or(0);
        let known = self.shared.view().files;
        let files = table.files();
        for file in files.iter().filter(|file| known.iter().all(|known| known.path != file.path)) {
            tracing::warn!(path = %file.path, "a flush that failed did reach the table");
            report.add(file);
        }
        if report != FlushReport::default() {
            self.shared.settle(stands, files);
            recover::drop_segments(&self.folders, stands);
            marks::keep_only(&self.folders.state, stands);
        }
        table.settled();
        Ok(report)
    }
}

async fn flush_regularly(
    lake: Weak<Inner>,
    stop: CancellationToken,
    soon: Arc<Notify>,
    interval: Option<std::time::Duration>,
) {
    loop {
        let pause = async {
            match interval {
                Some(interval) => tokio::time::sleep(interval).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = soon.notified() => {}
            () = pause => {}
        }
        let Some(inner) = lake.upgrade() else { return };
        let shared = Arc::clone(&inner.shared);
        match AssertUnwindSafe((Lake { inner }).flush()).catch_unwind().await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the tail could not be moved to the table; it stays searchable");
            }
            // Said like any other failure, and tried again in its time.
            Err(_) => {
                tracing::error!("moving the tail to the table broke down; please report it");
                shared.flush_failed("it broke down");
            }
        }
    }
}

fn frames(events: &[Event]) -> Result<Vec<Prepared>, LakeError> {
    let mut frames = Vec::new();
    for chunk in events.chunks(BATCH_ROWS) {
        add_frames(chunk, &mut frames)?;
    }
    Ok(frames)
}

/// Long command lines can make a batch too large for one frame: then its halves.
fn add_frames(events: &[Event], frames: &mut Vec<Prepared>) -> Result<(), LakeError> {
    let batch = encode(events).map_err(LakeError::arrow("encode events"))?;
    match prepare(batch) {
        Ok(frame) => frames.push(frame),
        Err(source) if events.len() < 2 => {
            return Err(LakeError::Arrow { action: "write an event", source });
        }
        Err(_) => {
            let (left, right) = events.split_at(events.len() / 2);
            add_frames(left, frames)?;
            add_frames(right, frames)?;
        }
    }
    Ok(())
}

/// The server's clock; the engines below are never asked for it.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Runs what blocks beside the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LakeError::Closed)?
}
