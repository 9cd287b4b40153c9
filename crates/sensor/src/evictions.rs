//! What bounded tables had to let go: told as an activity when it grew, at most once a minute.
//!
//! Invariant: the last telling, when the sensor stops, leaves nothing untold.

use std::time::{Duration, Instant};

use metsuke_link::message::Evictions;

use crate::facts;
use crate::health::Note;

/// A table that is too small lets go all the time: once a minute says so without a flood.
const EVERY: Duration = Duration::from_secs(60);

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    told: Evictions,
    at: Option<Instant>,
}

impl Teller {
    /// `all`, if it grew and it is time to say so.
    pub(crate) fn tell_if_due(&mut self, all: Evictions) -> Option<Note> {
        if self.at.is_some_and(|at| at.elapsed() < EVERY) {
            return None;
        }
        self.tell(all)
    }

    /// `all` since the sensor started, if it grew. A moment without a count of activities, hence no
    /// loss of them; what the spool gave up is one, and tells of itself.
    pub(crate) fn tell(&mut self, all: Evictions) -> Option<Note> {
        let all = Evictions { spool: 0, ..all };
        if all == self.told {
            return None;
        }
        self.told = all;
        self.at = Some(Instant::now());
        let counts = all.list().into_iter().filter(|(.., count)| *count > 0);
        let texts: Vec<String> = counts.map(|(name, _, count)| format!("{name} {count}")).collect();
        let now = facts::now();
        Some(Note {
            part: "sensor",
            reason: "evicted",
            lost: None,
            from: now,
            to: now,
            detail: texts.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use metsuke_link::message::Evictions;

    use super::Teller;

    #[test]
    fn what_grew_is_told_once_and_not_too_often() {
        let mut teller = Teller::default();
        let seen = |hashes, processes| Evictions { hashes, processes, ..Evictions::default() };
        let detail = |note: Option<crate::health::Note>| note.map(|note| note.detail);
        assert_eq!(detail(teller.tell_if_due(Evictions::default())), None);
        let first = detail(teller.tell_if_due(seen(2, 0)));
        assert_eq!(first.as_deref(), Some("sensor_evicted_hashes_total 2"));
        assert_eq!(detail(teller.tell_if_due(seen(5, 1))), None, "told a moment ago");
        let last = detail(teller.tell(seen(5, 1)));
        let expected = "sensor_evicted_processes_total 1, sensor_evicted_hashes_total 5";
        assert_eq!(last.as_deref(), Some(expected));
        assert_eq!(detail(teller.tell(seen(5, 1))), None, "nothing new");
    }
}
