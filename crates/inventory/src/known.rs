//! Contents that are known, for who wants to hear of each: a deny list, for one.

use crate::held::Inventory;
use crate::index::Entry;

/// An executable and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Device, as `stat` tells it.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Change time, in seconds and nanoseconds, as it was before reading.
    pub changed: (i64, i64),
    /// Size in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
}

impl Known {
    /// Of what is kept; `None` when there is no hash, or the file had changed just then.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let identity = entry.identity;
        let text = entry.file.sha256.as_deref()?;
        let mut sha256 = [0; 32];
        for (byte, at) in sha256.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        (identity.ctime != (0, 0)).then_some(Self {
            device: identity.device,
            inode: identity.inode,
            changed: identity.ctime,
            size: identity.size,
            sha256,
        })
    }
}

impl Inventory {
    /// Tells all that is known from before; whoever hears it compares the change time.
    pub(crate) fn tell_known(&self) {
        let known: Vec<Known> = self.state().index.values().filter_map(Known::of).collect();
        for known in &known {
            (self.known)(known);
        }
    }
}
