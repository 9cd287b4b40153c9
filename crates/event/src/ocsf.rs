//! OCSF 1.4 JSON: the external form of an activity.
//!
//! The canonical name of a field is its OCSF path; `process.` becomes `actor.process.` outside
//! process activities, where the process is the actor and not the subject. What OCSF has no
//! attribute for travels under `unmapped`, so the round trip loses nothing;
//! [`unfit`] lists those fields.

use serde_json::{Map, Value as Json, json};

use crate::activity::{Activity, Event, Kind};
use crate::field::{FIELDS, FieldSpec, Group, meta};
use crate::projection::{ProjectionError, from_json, get, set, to_json};
use crate::value::{FieldType, Value};

/// The schema version the projection follows.
pub const VERSION: &str = "1.4.0";

/// The fields OCSF has no home for.
pub fn unfit() -> impl Iterator<Item = &'static FieldSpec> {
    FIELDS.iter().copied().filter(|spec| !spec.fits_ocsf)
}

fn path(spec: &FieldSpec, kind: Kind) -> String {
    if !spec.fits_ocsf {
        return format!("unmapped.{}", spec.name);
    }
    match spec.group {
        Group::Process if !matches!(Activity::empty(kind), Activity::Process(_)) => {
            format!("actor.{}", spec.name)
        }
        _ => spec.name.to_owned(),
    }
}

/// The activity as one OCSF object.
pub fn to_ocsf(event: &Event) -> Json {
    let kind = event.activity.kind();
    let (class_uid, activity_id, activity_name) = kind.ocsf();
    let mut object = Map::new();
    object.insert("class_uid".to_owned(), json!(class_uid));
    object.insert("category_uid".to_owned(), json!(class_uid / 1000));
    object.insert("activity_id".to_owned(), json!(activity_id));
    object.insert("activity_name".to_owned(), json!(activity_name));
    object.insert("type_uid".to_owned(), json!(class_uid * 100 + activity_id));
    object.insert("severity_id".to_owned(), json!(1));
    object.insert("time".to_owned(), json!(event.time.as_millis()));
    set(&mut object, "metadata.version", json!(VERSION));
    set(&mut object, "metadata.product.name", json!("Metsuke"));
    for (spec, value) in event.fields() {
        match spec.id {
            meta::CLASS => {}
            // OCSF times are milliseconds; the nanoseconds go beside them.
            meta::TIME => set(&mut object, "unmapped.time_dt", to_json(&value)),
            _ => set(&mut object, &path(spec, kind), to_json(&value)),
        }
    }
    for (name, value) in &event.unmapped {
        let source = object.entry("raw_data_fields").or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(source) = source {
            source.insert(name.to_string(), tagged(value));
        }
    }
    Json::Object(object)
}

/// Reads an OCSF object. What it holds beyond the field table is passed over.
pub fn from_ocsf(document: &Json) -> Result<Event, ProjectionError> {
    let object = document.as_object().ok_or(ProjectionError::NotAnObject)?;
    let number = |name: &str| object.get(name).and_then(Json::as_u64);
    let kind = Kind::ALL.iter().copied().find(|kind| {
        let (class, activity, label) = kind.ocsf();
        number("class_uid") == Some(u64::from(class))
            && number("activity_id") == Some(u64::from(activity))
            && (activity != 99 || object.get("activity_name").and_then(Json::as_str) == Some(label))
    });
    let kind = kind.ok_or_else(|| ProjectionError::UnknownKind {
        path: "class_uid and activity_id",
        found: format!("{:?}, {:?}", object.get("class_uid"), object.get("activity_id")),
    })?;
    let mut fields = vec![(meta::CLASS, Value::Text(kind.name().into()))];
    for spec in FIELDS.iter() {
        let path = path(spec, kind);
        let value = match spec.id {
            meta::CLASS => continue,
            meta::TIME => time(object)?,
            _ => get(object, &path).map(|json| from_json(&path, json, spec.ty)).transpose()?,
        };
        if let Some(value) = value {
            fields.push((spec.id, value));
        }
    }
    let unknown = || ProjectionError::UnknownKind { path: "class_uid", found: String::new() };
    let (mut event, _) = Event::from_fields(fields).ok_or_else(unknown)?;
    if let Some(Json::Object(source)) = object.get("raw_data_fields") {
        event.unmapped = source
            .iter()
            .filter_map(|(name, json)| Some((name.as_str().into(), untag(json)?)))
            .collect();
    }
    Ok(event)
}

fn time(object: &Map<String, Json>) -> Result<Option<Value>, ProjectionError> {
    if let Some(exact) = get(object, "unmapped.time_dt") {
        return from_json("unmapped.time_dt", exact, FieldType::Time).map(Some);
    }
    Ok(object
        .get("time")
        .and_then(Json::as_i64)
        .map(|millis| Value::Time(crate::time::Timestamp::from_millis(millis))))
}

fn tagged(value: &Value) -> Json {
    let ty = match value {
        Value::Text(_) => return to_json(value),
        Value::U64(_) => "u64",
        Value::I64(_) => "i64",
        Value::Bool(_) => "bool",
        Value::Ip(_) => "ip",
        Value::Time(_) => "time",
    };
    json!({ ty: to_json(value) })
}

fn untag(json: &Json) -> Option<Value> {
    let Json::Object(object) = json else {
        return Some(Value::Text(json.as_str()?.into()));
    };
    let (ty, inner) = object.iter().next()?;
    let ty = match ty.as_str() {
        "u64" => FieldType::U64,
        "i64" => FieldType::I64,
        "bool" => FieldType::Bool,
        "ip" => FieldType::Ip,
        "time" => FieldType::Time,
        _ => return None,
    };
    from_json("raw_data_fields", inner, ty).ok()
}
