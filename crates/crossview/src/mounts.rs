//! Mounts: what each mount namespace says lies over entries of `/proc`, and the kernel's own list
//! of mounts (listmount(2), Linux 6.8) against mountinfo.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::host::{self, Mount, Pace, mounts};
use crate::view::{Pass, Subject, SubjectType, View};

const OF: SubjectType = SubjectType::Mount;

/// Mount namespaces looked into at most.
const MAX_NAMESPACES: usize = 1_024;

/// Mounts asked for at a time.
const CHUNK: usize = 256;

/// `listmount(2)` and `statmount(2)` on x86-64 and arm64, which libc does not name yet.
const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;

/// The mount namespaces of this host, each through one of its processes.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// By inode: the process it is seen through, and its mounts.
    pub(crate) all: BTreeMap<u64, (u32, Vec<Mount>)>,
    /// Entries of `/proc` with something over them.
    pub(crate) covers: Vec<Cover>,
}

/// Something mounted over the entry of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(crate) pid: u32,
    pub(crate) namespace: u64,
    /// A process in that namespace.
    pub(crate) holder: u32,
    /// Root of what is mounted, within its file system.
    pub(crate) root: String,
    pub(crate) technique: &'static str,
    /// Whether pids there are this host's pids.
    pub(crate) is_of_this_host: bool,
}

impl Namespaces {
    /// Reads the mounts of every namespace that a listed process lives in.
    pub(crate) fn read(pace: &mut Pace) -> Self {
        let mut found = Self::default();
        let own_pids = host::namespace(std::process::id(), "pid");
        for pid in host::listed_pids().unwrap_or_default() {
            pace.step();
            let Some(namespace) = host::namespace(pid, "mnt") else { continue };
            if found.all.contains_key(&namespace) || found.all.len() >= MAX_NAMESPACES {
                continue;
            }
            let Ok(text) = host::text(format!("/proc/{pid}/mountinfo")) else { continue };
            let mounts = mounts(&text);
            let is_of_this_host = host::namespace(pid, "pid") == own_pids;
            for (covered, mount) in mounts.iter().filter_map(covers) {
                found.covers.push(Cover {
                    pid: covered,
                    namespace,
                    holder: pid,
                    root: mount.root.clone(),
                    technique: technique(mount),
                    is_of_this_host,
                });
            }
            found.all.insert(namespace, (pid, mounts));
        }
        found
    }
}

/// The pid whose entry in `/proc` a mount lies over, or in.
fn covers(mount: &Mount) -> Option<(u32, &Mount)> {
    let below = mount.point.strip_prefix("/proc").ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    Some((first.parse().ok()?, mount))
}

fn technique(mount: &Mount) -> &'static str {
    if mount.kind == "proc" { "bind_over_proc" } else { "tmpfs_over_proc" }
}

/// Looks at the mounts of the calling thread's namespace, and at what covers processes of
/// containers.
pub(crate) fn look(namespaces: &Namespaces) -> Pass {
    let mut pass = Pass::default();
    let mut covering = View::new("mountinfo", OF);
    if let Ok(text) = host::text("/proc/thread-self/mountinfo") {
        for mount in mounts(&text) {
            covering.show(mount.id.to_string(), Subject::labelled(mount.point.to_string_lossy()));
        }
    }
    let mut plain: BTreeSet<String> = covering.subjects.keys().cloned().collect();
    for cover in namespaces.covers.iter().filter(|cover| !cover.is_of_this_host) {
        let id = format!("{}:/proc/{}", cover.namespace, cover.pid);
        let detail = format!("seen through process {}", cover.holder);
        pass.clue(OF, &id, cover.technique, detail);
        let label = format!("/proc/{} in the mount namespace {}", cover.pid, cover.namespace);
        covering.show(id.clone(), Subject::labelled(label));
        plain.remove(&id);
    }
    let mut owed = View::new("proc_entry", OF);
    for id in plain {
        owed.show(id, Subject::default());
    }
    pass.views.push(covering);
    pass.views.push(owed);
    pass.views.push(View::from_result("listmount", OF, listed().map_err(|e| e.to_string())));
    pass
}

/// The kernel's list of mounts, by the ids that mountinfo uses.
fn listed() -> std::io::Result<Vec<(String, Subject)>> {
    /// `struct mnt_id_req`, its first version.
    #[repr(C)]
    struct Request {
        size: u32,
        spare: u32,
        mount: u64,
        parameter: u64,
    }
    const SIZE: u32 = 24;
    /// `LSMT_ROOT`: everything below the caller's root.
    const ROOT: u64 = u64::MAX;
    /// `STATMOUNT_MNT_BASIC`.
    const BASIC: u64 = 2;
    /// Offset of `mnt_id_old` in `struct statmount`.
    const OLD_ID: usize = 56;
    let mut mounts = Vec::new();
    let mut last = 0;
    loop {
        let request = Request { size: SIZE, spare: 0, mount: ROOT, parameter: last };
        let mut ids = [0_u64; CHUNK];
        // SAFETY: request and buffer outlive the call, and their true sizes are given.
        let count = unsafe {
            libc::syscall(SYS_LISTMOUNT, &raw const request, ids.as_mut_ptr(), ids.len(), 0)
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(std::io::Error::last_os_error());
        };
        for id in &ids[..count.min(CHUNK)] {
            let request = Request { size: SIZE, spare: 0, mount: *id, parameter: BASIC };
            let mut answer = [0_u8; 512];
            // SAFETY: as above.
            let result = unsafe {
                libc::syscall(
                    SYS_STATMOUNT,
                    &raw const request,
                    answer.as_mut_ptr(),
                    answer.len(),
                    0,
                )
            };
            // Unmounted since.
            if result != 0 {
                continue;
            }
            let old = answer[OLD_ID..OLD_ID + 4].try_into().map_or(0, u32::from_ne_bytes);
            mounts.push((old.to_string(), Subject::labelled(format!("mount {old}"))));
        }
        if count < CHUNK {
            return Ok(mounts);
        }
        last = ids[CHUNK - 1];
    }
}

/// Where BPF file systems are mounted, in any namespace, as a path from here.
pub(crate) fn bpf_folders(namespaces: &Namespaces) -> Vec<std::path::PathBuf> {
    let mut folders = Vec::new();
    let mut seen = BTreeSet::new();
    for (pid, mounts) in namespaces.all.values() {
        for mount in mounts.iter().filter(|mount| mount.kind == "bpf") {
            if seen.insert((mount.device.clone(), mount.root.clone())) {
                let inside = mount.point.strip_prefix("/").unwrap_or(&mount.point);
                folders.push(Path::new(&format!("/proc/{pid}/root")).join(inside));
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::{covers, technique};
    use crate::host::mounts;

    #[test]
    fn covers_are_told_from_other_mounts_below_proc() {
        let text = "\
1 0 0:5 / /proc rw - proc proc rw
2 1 0:6 / /proc/sys/fs/binfmt_misc rw - autofs none rw
3 1 0:7 / /proc/4121 rw - tmpfs tmpfs rw
4 1 0:5 /1 /proc/4122 rw - proc proc rw
";
        let mounts = mounts(text);
        let found: Vec<_> =
            mounts.iter().filter_map(covers).map(|(pid, by)| (pid, technique(by))).collect();
        assert_eq!(found, [(4_121, "tmpfs_over_proc"), (4_122, "bind_over_proc")]);
    }
}
