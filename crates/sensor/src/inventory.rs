//! The inventory in the sensor: started as configured, told of files that change, asked by the link.
//!
//! A sensor with a scope is a guest on its host: it reads the host's files only when its
//! configuration names places. Without a scope the inventory is on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metsuke_event::inventory::Delta;
use metsuke_event::{Activity, Event};
use metsuke_inventory::{Inventory, Resident};
use metsuke_link::inventory::Seen;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::facts;
use crate::known::Known;

/// What the configuration file may say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Whether there is one; by default with a sensor of the whole host, or when places are named.
    enabled: Option<bool>,
    /// Folders that are walked for executables.
    places: Option<Vec<PathBuf>>,
    /// Share of one processor it may use while it walks, in percent.
    cpu_percent: Option<u32>,
    /// Bytes it may read per second.
    bytes_per_second: Option<u64>,
    /// Minutes between two walks.
    walk_minutes: Option<u32>,
    /// Most executables kept.
    files_max: Option<usize>,
}

impl Settings {
    /// What to keep below `state`; `None` when there is to be no inventory.
    fn config(&self, state: &Path, is_scoped: bool) -> Option<metsuke_inventory::Config> {
        let by_default = !is_scoped || self.places.is_some();
        if !self.enabled.unwrap_or(by_default) {
            return None;
        }
        let mut config = metsuke_inventory::Config::host(state.join("inventory"));
        if let Some(places) = &self.places {
            config.places.clone_from(places);
        }
        config.cpu_percent = self.cpu_percent.unwrap_or(config.cpu_percent);
        config.bytes_per_second = self.bytes_per_second.unwrap_or(config.bytes_per_second);
        config.files_max = self.files_max.unwrap_or(config.files_max);
        let minutes = self.walk_minutes.map(|minutes| u64::from(minutes.max(1)));
        config.walk_every = minutes.map_or(config.walk_every, Duration::from_mins);
        Some(config)
    }
}

/// Where the others find the inventory, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Post {
    resident: Mutex<Option<Resident>>,
    news: Arc<Notify>,
}

impl Post {
    /// Starts it, if the settings want one. Without it the sensor works on, and says why.
    pub(crate) fn start(
        &self,
        settings: &Settings,
        state: &Path,
        is_scoped: bool,
        known: Known,
    ) -> Option<String> {
        let Some(config) = settings.config(state, is_scoped) else {
            tracing::info!(
                "no inventory is kept: this sensor has a scope, and no places are named"
            );
            return None;
        };
        let news = Arc::clone(&self.news);
        let found = move |file: &metsuke_inventory::Known| known.found(file);
        match Resident::start(config, facts::now, move || news.notify_one(), found) {
            Ok(resident) => {
                *self.resident.lock().unwrap_or_else(PoisonError::into_inner) = Some(resident);
                None
            }
            Err(error) => Some(format!("no inventory is kept: {error}")),
        }
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        let resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        resident.as_ref().map(Resident::inventory)
    }

    /// A file may have changed.
    pub(crate) fn observe(&self, events: &[Event]) {
        let Some(inventory) = self.inventory() else { return };
        for event in events {
            if let Activity::File(_, file) = &event.activity {
                for path in [&file.path, &file.old_path].into_iter().flatten() {
                    inventory.touched(path);
                }
            }
        }
    }

    /// What to tell the server next.
    pub(crate) fn next(&self) -> Option<Delta> {
        self.inventory()?.next()
    }

    /// The server's answer.
    pub(crate) fn seen(&self, seen: Seen) {
        if let Some(inventory) = self.inventory() {
            inventory.seen(seen.generation, seen.refused);
        }
    }

    /// Woken when there is something to tell.
    pub(crate) fn news(&self) -> Arc<Notify> {
        Arc::clone(&self.news)
    }

    /// Why the server's copy may be behind; none while all is well or there is no inventory.
    pub(crate) fn trouble(&self) -> Option<String> {
        let resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        let resident = resident.as_ref()?;
        if !resident.is_running() {
            return Some("the inventory broke down; the log says where".to_owned());
        }
        resident.inventory().trouble().map(|trouble| trouble.to_string())
    }

    /// Ends it; what is known is kept.
    pub(crate) fn stop(&self) {
        drop(self.resident.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use std::path::{Path, PathBuf};

    #[test]
    fn a_scoped_sensor_reads_the_hosts_files_only_where_it_is_told_to() {
        let (state, settings) = (Path::new("/state"), Settings::default());
        assert!(settings.config(state, false).is_some());
        assert!(settings.config(state, true).is_none());
        let settings: Settings = serde_json::from_str(r#"{"places": ["/opt"]}"#).expect("known");
        let config = settings.config(state, true).expect("told to");
        assert_eq!(config.places, [PathBuf::from("/opt")]);
        let settings: Settings = serde_json::from_str(r#"{"enabled": false}"#).expect("known");
        assert!(settings.config(state, false).is_none());
        assert!(serde_json::from_str::<Settings>(r#"{"place": []}"#).is_err());
    }
}
