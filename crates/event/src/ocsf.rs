//! OCSF 1.4 JSON: the external form of an activity.
//!
//! The canonical name of a field is its OCSF path; `process.` becomes `actor.process.` outside
//! process activities, where the process is the actor and not the subject. OCSF's own forms are
//! kept: times are milliseconds with the exact time beside them (`…_dt`, the datetime profile),
//! hashes a list of fingerprints, identifiers text. What OCSF has no attribute for travels under
//! `unmapped`, so the round trip loses nothing; [`unfit`] lists those fields.
//! Attributes that OCSF requires and that follow from others (`type_id`, `direction_id`, a file's
//! name) are written and passed over when reading.

use serde_json::{Map, Value as Json, json};

use crate::activity::{Activity, Event, Kind};
use crate::field::{FIELDS, FieldSpec, Group, meta};
use crate::projection::{ProjectionError, bag, from_json, get, set, to_json, unbag};
use crate::time::Timestamp;
use crate::value::{FieldType, Value};

/// The schema version the projection follows.
pub const VERSION: &str = "1.4.0";

/// Where imported fields travel that the field table has no row for.
const SOURCE_FIELDS: &str = "unmapped.source_fields";

/// OCSF `fingerprint.algorithm_id` of SHA-256.
const SHA256: u64 = 3;

/// The fields OCSF has no home for.
pub fn unfit() -> impl Iterator<Item = &'static FieldSpec> {
    FIELDS.iter().copied().filter(|spec| !spec.fits_ocsf)
}

