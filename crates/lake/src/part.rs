//! A sorted Parquet file from the tail's batches. Blocking; runs beside the runtime.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use metsuke_event::Timestamp;
use metsuke_event::field::{by_name, meta};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::error::LakeError;
use crate::frame::time_bounds;
use crate::schema::{BLOOM_FIELDS, DAY, index_of, schema};
use crate::view::DataFile;
use crate::wal::sync_dir;

/// Rows of a row group: the unit of pruning by statistics and bloom filters.
const ROW_GROUP_ROWS: usize = 262_144;
/// Rows of a page: the unit of pruning by the page index.
const PAGE_ROWS: usize = 20_000;
/// Characters of `YYYY-MM-DD`.
const DAY_LENGTH: usize = 10;
/// zstd level of Parquet pages: past 3 it costs more than it saves.
const PARQUET_ZSTD: i32 = 3;

/// Writes `batches` as one file under `table_dir`, of the day `now` lies in, durable on return.
pub(crate) fn write_part(
    batches: &[RecordBatch],
    table_dir: &Path,
    now: Timestamp,
    segment: u64,
) -> Result<DataFile, LakeError> {
    let whole = concat_batches(&schema(), batches).map_err(LakeError::arrow("join the tail"))?;
    let batch = sorted(&whole).map_err(LakeError::arrow("sort the tail"))?;
    let day: String = now.to_string().chars().take(DAY_LENGTH).collect();
    let folder = format!("{DAY}={day}");
    let dir = table_dir.join(&folder);
    std::fs::create_dir_all(&dir)
        .map_err(|source| LakeError::io("make the folder", &dir, source))?;
    let name = format!("part-{segment:020}.parquet");
    let local = dir.join(&name);
    let written = write_file(&batch, &local);
    if written.is_err() {
        // No commit names it; gone now rather than at the next opening.
        let _ = std::fs::remove_file(&local);
    }
    let bytes = written?;
    sync_dir(&dir)?;
    sync_dir(table_dir)?;
    let (min_time, max_time) = time_bounds(&batch);
    Ok(DataFile {
        path: format!("{folder}/{name}"),
        local,
        day,
        bytes,
        rows: batch.num_rows() as u64,
        min_time,
        max_time,
    })
}

fn sorted(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let key = |id| {
        index_of(id)
            .and_then(|index| batch.columns().get(index))
            .map(|values| SortColumn { values: ArrayRef::clone(values), options: None })
    };
    let keys: Vec<SortColumn> =
        [meta::ENDPOINT, meta::TIME, meta::SEQ].into_iter().filter_map(key).collect();
    let order = lexsort_to_indices(&keys, None)?;
    take_record_batch(batch, &order)
}

fn properties(rows: usize) -> Result<WriterProperties, LakeError> {
    let level = ZstdLevel::try_new(PARQUET_ZSTD)
        .map_err(|source| LakeError::Parquet { path: std::path::PathBuf::new(), source })?;
    let sorting = [meta::ENDPOINT, meta::TIME, meta::SEQ]
        .into_iter()
        .filter_map(|id| i32::try_from(index_of(id)?).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
        .collect();
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_created_by(concat!("metsuke ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(sorting));
    for name in ["time", "received_time", "metadata.sequence"] {
        let Some(spec) = by_name(name) else { continue };
        let path = ColumnPath::from(spec.column());
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for name in BLOOM_FIELDS {
        let Some(spec) = by_name(name) else { continue };
        let path = ColumnPath::from(spec.column());
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, rows.clamp(64, ROW_GROUP_ROWS) as u64);
    }
    Ok(builder.build())
}

fn write_file(batch: &RecordBatch, path: &Path) -> Result<u64, LakeError> {
    let io = |source| LakeError::io("write", path, source);
    let parquet = |source: parquet::errors::ParquetError| parquet_error(path, source);
    let file = Arc::new(File::create(path).map_err(io)?);
    let mut writer =
        ArrowWriter::try_new(&*file, batch.schema(), Some(properties(batch.num_rows())?))
            .map_err(parquet)?;
    writer.write(batch).map_err(parquet)?;
    writer.close().map_err(parquet)?;
    file.sync_all().map_err(io)?;
    Ok(file.metadata().map_err(io)?.len())
}

/// A full disk comes out of the writer wrapped; it is told apart here.
fn parquet_error(path: &Path, source: parquet::errors::ParquetError) -> LakeError {
    if let parquet::errors::ParquetError::External(inner) = &source
        && let Some(io) = inner.downcast_ref::<std::io::Error>()
    {
        return LakeError::io("write", path, std::io::Error::from(io.kind()));
    }
    LakeError::Parquet { path: path.to_owned(), source }
}
