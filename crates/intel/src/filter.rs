//! The compact filter for sensors: "surely not" or "perhaps", which the server confirms.
//!
//! A binary fuse filter (Graf, Lemire: Binary Fuse Filters, 2022) with fingerprints of 16 bits, and
//! the networks as they are. Format: `docs/spec/intel.md`. Sensors need no context: what is perhaps
//! bad is asked of the server.

use std::net::IpAddr;

use bytes::Bytes;
use metsuke_event::Timestamp;

use crate::indicator::{Action, Kind};
use crate::set::key::{Key, suffixes};
use crate::set::{Nets, Set, V4, V6};

mod fuse;

pub use fuse::{Fuse, FuseError};

const MAGIC: &[u8; 8] = b"MTKSIFT1";
const VERSION: u32 = 1;
/// Bytes before the fingerprints.
const HEAD: usize = 56;

/// Why a filter is refused.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It begins with something else.
    #[error("is no filter of indicators; ask the server for it again")]
    Foreign,
    /// A newer server wrote it.
    #[error("is a filter of version {0}, this program reads {VERSION}; update the sensor")]
    Version(u32),
    /// It ends too early, or was changed.
    #[error("is damaged ({0}); ask the server for it again")]
    Damaged(&'static str),
}

/// The filter a sensor holds.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    seed: u64,
    fuse: Fuse,
    net4: Nets<V4>,
    net6: Nets<V6>,
}

impl Filter {
    /// The filter of everything in the base of `set` that is in force at `now` and not an allow entry.
    /// Merge the set first. Needs about 40 bytes a key while it is made.
    ///
    /// # Errors
    /// No filter could be made, which random seeds make as good as impossible.
    pub fn of(set: &Set, now: Timestamp) -> Result<Self, FuseError> {
        let seconds = u32::try_from(now.as_millis().max(0) / 1000).unwrap_or(u32::MAX);
        let mut keys = Vec::with_capacity(set.len());
        let (mut net4, mut net6) = (Vec::new(), Vec::new());
        set.base.each_row(&mut |key, meta| {
            let allow =
                set.context(meta.context).is_some_and(|context| context.action == Action::Allow);
            if allow || !meta.holds_at(seconds) {
                return;
            }
            match key {
                Key::Net4(first, length) => net4.push((first, length)),
                Key::Net6(first, length) => net6.push((first, length)),
                _ => keys.extend(key.sift()),
            }
        });
        Ok(Self {
            seed: set.base.seed,
            fuse: Fuse::new(keys, set.base.seed)?,
            net4: Nets::new(outermost(&net4)).unwrap_or_default(),
            net6: Nets::new(outermost(&net6)).unwrap_or_default(),
        })
    }

    /// Whether something may be said of a value of `kind` in its canonical form.
    pub fn may_hold(&self, kind: Kind, value: &str) -> bool {
        match kind {
            Kind::Domain => self.may_hold_domain(value),
            Kind::Ipv4 | Kind::Ipv6 => {
                value.parse().is_ok_and(|address| self.may_hold_address(address))
            }
            Kind::Url => self.may_hold_url(value),
            _ => self.may_hold_itself(kind, value),
        }
    }

    fn may_hold_itself(&self, kind: Kind, value: &str) -> bool {
        Key::of(kind, value, self.seed).is_ok_and(|key| self.has(&key))
    }

    /// Whether something may be said of a URL or its host.
    fn may_hold_url(&self, url: &str) -> bool {
        let (begin, end) = crate::set::host_of(url);
        let host = &url[begin..end];
        self.may_hold_itself(Kind::Url, url)
            || match host.trim_matches(['[', ']']).parse() {
                Ok(address) => self.may_hold_address(address),
                Err(_) => self.may_hold_domain(host),
            }
    }

    /// Whether something may be said of a SHA-256 given as bytes.
    pub fn may_hold_sha256(&self, digest: &[u8; 32]) -> bool {
        self.has(&Key::digest(Kind::Sha256, digest))
    }

