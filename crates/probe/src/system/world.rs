//! Where the world speaks to [`System`](super::System).

use metsuke_event::coverage::Coverage;

use crate::system::Told;
use crate::world::World;

impl World {
    /// Adds what follows from an activity; nothing follows from these in turn.
    pub(crate) fn push_told(&mut self, told: Vec<Told>) {
        for Told { time, process, activity } in told {
            self.emitter.push(time, &process, activity);
        }
    }

    /// Tells what waited long enough at `now`, in nanoseconds since boot; `u64::MAX` tells all.
    pub(crate) fn system_round(&mut self, now: u64) {
        let mut told = Vec::new();
        let notice = self.system.round(now, &mut told);
        self.push_told(told);
        if let Some(notice) = notice {
            self.emitter.notice(notice);
        }
    }

    /// Adds what is seen of the system to the report.
    pub(crate) fn system_report(&self, coverage: &mut Coverage) {
        coverage.sees.extend(self.system.sees().into_iter().map(str::to_owned));
    }
}
