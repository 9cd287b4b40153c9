//! Which fields a name stands for, how their text is compared, and what was probably meant.

use metsuke_event::field::{by_any_name, by_name};
use metsuke_event::{FIELDS, FieldSpec, FieldType};

/// Every SHA-256 of an activity: of files, programs, libraries and modules, scripts.
const HASHES: &[&str] = &[
    "file.hash.sha256",
    "process.file.hash.sha256",
    "driver.file.hash.sha256",
    "script.hash.sha256",
];

/// Short names beyond those of the field table; some stand for several fields at once.
const SEVERAL: &[(&str, &[&str])] = &[
    ("sha256", HASHES),
    ("hash", HASHES),
    ("ip", &["dst_endpoint.ip", "src_endpoint.ip"]),
    ("cwd", &["process.working_directory"]),
    ("name", &["process.name"]),
    ("parent", &["process.parent_process.file.path"]),
    ("file", &["file.path", "file_diff.path"]),
    ("path", &["file.path", "file_diff.path", "process.file.path"]),
];

/// Fields a word without a field name is looked for in.
const WORD_FIELDS: &[&str] = &[
    "process.cmd_line",
    "process.file.path",
    "process.name",
    "process.script.path",
    "process.parent_process.file.path",
    "file.path",
    "file_diff.path",
    "query.hostname",
    "dst_endpoint.hostname",
    "driver.file.name",
    "device.hostname",
];

/// Fields of running text: a value need only be somewhere in them.
const PROSE: &[&str] = &[
    "process.cmd_line",
    "process.parent_process.cmd_line",
    "process.environment_variables",
    "answers",
    "sensor.detail",
];

/// Fields stored in lower case, compared exactly with the lower-cased value (an exact test can
/// use a store's filters; a test that ignores case cannot).
const LOWER: &[&str] = &[
    "class",
    "device.uid",
    "device.boot_uid",
    "process.uid",
    "process.parent_process.uid",
    "process.storyline",
    "process.file.hash.sha256",
    "file.hash.sha256",
    "file.hash.md5",
    "file.hash.sha1",
    "driver.file.hash.sha256",
    "script.hash.sha256",
    "query.hostname",
];

/// How the text of a field is compared with a value without wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Exactly, in lower case.
    Lower,
    /// The whole value, letter case apart.
    Whole,
    /// Somewhere in it, letter case apart.
    Contained,
}

pub(crate) fn comparison(spec: &FieldSpec) -> Comparison {
    if LOWER.contains(&spec.name) {
        Comparison::Lower
    } else if PROSE.contains(&spec.name) {
        Comparison::Contained
    } else {
        Comparison::Whole
    }
}

/// The fields `name` stands for; empty when it stands for none.
pub(crate) fn resolve(name: &str) -> Vec<&'static FieldSpec> {
    let lower = name.to_ascii_lowercase();
    if let Some((_, names)) = SEVERAL.iter().find(|(short, _)| *short == lower) {
        return names.iter().filter_map(|name| by_name(name)).collect();
    }
    by_any_name(name).or_else(|| by_any_name(&lower)).into_iter().collect()
}

pub(crate) fn word_fields() -> impl Iterator<Item = &'static FieldSpec> {
    WORD_FIELDS.iter().filter_map(|name| by_name(name))
}

pub(crate) fn hash_fields() -> impl Iterator<Item = &'static FieldSpec> {
    FIELDS.iter().copied().filter(|spec| spec.name.ends_with(".hash.sha256"))
}

pub(crate) fn address_fields() -> impl Iterator<Item = &'static FieldSpec> {
    FIELDS.iter().copied().filter(|spec| spec.ty == FieldType::Ip)
}

/// Up to `limit` names near to what was written, best first: for hints and completion.
pub fn suggest_fields(written: &str, limit: usize) -> Vec<&'static str> {
    let written: String = written.chars().take(64).collect::<String>().to_ascii_lowercase();
    let short = ["pid", "exe", "cmd", "user", "host", "sha256", "ip", "port", "domain", "path"];
    let mut ranked: Vec<(usize, &'static str)> = FIELDS
        .iter()
        .flat_map(|spec| {
            [Some(spec.name), spec.ecs].into_iter().flatten().chain(spec.sigma.iter().copied())
        })
        .filter(|name| !name.contains('@'))
        .chain(short)
        .filter_map(|name| Some((distance(&written, &name.to_ascii_lowercase())?, name)))
        .collect();
    ranked.sort_unstable();
    ranked.dedup_by_key(|(_, name)| *name);
    ranked.into_iter().take(limit).map(|(_, name)| name).collect()
}

/// How far `name` is from `written`; `None` when it is not near at all.
fn distance(written: &str, name: &str) -> Option<usize> {
    if name.starts_with(written) && !written.is_empty() {
        return Some(0);
    }
    if written.len() >= 3 && name.contains(written) {
        return Some(1);
    }
    let edits = edit_distance(written, name);
    (edits <= 1 + written.len() / 4).then_some(edits + 1)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = usize::from(x != *y);
            let next = (diagonal + cost).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
