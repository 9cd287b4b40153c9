//! When a sensor that falls silent is continued, ended, and started again.
//!
//! Pure: milliseconds of a clock that only goes forward, and what `/proc` says of the process, in;
//! what to do out. Invariant: a process that beats is left alone, and one that was ended is started
//! again, sooner at first, never more often than once in [`BACKOFF_MAX_MS`] when it keeps failing.

/// A healthy sensor beats every second; one that has not for so long is stuck.
pub const STALL_MS: u64 = 30_000;
/// One that was started has to be silent for so long, before its first beat: it has the kernel verify
/// its programs first, seconds on a quiet machine, minutes on an emulated one. The unit's own
/// `TimeoutStartSec` is longer.
pub const START_MS: u64 = 240_000;
/// How long a debugger may hold it still: nobody debugs a sensor in production, and SIGKILL is the
/// only signal that a held process obeys.
pub const TRACED_MS: u64 = 10_000;
/// Wait before the first restart.
pub const BACKOFF_MIN_MS: u64 = 1_000;
/// The longest wait before a restart.
pub const BACKOFF_MAX_MS: u64 = 60_000;
/// Who has run so long has not failed at its start.
pub const HEALTHY_MS: u64 = 600_000;

/// What a process is doing, by `/proc/PID/stat` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Running, sleeping or waiting for a device.
    Going,
    /// Stopped by a signal (`T`).
    Stopped,
    /// Held by a debugger (`t`).
    Traced,
    /// Ended.
    Ended,
}

impl Condition {
    /// From the text of `/proc/PID/stat`; the state stands after the name's last parenthesis.
    pub fn of(stat: &str) -> Self {
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        match state {
            Some('T') => Self::Stopped,
            Some('t') => Self::Traced,
            None | Some('Z' | 'X' | 'x') => Self::Ended,
            Some(_) => Self::Going,
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Wait,
    /// Send SIGCONT: it was stopped.
    Continue,
    /// Send SIGKILL: it has been silent, or held, for so many milliseconds.
    Kill {
        /// Milliseconds.
        silent_ms: u64,
    },
}

/// What is known of one process after another.
#[derive(Clone, Debug)]
pub struct Watchdog {
    started: u64,
    beat: u64,
    /// It has beaten since it was started.
    beaten: bool,
    traced_since: Option<u64>,
    failures: u32,
}

impl Watchdog {
    /// A process was started now.
    pub const fn new(now_ms: u64) -> Self {
        Self { started: now_ms, beat: now_ms, beaten: false, traced_since: None, failures: 0 }
    }

    /// Another process was started in its place.
    pub const fn started(&mut self, now_ms: u64) {
        (self.started, self.beat) = (now_ms, now_ms);
        self.beaten = false;
        self.traced_since = None;
    }

    /// It gave a sign of life.
    pub const fn beat(&mut self, now_ms: u64) {
        self.beat = now_ms;
        self.beaten = true;
    }

    /// What to do about a process in this condition.
    pub fn look(&mut self, now_ms: u64, condition: Condition) -> Act {
        let silent_ms = now_ms.saturating_sub(self.beat);
        if condition == Condition::Traced {
            let since = *self.traced_since.get_or_insert(now_ms);
            let held = now_ms.saturating_sub(since);
            return if held >= TRACED_MS { Act::Kill { silent_ms: held } } else { Act::Wait };
        }
        self.traced_since = None;
        let patience = if self.beaten { STALL_MS } else { START_MS };
        match condition {
            Condition::Ended => Act::Wait,
            _ if silent_ms >= patience => Act::Kill { silent_ms },
            Condition::Stopped => Act::Continue,
            Condition::Going | Condition::Traced => Act::Wait,
        }
    }

    /// It ended, and was not meant to: how long to wait before the next is started.
    pub fn failed(&mut self, now_ms: u64) -> u64 {
        if now_ms.saturating_sub(self.started) >= HEALTHY_MS {
            self.failures = 0;
        }
        let wait = BACKOFF_MIN_MS.saturating_mul(1_u64.checked_shl(self.failures).unwrap_or(0));
        self.failures = (self.failures + 1).min(16);
        wait.clamp(BACKOFF_MIN_MS, BACKOFF_MAX_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::Watchdog;
    use super::{Act, BACKOFF_MAX_MS, Condition, HEALTHY_MS, STALL_MS, START_MS, TRACED_MS};

    #[test]
    fn the_state_is_read_behind_a_name_that_tries_to_hide_it() {
        for (stat, expect) in [
            ("1 (metsuke-sensor) S 0 1", Condition::Going),
            ("1 (a) R) T 0 1", Condition::Stopped),
            ("1 (T) t 0", Condition::Traced),
            ("1 (x) Z 0", Condition::Ended),
            ("", Condition::Ended),
        ] {
            assert_eq!(Condition::of(stat), expect, "{stat}");
        }
    }

    #[test]
    fn a_stopped_one_is_continued_a_silent_or_held_one_ended() {
        let mut dog = Watchdog::new(0);
        assert_eq!(dog.look(STALL_MS - 1, Condition::Going), Act::Wait);
        assert_eq!(dog.look(5, Condition::Stopped), Act::Continue);
        dog.beat(STALL_MS);
        assert_eq!(dog.look(STALL_MS * 2 - 1, Condition::Going), Act::Wait);
        assert_eq!(dog.look(STALL_MS * 2, Condition::Going), Act::Kill { silent_ms: STALL_MS });
        dog.started(100_000);
        assert_eq!(dog.look(100_001, Condition::Traced), Act::Wait);
        assert_eq!(dog.look(100_002, Condition::Going), Act::Wait, "let go");
        assert_eq!(dog.look(100_003, Condition::Traced), Act::Wait);
        let held = Act::Kill { silent_ms: TRACED_MS };
        assert_eq!(dog.look(100_003 + TRACED_MS, Condition::Traced), held);
        assert_eq!(dog.look(900_000, Condition::Ended), Act::Wait);
    }

    #[test]
    fn who_is_starting_has_longer_until_its_first_beat() {
        let mut dog = Watchdog::new(0);
        assert_eq!(dog.look(STALL_MS, Condition::Going), Act::Wait);
        assert_eq!(dog.look(START_MS - 1, Condition::Going), Act::Wait);
        assert_eq!(dog.look(START_MS, Condition::Going), Act::Kill { silent_ms: START_MS });
        dog.beat(START_MS);
        let stalled = START_MS + STALL_MS;
        assert_eq!(dog.look(stalled, Condition::Going), Act::Kill { silent_ms: STALL_MS });
        dog.started(stalled);
        assert_eq!(dog.look(stalled + STALL_MS, Condition::Going), Act::Wait, "another one");
    }

    #[test]
    fn who_keeps_failing_waits_longer_who_ran_well_does_not() {
        let mut dog = Watchdog::new(0);
        let waits: Vec<u64> = (0..8).map(|_| dog.failed(10)).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, BACKOFF_MAX_MS]);
        for _ in 0..100 {
            assert_eq!(dog.failed(10), BACKOFF_MAX_MS);
        }
        assert_eq!(dog.failed(HEALTHY_MS), 1_000);
    }
}
