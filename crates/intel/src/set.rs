//! The matching structure: millions of indicators, one look-up a value.
//!
//! A [`Set`] is a base (sorted rows, immutable, shared) and an overlay (what came or went since). A
//! look-up gives everything that is said of a value and in force; allow wins. Layout:
//! `docs/spec/intel.md`.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::Timestamp;
use smallvec::SmallVec;

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
use table::BATCH;

/// The indicator of a [`Match`], beside the value that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// The value itself.
    Itself,
    /// A part of the value, from byte to byte: the domain above, the host of a URL.
    Part(usize, usize),
    /// A network: its first address and the length of its prefix.
    Network(IpAddr, u8),
}

/// One thing that is said of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// Kind of the indicator: a URL's host may meet a domain, an address a network.
    pub kind: Kind,
    /// The indicator beside the value that was asked for.
    pub within: Within,
    /// Who says what.
    pub context: &'a Arc<Context>,
    /// Seconds since 1970; 0: never.
    ends: u32,
}

impl Match<'_> {
    /// The indicator's value; `seen` is the value that was asked for.
    pub fn value(&self, seen: &str) -> String {
        match self.within {
            Within::Itself => seen.to_owned(),
            Within::Part(start, end) => seen.get(start..end).unwrap_or(seen).to_ascii_lowercase(),
            Within::Network(first, length) => format!("{first}/{length}"),
        }
    }

    /// Until when it holds, to the second; unset: until it is taken away.
    pub fn expires(&self) -> Option<Timestamp> {
        (self.ends > 0).then(|| Timestamp::from_millis(i64::from(self.ends) * 1000))
    }
}

/// Everything that is said of a value, and in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What every source says; the closest first (a domain before the domain above it).
    pub matches: SmallVec<[Match<'a>; 1]>,
}

impl Answer<'_> {
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
        // 0 becomes the latest of all. No branch: whether a row ends is as good as random, and a branch
        // that has to wait for the row would hold up the look-ups after it.
        self.expires.wrapping_sub(1) >= now
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

