//! What the sensor told, as a sample for `fires/`: the same activity of a made-up host.
//!
//! Left out is what differs from machine to machine: identities, inodes, hashes, namespaces.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use metsuke_event::{Event, Timestamp, ecs};
use serde_json::{Map, Value as Json, json};

/// When samples begin, in nanoseconds since 1970: 2026-11-22T10:00:00Z.
const BEGIN: i64 = 1_795_341_600_000_000_000;

/// Beginnings of names of fields that are left out.
const LEFT_OUT: [&str; 24] = [
    "organization.id",
    "process.start",
    "ecs.",
    "event.kind",
    "event.category",
    "event.type",
    "process.hash",
    "process.session_leader",
    "metsuke.process.file.inode",
    "metsuke.process.file.device",
    "metsuke.process.file.layer",
    "metsuke.process.cgroup",
    "metsuke.process.namespace",
    "metsuke.process.capabilities",
    "metsuke.process.seccomp",
    "metsuke.process.cpu_ms",
    "metsuke.process.rss_peak",
    "metsuke.process.parent_process.uid",
    "metsuke.file.device",
    "metsuke.file.layer",
    "metsuke.file.filesystem",
    "file.inode",
    "metsuke.driver.file.inode",
    "metsuke.driver.file.device",
];

/// Writes `events` as the sample `path`, one object or a list of them.
///
/// # Errors
/// When it cannot be written.
pub fn write_sample(path: &Path, events: &[Event]) -> Result<()> {
    let first = events.iter().map(|event| event.time.as_nanos()).min().unwrap_or_default();
    let boots: Vec<String> = events.iter().map(|event| event.id.boot.to_string()).collect();
    let mut list: Vec<Json> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let mut event = event.clone();
        event.time = Timestamp::from_nanos(BEGIN + (event.time.as_nanos() - first));
        let mut flat = Map::new();
        flatten("", &ecs::to_ecs(&event), &mut flat);
        flat.retain(|name, _| !LEFT_OUT.iter().any(|left| name.starts_with(left)));
        flat.insert("agent.id".into(), json!("0000000000000000000000000000e001"));
        flat.insert("host.boot.id".into(), json!("00000000000000000000000000000b07"));
        flat.insert("event.sequence".into(), json!(number + 1));
        flat.insert("host.hostname".into(), json!("web-1"));
        list.push(Json::Object(flat));
    }
    let one = if list.len() == 1 { list.remove(0) } else { Json::Array(list) };
    let mut text = serde_json::to_string_pretty(&one)?;
    for boot in boots {
        text = text.replace(&boot, "00000000000000000000000000000b07");
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).context("the folder of samples cannot be made")?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn flatten(prefix: &str, json: &Json, flat: &mut Map<String, Json>) {
    let Json::Object(object) = json else {
        flat.insert(prefix.to_owned(), json.clone());
        return;
    };
    for (name, value) in object {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        flatten(&name, value, flat);
    }
}
