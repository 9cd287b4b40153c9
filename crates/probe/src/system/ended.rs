//! Processes that ended lately, for what is heard of them a moment after their end.

use std::collections::VecDeque;
use std::sync::Arc;

use metsuke_event::Process;

/// Most remembered: what is heard comes within one round of the probe, in which at most some
/// dozens end.
const MAX: usize = 512;

/// The processes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ended(VecDeque<Arc<Process>>);

impl Ended {
    pub(super) fn keep(&mut self, process: &Arc<Process>) {
        if self.0.len() >= MAX {
            self.0.pop_front();
        }
        self.0.push_back(Arc::clone(process));
    }

    /// The one with this identity, without how it ended.
    pub(super) fn by_uid(&self, uid: &str) -> Option<Arc<Process>> {
        self.find(|process| process.uid.as_deref() == Some(uid))
    }

    /// The last one with this number.
    pub(super) fn by_pid(&self, pid: u32) -> Option<Arc<Process>> {
        self.find(|process| process.pid == Some(u64::from(pid)))
    }

    fn find(&self, wanted: impl Fn(&Process) -> bool) -> Option<Arc<Process>> {
        let found = self.0.iter().rev().find(|process| wanted(process))?;
        let mut process = Process::clone(found);
        (process.exit_code, process.exit_signal) = (None, None);
        Some(Arc::new(process))
    }
}
