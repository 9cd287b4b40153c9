//! Where the shared data is, and files below a folder.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod evtx;

use std::path::{Path, PathBuf};

use metsuke_intake::{Format, Lines, Output};

/// The shared data, or a note that `test` was not run without it.
pub(crate) fn shared_data(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("METSUKE_SHARED_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = named.unwrap_or_else(beside);
    if found.is_dir() {
        return Some(found);
    }
    eprintln!("NOT RUN: {test}: no shared data (METSUKE_SHARED_DATA, or ../shared/data)");
    None
}

/// The files below `folder` whose names end so, in order.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, ending, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
}

/// The fields that an event keeps under their sources' names, as text.
pub(crate) fn kept(event: &metsuke_event::Event) -> Vec<(String, String)> {
    let fields = event.unmapped.iter();
    fields.map(|(name, value)| (name.to_string(), value.to_text().into_owned())).collect()
}

/// What the lines of `text` are read into.
pub(crate) fn read(format: Format, text: &str) -> Output {
    read_lines(format, text.lines().map(str::as_bytes))
}

/// What these lines are read into.
pub(crate) fn read_lines<'l>(format: Format, text: impl IntoIterator<Item = &'l [u8]>) -> Output {
    let mut lines = Lines::new(format);
    let mut out = Output::default();
    for line in text {
        lines.line(line, &mut out);
    }
    lines.end(&mut out);
    out
}
