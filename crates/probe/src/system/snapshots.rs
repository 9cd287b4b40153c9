//! Files of interest as they were last seen, so that a change can be told as a difference.
//!
//! Invariant: bounded in number and bytes; what is forgotten to make room is counted, and from
//! then on a missing entry is "not known", never "was not there".

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

use metsuke_event::Text;
use sha2::{Digest, Sha256};

use crate::system::roots::Place;

/// Longest text kept of one file, in bytes: unit files and crontabs are far shorter.
const MAX_TEXT: usize = 65_536;

/// Most bytes read of one file to hash it.
pub(super) const MAX_READ: u64 = 1 << 20;

/// Most files kept: a host with a thousand homes has some eight thousand.
const MAX_FILES: usize = 8_192;

/// Most bytes of text kept in all.
const MAX_BYTES: usize = 6 << 20;

/// What was found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing.
    Absent,
    /// A symbolic link, and what it points to.
    Link(String),
    /// A file.
    File(Whole),
    /// Something that is no file, or that could not be read.
    Unreadable,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// At most one byte more than `limit`.
    pub(super) bytes: Vec<u8>,
    pub(super) size: u64,
    pub(super) limit: u64,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Unset when it is longer than what is read.
    pub(super) sha256: Option<Text>,
    pub(super) size: u64,
    pub(super) shape: Shape,
}

/// What is kept of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text(Text),
    Link(Text),
    Binary,
    TooLarge,
    /// Removed, in a namespace that began with the host's file.
    Gone,
}

impl Snapshot {
    /// Of what was found; `None` of nothing.
    pub(super) fn of(content: &Content) -> Option<Self> {
        match content {
            Content::Absent | Content::Unreadable => None,
            Content::Link(target) => Some(Self {
                sha256: None,
                size: target.len() as u64,
                shape: Shape::Link(target.as_str().into()),
            }),
            Content::File(whole) => Some(Self {
                sha256: (whole.bytes.len() as u64 <= whole.limit).then(|| sha256(&whole.bytes)),
                size: whole.size,
                shape: shape(&whole.bytes),
            }),
        }
    }

    /// Its text; a link's says where it points.
    pub(super) fn text(&self) -> Option<String> {
        match &self.shape {
            Shape::Text(text) => Some(text.to_string()),
            Shape::Link(target) => Some(format!("→ {target}")),
            Shape::Binary | Shape::TooLarge | Shape::Gone => None,
        }
    }

    fn bytes(&self) -> usize {
        match &self.shape {
            Shape::Text(text) | Shape::Link(text) => text.len(),
            Shape::Binary | Shape::TooLarge | Shape::Gone => 0,
        }
    }
}

fn shape(bytes: &[u8]) -> Shape {
    // As diff(1) and git tell: a NUL near the beginning.
    if bytes.iter().take(8_192).any(|byte| *byte == 0) {
        return Shape::Binary;
    }
    if bytes.len() > MAX_TEXT {
        return Shape::TooLarge;
    }
    Shape::Text(String::from_utf8_lossy(bytes).into())
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> Text {
    let digest = Sha256::digest(bytes);
    let mut text = String::with_capacity(64);
    for byte in digest {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

/// What is known of a path before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Known(Snapshot),
    Absent,
    Unknown,
}

type Key = (Place, String);

/// The files kept.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    files: HashMap<Key, Snapshot>,
    order: VecDeque<Key>,
    bytes: usize,
    evicted: u64,
    scanned: HashMap<Place, u64>,
}

impl Snapshots {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Every file of interest in `place` has been looked at: from now on what is not kept was not
    /// there, as long as nothing is forgotten.
    pub(super) fn complete(&mut self, place: Place) {
        self.scanned.insert(place, self.evicted);
    }

    /// What is known of `path`. A namespace that shares the host's root began with its files.
    pub(super) fn before(&self, place: &Place, path: &str) -> Before {
        let key = (place.clone(), path.to_owned());
        if let Some(snapshot) = self.files.get(&key) {
            return match snapshot.shape {
                Shape::Gone => Before::Absent,
                _ => Before::Known(snapshot.clone()),
            };
        }
        match place {
            Place::Namespace(_) => self.before(&Place::Host, path),
            _ if self.scanned.get(place) == Some(&self.evicted) => Before::Absent,
            _ => Before::Unknown,
        }
    }

    /// Whether a scan need not look at `path`, since a change of it was seen meanwhile.
    pub(super) fn holds(&self, place: &Place, path: &str) -> bool {
        self.files.contains_key(&(place.clone(), path.to_owned()))
    }

    /// Keeps what `path` is now.
    pub(super) fn keep(&mut self, place: &Place, path: &str, snapshot: Option<Snapshot>) {
        let key = (place.clone(), path.to_owned());
        let snapshot = snapshot.or_else(|| {
            matches!(place, Place::Namespace(_)).then(|| Snapshot {
                sha256: None,
                size: 0,
                shape: Shape::Gone,
            })
        });
        if let Some(old) = self.files.remove(&key) {
            self.bytes -= old.bytes();
            // Its place in the order stays: it is found there or passed over.
            if snapshot.is_none() {
                self.order.retain(|known| *known != key);
            }
        } else if snapshot.is_some() {
            self.order.push_back(key.clone());
        }
        let Some(snapshot) = snapshot else { return };
        self.bytes += snapshot.bytes();
        self.files.insert(key, snapshot);
        while self.files.len() > MAX_FILES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(old) = self.files.remove(&oldest) {
                self.bytes -= old.bytes();
                self.evicted += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Before, Content, MAX_FILES, Shape, Snapshot, Snapshots, Whole};
    use crate::system::roots::Place;

    fn file(text: &str) -> Option<Snapshot> {
        let bytes = text.as_bytes().to_vec();
        Snapshot::of(&Content::File(Whole { size: bytes.len() as u64, bytes, limit: 100_000 }))
    }

    #[test]
    fn what_is_forgotten_is_not_said_to_have_been_absent() {
        let mut snapshots = Snapshots::default();
        assert_eq!(snapshots.before(&Place::Host, "/a"), Before::Unknown, "nothing was looked at");
        snapshots.complete(Place::Host);
        assert_eq!(snapshots.before(&Place::Host, "/a"), Before::Absent);
        assert_eq!(snapshots.before(&Place::Namespace(1), "/a"), Before::Absent);
        assert_eq!(snapshots.before(&Place::Root(1, 2), "/a"), Before::Unknown);
        for number in 0..=MAX_FILES {
            snapshots.keep(&Place::Host, &format!("/{number}"), file("x"));
        }
        assert_eq!((snapshots.len(), snapshots.evicted()), (MAX_FILES, 1));
        assert_eq!(snapshots.before(&Place::Host, "/0"), Before::Unknown);
        assert!(matches!(snapshots.before(&Place::Host, "/1"), Before::Known(_)));
        snapshots.keep(&Place::Host, "/1", None);
        assert_eq!(snapshots.len(), MAX_FILES - 1);
    }

    #[test]
    fn what_cannot_be_shown_is_hashed_still() {
        assert_eq!(file("a\0b").unwrap().shape, Shape::Binary);
        let long = file(&"x".repeat(70_000)).unwrap();
        assert_eq!(long.shape, Shape::TooLarge);
        assert!(long.sha256.is_some());
        assert_eq!(file(&"x".repeat(100_001)).unwrap().sha256, None, "longer than what is read");
    }
}
