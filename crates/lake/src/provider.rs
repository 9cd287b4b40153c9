//! One moment's files and tail as a table of the query engine.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use crate::request::TimeRange;
use crate::schema::schema;
use crate::view::{DataFile, TailPart, View};

/// A file, and which of its row groups are to be read; `None` for all of them.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) file: DataFile,
    pub(crate) groups: Option<Vec<bool>>,
}

/// The events of a view that may lie in a time range.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventsTable {
    parts: Vec<Part>,
    tail: Vec<TailPart>,
}

/// Smallest and greatest event time of something.
pub(crate) type Span = (i64, i64);

impl EventsTable {
    pub(crate) fn new(view: &View, range: TimeRange) -> Self {
        let files = view.files.iter().filter(|file| file.overlaps(range));
        let overlaps =
            |low: i64, high: i64| low < range.to.as_nanos() && range.from.as_nanos() <= high;
        let tail = view.tail.iter().filter(|part| overlaps(part.min_time, part.max_time));
        Self {
            parts: files.map(|file| Part { file: file.clone(), groups: None }).collect(),
            tail: tail.cloned().collect(),
        }
    }

    /// The same with only some of the files, or only some of their row groups.
    pub(crate) fn with_parts(&self, parts: Vec<Part>) -> Self {
        Self { parts, tail: self.tail.clone() }
    }

    /// What may hold events from `low` to `high`, both included.
    pub(crate) fn between(&self, (low, high): Span) -> Self {
        let touches = |least: i64, most: i64| least <= high && low <= most;
        let mut table = self.clone();
        table.parts.retain(|part| touches(part.file.min_time, part.file.max_time));
        table.tail.retain(|part| touches(part.min_time, part.max_time));
        table
    }

    /// Each file and each batch of the tail as a table of its own, with its times and rows.
    pub(crate) fn pieces(&self) -> Vec<(Span, u64, Self)> {
        let files = self.parts.iter().map(|part| {
            let piece = Self { parts: vec![part.clone()], tail: Vec::new() };
            ((part.file.min_time, part.file.max_time), part.file.rows, piece)
        });
        let tail = self.tail.iter().map(|part| {
            let piece = Self { parts: Vec::new(), tail: vec![part.clone()] };
            ((part.min_time, part.max_time), part.batch.num_rows() as u64, piece)
        });
        files.chain(tail).collect()
    }

    /// This and `other` as one.
    pub(crate) fn join(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.tail.extend(other.tail);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.tail.is_empty()
    }

    pub(crate) fn tail_rows(&self) -> u64 {
        self.tail.iter().map(|part| part.batch.num_rows() as u64).sum()
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn files(&self) -> Vec<DataFile> {
        self.parts.iter().map(|part| part.file.clone()).collect()
    }

    fn scan_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = state.config_options();
        let parquet = TableParquetOptions {
            global: options.execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = ParquetSource::new(schema()).with_table_parquet_options(parquet);
        let groups = options.execution.target_partitions.clamp(1, self.parts.len().max(1));
        let mut file_groups = vec![Vec::new(); groups];
        for (index, Part { file, groups: wanted }) in self.parts.iter().enumerate() {
            let path = object_store::path::Path::from_absolute_path(&file.local)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            let mut part = PartitionedFile::new(String::new(), file.bytes);
            part.object_meta.location = path;
            if let Some(wanted) = wanted {
                let access = wanted.iter().map(|wanted| {
                    if *wanted { RowGroupAccess::Scan } else { RowGroupAccess::Skip }
                });
                part = part.with_extension(ParquetAccessPlan::new(access.collect()));
            }
            file_groups[index % groups].push(part);
        }
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
                .with_file_groups(file_groups.into_iter().map(FileGroup::new).collect())
                .with_projection_indices(projection.cloned())?
                .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // The engine's filter stays; the optimiser also pushes it into the Parquet reader.
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.parts.is_empty() {
            plans.push(self.scan_files(state, projection)?);
        }
        if !self.tail.is_empty() {
            let batches: Vec<RecordBatch> =
                self.tail.iter().map(|part| part.batch.clone()).collect();
            plans.push(MemorySourceConfig::try_new_exec(
                &[batches],
                schema(),
                projection.cloned(),
            )?);
        }
        match plans.len() {
            0 => {
                let shape = match projection {
                    Some(indices) => Arc::new(schema().project(indices)?),
                    None => schema(),
                };
                Ok(Arc::new(EmptyExec::new(shape)))
            }
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}
