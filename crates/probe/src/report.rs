//! What others saw of a process, told as the probe's own activities: with everything the probe
//! knows of that process, and in the probe's order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use metsuke_event::activity::Activity;

use crate::world::World;

/// Reports that may wait; as many as a second of a flood that a person would stop.
const WAITING_MAX: usize = 4_096;

/// Reports taken in one round, so that the kernel's queue gets its turn.
const ROUND: usize = 512;

/// Something that a process did, or was kept from.
#[derive(Clone, Debug)]
pub struct Report {
    /// Who: process id.
    pub pid: u32,
    /// Who: start, in nanoseconds since boot; 0 when it is not known, then it is whoever has `pid`.
    pub start_nanos: u64,
    /// When, in nanoseconds since boot.
    pub time_nanos: u64,
    /// What.
    pub activity: Activity,
}

/// Where reports go; many may hold one.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<SyncSender<Report>>);

impl Reporter {
    /// Hands a report over; false when there is no room or no probe, and then it is lost: the
    /// caller counts it.
    #[must_use]
    pub fn report(&self, report: Report) -> bool {
        self.0.as_ref().is_some_and(|sender| sender.try_send(report).is_ok())
    }
}

/// Both ends.
pub(crate) fn channel() -> (Reporter, Receiver<Report>) {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    (Reporter(Some(sender)), receiver)
}

/// Tells what is waiting.
pub(crate) fn tell(reports: &Receiver<Report>, world: &mut World) {
    for report in reports.try_iter().take(ROUND) {
        let time = world.time(report.time_nanos);
        let process = if report.start_nanos == 0 {
            world.parent(report.pid).unwrap_or_default()
        } else {
            let key = world.key(report.pid, report.start_nanos);
            world.find(key)
        };
        world.push(time, &process, report.activity);
    }
}
