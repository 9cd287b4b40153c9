//! Sorted Parquet files from the tail's batches. Blocking; runs beside the runtime.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::Int64Type;
use metsuke_event::field::{by_name, meta};
use metsuke_event::{FieldId, Timestamp};
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
/// zstd level of Parquet pages: past 3 it costs more than it saves.
const PARQUET_ZSTD: i32 = 3;

/// Writes `batches` under `table_dir`, one file a day, durable on return.
pub(crate) fn write_parts(
    batches: &[RecordBatch],
    table_dir: &Path,
    segment: u64,
) -> Result<Vec<DataFile>, LakeError> {
    let whole = concat_batches(&schema(), batches).map_err(LakeError::arrow("join the tail"))?;
    let mut files = Vec::new();
    for (day, rows) in by_day(&whole) {
        let batch = sorted(&whole, &rows).map_err(LakeError::arrow("sort the tail"))?;
        files.push(write_part(&batch, table_dir, &day, segment)?);
    }
    Ok(files)
}

/// Rows by the day the server received them, the event's own day where that is unknown.
fn by_day(batch: &RecordBatch) -> BTreeMap<String, Vec<u32>> {
    let times = |id: FieldId| {
        index_of(id)
            .and_then(|index| batch.columns().get(index))
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
    };
    let (received, time) = (times(meta::RECEIVED), times(meta::TIME));
    let mut days: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut last: Option<(i64, String)> = None;
    for row in 0..batch.num_rows() {
        let at = |column: Option<&arrow::array::Int64Array>| {
            column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
        };
        let nanos = at(received).or_else(|| at(time)).unwrap_or(0);
        let number = nanos.div_euclid(86_400_000_000_000);
        let day = match &last {
            Some((known, day)) if *known == number => day.clone(),
            _ => Timestamp::from_nanos(nanos).to_string().chars().take(10).collect(),
        };
        last = Some((number, day.clone()));
        days.entry(day).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    days
}

fn sorted(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let batch = if rows.len() == batch.num_rows() {
        batch.clone()
    } else {
        take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?
    };
    let key = |id| {
        index_of(id)
            .and_then(|index| batch.columns().get(index))
            .map(|values| SortColumn { values: ArrayRef::clone(values), options: None })
    };
    let keys: Vec<SortColumn> =
        [meta::ENDPOINT, meta::TIME, meta::SEQ].into_iter().filter_map(key).collect();
    let order = lexsort_to_indices(&keys, None)?;
    take_record_batch(&batch, &order)
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

fn write_part(
    batch: &RecordBatch,
    table_dir: &Path,
    day: &str,
    segment: u64,
) -> Result<DataFile, LakeError> {
    let folder = format!("{DAY}={day}");
    let dir = table_dir.join(&folder);
    std::fs::create_dir_all(&dir)
        .map_err(|source| LakeError::io("make the folder", &dir, source))?;
    let name = format!("part-{segment:020}.parquet");
    let local = dir.join(&name);
    let written = write_file(batch, &local);
    if written.is_err() {
        // No commit names it; gone now rather than at the next opening.
        let _ = std::fs::remove_file(&local);
    }
    let bytes = written?;
    sync_dir(&dir)?;
    sync_dir(table_dir)?;
    let (min_time, max_time) = time_bounds(batch);
    Ok(DataFile {
        path: format!("{folder}/{name}"),
        local,
        day: day.to_owned(),
        bytes,
        rows: batch.num_rows() as u64,
        min_time,
        max_time,
    })
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
