//! Time of endpoints that say nothing: sequences that wait for something not to come must strike there
//! too.
//!
//! An endpoint's time is that of its last activity, as far as its clock is believed, and what has gone
//! by since detection saw it, by a clock of the server that never goes back, less [`LATENESS`]. So a
//! host's own clock may be wrong, what was held back is never overtaken, and the time that the server
//! stood still counts for nobody.
//! Invariant: no endpoint's time moves another's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metsuke_detect::believed;
use metsuke_event::{EndpointId, Event, Timestamp};

/// Time since some moment; never goes back.
pub type Ticks = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How much later than others an activity may be seen: a connection that broke is there again, and
/// what waited on the host's disk meanwhile has come.
const LATENESS: Duration = Duration::from_mins(2);
/// How often silent endpoints are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// Endpoints whose time is known: about 100 bytes each.
const ENDPOINTS: usize = 200_000;
/// When there are more, those silent for longer than this are forgotten: nothing waits so long.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// When each endpoint was heard.
pub(crate) struct Lull {
    clock: Ticks,
    every: Duration,
    due: Duration,
    heard: HashMap<EndpointId, (Timestamp, Duration)>,
}

impl Default for Lull {
    fn default() -> Self {
        let begun = Instant::now();
        Self::new(Arc::new(move || begun.elapsed()), EVERY)
    }
}

impl Lull {
    pub(crate) fn new(clock: Ticks, every: Duration) -> Self {
        Self { due: clock() + every, clock, every, heard: HashMap::new() }
    }

    /// How often it is to be looked at.
    pub(crate) const fn every(&self) -> Duration {
        self.every
    }

    /// Whether it is time to look; then the next time is a while later.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = (self.clock)();
        let due = now >= self.due;
        if due {
            self.due = now + self.every;
        }
        due
    }

    /// Some activities were seen, in the order of their coming.
    pub(crate) fn see(&mut self, events: &[Event]) {
        let now = (self.clock)();
        for event in events {
            self.heard.insert(event.id.endpoint, (believed(event), now));
        }
        if self.heard.len() > ENDPOINTS {
            self.heard.retain(|_, (_, heard)| now.saturating_sub(*heard) < FORGOTTEN);
        }
    }

    /// What time it is on each endpoint.
    pub(crate) fn times(&self) -> impl Fn(EndpointId) -> Option<Timestamp> + '_ {
        let now = (self.clock)();
        move |endpoint| {
            let (time, heard) = self.heard.get(&endpoint)?;
            let passed = now.saturating_sub(*heard).checked_sub(LATENESS)?;
            Some(time.plus_nanos(i64::try_from(passed.as_nanos()).ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use metsuke_event::Kind;

    use super::*;

    #[test]
    fn a_silent_endpoint_goes_on_from_its_own_time_a_while_behind() {
        let seconds = Arc::new(AtomicU64::new(5));
        let shown = Arc::clone(&seconds);
        let clock = Arc::new(move || Duration::from_secs(shown.load(Ordering::Relaxed)));
        let mut lull = Lull::new(clock, Duration::from_secs(10));
        let event = |endpoint: u128, second: i64| {
            let mut event = Event::empty(Kind::ProcessExec);
            event.id.endpoint = EndpointId::from_u128(endpoint);
            event.time = Timestamp::from_millis(second * 1_000);
            event
        };
        lull.see(&[event(1, 100), event(2, 90_000), event(1, 90)]);
        let at = |lull: &Lull, endpoint: u128| {
            let time = lull.times()(EndpointId::from_u128(endpoint))?;
            Some(time.nanos_since(Timestamp::from_millis(0)) / 1_000_000_000)
        };
        assert_eq!((at(&lull, 1), lull.is_due()), (None, false));
        seconds.store(124, Ordering::Relaxed);
        assert_eq!((at(&lull, 1), lull.is_due()), (None, true), "what is late may still come");
        seconds.store(130, Ordering::Relaxed);
        assert_eq!((at(&lull, 1), at(&lull, 2), at(&lull, 3)), (Some(95), Some(90_005), None));
        assert!(!lull.is_due());
        // It speaks of what was long ago: then that is its time.
        lull.see(&[event(1, 10)]);
        assert_eq!(at(&lull, 1), None);
        seconds.store(251, Ordering::Relaxed);
        assert_eq!((at(&lull, 1), at(&lull, 2)), (Some(11), Some(90_126)));
        // A clock far ahead is not believed: what is waited for there is not over before its time.
        let mut ahead = event(4, 90_000);
        ahead.received = Some(Timestamp::from_millis(400_000));
        lull.see(&[ahead]);
        seconds.store(371, Ordering::Relaxed);
        assert_eq!(at(&lull, 4), Some(460));
    }
}
