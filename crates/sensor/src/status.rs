//! What a running sensor says of itself, kept in a file for `metsuke-sensor status`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use metsuke_event::Timestamp;
use metsuke_event::coverage::Coverage;
use metsuke_guard::privileges::Privileges;
use metsuke_link::message::Heartbeat;
use serde::{Deserialize, Serialize};

/// Largest status file read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) pid: u32,
    pub(crate) started: Timestamp,
    pub(crate) updated: Timestamp,
    /// `connected`, or why not.
    pub(crate) link: String,
    /// Control group watched and acted on, or `host`.
    pub(crate) scope: String,
    /// Where the sensor may act: a control group, `host`, or why nowhere.
    pub(crate) enforcement: String,
    pub(crate) coverage: Option<Coverage>,
    pub(crate) health: Heartbeat,
    /// Activities lost, by kind; those of no known kind only stand in the health's total.
    #[serde(default)]
    pub(crate) lost: BTreeMap<String, u64>,
    /// The process that guards it; none when it runs alone.
    #[serde(default)]
    pub(crate) guard: Option<u32>,
    /// What it may do.
    #[serde(default)]
    pub(crate) privileges: Privileges,
}

fn file(state: &Path) -> PathBuf {
    state.join("status.json")
}

impl Status {
    /// What the sensor with this state folder said last.
    pub(crate) fn load(state: &Path) -> Option<Self> {
        let path = file(state);
        if fs::metadata(&path).ok()?.len() > FILE_MAX {
            return None;
        }
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Says it. On a full disk the last one stays.
    pub(crate) fn save(&self, state: &Path) {
        let path = file(state);
        let beside = path.with_extension("new");
        let saved = serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .and_then(|text| fs::write(&beside, text))
            .and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = saved {
            tracing::debug!(%error, "the status file is not written");
            // An incomplete one must not take up room either.
            let _ = fs::remove_file(&beside);
        }
    }
}
