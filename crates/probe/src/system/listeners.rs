//! What is listened to beside the tiers: calls of libpam and readline (uprobes), and user messages
//! of the audit subsystem.
//!
//! Invariant: works, or says why not, whatever the tier in force; nothing here is needed by others.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

use libbpf_rs::{Link, MapCore, MapFlags, Object, RingBuffer, RingBufferBuilder, UprobeOpts};
use metsuke_event::coverage::{HookTrial, Outcome, Tier};
use metsuke_event::{Kind, Tally, Timestamp};

use crate::cgroups::Bounds;
use crate::config::{ProbeConfig, Watcher};
use crate::coverage::hook;
use crate::emit::Notice;
use crate::host;
use crate::system::audit::{self, Audit, Message};
use crate::tier2::{built, explain, open, quiet};
use crate::world::World;

static LIBRARIES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libraries.bpf.o"));

/// Where distributions keep libpam.
const PAM: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/libpam.so.0",
    "/lib/x86_64-linux-gnu/libpam.so.0",
    "/usr/lib64/libpam.so.0",
    "/lib64/libpam.so.0",
    "/usr/lib/libpam.so.0",
];

/// What reads lines by readline: shells that hold it, and the library for the rest.
const READLINE: [&str; 6] = [
    "/usr/bin/bash",
    "/bin/bash",
    "/usr/local/bin/bash",
    "/usr/lib/x86_64-linux-gnu/libreadline.so.8",
    "/lib/x86_64-linux-gnu/libreadline.so.8",
    "/usr/lib64/libreadline.so.8",
];

/// Functions of libpam, with the programs of `libraries.bpf.c` for their call.
const CALLS: [(&str, &str); 4] = [
    ("pam_authenticate", "on_authenticate"),
    ("pam_acct_mgmt", "on_account"),
    ("pam_open_session", "on_open"),
    ("pam_close_session", "on_close"),
];

/// Copies of libraries and shells watched at most: those of containers.
const MAX_COPIES: usize = 64;

/// Bytes of a record's head, and of its texts (`struct record_logon`).
const HEAD: usize = 32;
const TEXTS: [usize; 5] = [64, 64, 128, 64, 64];

/// Losses are told this often, in nanoseconds.
const TELL_NANOS: u64 = 1_000_000_000;

/// Which function of libpam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Authenticate,
    Account,
    Open,
    Close,
}

/// A call of libpam that has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PamCall {
    pub(super) call: Call,
    pub(super) result: i32,
    pub(super) service: String,
    pub(super) user: String,
    pub(super) remote_host: String,
    pub(super) remote_user: String,
    pub(super) terminal: String,
}

/// What was heard of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Pam(PamCall),
    Line(String),
    Audit(Message),
}

/// A copy of libpam or of a shell that a process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) pid: u64,
    pub(super) path: String,
    pub(super) pam: bool,
}

/// What each call of a library is told as, by its number (`CALL_…` of `bpf/libraries.bpf.c`). How
/// authentication and the account's look went decides what they are.
const TOLD_AS: [Option<Kind>; 6] =
    [None, None, None, Some(Kind::UserLogon), Some(Kind::UserLogoff), Some(Kind::ScriptExecute)];

struct Libraries {
    object: Object,
    links: Vec<Link>,
    queue: RingBuffer<'static>,
    records: Arc<Mutex<Vec<Vec<u8>>>>,
    copies: HashSet<(u64, u64)>,
    /// Of each call, how many were told as lost.
    lost: [u64; TOLD_AS.len()],
}

/// What is listened to.
pub(crate) struct Listeners {
    libraries: Option<Libraries>,
    audit: Option<Audit>,
    /// Messages whose process never became known, while the whole host is watched.
    unattributed: u64,
    since: Timestamp,
    tell_at: u64,
}

/// What was heard and is not told yet.
#[derive(Default)]
pub(crate) struct Taken {
    records: Vec<Vec<u8>>,
    audit: audit::Round,
}

