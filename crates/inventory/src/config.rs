//! What an inventory may look at and what it may cost.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where executables are looked for on a host. Others' folders of programs, what users may write,
/// and what starts by itself.
const PLACES: [&str; 18] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/libexec",
    "/usr/local",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/opt",
    "/etc",
    "/home",
    "/root",
    "/srv",
    "/var/www",
    "/tmp",
    "/var/tmp",
    "/dev/shm",
];

/// The bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What counts as `/`: another folder for an image, an overlay, a test.
    pub root: PathBuf,
    /// Folders below `root` that are walked for executables, as absolute paths.
    pub places: Vec<PathBuf>,
    /// Where the index and the ledger are kept.
    pub state: PathBuf,
    /// How often all places are walked.
    pub walk_every: Duration,
    /// How often the other kinds are looked at.
    pub look_every: Duration,
    /// Share of one processor the thread may use while it walks, in percent.
    pub cpu_percent: u32,
    /// Bytes read per second on average.
    pub bytes_per_second: u64,
    /// Most executables kept: at about 500 bytes each this bounds memory.
    pub files_max: usize,
    /// Largest file hashed.
    pub file_bytes_max: u64,
    /// Shortest time between two messages of changes.
    pub tell_every: Duration,
    /// Most items told in a day; at 60 to 130 bytes each on the wire this keeps below 8 MB.
    pub items_per_day: u64,
}

impl Config {
    /// The defaults, for the host itself.
    pub fn host(state: PathBuf) -> Self {
        Self::new(PathBuf::from("/"), PLACES.iter().map(PathBuf::from).collect(), state)
    }

    /// The defaults over `places` below `root`.
    pub fn new(root: PathBuf, places: Vec<PathBuf>, state: PathBuf) -> Self {
        Self {
            root,
            places,
            state,
            walk_every: Duration::from_hours(1),
            look_every: Duration::from_mins(5),
            cpu_percent: 5,
            bytes_per_second: 16 << 20,
            files_max: 40_000,
            file_bytes_max: 256 << 20,
            tell_every: Duration::from_secs(10),
            items_per_day: 60_000,
        }
    }

    /// Where `path`, absolute on the host, lies for us.
    pub(crate) fn real(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
