//! What the probe knows of its scope, and how records become events. Both tiers speak to it.
//!
//! Invariant: an event is pushed only for a process in scope, described as well as can be.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use metsuke_event::activity::{Activity, ProcessActivity};
use metsuke_event::{BootId, Event, Process, ProcessKey, Text, Timestamp};
use metsuke_scan::{Content, FileFacts, Fuzzy, Hasher};

use crate::cgroups::{Bounds, Cgroups};
use crate::config::ProbeConfig;
use crate::emit::Emitter;
use crate::ended::Ended;
use crate::host;
use crate::pins::Pins;
use crate::procfs::{self, Stat};
use crate::sensitive::Patterns;
use crate::settings::Settings;
use crate::stats::{Counters, add, set};
use crate::system::System;
use crate::table::Table;
use crate::throttle::Throttle;
use crate::users::Users;

/// A clock that jumped by more than this is followed; less is drift or scheduling.
const CLOCK_JUMP_NANOS: i64 = 50_000_000;

/// Seconds-long chores are done this often, in nanoseconds.
const CHORES_NANOS: u64 = 1_000_000_000;

/// Processes whose end was missed are looked for this often, in nanoseconds.
const SWEEP_NANOS: u64 = 30_000_000_000;

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) code: Option<i64>,
    pub(crate) signal: Option<u64>,
    /// Milliseconds of processor time, and bytes resident at most.
    pub(crate) used: Option<(u64, u64)>,
}

impl Ending {
    /// From a wait status (wait(2)).
    pub(crate) fn from_status(status: u32) -> Self {
        match status & 0x7f {
            0 => Self { code: Some(i64::from((status >> 8) & 0xff)), ..Self::default() },
            signal => Self { signal: Some(u64::from(signal)), ..Self::default() },
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) boot: BootId,
    pub(crate) bounds: Bounds,
    pub(crate) table: Table,
    pub(crate) cgroups: Cgroups,
    pub(crate) hasher: Hasher,
    pub(crate) emitter: Emitter,
    pub(crate) patterns: Patterns,
    pub(crate) settings: Settings,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pins: Pins,
    pub(crate) system: System,
    ended: Ended,
    users: Users,
    boot_time: Timestamp,
    throttle: Throttle,
    chores_at: u64,
    sweep_at: u64,
}

impl World {
    pub(crate) fn new(
        config: &ProbeConfig,
        bounds: Bounds,
        boot: BootId,
        sink: SyncSender<Vec<Event>>,
        counters: Arc<Counters>,
    ) -> Self {
        let boot_time = host::boot_time();
        set_boot_time(&counters, boot_time);
        let mut users = Users::default();
        users.refresh();
        Self {
            boot,
            bounds,
            table: Table::new(boot_time),
            cgroups: Cgroups::new(),
            hasher: Hasher::new(config.hash.clone()).heard_by(config.hashed.clone()),
            emitter: Emitter::new(sink, boot, Arc::clone(&counters)),
            patterns: Patterns::new(&config.sensitive),
            settings: Settings::new(&config.settings),
            counters,
            pins: Pins::default(),
            system: System::new(config),
            ended: Ended::default(),
            users,
            boot_time,
            throttle: config.throttle.clone(),
            chores_at: 0,
            sweep_at: 0,
        }
    }

    /// The wall-clock time of `nanos` since boot.
    pub(crate) fn time(&self, nanos: u64) -> Timestamp {
        self.boot_time.plus_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// The identity of the process `pid` that started `start_nanos` after boot.
    pub(crate) fn key(&self, pid: u32, start_nanos: u64) -> ProcessKey {
        ProcessKey { boot: self.boot, pid, start_ticks: start_nanos / host::NANOS_PER_TICK }
    }

    /// The identity of the process `pid` that started `start_ticks` after boot.
    pub(crate) fn ticks_key(&self, pid: u32, start_ticks: u64) -> ProcessKey {
        ProcessKey { boot: self.boot, pid, start_ticks }
    }

    /// Chores of about once a second: clock, user names, counters.
    pub(crate) fn tick(&mut self) {
        let now = host::since_boot();
        self.system_round(now);
        if now < self.chores_at {
            return;
        }
        self.chores_at = now + CHORES_NANOS;
        self.users.refresh();
        self.pins.release(now);
        let boot_time = host::boot_time();
        if boot_time.nanos_since(self.boot_time).abs() > CLOCK_JUMP_NANOS {
            self.boot_time = boot_time;
            set_boot_time(&self.counters, boot_time);
        }
        self.hasher.set_pace(self.throttle.hash_permille());
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_NANOS;
            // Left the scope, or its exit record was lost.
            self.table.sweep(|pid, start| {
                procfs::stat(pid).is_some_and(|stat| stat.start_ticks == start)
            });
        }
        self.count();
    }

