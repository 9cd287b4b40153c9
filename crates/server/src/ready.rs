//! `ready.json`: what whoever started the server needs to know, readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

/// The first administrator's one-time password.
#[derive(Debug, Serialize)]
pub(crate) struct FirstAdmin {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What the file holds.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    pub(crate) console_url: String,
    pub(crate) link_addr: String,
    pub(crate) ca_fingerprint: String,
    pub(crate) first_admin: Option<FirstAdmin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enrolment_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_token: Option<String>,
    pub(crate) pid: u32,
}

/// The file while the server listens; removed when dropped.
#[derive(Debug)]
pub(crate) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes what an earlier, killed server left.
    pub(crate) fn clear(folder: &Path) {
        // Absent is what is wanted.
        let _ = fs::remove_file(folder.join("ready.json"));
    }

    /// Writes the file: beside, then renamed, so that nobody reads half of it.
    pub(crate) fn write(folder: &Path, ready: &Ready) -> Result<Self> {
        let path = folder.join("ready.json");
        let beside = folder.join("ready.json.new");
        let text = serde_json::to_vec_pretty(ready).context("writing ready.json")?;
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .with_context(|| format!("cannot write {}", beside.display()))?;
        file.write_all(&text).with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
