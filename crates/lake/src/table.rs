//! The Delta table: opening, the file list, commits.
//!
//! Invariant: a commit that adds files carries the number of the last segment they come from, so
//! that whether a segment is in the table has one answer: the table's.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{
    Action, Add, DataType, LogicalFileView, PrimitiveType, Remove, StructField, Transaction,
    Version,
};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::builder::ensure_table_uri;
use deltalake_core::table::state::DeltaTableState;
use metsuke_event::{FIELDS, FieldType};
use serde_json::{Value as Json, json};

use crate::error::LakeError;
use crate::schema::{DAY, UNMAPPED};
use crate::view::DataFile;
use crate::wal::sync_dir;

/// The application of the table's transactions: the write-ahead log.
const APPLICATION: &str = "metsuke-lake-wal";

/// The table, open.
#[derive(Debug)]
pub(crate) struct Table {
    dir: PathBuf,
    log_store: LogStoreRef,
    state: DeltaTableState,
    checkpoint_every: u64,
    /// The newest version of which it is known that its log entry is durable.
    durable: Option<Version>,
    /// Whether a file may be in the table that searches do not know of yet; see [`Table::add`].
    in_doubt: bool,
}

fn columns() -> Vec<StructField> {
    let delta = |ty: FieldType| match ty {
        FieldType::Text | FieldType::Ip => PrimitiveType::String,
        FieldType::U64 | FieldType::I64 | FieldType::Time => PrimitiveType::Long,
        FieldType::Bool => PrimitiveType::Boolean,
    };
    let nullable = |name: String, ty| StructField::new(name, DataType::Primitive(ty), true);
    let mut columns: Vec<_> =
        FIELDS.iter().map(|spec| nullable(spec.column(), delta(spec.ty))).collect();
    columns.push(nullable(UNMAPPED.to_owned(), PrimitiveType::String));
    columns.push(nullable(DAY.to_owned(), PrimitiveType::Date));
    columns
}

impl Table {
    /// Opens the table in `dir`, or makes it; gives it the columns it lacks.
    pub(crate) async fn open(dir: &Path, checkpoint_every: u64) -> Result<Self, LakeError> {
        Self::open_with(dir, checkpoint_every, columns()).await
    }

    async fn open_with(
        dir: &Path,
        checkpoint_every: u64,
        columns: Vec<StructField>,
    ) -> Result<Self, LakeError> {
        std::fs::create_dir_all(dir)
            .map_err(|source| LakeError::io("make the folder", dir, source))?;
        let dir =
            dir.canonicalize().map_err(|source| LakeError::io("find the folder", dir, source))?;
        let failed = LakeError::table("open");
        let uri = ensure_table_uri(dir.to_string_lossy()).map_err(failed)?;
        let mut table = deltalake_core::DeltaTableBuilder::from_url(uri)
            .and_then(deltalake_core::DeltaTableBuilder::build)
            .map_err(LakeError::table("open"))?;
        let exists = table.verify_deltatable_existence().await;
        if exists.map_err(LakeError::table("open"))? {
            table.load().await.map_err(LakeError::table("read its log"))?;
            let snapshot = table.snapshot().map_err(LakeError::table("read its log"))?;
            let schema = snapshot.schema();
            let mut missing = columns;
            missing.retain(|column| schema.field(column.name()).is_none());
            if !missing.is_empty() {
                tracing::info!(columns = missing.len(), "the table gets new columns");
                table = table
                    .add_columns()
                    .with_fields(missing)
                    .await
                    .map_err(LakeError::table("take new columns"))?;
            }
        } else {
            table = CreateBuilder::new()
                .with_log_store(table.log_store())
                .with_columns(columns)
                .with_partition_columns([DAY])
                .with_configuration_property(
                    deltalake_core::TableProperty::DataSkippingStatsColumns,
                    Some("time"),
                )
                .await
                .map_err(LakeError::table("be made"))?;
        }
        let state = table.snapshot().map_err(LakeError::table("read its log"))?.clone();
        let log_store = table.log_store();
        let mut table =
            Self { dir, log_store, state, checkpoint_every, durable: None, in_doubt: false };
        // A process that died may have left its last commit in memory only.
        table.sync_log()?;
        Ok(table)
    }

    /// The last segment whose events are in the table.
    pub(crate) async fn segment(&self) -> Result<Option<u64>, LakeError> {
        let version = self.state.transaction_version(&*self.log_store, APPLICATION).await;
        Ok(version.map_err(LakeError::table("read its transactions"))?.map(i64::cast_unsigned))
    }

    /// The files of the table.
    pub(crate) fn files(&self) -> Vec<DataFile> {
        self.state.log_data().iter().map(|view| self.data_file(&view)).collect()
    }

    fn data_file(&self, view: &LogicalFileView) -> DataFile {
        let path = view.path().into_owned();
        let stats: Json =
            view.stats().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let time = |which: &str| stats.get(which).and_then(|values| values.get("time")?.as_i64());
        let day = view.partition_values_map().remove(DAY).flatten().unwrap_or_default();
        DataFile {
            local: self.dir.join(&path),
            day,
            bytes: view.size().cast_unsigned(),
            rows: stats.get("numRecords").and_then(Json::as_u64).unwrap_or(0),
            // Without statistics a file may hold any time.
            min_time: time("minValues").unwrap_or(i64::MIN),
            max_time: time("maxValues").unwrap_or(i64::MAX),
            path,
        }
    }

