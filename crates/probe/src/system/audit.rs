//! User messages of the audit subsystem, by its multicast group for readers (`AUDIT_NLGRP_READLOG`,
//! Linux 3.16): PAM, sshd and login say there who logged on.
//!
//! Invariant: only listened to; no setting of the subsystem is ever changed. Whatever the socket
//! gives is a message or `None`, never a panic.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Messages read in one round, so that other sources get their turn.
const ROUND: usize = 1_024;

/// Bytes the kernel may queue for us: some thousand messages.
const QUEUE_BYTES: libc::c_int = 1 << 20;

const NETLINK_AUDIT: libc::c_int = 9;
const GROUP_READLOG: libc::c_int = 1;
const NETLINK_HEADER: usize = 16;

/// Types of messages (linux/audit.h) that tell of logons.
const USER_AUTH: u16 = 1100;
const USER_ACCT: u16 = 1101;
const USER_START: u16 = 1105;
const USER_END: u16 = 1106;
const USER_ERR: u16 = 1109;
const USER_LOGIN: u16 = 1112;
const USER_LOGOUT: u16 = 1113;

/// What a message says became of a logon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Began,
    Ended,
    Failed,
}

/// On whose behalf a message was sent: one logon is often told by both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teller {
    /// libpam, of the call it was asked for.
    Pam,
    /// The program that logs users on, of the logon as a whole.
    Program,
}

/// A message about a logon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) said: Said,
    pub(super) teller: Teller,
    pub(super) pid: u32,
    pub(super) user: Option<String>,
    pub(super) session: Option<u64>,
    pub(super) program: Option<String>,
    pub(super) address: Option<IpAddr>,
    pub(super) host: Option<String>,
    pub(super) terminal: Option<String>,
    pub(super) operation: Option<String>,
}

/// A reader of the audit subsystem's messages.
#[derive(Debug)]
pub(super) struct Audit(OwnedFd);

/// What one round of reading found.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) messages: Vec<Message>,
    /// The kernel's queue overflowed: an unknown number is lost.
    pub(super) overflowed: Option<()>,
}

