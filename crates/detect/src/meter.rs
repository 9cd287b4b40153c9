//! What detections cost: measured on a sample of the activities, with a clock that the caller gives.
//!
//! About every so-manieth activity is measured, at gaps that vary, so that no rhythm of the traffic
//! hides or shows a rule. Measured is each evaluation of a filter that a plan woke, and each hit a
//! rule took; a clock's own cost is taken off. Several filters ask the same question, and the first
//! pays for all: on every sample another of those woken comes first. Looking for the literals that
//! wake filters is work for all of them, and is told apart.
//!
//! With a bound, a detection that over [`WINDOW`] measured activities costs more per activity is put
//! to sleep: it is not asked again until the content changes, and both are counted. Invariant: with
//! no meter nothing is measured and nothing sleeps.

use metsuke_event::finding::DetectionRef;

use crate::plan::FilterIx;
use crate::ruleset::RuleSet;

/// Nanoseconds of CPU time that the thread at hand has used; the engine has no clock of its own.
pub type Clock = fn() -> u64;

/// Measured activities over which the bound is judged: enough that one slow one among ordinary ones
/// is not held against a detection sixteen times its size.
pub(crate) const WINDOW: u32 = 32;
/// Readings by which the clock's own cost is known.
const READINGS: u64 = 64;

/// What one detection cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The detection.
    pub detection: DetectionRef,
    /// How often it was evaluated on measured activities.
    pub tries: u64,
    /// How often it matched or took part in a match, on all activities.
    pub hits: u64,
    /// CPU time on measured activities, in nanoseconds.
    pub nanos: u64,
    /// Whether it was put to sleep.
    pub asleep: bool,
}

/// What detections cost since the measuring began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Activities observed.
    pub events: u64,
    /// Those that were measured.
    pub measured: u64,
    /// Nanoseconds of what is done once for all filters, on measured activities.
    pub shared_nanos: u64,
    /// Nanoseconds of all models together, on measured activities.
    pub models_nanos: u64,
    /// Evaluations left out because a detection sleeps.
    pub passed_over: u64,
    /// Filters and rules, the dearest first.
    pub costs: Vec<Cost>,
}

/// Watches the evaluation of filters; what it does not do costs nothing.
pub(crate) trait Watch {
    /// Puts the woken filters in the order in which they are asked.
    fn arrange(&mut self, woken: &mut [u32]);
    /// Whether the filter is not to be asked.
    fn passes(&mut self, filter: FilterIx) -> bool;
    /// A filter is asked from now on.
    fn begin(&mut self) -> u64;
    /// It answered.
    fn end(&mut self, filter: FilterIx, begun: u64);
}

/// Nobody watches.
pub(crate) struct Nobody;

impl Watch for Nobody {
    fn arrange(&mut self, _: &mut [u32]) {}

    fn passes(&mut self, _: FilterIx) -> bool {
        false
    }

    fn begin(&mut self) -> u64 {
        0
    }

    fn end(&mut self, _: FilterIx, _: u64) {}
}

/// The cost of one detection, as it grows.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    tries: u64,
    hits: u64,
    nanos: u64,
    /// In the window at hand.
    recent: u64,
    asleep: bool,
}

/// Measures an engine.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Clock,
    /// Activities from one that is measured to the next, about.
    every: u32,
    /// Nanoseconds per activity above which a detection is put to sleep.
    bound: Option<u64>,
    /// What reading the clock twice costs.
    own: u64,
    /// Activities until the next measured one.
    left: u32,
    seed: u64,
    measuring: bool,
    window: u32,
    events: u64,
    measured: u64,
    /// Of filters, matched as a whole.
    whole: u64,
    of_filters: u64,
    models: u64,
    passed_over: u64,
    /// Filters, then rules.
    sums: Vec<Sum>,
}

impl Meter {
    pub(crate) fn new(rules: &RuleSet, clock: Clock, every: u32, bound: Option<u64>) -> Self {
        let mut own = u64::MAX;
        for _ in 0..READINGS {
            let begun = clock();
            own = own.min(clock().saturating_sub(begun));
        }
        Self {
            clock,
            every: every.max(1),
            bound,
            own,
            left: 0,
            seed: 0x9e37_79b9_7f4a_7c15,
            measuring: false,
            window: 0,
            events: 0,
            measured: 0,
            whole: 0,
            of_filters: 0,
            models: 0,
            passed_over: 0,
            sums: vec![Sum::default(); rules.filters.len() + rules.rules.len()],
        }
    }

