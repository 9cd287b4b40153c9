//! Events to columns and back. Lossless: what goes in comes out equal.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int64Array, Int64Builder, RecordBatch,
    StringArray, StringBuilder,
};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use metsuke_event::field::meta;
use metsuke_event::{Event, FIELDS, FieldId, FieldType, SourceFields, Timestamp, Value, ValueRef};
use serde_json::{Value as Json, json};

use crate::schema::{schema, thrifty};

enum Column {
    Text(StringBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
}

impl Column {
    fn new(ty: FieldType, rows: usize) -> Self {
        match ty {
            FieldType::Text | FieldType::Ip => Self::Text(StringBuilder::with_capacity(rows, 0)),
            FieldType::U64 | FieldType::I64 | FieldType::Time => {
                Self::Int(Int64Builder::with_capacity(rows))
            }
            FieldType::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
        }
    }

    fn push(&mut self, value: Option<ValueRef<'_>>) {
        match (self, value) {
            (Self::Text(column), Some(ValueRef::Text(text))) => column.append_value(text),
            (Self::Text(column), Some(other)) => column.append_value(other.to_text()),
            (Self::Text(column), None) => column.append_null(),
            (Self::Int(column), Some(ValueRef::U64(n))) => column.append_value(n.cast_signed()),
            (Self::Int(column), Some(ValueRef::I64(n))) => column.append_value(n),
            (Self::Int(column), Some(ValueRef::Time(t))) => column.append_value(t.as_nanos()),
            (Self::Int(column), _) => column.append_null(),
            (Self::Bool(column), Some(ValueRef::Bool(b))) => column.append_value(b),
            (Self::Bool(column), _) => column.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        thrifty(match self {
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Int(mut column) => Arc::new(column.finish()),
            Self::Bool(mut column) => Arc::new(column.finish()),
        })
    }
}

/// One record batch of `events`.
pub(crate) fn encode(events: &[Event]) -> Result<RecordBatch, ArrowError> {
    let mut columns = Vec::with_capacity(FIELDS.len() + 1);
    for spec in FIELDS.iter() {
        let mut column = Column::new(spec.ty, events.len());
        match spec.id {
            meta::ENDPOINT => identity(&mut column, events, |event| event.id.endpoint.as_u128()),
            meta::BOOT => identity(&mut column, events, |event| event.id.boot.as_u128()),
            id => events.iter().for_each(|event| column.push(event.get(id))),
        }
        columns.push(column.finish());
    }
    let mut unmapped = StringBuilder::new();
    for event in events {
        if event.unmapped.is_empty() {
            unmapped.append_null();
        } else {
            unmapped.append_value(unmapped_to_text(&event.unmapped));
        }
    }
    columns.push(thrifty(Arc::new(unmapped.finish())));
    RecordBatch::try_new(schema(), columns)
}

/// Identities repeat: each run is printed once.
fn identity(column: &mut Column, events: &[Event], id: impl Fn(&Event) -> u128) {
    let mut last = None;
    let mut text = String::new();
    for event in events {
        let bits = id(event);
        if last != Some(bits) {
            text = format!("{bits:032x}");
            last = Some(bits);
        }
        column.push(Some(ValueRef::Text(&text)));
    }
}

enum Cells<'a> {
    Text(&'a StringArray),
    Int(&'a Int64Array),
    Bool(&'a BooleanArray),
}

/// The events of `batch`, which is in today's schema. Rows that name no known class (a newer
/// version's) are left out and counted in the second part.
pub(crate) fn decode(batch: &RecordBatch) -> (Vec<Event>, usize) {
    let mut columns: Vec<(FieldId, FieldType, Cells<'_>)> = Vec::new();
    for (spec, array) in FIELDS.iter().zip(batch.columns()) {
        if array.null_count() == array.len() {
            continue;
        }
        let cells = if let Some(text) = array.as_string_opt::<i32>() {
            Cells::Text(text)
        } else if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
            Cells::Int(ints)
        } else if let Some(bools) = array.as_boolean_opt() {
            Cells::Bool(bools)
        } else {
            continue;
        };
        columns.push((spec.id, spec.ty, cells));
    }
    let unmapped = batch.columns().get(FIELDS.len()).and_then(|array| array.as_string_opt::<i32>());
    let mut events = Vec::with_capacity(batch.num_rows());
    let mut unknown = 0;
    for row in 0..batch.num_rows() {
        let fields =
            columns.iter().filter_map(|(id, ty, cells)| Some((*id, cell(*ty, cells, row)?)));
        let Some((mut event, _)) = Event::from_fields(fields) else {
            unknown += 1;
            continue;
        };
        if let Some(unmapped) = unmapped
            && unmapped.is_valid(row)
        {
            event.unmapped = unmapped_from_text(unmapped.value(row));
        }
        events.push(event);
    }
    (events, unknown)
}

fn cell(ty: FieldType, cells: &Cells<'_>, row: usize) -> Option<Value> {
    match cells {
        Cells::Text(array) if array.is_valid(row) => match ty {
            FieldType::Ip => array.value(row).parse::<IpAddr>().ok().map(Value::Ip),
            _ => Some(Value::Text(array.value(row).into())),
        },
        Cells::Int(array) if array.is_valid(row) => Some(match ty {
            FieldType::U64 => Value::U64(array.value(row).cast_unsigned()),
            FieldType::Time => Value::Time(Timestamp::from_nanos(array.value(row))),
            _ => Value::I64(array.value(row)),
        }),
        Cells::Bool(array) if array.is_valid(row) => Some(Value::Bool(array.value(row))),
        _ => None,
    }
}

fn unmapped_to_text(fields: &SourceFields) -> String {
    let pairs = fields.iter().map(|(name, value)| {
        let value = match value {
            ValueRef::Text(text) => json!(text),
            ValueRef::U64(number) => json!(number),
            ValueRef::Bool(flag) => json!(flag),
            ValueRef::I64(number) => json!({ "i64": number }),
            ValueRef::Ip(address) => json!({ "ip": address }),
            ValueRef::Time(time) => json!({ "time": time.as_nanos() }),
        };
        json!([&*name, value])
    });
    Json::Array(pairs.collect()).to_string()
}

fn unmapped_from_text(text: &str) -> SourceFields {
    let Ok(Json::Array(pairs)) = serde_json::from_str(text) else { return SourceFields::default() };
    pairs
        .iter()
        .filter_map(|pair| Some((pair.get(0)?.as_str()?, unmapped_value(pair.get(1)?)?)))
        .collect()
}

fn unmapped_value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::String(text) => Value::Text(text.as_str().into()),
        Json::Number(number) => Value::U64(number.as_u64()?),
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Object(tagged) => {
            let (tag, value) = tagged.iter().next()?;
            match tag.as_str() {
                "i64" => Value::I64(value.as_i64()?),
                "ip" => Value::Ip(value.as_str()?.parse().ok()?),
                "time" => Value::Time(Timestamp::from_nanos(value.as_i64()?)),
                _ => return None,
            }
        }
        _ => return None,
    })
}