/// Where the host of a URL stands, from byte to byte, without a port.
pub(crate) fn host_of(url: &str) -> (usize, usize) {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |at| begin + at);
    let authority = &url[begin..end];
    let bracket = authority.starts_with('[');
    let port = if bracket { authority.rfind("]:").map(|at| at + 1) } else { authority.rfind(':') };
    (begin, port.map_or(end, |at| begin + at))
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
    pub fn look_up(&self, kind: Kind, value: &str, now: Timestamp) -> Answer<'_> {
        match kind {
            Kind::Domain => self.look_up_domain(value, now),
            Kind::Ipv4 | Kind::Ipv6 => value
                .parse()
                .map_or_else(|_| Answer::default(), |address| self.look_up_address(address, now)),
            Kind::Url => self.look_up_url(value, now),
            _ => {
                let mut answer = Answer::default();
                if let Ok(key) = Key::of(kind, value, self.base.seed) {
                    self.exactly(&key, Within::Itself, now, &mut answer);
                }
                answer
            }
        }
    }

    /// What is said of a SHA-256 given as bytes.
    pub fn look_up_sha256(&self, digest: &[u8; 32], now: Timestamp) -> Answer<'_> {
        let mut answer = Answer::default();
        self.exactly(&Key::digest(Kind::Sha256, digest), Within::Itself, now, &mut answer);
        answer
    }

    /// What is said of many SHA-256, as of an inventory: gives each about which something is said, with
    /// its place in `digests`. Quicker than one by one.
    pub fn look_up_many_sha256<'a>(
        &'a self,
        digests: &[[u8; 32]],
        now: Timestamp,
        mut each: impl FnMut(usize, Answer<'a>),
    ) {
        for (part, digests) in digests.chunks(BATCH).enumerate() {
            let mut keys = [[0; 16]; BATCH];
            for (key, digest) in keys.iter_mut().zip(digests) {
                key.copy_from_slice(&digest[..16]);
            }
            self.base.wide[base::slot(Kind::Sha256)].warm(&keys[..digests.len()]);
            for (place, digest) in digests.iter().enumerate() {
                let answer = self.look_up_sha256(digest, now);
                if !answer.is_empty() {
                    each(part * BATCH + place, answer);
                }
            }
        }
    }

    /// What is said of an address and its networks, the narrowest first.
    pub fn look_up_address(&self, address: IpAddr, now: Timestamp) -> Answer<'_> {
        let mut answer = Answer::default();
        let address = address.to_canonical();
        self.exactly(&Key::address(address), Within::Itself, now, &mut answer);
        let seconds = now_seconds(now);
        self.base.networks(address, |key, meta| {
            if meta.holds_at(seconds) && !self.hidden(&key, meta) {
                self.met(Kind::Cidr, key.within(), meta, &mut answer);
            }
        });
        if !self.overlay.is_empty() {
            for key in self.overlay.networks(address) {
                self.in_overlay(&key, key.within(), seconds, &mut answer);
            }
        }
        answer
    }

    /// What is said of a domain and those above it, the longest first. Letters may be of either case.
    pub fn look_up_domain(&self, name: &str, now: Timestamp) -> Answer<'_> {
        let mut answer = Answer::default();
        key::suffixes(name, self.base.seed, |key, start| {
            let within = if start > 0 { Within::Part(start, name.len()) } else { Within::Itself };
            self.exactly(&key, within, now, &mut answer);
        });
        answer.matches.reverse();
        answer
    }

    /// What is said of a URL, and of its host.
    pub fn look_up_url(&self, url: &str, now: Timestamp) -> Answer<'_> {
        let mut answer = Answer::default();
        if let Ok(key) = Key::of(Kind::Url, url, self.base.seed) {
            self.exactly(&key, Within::Itself, now, &mut answer);
        }
        let (begin, end) = host_of(url);
        let host = &url[begin..end];
        let bracket = host.starts_with('[');
        let bare = host.trim_matches(['[', ']']);
        let found = match bare.parse() {
            Ok(address) => self.look_up_address(address, now),
            Err(_) => self.look_up_domain(host, now),
        };
        answer.matches.extend(found.matches.into_iter().map(|mut one| {
            one.within = match one.within {
                Within::Itself if bracket => Within::Part(begin + 1, end - 1),
                Within::Itself => Within::Part(begin, end),
                Within::Part(start, _) => Within::Part(begin + start, end),
                network @ Within::Network(..) => network,
            };
            one
        }));
        answer
    }

    #[inline]
    fn exactly<'a>(&'a self, key: &Key, within: Within, now: Timestamp, answer: &mut Answer<'a>) {
        let seconds = now_seconds(now);
        self.base.find(key, |meta| {
            if meta.holds_at(seconds) && !self.hidden(key, meta) {
                self.met(key.kind(), within, meta, answer);
            }
        });
        if !self.overlay.is_empty() {
            self.in_overlay(key, within, seconds, answer);
        }
    }

    fn in_overlay<'a>(&'a self, key: &Key, within: Within, now: u32, answer: &mut Answer<'a>) {
        for meta in self.overlay.find(key) {
            let Some(context) = self.contexts.get(meta.context).filter(|_| meta.holds_at(now))
            else {
                continue;
            };
            // The same said again: the later end holds.
            let same = |one: &&mut Match<'_>| {
                one.context == context && one.within == within && one.kind == key.kind()
            };
            match answer.matches.iter_mut().find(same) {
                Some(known) if known.ends == 0 || meta.expires == 0 => known.ends = 0,
                Some(known) => known.ends = known.ends.max(meta.expires),
                None => self.met(key.kind(), within, *meta, answer),
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

    #[inline]
    fn met<'a>(&'a self, kind: Kind, within: Within, meta: Meta, answer: &mut Answer<'a>) {
        // Every row's context is there: a builder put it, or a snapshot was checked for it.
        if let Some(context) = self.contexts.get(meta.context) {
            answer.matches.push(Match { kind, within, context, ends: meta.expires });
        }
    }

    /// The context at `index`, where there is one.
    pub(crate) fn context(&self, index: u32) -> Option<&Arc<Context>> {
        self.contexts.get(index)
    }
}
