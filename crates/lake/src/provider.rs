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
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use crate::request::TimeRange;
use crate::schema::schema;
use crate::view::{DataFile, View};

/// The events of a view that may lie in a time range.
#[derive(Debug)]
pub(crate) struct EventsTable {
    files: Vec<DataFile>,
    tail: Vec<RecordBatch>,
}

impl EventsTable {
    pub(crate) fn new(view: &View, range: TimeRange) -> Self {
        let overlaps =
            |low: i64, high: i64| low < range.to.as_nanos() && range.from.as_nanos() <= high;
        Self {
            files: view.files.iter().filter(|file| file.overlaps(range)).cloned().collect(),
            tail: view
                .tail
                .iter()
                .filter(|part| overlaps(part.min_time, part.max_time))
                .map(|part| part.batch.clone())
                .collect(),
        }
    }

    /// Rows that a scan has to consider.
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum::<u64>()
            + self.tail.iter().map(|batch| batch.num_rows() as u64).sum::<u64>()
    }

    pub(crate) fn files(&self) -> &[DataFile] {
        &self.files
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
        let groups = options.execution.target_partitions.clamp(1, self.files.len().max(1));
        let mut file_groups = vec![Vec::new(); groups];
        for (index, file) in self.files.iter().enumerate() {
            let path = object_store::path::Path::from_absolute_path(&file.local)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            let mut part = PartitionedFile::new(String::new(), file.bytes);
            part.object_meta.location = path;
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
        if !self.files.is_empty() {
            plans.push(self.scan_files(state, projection)?);
        }
        if !self.tail.is_empty() {
            let parts = [self.tail.clone()];
            plans.push(MemorySourceConfig::try_new_exec(&parts, schema(), projection.cloned())?);
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