impl Listeners {
    /// Opens what the configuration asks for; the trials tell each one's outcome.
    pub(crate) fn open(config: &ProbeConfig, bounds: &Bounds) -> (Self, Vec<HookTrial>) {
        let mut trials = Vec::new();
        let wants = |watcher| config.watchers.contains(&watcher);
        let mut libraries = None;
        if wants(Watcher::Logons) || wants(Watcher::Prompts) {
            match Libraries::load(bounds) {
                Ok(mut loaded) => {
                    if wants(Watcher::Logons) {
                        let outcome = told(loaded.watch_first(&PAM, true));
                        trials.push(hook(Tier::Tracing, "uprobe/libpam", "logons", outcome));
                    }
                    if wants(Watcher::Prompts) {
                        let outcome = told(loaded.watch_first(&READLINE, false));
                        let purpose = "lines typed at a prompt";
                        trials.push(hook(Tier::Tracing, "uretprobe/readline", purpose, outcome));
                    }
                    libraries = Some(loaded);
                }
                Err(reason) => {
                    let purpose = "logons by libpam, lines typed at a prompt";
                    trials.push(hook(
                        Tier::Tracing,
                        "uprobe",
                        purpose,
                        Outcome::Refused { reason },
                    ));
                }
            }
        }
        let audit = wants(Watcher::Logons).then(Audit::open);
        if let Some(audit) = &audit {
            let outcome = match audit {
                Ok(_) => Outcome::Works,
                Err(error) => {
                    Outcome::Refused { reason: format!("{error}; it needs root (CAP_AUDIT_READ)") }
                }
            };
            let purpose = "logons that programs tell the audit subsystem";
            trials.push(hook(Tier::Interfaces, "audit multicast", purpose, outcome));
        }
        let audit = audit.and_then(Result::ok);
        let since = host::now();
        (Self { libraries, audit, unattributed: 0, since, tell_at: 0 }, trials)
    }

    /// Takes what was heard. To be told after the tier was drained: a process is heard of once it
    /// runs, so what the tier knows of it is then known, also when it has ended by now.
    pub(crate) fn take(&mut self) -> Taken {
        Taken {
            records: self.libraries.as_mut().map(Libraries::take).unwrap_or_default(),
            audit: self.audit.as_ref().map(Audit::round).unwrap_or_default(),
        }
    }

    /// Tells what was taken, and watches copies that turned up.
    pub(crate) fn tell(&mut self, world: &mut World, taken: Taken) {
        if let Some(libraries) = &mut self.libraries {
            for copy in world.system.copies() {
                libraries.watch_copy(&copy);
            }
        }
        for record in taken.records {
            if let Some((pid, start, time, heard)) = parse(&record) {
                world.hear(pid, Some(start), time, &heard);
            }
        }
        for message in taken.audit.messages {
            let known = world.hear(message.pid, None, host::since_boot(), &Heard::Audit(message));
            // Else it may be of a process out of scope.
            if !known && world.bounds.prefix.is_empty() {
                self.unattributed += 1;
            }
        }
        if taken.audit.overflowed.is_some() {
            let (from, to) = (self.since, host::now());
            let (part, reason) = ("probe.audit", "queue_full");
            world.emitter.notice(Notice { part, reason, from, to, ..Notice::default() });
        }
        let now = host::since_boot();
        if now >= self.tell_at {
            self.tell_at = now + TELL_NANOS;
            self.tell_lost(world);
        }
    }

    fn tell_lost(&mut self, world: &mut World) {
        let (from, to) = (self.since, host::now());
        self.since = to;
        let unattributed = std::mem::take(&mut self.unattributed);
        if unattributed > 0 {
            let (part, reason, lost) = ("probe.audit", "gone", Some(Tally::unknown(unattributed)));
            world.emitter.notice(Notice { part, reason, lost, from, to, detail: None });
        }
        let Some(libraries) = &mut self.libraries else { return };
        let lost = libraries.newly_lost();
        if !lost.is_empty() {
            let (part, reason) = ("probe.libraries", "queue_full");
            let lost = Some(lost);
            world.emitter.notice(Notice { part, reason, lost, from, to, detail: None });
        }
    }
}

