//! The last time up to which the sensor is known to have kept everything it saw.
//!
//! Read at the next start, it bounds what was not seen in between. Invariant: the stored time is
//! never later than the truth: the owner passes a time before which everything is on disk.

use std::path::Path;

use metsuke_event::Timestamp;

use super::SpoolError;
use super::slots::{self, Slots};

/// How the process before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, everything kept.
    Stopped,
    /// Killed, crashed, or the power went.
    Killed,
}

/// The stored time.
#[derive(Debug)]
pub struct Watch {
    slots: Slots,
}

impl Watch {
    /// Opens it in `dir`.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, SpoolError> {
        crate::files::private_dir(dir).map_err(|source| SpoolError::new("create", dir, source))?;
        Ok(Self { slots: Slots::open(&dir.join("watch"))? })
    }

    /// Up to when the process before had kept everything, and how it ended; `None` when there was
    /// none.
    pub fn before(&self) -> Option<(Timestamp, Ending)> {
        let value = self.slots.value()?;
        let ending = if slots::word(&value, 1) == 1 { Ending::Stopped } else { Ending::Killed };
        Some((Timestamp::from_nanos(slots::word(&value, 0).cast_signed()), ending))
    }

    /// Everything before `until` is kept, and the process goes on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kept(&mut self, until: Timestamp) -> Result<(), SpoolError> {
        self.slots.set(slots::words(&[until.as_nanos().cast_unsigned(), 0]))
    }

    /// Everything before `until` is kept, and the process ends.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn stopped(&mut self, until: Timestamp) -> Result<(), SpoolError> {
        self.slots.set(slots::words(&[until.as_nanos().cast_unsigned(), 1]))
    }
}