    /// Sets the counters that others keep.
    pub(crate) fn count(&self) {
        set(&self.counters.processes, self.table.len() as u64);
        set(&self.counters.processes_refused, self.table.refused());
        let hasher = self.hasher.stats();
        set(&self.counters.hashed, hasher.hashed);
        set(&self.counters.hashes_evicted, hasher.evicted);
        self.system.count(&self.counters);
    }

    /// Takes the processes that run in scope now into the table, oldest first, without events.
    pub(crate) fn seed(&mut self) {
        let pids = self.bounds.pids();
        let mut found: Vec<(u32, Stat)> =
            pids.into_iter().filter_map(|pid| Some((pid, procfs::stat(pid)?))).collect();
        found.sort_by_key(|(pid, stat)| (stat.start_ticks, *pid));
        for (pid, stat) in found {
            let process = self.adopt(pid, &stat);
            self.system.known(&process);
        }
    }

    /// Describes a running process from /proc and takes it into the table.
    pub(crate) fn adopt(&mut self, pid: u32, stat: &Stat) -> Arc<Process> {
        let key = ProcessKey { boot: self.boot, pid, start_ticks: stat.start_ticks };
        if let Some(process) = self.table.get(key) {
            return Arc::clone(process);
        }
        let mut process = self.described(pid, stat);
        self.hash_executable(&mut process);
        let process = Arc::new(process);
        self.table.insert(key, Arc::clone(&process));
        process
    }

    /// What /proc tells of `pid`, with names, identity and parent.
    pub(crate) fn described(&mut self, pid: u32, stat: &Stat) -> Process {
        let key = ProcessKey { boot: self.boot, pid, start_ticks: stat.start_ticks };
        let mut process = procfs::describe(pid, stat);
        self.name_user(&mut process);
        let parent = self.parent(stat.parent);
        self.table.identify(&mut process, key, parent.as_deref());
        process
    }

    /// A process as another's parent: from the table, or from /proc without entering the table.
    pub(crate) fn parent(&mut self, pid: u32) -> Option<Arc<Process>> {
        let stat = procfs::stat(pid);
        if let Some(process) = self.table.by_pid(pid) {
            let same = stat.as_ref().map(|stat| stat.start_ticks);
            if same.is_none() || same == self.table.start_of(pid) {
                return Some(Arc::clone(process));
            }
        }
        let stat = stat?;
        let key = ProcessKey { boot: self.boot, pid, start_ticks: stat.start_ticks };
        let mut process = procfs::describe(pid, &stat);
        process.uid = Some(key.to_string().into());
        self.name_user(&mut process);
        Some(Arc::new(process))
    }

    /// The process with `key`: from the table, else from /proc if it still runs, else only what
    /// the key itself says.
    pub(crate) fn find(&mut self, key: ProcessKey) -> Arc<Process> {
        if let Some(process) = self.table.get(key) {
            return Arc::clone(process);
        }
        if let Some(process) = self.ended.get(key) {
            return process;
        }
        match procfs::stat(key.pid) {
            Some(stat) if stat.start_ticks == key.start_ticks => self.adopt(key.pid, &stat),
            _ => {
                let mut process = Process { missing: Some("ended".into()), ..Process::default() };
                self.table.identify(&mut process, key, None);
                Arc::new(process)
            }
        }
    }

    pub(crate) fn name_user(&self, process: &mut Process) {
        process.user_name = process.user_id.and_then(|id| self.users.name(id));
    }

