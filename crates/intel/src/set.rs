//! The matching structure: millions of indicators, one look-up a value.
//!
//! A [`Set`] is a base (sorted rows, immutable, shared) and an overlay (what came or went since). A
//! look-up gives everything that is said of a value and in force; allow wins. Layout:
//! `docs/spec/intel.md`.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::Timestamp;

use crate::indicator::{Action, Context, Indicator, Kind};
use crate::normalise::Refusal;

mod base;
mod builder;
mod contexts;
pub(crate) mod hash;
pub(crate) mod key;
mod nets;
mod overlay;
mod snapshot;
mod table;

pub use builder::Builder;
pub use overlay::MAX_OVERLAY;
pub use snapshot::SnapshotError;

use base::Base;
use contexts::Contexts;
use key::Key;
pub(crate) use nets::{Nets, V4, V6, holds};
use overlay::Overlay;

/// One thing that is said of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Kind of the indicator: a URL's host may meet a domain, an address a network.
    pub kind: Kind,
    /// The indicator's value, where it is not the value itself: the domain above, the network.
    pub within: Option<String>,
    /// Who says what.
    pub context: Arc<Context>,
    /// Until when it holds, to the second; unset: until it is taken away.
    pub expires: Option<Timestamp>,
}

/// Everything that is said of a value, and in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What every source says; of one source the likeliest (domain before the domain above it) first.
    pub matches: Vec<Match>,
}

impl Answer {
    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        self.matches.is_empty()
    }

    /// Known good: an allow entry wins over everything else.
    pub fn allowed(&self) -> bool {
        self.matches.iter().any(|one| one.context.action == Action::Allow)
    }

    /// What is to be done; `None` when nothing is said.
    pub fn action(&self) -> Option<Action> {
        if self.allowed() {
            return Some(Action::Allow);
        }
        self.matches.iter().map(|one| one.context.action).max()
    }
}

/// What eight bytes of a row say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) context: u32,
    /// Seconds since 1970; 0: never.
    pub(crate) expires: u32,
}

impl Meta {
    pub(crate) const BYTES: usize = 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.context.to_le_bytes());
        bytes[4..].copy_from_slice(&self.expires.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let part = |range: std::ops::Range<usize>| {
            bytes.get(range).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
        };
        Self { context: part(0..4), expires: part(4..8) }
    }

    pub(crate) fn holds_at(self, now: u32) -> bool {
        self.expires == 0 || self.expires > now
    }
}

/// Seconds since 1970, within u32: until the year 2106. An end is rounded up and is never 0.
pub(crate) fn end_seconds(end: Option<Timestamp>) -> u32 {
    end.map_or(0, |end| {
        let seconds = end.as_nanos().div_euclid(1_000_000_000);
        let up = seconds + i64::from(end.as_nanos().rem_euclid(1_000_000_000) > 0);
        u32::try_from(up.max(1)).unwrap_or(u32::MAX)
    })
}

fn now_seconds(now: Timestamp) -> u32 {
    let seconds = now.as_nanos().div_euclid(1_000_000_000).max(0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// What takes up memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rows of all tables.
    pub rows: usize,
    /// Indices into them.
    pub indices: usize,
    /// Contexts, estimated.
    pub contexts: usize,
    /// The overlay, estimated.
    pub overlay: usize,
}

impl Memory {
    /// All of it.
    pub fn total(self) -> usize {
        self.rows + self.indices + self.contexts + self.overlay
    }
}

/// Millions of indicators. Cheap to clone but for the overlay.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub(crate) base: Arc<Base>,
    contexts: Contexts,
    overlay: Overlay,
}

impl Set {
    /// A builder; `seed` is drawn at random for each build (see `docs/spec/intel.md`).
    pub fn builder(seed: u64) -> Builder {
        Builder::new(seed)
    }

