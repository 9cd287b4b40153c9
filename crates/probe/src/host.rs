//! Facts about the host that do not change while it runs, and its clocks.

use std::fs;
use std::path::{Path, PathBuf};

use metsuke_event::coverage::HostFact;
use metsuke_event::{BootId, Timestamp};

use crate::error::ProbeError;

/// Identity of this boot, from `/proc/sys/kernel/random/boot_id`.
///
/// # Errors
/// When /proc is not mounted or holds no such file.
pub fn boot_id() -> Result<BootId, ProbeError> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let refuse = |source| ProbeError::Host { path: PATH.into(), source };
    let text = fs::read_to_string(PATH).map_err(refuse)?;
    text.trim().parse().map_err(|error| refuse(std::io::Error::other(error)))
}

/// The host's name, as it calls itself.
pub(crate) fn name() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Nanoseconds on `clock`.
fn nanos(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call; both clocks exist since 2.6.39.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if result != 0 {
        return 0;
    }
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_nanos(nanos(libc::CLOCK_REALTIME))
}

/// A clock tick of /proc, in nanoseconds (`USER_HZ`, which on x86 is the same on every Linux of today).
pub(crate) const NANOS_PER_TICK: u64 = 10_000_000;

/// Nanoseconds since boot, suspension included: the clock of process starts and kernel records.
pub(crate) fn since_boot() -> u64 {
    u64::try_from(nanos(libc::CLOCK_BOOTTIME)).unwrap_or(0)
}

/// Lets the calling thread run soon after it is woken, also on a busy host: what it looks at may
/// be gone in milliseconds. Without the privilege nothing changes.
pub(crate) fn hasten() {
    const NICE: libc::c_int = -15;
    // SAFETY: plain system call on the calling thread (0); a refusal is harmless.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// How long the host was suspended since boot, in nanoseconds.
pub(crate) fn suspended() -> u64 {
    let suspended = nanos(libc::CLOCK_BOOTTIME) - nanos(libc::CLOCK_MONOTONIC);
    // The clocks are read one after the other: less than a millisecond is no suspension.
    u64::try_from(suspended).unwrap_or(0) / 1_000_000 * 1_000_000
}

/// When the host booted, by its wall clock as it stands now.
pub(crate) fn boot_time() -> Timestamp {
    now().plus_nanos(-nanos(libc::CLOCK_BOOTTIME))
}

/// Where the cgroup v2 hierarchy is mounted, as this process sees it.
pub fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(cgroup2_mount).map(PathBuf::from)
}

fn cgroup2_mount(line: &str) -> Option<&str> {
    let (left, right) = line.split_once(" - ")?;
    (right.split(' ').next()? == "cgroup2").then(|| left.split(' ').nth(4)).flatten()
}

fn release_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// Facts for the coverage report.
pub(crate) fn facts() -> Vec<HostFact> {
    let file = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let exists = |path: &str| Some(if Path::new(path).exists() { "yes" } else { "no" }.to_owned());
    let memory = file("/proc/meminfo").and_then(|text| {
        text.lines().next()?.strip_prefix("MemTotal:").map(|rest| rest.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().ok().map(|count| count.to_string());
    // SAFETY: geteuid always succeeds and touches no memory.
    let user = unsafe { libc::geteuid() };
    [
        ("host", name()),
        ("os", release_name()),
        ("kernel", file("/proc/sys/kernel/osrelease")),
        ("kernel_build", file("/proc/sys/kernel/version")),
        ("arch", Some(std::env::consts::ARCH.to_owned())),
        ("cores", cores),
        ("memory", memory),
        ("lsm", file("/sys/kernel/security/lsm")),
        ("btf", exists("/sys/kernel/btf/vmlinux")),
        ("cgroup2", cgroup_root().map(|path| path.display().to_string())),
        ("pid_max", file("/proc/sys/kernel/pid_max")),
        ("unprivileged_bpf_disabled", file("/proc/sys/kernel/unprivileged_bpf_disabled")),
        ("effective_user_id", Some(user.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(HostFact { name: name.to_owned(), value: value? }))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{boot_id, boot_time, cgroup2_mount, now};

    #[test]
    fn finds_the_second_version_only() {
        let hybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        let first = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";
        assert_eq!(cgroup2_mount(hybrid), Some("/sys/fs/cgroup/unified"));
        assert_eq!(cgroup2_mount(first), None);
    }

    #[test]
    fn clocks_agree() {
        assert!(boot_time() < now());
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
    }
}
