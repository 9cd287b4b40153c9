//! What `/proc` says of one process (proc(5)).

use std::fs;
use std::path::PathBuf;

use metsuke_event::{BootId, ProcessKey};

/// Longest command line kept as evidence, in bytes; as long as the field table keeps.
const CMD_LINE_MAX: usize = 4_096;
/// Parent of every kernel thread.
const KTHREADD: u32 = 2;

/// A process, as it was when looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent: u32,
    /// Start, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
    /// State letter: `Z` and `X` are dead.
    pub state: char,
}

impl Seen {
    /// Looks at `pid`; `None` when there is no such process.
    pub fn look(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &text)
    }

    fn parse(pid: u32, stat: &str) -> Option<Self> {
        // The name stands in parentheses and may itself hold spaces and parentheses.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // Field 22 counted from 1; the state is field 3, the parent 4.
        let start_ticks = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, parent, start_ticks, state })
    }

    /// Whether it has ended and only waits to be reaped.
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether it is the kernel's.
    pub const fn is_kernel(&self) -> bool {
        self.pid == KTHREADD || self.parent == KTHREADD
    }

    /// Its identity in `boot`.
    pub const fn key(&self, boot: BootId) -> ProcessKey {
        ProcessKey { boot, pid: self.pid, start_ticks: self.start_ticks }
    }
}

/// The running boot (`/proc/sys/kernel/random/boot_id`).
pub fn boot_id() -> Option<BootId> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().parse().ok()
}

/// Every process there is.
pub fn all() -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Seen::look)
        .collect()
}

/// Path of its executable; empty when it has none or may not be read.
pub fn exe(pid: u32) -> String {
    let path: Option<PathBuf> = fs::read_link(format!("/proc/{pid}/exe")).ok();
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Its arguments joined by one space.
pub fn cmd_line(pid: u32) -> String {
    let mut bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.truncate(CMD_LINE_MAX);
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    text.trim_end().to_owned()
}

/// Its control group (v2) path; `None` when it is gone or the host has no such hierarchy.
pub fn cgroup(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn a_name_may_hold_anything() {
        let rest = "S 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 4711 0";
        for name in ["sh", "a b", "x) R 1 (y", "))"] {
            let seen = Seen::parse(9, &format!("9 ({name}) {rest}")).expect("reads");
            assert_eq!((seen.parent, seen.start_ticks, seen.state), (7, 4711, 'S'), "{name}");
        }
        assert_eq!(Seen::parse(9, "9 (sh) S"), None);
    }
}
