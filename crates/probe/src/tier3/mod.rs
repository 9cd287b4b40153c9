//! Tier 3: what Linux shows every privileged program: the proc connector for processes, fanotify
//! (notification only) for files, /proc for the rest and as the last resort.
//!
//! Invariant: what happens to a process is taken in before what it did to files, and a process is
//! remembered for a while after its end, so that its last deeds still find it.

mod connector;
mod files;
mod poll;
mod sockets;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metsuke_event::activity::{Activity, FileActivity};
use metsuke_event::coverage::{HookTrial, Outcome, Tier};
use metsuke_event::{File, Process, ProcessKey};

use crate::cgroups::Cgroups;
use crate::config::ProbeConfig;
use crate::coverage::hook;
use crate::emit::Notice;
use crate::host;
use crate::procfs;
use crate::world::{Ending, World};
use connector::{Connector, Happened};
use files::{Names, Reads, Touched};
use poll::Poll;
use sockets::Sockets;

/// How long an ended process is remembered.
const MEMORY_NANOS: u64 = 3_000_000_000;

/// Ended processes remembered at most.
const MAX_REMEMBERED: usize = 16_384;

/// The sources of tier 3 that work here.
#[derive(Debug)]
pub(crate) struct Interfaces {
    connector: Option<Connector>,
    names: Option<Names>,
    reads: Option<Reads>,
    poll: Poll,
    sockets: Sockets,
    ended: HashMap<u32, (u64, Arc<Process>)>,
    /// When the last round began.
    looked: metsuke_event::Timestamp,
}

impl Interfaces {
    /// Opens every source; the trials tell each one's outcome.
    pub(crate) fn open(config: &ProbeConfig) -> (Self, Vec<HookTrial>) {
        let mut trials = Vec::new();
        let mut keep = |name: &str, purpose: &str, outcome| {
            trials.push(hook(Tier::Interfaces, name, purpose, outcome));
        };
        let connector = Connector::open();
        keep("proc connector", "processes: fork, exec, exit", told(&connector));
        let names = Names::open();
        keep("fanotify names", "files made, changed, renamed, removed", told(&names));
        let reads = Reads::open(&literal(config));
        keep("fanotify access", "sensitive files read", told(&reads));
        keep("/proc", "processes and sockets, in rounds", Outcome::Works);
        let interfaces = Self {
            connector: connector.ok(),
            names: names.ok(),
            reads: reads.ok(),
            poll: Poll::default(),
            sockets: Sockets::default(),
            ended: HashMap::new(),
            looked: host::now(),
        };
        (interfaces, trials)
    }