fn path(spec: &FieldSpec, kind: Kind) -> String {
    if !spec.fits_ocsf {
        return format!("unmapped.{}", spec.name);
    }
    match spec.group {
        // "The time when the logging system collected and logged the event."
        Group::Meta if spec.id == meta::RECEIVED => "metadata.logged_time".to_owned(),
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
    set(&mut object, "metadata.version", json!(VERSION));
    set(&mut object, "metadata.product.name", json!("Metsuke"));
    // Several kinds can share a class and activity of OCSF; this tells them apart.
    set(&mut object, "metadata.event_code", json!(kind.name()));
    set(
        &mut object,
        "metadata.profiles",
        json!(["container", "datetime", "host", "linux/linux_users"]),
    );
    for (spec, value) in event.fields().filter(|(spec, _)| spec.id != meta::CLASS) {
        put(&mut object, spec, &path(spec, kind), &value);
    }
    derive(&mut object, event);
    if !event.unmapped.is_empty() {
        set(&mut object, SOURCE_FIELDS, bag(&event.unmapped));
    }
    Json::Object(object)
}

/// One field, in the form that OCSF gives its kind of value.
fn put(object: &mut Map<String, Json>, spec: &FieldSpec, path: &str, value: &Value) {
    if !spec.fits_ocsf {
        return set(object, path, to_json(value));
    }
    match value {
        Value::Time(time) => {
            set(object, path, json!(time.as_millis()));
            set(object, &format!("{path}_dt"), to_json(value));
        }
        Value::Text(hash) if hashes_path(path).is_some() => {
            let list = json!([{"algorithm_id": SHA256, "algorithm": "SHA-256", "value": &**hash}]);
            set(object, &hashes_path(path).unwrap_or_default(), list);
        }
        Value::U64(number)
            if path.ends_with("uid") && !path.ends_with("auid") && !path.ends_with("euid") =>
        {
            set(object, path, json!(number.to_string()));
        }
        _ => set(object, path, to_json(value)),
    }
}

/// Where the list of fingerprints stands for a canonical `….hash.sha256`.
fn hashes_path(path: &str) -> Option<String> {
    Some(format!("{}.hashes", path.strip_suffix(".hash.sha256")?))
}

/// What OCSF requires and other attributes tell already.
fn derive(object: &mut Map<String, Json>, event: &Event) {
    set(object, "device.type_id", json!(0));
    let process = match &event.activity {
        Activity::Process(_) => "process",
        _ => "actor.process",
    };
    let mut file = |at: &str, path: Option<&str>, mode: Option<u64>| {
        if let Some(name) = path.and_then(|path| path.rsplit('/').next()) {
            set(object, &format!("{at}.name"), json!(name));
            set(object, &format!("{at}.type_id"), json!(file_type(mode)));
        }
    };
    file(&format!("{process}.file"), event.process.exe.as_deref(), Some(0o100_000));
    let parent = event.process.parent_exe.as_deref();
    file(&format!("{process}.parent_process.file"), parent, Some(0o100_000));
    match &event.activity {
        Activity::File(_, target) => file("file", target.path.as_deref(), target.mode),
        Activity::Module(_, module) if module.name.is_some() => {
            set(object, "driver.file.type_id", json!(1));
        }
        Activity::Network(_, network) => {
            let direction = match network.initiated {
                Some(true) => 2,
                Some(false) => 1,
                None => 0,
            };
            set(object, "connection_info.direction_id", json!(direction));
        }
        _ => {}
    }
}

/// OCSF `file.type_id` of a `st_mode`.
const fn file_type(mode: Option<u64>) -> u32 {
    let Some(mode) = mode else { return 0 };
    match mode & 0o170_000 {
        0o100_000 => 1,
        0o040_000 => 2,
        0o020_000 => 3,
        0o060_000 => 4,
        0o140_000 => 5,
        0o010_000 => 6,
        0o120_000 => 7,
        _ => 0,
    }
}

/// Reads an OCSF object. What it holds beyond the field table is passed over.
pub fn from_ocsf(document: &Json) -> Result<Event, ProjectionError> {
    let object = document.as_object().ok_or(ProjectionError::NotAnObject)?;
    let number = |name: &str| object.get(name).and_then(Json::as_u64);
    let code = get(object, "metadata.event_code").and_then(Json::as_str).and_then(Kind::from_name);
    let of_code = code.filter(|kind| number("class_uid") == Some(u64::from(kind.ocsf().0)));
    let of_class = || {
        Kind::ALL.iter().copied().find(|kind| {
            let (class, activity, label) = kind.ocsf();
            number("class_uid") == Some(u64::from(class))
                && number("activity_id") == Some(u64::from(activity))
                && (activity != 99
                    || object.get("activity_name").and_then(Json::as_str) == Some(label))
        })
    };
    let kind = of_code.or_else(of_class).ok_or_else(|| ProjectionError::UnknownKind {
        path: "class_uid and activity_id",
        found: format!("{:?}, {:?}", object.get("class_uid"), object.get("activity_id")),
    })?;
    let mut fields = vec![(meta::CLASS, Value::Text(kind.name().into()))];
    for spec in FIELDS.iter().filter(|spec| spec.id != meta::CLASS) {
        if let Some(value) = take(object, spec, &path(spec, kind))? {
            fields.push((spec.id, value));
        }
    }
    let unknown = || ProjectionError::UnknownKind { path: "class_uid", found: String::new() };
    let (mut event, _) = Event::from_fields(fields).ok_or_else(unknown)?;
    event.unmapped = get(object, SOURCE_FIELDS).map(unbag).unwrap_or_default();
    Ok(event)
}

/// The reverse of [`put`].
fn take(
    object: &Map<String, Json>,
    spec: &FieldSpec,
    path: &str,
) -> Result<Option<Value>, ProjectionError> {
    let plain =
        |path: &str| get(object, path).map(|json| from_json(path, json, spec.ty)).transpose();
    if spec.ty == FieldType::Time && spec.fits_ocsf {
        if let Some(exact) = plain(&format!("{path}_dt"))? {
            return Ok(Some(exact));
        }
        if let Some(millis) = get(object, path).and_then(Json::as_i64) {
            return Ok(Some(Value::Time(Timestamp::from_millis(millis))));
        }
    }
    if let Some(list) =
        hashes_path(path).and_then(|path| get(object, &path)).and_then(Json::as_array)
    {
        let sha256 = list
            .iter()
            .find(|print| print.get("algorithm_id").and_then(Json::as_u64) == Some(SHA256));
        return sha256
            .and_then(|print| print.get("value"))
            .map(|json| from_json(path, json, spec.ty))
            .transpose();
    }
    plain(path)
}
