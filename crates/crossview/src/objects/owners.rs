//! Who owns up to a BPF object: a descriptor in some process, a pinned name, a control group it is
//! attached to, or another object that is owned and leads to it.
//!
//! Not looked at, and said in the difference: what a socket or a network device holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::query::{LinkInfo, LinkTypeInfo, MapInfoIter, ProgInfoIter};

use super::Key;
use crate::config::Scope;
use crate::host::{self, Groups, Pace, listed_pids};
use crate::mounts::{Namespaces, bpf_folders};
use crate::raw::{self, BpfKind};

/// Pinned names looked at, at most.
const MAX_PINS: usize = 16_384;
/// Folders below a BPF file system, one in another, at most.
const MAX_DEPTH: usize = 8;
/// Entries read of one map that holds programs or maps, at most.
const MAX_ENTRIES: u32 = 4_096;
/// `BPF_MAP_TYPE_PROG_ARRAY`, `…_ARRAY_OF_MAPS`: a look at an entry gives the id of what it holds.
const PROGRAM_ARRAY: u32 = 3;
const MAP_ARRAY: u32 = 12;
/// Kinds of attachment to control groups (linux/bpf.h, `enum bpf_attach_type`).
const GROUP_ATTACHMENTS: [u32; 24] =
    [0, 1, 2, 3, 6, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 29, 30, 31, 32, 33, 34];
/// Programs of one kind on one control group at most (`BPF_CGROUP_MAX_PROGS` is 64).
const MAX_ATTACHED: usize = 64;

/// The owned objects.
#[derive(Debug, Default)]
pub(super) struct Owners {
    owned: BTreeSet<Key>,
    origins: BTreeMap<u32, String>,
}

impl Owners {
    /// Finds the owners of `ids`.
    pub(super) fn find(ids: &[Key], namespaces: &Namespaces, pace: &mut Pace) -> Self {
        let mut found = Self::default();
        found.descriptors(pace);
        found.pins(namespaces, pace);
        found.links(ids, pace);
        let programs = programs();
        for program in &programs {
            found.origins.insert(program.id, program.origin.clone());
        }
        if found.lacks_programs(ids) {
            found.groups(pace);
        }
        found.follow(ids, &programs);
        found
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.owned.contains(&key)
    }

    /// Who loaded a program, and when, for people.
    pub(super) fn origin(&self, key: Key) -> Option<String> {
        if key.0 == BpfKind::Program { self.origins.get(&key.1).cloned() } else { None }
    }

    fn lacks_programs(&self, ids: &[Key]) -> bool {
        ids.iter().any(|key| key.0 == BpfKind::Program && !self.has(*key))
    }

    /// Descriptors of every process that `/proc` lists.
    fn descriptors(&mut self, pace: &mut Pace) {
        for pid in listed_pids().unwrap_or_default() {
            let folder = format!("/proc/{pid}/fd");
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                pace.step();
                let Ok(goal) = fs::read_link(entry.path()) else { continue };
                let goal = goal.to_string_lossy();
                let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                if goal.contains("bpf") && goal.starts_with("anon_inode:") {
                    let info = host::text(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
                    self.owned.extend(keys(&info));
                } else if goal.contains("perf_event") {
                    let program = raw::program_of_event(pid, fd);
                    self.owned.extend(program.map(|id| (BpfKind::Program, id)));
                }
            }
        }
    }

