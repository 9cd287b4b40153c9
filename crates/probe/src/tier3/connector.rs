//! The kernel's process event connector (`connector/cn_proc`, `linux/cn_proc.h`).
//!
//! Invariant: whatever the socket gives is an event or `None`, never a panic.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Bytes the kernel may queue for us: about 60,000 events.
const QUEUE_BYTES: libc::c_int = 8 << 20;

/// Events read in one round, so that other sources get their turn.
const ROUND: usize = 8192;

const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const LISTEN: u32 = 1;

/// `AF_NETLINK` and `NLMSG_DONE` in the widths of the structures they stand in.
const NETLINK_FAMILY: libc::sa_family_t = 16;
const NLMSG_DONE: u16 = 3;

/// A netlink header, a connector header, and where the event begins.
const NETLINK_HEADER: usize = 16;
const CONNECTOR_HEADER: usize = 20;

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Fork { parent: u32, child: u32 },
    Exec { pid: u32 },
    Exit { pid: u32, status: u32 },
}

/// What one round of reading found.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Each with its time: nanoseconds since boot, suspension excluded.
    pub(super) events: Vec<(u64, Happened)>,
    /// The kernel's queue overflowed: an unknown number of events is lost.
    pub(super) overflowed: Option<()>,
}

#[derive(Debug)]
pub(super) struct Connector {
    socket: OwnedFd,
}

impl Connector {
    /// Subscribes.
    pub(super) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: plain system call; the result is checked before use.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_nl is plain data for which all zeroes is a value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = NETLINK_FAMILY;
        address.nl_groups = CN_IDX_PROC;
        // SAFETY: `address` is a valid sockaddr_nl of the length given, for the whole call.
        let bound = unsafe {
            libc::bind(fd, (&raw const address).cast(), length_of::<libc::sockaddr_nl>())
        };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        let queue = QUEUE_BYTES;
        // SAFETY: the option's value is a c_int that outlives the call. A refusal leaves a smaller
        // queue, whose overflow is counted.
        let _ = unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const queue).cast(),
                length_of::<libc::c_int>(),
            )
        };
        let connector = Self { socket };
        connector.subscribe()?;
        Ok(connector)
    }

    fn subscribe(&self) -> io::Result<()> {
        let length = NETLINK_HEADER + CONNECTOR_HEADER + 4;
        let mut message = Vec::with_capacity(length);
        message.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
        message.extend(NLMSG_DONE.to_ne_bytes());
        message.extend(0_u16.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(std::process::id().to_ne_bytes());
        message.extend(CN_IDX_PROC.to_ne_bytes());
        message.extend(CN_VAL_PROC.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(4_u16.to_ne_bytes());
        message.extend(0_u16.to_ne_bytes());
        message.extend(LISTEN.to_ne_bytes());
        // SAFETY: `message` is a buffer of the length given, for the whole call.
        let sent = unsafe {
            libc::send(self.socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits until an event is queued, or `longest` is over.
    pub(super) fn wait(&self, longest: Duration) {
        let mut fd = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = i32::try_from(longest.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: `fd` is one valid pollfd that outlives the call, with our open descriptor. An
        // error (a signal) only ends the wait early.
        let _ = unsafe { libc::poll(&raw mut fd, 1, timeout) };
    }

    /// Reads what is queued.
    pub(super) fn round(&self) -> Round {
        let mut round = Round::default();
        let mut bytes = [0_u8; 4096];
        for _ in 0..ROUND {
            // SAFETY: `bytes` is a writable buffer of the length given, for the whole call.
            let got = unsafe {
                libc::recv(self.socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0)
            };
            match usize::try_from(got) {
                Ok(length) => round.events.extend(parse(&bytes[..length])),
                Err(_) => match io::Error::last_os_error().raw_os_error() {
                    Some(libc::ENOBUFS) => round.overflowed = Some(()),
                    Some(libc::EINTR) => {}
                    _ => break,
                },
            }
        }
        round
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

/// Reads one message; only events of whole processes are wanted, none of threads.
fn parse(bytes: &[u8]) -> Option<(u64, Happened)> {
    let word = |at: usize| {
        let at = NETLINK_HEADER + CONNECTOR_HEADER + at;
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    // struct proc_event: what, cpu, timestamp (8 bytes), then the event's own fields.
    let what = word(0)?;
    let field = |index: usize| word(16 + index * 4);
    let time = u64::from(word(8)?) | u64::from(word(12)?) << 32;
    let happened = match what {
        0x1 => {
            let (parent, child, thread) = (field(1)?, field(3)?, field(2)?);
            (child == thread).then_some(Happened::Fork { parent, child })
        }
        0x2 => Some(Happened::Exec { pid: field(1)? }),
        0x8000_0000 => {
            let (thread, pid, status) = (field(0)?, field(1)?, field(2)?);
            (thread == pid).then_some(Happened::Exit { pid, status })
        }
        _ => None,
    };
    happened.map(|happened| (time, happened))
}

#[cfg(test)]
mod tests {
    use super::{Happened, parse};

    #[test]
    fn reads_whole_processes_only() {
        let message = |what: u32, fields: [u32; 4]| {
            let mut bytes = vec![0; 36];
            bytes.extend(what.to_ne_bytes());
            bytes.extend([0; 12]);
            bytes.extend(fields.iter().flat_map(|field| field.to_ne_bytes()));
            bytes
        };
        for (what, fields, expected) in [
            (1, [5, 6, 9, 9], Some(Happened::Fork { parent: 6, child: 9 })),
            (1, [5, 6, 10, 9], None),
            (2, [9, 9, 0, 0], Some(Happened::Exec { pid: 9 })),
            (0x8000_0000, [9, 9, 256, 17], Some(Happened::Exit { pid: 9, status: 256 })),
            (0x8000_0000, [10, 9, 0, 0], None),
            (4, [9, 9, 0, 0], None),
        ] {
            let found = parse(&message(what, fields)).map(|(_, happened)| happened);
            assert_eq!(found, expected, "{what} {fields:?}");
        }
        for length in 0..60 {
            let _ = parse(&message(1, [1; 4])[..length.min(52)]);
        }
    }
}
