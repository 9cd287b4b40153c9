//! Keys: what a value becomes in a table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Within, hash};
use crate::indicator::Kind;
use crate::normalise::{self, Refusal};

/// Which table, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// 16 bytes: digests and IPv6 addresses.
    Wide(Kind, [u8; 16]),
    /// 8 bytes: hashes of texts.
    Narrow(Kind, [u8; 8]),
    /// An IPv4 address.
    V4([u8; 4]),
    /// A network of IPv4: first address, prefix.
    Net4([u8; 4], u8),
    /// A network of IPv6.
    Net6([u8; 16], u8),
}

impl Key {
    /// The key of a value in canonical form.
    pub(crate) fn of(kind: Kind, value: &str, seed: u64) -> Result<Self, Refusal> {
        let wrong = || Refusal::Form {
            kind,
            value: normalise::shown(value),
            expected: "its canonical form",
        };
        match kind {
            Kind::Sha256 | Kind::Sha1 | Kind::Md5 | Kind::Ja3 | Kind::Certificate => {
                let digits = value.as_bytes();
                let length = match kind {
                    Kind::Sha256 => digits.len() == 64,
                    Kind::Sha1 => digits.len() == 40,
                    Kind::Certificate => [64, 40, 32].contains(&digits.len()),
                    _ => digits.len() == 32,
                };
                let mut digest = [0; 16];
                let lead = digits.get(..32).filter(|_| length).ok_or_else(wrong)?;
                hex::decode_to_slice(lead, &mut digest).map_err(|_| wrong())?;
                Ok(Self::Wide(kind, digest))
            }
            Kind::Ipv4 | Kind::Ipv6 => {
                let address: IpAddr = value.parse().map_err(|_| wrong())?;
                Ok(Self::address(address.to_canonical()))
            }
            Kind::Cidr => match normalise::network(value).ok_or_else(wrong)? {
                (IpAddr::V4(first), length) => Ok(Self::Net4(first.octets(), length)),
                (IpAddr::V6(first), length) => Ok(Self::Net6(first.octets(), length)),
            },
            Kind::Domain => {
                let mut found = None;
                suffixes(value, seed, |key, start| {
                    if start == 0 {
                        found = Some(key);
                    }
                });
                found.ok_or_else(wrong)
            }
            Kind::Url | Kind::Path | Kind::Ja4 | Kind::Name | Kind::Email => {
                Ok(Self::Narrow(kind, hash::text(seed, value.as_bytes()).to_be_bytes()))
            }
        }
    }

    /// The key of a digest of at least 16 bytes.
    pub(crate) fn digest(kind: Kind, digest: &[u8; 32]) -> Self {
        let mut lead = [0; 16];
        lead.copy_from_slice(&digest[..16]);
        Self::Wide(kind, lead)
    }

    pub(crate) fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => Self::Wide(Kind::Ipv6, v6.octets()),
        }
    }

    /// The kind of indicator that has this key.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Wide(kind, _) | Self::Narrow(kind, _) => *kind,
            Self::V4(_) => Kind::Ipv4,
            Self::Net4(..) | Self::Net6(..) => Kind::Cidr,
        }
    }

    /// Of a network: what it is to an address in it.
    pub(crate) fn within(&self) -> Within {
        match self {
            Self::Net4(first, length) => Within::Network(Ipv4Addr::from(*first).into(), *length),
            Self::Net6(first, length) => Within::Network(Ipv6Addr::from(*first).into(), *length),
            _ => Within::Itself,
        }
    }

    /// The filter's key; `None` for networks, which a filter lists.
    pub(crate) fn sift(&self) -> Option<u64> {
        let (first, second) = match self {
            Self::Wide(_, bytes) => (word(&bytes[..8]), word(&bytes[8..])),
            Self::Narrow(_, bytes) => (u64::from_be_bytes(*bytes), 0),
            Self::V4(bytes) => (u64::from(u32::from_be_bytes(*bytes)), 0),
            Self::Net4(..) | Self::Net6(..) => return None,
        };
        let table = u64::from(self.kind() as u8).wrapping_mul(hash::K1);
        Some(hash::mix(first ^ table, second ^ hash::K2))
    }
}

/// Up to 8 bytes as a big-endian number.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Longest name that is walked, in bytes; longer ones are none (RFC 1035).
const MAX_NAME_BYTES: usize = 253;

/// Gives the key and the start of every suffix of `name` with two labels or more, shortest first.
/// Letters of either case are the same. Names that no domain has give nothing.
#[inline]
pub(crate) fn suffixes(name: &str, seed: u64, mut each: impl FnMut(Key, usize)) {
    let bytes = name.as_bytes();
    if bytes.len() > MAX_NAME_BYTES || bytes.is_empty() {
        return;
    }
    // Nearly all names come in lower case and are read where they lie.
    let mut copy = [0_u8; MAX_NAME_BYTES];
    let lower = if bytes.iter().any(u8::is_ascii_uppercase) {
        let copy = &mut copy[..bytes.len()];
        copy.copy_from_slice(bytes);
        copy.make_ascii_lowercase();
        &*copy
    } else {
        bytes
    };
    let mut state = seed;
    let mut end = lower.len();
    let mut labels = 0;
    loop {
        let start = memchr::memrchr(b'.', &lower[..end]).map_or(0, |dot| dot + 1);
        if start == end {
            return;
        }
        state = hash::label(state, seed, &lower[start..end]);
        labels += 1;
        if labels >= 2 {
            each(Key::Narrow(Kind::Domain, hash::domain(state).to_be_bytes()), start);
        }
        if start == 0 {
            return;
        }
        end = start - 1;
    }
}