    fn pins(&mut self, namespaces: &Namespaces, pace: &mut Pace) {
        let mut waiting: Vec<(PathBuf, usize)> =
            bpf_folders(namespaces).into_iter().map(|path| (path, 0)).collect();
        let mut looked = 0;
        while let Some((folder, depth)) = waiting.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                pace.step();
                looked += 1;
                if looked > MAX_PINS {
                    return;
                }
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() && depth < MAX_DEPTH {
                    waiting.push((entry.path(), depth + 1));
                } else if kind.is_file()
                    && let Ok(pin) = raw::pinned(&entry.path())
                {
                    self.owned.extend(keys_of(&pin));
                }
            }
        }
    }

    /// Owned links lead to their programs.
    fn links(&mut self, ids: &[Key], pace: &mut Pace) {
        for (kind, id) in ids.iter().filter(|key| key.0 == BpfKind::Link) {
            pace.step();
            let Some(link) = kind.open(*id) else { continue };
            let Ok(info) = LinkInfo::from_fd(link.as_fd()) else { continue };
            // A link that nobody owns is told itself; its program would be told twice.
            self.owned.insert((BpfKind::Program, info.prog_id));
            if let LinkTypeInfo::StructOps(ops) = info.info {
                self.owned.insert((BpfKind::Map, ops.map_id));
            }
        }
    }

    /// Programs attached to control groups without a link.
    fn groups(&mut self, pace: &mut Pace) {
        let groups = Groups::walk(&Scope::Host);
        for (_, path) in groups.directories() {
            let Ok(folder) = fs::File::open(path) else { continue };
            for attachment in GROUP_ATTACHMENTS {
                pace.step();
                let mut programs = [0_u32; MAX_ATTACHED];
                let mut count = u32::try_from(MAX_ATTACHED).unwrap_or(0);
                let mut flags = 0_u32;
                // SAFETY: every pointer is to a local that outlives the call; `count` is the
                // room in `programs`.
                let result = unsafe {
                    libbpf_sys::bpf_prog_query(
                        folder.as_raw_fd(),
                        attachment,
                        0,
                        &raw mut flags,
                        programs.as_mut_ptr(),
                        &raw mut count,
                    )
                };
                if result == 0 {
                    let count = usize::try_from(count).unwrap_or(0).min(MAX_ATTACHED);
                    self.owned.extend(programs[..count].iter().map(|id| (BpfKind::Program, *id)));
                }
            }
        }
    }

    /// From what is owned to what it holds: entries of program and map arrays, and the maps of any
    /// program (a program that nobody owns is told itself).
    fn follow(&mut self, ids: &[Key], programs: &[Program]) {
        let maps: BTreeMap<u32, (u32, u32)> = MapInfoIter::default()
            .map(|map| (map.id, (u32::from(map.ty), map.max_entries)))
            .collect();
        let of_programs = programs.iter().flat_map(|program| program.maps.iter().copied());
        self.owned.extend(of_programs.map(|id| (BpfKind::Map, id)));
        // Twice: a program found in an array has maps, but those are all owned already; a map
        // found in an array may itself be an array.
        for _ in 0..2 {
            for (_, id) in ids.iter().filter(|key| key.0 == BpfKind::Map) {
                let Some((kind, entries)) = maps.get(id) else { continue };
                let held = match *kind {
                    PROGRAM_ARRAY => BpfKind::Program,
                    MAP_ARRAY => BpfKind::Map,
                    _ => continue,
                };
                if self.has((BpfKind::Map, *id))
                    && let Some(map) = BpfKind::Map.open(*id)
                {
                    self.owned.extend(entries_of(&map, *entries).map(|id| (held, id)));
                }
            }
        }
    }
}

/// What a program is and holds.
struct Program {
    id: u32,
    maps: Vec<u32>,
    origin: String,
}

fn programs() -> Vec<Program> {
    ProgInfoIter::default()
        .map(|info| Program {
            id: info.id,
            maps: info.map_ids,
            origin: format!(
                "; user {} loaded it {} s after boot, tag {:016x}",
                info.created_by_uid,
                info.load_time.as_secs(),
                u64::from_be_bytes(info.tag.0)
            ),
        })
        .collect()
}

/// The ids in an array of programs or maps.
fn entries_of(map: &OwnedFd, entries: u32) -> impl Iterator<Item = u32> {
    (0..entries.min(MAX_ENTRIES)).filter_map(move |index| {
        let mut id = 0_u32;
        // SAFETY: key and value of both kinds of map are four bytes; both outlive the call.
        let result = unsafe {
            libbpf_sys::bpf_map_lookup_elem(
                map.as_raw_fd(),
                (&raw const index).cast(),
                (&raw mut id).cast(),
            )
        };
        (result == 0 && id != 0).then_some(id)
    })
}

/// The ids in an fdinfo.
fn keys(info: &str) -> impl Iterator<Item = Key> {
    info.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let kind = match name {
            "prog_id" => BpfKind::Program,
            "map_id" => BpfKind::Map,
            "link_id" => BpfKind::Link,
            _ => return None,
        };
        Some((kind, value.trim().parse().ok()?))
    })
}

/// The ids of what a descriptor of this process holds.
fn keys_of(descriptor: &OwnedFd) -> Vec<Key> {
    let path = Path::new("/proc/thread-self/fdinfo").join(descriptor.as_raw_fd().to_string());
    keys(&host::text(path).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::{BpfKind, keys};

    #[test]
    fn ids_are_read_from_fdinfo() {
        let info = "pos:\t0\nlink_type:\titer\nlink_id:\t5\nprog_tag:\tab\nprog_id:\t17\n";
        let expect = [(BpfKind::Link, 5), (BpfKind::Program, 17)];
        assert_eq!(keys(info).collect::<Vec<_>>(), expect);
    }
}
