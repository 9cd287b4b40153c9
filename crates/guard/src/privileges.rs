//! Which capabilities the sensor keeps, and why; all others are given up for good.
//!
//! Root without them is an ordinary user that owns root's files. Invariant: what is dropped cannot
//! come back: it leaves the bounding set, too, and no program gains anything by its file.

use std::io;

use serde::{Deserialize, Serialize};

use crate::sys;

/// Names of capabilities by number (capabilities(7), Linux 5.9).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

const DAC_OVERRIDE: u32 = 1;

/// What the sensor keeps, by number, and what for.
pub const KEPT: [(u32, &str); 15] = [
    (2, "read executables for their hashes, and files and folders that are asked for"),
    (5, "end processes when a plan says so"),
    (6, "start the YARA scanner as nobody"),
    (7, "start the YARA scanner as nobody"),
    (12, "the proc connector; BPF on control groups; closing sockets"),
    (18, "enter mount namespaces to look at files as a container sees them"),
    (19, "read executables, descriptors and memory of other users' processes under /proc"),
    (21, "fanotify; BPF iterators and objects by id; entering namespaces"),
    (23, "the probe's thread runs ahead of what it watches"),
    (24, "lock BPF memory on kernels before 5.11"),
    (30, "the audit subsystem's session numbers"),
    (34, "kernel addresses and messages for the cross-view"),
    (37, "the audit subsystem's multicast group"),
    (38, "attach BPF programs to tracepoints"),
    (39, "load BPF programs and maps"),
];

/// What the capability called `name` is kept for; `None` when it is not kept.
pub fn reason(name: &str) -> Option<&'static str> {
    let kept = |number: u32| NAMES.get(usize::try_from(number).ok()?).copied();
    KEPT.iter().find(|(number, _)| kept(*number) == Some(name)).map(|(_, why)| *why)
}

/// Whose files the sensor keeps its state in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOwner {
    /// Its own: no right to write others' files is kept.
    Own,
    /// Another user's.
    Other,
}

/// What a process may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// Effective capabilities, by name.
    pub effective: Vec<String>,
    /// What it, or a program it starts, could still gain.
    pub bounding: Vec<String>,
    /// Whether programs it starts may gain privileges by their files.
    pub no_new_privileges: bool,
    /// Whether system calls are filtered (seccomp).
    pub seccomp: bool,
}

/// Gives up what is not kept, for this thread and all it starts: to be called before there are
/// others. Without any capability nothing happens.
///
/// # Errors
/// When the kernel refuses.
pub fn drop_most(state: StateOwner) -> io::Result<()> {
    let mut keep = KEPT.iter().fold(0_u64, |set, (number, _)| set | 1 << number);
    if state == StateOwner::Other {
        keep |= 1 << DAC_OVERRIDE;
    }
    let (_, permitted) = sys::capabilities()?;
    if permitted == 0 {
        return sys::no_new_privileges();
    }
    for number in 0..64 {
        if keep & 1 << number != 0 {
            continue;
        }
        match sys::drop_bound(number) {
            Ok(()) => {}
            // No such capability: neither are there any behind it.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            // Without CAP_SETPCAP: what is in the bounding set stays, what is held goes.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => break,
            Err(error) => return Err(error),
        }
    }
    sys::set_capabilities(permitted & keep)?;
    sys::no_new_privileges()
}

/// Gives up every capability, for the calling thread alone: for a thread that reads what others
/// wrote. It shares the process's memory: this hinders a mistake, not somebody who has taken the
/// process over.
///
/// # Errors
/// When the kernel refuses.
pub fn drop_all_of_this_thread() -> io::Result<()> {
    sys::set_capabilities(0)
}

/// Gives up, for the calling thread and what it starts from now on, every capability but those in
/// `keep` (by number), for good: no program it runs gains one.
///
/// # Errors
/// When the kernel refuses.
pub fn narrow_this_thread(keep: &[u32]) -> io::Result<()> {
    let keep = keep.iter().fold(0_u64, |set, number| set | 1 << (number & 63));
    let (_, permitted) = sys::capabilities()?;
    sys::no_new_privileges()?;
    sys::set_capabilities(permitted & keep)
}

/// What the process (its first thread) may do, by `/proc/self/status` (proc(5)).
pub fn report() -> Privileges {
    parse(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn parse(status: &str) -> Privileges {
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let set = |name| field(name).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
    Privileges {
        effective: names(set("CapEff")),
        bounding: names(set("CapBnd")),
        no_new_privileges: field("NoNewPrivs") == Some("1"),
        seccomp: field("Seccomp").is_some_and(|mode| mode != "0"),
    }
}

fn names(set: u64) -> Vec<String> {
    let bits = (0..64_usize).filter(|bit| set & 1 << bit != 0);
    bits.map(|bit| NAMES.get(bit).map_or_else(|| format!("CAP_{bit}"), |name| (*name).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{KEPT, NAMES, names, parse};

    #[test]
    fn a_status_is_read_by_name() {
        let status = "Name:\tx\nCapEff:\t000000c000000005\nCapBnd:\t0000000000000000\n\
            NoNewPrivs:\t1\nSeccomp:\t0\nSeccomp_filters:\t3\n";
        let privileges = parse(status);
        let expected = ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_PERFMON", "CAP_BPF"];
        assert_eq!(privileges.effective, expected);
        assert!(privileges.bounding.is_empty());
        assert!(privileges.no_new_privileges && !privileges.seccomp);
        assert_eq!(names(1 << 50), ["CAP_50"]);
    }

    /// A unit that grants less than is kept would take eyes away, one that grants more is careless.
    #[test]
    fn the_unit_grants_what_is_kept_and_the_right_to_give_up_the_rest() {
        let unit = include_str!("../../../packaging/metsuke-sensor.service");
        let granted = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let granted: Vec<&str> = granted.expect("a line").split(' ').collect();
        let kept = KEPT.iter().map(|(number, _)| NAMES[*number as usize]);
        let mut expected: Vec<&str> = kept.chain(["CAP_SETPCAP"]).collect();
        expected.sort_unstable_by_key(|name| NAMES.iter().position(|known| known == name));
        assert_eq!(granted, expected);
    }

    #[test]
    fn what_is_kept_has_a_name_and_a_reason_once() {
        assert!(KEPT.is_sorted_by(|a, b| a.0 < b.0));
        for (number, why) in KEPT {
            assert!(NAMES.get(number as usize).is_some() && why.len() > 10);
        }
    }
}
