//! Records that found no room in the kernel's queue: counted there by kind, told here by kind.
//!
//! Invariant: every kind of record has a kind of activity, or is counted as of unknown kind: because
//! it becomes one of several, or none.

use std::sync::Arc;

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use metsuke_event::{Kind, Tally, Timestamp};

use super::record::kind;
use crate::emit::Notice;
use crate::host;
use crate::stats::add;
use crate::world::World;

/// Kinds of records counted by the kernel (`RECORD_KINDS` of `bpf/records.h`).
const KINDS: u16 = 128;

/// Losses are read this often, in nanoseconds.
const LOSS_NANOS: u64 = 1_000_000_000;

pub(super) struct Lost {
    map: Arc<MapHandle>,
    /// Of each kind of record, what was told.
    seen: [u64; KINDS as usize],
    since: Timestamp,
    next: u64,
}

impl Lost {
    pub(super) fn new(map: Arc<MapHandle>) -> Self {
        Self { map, seen: [0; KINDS as usize], since: host::now(), next: 0 }
    }

    /// Whether losses are to be read again.
    pub(super) fn is_due(&mut self, now: u64) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + LOSS_NANOS;
        }
        due
    }

    /// When they were read last.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// Tells how many records found no room since the last time.
    pub(super) fn tell(&mut self, world: &mut World) {
        let mut lost = Tally::default();
        for (record, seen) in (0..KINDS).zip(&mut self.seen) {
            let counts = self.map.lookup_percpu(&u32::from(record).to_ne_bytes(), MapFlags::ANY);
            let total =
                counts.ok().flatten().unwrap_or_default().iter().fold(0_u64, |sum, count| {
                    let count =
                        count.first_chunk::<8>().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
                    sum.saturating_add(count)
                });
            lost.add(activity(record), total.saturating_sub(*seen));
            *seen = total.max(*seen);
        }
        let now = host::now();
        if !lost.is_empty() {
            add(&world.counters.kernel_lost, lost.total());
            world.emitter.notice(Notice {
                part: "probe.kernel_queue",
                reason: "queue_full",
                lost: Some(lost),
                from: self.since,
                to: now,
                detail: None,
            });
        }
        self.since = now;
    }
}

/// The activity that is missing without a record; `None` when it depends on more than the record's
/// kind (`BPF`), or when none is: `MOVED` and `GROUP` say where processes are, `CLOSE` and
/// `DATAGRAMS_END` only make others be told sooner. Of a DNS question and its answer either may be
/// missing.
fn activity(record: u16) -> Option<Kind> {
    Some(match record {
        kind::FORK => Kind::ProcessFork,
        kind::EXEC => Kind::ProcessExec,
        kind::EXIT => Kind::ProcessExit,
        kind::IDENTITY => Kind::ProcessSetUser,
        kind::RENAMED => Kind::ProcessRename,
        kind::NAMESPACE => Kind::ProcessNamespace,
        kind::CREATE | kind::LINK => Kind::FileCreate,
        kind::WRITE | kind::TRUNCATE => Kind::FileModify,
        kind::READ => Kind::FileRead,
        kind::DELETE => Kind::FileDelete,
        kind::RENAME | kind::EXCHANGE => Kind::FileRename,
        kind::HARD_LINK | kind::SYMLINK => Kind::FileLink,
        kind::MODE..=kind::FLAGS => Kind::FileAttributes,
        kind::MOUNT => Kind::FileMount,
        kind::UNMOUNT => Kind::FileUnmount,
        kind::RAW_ACCESS => Kind::FileRawAccess,
        kind::CONNECT | kind::UNIX => Kind::NetworkConnect,
        kind::ACCEPT => Kind::NetworkAccept,
        kind::LISTEN => Kind::NetworkListen,
        kind::BIND => Kind::NetworkBind,
        kind::RAW_SOCKET => Kind::NetworkRaw,
        // Datagrams are told when they are over, by what their first one left behind.
        kind::FLOW_END | kind::DATAGRAMS => Kind::NetworkClose,
        kind::GREETING => Kind::TlsHello,
        kind::DNS | kind::STREAM => Kind::DnsQuery,
        kind::MODULE_LOAD => Kind::ModuleLoad,
        kind::MODULE_UNLOAD => Kind::ModuleUnload,
        kind::ACCESS => Kind::ProcessAccess,
        kind::INJECT => Kind::ProcessInject,
        kind::SIGNAL => Kind::ProcessSignal,
        kind::MAP => Kind::MemoryMap,
        kind::PROTECT => Kind::MemoryProtect,
        kind::MEMORY_FILE => Kind::MemoryFile,
        kind::IMAGE => Kind::ImageLoad,
        kind::KEXEC => Kind::KernelExec,
        kind::RING => Kind::KernelRing,
        kind::SETTING => Kind::KernelSetting,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use metsuke_event::Kind;

    use super::activity;

    /// The kinds of records that `bpf/records.h` names, by name and number.
    fn named() -> Vec<(&'static str, u16)> {
        let text = include_str!("../../../../bpf/records.h");
        let enumeration =
            text.split_once("enum record_kind {").unwrap().1.split_once('}').unwrap().0;
        let parts = enumeration.lines().filter_map(|line| {
            let (name, number) = line.trim().strip_prefix("RECORD_")?.split_once(" = ")?;
            Some((name, number.trim_end_matches(',').parse().unwrap()))
        });
        parts.filter(|(name, _)| *name != "KINDS").collect()
    }

    #[test]
    fn each_record_that_the_kernel_counts_has_its_activity_or_is_known_to_have_none() {
        let named = named();
        assert!(named.len() > 50, "{named:?}");
        let without: Vec<_> = named
            .iter()
            .filter(|(_, number)| activity(*number).is_none())
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(without, ["MOVED", "GROUP", "CLOSE", "BPF", "DATAGRAMS_END"]);
        let of = |name| activity(named.iter().find(|(known, _)| *known == name).unwrap().1);
        assert_eq!(of("XATTR_REMOVED"), Some(Kind::FileAttributes));
        assert_eq!(of("HARD_LINK"), Some(Kind::FileLink));
    }
}