    /// A meter that goes on with other content: nothing of it is measured yet.
    pub(crate) fn anew(&self, rules: &RuleSet) -> Self {
        Self::new(rules, self.clock, self.every, self.bound)
    }

    /// Another activity is at hand.
    pub(crate) fn next(&mut self) {
        self.events += 1;
        self.measuring = self.left == 0;
        if !self.measuring {
            self.left -= 1;
            return;
        }
        self.measured += 1;
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        // From none to twice as many are left out: as many as asked for in the middle.
        let span = u64::from(self.every) * 2 - 1;
        self.left = u32::try_from(self.seed % span).unwrap_or(0);
        self.window += 1;
        if self.window > WINDOW {
            self.judge();
            self.window = 1;
        }
    }

    /// Puts to sleep what was too dear in the window that ends.
    fn judge(&mut self) {
        let bound = self.bound.unwrap_or(u64::MAX);
        for sum in &mut self.sums {
            sum.asleep |= sum.recent / u64::from(WINDOW) > bound;
            sum.recent = 0;
        }
    }

    /// The filters were matched, from `begun` on.
    pub(crate) fn matched(&mut self, begun: u64) {
        self.whole += self.since(begun);
    }

    /// The models weighed, from `begun` on.
    pub(crate) fn weighed(&mut self, begun: u64) {
        self.models += self.since(begun);
    }

    /// A detection matched, or took part in a match.
    pub(crate) fn hit(&mut self, detection: usize) {
        self.sums[detection].hits += 1;
    }

    /// Detection number `detection` was asked from `begun` on.
    pub(crate) fn asked(&mut self, detection: usize, begun: u64) {
        if !self.measuring {
            return;
        }
        let nanos = self.since(begun);
        let sum = &mut self.sums[detection];
        sum.tries += 1;
        sum.nanos += nanos;
        sum.recent += nanos;
    }

    /// Whether detection number `detection` sleeps; that it was to be asked is counted.
    pub(crate) fn sleeps(&mut self, detection: usize) -> bool {
        let asleep = self.sums[detection].asleep;
        self.passed_over += u64::from(asleep);
        asleep
    }

    /// The clock, when the activity at hand is measured.
    pub(crate) fn now(&self) -> u64 {
        if self.measuring { (self.clock)() } else { 0 }
    }

    fn since(&self, begun: u64) -> u64 {
        if self.measuring {
            (self.clock)().saturating_sub(begun).saturating_sub(self.own)
        } else {
            0
        }
    }

    pub(crate) const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    pub(crate) fn asleep(&self) -> u64 {
        self.sums.iter().filter(|sum| sum.asleep).count() as u64
    }

    pub(crate) fn profile(&self, rules: &RuleSet) -> Profile {
        let cost = |(detection, sum): (usize, &Sum)| Cost {
            detection: rules.hit_meta(detection).detection.clone(),
            tries: sum.tries,
            hits: sum.hits,
            nanos: sum.nanos,
            asleep: sum.asleep,
        };
        let mut costs: Vec<Cost> = self.sums.iter().enumerate().map(cost).collect();
        costs.sort_by(|left, right| {
            right.nanos.cmp(&left.nanos).then_with(|| left.detection.id.cmp(&right.detection.id))
        });
        // The clock was read around each filter within the whole.
        let readings = self.sums[..rules.filters.len()].iter().map(|sum| sum.tries).sum::<u64>();
        let shared = self.whole.saturating_sub(self.of_filters + readings * self.own);
        Profile {
            events: self.events,
            measured: self.measured,
            shared_nanos: shared,
            models_nanos: self.models,
            passed_over: self.passed_over,
            costs,
        }
    }
}

impl Watch for Meter {
    fn arrange(&mut self, woken: &mut [u32]) {
        if self.measuring && !woken.is_empty() {
            let first = usize::try_from(self.measured).unwrap_or(0) % woken.len();
            woken.rotate_left(first);
        }
    }

    fn passes(&mut self, filter: FilterIx) -> bool {
        self.sleeps(filter as usize)
    }

    fn begin(&mut self) -> u64 {
        self.now()
    }

    fn end(&mut self, filter: FilterIx, begun: u64) {
        let before = self.sums[filter as usize].nanos;
        self.asked(filter as usize, begun);
        self.of_filters += self.sums[filter as usize].nanos - before;
    }
}
