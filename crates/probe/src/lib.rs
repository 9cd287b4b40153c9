#![doc = include_str!("../README.md")]
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; every block says why it is sound"
)]

mod cgroups;
mod config;
mod coverage;
mod defaults;
mod emit;
mod ended;
mod error;
mod host;
mod pins;
mod procfs;
mod report;
mod run;
mod sensitive;
mod settings;
mod stats;
mod system;
mod table;
mod target;
mod throttle;
mod tier2;
mod tier3;
mod users;
mod world;

pub use metsuke_scan::{Identity, Listener};

pub use config::{HookBudget, ProbeConfig, SINK_BATCHES, Scope, Sensitive, Watcher};
pub use defaults::{default_sensitive, default_settings, default_unix_sockets};
pub use error::ProbeError;
pub use host::{boot_id, cgroup_root};
pub use report::{Report, Reporter};
pub use run::{Meter, Probe, ProbeEnd, start, trial};
pub use stats::Stats;
pub use throttle::Throttle;
