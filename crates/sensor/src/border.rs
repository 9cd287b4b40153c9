//! Where this sensor's watch begins and ends, when it follows another or is followed.
//!
//! Invariant: of what the probe saw, exactly what lies within the borders is told; the sensor's own
//! word always is.

use std::time::{Duration, Instant};

use metsuke_event::Event;
use metsuke_event::activity::Activity;
use metsuke_guard::handover::{Cut, WINDOW_EVENTS, WINDOW_MS};
use metsuke_probe::Meter;

/// What is younger may still be on its way from the kernel, in nanoseconds.
const ON_ITS_WAY_NS: u64 = 100_000_000;

/// The borders, in nanoseconds since boot.
#[derive(Debug, Default)]
pub(crate) struct Border {
    meter: Meter,
    begin_ns: Option<u64>,
    end_ns: Option<u64>,
    withheld: Option<Withheld>,
}

#[derive(Debug)]
struct Withheld {
    since: Instant,
    since_ns: u64,
    events: Vec<Event>,
}

impl Border {
    /// Of a sensor whose watch begins at `begin_ns`, where another's ended.
    pub(crate) fn new(meter: Meter, begin_ns: Option<u64>) -> Self {
        Self { meter, begin_ns, end_ns: None, withheld: None }
    }

    /// Nanoseconds since boot, which two probes tell alike but for microseconds.
    fn ns(&self, event: &Event) -> u64 {
        u64::try_from(event.time.nanos_since(self.meter.boot_time())).unwrap_or(0)
    }

    /// What of `events` is to be told now.
    pub(crate) fn pass(&mut self, events: Vec<Event>) -> Vec<Event> {
        let events: Vec<Event> = events.into_iter().filter(|event| self.is_within(event)).collect();
        match &mut self.withheld {
            Some(withheld) => {
                withheld.events.extend(events);
                Vec::new()
            }
            None => events,
        }
    }

    fn is_within(&self, event: &Event) -> bool {
        if matches!(event.activity, Activity::Health(_) | Activity::Sensor(..)) {
            return true;
        }
        let ns = self.ns(event);
        self.begin_ns.is_none_or(|begin| ns >= begin) && self.end_ns.is_none_or(|end| ns < end)
    }

    /// Withholds from now on, `now_ns` after boot, until [`Self::cut`] gives it back.
    pub(crate) fn withhold(&mut self, now_ns: u64) {
        if self.withheld.is_none() && self.end_ns.is_none() {
            let withheld = Withheld { since: Instant::now(), since_ns: now_ns, events: Vec::new() };
            self.withheld = Some(withheld);
        }
    }

    /// The cut, and what of the withheld lies before it, once enough was withheld.
    pub(crate) fn cut(&mut self, now_ns: u64) -> Option<(Cut, Vec<Event>)> {
        let is_due = |withheld: &Withheld| {
            withheld.since.elapsed() >= Duration::from_millis(WINDOW_MS)
                || withheld.events.len() >= WINDOW_EVENTS
        };
        let withheld = self.withheld.take_if(|withheld| is_due(withheld))?;
        let mut times: Vec<u64> = withheld.events.iter().map(|event| self.ns(event)).collect();
        let until = now_ns.saturating_sub(ON_ITS_WAY_NS);
        let cut = Cut::choose(&mut times, withheld.since_ns, until);
        self.end_ns = Some(cut.at_ns);
        let events = withheld.events.into_iter().filter(|event| self.is_within(event)).collect();
        Some((cut, events))
    }

    /// What was withheld, when the probe ended before there was a cut.
    pub(crate) fn rest(&mut self) -> Vec<Event> {
        self.withheld.take().map_or_else(Vec::new, |withheld| withheld.events)
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::{Event, Kind, Timestamp};

    use super::{Border, Meter};

    fn at(ns: i64) -> Event {
        Event { time: Timestamp::from_nanos(ns), ..Event::empty(Kind::ProcessExec) }
    }

    fn times(events: &[Event]) -> Vec<i64> {
        events.iter().map(|event| event.time.as_nanos()).collect()
    }

    /// Two sensors see the same, the newer one each activity a little later.
    #[test]
    fn what_one_leaves_the_other_tells_and_nothing_twice() {
        let seen: Vec<i64> = (0..400).map(|index| 1_000_000 * index + index * index * 40).collect();
        let mut older = Border::new(Meter::default(), None);
        let mut told = times(&older.pass(seen[..100].iter().map(|ns| at(*ns)).collect()));
        older.withhold(u64::try_from(seen[120]).expect("positive"));
        assert!(older.pass(seen[100..300].iter().map(|ns| at(*ns)).collect()).is_empty());
        assert!(older.cut(0).is_none(), "the window is open");
        std::thread::sleep(std::time::Duration::from_millis(super::WINDOW_MS));
        let now = u64::try_from(seen[300]).expect("positive") + super::ON_ITS_WAY_NS;
        let (cut, events) = older.cut(now).expect("it is over");
        told.extend(times(&events));
        told.extend(times(&older.pass(seen[300..].iter().map(|ns| at(*ns)).collect())));
        assert!(!cut.may_double(), "{cut:?}");
        let mut newer = Border::new(Meter::default(), Some(cut.at_ns));
        let late = |ns: &i64| at(ns + 9_000);
        let rest = times(&newer.pass(seen.iter().map(late).collect()));
        assert!(!told.is_empty() && !rest.is_empty());
        told.extend(rest.iter().map(|ns| ns - 9_000));
        assert_eq!(told, seen);
    }

    #[test]
    fn the_sensors_own_word_crosses_every_border() {
        let mut border = Border::new(Meter::default(), Some(u64::MAX));
        let passed = border.pass(vec![at(1), Event::empty(Kind::SensorHealth)]);
        assert_eq!(passed.len(), 1);
    }
}
