//! Recorded Windows events: zips of JSON lines, read into events with their log-source set.
//!
//! The fields keep their names in `unmapped`, as an importer leaves those the table has no row
//! for. Of security event 4688 the fields are named as Sysmon names them, for rules of
//! `process_creation`. Which log sources an event has, the intake says.

use std::io::{BufRead, BufReader};
use std::path::Path;

use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, Value};
use metsuke_intake::windows;
use serde_json::Value as Json;

/// The log sources of one kind of Windows event.
pub(crate) type Sources = Vec<LogSource<'static>>;

/// Calls `take` for every event of the zips below `folder`.
pub(crate) fn events(folder: &Path, take: &mut dyn FnMut(Sources, Event)) {
    super::collect(folder, "zip", &mut |path| {
        let file = std::fs::File::open(path).expect("readable");
        let mut archive = zip::ZipArchive::new(file).expect("a zip");
        for index in 0..archive.len() {
            let entry = archive.by_index(index).expect("an entry");
            if !entry.name().is_ok_and(|name| name.ends_with(".json")) {
                continue;
            }
            for line in BufReader::new(entry).split(b'\n') {
                // A dozen lines of the set are cut short or are no UTF-8.
                let Ok(Json::Object(fields)) = serde_json::from_slice(&line.expect("readable"))
                else {
                    continue;
                };
                let text = |key: &str| fields.get(key).and_then(Json::as_str).unwrap_or_default();
                let id = fields.get("EventID").and_then(Json::as_u64).unwrap_or_default();
                let channel = text("Channel").to_ascii_lowercase();
                let kind = text("EventType").to_owned();
                let of = windows::sources(&channel, text("SourceName"), id, &kind);
                take(of.to_vec(), event(id, &channel, fields));
            }
        }
    });
}

fn event(id: u64, channel: &str, fields: serde_json::Map<String, Json>) -> Event {
    let mut event = Event::empty(Kind::Imported);
    for (name, json) in fields {
        let name = match (channel, id, name.as_str()) {
            ("security", 4688, "NewProcessName") => "Image",
            ("security", 4688, "ProcessCommandLine") => "CommandLine",
            ("security", 4688, "ParentProcessName") => "ParentImage",
            ("security", 4688, "ProcessId") => "ParentProcessId",
            (_, _, "SourceName") => "Provider_Name",
            (_, _, name) => name,
        };
        let value = match json {
            Json::String(text) => Value::Text(text.into()),
            Json::Number(number) => match number.as_u64() {
                Some(number) => Value::U64(number),
                None => Value::Text(number.to_string().into()),
            },
            Json::Bool(flag) => Value::Bool(flag),
            Json::Null => continue,
            other => Value::Text(other.to_string().into()),
        };
        event.unmapped.push(name, value.as_ref());
    }
    event
}
