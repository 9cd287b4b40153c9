//! What each of this process's BPF programs took, by the kernel's own count (`BPF_ENABLE_STATS`,
//! Linux 5.8). It is on as long as its descriptor is open, costs two readings of the clock a call,
//! and so is on in a run of its own only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};

use libbpf_rs::query::ProgInfoIter;

/// The kernel counts as long as this lives.
pub(crate) struct Counting(#[expect(dead_code, reason = "held open")] OwnedFd);

impl Counting {
    /// `None` where the kernel refuses.
    pub(crate) fn start() -> Option<Self> {
        // SAFETY: a plain system call; what it gives is a descriptor or an error.
        let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        (fd >= 0).then(|| Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

/// Calls and nanoseconds by program.
pub(crate) type Counts = BTreeMap<String, (u64, u64)>;

/// The counts of the programs that this process holds.
pub(crate) fn counts() -> Counts {
    let own = own();
    ProgInfoIter::default()
        .filter(|program| own.contains(&program.id))
        .map(|program| {
            let name = program.name.to_string_lossy().into_owned();
            (name, (program.run_cnt, program.run_time_ns))
        })
        .collect()
}

/// Ids of programs behind descriptors of this process, as `/proc` tells them.
fn own() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts
        .filter_map(|text| {
            let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"))?;
            id.trim().parse().ok()
        })
        .collect()
}

/// Prints what was spent between two counts, for each of `operations`; what comes to no nanosecond (the
/// beginning and end of the work's own process) is left out.
pub(crate) fn print(before: &Counts, after: &Counts, operations: f64) {
    let mut rows: Vec<_> = after
        .iter()
        .map(|(name, (calls, nanos))| {
            let (calls_before, nanos_before) = before.get(name).copied().unwrap_or_default();
            (name, (calls - calls_before) as f64, (nanos - nanos_before) as f64)
        })
        .filter(|(_, calls, nanos)| *calls > 0.0 && *nanos >= operations)
        .collect();
    rows.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (name, calls, nanos) in rows {
        println!(
            "    in the kernel, {name:<18} {:>10.1} calls of {:>7.0} ns: {:>10.0} ns",
            calls / operations,
            nanos / calls,
            nanos / operations
        );
    }
}
