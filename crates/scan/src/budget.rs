//! A token bucket in bytes. Time is given to it; it reads no clock.

use std::time::Duration;

/// Bytes that may be spent, refilled at a steady rate up to a burst.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u64,
    burst: u64,
    available: u64,
    updated: Duration,
}

impl Budget {
    pub(crate) fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst, available: burst, updated: Duration::ZERO }
    }

    /// Takes `bytes` at `now` (since any fixed point); false, taking nothing, when short of them.
    pub(crate) fn take(&mut self, bytes: u64, now: Duration) -> bool {
        let passed = now.saturating_sub(self.updated);
        let refill = u128::from(self.per_second) * passed.as_nanos() / 1_000_000_000;
        let refill = u64::try_from(refill).unwrap_or(u64::MAX);
        if refill > 0 {
            self.available = self.available.saturating_add(refill).min(self.burst);
            self.updated = now;
        }
        if bytes > self.available {
            return false;
        }
        self.available -= bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;
    use std::time::Duration;

    #[test]
    fn refills_up_to_the_burst() {
        let mut budget = Budget::new(100, 200);
        assert!(budget.take(200, Duration::ZERO));
        assert!(!budget.take(1, Duration::ZERO));
        assert!(budget.take(100, Duration::from_secs(1)));
        assert!(!budget.take(1, Duration::from_secs(1)));
        assert!(!budget.take(201, Duration::from_mins(1)), "never more than the burst");
        assert!(budget.take(200, Duration::from_mins(1)));
    }
}