    /// Indicators in the base; those of the overlay come and go on top.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.base.len() == 0 && self.overlay.is_empty()
    }

    /// What takes up memory.
    pub fn memory(&self) -> Memory {
        Memory {
            contexts: self.contexts.memory(),
            overlay: self.overlay.memory(),
            ..self.base.memory()
        }
    }

    /// How many indicators lost their labels, document and owner since there were too many different
    /// contexts (1,000,000).
    pub fn plain(&self) -> usize {
        self.contexts.plain()
    }

    /// Adds an indicator. When [`Set::is_due`], merge before adding more.
    ///
    /// # Errors
    /// A value that is not in canonical form.
    pub fn insert(&mut self, indicator: &Indicator) -> Result<(), Refusal> {
        let key = Key::of(indicator.kind, &indicator.value, self.base.seed)?;
        let context = self.contexts.intern(&indicator.context);
        self.overlay.insert(key, Meta { context, expires: end_seconds(indicator.expires) });
        Ok(())
    }

    /// Takes away what `source` says of a value.
    ///
    /// # Errors
    /// A value that is not in canonical form.
    pub fn remove(&mut self, kind: Kind, value: &str, source: &str) -> Result<(), Refusal> {
        let key = Key::of(kind, value, self.base.seed)?;
        let contexts = &self.contexts;
        self.overlay.remove(key, |context| contexts.is_of(context, source));
        self.overlay.hide(key, source);
        Ok(())
    }

    /// Takes away everything `source` says, as when a feed is given up.
    pub fn remove_source(&mut self, source: &str) {
        let contexts = &self.contexts;
        self.overlay.remove_all(|context| contexts.is_of(context, source));
        self.overlay.hide_source(source);
    }

    /// The overlay is full enough to be merged: look-ups stay right, but slow down and take memory.
    pub fn is_due(&self) -> bool {
        self.overlay.len() >= MAX_OVERLAY
    }

    /// A set with the overlay merged in and without what expired before `now`. Old and new base stand
    /// beside each other in memory while it is made.
    #[must_use]
    pub fn merged(&self, now: Timestamp) -> Self {
        let mut builder = Builder::new(self.base.seed);
        builder.reserve(&self.base);
        let now = now_seconds(now);
        // Contexts that nobody uses any more stay behind.
        let mut moved = vec![None; self.contexts.len()];
        let mut put = |key: Key, meta: Meta| {
            let Some(place) = moved.get_mut(meta.context as usize) else { return };
            let context = if let Some(context) = *place {
                context
            } else {
                let Some(context) = self.contexts.get(meta.context) else { return };
                *place.insert(builder.intern(context))
            };
            builder.put(key, Meta { context, ..meta });
        };
        self.base.each_row(&mut |key, meta| {
            if meta.holds_at(now) && !self.hidden(&key, meta) {
                put(key, meta);
            }
        });
        self.overlay.each(&mut |key, meta| {
            if meta.holds_at(now) {
                put(key, meta);
            }
        });
        builder.build()
    }

    /// The snapshot of the base, piece by piece. Merge first: the overlay is not in it.
    pub fn snapshot(&self, write: &mut dyn FnMut(&[u8])) {
        snapshot::write(&self.base, &self.contexts, write);
    }

    /// The set of a snapshot, looked up where it lies: `bytes` may be a file mapped into memory.
    ///
    /// # Errors
    /// What is wrong with it; the way out is to build it anew from the catalog.
    pub fn load(bytes: &Bytes) -> Result<Self, SnapshotError> {
        let (base, contexts) = snapshot::read(bytes)?;
        Ok(Self { base: Arc::new(base), contexts, overlay: Overlay::default() })
    }

    /// What is said of a value of `kind` in its canonical form. Of a domain also what is said of those
    /// above it, of an address also what is said of its networks; of a URL see [`Set::look_up_url`].
    /// A value that is not in canonical form is not found.
    pub fn look_up(&self, kind: Kind, value: &str, now: Timestamp) -> Answer {
        match kind {
            Kind::Domain => self.look_up_domain(value, now),
            Kind::Ipv4 | Kind::Ipv6 => value
                .parse()
                .map_or_else(|_| Answer::default(), |address| self.look_up_address(address, now)),
            Kind::Url => self.look_up_url(value, now),
            _ => {
                let mut answer = Answer::default();
                if let Ok(key) = Key::of(kind, value, self.base.seed) {
                    self.exactly(&key, now, &mut answer);
                }
                answer
            }
        }
    }

    /// What is said of a SHA-256 given as bytes.
    pub fn look_up_sha256(&self, digest: &[u8; 32], now: Timestamp) -> Answer {
        let mut answer = Answer::default();
        self.exactly(&Key::digest(Kind::Sha256, digest), now, &mut answer);
        answer
    }

    /// What is said of an address and its networks, the narrowest first.
    pub fn look_up_address(&self, address: IpAddr, now: Timestamp) -> Answer {
        let mut answer = Answer::default();
        let address = address.to_canonical();
        self.exactly(&Key::address(address), now, &mut answer);
        let seconds = now_seconds(now);
        self.base.networks(address, &mut |key, meta| {
            if meta.holds_at(seconds) && !self.hidden(&key, meta) {
                answer.matches.push(self.met(Kind::Cidr, key.network(), meta));
            }
        });
        for key in self.overlay.networks(address) {
            self.in_overlay(&key, now, &mut answer);
        }
        answer
    }

    /// What is said of a domain and those above it, the longest first. Letters may be of either case.
    pub fn look_up_domain(&self, name: &str, now: Timestamp) -> Answer {
        let mut answer = Answer::default();
        key::suffixes(name, self.base.seed, &mut |key, start| {
            let within = (start > 0).then_some(start);
            let before = answer.matches.len();
            self.exactly(&key, now, &mut answer);
            for one in &mut answer.matches[before..] {
                one.within = within.map(|start| name[start..].to_ascii_lowercase());
            }
        });
        answer.matches.reverse();
        answer
    }

    /// What is said of a URL, and of its host.
    pub fn look_up_url(&self, url: &str, now: Timestamp) -> Answer {
        let mut answer = Answer::default();
        if let Ok(key) = Key::of(Kind::Url, url, self.base.seed) {
            self.exactly(&key, now, &mut answer);
        }
        let after = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = after.split(['/', '?', '#']).next().unwrap_or(after);
        let (name, found) = if let Some(address) = crate::normalise::address(authority) {
            (address.to_string(), self.look_up_address(address, now))
        } else {
            let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
            (name.to_ascii_lowercase(), self.look_up_domain(name, now))
        };
        answer.matches.extend(found.matches.into_iter().map(|mut one| {
            one.within.get_or_insert_with(|| name.clone());
            one
        }));
        answer
    }

    fn exactly(&self, key: &Key, now: Timestamp, answer: &mut Answer) {
        let seconds = now_seconds(now);
        let kind = key.kind();
        self.base.find(key, &mut |meta| {
            if meta.holds_at(seconds) && !self.hidden(key, meta) {
                answer.matches.push(self.met(kind, None, meta));
            }
        });
        if !self.overlay.is_empty() {
            self.in_overlay(key, now, answer);
        }
    }

    fn in_overlay(&self, key: &Key, now: Timestamp, answer: &mut Answer) {
        let seconds = now_seconds(now);
        for meta in self.overlay.find(key) {
            if meta.holds_at(seconds) {
                let found = self.met(key.kind(), key.network(), *meta);
                // The same said again: the later end holds.
                let same = |one: &&mut Match| {
                    one.context == found.context
                        && one.within == found.within
                        && one.kind == found.kind
                };
                match answer.matches.iter_mut().find(same) {
                    Some(known) => {
                        let ends = known.expires.zip(found.expires);
                        known.expires = ends.map(|(one, other)| one.max(other));
                    }
                    None => answer.matches.push(found),
                }
            }
        }
    }

    fn hidden(&self, key: &Key, meta: Meta) -> bool {
        self.overlay.hides()
            && self
                .contexts
                .get(meta.context)
                .is_some_and(|context| self.overlay.is_hidden(key, &context.source))
    }

    fn met(&self, kind: Kind, within: Option<String>, meta: Meta) -> Match {
        Match {
            kind,
            within,
            context: self.contexts.get(meta.context).cloned().unwrap_or_default(),
            expires: (meta.expires > 0)
                .then(|| Timestamp::from_millis(i64::from(meta.expires) * 1000)),
        }
    }

    /// The context at `index`, where there is one.
    pub(crate) fn context(&self, index: u32) -> Option<&Arc<Context>> {
        self.contexts.get(index)
    }
}
