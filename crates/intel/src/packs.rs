//! What goes down to sensors: the filter of everything that is bad, and what people here decided (block
//! and allow lists), exactly. And the sensor's side of it: "surely not", "perhaps", "on a block list".
//!
//! Invariant: "perhaps" is asked of the server, which knows; only an exact entry counts as blocked, and
//! an allow entry wins. Format: `docs/spec/intel.md`.

use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::{Event, Text, Timestamp};
use serde::{Deserialize, Serialize};

use crate::filter::{Filter, FilterError};
use crate::indicator::{Action, Context, Indicator, Kind};
use crate::observe::{Matcher, each_in};
use crate::set::Set;

/// Most entries of each list that sensors hold exactly: some megabytes.
pub const DECIDED_MAX: u64 = 10_000;
/// Largest pack, in bytes: a filter of eleven million.
pub const PACK_MAX: usize = 24 << 20;

/// Bytes for sensors, and what they are called. Version 0 says nothing of anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// Tells contents apart.
    pub version: u64,
    /// The content.
    pub bytes: Bytes,
}

impl Pack {
    /// A pack of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        let version = u64::from(crc32fast::hash(&bytes)) << 32 | bytes.len() as u64;
        Self { version, bytes }
    }
}

/// Both packs; nothing for one that was not made yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packs {
    /// [`Decided`] as JSON.
    pub decided: Option<Pack>,
    /// A [`Filter`].
    pub filter: Option<Pack>,
}

/// What people here decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Entries that were too many.
    pub left_out: u64,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// One entry of a block or allow list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The number of its [`Kind`].
    pub kind: u8,
    /// The value, canonical.
    pub value: String,
    /// Who says so.
    pub source: String,
    /// Known good; else it is to be blocked.
    pub allow: bool,
    /// From when on it no longer holds.
    pub expires: Option<Timestamp>,
}

impl Decided {
    /// As a pack; one of version 0 when it says nothing.
    pub fn pack(&self) -> Pack {
        if self.entries.is_empty() {
            return Pack::default();
        }
        // Texts and numbers only: this cannot fail, and nothing would be nothing said.
        Pack::new(serde_json::to_vec(self).unwrap_or_default().into())
    }
}

/// Why a pack is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The filter is none.
    #[error("the filter of indicators {0}")]
    Filter(#[from] FilterError),
    /// The lists are none.
    #[error("the block list cannot be read; the server sends it again")]
    Decided(#[from] serde_json::Error),
}

/// What was seen of an activity's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// One stands on a block list, and not on an allow list.
    pub blocked: bool,
    /// One is perhaps an indicator: the server knows.
    pub perhaps: bool,
}

/// What a sensor holds. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Watchlist {
    filter: Arc<Filter>,
    decided: Arc<Set>,
    left_out: u64,
}

impl Watchlist {
    /// With this filter; no bytes are none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn with_filter(&self, bytes: &[u8]) -> Result<Self, PackError> {
        let filter = if bytes.is_empty() { Filter::default() } else { Filter::from_bytes(bytes)? };
        Ok(Self { filter: Arc::new(filter), ..self.clone() })
    }

    /// With these lists; no bytes are none. Entries of a newer server's kinds are left out.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn with_decided(&self, bytes: &[u8]) -> Result<Self, PackError> {
        let decided: Decided =
            if bytes.is_empty() { Decided::default() } else { serde_json::from_slice(bytes)? };
        let mut set = Set::builder(u64::from(crc32fast::hash(bytes)));
        let mut left_out = decided.left_out;
        for entry in decided.entries {
            let known = Kind::from_number(entry.kind);
            let added = known.is_some_and(|kind| set.add(&indicator(kind, entry)).is_ok());
            left_out += u64::from(!added);
        }
        Ok(Self { decided: Arc::new(set.build()), left_out, ..self.clone() })
    }

    /// Entries of the lists that are not held here.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What it takes in memory, in bytes.
    pub fn memory(&self) -> usize {
        self.filter.memory() + self.decided.memory().total()
    }

    /// Looks the values of `event` up.
    pub fn see(&self, event: &Event, now: Timestamp) -> Seen {
        let decided = (!self.decided.is_empty()).then(|| Matcher::new(&self.decided, now));
        let mut seen = Seen::default();
        each_in(event, &mut |kind, value| {
            match decided.and_then(|decided| decided.action(kind, value)) {
                Some(Action::Allow) => {}
                Some(_) => (seen.blocked, seen.perhaps) = (true, true),
                None => seen.perhaps = seen.perhaps || self.filter.may_hold(kind, value),
            }
            seen.blocked
        });
        seen
    }
}

fn indicator(kind: Kind, entry: Entry) -> Indicator {
    let action = if entry.allow { Action::Allow } else { Action::Block };
    let context = Context { source: Text::from(entry.source), action, ..Context::default() };
    Indicator {
        kind,
        value: entry.value.as_str().into(),
        context: Arc::new(context),
        object: None,
        first_seen: None,
        last_seen: None,
        expires: entry.expires,
    }
}
