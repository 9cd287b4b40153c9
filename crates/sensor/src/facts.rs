//! What the host is: name, system, kernel, addresses, time, and what this process uses of it.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{SystemTime, UNIX_EPOCH};

use metsuke_event::Timestamp;
use metsuke_link::message::EnrolFacts;

/// Clock ticks per second in `/proc` (`USER_HZ`, fixed on Linux).
const TICKS_PER_SECOND: u64 = 100;

/// This program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The host's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    Timestamp::from_nanos(nanos)
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Time since boot, in the clock ticks of process start times (proc(5), `/proc/uptime`).
pub(crate) fn ticks_since_boot() -> Option<u64> {
    let uptime = line("/proc/uptime");
    // `SECONDS.HUNDREDTHS IDLE`: without the point these are clock ticks.
    uptime.split(' ').next()?.replace('.', "").parse().ok()
}

/// The host's name.
pub(crate) fn host() -> String {
    line("/proc/sys/kernel/hostname")
}

/// What the host says of itself at enrolment.
pub(crate) fn enrol() -> EnrolFacts {
    EnrolFacts { host: host(), os: os(), kernel: kernel(), version: VERSION.to_owned() }
}

/// Kernel release.
pub(crate) fn kernel() -> String {
    line("/proc/sys/kernel/osrelease")
}

/// `PRETTY_NAME` of os-release(5).
pub(crate) fn os() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// Addresses of the host but for loopback and link-local ones, from `/proc/net`.
pub(crate) fn addresses() -> Vec<String> {
    let mut found: Vec<IpAddr> = local_v4();
    found.extend(local_v6());
    found.retain(|address| !address.is_loopback() && !address.is_unspecified());
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|address| address.to_string()).collect()
}

/// Entries `/32 host LOCAL` of the local routing table.
fn local_v4() -> Vec<IpAddr> {
    let text = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut address = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("|-- ") {
            address = text.parse::<IpAddr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(address);
        }
    }
    found
}

fn local_v6() -> Vec<IpAddr> {
    let text = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    text.lines()
        .filter_map(|line| u128::from_str_radix(line.split(' ').next()?, 16).ok())
        .map(Ipv6Addr::from_bits)
        .filter(|address| !address.is_unicast_link_local())
        .map(IpAddr::V6)
        .collect()
}

/// CPU time this process has used, in milliseconds.
pub(crate) fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // utime and stime are fields 14 and 15; the state after the name is field 3.
    let ticks: u64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<u64>().ok())
        .sum();
    ticks * (1_000 / TICKS_PER_SECOND)
}

/// Resident memory of this process, in bytes.
pub(crate) fn rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
