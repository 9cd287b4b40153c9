//! Measuring an engine: what its detections cost, and which are too dear.

use super::Engine;
use crate::meter::{Clock, Meter, Profile};

impl Engine {
    /// Measures, from now on, about one of `every` activities with `clock`. With a `bound` in
    /// nanoseconds per activity, detections that cost more are put to sleep until the content
    /// changes; [`Engine::profile`] and the counters say so.
    pub fn measure(&mut self, clock: Clock, every: u32, bound: Option<u64>) {
        self.meter = Some(Box::new(Meter::new(&self.rules, clock, every, bound)));
    }

    /// What detections cost since [`Engine::measure`]; nothing when it was not called.
    pub fn profile(&self) -> Option<Profile> {
        Some(self.meter.as_ref()?.profile(&self.rules))
    }

    /// The clock, when the activity at hand is measured.
    pub(super) fn begun(&self) -> u64 {
        self.meter.as_ref().map_or(0, |meter| meter.now())
    }

    /// Whether rule number `detection`, of filters and rules, sleeps.
    pub(super) fn sleeps(&mut self, detection: usize) -> bool {
        self.meter.as_mut().is_some_and(|meter| meter.sleeps(detection))
    }

    /// Rule number `detection`, of filters and rules, took a hit.
    pub(super) fn asked(&mut self, detection: usize, begun: u64) {
        if let Some(meter) = &mut self.meter {
            meter.asked(detection, begun);
        }
    }

    /// Detection number `detection` struck.
    pub(super) fn struck_by(&mut self, detection: usize) {
        if let Some(meter) = &mut self.meter {
            meter.hit(detection);
        }
    }
}
