//! What a holder says to its keeper: one datagram each, on its standard input.
//!
//! `b` beat with counts · `d` decision · `r` ready, with the number of mounts · `x` cannot, with why.

use super::Passed;
use super::judge::hook;
use crate::deny::{Decision, DenyList, Disposition, Operations};

/// Longest message, in bytes: a decision with the longest path that is told.
pub(super) const MESSAGE_MAX: usize = 1_024;
/// Longest path or reason, in bytes.
const TEXT_MAX: usize = 768;
/// Bytes of a decision before its path.
const DECISION_BYTES: usize = 80;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It lives.
    Beat(Passed),
    /// So many mounts are gated.
    Ready(u64),
    /// They cannot be, for this reason.
    Refused(String),
    /// An entry, by its number, was met.
    Met(usize, Box<Decision>),
}

impl Message {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(DECISION_BYTES);
        match self {
            Self::Beat(passed) => {
                bytes.push(b'b');
                let Passed { late, shed, too_large, unread, untold, unopened } = *passed;
                for number in [late, shed, too_large, unread, untold, unopened] {
                    bytes.extend(number.to_ne_bytes());
                }
            }
            Self::Ready(mounts) => {
                bytes.push(b'r');
                bytes.extend(mounts.to_ne_bytes());
            }
            Self::Refused(why) => {
                bytes.push(b'x');
                bytes.extend(cut(why));
            }
            Self::Met(entry, decision) => decided(&mut bytes, *entry, decision),
        }
        bytes
    }

    /// Reads one; `None` when it is none. Decisions name entries of `list`.
    pub(super) fn parse(bytes: &[u8], list: &DenyList) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let number = |index: usize| {
            let bytes = rest.get(index * 8..)?.first_chunk()?;
            Some(u64::from_ne_bytes(*bytes))
        };
        Some(match kind {
            b'b' => Self::Beat(Passed {
                late: number(0)?,
                shed: number(1)?,
                too_large: number(2)?,
                unread: number(3)?,
                untold: number(4)?,
                unopened: number(5)?,
            }),
            b'r' => Self::Ready(number(0)?),
            b'x' => Self::Refused(String::from_utf8_lossy(rest).into_owned()),
            b'd' => decision(rest, list)?,
            _ => return None,
        })
    }
}

fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(TEXT_MAX)]
}

fn decided(bytes: &mut Vec<u8>, entry: usize, decision: &Decision) {
    let hash = decision.sha256.as_deref().and_then(unhex);
    let flags = u32::from(decision.disposition == Disposition::Denied)
        | u32::from(decision.operation.contains(Operations::EXEC)) << 1
        | u32::from(hash.is_some()) << 2;
    let (device, inode) = decision.file.unwrap_or_default();
    let entry = u32::try_from(entry).unwrap_or(u32::MAX);
    bytes.push(b'd');
    for number in [decision.time_nanos, decision.start_nanos, device, inode] {
        bytes.extend(number.to_ne_bytes());
    }
    for number in [decision.pid, decision.user_id, entry, flags] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(hash.unwrap_or_default());
    bytes.extend(cut(&decision.object));
}

fn decision(bytes: &[u8], list: &DenyList) -> Option<Message> {
    let (fixed, path) = bytes.split_at_checked(DECISION_BYTES)?;
    let long = |at: usize| Some(u64::from_ne_bytes(*fixed.get(at..)?.first_chunk()?));
    let short = |at: usize| Some(u32::from_ne_bytes(*fixed.get(at..)?.first_chunk()?));
    let (flags, number) = (short(44)?, usize::try_from(short(40)?).ok()?);
    let entry = list.entries().get(number)?.clone();
    let operation = if flags & 2 != 0 { Operations::EXEC } else { Operations::OPEN };
    let denied = flags & 1 != 0;
    let decision = Decision {
        time_nanos: long(0)?,
        start_nanos: long(8)?,
        pid: short(32)?,
        user_id: short(36)?,
        operation,
        disposition: if denied { Disposition::Denied } else { Disposition::WouldDeny },
        subject_kind: entry.subject.kind(),
        entry: Some(entry),
        hook: hook(operation),
        object: String::from_utf8_lossy(path).into_owned(),
        sha256: (flags & 4 != 0).then(|| crate::deny::hex(&fixed[48..])),
        file: Some((long(16)?, long(24)?)),
    };
    Some(Message::Met(number, Box::new(decision)))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_MAX, Message};
    use crate::deny::{Decision, DenyList, Disposition, Entry, Mode, Operations, Subject};
    use crate::gate::Passed;

    #[test]
    fn messages_are_read_as_they_were_said() {
        let mut list = DenyList::default();
        for subject in [Subject::Everything, Subject::Sha256([7; 32])] {
            list.add(Entry { subject, operations: Operations::EXEC, mode: Mode::Deny }).unwrap();
        }
        let decision = Decision {
            time_nanos: 5,
            start_nanos: 30_000_000,
            pid: 4_711,
            user_id: 1_000,
            operation: Operations::EXEC,
            disposition: Disposition::Denied,
            subject_kind: "sha256",
            entry: list.entries().get(1).cloned(),
            hook: "fanotify/open_exec_perm",
            object: "/srv/x".to_owned(),
            sha256: Some("ab".repeat(32)),
            file: Some((45, 12)),
        };
        let passed = Passed { late: 1, shed: 2, too_large: 3, unread: 4, untold: 5, unopened: 6 };
        for message in [
            Message::Beat(passed),
            Message::Ready(2),
            Message::Refused("no".to_owned()),
            Message::Met(1, Box::new(decision)),
        ] {
            let bytes = message.bytes();
            assert!(bytes.len() <= MESSAGE_MAX);
            assert_eq!(Message::parse(&bytes, &list), Some(message));
        }
        let long = Message::Refused("é".repeat(2_000)).bytes();
        assert!(long.len() <= MESSAGE_MAX && Message::parse(&long, &list).is_some());
        assert_eq!(Message::parse(b"", &list), None);
        assert_eq!(Message::parse(b"d123", &list), None);
    }
}
