//! A reader's share of a CPU: after each block it rests as long as its share asks for.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Longest single rest: what asks for more used its CPU in one piece that cannot be divided.
const REST_MAX: Duration = Duration::from_secs(2);

/// The pace of one thread.
#[derive(Debug)]
pub struct Pace {
    percent: u32,
    used: Duration,
    end: Instant,
}

impl Pace {
    /// At most `percent` (1 to 100) of one CPU, and at most `limit` by the clock.
    pub fn new(percent: u32, limit: Duration) -> Self {
        Self { percent: percent.clamp(1, 100), used: cpu(), end: Instant::now() + limit }
    }

    /// Rests for what this thread used since the last call; false when the time is over.
    pub fn rest(&mut self) -> bool {
        let used = cpu().saturating_sub(self.used);
        let rest = used * (100 - self.percent) / self.percent;
        if !rest.is_zero() {
            std::thread::sleep(rest.min(REST_MAX));
        }
        self.used = cpu();
        Instant::now() < self.end
    }
}

/// CPU time of the calling thread (`CLOCK_THREAD_CPUTIME_ID`).
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