    /// Hashes the executable while the process holds it open, else by its path, else, for a file in
    /// memory, where we or the parent still hold it.
    /// Gives the file's facts where it could be opened.
    pub(crate) fn hash_executable(&mut self, process: &mut Process) -> Option<FileFacts> {
        let (Some(pid), Some(inode)) = (process.pid, process.exe_inode) else { return None };
        let held = format!("/proc/{pid}/exe");
        let mut outcome = self.hasher.link(Path::new(&held), Some(inode));
        if outcome.sha256.is_err()
            && let Some(exe) = process.exe.as_deref()
        {
            outcome = self.hasher.path(Path::new(exe), Some(inode));
        }
        if outcome.sha256.is_err() && process.exe_kind.as_deref() == Some(procfs::MEMORY) {
            let parent = || procfs::descriptor_of(process.parent_pid?, inode);
            if let Some(held) = self.pins.path(inode).or_else(parent) {
                outcome = self.hasher.link(&held, Some(inode));
            }
        }
        process.sha256 = outcome.sha256.ok();
        outcome.facts
    }

    /// The control group `path` with the kernel's id `id` was made.
    pub(crate) fn group_made(&mut self, id: u64, path: &str) {
        self.cgroups.learn(id, path);
        self.system.group_made(id, path);
    }

    /// `parent` made `child`, a copy of itself, in the control group and session of `place`
    /// (ids; 0 where unknown).
    pub(crate) fn fork(
        &mut self,
        parent: ProcessKey,
        child: ProcessKey,
        place: (u64, u32),
        time: Timestamp,
    ) {
        let known = self.table.get(parent).cloned();
        let source = match known {
            Some(process) => process,
            None => match self.parent(parent.pid) {
                Some(process) if process.uid.as_deref() == Some(&parent.to_string()) => process,
                _ => self.find(child),
            },
        };
        let mut process = Process::clone(&source);
        process.exit_code = None;
        process.exit_signal = None;
        if place.1 != 0 {
            process.session = Some(u64::from(place.1));
        }
        if let Some(group) = self.cgroups.by_id(place.0) {
            process.cgroup = Some(group.path);
            process.container_id = group.container;
        }
        let parent_is = (source.uid.as_deref() == Some(&parent.to_string())).then_some(&*source);
        self.table.identify(&mut process, child, parent_is);
        let process = Arc::new(process);
        self.table.insert(child, Arc::clone(&process));
        self.push(time, &process, Activity::Process(ProcessActivity::Fork));
    }

    /// A process runs a new executable: `process` describes it but for what is inherited, and for its
    /// hash where that is not known. Gives it as told, and the executable's facts if it was looked at.
    pub(crate) fn exec(
        &mut self,
        key: ProcessKey,
        mut process: Process,
        parent: Option<ProcessKey>,
        time: Timestamp,
    ) -> (Arc<Process>, Option<FileFacts>) {
        self.name_user(&mut process);
        if let Some(before) = self.table.get(key).cloned() {
            inherit(&mut process, &before);
        }
        if process.uid.is_none() {
            process.parent_uid = parent.map(|key| key.to_string().into());
            let found = parent
                .and_then(|key| self.parent(key.pid))
                .filter(|found| found.uid == process.parent_uid);
            self.table.identify(&mut process, key, found.as_deref());
        } else if self.table.storyline(&process, key.pid).is_none()
            && process.session == Some(u64::from(key.pid))
        {
            process.storyline.clone_from(&process.uid);
        }
        let facts = match process.sha256 {
            Some(_) => None,
            None => self.hash_executable(&mut process),
        };
        let process = Arc::new(process);
        self.table.insert(key, Arc::clone(&process));
        self.push(time, &process, Activity::Process(ProcessActivity::Exec));
        (process, facts)
    }

    /// A process ended; only the first report of one end counts.
    pub(crate) fn exit(&mut self, key: ProcessKey, ending: Ending, time: Timestamp) {
        if !self.ended.is_first(key) {
            add(&self.counters.repeated_ends, 1);
            return;
        }
        let mut process = Process::clone(&self.find(key));
        process.exit_code = ending.code;
        process.exit_signal = ending.signal;
        (process.cpu_ms, process.rss_peak) = ending.used.unzip();
        self.table.remove(key);
        let process = Arc::new(process);
        self.ended.keep(key, Arc::clone(&process));
        self.push(time, &process, Activity::Process(ProcessActivity::Exit));
    }

    pub(crate) fn push(&mut self, time: Timestamp, process: &Arc<Process>, activity: Activity) {
        let mut told = Vec::new();
        self.system.observe(time, process, &activity, &mut told);
        self.emitter.push(time, process, activity);
        self.push_told(told);
    }

