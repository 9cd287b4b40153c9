//! The records of `bpf/crossview.bpf.c`, read from bytes. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Nanoseconds of a clock tick of `/proc/PID/stat`.
const TICK: u64 = 10_000_000;

/// Bytes of `struct record_task`.
pub(crate) const TASK: usize = 120;
/// Bytes of `struct record_socket`.
pub(crate) const SOCKET: usize = 96;
/// Bytes of `struct record_object`.
pub(crate) const OBJECT: usize = 32;
/// Bytes of `struct record_module`.
pub(crate) const MODULE: usize = 56;

/// A thread-group leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    pub(crate) cgroup: u64,
    pub(crate) name: String,
    /// Last part of the executable's path; empty for the kernel's own.
    pub(crate) exe: String,
    pub(crate) is_kernel: bool,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) inode: u64,
    pub(crate) cgroup: u64,
    pub(crate) start_ticks: u64,
    pub(crate) netns: u32,
    pub(crate) pid: u32,
    pub(crate) family: i32,
    pub(crate) kind: i32,
    pub(crate) protocol: i32,
    pub(crate) state: u16,
    pub(crate) local: Option<(IpAddr, u16)>,
    pub(crate) name: String,
}

/// A BPF program, map or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) id: u32,
    pub(crate) kind: u32,
    pub(crate) name: String,
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|part| part.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

/// Up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

pub(crate) fn task(bytes: &[u8; TASK]) -> Task {
    Task {
        start_ticks: u64_at(bytes, 0) / TICK,
        cgroup: u64_at(bytes, 8),
        pid: u32_at(bytes, 24),
        is_kernel: u32_at(bytes, 32) != 0,
        name: text(&bytes[40..56]),
        exe: text(&bytes[56..120]),
    }
}

pub(crate) fn socket(bytes: &[u8; SOCKET]) -> Socket {
    let family = i32::from(u16_at(bytes, 32));
    let address: [u8; 16] = std::array::from_fn(|n| bytes[48 + n]);
    let port = u16_at(bytes, 40);
    let local = match family {
        libc::AF_INET => {
            let [a, b, c, d, ..] = address;
            Some((IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
        }
        libc::AF_INET6 => Some((IpAddr::V6(Ipv6Addr::from(address)), port)),
        _ => None,
    };
    Socket {
        inode: u64_at(bytes, 0),
        cgroup: u64_at(bytes, 8),
        start_ticks: u64_at(bytes, 16) / TICK,
        netns: u32_at(bytes, 24),
        pid: u32_at(bytes, 28),
        family,
        kind: i32::from(u16_at(bytes, 34)),
        protocol: i32::from(u16_at(bytes, 36)),
        state: u16_at(bytes, 38),
        local,
        name: text(&bytes[80..96]),
    }
}

pub(crate) fn object(bytes: &[u8; OBJECT]) -> Object {
    Object { id: u32_at(bytes, 0), kind: u32_at(bytes, 4), name: text(&bytes[16..32]) }
}

pub(crate) fn module(bytes: &[u8; MODULE]) -> String {
    text(bytes)
}

#[cfg(test)]
mod tests {
    use super::{SOCKET, socket};

    #[test]
    fn a_socket_record_is_read() {
        let mut bytes = [0; SOCKET];
        bytes[..8].copy_from_slice(&77_u64.to_ne_bytes());
        bytes[24..28].copy_from_slice(&4_026_u32.to_ne_bytes());
        bytes[32..34].copy_from_slice(&2_u16.to_ne_bytes());
        bytes[38..40].copy_from_slice(&10_u16.to_ne_bytes());
        bytes[40..42].copy_from_slice(&4_444_u16.to_ne_bytes());
        bytes[48..52].copy_from_slice(&[127, 0, 0, 1]);
        bytes[80..82].copy_from_slice(b"nc");
        let read = socket(&bytes);
        assert_eq!((read.inode, read.netns, read.state), (77, 4_026, 10));
        assert_eq!(read.local, Some(("127.0.0.1".parse().unwrap(), 4_444)));
        assert_eq!(read.name, "nc");
    }
}
