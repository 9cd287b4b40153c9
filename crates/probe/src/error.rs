//! What can keep a probe from starting.

use std::io;
use std::path::PathBuf;

/// Why a probe did not start.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The scope's control group cannot be used.
    #[error(
        "cannot watch the control group {path}: {problem}; name an existing directory of the cgroup v2 hierarchy"
    )]
    Scope {
        /// The path given.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of /proc that everything needs cannot be read.
    #[error("cannot read {path}; mount proc on /proc")]
    Host {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// No tier works here.
    #[error(
        "no tier works here: {reasons}; run `metsuke-sensor probe` as root and see each hook's reason"
    )]
    NoTier {
        /// Reasons, one per tier.
        reasons: String,
    },
    /// A thread could not be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// The error.
        #[source]
        source: io::Error,
    },
}
