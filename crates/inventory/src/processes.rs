//! One paced pass over `/proc`: who holds which socket, and who holds interfaces of the kernel.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;

use crate::pace::Pace;
use crate::surveys::Left;

/// Most processes looked at; `pid_max` allows four million, a host has some hundred.
const PROCESSES_MAX: usize = 65_536;
/// Most descriptors looked at of one process.
const DESCRIPTORS_MAX: usize = 65_536;
/// Most sockets remembered.
const SOCKETS_MAX: usize = 262_144;
/// Most network namespaces looked into.
const NAMESPACES_MAX: usize = 256;

/// A process, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) exe: Option<String>,
}

/// What a pass found.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    pub(crate) processes: Vec<Seen>,
    /// Position of a holder by inode of its socket; the first wins.
    pub(crate) sockets: HashMap<u64, usize>,
    /// How many of which interface each executable holds.
    pub(crate) holders: BTreeMap<(&'static str, String), u32>,
    /// One `/proc/PID/net` for each network namespace.
    pub(crate) namespaces: Vec<PathBuf>,
    pub(crate) left: Left,
}

/// Which interface a descriptor's target stands for (the kernel's names of anonymous inodes).
fn interface(target: &str) -> Option<&'static str> {
    match target.strip_prefix("anon_inode:")?.trim_matches(['[', ']']) {
        "fanotify" => Some("fanotify"),
        "bpf-prog" => Some("bpf_program"),
        "bpf-map" => Some("bpf_map"),
        "bpf_link" | "bpf-link" => Some("bpf_link"),
        _ => None,
    }
}

impl Seen {
    /// What to call it: its executable, or, without one, its short name.
    pub(crate) fn by(&self) -> String {
        self.exe.clone().unwrap_or_else(|| format!("[{}]", self.name))
    }
}

/// Looks at every process.
pub(crate) fn pass(pace: &mut Pace) -> Pass {
    let mut pass = Pass::default();
    let mut spaces = BTreeSet::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    for folder in folders {
        if pace.stopped() {
            break;
        }
        pace.step(0);
        if pass.processes.len() >= PROCESSES_MAX {
            pass.left.add("limit", || folder.display().to_string());
            continue;
        }
        // Ended meanwhile, else.
        let Ok(name) = fs::read_to_string(folder.join("comm")) else { continue };
        let exe = fs::read_link(folder.join("exe")).ok();
        let exe = exe.map(|path| path.to_string_lossy().into_owned());
        let seen = Seen { name: name.trim_end().to_owned(), exe };
        let by = seen.by();
        pass.processes.push(seen);
        if let Ok(space) = fs::read_link(folder.join("ns/net"))
            && spaces.len() < NAMESPACES_MAX
            && spaces.insert(space)
        {
            pass.namespaces.push(folder.join("net"));
        }
        pass.descriptors(&folder.join("fd"), &by, pace);
    }
    pass
}

impl Pass {
    fn descriptors(&mut self, folder: &std::path::Path, by: &str, pace: &mut Pace) {
        let Ok(entries) = fs::read_dir(folder) else {
            self.left.add("unreadable", || folder.display().to_string());
            return;
        };
        for (count, entry) in entries.flatten().enumerate() {
            if count >= DESCRIPTORS_MAX {
                self.left.add("limit", || folder.display().to_string());
                return;
            }
            pace.step(0);
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let Some(target) = target.to_str() else { continue };
            let inode = target.strip_prefix("socket:[").and_then(|text| text.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|text| text.parse().ok()) {
                if self.sockets.len() < SOCKETS_MAX {
                    self.sockets.entry(inode).or_insert(self.processes.len() - 1);
                } else {
                    self.left.add("limit", || target.to_owned());
                }
            } else if let Some(interface) = interface(target) {
                *self.holders.entry((interface, by.to_owned())).or_insert(0) += 1;
            }
        }
    }
}
