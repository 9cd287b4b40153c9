//! What is watched, and where deeds are done.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use metsuke_event::coverage::Coverage;
use metsuke_event::{Activity, Event, Kind};
use metsuke_probe::{Probe, ProbeConfig, SINK_BATCHES, Scope};

use crate::world::within;

/// Where systemd mounts the control groups.
const GROUPS: &str = "/sys/fs/cgroup";
/// This program, on the second disk.
pub(crate) const GUEST: &str = "/payload/guest";
/// How long something may take to be told: the emulated machine is slow, and its host busy.
const TOLD: Duration = Duration::from_secs(90);
/// What more may be told of something after the wait for it: longer than the sensor puts off a
/// look, or takes two sources for one.
const MORE: Duration = Duration::from_secs(3);

/// A probe and what it has told.
struct Watch {
    probe: Probe,
    events: Receiver<Vec<Event>>,
}

/// Two slices under watch.
pub(crate) struct World {
    slices: [Watch; 2],
    seen: Vec<Event>,
    deeds: PathBuf,
}

impl Watch {
    fn start(group: &Path) -> Result<Self> {
        let (sink, events) = sync_channel(SINK_BATCHES);
        let probe = metsuke_probe::start(ProbeConfig::new(Scope::Cgroup(group.into())), sink)?;
        Ok(Self { probe, events })
    }
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        // Keeps the slice there while nobody is logged on.
        let keep = ["--slice=user.slice", "--unit=metsuke-keep", "/bin/sleep", "1000000"];
        super::run("systemd-run", &keep)?;
        let deeds = Path::new(GROUPS).join("system.slice/metsuke-deeds");
        std::fs::create_dir_all(&deeds).context("no group for deeds")?;
        let slices = ["system.slice", "user.slice"].map(|slice| Path::new(GROUPS).join(slice));
        let [system, user] = slices;
        let slices = [Watch::start(&system)?, Watch::start(&user)?];
        Ok(Self { slices, seen: Vec::new(), deeds })
    }

    /// What the probe of the services can see.
    pub(crate) fn coverage(&self) -> Coverage {
        self.slices[0].probe.coverage()
    }

    /// Passes over what was told until now.
    pub(crate) fn forget(&mut self) {
        self.take(Duration::ZERO);
        self.seen.clear();
    }

    fn take(&mut self, wait: Duration) {
        let [system, user] = &self.slices;
        let first = system.events.recv_timeout(wait).into_iter();
        let rest = system.events.try_iter().chain(user.events.try_iter());
        self.seen.extend(first.chain(rest).flatten());
    }

    /// The first event of `kind` for which `wanted` holds.
    pub(crate) fn find(
        &mut self,
        kind: Kind,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        let end = Instant::now() + TOLD;
        loop {
            let mut of_kind = self.seen.iter().filter(|event| event.activity.kind() == kind);
            if let Some(event) = of_kind.find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            if Instant::now() > end {
                bail!("{what}: no {} that fits, but:\n{}", kind.name(), self.list());
            }
            self.take(Duration::from_millis(50));
        }
    }

    /// All events that `wanted` picks, when nothing more of them comes.
    pub(crate) fn all(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let end = Instant::now() + MORE;
        while Instant::now() < end {
            self.take(Duration::from_millis(50));
        }
        self.seen.iter().filter(|event| wanted(event)).cloned().collect()
    }

    /// Runs a program among the watched, and gives what it says and whether it went well.
    pub(crate) fn act(&self, program: &str, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command: Command = within(&self.deeds, Path::new(program))?;
        command.args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        let output = command.stderr(Stdio::piped()).output().with_context(|| program.to_owned())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        Ok((output.status.success(), said))
    }

    /// As [`World::act`]; it must go well.
    pub(crate) fn done(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let (well, said) = self.act(program, arguments)?;
        ensure!(well, "{program} {}: {said}", arguments.join(" "));
        Ok(())
    }

    /// A deed by direct system calls.
    pub(crate) fn role(&self, words: &[&str]) -> Result<()> {
        self.done(GUEST, &[&["role"], words].concat())
    }

    fn list(&self) -> String {
        // What a case is about, not every file that sshd opened.
        let told = |event: &&Event| {
            let kind = event.activity.kind();
            ![Kind::ImageLoad, Kind::FileRead].contains(&kind)
        };
        let last = self.seen.iter().rev().filter(told).take(40).map(describe);
        last.collect::<Vec<_>>().into_iter().rev().collect()
    }
}

fn describe(event: &Event) -> String {
    let (process, name) = (&event.process, event.activity.kind().name());
    let what = match &event.activity {
        Activity::Service(_, service) => format!("{service:?}"),
        Activity::Logon(_, logon) => format!("{logon:?}"),
        Activity::Persistence(_, persistence) => format!("{persistence:?}"),
        Activity::File(_, file) => format!("{:?}", file.path),
        Activity::Health(health) => format!("{health:?}"),
        _ => String::new(),
    };
    format!("  {name} {:?} {:?} {:?} {what}\n", process.pid, process.cmd_line, process.cgroup)
}
