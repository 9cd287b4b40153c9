//! One process as /proc shows it. Every read may fail at any time: the process may have gone.

use std::fs;
use std::path::{Path, PathBuf};

use metsuke_event::{Process, Text};

use crate::cgroups::Cgroups;

/// Longest command line kept, in bytes; also the kernel record's bound.
pub(crate) const MAX_CMD_LINE: usize = 4096;

/// The fields of `/proc/PID/stat` that are used (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    pub(crate) terminal: u32,
    pub(crate) start_ticks: u64,
}

/// Reads `/proc/PID/stat`.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// Where the environment of `pid` begins and ends in its memory, when it started then; `None` also when
/// the kernel does not tell us (that takes the right to trace it).
pub(crate) fn environment_at(pid: u32, start_ticks: u64) -> Option<(u64, u64)> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_environment(&String::from_utf8_lossy(&text), start_ticks)
}

fn parse_environment(text: &str, start_ticks: u64) -> Option<(u64, u64)> {
    let right = text.rsplit_once(") ")?.1;
    let parts: Vec<&str> = right.split_ascii_whitespace().collect();
    let number = |field: usize| parts.get(field - 3)?.parse::<u64>().ok();
    let (begins, ends) = (number(50)?, number(51)?);
    (number(22)? == start_ticks && begins != 0).then_some((begins, ends))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name may itself hold spaces and parentheses: it ends at the last one.
    let (left, right) = text.rsplit_once(") ")?;
    let name = left.split_once(" (")?.1.to_owned();
    let parts: Vec<&str> = right.split_ascii_whitespace().collect();
    let number = |field: usize| parts.get(field - 3)?.parse::<u64>().ok();
    let small = |field| number(field).and_then(|value| u32::try_from(value).ok());
    // A device number is printed signed; one that does not fit is none we know.
    Some(Stat {
        name,
        parent: small(4)?,
        session: small(6).unwrap_or(0),
        terminal: small(7).unwrap_or(0),
        start_ticks: number(22)?,
    })
}

/// Everything /proc tells of a process, but for names of users, hash, storyline and parent.
pub(crate) fn describe(pid: u32, stat: &Stat) -> Process {
    let mut process = Process {
        pid: Some(u64::from(pid)),
        name: Some(stat.name.as_str().into()),
        session: Some(u64::from(stat.session)),
        tty: terminal(stat.terminal),
        ..Process::default()
    };
    let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
    read_status(&mut process, &String::from_utf8_lossy(&file("status")));
    process.cmd_line = joined(&file("cmdline"));
    process.cwd = link("cwd").map(|path| path.to_string_lossy().into());
    if let Some(exe) = link("exe") {
        set_exe(&mut process, &exe.to_string_lossy());
    }
    if let Ok(meta) = fs::metadata(format!("/proc/{pid}/exe")) {
        use std::os::unix::fs::MetadataExt;
        process.exe_inode = Some(meta.ino());
        process.exe_device = Some(meta.dev());
    }
    if let Some(group) = Cgroups::of_pid(pid) {
        process.cgroup = Some(group.path);
        process.container_id = group.container;
    }
    let login = String::from_utf8_lossy(&file("loginuid")).trim().parse::<u64>().ok();
    process.login_user_id = login.filter(|id| *id != u64::from(u32::MAX));
    process.pid_namespace = namespace(pid, "pid_for_children");
    process.mount_namespace = namespace(pid, "mnt");
    process.network_namespace = namespace(pid, "net");
    process.user_namespace = namespace(pid, "user");
    process.cgroup_namespace = namespace(pid, "cgroup");
    process.uts_namespace = namespace(pid, "uts");
    process.ipc_namespace = namespace(pid, "ipc");
    process.stdio = Some(format!("{}/{}", stream(pid, 0), stream(pid, 1)).into());
    process.environment = interesting(&file("environ"));
    process
}

/// The inode of a namespace of process `pid`: pid, mnt, net, user, cgroup, uts or ipc.
pub(crate) fn namespace(pid: u32, kind: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    link.to_str()?.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

fn read_status(process: &mut Process, text: &str) {
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let mut parts = rest.split_ascii_whitespace();
        let mut id = || parts.next().and_then(|text| text.parse::<u64>().ok());
        match name {
            "Uid" => {
                process.user_id = id();
                process.effective_user_id = id();
            }
            "Gid" => {
                process.group_id = id();
                process.effective_group_id = id();
            }
            "Seccomp" => process.seccomp = id(),
            "CapEff" => process.capabilities = u64::from_str_radix(rest.trim(), 16).ok(),
            _ => {}
        }
    }
}

