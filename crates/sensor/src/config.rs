//! The sensor's optional configuration file (JSON). Everything has a default; an unknown name is
//! an error, so that a typing mistake is not a setting silently ignored.

use std::path::{Path, PathBuf};

use anyhow::Context;
use metsuke_probe::Sensitive;
use serde::Deserialize;

/// Largest configuration file read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Where the sensor may act when it has no scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Enforce {
    /// Only within `--scope-cgroup`; without one nowhere.
    #[default]
    Scope,
    /// Everywhere on this host.
    Host,
}

/// One file, or family of files, whose reading is reported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct SensitiveFile {
    pattern: String,
    sensitivity: String,
}

/// The configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Most bytes of the spool on disk.
    pub(crate) spool_max_bytes: Option<u64>,
    /// Folder of the proof-of-coverage exercise; the state folder's `poc` by default.
    pub(crate) poc_dir: Option<PathBuf>,
    /// Where the sensor may act.
    pub(crate) enforce: Enforce,
    sensitive: Option<Vec<SensitiveFile>>,
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
    use super::{Config, Enforce};

    #[test]
    fn a_misspelt_setting_is_an_error_that_names_it() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        assert_eq!(read("{}").expect("empty is fine"), Config::default());
        assert_eq!(read(r#"{"enforce": "host"}"#).expect("known").enforce, Enforce::Host);
        let error = read(r#"{"enforec": "host"}"#).expect_err("unknown").to_string();
        assert!(error.contains("enforec"), "{error}");
    }
}