    /// Whether a flush began a commit and did not come to its end, whatever ended it: then only
    /// [`Self::reload`] tells what stands.
    pub(crate) const fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Searches know all files of the table.
    pub(crate) const fn settled(&mut self) {
        self.in_doubt = false;
    }

    /// Reads the log again and makes what stands there durable.
    pub(crate) async fn reload(&mut self) -> Result<(), LakeError> {
        let read = self.state.update(&*self.log_store, None).await;
        read.map_err(LakeError::table("read its log again"))?;
        self.sync_log()
    }

    /// Adds the file that holds what came since the last one, up to `segment`. From here until
    /// [`Self::settled`] is called the table is in doubt: after an error, a panic or a dropped
    /// future the commit may stand.
    pub(crate) async fn add(&mut self, file: &DataFile, segment: u64) -> Result<(), LakeError> {
        self.in_doubt = true;
        let actions = vec![Action::Add(add_action(file))];
        let transaction = Transaction::new(APPLICATION, segment.cast_signed());
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![DAY.to_owned()]),
            predicate: None,
        };
        let committed = self.commit(actions, Some(transaction), operation).await;
        if let Err(error) = committed {
            // The error may have come after the commit stood: only the table knows.
            self.reload().await?;
            if self.segment().await? != Some(segment) {
                return Err(error);
            }
            tracing::warn!(%error, "the commit stands in spite of the error");
        }
        self.sync_log()?;
        self.checkpoint().await;
        Ok(())
    }

    /// Takes one file out of the table.
    pub(crate) async fn remove(&mut self, file: &DataFile) -> Result<(), LakeError> {
        let remove = Remove {
            path: file.path.clone(),
            data_change: true,
            deletion_timestamp: Some(now_millis()),
            extended_file_metadata: Some(true),
            partition_values: Some(HashMap::from([(DAY.to_owned(), Some(file.day.clone()))])),
            size: Some(file.bytes.cast_signed()),
            ..Remove::default()
        };
        let operation = DeltaOperation::Delete { predicate: None };
        self.commit(vec![Action::Remove(remove)], None, operation).await?;
        self.sync_log()
    }

    async fn commit(
        &mut self,
        actions: Vec<Action>,
        transaction: Option<Transaction>,
        operation: DeltaOperation,
    ) -> Result<(), LakeError> {
        let mut properties = CommitProperties::default()
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        if let Some(transaction) = transaction {
            properties = properties.with_application_transaction(transaction);
        }
        let finished = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.state), self.log_store.clone(), operation)
            .await
            .map_err(LakeError::table("take a commit"))?;
        self.state = finished.snapshot();
        Ok(())
    }

    /// Makes the log's entries durable that are not known to be: the segments they replace are
    /// deleted next.
    fn sync_log(&mut self) -> Result<(), LakeError> {
        let log = self.dir.join("_delta_log");
        let newest = self.state.version();
        for version in self.durable.map_or(newest, |durable| durable + 1)..=newest {
            let entry = log.join(format!("{version:020}.json"));
            File::open(&entry)
                .and_then(|file| file.sync_all())
                .map_err(|source| LakeError::io("make durable", &entry, source))?;
        }
        sync_dir(&log)?;
        self.durable = Some(newest);
        Ok(())
    }

    /// A checkpoint now and then; without it the table only opens more slowly.
    async fn checkpoint(&self) {
        if self.checkpoint_every == 0 || !self.state.version().is_multiple_of(self.checkpoint_every)
        {
            return;
        }
        let result = async {
            let mut table = DeltaTable::new(self.log_store.clone());
            table.load().await?;
            deltalake_core::checkpoints::create_checkpoint(&table, None).await
        };
        if let Err(error) = result.await {
            tracing::warn!(%error, "no checkpoint of the table's log this time");
        }
    }

    /// The table's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn add_action(file: &DataFile) -> Add {
    let stats = json!({
        "numRecords": file.rows,
        "minValues": { "time": file.min_time },
        "maxValues": { "time": file.max_time },
        "nullCount": { "time": 0 },
    });
    Add {
        path: file.path.clone(),
        partition_values: HashMap::from([(DAY.to_owned(), Some(file.day.clone()))]),
        size: file.bytes.cast_signed(),
        modification_time: now_millis(),
        data_change: true,
        stats: Some(stats.to_string()),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, Table, columns};

    #[tokio::test]
    async fn a_table_of_an_older_version_gets_the_new_columns() {
        let dir = tempfile::tempdir().unwrap();
        let mut old = columns();
        old.retain(|column| column.name() == "time" || column.name() == DAY);
        let table = Table::open_with(dir.path(), 50, old).await.unwrap();
        assert_eq!(table.state.schema().fields().count(), 2);
        drop(table);
        for _ in 0..2 {
            let table = Table::open(dir.path(), 50).await.unwrap();
            assert_eq!(table.state.schema().fields().count(), columns().len());
            assert_eq!(table.state.version(), 1, "the columns are added once");
        }
    }
}
