//! What a probe is told: where to look, how far it may go, and its bounds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use metsuke_event::coverage::Tier;
use metsuke_scan::{Limits, Listener};

use crate::defaults::{default_sensitive, default_settings, default_unix_sockets};
use crate::throttle::Throttle;

/// Batches that may wait in the sink before the probe holds events back, and sheds them when it holds
/// [`HELD_EVENTS`]. Few, as each event has one or two kilobytes.
pub const SINK_BATCHES: usize = 32;

/// Events held back while the sink is full: with those in the sink some 30,000, about five seconds of a
/// very busy host, in some 40 MB.
pub(crate) const HELD_EVENTS: usize = 16_384;

/// Where the probe looks. Nothing outside is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Processes in this control group (v2) or below it: an absolute path of its directory.
    Cgroup(PathBuf),
    /// Every process of the host.
    Host,
}

/// One file, or family of files, whose opening for reading is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensitive {
    /// Path pattern: `*` stands for any run of characters but `/`, a leading `**/` for any folder.
    /// The last part, or the one before it, must hold no `*`: the kernel filters by that name.
    pub pattern: String,
    /// What it is: `credential`, `key`, `token` or `account database`.
    pub sensitivity: String,
}

/// A part of the probe that reads what files and libraries say about the system; see `README.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watcher {
    /// Accounts and groups, from passwd, shadow, group and gshadow.
    Accounts,
    /// What starts by itself: cron, at, units, profiles, PAM, …, with what changed.
    Persistence,
    /// Services started and stopped, by control groups and init scripts.
    Services,
    /// Logons, logoffs and failed ones: libpam, audit messages, wtmp and btmp.
    Logons,
    /// Scripts that are run: their text (at most 16 KiB each) and hash.
    Scripts,
    /// Lines typed at a prompt of bash or libreadline. They may hold secrets.
    Prompts,
}

impl Watcher {
    /// Every one, as they are by default.
    pub const ALL: [Self; 6] = [
        Self::Accounts,
        Self::Persistence,
        Self::Services,
        Self::Logons,
        Self::Scripts,
        Self::Prompts,
    ];
}

/// What a single hook in the kernel may cost, and how often that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookBudget {
    /// Thousandths of all cores that one hook may run; at 0 every hook that runs is over it.
    pub permille: u32,
    /// Time between two countings of run time. The kernel counts for all programs of the host while
    /// it is asked to, a quarter of a second each (or one round of the probe's thread, when that is
    /// longer), which costs every run some tens of nanoseconds.
    pub every: Duration,
    /// Time between two looks whether each hook is still attached.
    pub look: Duration,
    /// For how long a hook over its budget is taken away. Those of executions, forks, ends and system
    /// calls are only told: whoever keeps them busy would blind the sensor.
    pub again: Duration,
}

impl Default for HookBudget {
    /// A tenth of all cores, counted once a minute; tried again after ten minutes.
    fn default() -> Self {
        Self {
            permille: 100,
            every: Duration::from_mins(1),
            look: Duration::from_secs(1),
            again: Duration::from_mins(10),
        }
    }
}

/// How a probe is set up. `ProbeConfig::new` gives defaults fit for production.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Where to look.
    pub scope: Scope,
    /// The best tier that may be tried; `None` for the best there is.
    pub max_tier: Option<Tier>,
    /// Files whose reading is reported; at most 256 are used.
    pub sensitive: Vec<Sensitive>,
    /// Settings of the kernel whose writing is reported, by name with dots; `*` stands for one part.
    pub settings: Vec<String>,
    /// Bounds of hashing.
    pub hash: Limits,
    /// Told of each file that is hashed.
    pub hashed: Listener,
    /// Ports on which DNS is read, over UDP and TCP; at most four are used.
    pub dns_ports: Vec<u16>,
    /// What is read of the system around the processes.
    pub watchers: BTreeSet<Watcher>,
    /// Folders that web servers serve: scripts below them start by a visitor's request.
    pub web_roots: Vec<PathBuf>,
    /// Slows the probe while it runs.
    pub throttle: Throttle,
    /// What a hook may cost.
    pub hooks: HookBudget,
    /// Unix sockets to which connections are reported: paths, and abstract names that begin with `@`.
    pub unix_sockets: Vec<Sensitive>,
}

/// Most patterns of sensitive files; the kernel's name table has this size.
pub(crate) const MAX_SENSITIVE: usize = 256;

impl ProbeConfig {
    /// The defaults for `scope`.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            max_tier: None,
            sensitive: default_sensitive(),
            settings: default_settings(),
            hash: Limits::default(),
            hashed: Listener::default(),
            // Also multicast DNS and link-local names.
            dns_ports: vec![53, 5353, 5355],
            unix_sockets: default_unix_sockets(),
            watchers: Watcher::ALL.into(),
            web_roots: ["/var/www", "/srv/http", "/srv/www", "/usr/share/nginx/html"]
                .map(PathBuf::from)
                .into(),
            throttle: Throttle::default(),
            hooks: HookBudget::default(),
        }
    }
}
