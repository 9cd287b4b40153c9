//! A token bucket in bytes. Time is given to it; it reads no clock.

use std::time::Duration;

/// Bytes that may be spent, refilled at a steady rate up to a burst.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u64,
    burst: u64,
    available: u64,
    updated: Duration,
    pace_permille: u32,
}

impl Budget {
    pub(crate) fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst, available: burst, updated: Duration::ZERO, pace_permille: 1_000 }
    }

    /// Spends at so many thousandths of the usual pace: each byte costs accordingly more. At 0
    /// nothing can be taken.
    pub(crate) fn set_pace(&mut self, permille: u32) {
        self.pace_permille = permille.min(1_000);
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
        let cost = bytes.saturating_mul(1_000).checked_div(u64::from(self.pace_permille));
        let Some(rest) = cost.and_then(|cost| self.available.checked_sub(cost)) else {
            return false;
        };
        self.available = rest;
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
    #[test]
    fn a_slower_pace_makes_bytes_dearer_and_none_forbids() {
        let mut budget = Budget::new(100, 200);
        budget.set_pace(250);
        assert!(!budget.take(51, Duration::ZERO));
        assert!(budget.take(50, Duration::ZERO));
        budget.set_pace(0);
        assert!(!budget.take(1, Duration::from_mins(1)));
        assert!(!budget.take(0, Duration::from_mins(1)));
        budget.set_pace(5_000);
        assert!(budget.take(200, Duration::from_mins(1)), "never faster than usual");
    }
}
