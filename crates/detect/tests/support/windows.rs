//! Recorded Windows events: zips of JSON lines, read into events with their log-source set.
//!
//! The fields keep their names in `unmapped`, as an importer leaves those the table has no row
//! for. Of security event 4688 the fields are named as Sysmon names them, for rules of
//! `process_creation`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, Value};
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
                take(sources(&channel, id, &kind), event(id, &channel, fields));
            }
        }
    });
}

fn event(id: u64, channel: &str, fields: serde_json::Map<String, Json>) -> Event {
    let mut event = Event::empty(Kind::SensorHealth);
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

fn sources(channel: &str, id: u64, kind: &str) -> Sources {
    let of = |category, service| LogSource { product: Some("windows"), category, service };
    let categories: &[&'static str] = match (channel, id) {
        ("microsoft-windows-sysmon/operational", 1) | ("security", 4688) => &["process_creation"],
        ("microsoft-windows-sysmon/operational", id) => sysmon(id, kind),
        ("microsoft-windows-powershell/operational", 4103) => &["ps_module"],
        ("microsoft-windows-powershell/operational", 4104) => &["ps_script"],
        ("windows powershell", 400) => &["ps_classic_start"],
        ("windows powershell", 600) => &["ps_classic_provider_start"],
        _ => &[],
    };
    let service = match channel {
        "microsoft-windows-sysmon/operational" => Some("sysmon"),
        "security" => Some("security"),
        "system" => Some("system"),
        "application" => Some("application"),
        "windows powershell" => Some("powershell-classic"),
        "microsoft-windows-powershell/operational" => Some("powershell"),
        "microsoft-windows-taskscheduler/operational" => Some("taskscheduler"),
        "microsoft-windows-wmi-activity/operational" => Some("wmi"),
        "microsoft-windows-bits-client/operational" => Some("bits-client"),
        "microsoft-windows-windows firewall with advanced security/firewall" => Some("firewall-as"),
        "microsoft-windows-terminalservices-localsessionmanager/operational" => {
            Some("terminalservices-localsessionmanager")
        }
        _ => None,
    };
    let mut found: Sources = categories.iter().map(|one| of(Some(one), service)).collect();
    if found.is_empty() {
        found.push(of(None, service));
    }
    found
}

fn sysmon(id: u64, kind: &str) -> &'static [&'static str] {
    match id {
        2 => &["file_change"],
        3 => &["network_connection"],
        4 | 16 => &["sysmon_status"],
        5 => &["process_termination"],
        6 => &["driver_load"],
        7 => &["image_load"],
        8 => &["create_remote_thread"],
        9 => &["raw_access_thread"],
        10 => &["process_access"],
        11 => &["file_event"],
        12 if kind.starts_with("Delete") => &["registry_delete", "registry_event"],
        12 => &["registry_add", "registry_event"],
        13 => &["registry_set", "registry_event"],
        14 => &["registry_rename", "registry_event"],
        15 => &["create_stream_hash"],
        17 | 18 => &["pipe_created"],
        19..=21 => &["wmi_event"],
        22 => &["dns_query"],
        23 | 26 => &["file_delete"],
        25 => &["process_tampering"],
        27 => &["file_block_executable"],
        29 => &["file_executable_detected"],
        _ => &[],
    }
}
