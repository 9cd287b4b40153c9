//! What the kernel sums up instead of telling one by one: opened here by a first record, settled
//! when the file was closed, the process ended or nothing happened for a while.
//!
//! Invariant: each sum in the kernel has one entry here, made by the record that opened it; so
//! nothing stays behind in the kernel's maps.

use std::collections::HashMap;
use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use metsuke_event::Process;

/// A file written to is told after this long without a write.
const QUIET_NANOS: u64 = 250_000_000;

/// What is summed up for this long is told, even if it goes on.
const LONGEST_NANOS: u64 = 1_000_000_000;

/// Memory made executable: a program that compiles while it runs does so all the time.
const MEMORY_NANOS: u64 = 60_000_000_000;

/// One sum's identity: the bytes of its key in the kernel's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    File([u8; 24]),
    Flow([u8; 28]),
    Act([u8; 16]),
    /// Ends of flows, by the key of their beginnings.
    End([u8; 28]),
    /// Datagrams of a socket, by its address in the kernel.
    Datagrams([u8; 8]),
}

/// `struct file_key` of `records.h`.
pub(super) fn file_key(inode: u64, device: u32, pid: u32, kind: u16) -> Key {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&inode.to_ne_bytes());
    key[8..12].copy_from_slice(&device.to_ne_bytes());
    key[12..16].copy_from_slice(&pid.to_ne_bytes());
    key[16..20].copy_from_slice(&u32::from(kind).to_ne_bytes());
    Key::File(key)
}

/// `struct flow_key` of `records.h`.
pub(super) fn flow_key(remote: [u8; 16], pid: u32, ports: (u16, u16), ids: (u16, u16)) -> Key {
    let mut key = [0; 28];
    key[..16].copy_from_slice(&remote);
    key[16..20].copy_from_slice(&pid.to_ne_bytes());
    for (at, value) in [(20, ports.0), (22, ports.1), (24, ids.0), (26, ids.1)] {
        key[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
    Key::Flow(key)
}

/// `struct act_key` of `records.h`.
pub(super) fn act_key(object: u64, pid: u32, kind: u16, detail: u16) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&object.to_ne_bytes());
    key[8..12].copy_from_slice(&pid.to_ne_bytes());
    key[12..14].copy_from_slice(&kind.to_ne_bytes());
    key[14..].copy_from_slice(&detail.to_ne_bytes());
    Key::Act(key)
}

/// `struct sum` of `records.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) last: u64,
    pub(super) bytes: u64,
    pub(super) operations: u64,
    pub(super) length: u64,
    /// Of flows: how long the longest lasted, in nanoseconds. `bytes` were sent, `length` received.
    pub(super) longest: u64,
}

impl Sum {
    /// `struct sum`, `struct end_sum`, `struct datagrams` of `records.h`.
    fn from_bytes(key: &Key, bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = bytes.get(at * 8..at * 8 + 8)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        Some(match key {
            Key::File(_) | Key::Flow(_) | Key::Act(_) => Self {
                last: word(0)?,
                bytes: word(1)?,
                operations: word(2)?,
                length: word(3)?,
                longest: 0,
            },
            Key::End(_) => Self {
                last: word(0)?,
                operations: word(1)?,
                bytes: word(2)?,
                length: word(3)?,
                longest: word(4)?,
            },
            Key::Datagrams(_) => Self {
                last: word(1)?,
                operations: 1,
                bytes: word(2)?,
                length: word(3)?,
                longest: word(1)?.saturating_sub(word(0)?),
            },
        })
    }
}

/// What opened a sum.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) process: Arc<Process>,
    pub(super) pid: u32,
    pub(super) subject: Subject,
    pub(super) first: u64,
    due: u64,
}

/// Whom the sum is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Write(metsuke_event::File),
    Read(metsuke_event::File),
    Flow(metsuke_event::activity::NetworkActivity, metsuke_event::Network),
    Reach(metsuke_event::activity::TargetActivity, metsuke_event::Target),
    Memory(metsuke_event::activity::MemoryActivity, metsuke_event::Memory),
    /// Ends of flows: the first one has been told.
    Ends(metsuke_event::Network),
    /// Datagrams of one socket, told when it ends.
    Datagrams(metsuke_event::Network),
}

impl Subject {
    /// How long after its first operation a sum is told.
    fn wait(&self) -> u64 {
        match self {
            Self::Write(_) => QUIET_NANOS,
            Self::Memory(..) => MEMORY_NANOS,
            Self::Read(_) | Self::Flow(..) | Self::Reach(..) | Self::Ends(_) => LONGEST_NANOS,
            Self::Datagrams(_) => u64::MAX,
        }
    }
}

