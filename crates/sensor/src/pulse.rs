//! Signs of life of the sensor's parts, for the guard: it beats only while each goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A part that has not gone on for so long is stuck: far longer than its longest honest work.
const STUCK: Duration = Duration::from_secs(20);

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    main: AtomicU64,
    pipeline: AtomicU64,
}

impl Pulse {
    pub(crate) fn main(&self) {
        self.main.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn pipeline(&self) {
        self.pipeline.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> [u64; 2] {
        [self.main.load(Ordering::Relaxed), self.pipeline.load(Ordering::Relaxed)]
    }
}

/// Who looks at them.
#[derive(Debug)]
pub(crate) struct Physician {
    seen: [(u64, Instant); 2],
}

impl Physician {
    pub(crate) fn new() -> Self {
        Self { seen: [(0, Instant::now()); 2] }
    }

    /// Whether every part went on lately.
    pub(crate) fn is_well(&mut self, pulse: &Pulse, now: Instant) -> bool {
        for (seen, count) in self.seen.iter_mut().zip(pulse.counts()) {
            if seen.0 != count {
                *seen = (count, now);
            }
        }
        self.seen.iter().all(|(_, at)| now.saturating_duration_since(*at) < STUCK)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Physician, Pulse, STUCK};

    #[test]
    fn one_part_that_stands_still_is_enough() {
        let (pulse, mut physician) = (Pulse::default(), Physician::new());
        let began = Instant::now();
        pulse.main();
        pulse.pipeline();
        assert!(physician.is_well(&pulse, began));
        pulse.main();
        assert!(physician.is_well(&pulse, began + STUCK / 2));
        assert!(!physician.is_well(&pulse, began + STUCK), "the pipeline");
        pulse.pipeline();
        assert!(physician.is_well(&pulse, began + STUCK));
    }
}
