//! Processes whose end was told lately.
//!
//! Threads that die together may each find themselves the last one, and each report the end of
//! their process. And sockets are closed, by the kernel, after the process that had them has ended:
//! whose they were is still known here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use metsuke_event::{Process, ProcessKey};

/// Most remembered. The repeats of one end come within microseconds of each other, at most one per
/// processor; this is far more than ends meanwhile.
const MAX: usize = 4_096;

/// Most of which the description is kept, of one or two kilobytes each: flows that outlive so many
/// ends are told with their process's identity only.
const MAX_DESCRIBED: usize = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Ended {
    known: HashSet<(u32, u64)>,
    order: VecDeque<(u32, u64)>,
    described: HashMap<(u32, u64), Arc<Process>>,
    described_order: VecDeque<(u32, u64)>,
}

impl Ended {
    /// Remembers that `key` ended. `false` when that was known.
    pub(crate) fn is_first(&mut self, key: ProcessKey) -> bool {
        let one = (key.pid, key.start_ticks);
        if !self.known.insert(one) {
            return false;
        }
        if self.order.len() >= MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(one);
        true
    }

    /// Keeps what `key` was for a while.
    pub(crate) fn keep(&mut self, key: ProcessKey, process: Arc<Process>) {
        let one = (key.pid, key.start_ticks);
        if self.described.insert(one, process).is_none() {
            self.described_order.push_back(one);
        }
        if self.described_order.len() > MAX_DESCRIBED
            && let Some(oldest) = self.described_order.pop_front()
        {
            self.described.remove(&oldest);
        }
    }

    /// What `key` was, if it ended lately.
    pub(crate) fn get(&self, key: ProcessKey) -> Option<Arc<Process>> {
        self.described.get(&(key.pid, key.start_ticks)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::ProcessKey;

    use super::{Ended, MAX};

    fn key(pid: u32, start_ticks: u64) -> ProcessKey {
        ProcessKey { pid, start_ticks, ..ProcessKey::default() }
    }

    #[test]
    fn an_end_is_told_once_and_a_reused_pid_is_another_process() {
        let mut ended = Ended::default();
        assert!(ended.is_first(key(7, 1)));
        assert!(!ended.is_first(key(7, 1)));
        assert!(ended.is_first(key(7, 2)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut ended = Ended::default();
        for pid in 0..2 * u32::try_from(MAX).expect("small") {
            assert!(ended.is_first(key(pid, 1)));
        }
        assert_eq!((ended.known.len(), ended.order.len()), (MAX, MAX));
        assert!(ended.is_first(key(0, 1)), "forgotten");
    }
}
