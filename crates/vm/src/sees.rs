//! Tier 2 on this kernel: every program of it is taken, and what its loops read from the kernel's
//! memory and from a process's arrives whole.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use metsuke_event::coverage::{Coverage, Outcome as Tried, Tier};
use metsuke_event::{Activity, Event, Kind};
use metsuke_probe::{Probe, ProbeConfig, SINK_BATCHES, Scope};
use metsuke_testkit::table::{Outcome, Table, row};

use crate::cases::PORT;
use crate::tiny::{program, put};
use crate::world::within;

/// How long something may take to be told: the emulated machine is slow, and its host may be busy.
const TOLD: Duration = Duration::from_secs(60);
/// Folders in each other: nearly as many as the kernel's side follows (`MAX_COMPONENTS`, 48), those
/// above and a step over a mount among them.
const FOLDERS: usize = 40;
/// Variables before the one that counts.
const VARIABLES: usize = 300;
/// Hooks of libraries, which this machine has none of.
const LIBRARIES: [&str; 2] = ["uprobe/", "uretprobe/"];

/// A probe of the group `inside`, and what it has told.
struct Watch {
    inside: PathBuf,
    events: Receiver<Vec<Event>>,
    seen: Vec<Event>,
    probe: Probe,
}

impl Watch {
    fn start() -> Result<Self> {
        let root = metsuke_enforce::scope::hierarchy().context("no cgroup v2")?;
        let inside = root.join("inside");
        let (sink, events) = sync_channel(SINK_BATCHES);
        let probe = metsuke_probe::start(ProbeConfig::new(Scope::Cgroup(inside.clone())), sink)?;
        Ok(Self { inside, events, seen: Vec::new(), probe })
    }

    /// Runs `program` in the group; it must go well.
    fn run(&self, program: &Path, with: impl FnOnce(&mut Command)) -> Result<u64> {
        let mut command = within(&self.inside, program)?;
        with(&mut command);
        let mut child = command.spawn().with_context(|| program.display().to_string())?;
        let status = child.wait()?;
        ensure!(status.success(), "{command:?}: {status}");
        Ok(child.id().into())
    }

    /// A deed by direct system calls.
    fn role(&self, words: &[&str]) -> Result<u64> {
        self.run(Path::new("/guest"), |command| {
            command.arg("role").args(words);
        })
    }

    /// What `wanted` finds first in an event of this process and kind.
    fn told(&mut self, pid: u64, kind: Kind, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        let end = Instant::now() + TOLD;
        loop {
            let mine = |event: &&Event| event.process.pid == Some(pid);
            if let Some(event) = self
                .seen
                .iter()
                .filter(mine)
                .find(|event| event.activity.kind() == kind && wanted(event))
            {
                return Ok(event.clone());
            }
            if Instant::now() > end {
                let told: Vec<_> = self.seen.iter().filter(mine).map(|one| &one.activity).collect();
                bail!("no {} that fits, but {told:?}", kind.name());
            }
            let more = self.events.recv_timeout(Duration::from_millis(50));
            self.seen.extend(more.into_iter().flatten());
        }
    }
}

/// All of tier 2, by one probe: its programs take an emulated machine long to load.
pub(crate) fn whole() -> Result<()> {
    let mut watch = Watch::start()?;
    every_program(&watch.probe.coverage())?;
    for (place, folder) in [("a file system", "/tmp/deep"), ("an overlay", "/tmp/overlay/merged")] {
        deep(&mut watch, Path::new(folder)).with_context(|| place.to_owned())?;
    }
    flows(&mut watch)?;
    watch.probe.stop();
    for (name, reason) in [
        ("Tier 2 (BPF tracing)", "every hook attached"),
        (
            "the path of a file and of a program forty folders down, also over a mount",
            "file.create and process.exec with the whole path",
        ),
        ("LD_PRELOAD behind 300 other variables", "process.exec with the variable"),
        (
            "connections and datagrams, IPv4 and IPv6",
            "network.connect with address, port and protocol",
        ),
    ] {
        row(Table::Support, name, Outcome::Seen, reason);
    }
    Ok(())
}

fn every_program(coverage: &Coverage) -> Result<()> {
    ensure!(coverage.tier == Tier::Tracing, "tier {:?}: {:?}", coverage.tier, coverage.hooks);
    let mut refused = Vec::new();
    for trial in &coverage.hooks {
        let of_library = LIBRARIES.iter().any(|start| trial.hook.starts_with(start));
        if let Tried::Refused { reason } = &trial.outcome
            && !of_library
        {
            refused.push(format!("{}: {reason}", trial.hook));
        }
    }
    ensure!(refused.is_empty(), "{}", refused.join("; "));
    let works = |hook: &str| {
        let trial = coverage.hooks.iter().find(|trial| trial.hook == hook);
        trial.is_some_and(|trial| trial.outcome == Tried::Works)
    };
    for hook in ["tp_btf/sys_exit", "tp_btf/sched_process_exec", "tp_btf/module_load"] {
        ensure!(works(hook), "{hook} is not attached: {:?}", coverage.hooks);
    }
    Ok(())
}

/// A file made and a program executed far below `place`.
fn deep(watch: &mut Watch, place: &Path) -> Result<()> {
    let mut folder = place.to_owned();
    folder.extend((0..FOLDERS).map(|number| format!("folder-{number}")));
    fs::create_dir_all(&folder)?;
    let made = folder.join("made").display().to_string();
    let pid = watch.role(&["write", &made, "text"])?;
    watch.told(pid, Kind::FileCreate, |event| match &event.activity {
        Activity::File(_, file) => file.path.as_deref() == Some(made.as_str()),
        _ => false,
    })?;
    let executed = folder.join("executed");
    put(&executed, &program())?;
    let pid = watch.run(&executed, |command| {
        // They are handed over in the order of their names.
        command.envs((0..VARIABLES).map(|number| (format!("A{number:03}"), "any value")));
        command.env("LD_PRELOAD", "/tmp/none.so");
    })?;
    let exec = watch.told(pid, Kind::ProcessExec, |_| true)?.process;
    ensure!(exec.exe.as_deref() == executed.to_str(), "executed as {:?}", exec.exe);
    let told = exec.environment.as_deref();
    ensure!(told == Some("LD_PRELOAD=/tmp/none.so"), "of its variables: {told:?}");
    Ok(())
}

/// Streams and datagrams to whoever listens in this machine.
fn flows(watch: &mut Watch) -> Result<()> {
    for (word, protocol) in [("connect", "tcp"), ("send", "udp")] {
        for host in ["127.0.0.1", "::1"] {
            let address: IpAddr = host.parse()?;
            let to = SocketAddr::new(address, PORT).to_string();
            let pid = watch.role(&[word, &to])?;
            let fits = |event: &Event| match &event.activity {
                Activity::Network(_, flow) => {
                    (flow.dst_ip, flow.dst_port) == (Some(address), Some(PORT.into()))
                        && flow.protocol.as_deref() == Some(protocol)
                        && flow.initiated == Some(true)
                }
                _ => false,
            };
            watch.told(pid, Kind::NetworkConnect, fits).with_context(|| format!("{word} {to}"))?;
        }
    }
    Ok(())
}
