//! Processes by reading /proc again and again: works without privileges, and misses what lives
//! shorter than one round.

use std::collections::HashMap;

use metsuke_event::ProcessKey;

use crate::host;
use crate::procfs;
use crate::world::{Ending, World};

/// Between two rounds, in nanoseconds since boot.
const ROUND_NANOS: u64 = 200_000_000;

/// The processes of the last round: start time and command line by pid.
#[derive(Debug, Default)]
pub(crate) struct Poll {
    seen: HashMap<u32, (u64, Option<metsuke_event::Text>)>,
    next: u64,
    primed: bool,
}

impl Poll {
    /// One round, when it is time for one.
    pub(crate) fn round(&mut self, world: &mut World) {
        let now = host::since_boot();
        if now < self.next {
            return;
        }
        self.next = now + ROUND_NANOS;
        let mut current = HashMap::new();
        for pid in world.bounds.pids() {
            let Some(stat) = procfs::stat(pid) else { continue };
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = procfs::joined(&line);
            let before = self.seen.get(&pid).filter(|(start, _)| *start == stat.start_ticks);
            if self.primed && before.is_none_or(|(_, old)| *old != line) {
                let process = world.described(pid, &stat);
                let key = ProcessKey { boot: world.boot, pid, start_ticks: stat.start_ticks };
                world.exec(key, process, None, host::now());
            }
            current.insert(pid, (stat.start_ticks, line));
        }
        for (pid, (start_ticks, _)) in &self.seen {
            if current.get(pid).is_none_or(|(start, _)| start != start_ticks) {
                let key = ProcessKey { boot: world.boot, pid: *pid, start_ticks: *start_ticks };
                world.exit(key, Ending::default(), host::now());
            }
        }
        self.seen = current;
        self.primed = true;
    }
}