impl Audit {
    /// Joins the readers' group.
    pub(super) fn open() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: plain system call; the result is checked before use.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, NETLINK_AUDIT) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        let audit = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        // Only what users say (types 1024 to 1279): the second byte of the header's type is 4. The
        // rest, records of system calls, is dropped in the kernel.
        let load_type = libc::sock_filter { code: 0x30, jt: 0, jf: 0, k: 5 };
        let is_user = libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: 4 };
        let accept = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: u32::MAX };
        let drop = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
        let mut program = [load_type, is_user, accept, drop];
        let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
        audit.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)?;
        // A refusal leaves a smaller queue, whose overflow is counted.
        let _ = audit.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &QUEUE_BYTES);
        audit.bind()?;
        audit.set(libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, &GROUP_READLOG)?;
        Ok(audit)
    }

    /// Takes an address of its own. A socket without one has the kernel's, and the kernel sends
    /// nothing to the group that it takes for its own sender (`do_one_broadcast`).
    fn bind(&self) -> io::Result<()> {
        // SAFETY: all zero is a valid address: the kernel chooses, and no group is joined.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
        let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
        // SAFETY: an address of the length given that outlives the call.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn set<T>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        // SAFETY: `value` is plain data of the length given and outlives the call.
        let result = unsafe {
            libc::setsockopt(self.0.as_raw_fd(), level, name, (&raw const *value).cast(), length)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads what is queued.
    pub(super) fn round(&self) -> Round {
        let mut round = Round::default();
        let mut bytes = [0_u8; 9_000];
        for _ in 0..ROUND {
            // SAFETY: `bytes` is a writable buffer of the length given, for the whole call.
            let got = unsafe {
                libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0)
            };
            match usize::try_from(got) {
                Ok(length) => round.messages.extend(message(&bytes[..length])),
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

fn message(bytes: &[u8]) -> Option<Message> {
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let text = String::from_utf8_lossy(bytes.get(NETLINK_HEADER..)?);
    parse(kind, text.trim_end_matches('\0'))
}

/// `audit(TIME:SERIAL): pid=… uid=… auid=… ses=… msg='op=… acct="…" exe="…" …res=success'`.
fn parse(kind: u16, text: &str) -> Option<Message> {
    let (outer, inner) = text.split_once("msg='").unwrap_or((text, ""));
    let inner = inner.trim_end_matches('\'');
    let field = |name: &str| value(inner, name).or_else(|| value(outer, name));
    let failed = match field("res").as_deref() {
        Some("success" | "1" | "yes") => false,
        Some("failed" | "0" | "no") => true,
        _ => return None,
    };
    let said = match (kind, failed) {
        (USER_START | USER_LOGIN, false) => Said::Began,
        (USER_END | USER_LOGOUT, false) => Said::Ended,
        (USER_AUTH | USER_ACCT | USER_LOGIN | USER_ERR, true) => Said::Failed,
        _ => return None,
    };
    let teller = match kind {
        USER_LOGIN | USER_LOGOUT => Teller::Program,
        _ => Teller::Pam,
    };
    let known = |name: &str| field(name).filter(|text| text != "?" && text != "(unknown)");
    let user = known("acct").or_else(|| known("id").map(|id| format!("uid {id}")));
    let address = known("addr").and_then(|text| text.parse::<IpAddr>().ok());
    Some(Message {
        said,
        teller,
        pid: field("pid")?.parse().ok()?,
        user,
        session: field("ses")?.parse::<u32>().ok().filter(|id| *id != u32::MAX).map(u64::from),
        program: known("exe"),
        address: address.map(|address| address.to_canonical()),
        host: known("hostname").filter(|name| name.parse::<IpAddr>().is_err()),
        terminal: known("terminal"),
        operation: known("op"),
    })
}

/// The value of `name=`: in quotes, or as it stands; names of users with odd characters come as
/// hexadecimal digits without quotes.
fn value(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let at = rest.find(name)?;
        let starts = at == 0 || rest.as_bytes().get(at - 1) == Some(&b' ');
        let after = &rest[at + name.len()..];
        match after.strip_prefix('=') {
            Some(value) if starts => {
                if let Some(quoted) = value.strip_prefix('"') {
                    return Some(quoted.split('"').next()?.to_owned());
                }
                let plain = value.split(' ').next()?;
                return Some(if name == "acct" { unhex(plain) } else { plain.to_owned() });
            }
            _ => rest = after,
        }
    }
}

fn unhex(text: &str) -> String {
    let digits = !text.is_empty() && text.len().is_multiple_of(2);
    if !digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return text.to_owned();
    }
    let pairs = (0..text.len()).step_by(2).map_while(|at| text.get(at..at + 2));
    let bytes: Vec<u8> = pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Said, Teller, USER_AUTH, USER_END, USER_LOGIN, USER_START, message, parse};

    #[test]
    fn messages() {
        let text = |inner: &str| {
            format!("audit(1.2:3): pid=77 uid=0 auid=1000 ses=4 subj=? msg='{inner}'")
        };
        let inner = "op=PAM:session_open grantors=pam_unix acct=\"bob\" exe=\"/usr/bin/su\" \
                     hostname=? addr=? terminal=pts/0 res=success";
        let found = parse(USER_START, &text(inner)).unwrap();
        assert_eq!((found.said, found.pid, found.session), (Said::Began, 77, Some(4)));
        assert_eq!(found.user.as_deref(), Some("bob"));
        assert_eq!(found.program.as_deref(), Some("/usr/bin/su"));
        assert_eq!(found.terminal.as_deref(), Some("pts/0"));
        assert_eq!((found.address, found.host), (None, None));
        assert_eq!(parse(USER_END, &text(inner)).unwrap().said, Said::Ended);
        assert_eq!(parse(1103, &text(inner)), None, "credentials are no logon");
        let inner = "op=login acct=28756E6B6E6F776E207573657229 exe=\"/usr/sbin/sshd\" \
                     hostname=h.example addr=192.0.2.1 terminal=ssh res=failed";
        let found = parse(USER_LOGIN, &text(inner)).unwrap();
        assert_eq!((found.said, found.teller), (Said::Failed, Teller::Program));
        assert_eq!(found.user.as_deref(), Some("(unknown user)"));
        assert_eq!(found.address, Some([192, 0, 2, 1].into()));
        assert_eq!(found.host.as_deref(), Some("h.example"));
        let found = parse(USER_AUTH, &text(inner)).unwrap();
        assert_eq!((found.said, found.teller), (Said::Failed, Teller::Pam));
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        let mut bytes = vec![0_u8; 20];
        bytes[4..6].copy_from_slice(&1112_u16.to_ne_bytes());
        for tail in ["", "msg='", "acct=", "ses=ses=ses=", "res=failed pid=x ses=1", "é=\"\"é"] {
            let mut whole = bytes.clone();
            whole.extend(tail.as_bytes());
            for length in 0..whole.len() {
                let _ = message(&whole[..length]);
            }
        }
    }
}
