//! `sock_diag(7)`: the sockets of the calling thread's namespace by netlink, as `ss` asks.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{ESTABLISHED, LISTEN};

const NETLINK_SOCK_DIAG: libc::c_int = 4;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`.
const HEAD: usize = 16;
/// Bytes of one answer; the kernel fills at most 32 KiB (`netlink_dump`).
const ANSWER: usize = 64 * 1_024;
/// Answers to one question at most, 16 GiB of them: a kernel that goes on is broken.
const MAX_ANSWERS: usize = 262_144;
/// How long the kernel may take to answer.
static PATIENCE: libc::timeval = libc::timeval { tv_sec: 10, tv_usec: 0 };

/// What is asked for.
#[derive(Clone, Copy)]
struct Question {
    family: i32,
    protocol: i32,
    kind: &'static str,
}

const QUESTIONS: [Question; 5] = [
    Question { family: libc::AF_INET, protocol: libc::IPPROTO_TCP, kind: "tcp" },
    Question { family: libc::AF_INET6, protocol: libc::IPPROTO_TCP, kind: "tcp" },
    Question { family: libc::AF_INET, protocol: libc::IPPROTO_UDP, kind: "udp" },
    Question { family: libc::AF_INET6, protocol: libc::IPPROTO_UDP, kind: "udp" },
    Question { family: libc::AF_UNIX, protocol: 0, kind: "unix" },
];

/// Every socket, as identities.
pub(super) fn dump() -> io::Result<Vec<String>> {
    let socket = open()?;
    let mut ids = Vec::new();
    for question in QUESTIONS {
        ask(&socket, question, &mut ids)?;
    }
    Ok(ids)
}

fn open() -> io::Result<OwnedFd> {
    // SAFETY: plain system calls; the descriptor is new and ours alone; `PATIENCE` is a valid
    // timeval whose true size is given.
    unsafe {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let fd = libc::socket(libc::AF_NETLINK, kind, NETLINK_SOCK_DIAG);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let size = libc::socklen_t::try_from(size_of::<libc::timeval>()).unwrap_or(0);
        let set = libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const PATIENCE).cast(),
            size,
        );
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(socket)
    }
}

/// `struct inet_diag_req_v2` or `struct unix_diag_req`, behind its header.
fn request(question: Question) -> Vec<u8> {
    let [family, ..] = question.family.to_ne_bytes();
    let [protocol, ..] = question.protocol.to_ne_bytes();
    let mut body = vec![family, protocol, 0, 0];
    body.extend(u32::MAX.to_ne_bytes());
    // The rest is zero: addresses and ports of all; for Unix inode, attributes and cookie.
    body.resize(if question.family == libc::AF_UNIX { 24 } else { 56 }, 0);
    let length = u32::try_from(HEAD + body.len()).unwrap_or(0);
    let mut message = Vec::with_capacity(HEAD + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

fn ask(socket: &OwnedFd, question: Question, ids: &mut Vec<String>) -> io::Result<()> {
    let message = request(question);
    // SAFETY: the message outlives the call and its true length is given.
    let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut answer = vec![0_u8; ANSWER];
    for _ in 0..MAX_ANSWERS {
        // SAFETY: the buffer outlives the call and its true length is given.
        let length =
            unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
        let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
        if take(&answer[..length.min(ANSWER)], question.kind, ids)? {
            return Ok(());
        }
    }
    Err(io::Error::other("the kernel's answer has no end"))
}

/// Takes the messages of one answer; true at the end of all.
fn take(mut answer: &[u8], kind: &str, ids: &mut Vec<String>) -> io::Result<bool> {
    while answer.len() >= HEAD {
        let length = number(answer, 0);
        let length = usize::try_from(length).unwrap_or(0);
        if length < HEAD || length > answer.len() {
            return Err(io::Error::other("a broken netlink message"));
        }
        let (message, body) = (u16::from_ne_bytes([answer[4], answer[5]]), &answer[HEAD..length]);
        match message {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = number(body, 0).cast_signed().saturating_neg();
                return Err(io::Error::from_raw_os_error(code));
            }
            _ => ids.extend(identity(body, kind)),
        }
        answer = &answer[length.next_multiple_of(4).min(answer.len())..];
    }
    Ok(false)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// `struct inet_diag_msg` (inode at 68) or `struct unix_diag_msg` (inode at 4).
fn identity(body: &[u8], kind: &str) -> Option<String> {
    if kind == "unix" {
        let inode = number(body, 4);
        return (inode != 0).then(|| format!("unix:{inode}"));
    }
    let inode = number(body, 68);
    let kind = match (kind, u16::from(*body.get(1)?)) {
        ("tcp", LISTEN) => "listen",
        ("tcp", ESTABLISHED) => "tcp",
        ("tcp", _) => return None,
        (other, _) => other,
    };
    (inode != 0).then(|| format!("{kind}:{inode}"))
}

#[cfg(test)]
mod tests {
    use super::{HEAD, NLMSG_DONE, dump, take};

    #[test]
    fn a_listening_socket_of_this_process_is_diagnosed() {
        use std::os::fd::AsRawFd as _;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inode = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        match dump() {
            Ok(ids) => assert!(ids.contains(&format!("listen:{inode}")), "{inode}: {ids:?}"),
            Err(error) => eprintln!(
                "NOT RUN: a_listening_socket_of_this_process_is_diagnosed: no sock_diag: {error}"
            ),
        }
    }

    #[test]
    fn broken_answers_are_refused_and_the_end_is_seen() {
        let mut ids = Vec::new();
        assert!(take(&[255; HEAD], "tcp", &mut ids).is_err());
        let mut done = [0; HEAD];
        done[0] = 16;
        done[4..6].copy_from_slice(&NLMSG_DONE.to_ne_bytes());
        assert!(take(&done, "tcp", &mut ids).unwrap());
        assert!(ids.is_empty());
    }
}
