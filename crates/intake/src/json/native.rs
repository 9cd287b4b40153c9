//! The product's own lines: one flat object per activity by canonical names, as
//! `metsuke-sensor record --format native` writes them.

use metsuke_event::field;
use metsuke_event::{Event, Kind, Value};
use serde_json::Value as Json;

use crate::builder::Builder;
use crate::json::flat::{fields, value};
use crate::json::{Object, Read, SourcesOf, System};
use crate::record::Record;

/// Whether `object` names its class.
pub(super) fn is(object: &Object) -> bool {
    object.get("class").and_then(Json::as_str).is_some_and(|name| Kind::from_name(name).is_some())
}

pub(super) fn read(sources: &mut SourcesOf, number: u64, object: Object) -> Read {
    let mut known = Vec::with_capacity(object.len());
    let mut rest = Object::new();
    for (name, json) in object {
        let Some(spec) = field::by_name(&name) else {
            rest.insert(name, json);
            continue;
        };
        let Some(found) = value(json) else { continue };
        let text = found.as_ref().to_text();
        let Some(value) = Value::parse(spec.ty, &text) else {
            return Err(format!("`{name}` holds {text:.100}, which is no {:?}", spec.ty));
        };
        known.push((spec.id, value));
    }
    let Some((event, other)) = Event::from_fields(known) else {
        return Err("`class` is missing, or names no kind of activity".to_owned());
    };
    let mut builder = Builder::of(event);
    for (id, value) in other {
        if let Some(spec) = field::by_id(id) {
            builder.keep(spec.name, &value);
        }
    }
    for (name, value) in fields(rest) {
        builder.keep(&name, &value);
    }
    let kind = builder.kind();
    Ok(Record { event: builder.done(), sources: sources.get(kind, System::Linux), number })
}
