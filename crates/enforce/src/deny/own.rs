//! The sensor's own processes, which no list meets: what denies everything must not stop the one
//! who would take it back.
//!
//! Invariant: a guard is told from who has its number later by its start, and nobody's orphans are
//! taken for children: where the sensor gets them, or its guard is process 1, only those two are
//! spared. Whether another guard had itself made a subreaper cannot be asked: ours does not.

#![expect(
    unsafe_code,
    reason = "the system call has no safe wrapper in std; the block says why it is sound"
)]

use super::image::Place;
use crate::host::Seen;

/// Who is the sensor's beside this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The process that guards this one, if there is one: it starts the sensor's successor.
    pub guard: Option<u32>,
}

impl Own {
    /// Writes down who is spared: this process, its guard, and what either has started itself
    /// (scanner, helpers, a successor).
    pub(super) fn put(self, place: &mut Place) {
        let guard = self.guard.and_then(Seen::look);
        (place.guard, place.guard_start) =
            guard.as_ref().map_or((0, 0), |guard| (guard.pid, guard.start_ticks));
        place.kin = u32::from(place.own_pid != 1 && place.guard != 1 && !gets_orphans());
    }
}

/// Whether orphans below this process become its children (prctl(2), `PR_SET_CHILD_SUBREAPER`).
fn gets_orphans() -> bool {
    let mut value: libc::c_int = 0;
    // SAFETY: one integer of ours, which outlives the call.
    let asked = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut value, 0, 0, 0) };
    asked != 0 || value != 0
}
