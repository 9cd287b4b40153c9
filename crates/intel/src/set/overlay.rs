//! What came or went since the base was built: small, and merged now and then.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Meta;
use super::key::Key;

/// So many changes are merged into a new base: building one takes seconds, an overlay of this size
/// ten megabytes.
pub const MAX_OVERLAY: usize = 100_000;

/// Bytes of a change, estimated.
const CHANGE_BYTES: usize = 96;

/// Additions, and what of the base no longer holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    added: HashMap<Key, Vec<Meta>>,
    hidden: HashMap<Key, Vec<Box<str>>>,
    hidden_sources: HashSet<Box<str>>,
    /// Lengths of the prefixes among the additions.
    lengths: (BTreeSet<u8>, BTreeSet<u8>),
}

impl Overlay {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.added.len() + self.hidden.len() + self.hidden_sources.len()
    }

    pub(crate) fn memory(&self) -> usize {
        self.len() * CHANGE_BYTES
    }

    pub(crate) fn insert(&mut self, key: Key, meta: Meta) {
        match key {
            Key::Net4(_, length) => _ = self.lengths.0.insert(length),
            Key::Net6(_, length) => _ = self.lengths.1.insert(length),
            _ => {}
        }
        let said = self.added.entry(key).or_default();
        match said.iter_mut().find(|known| known.context == meta.context) {
            Some(known) if known.expires == 0 || meta.expires == 0 => known.expires = 0,
            Some(known) => known.expires = known.expires.max(meta.expires),
            None => said.push(meta),
        }
    }

    pub(crate) fn remove(&mut self, key: Key, gone: impl Fn(u32) -> bool) {
        if let Some(said) = self.added.get_mut(&key) {
            said.retain(|meta| !gone(meta.context));
            if said.is_empty() {
                self.added.remove(&key);
            }
        }
    }

    pub(crate) fn remove_all(&mut self, gone: impl Fn(u32) -> bool) {
        self.added.retain(|_, said| {
            said.retain(|meta| !gone(meta.context));
            !said.is_empty()
        });
    }

    pub(crate) fn hide(&mut self, key: Key, source: &str) {
        let sources = self.hidden.entry(key).or_default();
        if !sources.iter().any(|known| &**known == source) {
            sources.push(source.into());
        }
    }

    pub(crate) fn hide_source(&mut self, source: &str) {
        self.hidden_sources.insert(source.into());
    }

    /// Whether anything of the base may be hidden.
    pub(crate) fn hides(&self) -> bool {
        !self.hidden.is_empty() || !self.hidden_sources.is_empty()
    }

    pub(crate) fn is_hidden(&self, key: &Key, source: &str) -> bool {
        self.hidden_sources.contains(source)
            || self
                .hidden
                .get(key)
                .is_some_and(|sources| sources.iter().any(|known| &**known == source))
    }

    pub(crate) fn find(&self, key: &Key) -> &[Meta] {
        self.added.get(key).map_or(&[], Vec::as_slice)
    }

    /// The keys of the networks among the additions that hold `address`, the narrowest first.
    pub(crate) fn networks(&self, address: IpAddr) -> Vec<Key> {
        let keys: Vec<Key> = match address {
            IpAddr::V4(v4) => self.lengths.0.iter().rev().map(|length| net4(v4, *length)).collect(),
            IpAddr::V6(v6) => self.lengths.1.iter().rev().map(|length| net6(v6, *length)).collect(),
        };
        keys.into_iter().filter(|key| self.added.contains_key(key)).collect()
    }

    pub(crate) fn each(&self, each: &mut dyn FnMut(Key, Meta)) {
        for (key, said) in &self.added {
            for meta in said {
                each(*key, *meta);
            }
        }
    }
}

/// The network of `length` around an address.
fn net4(address: Ipv4Addr, length: u8) -> Key {
    let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
    Key::Net4((address.to_bits() & mask).to_be_bytes(), length)
}

fn net6(address: Ipv6Addr, length: u8) -> Key {
    let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
    Key::Net6((address.to_bits() & mask).to_be_bytes(), length)
}
