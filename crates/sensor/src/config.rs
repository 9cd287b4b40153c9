//! The sensor's optional configuration file (JSON). Everything has a default; an unknown name is
//! an error, so that a typing mistake is not a setting silently ignored.

use std::path::{Path, PathBuf};

use anyhow::Context;
use metsuke_guard::governor::Budgets;
use metsuke_probe::{Sensitive, Watcher};
use serde::Deserialize;

use crate::denials::Written;

/// Largest configuration file read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// More activities of one kind in a second, for long, are a flood.
const FLOOD_PER_SECOND: u64 = 50_000;

/// What the sensor watches and where it may act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConfiguredScope {
    /// Not said: it watches the whole host and acts nowhere.
    #[default]
    Unsaid,
    /// `"host"`: it watches the whole host and may act everywhere on it.
    Host,
    /// A control group's folder: it watches and acts there only.
    Cgroup(PathBuf),
}

impl<'de> Deserialize<'de> for ConfiguredScope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "host" => Ok(Self::Host),
            path if path.starts_with('/') => Ok(Self::Cgroup(PathBuf::from(path))),
            _ => Err(serde::de::Error::custom(
                "scope is neither \"host\" (act everywhere on this host) nor the absolute path of \
                 a control group; leave it out to watch the host and act nowhere",
            )),
        }
    }
}

/// One file, or family of files, whose reading is reported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SensitiveFile {
    pattern: String,
    sensitivity: String,
}

/// What is not read, for people write secrets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unread {
    /// Lines typed at a prompt.
    Prompts,
    /// The text of scripts.
    Scripts,
    /// What makes programs start by themselves, with its changed lines.
    Persistence,
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Most bytes of the spool on disk.
    pub(crate) spool_max_bytes: Option<u64>,
    /// Folder of the proof-of-coverage exercise; the state folder's `poc` by default.
    pub(crate) poc_dir: Option<PathBuf>,
    /// What is watched, and where the sensor may act; `--scope-cgroup` goes before it.
    pub(crate) scope: ConfiguredScope,
    /// What is denied there.
    pub(crate) deny: Vec<Written>,
    /// Mounts on which unseen copies are looked at before they are executed or opened.
    pub(crate) gate: crate::gate::Settings,
    /// What the sensor may use.
    pub(crate) budgets: Budgets,
    flood_per_second: Option<u64>,
    /// Thousandths of all cores that a single hook in the kernel may run before it is taken away for
    /// a while; 100 by default.
    pub(crate) hook_permille: Option<u32>,
    /// Folders whose files may be read as evidence; without a scope everything by default, with one
    /// nothing.
    pub(crate) evidence_roots: Option<Vec<PathBuf>>,
    /// Share of a CPU while evidence is taken, in percent.
    pub(crate) evidence_cpu_percent: Option<u32>,
    /// The YARA scanner; `metsuke-yara` beside the sensor by default.
    pub(crate) yara: Option<PathBuf>,
    /// Minutes between cross-view looks, 15 by default; 0 for on demand only.
    pub(crate) crossview_minutes: Option<u64>,
    /// What is on the host.
    pub(crate) inventory: crate::inventory::Settings,
    sensitive: Option<Vec<SensitiveFile>>,
    /// What is read by default and is not to be.
    unread: Vec<Unread>,
}

impl Config {
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let size = std::fs::metadata(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?
            .len();
        anyhow::ensure!(size <= FILE_MAX, "{} is too large to be a configuration", path.display());
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is wrong", path.display()))
    }

    /// More activities of one kind in a second, for long, are a flood.
    pub(crate) fn flood_per_second(&self) -> u64 {
        self.flood_per_second.unwrap_or(FLOOD_PER_SECOND)
    }

    /// What the probe is not to read.
    pub(crate) fn unread(&self) -> impl Iterator<Item = Watcher> {
        self.unread.iter().map(|unread| match unread {
            Unread::Prompts => Watcher::Prompts,
            Unread::Scripts => Watcher::Scripts,
            Unread::Persistence => Watcher::Persistence,
        })
    }

    /// Files whose reading is reported.
    pub(crate) fn sensitive(&self) -> Option<Vec<Sensitive>> {
        let files = self.sensitive.as_ref()?.iter();
        Some(
            files
                .map(|file| Sensitive {
                    pattern: file.pattern.clone(),
                    sensitivity: file.sensitivity.clone(),
                })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfiguredScope, Watcher};

    fn read(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_misspelt_setting_is_an_error_that_names_it() {
        assert_eq!(read("{}").expect("empty is fine"), Config::default());
        for text in [r#"{"scoep": "host"}"#, r#"{"budgets": {"scoep": 1}}"#] {
            let error = read(text).expect_err("unknown");
            assert!(error.contains("scoep"), "{error}");
        }
        let budgets = read(r#"{"budgets": {"cpu_permille": 7}}"#).expect("the others are as usual");
        assert_eq!(budgets.budgets.cpu_permille, 7);
        assert_eq!(budgets.budgets.memory_bytes, Config::default().budgets.memory_bytes);
    }

    #[test]
    fn what_may_hold_secrets_can_be_left_unread() {
        let config = read(r#"{"unread": ["prompts", "scripts"]}"#).expect("reads");
        assert_eq!(config.unread().collect::<Vec<_>>(), [Watcher::Prompts, Watcher::Scripts]);
        assert_eq!(Config::default().unread().count(), 0);
        assert!(read(r#"{"unread": ["promts"]}"#).is_err());
    }

    #[test]
    fn the_whole_host_is_acted_on_only_when_said_in_so_many_words() {
        let scope = |text: &str| read(text).map(|config| config.scope);
        assert_eq!(scope("{}"), Ok(ConfiguredScope::Unsaid));
        assert_eq!(scope(r#"{"scope": "host"}"#), Ok(ConfiguredScope::Host));
        let group = ConfiguredScope::Cgroup("/sys/fs/cgroup/a".into());
        assert_eq!(scope(r#"{"scope": "/sys/fs/cgroup/a"}"#), Ok(group));
        for text in [r#"{"scope": ""}"#, r#"{"scope": "Host"}"#, r#"{"scope": "*"}"#] {
            let error = scope(text).expect_err("neither");
            assert!(error.contains("leave it out"), "{error}");
        }
    }
}
