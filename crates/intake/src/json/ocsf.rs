//! OCSF objects, ours and others'.

use metsuke_event::{ProjectionError, field, ocsf};
use serde_json::Value as Json;

use crate::builder::Builder;
use crate::json::flat::{fields, value};
use crate::json::{Object, Read, SourcesOf, System};
use crate::record::Record;

/// Values of another type than the field table's that one object may hold; each is set aside.
const MISFITS: usize = 32;

pub(super) fn read(sources: &mut SourcesOf, number: u64, object: Object) -> Read {
    let mut json = Json::Object(object);
    let mut misfits = Vec::new();
    let event = loop {
        match ocsf::from_ocsf(&json) {
            Ok(event) => break event,
            Err(ProjectionError::WrongType { path, .. }) if misfits.len() < MISFITS => {
                match take(&mut json, &path) {
                    Some(value) => misfits.push((path, value)),
                    None => return Err(format!("`{path}` is of another type than it should be")),
                }
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    let name = ["/device/os/name", "/device/os/type"]
        .iter()
        .find_map(|path| json.pointer(path)?.as_str().map(str::to_owned));
    let ours = json.pointer("/metadata/product/name").and_then(Json::as_str) == Some("Metsuke");
    let system = match System::of(name.as_deref(), event.process.exe.as_deref()) {
        System::Unknown if ours => System::Linux,
        system => system,
    };
    let mut builder = Builder::of(event);
    for (path, json) in misfits {
        if let Some(value) = value(json) {
            builder.keep(&path, &value);
        }
    }
    if let Json::Object(object) = json {
        // What the field table has no row for stays, by its own name.
        for (name, value) in fields(object).into_iter().filter(|(name, _)| !is_known(name)) {
            builder.keep(&name, &value);
        }
    }
    let kind = builder.kind();
    Ok(Record { event: builder.done(), sources: sources.get(kind, system), number })
}

fn is_known(name: &str) -> bool {
    let plain = name.strip_prefix("actor.").unwrap_or(name);
    let plain = plain.strip_prefix("unmapped.").unwrap_or(plain);
    field::by_name(plain).is_some()
        || plain.ends_with("_dt")
        || plain.starts_with("source_fields.")
        || matches!(
            plain,
            "class_uid"
                | "category_uid"
                | "activity_id"
                | "activity_name"
                | "type_uid"
                | "severity_id"
                | "metadata.version"
                | "metadata.profiles"
                | "metadata.event_code"
                | "metadata.logged_time"
                | "device.type_id"
                | "connection_info.direction_id"
        )
        || plain.ends_with("file.type_id")
        || plain.ends_with("file.name")
        || plain.ends_with(".hashes")
}

/// Takes what stands at the dotted `path` out of `json`.
fn take(json: &mut Json, path: &str) -> Option<Json> {
    let object = json.as_object_mut()?;
    if let Some(found) = object.remove(path) {
        return Some(found);
    }
    // A list of fingerprints is read by the path of one of them.
    if let Some(list) = path.strip_suffix(".hash.sha256") {
        let list = format!("{list}.hashes");
        if let Some(found) = take(json, &list) {
            return Some(found);
        }
        let (head, rest) = path.split_once('.')?;
        return take(json.as_object_mut()?.get_mut(head)?, rest);
    }
    let (head, rest) = path.split_once('.')?;
    take(object.get_mut(head)?, rest)
}
