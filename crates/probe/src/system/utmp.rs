//! Records of wtmp and btmp (utmp(5), the layout of glibc on 64-bit Linux).
//!
//! Pure. Invariant: whatever the bytes, records or nothing, never a panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of one record.
pub(super) const RECORD: usize = 384;

const USER_PROCESS: i16 = 7;
const DEAD_PROCESS: i16 = 8;
const LOGIN_PROCESS: i16 = 6;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Somebody works at the terminal.
    Began,
    /// Nobody does any more.
    Ended,
    /// Somebody tries to.
    Asked,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) pid: u32,
    pub(super) line: String,
    pub(super) user: String,
    pub(super) host: String,
    pub(super) address: Option<IpAddr>,
}

/// The records in `bytes` that tell of users; half a record at the end is passed over.
pub(super) fn entries(bytes: &[u8]) -> Vec<Entry> {
    bytes.chunks_exact(RECORD).filter_map(entry).collect()
}

fn entry(record: &[u8]) -> Option<Entry> {
    let kind = i16::from_ne_bytes(record.get(..2)?.try_into().ok()?);
    let state = match kind {
        USER_PROCESS => State::Began,
        DEAD_PROCESS => State::Ended,
        LOGIN_PROCESS => State::Asked,
        _ => return None,
    };
    let text = |from: usize, length: usize| {
        let bytes = record.get(from..from + length).unwrap_or_default();
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let address: [u8; 16] = record.get(348..364)?.try_into().ok()?;
    Some(Entry {
        state,
        pid: u32::from_ne_bytes(record.get(4..8)?.try_into().ok()?),
        line: text(8, 32),
        user: text(44, 32),
        host: text(76, 256),
        address: ip(address),
    })
}

/// An IPv4 address stands in the first four bytes alone.
fn ip(bytes: [u8; 16]) -> Option<IpAddr> {
    if bytes == [0; 16] {
        return None;
    }
    if bytes[4..] == [0; 12] {
        return Some(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into());
    }
    Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{Entry, RECORD, State, entries};

    #[test]
    fn records() {
        let mut bytes = vec![0_u8; RECORD];
        bytes[..2].copy_from_slice(&7_i16.to_ne_bytes());
        bytes[4..8].copy_from_slice(&4242_u32.to_ne_bytes());
        bytes[8..13].copy_from_slice(b"pts/3");
        bytes[44..47].copy_from_slice(b"bob");
        bytes[76..80].copy_from_slice(b"host");
        bytes[348..352].copy_from_slice(&[192, 0, 2, 7]);
        let expected = Entry {
            state: State::Began,
            pid: 4242,
            line: "pts/3".to_owned(),
            user: "bob".to_owned(),
            host: "host".to_owned(),
            address: Some([192, 0, 2, 7].into()),
        };
        assert_eq!(entries(&bytes), [expected]);
        bytes[0] = 2;
        assert!(entries(&bytes).is_empty(), "a boot is none of a user");
        for length in 0..RECORD {
            assert!(entries(&vec![0xff; length]).is_empty());
        }
        let _ = entries(&vec![7; RECORD * 3]);
    }
}
