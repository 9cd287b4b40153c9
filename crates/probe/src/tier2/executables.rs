//! Executables whose content is known: to run one of them again costs no look at the file, and, as
//! long as it runs no scripts, wakes nobody up.
//!
//! Invariant: a content is known only as the file was when the kernel told of it: its inode, change
//! time and size there are those of what was hashed.

use std::collections::HashMap;
use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use metsuke_event::{Process, Text};
use metsuke_scan::{FileFacts, Identity};

use super::record::{Exec, Head, flag};
use crate::system::runs_scripts;
use crate::world::World;

/// Most remembered (`known_executables` of `bpf/process.h`): far more programs than a host runs again
/// and again. When it is full all are forgotten, since they are cheap to learn again.
const MAX: usize = 4_096;

/// `struct content_key` of `records.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    inode: u64,
    changed: u64,
    length: u64,
    kernel_device: u32,
}

impl Content {
    /// What was executed; `None` where the kernel's inode does not tell all that changes.
    pub(super) fn of(head: &Head, exec: &Exec<'_>) -> Option<Self> {
        const UNSURE: u16 = flag::MEMORY | flag::GONE | flag::UPPER | flag::LOWER;
        (head.flags & UNSURE == 0).then_some(Self {
            inode: exec.inode,
            changed: exec.changed,
            length: exec.length,
            kernel_device: exec.kernel_device,
        })
    }

    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let words = [self.inode, self.changed, self.length, u64::from(self.kernel_device)];
        for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
            part.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn is(&self, facts: &FileFacts) -> bool {
        let id = facts.identity;
        id.inode == self.inode && id.size == self.length && id.ctime == i128::from(self.changed)
    }
}

#[derive(Debug)]
pub(super) struct Executables {
    known: HashMap<Content, Identity>,
    /// The kernel's: those that need not be told at once.
    quiet: Arc<MapHandle>,
}

impl Executables {
    pub(super) fn new(quiet: Arc<MapHandle>) -> Self {
        Self { known: HashMap::new(), quiet }
    }

    /// Its SHA-256, if it is known.
    pub(super) fn get(&self, world: &mut World, content: &Content) -> Option<Text> {
        world.hasher.again(self.known.get(content)?)
    }

    /// Remembers what `process` was found to run.
    pub(super) fn learn(&mut self, world: &World, content: Content, ran: (&Process, FileFacts)) {
        let (process, facts) = ran;
        let identity = facts.identity;
        if !content.is(&facts) || !world.hasher.remembers(&identity) {
            return;
        }
        if self.known.len() >= MAX {
            for content in self.known.drain().map(|(content, _)| content) {
                // One that runs scripts was never there.
                let _ = self.quiet.delete(&content.bytes());
            }
        }
        self.known.insert(content, identity);
        // A script is read while its interpreter runs it.
        if !process.exe.as_deref().is_some_and(runs_scripts) {
            // Refused, it is told at once as before.
            let _ = self.quiet.update(&content.bytes(), &[1], MapFlags::ANY);
        }
    }
}
