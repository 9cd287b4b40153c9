//! How fast the probe may work while it runs; whoever holds the handle turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The handle. Clones turn the same probe.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<AtomicU32>);

impl Default for Throttle {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1_000)))
    }
}

impl Throttle {
    /// Reads files for their hashes at so many thousandths of the usual pace; at 0 not at all, and
    /// their activities say `budget`. Takes effect within a second.
    pub fn set_hash_permille(&self, permille: u32) {
        self.0.store(permille.min(1_000), Ordering::Relaxed);
    }

    /// What was set last; 1,000 at first.
    pub fn hash_permille(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
