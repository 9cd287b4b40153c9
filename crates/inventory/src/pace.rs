//! Keeps a thread within its share of a processor and its bytes per second, by sleeping.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A sleep is cut into pieces of this length, to notice a stop.
const SLICE: Duration = Duration::from_millis(50);
/// The thread's CPU time is read once in so many steps; a step without reading is a few stat(2).
const STEPS: u32 = 64;
/// What was not used in the past is not saved up for longer than this.
const MEMORY: Duration = Duration::from_secs(2);

/// How long work of `cpu` and `bytes` must have lasted.
fn due(cpu: Duration, bytes: u64, (percent, per_second): (u32, u64)) -> Duration {
    let by_cpu = cpu.saturating_mul(100) / percent.clamp(1, 100);
    let millis = u128::from(bytes) * 1_000 / u128::from(per_second.max(1));
    by_cpu.max(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

/// The brake of one thread.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: (u32, u64),
    stop: Arc<AtomicBool>,
    since: Instant,
    cpu: Duration,
    bytes: u64,
    steps: u32,
}

impl Pace {
    pub(crate) fn new(cpu_percent: u32, bytes_per_second: u64, stop: Arc<AtomicBool>) -> Self {
        let limits = (cpu_percent, bytes_per_second);
        Self { limits, stop, since: Instant::now(), cpu: thread_cpu(), bytes: 0, steps: 0 }
    }

    /// Whether the thread is to end.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A step that read `bytes`: sleeps as long as is owed.
    pub(crate) fn step(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.steps += 1;
        if self.steps < STEPS && bytes == 0 {
            return;
        }
        self.steps = 0;
        let cpu = thread_cpu();
        let due = due(cpu.saturating_sub(self.cpu), self.bytes, self.limits);
        let passed = self.since.elapsed();
        if let Some(owed) = due.checked_sub(passed) {
            self.sleep(owed);
        }
        if passed > MEMORY {
            (self.since, self.cpu, self.bytes) = (Instant::now(), cpu, 0);
        }
    }

    fn sleep(&self, owed: Duration) {
        let until = Instant::now() + owed;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self.stopped() || left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

/// CPU time of this thread (proc(5), `schedstat`: nanoseconds on a processor come first); zero where
/// the kernel keeps none, and then only the bytes are held back.
fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::due;
    use std::time::Duration;

    #[test]
    fn the_slower_of_both_limits_counts() {
        let ms = Duration::from_millis;
        assert_eq!(due(ms(10), 0, (5, 1_000)), ms(200));
        assert_eq!(due(ms(10), 1_000, (5, 1_000)), ms(1_000));
        assert_eq!(due(ms(10), 1_000, (100, u64::MAX)), ms(10));
        assert_eq!(due(ms(10), 0, (0, 0)), ms(1_000), "no share at all is the least one");
    }
}
