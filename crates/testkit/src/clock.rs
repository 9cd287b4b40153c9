//! A clock that is moved by hand.

use std::sync::atomic::{AtomicI64, Ordering};

use metsuke_event::Timestamp;

/// Stands still until it is moved. Shared by reference; also moves backwards, as clocks do.
#[derive(Debug)]
pub struct FakeClock(AtomicI64);

impl FakeClock {
    /// A clock that shows `start`.
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_nanos()))
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Acquire))
    }

    /// Moves it by `nanos`, which may be negative.
    pub fn advance(&self, nanos: i64) {
        self.0.fetch_add(nanos, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::{FakeClock, Timestamp};

    #[test]
    fn it_moves_both_ways() {
        let clock = FakeClock::new(Timestamp::from_millis(1_000));
        clock.advance(500_000_000);
        assert_eq!(clock.now(), Timestamp::from_millis(1_500));
        clock.advance(-1_000_000_000);
        assert_eq!(clock.now(), Timestamp::from_millis(500));
    }
}
