//! What tests and the bench share: where the data is, events to run.
#![allow(dead_code, clippy::print_stdout, clippy::panic, reason = "each user takes a part")]

pub(crate) mod linux;
pub(crate) mod windows;

use std::path::{Path, PathBuf};

/// The folder of shared data; without it the test `name` says that it did not run.
pub(crate) fn shared_data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("METSUKE_SHARED_DATA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("NOT RUN: {name}: no shared data at {} (set METSUKE_SHARED_DATA)", folder.display());
    None
}

/// Calls `take` for every file below `folder` with this extension, in order of path.
pub(crate) fn collect(folder: &Path, extension: &str, take: &mut dyn FnMut(&Path)) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, extension, take);
        } else if path.extension().is_some_and(|found| found == extension) {
            take(&path);
        }
    }
}