    /// Hashes a file as it stands after an activity. Sees it as the process does, if it still runs.
    pub(crate) fn hash_file(&mut self, process: &Process, file: &mut metsuke_event::File) {
        let Some(path) = file.path.as_deref() else { return };
        // Their content is made when read.
        if path.starts_with("/proc/") || path.starts_with("/sys/") {
            return;
        }
        let expected = file.inode;
        let mut outcome = self.hasher.path(Path::new(path), expected);
        if outcome.facts.is_none()
            && let Some(pid) = process.pid
        {
            if process.container_id.is_some() {
                let inside = format!("/proc/{pid}/root{path}");
                outcome = self.hasher.path(Path::new(&inside), expected);
            } else if let Some(inode) = expected
                && (path.starts_with("/memfd:") || is_unnamed(path, inode))
                && let Some(held) =
                    self.pins.path(inode).or_else(|| procfs::descriptor_of(pid, inode))
            {
                outcome = self.hasher.link(&held, expected);
            }
        }
        if let Some(facts) = outcome.facts {
            file.size = Some(facts.identity.size);
            file.inode = Some(facts.identity.inode);
            file.device = Some(facts.identity.device);
            file.mode = Some(u64::from(facts.mode));
            file.owner_id = Some(u64::from(facts.owner));
        }
        if let Some(content) = outcome.content {
            fill_content(file, &content);
        }
        match outcome.sha256 {
            Ok(hash) => file.sha256 = Some(hash),
            Err(missing) => file.hash_missing = Some(missing.name().into()),
        }
    }
}

/// Whether `path` is how the kernel calls a file that was opened without a name (`O_TMPFILE`).
fn is_unnamed(path: &str, inode: u64) -> bool {
    let name = path.rsplit('/').next().and_then(|name| name.strip_prefix('#'));
    name.is_some_and(|number| number.parse() == Ok(inode))
}

/// Facts of a file that are had without reading it: seen as the process does, if it still runs.
pub(crate) fn describe_file(process: &Process, file: &mut metsuke_event::File) {
    let Some(path) = file.path.as_deref() else { return };
    let inside = process
        .pid
        .filter(|_| process.container_id.is_some())
        .map(|pid| format!("/proc/{pid}/root{path}"));
    let found = inside.as_deref().and_then(|path| fs::symlink_metadata(path).ok());
    let Some(meta) = found.or_else(|| fs::symlink_metadata(path).ok()) else { return };
    if file.inode.is_some_and(|inode| inode != meta.ino()) {
        return;
    }
    file.inode = Some(meta.ino());
    file.device = Some(meta.dev());
    file.mode = Some(u64::from(meta.mode()));
    file.owner_id = Some(u64::from(meta.uid()));
    file.group_id = Some(u64::from(meta.gid()));
    file.size = Some(meta.size());
}

/// What a file's content says of it.
fn fill_content(file: &mut metsuke_event::File, content: &Content) {
    file.md5 = Some(content.md5());
    file.sha1 = Some(content.sha1());
    file.tlsh = content.tlsh();
    file.entropy = Some(content.entropy());
    file.header = content.header();
    file.content_type = Some(content.kind().name().into());
    if content.fuzzy() == Fuzzy::Spared {
        file.hash_missing = Some("tlsh_budget".into());
    }
}

fn set_boot_time(counters: &Counters, time: Timestamp) {
    set(&counters.boot_time_ns, time.as_nanos().cast_unsigned());
}

/// What stays the same over an exec.
fn inherit(process: &mut Process, before: &Process) {
    let keep = |new: &mut Option<Text>, old: &Option<Text>| {
        if new.is_none() {
            new.clone_from(old);
        }
    };
    keep(&mut process.uid, &before.uid);
    keep(&mut process.storyline, &before.storyline);
    keep(&mut process.cwd, &before.cwd);
    keep(&mut process.cgroup, &before.cgroup);
    keep(&mut process.container_id, &before.container_id);
    keep(&mut process.parent_uid, &before.parent_uid);
    keep(&mut process.parent_exe, &before.parent_exe);
    keep(&mut process.parent_name, &before.parent_name);
    keep(&mut process.parent_cmd_line, &before.parent_cmd_line);
    keep(&mut process.parent_user_name, &before.parent_user_name);
    process.parent_pid = before.parent_pid.or(process.parent_pid);
    process.start_time = before.start_time.or(process.start_time);
    process.pid = before.pid.or(process.pid);
}
