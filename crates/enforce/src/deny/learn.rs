//! What files hold, told to the kernel by who read them: a file that is on the list by its content
//! is met at once, also where the kernel cannot hash, or not at that moment.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use super::image::kernel_device;
use super::list::{DenyList, Subject};

/// A file and its hash, as found by somebody who read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Device, as `stat` tells it.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Time of the last change, in seconds and nanoseconds, as `stat` told it *before* reading.
    pub changed: (i64, i64),
    /// Size in bytes.
    pub size: u64,
    /// Its hash.
    pub sha256: [u8; 32],
}

impl Learned {
    fn key(&self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.inode.to_ne_bytes());
        key[8..12].copy_from_slice(&kernel_device(self.device).to_ne_bytes());
        key
    }

    fn value(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(56);
        let size = i64::try_from(self.size).unwrap_or(i64::MAX);
        for number in [self.changed.0, self.changed.1, size] {
            value.extend(number.to_ne_bytes());
        }
        value.extend(self.sha256);
        value
    }
}

/// Which contents the list in force asks about.
#[derive(Debug, Default)]
struct Wanted {
    /// It names files that nobody has hashed, so every hash counts.
    every: bool,
    contents: HashSet<[u8; 32]>,
}

/// Tells the kernel what files hold, as far as the list in force asks; any thread may.
#[derive(Clone, Debug)]
pub struct Learner {
    contents: Arc<MapHandle>,
    wanted: Arc<RwLock<Wanted>>,
}

impl Learner {
    pub(super) fn new(contents: Arc<MapHandle>) -> Self {
        Self { contents, wanted: Arc::default() }
    }

    /// A new list is in force.
    pub(super) fn want(&self, list: &DenyList) {
        let mut wanted = Wanted::default();
        for entry in list.entries() {
            match entry.subject {
                Subject::Sha256(hash) => {
                    wanted.contents.insert(hash);
                }
                Subject::UnknownCopy => wanted.every = true,
                _ => {}
            }
        }
        *self.wanted.write().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    /// Tells the kernel, if the list asks about this content; whether it did.
    pub fn learn(&self, file: &Learned) -> bool {
        let asked = {
            let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
            wanted.every || wanted.contents.contains(&file.sha256)
        };
        asked && self.tell(file)
    }

    pub(super) fn tell(&self, file: &Learned) -> bool {
        let told = self.contents.update(&file.key(), &file.value(), MapFlags::ANY);
        if let Err(error) = &told {
            // Forgotten hashes are taken again; nothing is denied that should not be.
            tracing::debug!(%error, "the kernel's table of hashes");
        }
        told.is_ok()
    }
}
