//! Whether this process itself was kept from running.
//!
//! Pure: the looker looks at a fixed pace; a look that comes much too late is a stall. Its own
//! waiting time in the run queue (`/proc/self/schedstat`, second number) tells starving from being
//! stopped.

/// How often the looker looks, in milliseconds.
pub const PACE_MS: u64 = 500;
/// Looks that are late by this much together, in milliseconds, are a stall: far beyond ordinary
/// load.
pub const STALL_MS: u64 = 3_000;
/// A look that is late by less than this, in milliseconds, is not late: a busy machine does that.
const LATE_MS: u64 = PACE_MS / 2;
/// One part in this many of the time that passes is taken off what the looks were late, so that
/// late looks now and then do not add up to a stall, and a process that is let run for a moment
/// in each second is found.
const FORGIVEN: u64 = 8;

/// A stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// How long, in milliseconds.
    pub ms: u64,
    /// What it was.
    pub cause: Cause,
}

/// What kept the process from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was ready to run, and others ran.
    Starved,
    /// It was not ready: stopped by a signal, held by a debugger, frozen with its control group, or
    /// out of its group's CPU quota.
    Held,
}

impl Cause {
    /// The reason as it is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starved => "starved",
            Self::Held => "held_still",
        }
    }
}

/// The looks.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    at_ms: u64,
    waited_ns: u64,
    /// What late looks were late since there was nothing owed, and of that the time in the queue.
    late_ms: u64,
    queued_ms: u64,
    /// The same, less what is forgiven.
    owed_ms: u64,
}

impl Stall {
    /// The first look, at `now_ms` of a clock that does not count suspension, after having waited
    /// `waited_ns` in the run queue.
    pub const fn new(now_ms: u64, waited_ns: u64) -> Self {
        Self { at_ms: now_ms, waited_ns, late_ms: 0, queued_ms: 0, owed_ms: 0 }
    }

    /// A later look. A stall is told once, with what all looks were late that belong to it.
    pub fn look(&mut self, now_ms: u64, waited_ns: u64) -> Option<Stalled> {
        let passed = now_ms.saturating_sub(self.at_ms);
        let late = passed.saturating_sub(PACE_MS);
        let queued = waited_ns.saturating_sub(self.waited_ns) / 1_000_000;
        (self.at_ms, self.waited_ns) = (now_ms, waited_ns);
        if late >= LATE_MS {
            self.late_ms += late;
            self.queued_ms += queued;
            self.owed_ms += late;
        }
        if self.owed_ms < STALL_MS {
            self.owed_ms = self.owed_ms.saturating_sub(passed / FORGIVEN);
            if self.owed_ms == 0 {
                (self.late_ms, self.queued_ms) = (0, 0);
            }
            return None;
        }
        let cause = if self.queued_ms * 2 >= self.late_ms { Cause::Starved } else { Cause::Held };
        let ms = self.late_ms;
        *self = Self::new(now_ms, waited_ns);
        Some(Stalled { ms, cause })
    }
}

/// How long the calling thread has waited in the run queue, in nanoseconds; 0 where the kernel
/// does not count it.
pub fn waited_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_ascii_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Cause, LATE_MS, PACE_MS, STALL_MS, Stall, Stalled};

    #[test]
    fn a_late_look_is_a_stall_and_the_run_queue_tells_which() {
        let mut stall = Stall::new(0, 0);
        assert_eq!(stall.look(PACE_MS, 400_000_000), None);
        let now = PACE_MS * 2 + STALL_MS;
        let held = Stalled { ms: STALL_MS, cause: Cause::Held };
        assert_eq!(stall.look(now, 500_000_000), Some(held));
        let starved = Stalled { ms: 5_000, cause: Cause::Starved };
        assert_eq!(stall.look(now + PACE_MS + 5_000, 3_000_000_000), Some(starved));
    }

    /// What `looks` looks say, each so many milliseconds late.
    fn told(late_ms: u64, looks: u64) -> Vec<Stalled> {
        let mut stall = Stall::new(0, 0);
        (1..=looks).filter_map(|look| stall.look(look * (PACE_MS + late_ms), 0)).collect()
    }

    #[test]
    fn a_process_that_runs_for_a_moment_in_each_second_is_told() {
        let often = told(PACE_MS, 60);
        assert!((3..20).contains(&often.len()), "{often:?}");
        let late: u64 = often.iter().map(|stalled| stalled.ms).sum();
        assert!(late > 60 * PACE_MS * 3 / 4, "most of what it was late: {often:?}");
        assert_eq!(told(LATE_MS - 1, 10_000), [], "a busy machine");
        assert_eq!(told(STALL_MS - 1, 1), [], "late, not stalled");
    }

    #[test]
    fn late_looks_now_and_then_are_no_stall() {
        let mut stall = Stall::new(0, 0);
        let mut now = 0;
        for look in 0..10_000_u64 {
            now += if look.is_multiple_of(20) { PACE_MS + 1_000 } else { PACE_MS };
            assert_eq!(stall.look(now, 0), None, "look {look}");
        }
    }
}