impl Libraries {
    fn load(bounds: &Bounds) -> Result<Self, String> {
        quiet();
        built(LIBRARIES)?;
        let mut object = open(LIBRARIES)?;
        let mut scope = Vec::with_capacity(16);
        scope.extend(bounds.id.to_ne_bytes());
        scope.extend(bounds.level.to_ne_bytes());
        scope.extend(std::process::id().to_ne_bytes());
        let section =
            object.maps_mut().find(|map| map.name().to_string_lossy().ends_with(".scope"));
        let mut section = section.ok_or("the object has no scope section")?;
        section.set_initial_value(&scope).map_err(|error| explain(&error))?;
        let object = object.load().map_err(|error| explain(&error))?;
        let records = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&records);
        let mut builder = RingBufferBuilder::new();
        let map = object.maps().find(|map| map.name() == "calls_told");
        let map = map.ok_or("the object has no queue")?;
        builder
            .add(&map, move |record: &[u8]| {
                copy.lock().unwrap_or_else(PoisonError::into_inner).push(record.to_vec());
                0
            })
            .map_err(|error| explain(&error))?;
        let queue = builder.build().map_err(|error| explain(&error))?;
        let (links, copies) = (Vec::new(), HashSet::new());
        Ok(Self { object, links, queue, records, copies, lost: [0; TOLD_AS.len()] })
    }

    /// Watches each of `paths` that is there; an error when none is, or none lets us.
    fn watch_first(&mut self, paths: &[&str], pam: bool) -> Result<(), String> {
        let mut problem = None;
        let mut any = false;
        for path in paths {
            match self.watch(path, pam) {
                Ok(()) => any = true,
                Err(error) => problem = Some(error),
            }
        }
        if any { Ok(()) } else { Err(problem.unwrap_or_else(|| "none is installed".to_owned())) }
    }

    fn watch_copy(&mut self, copy: &Copy) {
        let path = format!("/proc/{}/root{}", copy.pid, copy.path);
        if self.copies.len() < MAX_COPIES
            && let Err(error) = self.watch(&path, copy.pam)
        {
            tracing::debug!(path, error, "a copy of a library is not watched");
        }
    }

    fn watch(&mut self, path: &str, pam: bool) -> Result<(), String> {
        let meta = fs::metadata(path).map_err(|error| format!("{path}: {error}"))?;
        let id = (meta.dev(), meta.ino());
        if self.copies.contains(&id) {
            return Ok(());
        }
        let mut links = Vec::new();
        if pam {
            for (function, program) in CALLS {
                links.push(attach(&self.object, path, function, (program, false))?);
                links.push(attach(&self.object, path, function, ("on_logon_return", true))?);
            }
        } else {
            links.push(attach(&self.object, path, "readline", ("on_line", true))?);
        }
        self.links.extend(links);
        self.copies.insert(id);
        Ok(())
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        // An interrupted read goes on with the next round.
        let _ = self.queue.consume();
        std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn newly_lost(&mut self) -> Tally {
        let mut new = Tally::default();
        let Some(map) = self.object.maps().find(|map| map.name() == "calls_lost") else {
            return new;
        };
        for ((call, kind), told) in (0_u32..).zip(TOLD_AS).zip(&mut self.lost) {
            let counts = map.lookup_percpu(&call.to_ne_bytes(), MapFlags::ANY).ok().flatten();
            let total: u64 = counts
                .unwrap_or_default()
                .iter()
                .filter_map(|count| Some(u64::from_ne_bytes(*count.first_chunk::<8>()?)))
                .sum();
            new.add(kind, total.saturating_sub(*told));
            *told = total;
        }
        new
    }
}

fn attach(
    object: &Object,
    path: &str,
    function: &str,
    (program, retprobe): (&str, bool),
) -> Result<Link, String> {
    let found = object.progs_mut().find(|found| found.name() == program);
    let found = found.ok_or_else(|| format!("the object has no program {program}"))?;
    let opts =
        UprobeOpts { func_name: Some(function.to_owned()), retprobe, ..UprobeOpts::default() };
    found
        .attach_uprobe_with_opts(-1, path, 0, opts)
        .map_err(|error| format!("{path}: {function}: {}", explain(&error)))
}

fn told(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Works,
        Err(reason) => Outcome::Refused { reason },
    }
}

/// Reads one record: process, its start and the time in nanoseconds since boot, what was heard.
fn parse(record: &[u8]) -> Option<(u32, u64, u64, Heard)> {
    let (head, rest) = record.split_at_checked(HEAD)?;
    let word = |at: usize| Some(u64::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?));
    let (time, start, pid) = (word(0)?, word(8)?, half(16)?);
    let result = half(24)?.cast_signed();
    let call = match half(20)? {
        1 => Call::Authenticate,
        2 => Call::Account,
        3 => Call::Open,
        4 => Call::Close,
        5 => return Some((pid, start, time, Heard::Line(text(rest)))),
        _ => return None,
    };
    let mut rest = rest;
    let mut next = |length: usize| {
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(text(bytes))
    };
    let pam = PamCall {
        call,
        result,
        service: next(TEXTS[0])?,
        user: next(TEXTS[1])?,
        remote_host: next(TEXTS[2])?,
        remote_user: next(TEXTS[3])?,
        terminal: next(TEXTS[4])?,
    };
    Some((pid, start, time, Heard::Pam(pam)))
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Heard, TEXTS, parse};

    #[test]
    fn records() {
        let length = HEAD + TEXTS.iter().sum::<usize>();
        for size in 0..length + 9 {
            let mut bytes = vec![b'x'; size];
            if size >= HEAD {
                bytes[20..24].copy_from_slice(&3_u32.to_ne_bytes());
            }
            assert_eq!(parse(&bytes).is_some(), size >= length, "{size}");
        }
        let mut bytes = vec![0; HEAD];
        bytes[16..20].copy_from_slice(&7_u32.to_ne_bytes());
        bytes[20..24].copy_from_slice(&5_u32.to_ne_bytes());
        bytes.extend(b"id -a\0left over");
        assert_eq!(parse(&bytes), Some((7, 0, 0, Heard::Line("id -a".to_owned()))));
    }
}
