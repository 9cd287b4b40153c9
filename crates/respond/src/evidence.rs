//! Evidence on request: what can be asked for, and what came of it. Nothing here changes a host.

use metsuke_event::ProcessKey;
use serde::{Deserialize, Serialize};

/// Most bytes one dump or one collected file may bring, before compression: what a sensor's disk
/// and an analyst's patience hold.
pub const EVIDENCE_BYTES_MAX: u64 = 1 << 30;
/// Bytes a dump or a collected file may bring when nobody says otherwise.
pub const EVIDENCE_BYTES_DEFAULT: u64 = 256 << 20;
/// Longest YARA source of one scan, in bytes: with its escapes it must fit into a plan on the link.
pub const RULES_BYTES_MAX: usize = 96 << 10;
/// Longest path that can be asked for, in bytes (`PATH_MAX` of Linux).
pub const PATH_BYTES_MAX: usize = 4_096;
/// Most findings an outcome names; all of them stand in the artifact.
pub const FINDINGS_MAX: usize = 200;
/// Most gaps an outcome names.
pub const GAPS_MAX: usize = 50;
/// Longest text of a finding or gap in an outcome, in bytes.
pub const NOTE_BYTES_MAX: usize = 512;

/// Which mappings of a process are dumped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regions {
    /// Every mapping.
    All,
    /// Those without a file behind them (also memfds and deleted shared memory).
    #[default]
    Anonymous,
    /// Those that can be executed.
    Executable,
    /// The main stack and the heap.
    StackHeap,
}

/// What a YARA scan looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum ScanTarget {
    /// The memory of a process.
    Process {
        /// Which; its start time and boot are the precondition.
        target: ProcessKey,
    },
    /// A file, or every file of a folder.
    Path {
        /// Absolute.
        path: String,
    },
}

/// A list of what there is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveList {
    /// Processes.
    Processes,
    /// Sockets, each with the processes that hold it.
    Sockets,
    /// Kernel modules.
    Modules,
}

impl LiveList {
    /// Its name, as it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Sockets => "sockets",
            Self::Modules => "modules",
        }
    }
}

/// What an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// Memory of a process (`docs/spec/dump.md`).
    Dump,
    /// The bytes of a file.
    File,
    /// Matches of a YARA scan, JSON lines.
    Matches,
    /// A list, JSON.
    List,
    /// What a cross-view found, JSON.
    Crossview,
}

impl ArtifactKind {
    /// Its name, as it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::File => "file",
            Self::Matches => "matches",
            Self::List => "list",
            Self::Crossview => "crossview",
        }
    }
}

/// What a plan brought: one artifact, whose id is the plan's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is.
    pub kind: ArtifactKind,
    /// Of what: a process as `BOOT-PID-TICKS`, a path, the name of a list.
    pub name: String,
    /// Size in bytes, as it is stored.
    pub size: u64,
    /// SHA-256 of it, lower-case hexadecimal.
    pub sha256: String,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule or difference.
    pub name: String,
    /// Where.
    pub place: String,
    /// How often there.
    pub count: u64,
}

/// What taking evidence came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was taken.
    pub artifact: Artifact,
    /// What was found in it, at most [`FINDINGS_MAX`].
    pub found: Vec<Finding>,
    /// How many were found in all.
    pub found_total: u64,
    /// What is missing and why, at most [`GAPS_MAX`].
    pub gaps: Vec<String>,
    /// How many gaps there are in all.
    pub gaps_total: u64,
}

impl Evidence {
    /// Evidence that is only an artifact yet.
    pub const fn new(artifact: Artifact) -> Self {
        Self { artifact, found: Vec::new(), found_total: 0, gaps: Vec::new(), gaps_total: 0 }
    }

    /// Adds a finding; beyond the bound it is only counted.
    pub fn find(&mut self, name: &str, place: &str, count: u64) {
        self.found_total += 1;
        if self.found.len() < FINDINGS_MAX {
            let (name, place) = (cut(name).to_owned(), cut(place).to_owned());
            self.found.push(Finding { name, place, count });
        }
    }

    /// Adds a gap; beyond the bound it is only counted.
    pub fn miss(&mut self, gap: &str) {
        self.gaps_total += 1;
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(cut(gap).to_owned());
        }
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(NOTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What is asked for cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Too many bytes, or none.
    #[error("`max_bytes` is {0}; it is 1 to {EVIDENCE_BYTES_MAX}")]
    Bytes(u64),
    /// Not a path.
    #[error(
        "`path` is absolute, without `..`, without NUL, and has at most {PATH_BYTES_MAX} bytes"
    )]
    Path,
    /// Not rules.
    #[error("`rules` has {0} bytes; it is YARA source of 1 to {RULES_BYTES_MAX} bytes")]
    Rules(usize),
}

/// Whether so many bytes may be asked for.
///
/// # Errors
/// [`AskError::Bytes`].
pub const fn check_bytes(bytes: u64) -> Result<(), AskError> {
    if bytes == 0 || bytes > EVIDENCE_BYTES_MAX { Err(AskError::Bytes(bytes)) } else { Ok(()) }
}

/// Whether `path` may be asked for.
///
/// # Errors
/// [`AskError::Path`].
pub fn check_path(path: &str) -> Result<(), AskError> {
    let climbs = path.split('/').any(|part| part == "..");
    if !path.starts_with('/') || climbs || path.contains('\0') || path.len() > PATH_BYTES_MAX {
        return Err(AskError::Path);
    }
    Ok(())
}

/// Whether `rules` may be sent. Whether they compile is found on the endpoint.
///
/// # Errors
/// [`AskError::Rules`].
pub const fn check_rules(rules: &str) -> Result<(), AskError> {
    if rules.is_empty() || rules.len() > RULES_BYTES_MAX {
        return Err(AskError::Rules(rules.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        Artifact, ArtifactKind, Evidence, FINDINGS_MAX, GAPS_MAX, NOTE_BYTES_MAX, check_path,
    };

    #[test]
    fn paths_that_climb_or_are_relative_are_refused() {
        for (path, good) in [
            ("/etc/passwd", true),
            ("/", true),
            ("/a/..b", true),
            ("etc/passwd", false),
            ("/a/../b", false),
            ("/a\0b", false),
            ("", false),
        ] {
            assert_eq!(check_path(path).is_ok(), good, "{path:?}");
        }
    }

    #[test]
    fn an_outcome_is_bounded_and_counts_what_it_leaves_out() {
        let artifact = Artifact {
            kind: ArtifactKind::Matches,
            name: "/".to_owned(),
            size: 1,
            sha256: String::new(),
        };
        let mut evidence = Evidence::new(artifact);
        for _ in 0..FINDINGS_MAX + 7 {
            evidence.find(&"é".repeat(NOTE_BYTES_MAX), "place", 1);
            evidence.miss("gap");
        }
        assert_eq!((evidence.found.len(), evidence.gaps.len()), (FINDINGS_MAX, GAPS_MAX));
        assert_eq!(evidence.found_total, FINDINGS_MAX as u64 + 7);
        assert_eq!(evidence.gaps_total, FINDINGS_MAX as u64 + 7);
        assert!(evidence.found.iter().all(|found| found.name.len() <= NOTE_BYTES_MAX));
    }
}
