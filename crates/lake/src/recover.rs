//! Opening: what a crash, a full disk or a damaged file left, put in order again.
//!
//! Invariant: afterwards each event that was ever answered, and is not stated as lost, is in
//! exactly one of the table and the tail.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use metsuke_event::field::meta;
use metsuke_event::{FieldId, Kind, LossInterval, Timestamp};

use crate::config::LakeConfig;
use crate::error::LakeError;
use crate::frame::{Damage, read_segment};
use crate::lake::{Folders, HighWater};
use crate::losses::{LossLog, of_event};
use crate::repair::{find_damaged, may_be_damage};
use crate::request::ALL_ENDPOINTS;
use crate::schema::index_of;
use crate::table::Table;
use crate::view::{DataFile, Shared};
use crate::wal::segment_path;
use crate::{codec, engine, marks, search};

/// A lake put in order, not yet taking events.
pub(crate) struct Recovered {
    pub(crate) folders: Folders,
    pub(crate) lock: File,
    pub(crate) table: Table,
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: SessionContext,
    pub(crate) next_segment: u64,
}

pub(crate) async fn open(config: &LakeConfig) -> Result<Recovered, LakeError> {
    let folders = Folders::new(&config.dir);
    for dir in [&folders.root, &folders.wal, &folders.state, &folders.quarantine] {
        std::fs::create_dir_all(dir)
            .map_err(|source| LakeError::io("make the folder", dir, source))?;
    }
    let lock = lock(&folders.root)?;
    let session = engine::session(config)?;
    let mut table = Table::open(&folders.table, config.checkpoint_every).await?;
    let shared = Arc::new(Shared::default());
    let losses = LossLog::new(&folders.root);
    let keeper = Keeper { folders: &folders, shared: &shared, losses: &losses };
    let in_table = table.segment().await?.unwrap_or(0);
    shared.set_files(table.files());
    shared.add_losses(losses.read());
    for file in table.files() {
        if let Some(reason) = unsound(&file) {
            keeper.set_aside(&mut table, &file, reason).await?;
        }
    }
    remove_orphans(table.dir(), &shared)?;
    drop_segments(&folders, in_table);
    if let Err(error) = recall(&folders, &session, &shared, in_table).await {
        if !may_be_damage(&error) {
            return Err(error);
        }
        for (file, reason) in find_damaged(table.files()).await? {
            keeper.set_aside(&mut table, &file, reason).await?;
        }
        recall(&folders, &session, &shared, in_table).await?;
    }
    let last = replay(&folders, &shared, &losses)?;
    let next_segment = last.max(in_table) + 1;
    Ok(Recovered { folders, lock, table, shared, session, next_segment })
}

fn lock(root: &Path) -> Result<File, LakeError> {
    let path = root.join("lock");
    let file = File::create(&path).map_err(|source| LakeError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LakeError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(LakeError::io("lock", &path, source)),
    }
}

/// Why a file cannot be what was committed, seen without reading it.
fn unsound(file: &DataFile) -> Option<&'static str> {
    match std::fs::metadata(&file.local) {
        Ok(found) if found.len() == file.bytes => None,
        Ok(_) => Some("parquet_corrupt"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("parquet_missing"),
        Err(_) => None,
    }
}

/// What a damaged file is noted in.
pub(crate) struct Keeper<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) shared: &'a Shared,
    pub(crate) losses: &'a LossLog,
}

impl Keeper<'_> {
    /// Takes a damaged file out of the table, keeps it for people, and states the loss.
    pub(crate) async fn set_aside(
        &self,
        table: &mut Table,
        file: &DataFile,
        reason: &str,
    ) -> Result<(), LakeError> {
        let loss = LossInterval {
            endpoint: ALL_ENDPOINTS,
            from: Timestamp::from_nanos(file.min_time),
            to: Timestamp::from_nanos(file.max_time.saturating_add(1)),
            part: "lake.table".to_owned(),
            reason: reason.to_owned(),
            lost: Some(file.rows),
        };
        // Stated before it is done: what is on record already is at hand already.
        self.shared.add_losses(self.losses.add(vec![loss])?);
        table.remove(file).await?;
        let name = file.path.replace('/', "_");
        let target = self.folders.quarantine.join(name);
        if let Err(error) = std::fs::rename(&file.local, &target) {
            tracing::warn!(%error, path = %file.local.display(), "a damaged file could not be moved");
        }
        self.shared.remove_file(&file.path);
        Ok(())
    }
}

/// Deletes Parquet files that no commit names: flushes that did not come to their end.
fn remove_orphans(table_dir: &Path, shared: &Shared) -> Result<(), LakeError> {
    let known: HashSet<PathBuf> =
        shared.view().files.iter().map(|file| file.local.clone()).collect();
    for day in list(table_dir)?.into_iter().filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("day="))
    }) {
        for file in list(&day)? {
            if !known.contains(&file)
                && file.extension().is_some_and(|extension| extension == "parquet")
            {
                tracing::info!(path = %file.display(), "deleting a file of an unfinished flush");
                if let Err(error) = std::fs::remove_file(&file) {
                    tracing::warn!(%error, path = %file.display(), "it stays");
                }
            }
        }
    }
    Ok(())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let io = |source| LakeError::io("list", dir, source);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The segments in the log, by number.
fn segments(dir: &Path) -> Result<Vec<u64>, LakeError> {
    let numbers = list(dir)?
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .filter_map(|path| path.file_stem()?.to_str()?.parse().ok())
        .collect();
    Ok(numbers)
}

