//! Whether this process itself was kept from running.
//!
//! Pure: the looker looks at a fixed pace; a look that comes much too late is a stall. Its own
//! waiting time in the run queue (`/proc/self/schedstat`, second number) tells starving from being
//! stopped.

/// How often the looker looks, in milliseconds.
pub const PACE_MS: u64 = 500;
/// A look that is later than this, in milliseconds, is a stall: far beyond ordinary load.
pub const STALL_MS: u64 = 3_000;

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
}

impl Stall {
    /// The first look, at `now_ms` of a clock that does not count suspension, after having waited
    /// `waited_ns` in the run queue.
    pub const fn new(now_ms: u64, waited_ns: u64) -> Self {
        Self { at_ms: now_ms, waited_ns }
    }

    /// A later look.
    pub fn look(&mut self, now_ms: u64, waited_ns: u64) -> Option<Stalled> {
        let ms = now_ms.saturating_sub(self.at_ms).saturating_sub(PACE_MS);
        let waited_ms = waited_ns.saturating_sub(self.waited_ns) / 1_000_000;
        *self = Self::new(now_ms, waited_ns);
        let cause = if waited_ms * 2 >= ms { Cause::Starved } else { Cause::Held };
        (ms >= STALL_MS).then_some(Stalled { ms, cause })
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
    use super::{Cause, PACE_MS, STALL_MS, Stall, Stalled};

    #[test]
    fn a_late_look_is_a_stall_and_the_run_queue_tells_which() {
        let mut stall = Stall::new(0, 0);
        assert_eq!(stall.look(PACE_MS, 400_000_000), None);
        assert_eq!(stall.look(PACE_MS * 2 + STALL_MS - 1, 400_000_000), None, "late, not stalled");
        let now = PACE_MS * 3 + STALL_MS * 2;
        let held = Stalled { ms: STALL_MS + 1, cause: Cause::Held };
        assert_eq!(stall.look(now, 500_000_000), Some(held));
        let starved = Stalled { ms: 5_000, cause: Cause::Starved };
        assert_eq!(stall.look(now + PACE_MS + 5_000, 3_000_000_000), Some(starved));
    }
}
