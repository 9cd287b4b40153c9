//! Who and what an event was about, by names that do not depend on its source.

use metsuke_event::{Event, ValueRef};
use serde_json::{Map, Value as Json, json};

/// A name, and where its value may stand: rows of the field table, then names of sources.
type Entry = (&'static str, &'static [&'static str]);

const SINGLE: &[Entry] = &[
    ("host", &["device.hostname", "Computer", "Hostname"]),
    ("user", &["process.user.name", "logon.user.name", "User", "SubjectUserName", "user.name"]),
    ("account", &["account.name", "TargetUserName"]),
    ("service", &["service.name", "ServiceName"]),
    ("registry", &["TargetObject"]),
];

const GROUPS: &[(&str, &[Entry])] = &[
    (
        "process",
        &[
            ("id", &["process.uid", "SourceProcessGuid", "SourceProcessGUID"]),
            ("pid", &["process.pid", "SourceProcessId", "ProcessId"]),
            ("executable", &["process.file.path", "SourceImage", "ProcessName"]),
            ("command_line", &["process.cmd_line", "CommandLine"]),
        ],
    ),
    (
        "parent",
        &[
            ("id", &["process.parent_process.uid"]),
            ("pid", &["process.parent_process.pid"]),
            ("executable", &["process.parent_process.file.path"]),
            ("command_line", &["process.parent_process.cmd_line", "ParentCommandLine"]),
        ],
    ),
    (
        "target",
        &[
            ("id", &["target.process.uid", "TargetProcessGUID"]),
            ("pid", &["target.process.pid"]),
            ("executable", &["target.process.file.path"]),
        ],
    ),
];

const LISTS: &[Entry] = &[
    (
        "addresses",
        &[
            "src_endpoint.ip",
            "dst_endpoint.ip",
            "logon.src_ip",
            "SourceIp",
            "DestinationIp",
            "IpAddress",
            "SourceAddress",
            "DestAddress",
            "sourceIPAddress",
        ],
    ),
    ("domains", &["query.hostname", "dst_endpoint.hostname"]),
    ("files", &["file.path", "driver.file.path", "TargetFilename", "ImageLoaded"]),
];

const HASHES: &[Entry] = &[
    ("sha256", &["file.hash.sha256", "process.file.hash.sha256", "driver.file.hash.sha256"]),
    ("sha1", &["file.hash.sha1", "process.hash.sha1", "sha1"]),
    ("md5", &["file.hash.md5", "process.hash.md5", "md5"]),
];

/// Host, user, process and its parent, the process acted upon, hashes, addresses, domains, files,
/// accounts: what is known of them, and nothing else.
pub(super) fn entities(event: &Event) -> Json {
    let mut all = Map::new();
    let first = |names: &[&str]| names.iter().find_map(|name| value(event, name));
    for (key, names) in SINGLE {
        if let Some(found) = first(names) {
            all.insert((*key).to_owned(), json!(found));
        }
    }
    for (key, parts) in GROUPS {
        let found = parts.iter();
        let found =
            found.filter_map(|(part, names)| Some(((*part).to_owned(), json!(first(names)?))));
        let found: Map<String, Json> = found.collect();
        if !found.is_empty() {
            all.insert((*key).to_owned(), Json::Object(found));
        }
    }
    for (key, names) in LISTS {
        let mut found: Vec<String> = Vec::new();
        for value in names.iter().filter_map(|name| value(event, name)) {
            if value != "-" && !found.contains(&value) {
                found.push(value);
            }
        }
        if !found.is_empty() {
            all.insert((*key).to_owned(), json!(found));
        }
    }
    let hashes = hashes(event);
    if !hashes.is_empty() {
        all.insert("hashes".to_owned(), Json::Object(hashes));
    }
    Json::Object(all)
}

/// The value of a row of the field table, or of a field by its source's name.
fn value(event: &Event, name: &str) -> Option<String> {
    let row = metsuke_event::field::by_name(name).and_then(|spec| event.get(spec.id));
    let text = |value: ValueRef<'_>| value.to_text().into_owned();
    let kept = || event.unmapped.get(name).map(text);
    row.map(text).or_else(kept).filter(|text| !text.is_empty())
}

/// Hashes by their names in lower case: of the field table, and as Sysmon joins them
/// (`SHA256=…,MD5=…`).
fn hashes(event: &Event) -> Map<String, Json> {
    let mut found = Map::new();
    for (name, places) in HASHES {
        if let Some(hash) = places.iter().find_map(|place| value(event, place)) {
            found.insert((*name).to_owned(), json!(hash));
        }
    }
    let joined = ["Hashes", "Hash"].iter().find_map(|name| value(event, name)).unwrap_or_default();
    for (name, hash) in joined.split(',').filter_map(|part| part.trim().split_once('=')) {
        let wanted = hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && hash.len() >= 32;
        if wanted {
            found.entry(name.to_ascii_lowercase()).or_insert(json!(hash.to_ascii_lowercase()));
        }
    }
    found
}
