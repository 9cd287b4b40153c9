//! What files hold, from who reads them anyway to the deny list: a file that is on it by its content
//! is denied as soon as anybody has hashed it.

use std::sync::{Arc, OnceLock};

use metsuke_enforce::deny::{Learned, Learner};
use metsuke_probe::{Identity, Listener};

const NANOS: i128 = 1_000_000_000;

/// The way there; it leads nowhere until a list is in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<OnceLock<Learner>>);

impl Known {
    /// From now on it leads to this list.
    pub(crate) fn lead_to(&self, learner: Option<Learner>) {
        if let Some(learner) = learner {
            // There is one list in a process.
            let _ = self.0.set(learner);
        }
    }

    /// For the probe, which hashes what is executed and changed.
    pub(crate) fn listener(&self) -> Listener {
        let known = self.clone();
        Listener::new(move |file, sha256| known.probed(file, *sha256))
    }

    fn probed(&self, file: &Identity, sha256: [u8; 32]) {
        let Some(learner) = self.0.get() else { return };
        let seconds = i64::try_from(file.ctime.div_euclid(NANOS)).unwrap_or(i64::MAX);
        let nanos = i64::try_from(file.ctime.rem_euclid(NANOS)).unwrap_or(0);
        let Identity { device, inode, size, .. } = *file;
        learner.learn(&Learned { device, inode, changed: (seconds, nanos), size, sha256 });
    }

    /// For the inventory, which hashes what may be executed.
    pub(crate) fn found(&self, file: &metsuke_inventory::Known) {
        let Some(learner) = self.0.get() else { return };
        let metsuke_inventory::Known { device, inode, changed, size, sha256 } = *file;
        learner.learn(&Learned { device, inode, changed, size, sha256 });
    }
}