/// Where the kernel sums up.
#[derive(Debug)]
pub(super) struct Maps {
    pub(super) files: Arc<MapHandle>,
    pub(super) flows: Arc<MapHandle>,
    pub(super) acts: Arc<MapHandle>,
    pub(super) ends: Arc<MapHandle>,
    pub(super) datagrams: Arc<MapHandle>,
}

#[derive(Debug)]
pub(super) struct Sums {
    maps: Maps,
    open: HashMap<Key, Opened>,
    next: u64,
}

impl Sums {
    pub(super) fn new(maps: Maps) -> Self {
        Self { maps, open: HashMap::new(), next: 0 }
    }

    /// Bounded by the kernel's maps: an entry is made only for a record that made one there.
    pub(super) fn open(
        &mut self,
        key: Key,
        process: Arc<Process>,
        (pid, first): (u32, u64),
        subject: Subject,
    ) {
        let due = first.saturating_add(subject.wait());
        self.next = self.next.min(due);
        self.open.insert(key, Opened { process, pid, subject, first, due });
    }

    fn map(&self, key: &Key) -> (&MapHandle, Vec<u8>) {
        match key {
            Key::File(bytes) => (&self.maps.files, bytes.to_vec()),
            Key::Flow(bytes) => (&self.maps.flows, bytes.to_vec()),
            Key::End(bytes) => (&self.maps.ends, bytes.to_vec()),
            Key::Datagrams(bytes) => (&self.maps.datagrams, bytes.to_vec()),
            Key::Act(bytes) => (&self.maps.acts, bytes.to_vec()),
        }
    }

    /// Ends one sum: what opened it, with the kernel's figures.
    pub(super) fn settle(&mut self, key: Key) -> Option<(Opened, Sum)> {
        let opened = self.open.remove(&key)?;
        let (map, bytes) = self.map(&key);
        // Kernels before 5.14 have no such call for hash maps: look up, then delete.
        let found = map.lookup_and_delete(&bytes).or_else(|_| {
            let found = map.lookup(&bytes, MapFlags::ANY);
            map.delete(&bytes).and(found)
        });
        let sum = found.ok().flatten().and_then(|bytes| Sum::from_bytes(&key, &bytes));
        let sum = sum.unwrap_or(Sum { last: opened.first, operations: 1, ..Sum::default() });
        Some((opened, sum))
    }

    /// The sums that are due at `now`; those still growing are put off.
    pub(super) fn due(&mut self, now: u64) -> Vec<Key> {
        if now < self.next {
            return Vec::new();
        }
        let over: Vec<Key> =
            self.open.iter().filter(|(_, o)| o.due <= now).map(|(key, _)| *key).collect();
        let mut due = Vec::new();
        for key in over {
            let last = self.last(&key).unwrap_or(0);
            let Some(opened) = self.open.get_mut(&key) else { continue };
            let growing = matches!(opened.subject, Subject::Write(_))
                && last + QUIET_NANOS > now
                && opened.first + LONGEST_NANOS > now;
            if growing {
                opened.due = last + QUIET_NANOS;
            } else {
                due.push(key);
            }
        }
        self.next = self.open.values().map(|opened| opened.due).min().unwrap_or(u64::MAX);
        due
    }

    fn last(&self, key: &Key) -> Option<u64> {
        let (map, bytes) = self.map(key);
        let bytes = map.lookup(&bytes, MapFlags::ANY).ok().flatten()?;
        Sum::from_bytes(key, &bytes).map(|sum| sum.last)
    }

    /// The sums of process `pid`.
    pub(super) fn of_process(&self, pid: u32) -> Vec<Key> {
        self.keys(|opened| opened.pid == pid)
    }

    /// The sums of writes to the file with `inode`, or to the one at `path`.
    pub(super) fn of_file(&self, inode: Option<u64>, path: Option<&str>) -> Vec<Key> {
        self.keys(|opened| match &opened.subject {
            Subject::Write(file) => {
                (inode.is_some() && file.inode == inode)
                    || (path.is_some() && file.path.as_deref() == path)
            }
            _ => false,
        })
    }

    /// Every sum.
    pub(super) fn all(&self) -> Vec<Key> {
        self.keys(|_| true)
    }

    fn keys(&self, wanted: impl Fn(&Opened) -> bool) -> Vec<Key> {
        let mut keys: Vec<_> = self
            .open
            .iter()
            .filter(|(_, opened)| wanted(opened))
            .map(|(k, o)| (o.first, *k))
            .collect();
        keys.sort_by_key(|(first, _)| *first);
        keys.into_iter().map(|(_, key)| key).collect()
    }
}
