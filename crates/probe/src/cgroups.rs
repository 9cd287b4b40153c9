//! Control groups (v2): paths of ids, and the container an id belongs to.
//!
//! Invariant: paths are relative to the hierarchy's root and begin with `/`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use metsuke_event::Text;

use crate::config::Scope;
use crate::error::ProbeError;
use crate::host;

/// Groups remembered; forgotten all at once when full, since they are cheap to find again.
const MAX_KNOWN: usize = 16_384;

/// A group as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) path: Text,
    pub(crate) container: Option<Text>,
}

/// The scope, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Inode of the group's directory, which is the kernel's id of the group.
    pub(crate) id: u64,
    /// How deep it lies below the hierarchy's root.
    pub(crate) level: u32,
    /// Its directory.
    pub(crate) directory: PathBuf,
    /// Its path within the hierarchy, without a final slash; empty for the whole host.
    pub(crate) prefix: String,
}

impl Bounds {
    /// Checks that the scope is a directory of the v2 hierarchy.
    pub(crate) fn resolve(scope: &Scope) -> Result<Self, ProbeError> {
        let root = host::cgroup_root();
        let Scope::Cgroup(path) = scope else {
            let directory = root.unwrap_or_default();
            let id = fs::metadata(&directory).map_or(1, |meta| meta.ino());
            return Ok(Self { id, level: 0, directory, prefix: String::new() });
        };
        let refuse = |problem: String| ProbeError::Scope { path: path.clone(), problem };
        let root = root.ok_or_else(|| refuse("no cgroup v2 hierarchy is mounted".to_owned()))?;
        let directory = path.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let relative = directory
            .strip_prefix(&root)
            .map_err(|_| refuse(format!("it is not below {}", root.display())))?;
        let level = u32::try_from(relative.components().count()).unwrap_or(u32::MAX);
        if level == 0 {
            return Err(refuse("it is the root; use the scope of the whole host".to_owned()));
        }
        let meta = fs::metadata(&directory).map_err(|error| refuse(error.to_string()))?;
        let prefix = format!("/{}", relative.to_string_lossy());
        Ok(Self { id: meta.ino(), level, directory, prefix })
    }

    /// Whether a group's path lies within.
    pub(crate) fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The processes in scope now, by reading `cgroup.procs` of the group and those below, or
    /// /proc for the whole host.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        if self.prefix.is_empty() {
            let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
            pids.extend(
                entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()),
            );
        } else {
            collect_pids(&self.directory, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

fn collect_pids(directory: &Path, pids: &mut Vec<u32>) {
    if let Ok(text) = fs::read_to_string(directory.join("cgroup.procs")) {
        pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_pids(&entry.path(), pids);
        }
    }
}

/// Finds and remembers groups by id.
#[derive(Debug)]
pub(crate) struct Cgroups {
    root: Option<(PathBuf, File)>,
    known: HashMap<u64, Option<Group>>,
}

impl Cgroups {
    pub(crate) fn new() -> Self {
        let open = |path: PathBuf| File::open(&path).ok().map(|file| (path, file));
        Self { root: host::cgroup_root().and_then(open), known: HashMap::new() }
    }

    /// A group was made: its name is known from now on, also when it is gone again.
    pub(crate) fn learn(&mut self, id: u64, path: &str) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(id, Some(group(path)));
    }

    /// The group with the kernel's id `id`; asked of the kernel once.
    pub(crate) fn by_id(&mut self, id: u64) -> Option<Group> {
        if id == 0 {
            return None;
        }
        if let Some(group) = self.known.get(&id) {
            return group.clone();
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        let group = self.path_of(id).map(|path| group(&path));
        self.known.insert(id, group.clone());
        group
    }

    /// The group of a running process, as /proc names it.
    pub(crate) fn of_pid(pid: u32) -> Option<Group> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("0::")).map(group)
    }

    /// A group's id is its directory's file handle, so the kernel finds it without a search.
    fn path_of(&self, id: u64) -> Option<String> {
        // struct file_handle of open_by_handle_at(2) with the eight bytes of a kernfs id.
        #[repr(C)]
        struct Handle {
            bytes: u32,
            kind: i32,
            id: u64,
        }
        const FILEID_KERNFS: i32 = 0xfe;
        let (root, file) = self.root.as_ref()?;
        let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id };
        // SAFETY: `handle` has the layout of struct file_handle with handle_bytes = 8 and lives
        // through the call; `file` is an open directory of the same file system.
        let fd = unsafe {
            libc::open_by_handle_at(
                file.as_raw_fd(),
                (&raw mut handle).cast(),
                libc::O_PATH | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            return None;
        }
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        let found = unsafe { File::from_raw_fd(fd) };
        let path = fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()?;
        let relative = path.strip_prefix(root).ok()?.to_string_lossy().into_owned();
        Some(format!("/{relative}"))
    }
}

pub(crate) fn group(path: &str) -> Group {
    Group { path: path.into(), container: container_id(path).map(Into::into) }
}

/// The container id in a group's path: the last part that is, after a runtime's prefix and before
/// `.scope`, 12 to 64 hexadecimal digits, at least one of them no decimal digit.
fn container_id(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        let fits = (12..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && id.bytes().any(|b| b.is_ascii_lowercase());
        fits.then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::{Bounds, container_id};

    #[test]
    fn container_ids() {
        let id = "3f4e0b6a5c1d2e3f4e0b6a5c1d2e3f4e0b6a5c1d2e3f4e0b6a5c1d2e3f4e0b6a";
        for (path, expected) in [
            (format!("/docker/{id}"), Some(id)),
            (format!("/system.slice/docker-{id}.scope"), Some(id)),
            (format!("/kubepods/besteffort/pod1/cri-containerd-{id}.scope/init"), Some(id)),
            (format!("/machine.slice/libpod-{id}.scope/container"), Some(id)),
            ("/user.slice/user-1000.slice/session-3.scope".to_owned(), None),
            ("/123456789012".to_owned(), None),
            ("/".to_owned(), None),
        ] {
            assert_eq!(container_id(&path), expected, "{path}");
        }
    }

    #[test]
    fn a_sibling_with_the_same_beginning_is_outside() {
        let bounds = Bounds { id: 1, level: 1, directory: "/x".into(), prefix: "/demo".to_owned() };
        assert!(bounds.holds("/demo") && bounds.holds("/demo/a/b"));
        assert!(!bounds.holds("/demo2") && !bounds.holds("/") && !bounds.holds("/a/demo"));
    }
}