/// What `exe_kind` says of an executable that lives in memory only.
pub(crate) const MEMORY: &str = "memfd";

/// Sets path and kind from a link in the form of `/proc/PID/exe`.
pub(crate) fn set_exe(process: &mut Process, link: &str) {
    const DELETED: &str = " (deleted)";
    let (path, kind) = match link.strip_suffix(DELETED) {
        Some(path) if path.starts_with("/memfd:") => (path, MEMORY),
        Some(path) => (path, "deleted"),
        None => (link, "disk"),
    };
    process.exe = Some(path.into());
    process.exe_kind = Some(kind.into());
}

/// Arguments as they lie in memory, each ended by NUL, joined by one space.
pub(crate) fn joined(bytes: &[u8]) -> Option<Text> {
    let bytes = &bytes[..bytes.len().min(MAX_CMD_LINE)];
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let line: Vec<u8> = bytes[..end].iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into())
}

/// The variables that change what a program loads.
pub(crate) fn interesting(environment: &[u8]) -> Option<Text> {
    let found: Vec<_> = environment
        .split(|byte| *byte == 0)
        .filter(|variable| variable.starts_with(b"LD_"))
        .map(String::from_utf8_lossy)
        .collect();
    (!found.is_empty()).then(|| found.join(" ").into())
}

/// Descriptors of a process looked at when a file is searched for.
const MAX_DESCRIPTORS: usize = 256;

/// A path that opens the file with `inode` through a descriptor of process `pid`.
pub(crate) fn descriptor_of(pid: u64, inode: u64) -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.take(MAX_DESCRIPTORS);
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.find(|path| {
        fs::metadata(path).is_ok_and(|meta| meta.ino() == inode && meta.file_type().is_file())
    })
}

/// What descriptor `fd` of a process is.
fn stream(pid: u32, fd: u32) -> &'static str {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}"));
    link.map_or("closed", |target| stream_kind(&target))
}

fn stream_kind(target: &Path) -> &'static str {
    let text = target.to_string_lossy();
    match &*text {
        "/dev/null" => "null",
        text if text.starts_with("socket:") => "socket",
        text if text.starts_with("pipe:") => "pipe",
        text if text.starts_with("/dev/pts/") || text.starts_with("/dev/tty") => "tty",
        _ => "file",
    }
}

/// The name of a terminal by its device number, as proc(5) encodes it.
pub(crate) fn terminal(device: u32) -> Option<Text> {
    let major = (device >> 8) & 0xfff;
    let minor = (device & 0xff) | ((device >> 12) & 0xf_ff00);
    match major {
        4 if minor < 64 => Some(format!("tty{minor}").into()),
        4 => Some(format!("ttyS{}", minor - 64).into()),
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Stat, describe, interesting, joined, parse_stat, set_exe, stat, terminal};
    use metsuke_event::Process;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "7 (a) b (c) S 1 7 5 34816 7 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        let expected = Stat {
            name: "a) b (c".to_owned(),
            parent: 1,
            session: 5,
            terminal: 34816,
            start_ticks: 12345,
        };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("7 (a"), None);
    }

    #[test]
    fn small_texts() {
        assert_eq!(joined(b"ls\0-l a\0\0\0").as_deref(), Some("ls -l a"));
        assert_eq!(joined(b"\0\0"), None);
        assert_eq!(interesting(b"A=1\0LD_PRELOAD=/x\0").as_deref(), Some("LD_PRELOAD=/x"));
        assert_eq!(terminal(34817).as_deref(), Some("pts/1"));
        assert_eq!(terminal(1025).as_deref(), Some("tty1"));
        assert_eq!(terminal(0), None);
        for (link, path, kind) in [
            ("/bin/sh", "/bin/sh", "disk"),
            ("/tmp/a (deleted)", "/tmp/a", "deleted"),
            ("/memfd:a (deleted)", "/memfd:a", "memfd"),
        ] {
            let mut process = Process::default();
            set_exe(&mut process, link);
            assert_eq!(
                (process.exe.as_deref(), process.exe_kind.as_deref()),
                (Some(path), Some(kind))
            );
        }
    }

    #[test]
    fn this_process() {
        let pid = std::process::id();
        let process = describe(pid, &stat(pid).unwrap());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(process.exe.as_deref(), exe.to_str());
        assert!(process.user_id.is_some() && process.cmd_line.is_some() && process.cwd.is_some());
    }
}
