//! The processes in scope, each as events describe it.
//!
//! Invariant: an entry is found by pid and start time together; a newer process with the same pid
//! takes the place of the older one, never the other way round.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use metsuke_event::{Process, ProcessKey, Text, Timestamp};
use metsuke_lineage::storyline::{Parent, Session, joins};

/// Most processes kept: far above what a host runs at once (`pid_max` is 4,194,304 at most, but a
/// host with so many has no memory left). What finds no room is described by its record alone.
const MAX_PROCESSES: usize = 262_144;

/// The processes in scope.
#[derive(Debug)]
pub(crate) struct Table {
    entries: HashMap<u32, (u64, Arc<Process>)>,
    capacity: usize,
    refused: u64,
    /// Those found gone by the last sweep: no more than entries.
    gone: HashSet<(u32, u64)>,
    boot_time: Timestamp,
}

impl Table {
    pub(crate) fn new(boot_time: Timestamp) -> Self {
        let (entries, gone) = (HashMap::new(), HashSet::new());
        Self { entries, capacity: MAX_PROCESSES, refused: 0, gone, boot_time }
    }

    /// How often a process found no room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        let (start, process) = self.entries.get(&key.pid)?;
        (*start == key.start_ticks).then_some(process)
    }

    /// Whichever process has `pid`.
    pub(crate) fn by_pid(&self, pid: u32) -> Option<&Arc<Process>> {
        self.entries.get(&pid).map(|(_, process)| process)
    }

    /// The start time of whichever process has `pid`.
    pub(crate) fn start_of(&self, pid: u32) -> Option<u64> {
        self.entries.get(&pid).map(|(start, _)| *start)
    }

    pub(crate) fn insert(&mut self, key: ProcessKey, process: Arc<Process>) {
        match self.entries.get(&key.pid) {
            Some((start, _)) if *start > key.start_ticks => return,
            None if self.entries.len() >= self.capacity => {
                self.refused += 1;
                return;
            }
            _ => {}
        }
        self.entries.insert(key.pid, (key.start_ticks, process));
    }

    pub(crate) fn remove(&mut self, key: ProcessKey) {
        if self.get(key).is_some() {
            self.entries.remove(&key.pid);
        }
    }

    /// Forgets the processes for which `alive` (pid, start) does not hold, and did not at the last
    /// sweep: what one did before it ended may not have been read yet at the first.
    pub(crate) fn sweep(&mut self, alive: impl Fn(u32, u64) -> bool) {
        let before = std::mem::take(&mut self.gone);
        let gone = &mut self.gone;
        self.entries.retain(|pid, (start, _)| {
            let one = (*pid, *start);
            if alive(one.0, one.1) {
                return true;
            }
            if before.contains(&one) {
                return false;
            }
            gone.insert(one);
            true
        });
    }

    /// Sets who the process is, whence it comes and which storyline it joins. `parent` is in scope
    /// when it is in the table.
    pub(crate) fn identify(
        &self,
        process: &mut Process,
        key: ProcessKey,
        parent: Option<&Process>,
    ) {
        let uid: Text = key.to_string().into();
        process.pid = Some(u64::from(key.pid));
        process.start_time = Some(key.started_at(self.boot_time));
        if let Some(parent) = parent {
            process.parent_uid.clone_from(&parent.uid);
            process.parent_pid = parent.pid;
            process.parent_exe.clone_from(&parent.exe);
            process.parent_name.clone_from(&parent.name);
            process.parent_cmd_line.clone_from(&parent.cmd_line);
            process.parent_user_name.clone_from(&parent.user_name);
        }
        let storyline = self.storyline(process, key.pid).unwrap_or_else(|| Text::clone(&uid));
        process.storyline = Some(storyline);
        process.uid = Some(uid);
    }

    /// The storyline a process joins; `None` when it begins its own.
    pub(crate) fn storyline(&self, process: &Process, pid: u32) -> Option<Text> {
        let leads = process.session == Some(u64::from(pid));
        let session = if leads { Session::Leader } else { Session::Member };
        let parent_pid = process.parent_pid.and_then(|pid| u32::try_from(pid).ok());
        let parent = parent_pid
            .and_then(|pid| self.by_pid(pid))
            .filter(|parent| parent.uid == process.parent_uid);
        let seen = match (parent, parent_pid) {
            (Some(parent), Some(pid)) => Parent::Seen {
                pid,
                name: parent.name.as_deref().unwrap_or_default(),
                storyline: parent.storyline.as_deref()?,
            },
            _ => Parent::Unseen,
        };
        joins(seen, session).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::{Process, ProcessKey, Timestamp};

    use super::Table;

    #[test]
    fn what_a_sweep_finds_gone_is_forgotten_by_the_next() {
        let mut table = Table::new(Timestamp::default());
        let key = |pid| ProcessKey { pid, start_ticks: 1, ..ProcessKey::default() };
        for pid in [1, 2] {
            table.insert(key(pid), Arc::new(Process::default()));
        }
        for (sweep, kept) in [(1, true), (2, false)] {
            table.sweep(|pid, _| pid == 1);
            assert!(table.get(key(1)).is_some());
            assert_eq!(table.get(key(2)).is_some(), kept, "sweep {sweep}");
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_what_is_known_keeps_its_place() {
        let mut table = Table::new(Timestamp::default());
        table.capacity = 2;
        let key = |pid, start_ticks| ProcessKey { pid, start_ticks, ..ProcessKey::default() };
        for (pid, start, refused) in [(1, 1, 0), (2, 1, 0), (3, 1, 1), (2, 2, 1), (3, 1, 2)] {
            table.insert(key(pid, start), Arc::new(Process::default()));
            assert_eq!((table.refused(), table.len() <= 2), (refused, true), "{pid} {start}");
        }
        table.remove(key(1, 1));
        table.insert(key(3, 1), Arc::new(Process::default()));
        assert_eq!((table.refused(), table.get(key(3, 1)).is_some()), (2, true));
    }
}
