//! A control group of the test's own, processes in it, and a probe that watches it.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod actor;
pub(crate) mod room;

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use metsuke_event::coverage::{Coverage, Tier};
use metsuke_event::{Activity, Event, Kind};
use metsuke_probe::{
    Meter, Probe, ProbeConfig, ProbeEnd, SINK_BATCHES, Scope, Stats, cgroup_root, start,
};
/// A row of the generated tables; called last in a test.
#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use metsuke_testkit::table::{Outcome as Shown, Table, row};

/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Names the role in which a test binary runs itself as a helper.
pub(crate) const ROLE: &str = "METSUKE_PROBE_TEST_ROLE";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A control group that is removed, with everything in it, at the end.
pub(crate) struct Group(pub(crate) PathBuf);

impl Group {
    /// Makes one; `None`, saying so, when this machine does not let us.
    pub(crate) fn make(test: &str) -> Option<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("metsuke-test-{}-{number}", std::process::id());
        let made = cgroup_root()
            .ok_or_else(|| io::Error::other("no cgroup v2 hierarchy"))
            .map(|root| root.join(name))
            .and_then(|path| fs::create_dir(&path).map(|()| path));
        match made {
            Ok(path) => Some(Self(path)),
            Err(error) => {
                eprintln!("NOT RUN: {test}: cannot make a control group: {error}");
                None
            }
        }
    }

    /// A command that runs in the group from its first instruction on.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let procs = self.0.join("cgroup.procs");
        let mut command = Command::new(program);
        command.args(args);
        // SAFETY: between fork and exec only open, write and close are called.
        unsafe {
            command.pre_exec(move || fs::write(&procs, "0"));
        }
        command
    }

    /// Runs a shell script in the group to its end; gives its pid.
    pub(crate) fn shell(&self, script: &str, dir: &Path) -> u32 {
        let mut child = self.command("/bin/sh", &["-c", script]).current_dir(dir).spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            let pids = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines().filter_map(|line| line.parse::<i32>().ok()) {
                // SAFETY: a signal to a process of our own group.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            std::thread::yield_now();
        }
    }
}

/// A probe and what it has delivered.
pub(crate) struct Watch {
    probe: Option<Probe>,
    events: Receiver<Vec<Event>>,
    pub(crate) seen: Vec<Event>,
}

impl Watch {
    pub(crate) fn start(group: &Group, max_tier: Tier) -> Self {
        Self::with(ProbeConfig {
            max_tier: Some(max_tier),
            ..ProbeConfig::new(Scope::Cgroup(group.0.clone()))
        })
    }

    pub(crate) fn with(config: ProbeConfig) -> Self {
        Self::with_room(config, SINK_BATCHES)
    }

    /// With room for so many batches that wait for their reader, which is whoever looks for something.
    pub(crate) fn with_room(config: ProbeConfig, batches: usize) -> Self {
        let (sink, events) = sync_channel(batches);
        let probe = start(config, sink).unwrap();
        Self { probe: Some(probe), events, seen: Vec::new() }
    }

    /// Watches with tier 2, or says why that cannot be tested here.
    pub(crate) fn tracing(group: &Group, test: &str) -> Option<Self> {
        let watch = Self::start(group, Tier::Tracing);
        if watch.coverage().tier == Tier::Tracing {
            return Some(watch);
        }
        let hooks = watch.coverage().hooks;
        eprintln!("NOT RUN: {test}: no tier 2 here: {:?}", hooks.first());
        None
    }

    pub(crate) fn coverage(&self) -> Coverage {
        self.probe.as_ref().unwrap().coverage()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.probe.as_ref().unwrap().stats()
    }

    /// The probe's counts, for another thread.
    pub(crate) fn meter(&self) -> Meter {
        self.probe.as_ref().unwrap().meter()
    }

    /// Waits until `holds` of the probe's counts.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Stats) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.stats()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.stats());
            std::thread::yield_now();
        }
    }

    /// The first event for which `wanted` holds, waiting for it.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.seen.iter().find(|event| wanted(event)) {
                return event.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(batch) => self.seen.extend(batch),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what}: not seen; seen:\n{}", self.list())
                }
            }
        }
    }

    /// Whether an event for which `wanted` holds has come by now, or comes within a moment.
    pub(crate) fn caught(&mut self, wanted: impl Fn(&Event) -> bool) -> bool {
        if let Ok(batch) = self.events.recv_timeout(Duration::from_millis(100)) {
            self.seen.extend(batch);
        }
        self.seen.iter().any(wanted)
    }

    pub(crate) fn of(&mut self, kind: Kind, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.find(what, |event| event.activity.kind() == kind && wanted(event))
    }

    /// Stops the probe and gives everything it delivered.
    pub(crate) fn stop(mut self) -> Vec<Event> {
        let probe = self.probe.take().unwrap();
        // It hands over what it holds for as long as somebody reads, then closes the channel.
        let stopping = std::thread::spawn(move || probe.stop());
        self.seen.extend(self.events.iter().flatten());
        assert_eq!(stopping.join().unwrap(), ProbeEnd::InOrder);
        self.seen
    }

    fn list(&self) -> String {
        self.seen.iter().map(describe).collect()
    }
}

pub(crate) fn describe(event: &Event) -> String {
    let process = &event.process;
    let what = match &event.activity {
        Activity::File(_, file) => format!("{:?} {:?}", file.old_path, file.path),
        Activity::Network(_, network) => format!("{network:?}"),
        Activity::Dns(dns) => format!("{dns:?}"),
        Activity::Target(_, target) => format!("{target:?}"),
        Activity::Memory(_, memory) => format!("{memory:?}"),
        Activity::Kernel(_, kernel) => format!("{kernel:?}"),
        Activity::Transition(_, transition) => format!("{transition:?}"),
        Activity::Health(health) => format!("{health:?}"),
        Activity::Account(_, account) => format!("{account:?}"),
        Activity::Persistence(_, persistence) => format!("{persistence:?}"),
        Activity::Service(_, service) => format!("{service:?}"),
        Activity::Logon(_, logon) => format!("{logon:?}"),
        Activity::Script(script) => format!("{script:?}"),
        _ => String::new(),
    };
    let kind = event.activity.kind().name();
    format!("{kind} pid={:?} {:?} {:?} {what}\n", process.pid, process.exe, process.cmd_line)
}

pub(crate) fn path_is(event: &Event, path: &Path) -> bool {
    matches!(&event.activity, Activity::File(_, file) if file.path.as_deref() == path.to_str())
}

pub(crate) fn pid_is(event: &Event, pid: u32) -> bool {
    event.process.pid == Some(u64::from(pid))
}

/// The SHA-256 of a file, by another program.
pub(crate) fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
