//! What a look is asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::view::SubjectType;

/// Pause between the two passes: longer than a fork, an exec or a socket's closing takes.
const GAP: Duration = Duration::from_millis(700);

/// Directories whose listing by the kernel is compared with what `ls` shows: where programs, keys
/// and what attackers drop lie. Each is read once per pass, so the list is short.
const DIRECTORIES: [&str; 12] = [
    "/",
    "/etc",
    "/etc/cron.d",
    "/tmp",
    "/var/tmp",
    "/dev",
    "/dev/shm",
    "/root",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/lib/x86_64-linux-gnu",
];

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole host.
    Host,
    /// Processes in one control group (v2, its directory) or below it, their sockets and
    /// executables, and files of the configured directories. Modules, mounts and BPF objects have
    /// no control group; they are left out.
    Cgroup(PathBuf),
}

/// Whether `ls` and `ps` are run, to see what a user would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helpers {
    /// They are.
    Run,
    /// They are not; their views are refused.
    Skip,
}

/// A process that the caller knows from the kernel's tracepoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProcess {
    /// Thread-group id.
    pub pid: u32,
    /// Start in clock ticks since boot.
    pub start_ticks: u64,
    /// Short name.
    pub name: String,
}

/// What to look at, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the report is about.
    pub scope: Scope,
    /// Types of subjects looked at.
    pub subjects: Vec<SubjectType>,
    /// Pause between the passes.
    pub gap: Duration,
    /// Directories whose listings are compared.
    pub directories: Vec<PathBuf>,
    /// Whether children are run.
    pub helpers: Helpers,
    /// Environment of the children beside `PATH` and `LC_ALL`; empty but in tests.
    pub helper_environment: Vec<(OsString, OsString)>,
    /// Processes the caller knows to run; empty when it watches none.
    pub known: Vec<KnownProcess>,
}

impl Config {
    /// Everything, within `scope`.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            subjects: SubjectType::ALL.to_vec(),
            gap: GAP,
            directories: DIRECTORIES.map(PathBuf::from).to_vec(),
            helpers: Helpers::Run,
            helper_environment: Vec::new(),
            known: Vec::new(),
        }
    }
}