    /// Whether something may be said of an address or its networks.
    pub fn may_hold_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.has(&Key::address(address)) {
            return true;
        }
        let mut found = false;
        match address {
            IpAddr::V4(v4) => self.net4.find(&v4.octets(), |_, _, _| found = true),
            IpAddr::V6(v6) => self.net6.find(&v6.octets(), |_, _, _| found = true),
        }
        found
    }

    /// Whether something may be said of a domain or those above it.
    pub fn may_hold_domain(&self, name: &str) -> bool {
        let mut found = false;
        suffixes(name, self.seed, |key, _| found = found || self.has(&key));
        found
    }

    fn has(&self, key: &Key) -> bool {
        key.sift().is_some_and(|key| self.fuse.has(key))
    }

    /// What it takes in memory, in bytes.
    pub fn memory(&self) -> usize {
        let nets = |rows: &Bytes, index: usize| rows.len() + index;
        self.fuse.memory()
            + nets(self.net4.rows(), self.net4.index_bytes())
            + nets(self.net6.rows(), self.net6.index_bytes())
    }

    /// The filter as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.fuse.memory());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        self.fuse.write_head(&mut bytes);
        for count in [self.net4.len(), self.net6.len()] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.fuse.write_prints(&mut bytes);
        self.net4.each(&mut |first, length, _| {
            bytes.extend_from_slice(&first);
            bytes.push(length);
        });
        self.net6.each(&mut |first, length, _| {
            bytes.extend_from_slice(&first);
            bytes.push(length);
        });
        let checksum = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The filter of `bytes`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FilterError> {
        const SHORT: FilterError = FilterError::Damaged("it ends too early");
        let number = |at: usize| {
            let part = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
            part.map(u32::from_le_bytes).ok_or(SHORT)
        };
        if !bytes.starts_with(MAGIC) {
            return Err(FilterError::Foreign);
        }
        let version = number(8)?;
        if version != VERSION {
            return Err(FilterError::Version(version));
        }
        if crc32fast::hash(bytes.get(16..).ok_or(SHORT)?) != number(12)? {
            return Err(FilterError::Damaged("its checksum"));
        }
        let head: &[u8; HEAD] = bytes.first_chunk().ok_or(SHORT)?;
        let seed = u64::from(number(16)?) | u64::from(number(20)?) << 32;
        let (fuse, used) = Fuse::read(&head[24..48], &bytes[HEAD..])
            .ok_or(FilterError::Damaged("its fingerprints"))?;
        let rest = &bytes[HEAD + used..];
        let (net4, net6) = (number(48)? as usize, number(52)? as usize);
        let middle = net4.checked_mul(V4 + 1).filter(|end| *end <= rest.len()).ok_or(SHORT)?;
        let (rows4, rows6) = rest.split_at(middle);
        if net6.checked_mul(V6 + 1) != Some(rows6.len()) {
            return Err(SHORT);
        }
        let order = || FilterError::Damaged("its networks");
        Ok(Self {
            seed,
            fuse,
            net4: Nets::new(padded(rows4, V4 + 1)).ok_or_else(order)?,
            net6: Nets::new(padded(rows6, V6 + 1)).ok_or_else(order)?,
        })
    }
}

/// Rows of networks, sorted, without those that lie inside others.
fn outermost<const A: usize>(nets: &[([u8; A], u8)]) -> Bytes {
    let mut nets = nets.to_vec();
    nets.sort_unstable();
    let mut rows = Vec::new();
    let mut around: Option<([u8; A], u8)> = None;
    for (first, length) in nets {
        let inside = around.is_some_and(|(outer, bits)| crate::set::holds(&outer, bits, &first));
        if !inside {
            rows.extend_from_slice(&first);
            rows.push(length);
            around = Some((first, length));
        }
    }
    padded(&rows, A + 1)
}

/// Rows of addresses and prefixes with nothing said of them.
fn padded(rows: &[u8], width: usize) -> Bytes {
    rows.chunks_exact(width).flat_map(|row| row.iter().copied().chain([0; 8])).collect()
}