    /// The classes of activity it delivers.
    pub(crate) fn sees(&self) -> Vec<&'static str> {
        let mut sees = vec!["process.exec", "process.exit"];
        if self.connector.is_some() {
            sees.push("process.fork");
        }
        if self.names.is_some() {
            sees.extend(["file.create", "file.modify", "file.delete", "file.rename"]);
        }
        if self.reads.is_some() {
            sees.push("file.read");
        }
        sees.extend(["network.connect", "network.accept", "network.listen", "sensor.health"]);
        sees
    }

    /// Waits until a process event comes, or `longest` is over.
    pub(crate) fn wait(&self, longest: Duration) {
        match &self.connector {
            Some(connector) => connector.wait(longest),
            None => std::thread::sleep(longest),
        }
    }

    /// Takes what is queued.
    pub(crate) fn round(&mut self, world: &mut World) {
        let now = host::since_boot();
        // What overflowed did so since it was looked at last.
        let from = std::mem::replace(&mut self.looked, host::now());
        if let Some(connector) = &self.connector {
            let round = connector.round();
            if round.overflowed.is_some() {
                overflow(world, "probe.proc_connector", from);
            }
            let suspended = host::suspended();
            for (time, happened) in round.events {
                self.process(world, happened, time.saturating_add(suspended));
            }
        } else {
            self.poll.round(world);
        }
        if let Some(names) = &self.names {
            let round = names.round();
            if round.overflowed.is_some() {
                overflow(world, "probe.fanotify", from);
            }
            for touched in round.touched {
                self.file(world, touched);
            }
        }
        let mut told = HashSet::new();
        let reads = self.reads.as_ref().map(Reads::round).unwrap_or_default();
        if reads.overflowed.is_some() {
            overflow(world, "probe.fanotify_reads", from);
        }
        for touched in reads.touched {
            if told.insert((touched.pid, touched.path.clone())) {
                self.file(world, touched);
            }
        }
        self.sockets.round(world, now);
        self.ended.retain(|_, (at, _)| *at + MEMORY_NANOS > now);
    }

    fn process(&mut self, world: &mut World, happened: Happened, now: u64) {
        let time = world.time(now);
        match happened {
            Happened::Fork { parent, child } => {
                let parent = parent_key(world, parent);
                if world.table.get(parent).is_none() && !in_scope(world, child) {
                    return;
                }
                // One that is gone already started when it was forked, as near as a clock tick.
                let (key, session) = match procfs::stat(child) {
                    Some(stat) => (world.ticks_key(child, stat.start_ticks), stat.session),
                    None => (world.key(child, now), 0),
                };
                world.fork(parent, key, (0, session), time);
            }
            Happened::Exec { pid } => {
                let known = world.table.by_pid(pid).is_some();
                if !known && !in_scope(world, pid) {
                    return;
                }
                match procfs::stat(pid) {
                    Some(stat) => {
                        let key = world.ticks_key(pid, stat.start_ticks);
                        let process = world.described(pid, &stat);
                        let parent = procfs::stat(stat.parent)
                            .map(|above| world.ticks_key(stat.parent, above.start_ticks));
                        world.exec(key, process, parent, time);
                    }
                    None => gone_before_seen(world, pid),
                }
            }
            Happened::Exit { pid, status } => {
                let Some(start) = world.table.start_of(pid) else { return };
                let key = world.ticks_key(pid, start);
                if self.ended.len() < MAX_REMEMBERED
                    && let Some(process) = world.table.get(key)
                {
                    self.ended.insert(pid, (now, Arc::clone(process)));
                }
                world.exit(key, Ending::from_status(status), time);
            }
        }
    }

    fn file(&self, world: &mut World, touched: Touched) {
        if touched.pid == std::process::id() {
            return;
        }
        let Some(process) = self.actor(world, touched.pid) else { return };
        let mut file = File {
            path: Some(touched.path.into()),
            old_path: touched.old_path.map(Into::into),
            operations: Some(1),
            ..File::default()
        };
        match touched.what {
            FileActivity::Read => {
                let Some(sensitivity) = world.patterns.of(file.path.as_deref().unwrap_or_default())
                else {
                    return;
                };
                file.sensitivity = Some(sensitivity.into());
            }
            FileActivity::Modify | FileActivity::Rename => world.hash_file(&process, &mut file),
            FileActivity::Create => {
                let meta = file.path.as_deref().and_then(|path| fs::symlink_metadata(path).ok());
                file.inode = meta.as_ref().map(MetadataExt::ino);
                file.device = meta.as_ref().map(MetadataExt::dev);
                file.mode = meta.as_ref().map(|meta| u64::from(meta.mode()));
            }
            _ => {}
        }
        world.push(host::now(), &process, Activity::File(touched.what, file));
    }

    /// The process with `pid`, when it is in scope; it may have ended a moment ago.
    fn actor(&self, world: &mut World, pid: u32) -> Option<Arc<Process>> {
        let running = procfs::stat(pid);
        if let Some(process) = world.table.by_pid(pid) {
            let began = world.table.start_of(pid);
            if running.as_ref().is_none_or(|stat| Some(stat.start_ticks) == began) {
                return Some(Arc::clone(process));
            }
        }
        match running {
            Some(stat) if in_scope(world, pid) => Some(world.adopt(pid, &stat)),
            Some(_) => None,
            None => self.ended.get(&pid).map(|(_, process)| Arc::clone(process)),
        }
    }
}

/// It ran something and ended before it could be described: told with what is left.
fn gone_before_seen(world: &mut World, pid: u32) {
    let Some(start) = world.table.start_of(pid) else { return };
    let key = world.ticks_key(pid, start);
    let before = world.table.get(key).map(|process| Process::clone(process)).unwrap_or_default();
    // Whose it was and where it ran still holds; what it ran is not known.
    let process = Process {
        exe: None,
        name: None,
        cmd_line: None,
        sha256: None,
        exe_inode: None,
        exe_device: None,
        exe_kind: None,
        script: None,
        environment: None,
        ..before
    };
    world.exec(key, process, None, host::now());
}

fn told<T>(result: &std::io::Result<T>) -> Outcome {
    match result {
        Ok(_) => Outcome::Works,
        Err(error) => Outcome::Refused {
            reason: format!("{error}; it needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN)"),
        },
    }
}

/// The sensitive files that can be watched one by one: patterns without wildcards.
fn literal(config: &ProbeConfig) -> Vec<PathBuf> {
    let patterns = config.sensitive.iter().map(|sensitive| &sensitive.pattern);
    patterns.filter(|pattern| !pattern.contains('*')).map(PathBuf::from).collect()
}

fn in_scope(world: &World, pid: u32) -> bool {
    world.bounds.prefix.is_empty()
        || Cgroups::of_pid(pid).is_some_and(|group| world.bounds.holds(&group.path))
}

fn parent_key(world: &World, pid: u32) -> ProcessKey {
    let start = world.table.start_of(pid).or_else(|| procfs::stat(pid).map(|s| s.start_ticks));
    world.ticks_key(pid, start.unwrap_or(0))
}

fn overflow(world: &mut World, part: &'static str, from: metsuke_event::Timestamp) {
    let to = host::now();
    let reason = "queue_full";
    world.emitter.notice(Notice { part, reason, from, to, ..Notice::default() });
}
