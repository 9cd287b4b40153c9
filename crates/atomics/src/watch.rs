//! The sensor's eyes over all rooms, and what they told of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Event, Kind};
use metsuke_probe::{Probe, ProbeConfig, SINK_BATCHES, Scope, cgroup_root, start};

/// How long the last record of a room may take to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What was told so far.
#[derive(Debug, Default)]
struct Heard {
    /// Events by the name of the room's control group.
    told: HashMap<String, Vec<Event>>,
    lost: u64,
}

/// A control group above those of the rooms, watched.
#[derive(Debug)]
pub struct Watch {
    group: PathBuf,
    probe: Option<Probe>,
    heard: Arc<Mutex<Heard>>,
    /// Takes what the probe tells as it comes; nobody else would while a test runs.
    ear: Option<JoinHandle<()>>,
}

impl Watch {
    /// Makes the group and watches it with tier 2.
    pub fn start() -> Result<Self> {
        let root = cgroup_root().ok_or_else(|| anyhow!("there is no cgroup v2 hierarchy here"))?;
        let group = root.join(format!("metsuke-atomics-{}", std::process::id()));
        std::fs::create_dir(&group).context("cannot make a control group; run as root")?;
        let (sink, events) = sync_channel(SINK_BATCHES);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ear = listen(events, Arc::clone(&heard));
        let mut watch = Self { group, probe: None, heard, ear: Some(ear) };
        let mut config = ProbeConfig::new(Scope::Cgroup(watch.group.clone()));
        config.max_tier = Some(Tier::Tracing);
        let probe = start(config, sink)?;
        let tier = probe.coverage().tier;
        watch.probe = Some(probe);
        if tier != Tier::Tracing {
            bail!("tier 2 is not to be had here (`metsuke-sensor probe` says why)");
        }
        Ok(watch)
    }

    /// The control group above all rooms.
    pub fn group(&self) -> &Path {
        &self.group
    }

    /// What was told of the room whose control group is `group`, everything included that happened
    /// before this call: a program with a name of its own is run there and waited for.
    pub fn of(&self, group: &Path) -> Result<Vec<Event>> {
        let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mark = format!("metsuke-mark-{name}");
        let join = format!("echo $$ > {}/cgroup.procs && exec true {mark}", group.display());
        Command::new("/bin/sh").args(["-c", &join]).status()?;
        let deadline = Instant::now() + PATIENCE;
        let ended = |event: &Event| {
            event.activity.kind() == Kind::ProcessExit
                && event.process.cmd_line.as_deref().is_some_and(|line| line.ends_with(&mark))
        };
        loop {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.told.get(&name).is_some_and(|events| events.iter().any(ended)) {
                return Ok(heard.told.remove(&name).unwrap_or_default());
            }
            drop(heard);
            if !self.probe.as_ref().is_some_and(Probe::is_running) {
                bail!("the sensor's probe ended");
            }
            if Instant::now() > deadline {
                bail!("the sensor did not tell of {mark}");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What was told of that room since it was asked for last; nothing is waited for.
    pub fn take(&self, group: &Path) -> Vec<Event> {
        let name = group.file_name().unwrap_or_default().to_string_lossy();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.told.remove(name.as_ref()).unwrap_or_default()
    }

    /// Losses the sensor told of.
    pub fn lost(&self) -> u64 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).lost
    }
}

fn listen(events: Receiver<Vec<Event>>, heard: Arc<Mutex<Heard>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for batch in events {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            for event in batch {
                heard.take(event);
            }
        }
    })
}

impl Heard {
    fn take(&mut self, event: Event) {
        if let Activity::Health(health) = &event.activity {
            self.lost += health.lost.unwrap_or(0);
        }
        let group = event.process.cgroup.as_deref().unwrap_or_default();
        let name = group.rsplit('/').next().unwrap_or_default().to_owned();
        self.told.entry(name).or_default().push(event);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.probe.take());
        // The probe is gone, so is its end of the channel.
        let _ = self.ear.take().map(JoinHandle::join);
        // Rooms have removed theirs; a failure here leaves an empty group behind and nothing else.
        let _ = std::fs::remove_dir(&self.group);
    }
}
