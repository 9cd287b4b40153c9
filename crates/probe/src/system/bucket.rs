//! A rate: so many a second, and so many at once. Reads no clock.

/// Shares that may be taken, refilled at a steady rate up to a burst.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u64,
    burst: u64,
    left: u64,
    refilled: u64,
}

impl Bucket {
    pub(super) fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst, left: burst, refilled: 0 }
    }

    /// Takes `shares` at `now` (nanoseconds since any fixed point); false, taking nothing, when
    /// short of them.
    pub(super) fn take(&mut self, shares: u64, now: u64) -> bool {
        let passed = u128::from(now.saturating_sub(self.refilled));
        let refill = u64::try_from(passed * u128::from(self.per_second) / 1_000_000_000);
        let refill = refill.unwrap_or(u64::MAX);
        if refill > 0 {
            self.left = self.left.saturating_add(refill).min(self.burst);
            self.refilled = now;
        }
        let may = shares <= self.left;
        if may {
            self.left -= shares;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;

    #[test]
    fn refills_up_to_the_burst() {
        let mut bucket = Bucket::new(10, 20);
        assert!(bucket.take(20, 0) && !bucket.take(1, 0));
        assert!(bucket.take(10, 1_000_000_000) && !bucket.take(1, 1_000_000_000));
        assert!(!bucket.take(21, u64::MAX) && bucket.take(20, u64::MAX));
    }
}
