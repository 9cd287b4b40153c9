//! What the kernel says of a decision (`struct denial` of `bpf/deny.h`), and what becomes of it.

use std::net::{IpAddr, Ipv6Addr};

use metsuke_event::Denial;

use super::image::stat_device;
use super::list::{Entry, Operations, hex};

/// Size of the struct.
pub(super) const RECORD_BYTES: usize = 376;

/// What became of the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It was allowed, for the entry only observes.
    WouldDeny,
    /// It was refused with `EPERM`.
    Denied,
    /// The process was ended before its first instruction.
    Killed,
}

impl Disposition {
    /// As in the field `denial.disposition`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WouldDeny => "would_deny",
            Self::Denied => "denied",
            Self::Killed => "killed",
        }
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When, in nanoseconds since boot.
    pub time_nanos: u64,
    /// Who: process id.
    pub pid: u32,
    /// Who: start, in nanoseconds since boot; 0 when it is not known.
    pub start_nanos: u64,
    /// User id.
    pub user_id: u32,
    /// What was to be done.
    pub operation: Operations,
    /// What became of it.
    pub disposition: Disposition,
    /// Kind of the entry that met it.
    pub subject_kind: &'static str,
    /// The entry that met it; `None` when it has left the list meanwhile.
    pub entry: Option<Entry>,
    /// The hook.
    pub hook: &'static str,
    /// File, destination, module or process it was about; empty when it has no name.
    pub object: String,
    /// Hash of the file it was about, or of the program that acted.
    pub sha256: Option<String>,
    /// (device, inode) of that file.
    pub file: Option<(u64, u64)>,
}

impl Decision {
    /// As the entity of an activity.
    pub fn denial(&self) -> Denial {
        Denial {
            operation: self.operation.names().next().map(Into::into),
            disposition: Some(self.disposition.name().into()),
            subject_type: Some(self.subject_kind.into()),
            subject: self.entry.as_ref().map(|entry| entry.subject.to_string().into()),
            hook: Some(self.hook.into()),
            object: Some(self.object.as_str()).filter(|text| !text.is_empty()).map(Into::into),
            sha256: self.sha256.as_deref().map(Into::into),
            operations: Some(1),
        }
    }
}

const HOOKS: [&str; 15] = [
    "unknown",
    "lsm/bprm_check_security",
    "lsm/mmap_file",
    "lsm/file_open",
    "lsm/socket_connect",
    "lsm/socket_sendmsg",
    "lsm/kernel_read_file",
    "lsm/kernel_module_request",
    "lsm/kernel_load_data",
    "lsm/ptrace_access_check",
    "lsm/bpf",
    "tp_btf/sched_process_exec",
    "cgroup/connect",
    "cgroup/sendmsg",
    "lsm/file_mprotect",
];

const SUBJECTS: [&str; 10] = [
    "unknown",
    "everything",
    "sha256",
    "inode",
    "path",
    "destination",
    "memfd",
    "unknown_copy",
    "module",
    "anonymous",
];

/// Reads one record; `None` when it is none. `entries` are those of the `generation`th list.
pub(super) fn parse(bytes: &[u8], entries: &[Entry], generation: u16) -> Option<Decision> {
    let bytes: &[u8; RECORD_BYTES] = bytes.first_chunk()?;
    let at = |offset: usize| bytes.get(offset).copied().unwrap_or_default();
    let u64_at = |offset| number::<8>(bytes, offset).map_or(0, u64::from_ne_bytes);
    let u32_at = |offset| number::<4>(bytes, offset).map_or(0, u32::from_ne_bytes);
    let u16_at = |offset| number::<2>(bytes, offset).map_or(0, u16::from_ne_bytes);
    let disposition = match at(49) {
        1 => Disposition::WouldDeny,
        2 => Disposition::Denied,
        3 => Disposition::Killed,
        _ => return None,
    };
    let operation = Operations(u16_at(44));
    let named = text(&bytes[116..372]);
    let object = match (operation, u32_at(40)) {
        (Operations::CONNECT, _) => destination(number::<16>(bytes, 52)?, u16_at(46)),
        (Operations::PTRACE, target) => format!("{target} {named}"),
        _ => named,
    };
    let hashed = at(51) != 0;
    let inode = u64_at(16);
    Some(Decision {
        time_nanos: u64_at(0),
        start_nanos: u64_at(8),
        pid: u32_at(24),
        user_id: u32_at(28),
        operation,
        disposition,
        subject_kind: SUBJECTS.get(usize::from(at(48))).copied().unwrap_or("unknown"),
        entry: (u32_at(32) >> 16 == u32::from(generation))
            .then(|| entries.get(usize::from(u16_at(32))).cloned())
            .flatten(),
        hook: HOOKS.get(usize::from(at(50))).copied().unwrap_or("unknown"),
        object,
        sha256: hashed.then(|| hex(&bytes[68..100])),
        file: (inode != 0).then(|| (stat_device(u32_at(36)), inode)),
    })
}

fn number<const SIZE: usize>(bytes: &[u8], offset: usize) -> Option<[u8; SIZE]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn destination(address: [u8; 16], port: u16) -> String {
    let address = IpAddr::V6(Ipv6Addr::from(address)).to_canonical();
    std::net::SocketAddr::new(address, port).to_string()
}
