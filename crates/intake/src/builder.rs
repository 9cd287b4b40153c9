//! The one place where imported events are put together.
//!
//! Invariant: a typed field is set from text only when it reads as that text does; otherwise the
//! text is kept under the name its source gives it.

use metsuke_event::field::FieldSpec;
use metsuke_event::time::Timestamp;
use metsuke_event::value::{FieldType, Text};
use metsuke_event::{Activity, Event, Kind, Value};

use crate::bounds;

/// An event in the making.
pub(crate) struct Builder(Event);

impl Builder {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Event::empty(kind))
    }

    /// Of an event that was put together elsewhere.
    pub(crate) fn of(event: Event) -> Self {
        Self(event)
    }

    /// Makes room for so many fields.
    pub(crate) fn room(&mut self, fields: usize) {
        self.0.unmapped.reserve(fields.min(bounds::FIELDS));
    }

    pub(crate) fn time(&mut self, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.0.time = time;
        }
    }

    pub(crate) fn host(&mut self, host: Option<Text>) {
        if let Some(host) = host.filter(|host| !host.is_empty()) {
            self.0.host = Some(host);
        }
    }

    /// Keeps a field under its source's name.
    pub(crate) fn keep(&mut self, name: &str, value: &Value) {
        if self.0.unmapped.len() < bounds::FIELDS {
            self.0.unmapped.push(name, value.as_ref());
        }
    }

    /// Sets a row's field when `value` can be it and reads the same; whether it was set.
    pub(crate) fn typed(&mut self, spec: &FieldSpec, value: &Value) -> bool {
        match exact(spec.ty, value) {
            Some(value) => fits(spec, &value) && self.0.set(spec.id, &value),
            None => false,
        }
    }

    /// Sets a row's field from a value that stays beside it under its source's name, so it may be
    /// written in another way: numbers in hexadecimal, addresses in long form.
    pub(crate) fn also(&mut self, spec: &FieldSpec, value: &Value) -> bool {
        match lenient(spec.ty, value) {
            Some(value) => fits(spec, &value) && self.0.set(spec.id, &value),
            None => false,
        }
    }

    /// Says where a record of unknown meaning stood and what its source calls such; of other
    /// records nothing, for their kind says it.
    pub(crate) fn imported(&mut self, log: &str, kind: &str) {
        if let Activity::Imported(imported) = &mut self.0.activity {
            imported.log = (!log.is_empty()).then(|| log.into());
            imported.kind = (!kind.is_empty()).then(|| kind.into());
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.activity.kind()
    }

    pub(crate) fn done(self) -> Event {
        self.0
    }
}

/// Whether a text is as short as the field table wants it; a longer one stays under its own name.
fn fits(spec: &FieldSpec, value: &Value) -> bool {
    match value {
        Value::Text(text) if text.len() > bounds::COMMAND_LINE_BYTES => match spec.name {
            "process.cmd_line" | "process.parent_process.cmd_line" => false,
            "script.content" => text.len() <= bounds::SCRIPT_BYTES,
            _ => true,
        },
        _ => true,
    }
}

/// `value` as one of type `ty` that reads the same.
fn exact(ty: FieldType, value: &Value) -> Option<Value> {
    match (ty, value) {
        (FieldType::Text, Value::Text(_))
        | (FieldType::U64, Value::U64(_))
        | (FieldType::I64, Value::I64(_))
        | (FieldType::Bool, Value::Bool(_))
        | (FieldType::Ip, Value::Ip(_))
        | (FieldType::Time, Value::Time(_)) => Some(value.clone()),
        (ty, value) => {
            let text = value.as_ref().to_text();
            Value::parse(ty, &text).filter(|parsed| parsed.as_ref().to_text() == text)
        }
    }
}

/// `value` as one of type `ty`, however it is written.
fn lenient(ty: FieldType, value: &Value) -> Option<Value> {
    if let Some(value) = exact(ty, value) {
        return Some(value);
    }
    let text = value.as_ref().to_text();
    let text = text.trim();
    match ty {
        FieldType::U64 => {
            let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
            u64::from_str_radix(hex, 16).ok().map(Value::U64)
        }
        FieldType::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(Value::Bool(true)),
            "false" | "0" | "no" => Some(Value::Bool(false)),
            _ => None,
        },
        FieldType::Time => time(text).map(Value::Time),
        ty => Value::parse(ty, text),
    }
}

/// A time as logs write it: RFC 3339, or `2020-09-04 19:11:09.123` and the like, in UTC.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let text = text.trim().trim_end_matches('Z').trim_end_matches(" UTC");
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%m/%d/%Y %H:%M:%S%.f"].iter().find_map(
        |form| {
            let time = chrono::NaiveDateTime::parse_from_str(text, form).ok()?;
            time.and_utc().timestamp_nanos_opt().map(Timestamp::from_nanos)
        },
    )
}

/// `text` cut at [`bounds::TEXT_BYTES`].
pub(crate) fn bounded(text: &str) -> Text {
    text[..text.floor_char_boundary(bounds::TEXT_BYTES)].into()
}
