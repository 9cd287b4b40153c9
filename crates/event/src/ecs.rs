//! Elastic Common Schema 8 JSON: the other external form.
//!
//! Fields without an ECS name travel under `metsuke.` with their canonical name; [`unfit`] lists
//! them. Imported fields that the table has no row for travel in `metsuke.source_fields`, so the
//! round trip loses nothing. The kind of activity travels as `event.action`, with `event.category` and `event.type`
//! beside it for those who read ECS only.

use serde_json::{Map, Value as Json, json};

use crate::activity::{Event, Kind};
use crate::field::{FIELDS, FieldSpec, meta};
use crate::projection::{ProjectionError, bag, from_json, get, set, to_json, unbag};
use crate::value::Value;

/// Where imported fields travel.
const SOURCE_FIELDS: &str = "metsuke.source_fields";

/// The fields ECS has no home for.
pub fn unfit() -> impl Iterator<Item = &'static FieldSpec> {
    FIELDS.iter().copied().filter(|spec| spec.ecs.is_none())
}

fn path(spec: &FieldSpec) -> String {
    spec.ecs.map_or_else(|| format!("metsuke.{}", spec.name), str::to_owned)
}

/// ECS `event.category` and `event.type` of a kind.
#[expect(clippy::match_same_arms, reason = "a table, in the order of the kinds")]
const fn category(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::ProcessFork | Kind::ProcessExec => ("process", "start"),
        Kind::ProcessExit => ("process", "end"),
        Kind::FileCreate => ("file", "creation"),
        Kind::FileModify | Kind::FileRename => ("file", "change"),
        Kind::FileDelete => ("file", "deletion"),
        Kind::FileRead => ("file", "access"),
        Kind::NetworkConnect | Kind::NetworkAccept => ("network", "connection"),
        Kind::NetworkListen => ("network", "start"),
        Kind::DnsQuery => ("network", "protocol"),
        Kind::ModuleLoad => ("driver", "start"),
        Kind::ModuleUnload => ("driver", "end"),
        Kind::ProcessSetUser | Kind::ProcessRename | Kind::ProcessNamespace => {
            ("process", "change")
        }
        Kind::ProcessAccess | Kind::ProcessInject | Kind::ProcessSignal => ("process", "access"),
        Kind::MemoryMap | Kind::MemoryProtect | Kind::MemoryFile => ("process", "info"),
        Kind::ImageLoad => ("library", "start"),
        Kind::FileLink => ("file", "creation"),
        Kind::FileAttributes | Kind::FileMount | Kind::FileUnmount => ("file", "change"),
        Kind::FileRawAccess => ("file", "access"),
        Kind::NetworkBind | Kind::NetworkRaw => ("network", "start"),
        Kind::NetworkClose => ("network", "end"),
        Kind::TlsHello => ("network", "protocol"),
        Kind::BpfLoad | Kind::BpfAttach | Kind::KernelExec | Kind::KernelRing => {
            ("driver", "start")
        }
        Kind::BpfDetach => ("driver", "end"),
        Kind::KernelSetting => ("configuration", "change"),
        Kind::ScriptExecute => ("process", "start"),
        Kind::UserLogon => ("authentication", "start"),
        Kind::UserLogoff => ("authentication", "end"),
        Kind::UserLogonFailed => ("authentication", "denied"),
        Kind::AccountCreate => ("iam", "creation"),
        Kind::AccountModify => ("iam", "change"),
        Kind::AccountDelete => ("iam", "deletion"),
        Kind::JobCreate | Kind::PersistenceCreate | Kind::ServiceCreate => {
            ("configuration", "creation")
        }
        Kind::JobModify | Kind::PersistenceModify | Kind::ServiceModify => {
            ("configuration", "change")
        }
        Kind::JobDelete | Kind::PersistenceDelete | Kind::ServiceDelete => {
            ("configuration", "deletion")
        }
        Kind::ServiceStart => ("process", "start"),
        Kind::ServiceStop => ("process", "end"),
        Kind::Denial => ("intrusion_detection", "denied"),
        Kind::Discrepancy | Kind::SensorTamper => ("intrusion_detection", "info"),
        Kind::SensorStart | Kind::SensorStop | Kind::SensorHealth => ("host", "info"),
        // ECS wants a category; it has none for what is not known.
        Kind::Imported => ("host", "info"),
    }
}

/// The activity as one ECS object.
pub fn to_ecs(event: &Event) -> Json {
    let (category, kind_of) = category(event.activity.kind());
    let mut object = Map::new();
    set(&mut object, "ecs.version", json!("8.17"));
    set(&mut object, "event.kind", json!("event"));
    set(&mut object, "event.category", json!([category]));
    set(&mut object, "event.type", json!([kind_of]));
    for (spec, value) in event.fields() {
        set(&mut object, &path(spec), to_json(&value));
    }
    if !event.unmapped.is_empty() {
        set(&mut object, SOURCE_FIELDS, bag(&event.unmapped));
    }
    Json::Object(object)
}

/// Reads an ECS object, nested or with dotted names. `event.action` says what happened.
pub fn from_ecs(document: &Json) -> Result<Event, ProjectionError> {
    let object = document.as_object().ok_or(ProjectionError::NotAnObject)?;
    let action = get(object, "event.action").and_then(Json::as_str).unwrap_or_default();
    let unknown =
        || ProjectionError::UnknownKind { path: "event.action", found: action.to_owned() };
    let kind = Kind::from_name(action).ok_or_else(unknown)?;
    let mut fields = vec![(meta::CLASS, Value::Text(kind.name().into()))];
    for spec in FIELDS.iter().filter(|spec| spec.id != meta::CLASS) {
        let path = path(spec);
        if let Some(json) = get(object, &path) {
            fields.push((spec.id, from_json(&path, json, spec.ty)?));
        }
    }
    let (mut event, _) = Event::from_fields(fields).ok_or_else(unknown)?;
    event.unmapped = get(object, SOURCE_FIELDS).map(unbag).unwrap_or_default();
    Ok(event)
}
