//! What is known of files: kept in memory by path, and on disk so that a restart reads none again.
//!
//! Invariant: a file on disk that cannot be read whole is as none: everything is read again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use metsuke_event::inventory::Executable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::hash::Identity;

/// Version of the files in the state folder; another one is not read.
const VERSION: u32 = 1;
/// Largest of them once decompressed: 40,000 entries of some 400 bytes, with room.
const FILE_MAX: usize = 64 << 20;
/// Effort of zstd.
const ZSTD_LEVEL: i32 = 3;

/// One executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Of the content that was hashed.
    pub(crate) identity: Identity,
    /// For comparing with package lists.
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) file: Executable,
    /// The walk that met it last.
    #[serde(skip)]
    pub(crate) walk: u32,
    /// Whether its package was looked for.
    pub(crate) owner_known: bool,
}

/// Executables by path.
pub(crate) type Index = BTreeMap<String, Entry>;

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    version: u32,
    value: T,
}

/// Writes `value` to `path`, whole or not at all.
pub(crate) fn keep<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let text = serde_json::to_vec(&Kept { version: VERSION, value })?;
    let packed = zstd::bulk::compress(&text, ZSTD_LEVEL)?;
    let beside = path.with_extension("new");
    let written = fs::write(&beside, packed).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // An incomplete one must not take up room.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Reads what [`keep`] wrote; `None` when there is nothing that can be read.
pub(crate) fn kept<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let packed = fs::read(path).ok()?;
    let text = zstd::bulk::decompress(&packed, FILE_MAX).ok()?;
    let kept: Kept<T> = serde_json::from_slice(&text).ok()?;
    (kept.version == VERSION).then_some(kept.value)
}
