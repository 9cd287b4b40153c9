//! Processes acted upon, and processes that changed.
//!
//! Invariant: what the table says of a process is what it last told of itself.

use std::fs;
use std::sync::Arc;

use metsuke_event::{Process, ProcessKey, Target};

use crate::procfs;
use crate::world::World;

/// Processes looked at to find one by its number in another pid namespace.
const MAX_SEARCHED: usize = 4_096;

/// How a record names a process that was acted upon.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named {
    /// By the host's number and its start in nanoseconds since boot.
    Exactly(u32, u64),
    /// By the host's number of it or of one of its threads.
    Host(u32),
    /// By the number it has in the actor's pid namespace (its inode).
    Inside(u32, Option<u64>),
}

impl World {
    /// Changes what is known of the process with `key`; gives it as it was and as it is.
    pub(crate) fn alter(
        &mut self,
        key: ProcessKey,
        change: impl FnOnce(&mut Process),
    ) -> (Arc<Process>, Arc<Process>) {
        let before = self.find(key);
        let mut after = Process::clone(&before);
        change(&mut after);
        if after.user_id != before.user_id {
            self.name_user(&mut after);
        }
        let after = Arc::new(after);
        if self.table.get(key).is_some() {
            self.table.insert(key, Arc::clone(&after));
        }
        (before, after)
    }

    /// What is known of a process that something was done to: from the table, else from /proc,
    /// without taking it into the table.
    pub(crate) fn target(&mut self, named: Named) -> Target {
        let (pid, start) = match named {
            Named::Exactly(pid, start) => (pid, Some(self.key(pid, start).start_ticks)),
            Named::Host(number) => (leader(number).unwrap_or(number), None),
            Named::Inside(number, namespace) => match self.inside(number, namespace) {
                Some(pid) => (pid, None),
                None => return Target::default(),
            },
        };
        let mut target = Target { pid: Some(u64::from(pid)), ..Target::default() };
        if let Some(start) = start {
            target.uid = Some(self.ticks_key(pid, start).to_string().into());
        }
        let found =
            self.parent(pid).filter(|found| target.uid.is_none() || found.uid == target.uid);
        if let Some(found) = found {
            target.uid.clone_from(&found.uid);
            target.exe.clone_from(&found.exe);
            target.name.clone_from(&found.name);
            target.user_name.clone_from(&found.user_name);
            target.user_id = found.user_id;
        }
        target
    }

    /// The host's number of the process that is `number` in the pid namespace with inode
    /// `namespace`.
    fn inside(&self, number: u32, namespace: Option<u64>) -> Option<u32> {
        let namespace = namespace?;
        let mut pids = self.bounds.pids();
        pids.truncate(MAX_SEARCHED);
        pids.into_iter().find(|pid| {
            procfs::namespace(*pid, "pid") == Some(namespace) && innermost(*pid) == Some(number)
        })
    }
}

/// The process that thread `number` belongs to.
fn leader(number: u32) -> Option<u32> {
    status_line(number, "Tgid:")?.trim().parse().ok()
}

/// The number that process `pid` has in its own pid namespace.
fn innermost(pid: u32) -> Option<u32> {
    status_line(pid, "NSpid:")?.split_ascii_whitespace().last()?.parse().ok()
}

fn status_line(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}
