//! What several collectors ask of the host: pids, control groups, mounts, namespaces; and the pace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Scope;
use crate::raw;

/// Steps (a system call or two each) between two rests …
const STEPS: u32 = 512;
/// … each this long: about a third of one core while a look lasts.
const REST: Duration = Duration::from_millis(2);

/// Control groups walked at most.
const MAX_GROUPS: usize = 65_536;

/// Bytes of one `mountinfo` at most.
pub(crate) const MAX_FILE: u64 = 16 << 20;

/// Lets other work run: call `step` once per item.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    steps: u32,
}

impl Pace {
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        if self.steps >= STEPS {
            self.steps = 0;
            std::thread::sleep(REST);
        }
    }
}

/// A text file of the kernel, cut at [`MAX_FILE`].
pub(crate) fn text(path: impl AsRef<Path>) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Pids that `/proc` lists.
pub(crate) fn listed_pids() -> std::io::Result<BTreeSet<u32>> {
    let names = raw::names(Path::new("/proc"))?;
    Ok(names.iter().filter_map(|name| str::from_utf8(name).ok()?.parse().ok()).collect())
}

/// A line of mountinfo (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) id: u32,
    pub(crate) device: String,
    pub(crate) root: String,
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
}

/// Reads a whole mountinfo.
pub(crate) fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let mut words = head.split(' ');
    let id = words.next()?.parse().ok()?;
    let device = words.nth(1)?.to_owned();
    let root = unescape(words.next()?);
    let point = PathBuf::from(unescape(words.next()?));
    let kind = tail.split(' ').next()?.to_owned();
    Some(Mount { id, device, root, point, kind })
}

/// `\040` and its like are octal.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                whole.push(char::from(code));
                whole.push_str(&part[3..]);
            }
            _ => {
                whole.push('\\');
                whole.push_str(part);
            }
        }
    }
    whole
}

/// The control groups (v2) of the host, by the kernel's id.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    paths: BTreeMap<u64, PathBuf>,
    root: Option<PathBuf>,
    scope: Option<PathBuf>,
}

impl Groups {
    /// Walks the hierarchy.
    pub(crate) fn walk(scope: &Scope) -> Self {
        let own = text("/proc/thread-self/mountinfo").unwrap_or_default();
        let root = mounts(&own).into_iter().find(|mount| mount.kind == "cgroup2");
        let root = root.map(|mount| mount.point);
        let mut paths = BTreeMap::new();
        let mut waiting: Vec<PathBuf> = root.iter().cloned().collect();
        while let Some(path) = waiting.pop() {
            let Ok(meta) = fs::metadata(&path) else { continue };
            let below = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(
                below
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
            if paths.len() < MAX_GROUPS {
                paths.insert(meta.ino(), path);
            }
        }
        let scope = match scope {
            Scope::Host => None,
            Scope::Cgroup(path) => Some(path.canonicalize().unwrap_or_else(|_| path.clone())),
        };
        Self { paths, root, scope }
    }

    /// Directories of all groups.
    pub(crate) fn directories(&self) -> impl Iterator<Item = (u64, &Path)> {
        self.paths.iter().map(|(id, path)| (*id, path.as_path()))
    }

    /// Whether a hierarchy is mounted.
    pub(crate) fn is_mounted(&self) -> bool {
        self.root.is_some()
    }

    /// Whether a process in group `id` is in scope; an unknown group is in the whole host only.
    pub(crate) fn holds(&self, id: Option<u64>) -> bool {
        let Some(scope) = &self.scope else { return true };
        id.and_then(|id| self.paths.get(&id)).is_some_and(|path| path.starts_with(scope))
    }

    /// The group of a process, as `/proc/PID/cgroup` names it.
    pub(crate) fn of_process(&self, pid: u32) -> Option<u64> {
        let text = text(format!("/proc/{pid}/cgroup")).ok()?;
        let inside = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let path = self.root.as_ref()?.join(inside);
        self.paths.iter().find(|(_, known)| **known == path).map(|(id, _)| *id)
    }

    /// Whether the group's path is that of a container: a long hexadecimal id, or a name that
    /// container managers give.
    pub(crate) fn is_container(&self, id: u64) -> bool {
        let Some(path) = self.paths.get(&id) else { return false };
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let inside = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        names_container(&inside)
    }
}

fn names_container(path: &str) -> bool {
    const MANAGERS: [&str; 5] = ["kubepods", "lxc", "libpod", "docker", "machine.slice"];
    MANAGERS.iter().any(|manager| path.contains(manager))
        || path
            .split(|c: char| !c.is_ascii_hexdigit())
            .any(|run| run.len() == 64 || run.len() == 32)
}

/// The inode of a namespace of a process, for example `net` or `mnt`.
pub(crate) fn namespace(pid: u32, kind: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok().map(|meta| meta.ino())
}

/// Start of a process in clock ticks, and its short name, from `/proc/PID/stat`; the pid it says
/// it is of, first.
pub(crate) fn stat(pid: u32) -> Option<(u32, u64, String)> {
    let text = text(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

fn parse_stat(text: &str) -> Option<(u32, u64, String)> {
    let (head, tail) = text.rsplit_once(')')?;
    let (pid, name) = head.split_once(" (")?;
    // Field 22; the state after the name is field 3.
    let start = tail.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some((pid.trim().parse().ok()?, start, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{mount, names_container, parse_stat, unescape};

    #[test]
    fn mountinfo_is_read() {
        let line = "36 35 98:0 /mnt1 /a\\040b rw shared:1 master:2 - ext3 /dev/root rw";
        let mount = mount(line).expect("a mount");
        assert_eq!((mount.id, mount.device.as_str(), mount.root.as_str()), (36, "98:0", "/mnt1"));
        assert_eq!(mount.point.to_str(), Some("/a b"));
        assert_eq!(mount.kind, "ext3");
        assert_eq!(unescape("a\\b\\1"), "a\\b\\1");
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse_stat() {
        let numbers = (3..=22).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let text = format!("17 (a) (b) {numbers} 23");
        assert_eq!(parse_stat(&text), Some((17, 22, "a) (b".to_owned())));
        assert_eq!(parse_stat("nothing"), None);
    }

    #[test]
    fn containers_are_told_by_their_groups() {
        let id = "0123456789abcdef".repeat(4);
        assert!(names_container(&format!("system.slice/docker-{id}.scope")));
        assert!(names_container("kubepods/burstable/pod1"));
        assert!(!names_container("system.slice/ssh.service"));
    }
}
