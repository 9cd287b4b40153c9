//! What this process may use, and giving up everything else.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid, geteuid, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use rustix::time::{ClockId, clock_gettime};

use crate::filter;
use crate::session::Failure;

/// Nobody, in every Linux distribution.
const NOBODY: u32 = 65_534;
/// Open files: standard input, output and error; so it can open none.
const FILES_MAX: u64 = 3;
/// Longest single rest.
const REST_MAX: Duration = Duration::from_secs(2);

/// The bounds, as the caller gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    cpu_percent: u32,
    memory_bytes: u64,
    seconds: u64,
}

impl Limits {
    /// From the three arguments.
    pub(crate) fn of(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let numbers: Vec<u64> = arguments.filter_map(|text| text.parse().ok()).collect();
        let [cpu_percent, memory_bytes, seconds] = numbers[..] else { return Err(Failure::Usage) };
        let cpu_percent = u32::try_from(cpu_percent).map_err(|_| Failure::Usage)?;
        if !(1..=100).contains(&cpu_percent) {
            return Err(Failure::Usage);
        }
        Ok(Self { cpu_percent, memory_bytes, seconds })
    }

    /// Bounds this process, gives up root when it has it, and most system calls.
    pub(crate) fn apply(&self) -> Result<(), Failure> {
        let bound = |resource, value| {
            setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
        };
        let all = || -> Result<(), Errno> {
            // Private writable memory, not reservations: WebAssembly reserves more than it uses.
            bound(Resource::Data, self.memory_bytes)?;
            bound(Resource::Cpu, self.seconds)?;
            bound(Resource::Fsize, 0)?;
            bound(Resource::Core, 0)?;
            bound(Resource::Nofile, FILES_MAX)?;
            rustix::thread::set_no_new_privs(true)?;
            if geteuid().is_root() {
                match become_nobody() {
                    // A sensor that gave up changing users leaves that to nobody it starts.
                    Ok(()) | Err(Errno::PERM) => {}
                    Err(error) => return Err(error),
                }
            }
            let none = CapabilitySet::empty();
            let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
            set_capabilities(None, none)
        };
        all().map_err(|error| Failure::Limits(error.into()))?;
        filter::apply().map_err(|error| Failure::Limits(std::io::Error::other(error.to_string())))
    }

    pub(crate) fn pace(self) -> Pace {
        Pace { percent: self.cpu_percent, used: cpu() }
    }
}

fn become_nobody() -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)
}

/// The share of a CPU.
#[derive(Debug)]
pub(crate) struct Pace {
    percent: u32,
    used: Duration,
}

impl Pace {
    /// Rests for what was used since the last call.
    pub(crate) fn rest(&mut self) {
        let rest = cpu().saturating_sub(self.used) * (100 - self.percent) / self.percent;
        if !rest.is_zero() {
            std::thread::sleep(rest.min(REST_MAX));
        }
        self.used = cpu();
    }
}

/// The most memory this process ever had resident, in bytes.
pub(crate) fn peak_bytes() -> u64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    // In KiB (getrusage(2)).
    usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) << 10)
}

/// CPU time of the whole process.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn three_numbers_are_needed() {
        let of = |texts: &[&str]| Limits::of(texts.iter().map(|text| (*text).to_owned())).is_ok();
        assert!(of(&["25", "1000", "9"]));
        assert!(!of(&["0", "1000", "9"]) && !of(&["101", "1000", "9"]));
        assert!(!of(&["25", "1000"]) && !of(&["25", "x", "9"]));
    }
}
