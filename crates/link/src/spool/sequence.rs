//! The sensor's counter of activities within one boot.
//!
//! Invariant: no number is given twice within a boot, whatever kills the process: numbers are
//! reserved on disk in blocks before any of a block is used. A new boot begins at 1; a power
//! failure brings a new boot, so nothing here needs to be synced.

use std::path::Path;

use metsuke_event::BootId;

use super::SpoolError;
use super::slots::{self, Slots};

/// Numbers reserved at once: one small write per so many activities, and at most so many skipped
/// when the process is killed.
pub const BLOCK: u64 = 65_536;

/// The counter.
#[derive(Debug)]
pub struct Sequence {
    slots: Slots,
    boot: BootId,
    next: u64,
    reserved: u64,
}

impl Sequence {
    /// Opens the counter in `dir` for `boot`.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(dir: &Path, boot: BootId) -> Result<Self, SpoolError> {
        crate::files::private_dir(dir).map_err(|source| SpoolError::new("create", dir, source))?;
        let slots = Slots::open(&dir.join("sequence"))?;
        let reserved = slots.value().map_or(0, |value| {
            let high = u128::from(slots::word(&value, 0)) << 64;
            let known = BootId::from_u128(high | u128::from(slots::word(&value, 1)));
            if known == boot { slots::word(&value, 2) } else { 0 }
        });
        Ok(Self { slots, boot, next: reserved + 1, reserved })
    }

    /// The boot it counts for.
    pub const fn boot(&self) -> BootId {
        self.boot
    }

    /// The next number.
    ///
    /// # Errors
    /// When a new block cannot be reserved; the activity then has no identity and must be counted
    /// as lost.
    pub fn take_next(&mut self) -> Result<u64, SpoolError> {
        if self.next > self.reserved {
            let reserved = self.reserved + BLOCK;
            let boot = self.boot.as_u128();
            let [high, low] = [boot >> 64, boot & u128::from(u64::MAX)]
                .map(|half| u64::try_from(half).unwrap_or(u64::MAX));
            self.slots.set(slots::words(&[high, low, reserved]))?;
            self.reserved = reserved;
        }
        let seq = self.next;
        self.next += 1;
        Ok(seq)
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::BootId;

    use super::{BLOCK, Sequence};

    #[test]
    fn numbers_never_repeat_within_a_boot() {
        let dir = tempfile::tempdir().expect("a folder");
        let (first, second) = (BootId::from_u128(u128::MAX - 5), BootId::from_u128(2));
        let mut last = 0;
        for _ in 0..3 {
            let mut sequence = Sequence::open(dir.path(), first).expect("opens");
            for _ in 0..BLOCK + 10 {
                let seq = sequence.take_next().expect("reserves");
                assert!(seq > last);
                last = seq;
            }
        }
        assert_eq!(
            Sequence::open(dir.path(), second).expect("opens").take_next().expect("counts"),
            1
        );
    }
}