/// Deletes segments whose events are in the table; damaged ones are kept for people.
pub(crate) fn drop_segments(folders: &Folders, until: u64) {
    let Ok(numbers) = segments(&folders.wal) else { return };
    for number in numbers.into_iter().filter(|number| *number <= until) {
        let path = segment_path(&folders.wal, number);
        let marker = folders.quarantine.join(format!("{number:020}.damaged"));
        let gone = if marker.exists() {
            let target = folders.quarantine.join(format!("{number:020}.seg"));
            std::fs::rename(&path, target).and_then(|()| std::fs::remove_file(&marker))
        } else {
            std::fs::remove_file(&path)
        };
        if let Err(error) = gone {
            tracing::warn!(%error, path = %path.display(), "an old segment stays");
        }
    }
}

/// Marks and losses of what is in the table.
async fn recall(
    folders: &Folders,
    session: &SessionContext,
    shared: &Shared,
    in_table: u64,
) -> Result<(), LakeError> {
    let view = shared.view();
    if view.files.is_empty() {
        return Ok(());
    }
    let known = if let Some(known) = marks::read(&folders.state, in_table) {
        known
    } else {
        tracing::warn!("the high-water marks are read from the table itself");
        Box::pin(search::marks(session, &view)).await?
    };
    shared.raise_table_marks(&known);
    shared.absorb_losses(Box::pin(search::stated_losses(session, &view)).await?);
    Ok(())
}

/// Reads the log into the tail; gives the last segment's number.
fn replay(folders: &Folders, shared: &Shared, losses: &LossLog) -> Result<u64, LakeError> {
    let numbers = segments(&folders.wal)?;
    for number in &numbers {
        let path = segment_path(&folders.wal, *number);
        let bytes = std::fs::read(&path).map_err(|source| LakeError::io("read", &path, source))?;
        let segment = read_segment(&bytes, *number);
        let mut marks = HighWater::new();
        let mut stated = Vec::new();
        for batch in &segment.batches {
            raise_marks(batch, &mut marks);
            stated.extend(batch_losses(batch)?);
        }
        let rows: usize = segment.batches.iter().map(RecordBatch::num_rows).sum();
        tracing::info!(segment = number, rows, damage = segment.damage.len(), "read the log");
        shared.publish(*number, segment.batches, &marks, stated);
        shared.set_wal_bytes(*number, bytes.len() as u64);
        if !segment.damage.is_empty() {
            let until = modified(&path);
            let lost: Vec<LossInterval> =
                segment.damage.iter().map(|damage| damage_loss(damage, until)).collect();
            shared.add_losses(losses.add(lost)?);
            let marker = folders.quarantine.join(format!("{number:020}.damaged"));
            File::create(&marker).map_err(|source| LakeError::io("mark", &marker, source))?;
        }
    }
    Ok(numbers.last().copied().unwrap_or(0))
}

fn modified(path: &Path) -> Timestamp {
    let since = std::fs::metadata(path)
        .and_then(|found| found.modified())
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn damage_loss(damage: &Damage, until: Timestamp) -> LossInterval {
    let to = damage.to.map_or(until, |to| Timestamp::from_nanos(to.saturating_add(1)));
    LossInterval {
        endpoint: ALL_ENDPOINTS,
        from: damage.from.map_or(to, Timestamp::from_nanos),
        to,
        part: "lake.log".to_owned(),
        reason: if damage.torn { "segment_torn" } else { "segment_corrupt" }.to_owned(),
        lost: damage.rows.filter(|_| !damage.torn),
    }
}

/// Raises `marks` by the identities in `batch`.
pub(crate) fn raise_marks(batch: &RecordBatch, marks: &mut HighWater) {
    let column = |id: FieldId| index_of(id).and_then(|index| batch.columns().get(index));
    let text = |id| column(id).and_then(|array| array.as_string_opt::<i32>());
    let (Some(endpoints), Some(boots), Some(seqs)) = (
        text(meta::ENDPOINT),
        text(meta::BOOT),
        column(meta::SEQ).and_then(|array| array.as_primitive_opt::<Int64Type>()),
    ) else {
        return;
    };
    let mut last: Option<((&str, &str), _)> = None;
    for row in 0..batch.num_rows() {
        let names = (endpoints.value(row), boots.value(row));
        let key = match last {
            Some((known, key)) if known == names => key,
            _ => match (names.0.parse(), names.1.parse()) {
                (Ok(endpoint), Ok(boot)) => (endpoint, boot),
                _ => continue,
            },
        };
        last = Some((names, key));
        let mark = marks.entry(key).or_default();
        *mark = seqs.value(row).cast_unsigned().max(*mark);
    }
}

/// The losses that health events in `batch` speak of.
pub(crate) fn batch_losses(batch: &RecordBatch) -> Result<Vec<LossInterval>, LakeError> {
    let classes = index_of(meta::CLASS)
        .and_then(|index| batch.columns().get(index))
        .and_then(|array| array.as_string_opt::<i32>());
    let Some(classes) = classes else { return Ok(Vec::new()) };
    let health: BooleanArray =
        classes.iter().map(|class| Some(class == Some(Kind::SensorHealth.name()))).collect();
    if health.true_count() == 0 {
        return Ok(Vec::new());
    }
    let batch = arrow::compute::filter_record_batch(batch, &health)
        .map_err(LakeError::arrow("read health events"))?;
    Ok(codec::decode(&batch).0.iter().filter_map(of_event).collect())
}
