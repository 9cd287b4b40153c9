//! High-water marks beside the table: `state/SEQ.json`, exact for everything up to segment SEQ.

use std::path::{Path, PathBuf};

use metsuke_event::{BootId, EndpointId};
use serde::{Deserialize, Serialize};

use crate::error::LakeError;
use crate::lake::HighWater;
use crate::wal::sync_dir;

#[derive(Serialize, Deserialize)]
struct Mark {
    endpoint: EndpointId,
    boot: BootId,
    seq: u64,
}

fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:020}.json"))
}

/// Writes `marks` for `segment`, durable on return.
pub(crate) fn write(dir: &Path, segment: u64, marks: &HighWater) -> Result<(), LakeError> {
    let rows: Vec<Mark> = marks
        .iter()
        .map(|((endpoint, boot), seq)| Mark { endpoint: *endpoint, boot: *boot, seq: *seq })
        .collect();
    let path = path(dir, segment);
    let text = serde_json::to_vec(&rows)
        .map_err(|error| LakeError::io("write", &path, std::io::Error::other(error)))?;
    write_durably(&path, &text)
}

/// Writes a small file aside, fsyncs it, renames it into place.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), LakeError> {
    let aside = path.with_extension("new");
    let result = (|| {
        let mut file = std::fs::File::create(&aside)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    })();
    if let Err(source) = result {
        let _ = std::fs::remove_file(&aside);
        return Err(LakeError::io("write", path, source));
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// The marks of `segment`; `None` when missing or unreadable.
pub(crate) fn read(dir: &Path, segment: u64) -> Option<HighWater> {
    let text = std::fs::read(path(dir, segment)).ok()?;
    let rows: Vec<Mark> = serde_json::from_slice(&text).ok()?;
    Some(rows.into_iter().map(|row| ((row.endpoint, row.boot), row.seq)).collect())
}

/// Deletes the marks of other segments than `segment`.
pub(crate) fn keep_only(dir: &Path, segment: u64) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let keep = path(dir, segment);
    for entry in entries.flatten().filter(|entry| entry.path() != keep) {
        if let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!(%error, path = %entry.path().display(), "an old state stays");
        }
    }
}
