//! What a question is answered with: scope, content, list.
//!
//! Invariant: what cannot be said for sure is allowed.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::group::{Question, boot_nanos};
use super::{GateSpec, OwnProcess, Passed};
use crate::deny::{Decision, Disposition, Mode, Operations, Subject};
use crate::host::{self, Seen};

/// Largest file that is hashed, in bytes; as in the kernel's programs.
const HASH_MAX_BYTES: u64 = 64 << 20;
/// Read in pieces of this many bytes.
const PIECE: usize = 128 << 10;
/// Contents remembered, of some 100 bytes each.
const KNOWN_MAX: usize = 4_096;
/// Kernels before 6.13 stamp files with the last timer tick: two changes within one look alike.
const TICKS: Duration = Duration::from_millis(20);

/// Processes' starts are told in ticks of this many nanoseconds (`USER_HZ`).
const TICK_NANOS: u64 = 10_000_000;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        let changed = (meta.ctime(), meta.ctime_nsec());
        Self { device: meta.dev(), inode: meta.ino(), changed, size: meta.len() }
    }

    fn is_settled(&self) -> bool {
        let seconds = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or(0));
        let nanos = Duration::from_nanos(u64::try_from(self.changed.1).unwrap_or(0));
        let changed = SystemTime::UNIX_EPOCH + seconds + nanos;
        SystemTime::now().duration_since(changed).is_ok_and(|age| age > TICKS)
    }
}

/// What to answer.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Yes, and nothing to be told.
    Pass,
    /// It has to be read first.
    Unread,
    /// The number of the entry that met it, and what is to be told when it was so answered.
    Met(usize, Box<Decision>),
}

/// Counters, as [`Passed`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) late: AtomicU64,
    pub(super) shed: AtomicU64,
    pub(super) untold: AtomicU64,
    pub(super) unopened: AtomicU64,
    too_large: AtomicU64,
    unread: AtomicU64,
}

impl Counters {
    pub(super) fn passed(&self) -> Passed {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Passed {
            late: of(&self.late),
            shed: of(&self.shed),
            too_large: of(&self.too_large),
            unread: of(&self.unread),
            untold: of(&self.untold),
            unopened: of(&self.unopened),
        }
    }
}

/// The judge; all threads of a holder share it.
#[derive(Debug)]
pub(super) struct Judge {
    spec: GateSpec,
    /// Operations for which content is asked.
    by_content: Operations,
    known: Mutex<HashMap<Identity, [u8; 32]>>,
    pub(super) counters: Counters,
}

impl Judge {
    pub(super) fn new(spec: GateSpec) -> Self {
        let content = spec
            .list
            .entries()
            .iter()
            .filter(|entry| matches!(entry.subject, Subject::Sha256(_) | Subject::UnknownCopy));
        let by_content =
            content.fold(Operations::default(), |all, entry| all.and(entry.operations));
        Self { spec, by_content, known: Mutex::default(), counters: Counters::default() }
    }

    /// What can be said at once.
    pub(super) fn quick(&self, question: &Question) -> Verdict {
        if question.pid == std::process::id() || self.is_own(question.pid) {
            return Verdict::Pass;
        }
        if !self.spec.scope.contains(host::cgroup(question.pid).as_deref()) {
            return Verdict::Pass;
        }
        let Ok(meta) = question.file.metadata() else { return Verdict::Pass };
        if !meta.is_file() {
            return Verdict::Pass;
        }
        if !self.by_content.contains(question.operation) {
            return self.weigh(question, &meta, None);
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&Identity::of(&meta)).copied() {
            Some(hash) => self.weigh(question, &meta, Some(hash)),
            None => Verdict::Unread,
        }
    }

    /// What can be said once it was read.
    pub(super) fn thorough(&self, question: &Question) -> Verdict {
        let Ok(meta) = question.file.metadata() else { return Verdict::Pass };
        let hash = if meta.len() > HASH_MAX_BYTES {
            self.counters.too_large.fetch_add(1, Ordering::Relaxed);
            None
        } else {
            self.read(&question.file, &meta)
        };
        self.weigh(question, &meta, hash)
    }

    /// One of the sensor's own: its list must not stop it.
    fn is_own(&self, pid: u32) -> bool {
        let own = |pid| self.spec.own.iter().any(|own: &OwnProcess| own.is(pid));
        own(pid) || Seen::look(pid).is_some_and(|seen| seen.parent != 1 && own(seen.parent))
    }

    fn read(&self, file: &File, meta: &Metadata) -> Option<[u8; 32]> {
        let identity = Identity::of(meta);
        let after = |hash| Some((hash, Identity::of(&file.metadata().ok()?)));
        match digest(file, identity.size).ok().flatten().and_then(after) {
            Some((hash, after)) if after == identity => {
                if identity.is_settled() {
                    let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                    if known.len() >= KNOWN_MAX {
                        known.clear();
                    }
                    known.insert(identity, hash);
                }
                Some(hash)
            }
            _ => {
                self.counters.unread.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn weigh(&self, question: &Question, meta: &Metadata, hash: Option<[u8; 32]>) -> Verdict {
        let (operation, id) = (question.operation, (meta.dev(), meta.ino()));
        let path = path_of(&question.file);
        let judged = self.spec.list.judge_file(operation, hash.as_ref(), &path, id);
        let Some((number, mode)) = judged else { return Verdict::Pass };
        let Some(entry) = self.spec.list.entries().get(number).cloned() else {
            return Verdict::Pass;
        };
        let user_id =
            fs::metadata(format!("/proc/{}", question.pid)).map_or(0, |process| process.uid());
        let decision = Decision {
            time_nanos: boot_nanos(),
            // It stands still while it waits, so this is the one that asked.
            start_nanos: Seen::look(question.pid).map_or(0, |seen| seen.start_ticks * TICK_NANOS),
            pid: question.pid,
            user_id,
            operation,
            disposition: match mode {
                Mode::Deny => Disposition::Denied,
                Mode::Observe => Disposition::WouldDeny,
            },
            subject_kind: entry.subject.kind(),
            entry: Some(entry),
            hook: hook(operation),
            object: path.to_string_lossy().into_owned(),
            sha256: hash.map(|hash| crate::deny::hex(&hash)),
            file: Some(id),
        };
        Verdict::Met(number, Box::new(decision))
    }
}

/// The name of the hook for `operation`.
pub(super) const fn hook(operation: Operations) -> &'static str {
    if operation.contains(Operations::EXEC) {
        "fanotify/open_exec_perm"
    } else {
        "fanotify/open_perm"
    }
}

/// Its path as this process sees the mount.
fn path_of(file: &File) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default()
}

/// `None` when it is not `size` bytes long.
fn digest(file: &File, size: u64) -> io::Result<Option<[u8; 32]>> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let count = file.read_at(&mut piece, at)?;
        if count == 0 {
            return Ok((at == size).then(|| digest.finalize().into()));
        }
        at += count as u64;
        if at > size {
            return Ok(None);
        }
        digest.update(&piece[..count]);
    }
}
