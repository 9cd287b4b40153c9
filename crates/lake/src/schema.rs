//! The Arrow schema of events, derived from the field table, and which columns are special.
//!
//! Invariant: column `i` is row `i` of the field table; the last column is `unmapped`.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use metsuke_event::field::by_id;
use metsuke_event::{FIELDS, FieldId, FieldType};

/// Most rows of one record batch in the log and the tail: batches stay in the CPU's caches.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// The column of fields the table has no row for.
pub(crate) const UNMAPPED: &str = "unmapped";
/// The table's partition column.
pub(crate) const DAY: &str = "day";

/// Fields with bloom filters: what narrow questions ask for.
pub(crate) const BLOOM_FIELDS: &[&str] = &[
    "process.file.hash.sha256",
    "file.hash.sha256",
    "driver.file.hash.sha256",
    "script.hash.sha256",
    "dst_endpoint.ip",
    "src_endpoint.ip",
    "dns_server.ip",
    "query.hostname",
    "process.uid",
    "process.parent_process.uid",
    "process.storyline",
];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields: Vec<Field> =
        FIELDS.iter().map(|spec| Field::new(spec.column(), data_type(spec.ty), true)).collect();
    fields.push(Field::new(UNMAPPED, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
});

/// Shared all-null columns: most columns of a batch are empty, and cost nothing this way.
static NULLS: LazyLock<[ArrayRef; 3]> = LazyLock::new(|| {
    [DataType::Utf8, DataType::Int64, DataType::Boolean]
        .map(|data_type| new_null_array(&data_type, BATCH_ROWS))
});

/// The schema of events.
pub(crate) fn schema() -> SchemaRef {
    SchemaRef::clone(&SCHEMA)
}

pub(crate) const fn data_type(ty: FieldType) -> DataType {
    match ty {
        FieldType::Text | FieldType::Ip => DataType::Utf8,
        FieldType::U64 | FieldType::I64 | FieldType::Time => DataType::Int64,
        FieldType::Bool => DataType::Boolean,
    }
}

/// The column of field `id`.
pub(crate) fn column_of(id: FieldId) -> Option<String> {
    by_id(id).map(metsuke_event::FieldSpec::column)
}

/// The index of field `id`'s column.
pub(crate) fn index_of(id: FieldId) -> Option<usize> {
    FIELDS.binary_search_by_key(&id, |spec| spec.id).ok()
}

/// `array`, or when it holds nothing, a slice of the shared empty one.
pub(crate) fn thrifty(array: ArrayRef) -> ArrayRef {
    if array.null_count() < array.len() || array.len() > BATCH_ROWS {
        return array;
    }
    NULLS
        .iter()
        .find(|nulls| nulls.data_type() == array.data_type())
        .map_or(array.clone(), |nulls| nulls.slice(0, array.len()))
}

/// `batch` in today's schema: columns by name, missing ones null, unknown ones left out.
pub(crate) fn conform(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    if batch.schema_ref() == &*SCHEMA {
        return Ok(batch.clone());
    }
    let columns = SCHEMA
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => ArrayRef::clone(column),
            _ => thrifty(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect();
    RecordBatch::try_new(schema(), columns)
}
