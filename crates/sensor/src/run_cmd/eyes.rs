//! Opening the probe, or taking over from a sensor that has one open.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use metsuke_event::Event;
use metsuke_probe::{Meter, Probe, ProbeConfig, SINK_BATCHES, Scope, Throttle};

use super::Args;
use crate::config::{Config, ConfiguredScope};
use crate::known::Known;
use crate::probe_cmd;
use crate::takeover::{self, Passed};

/// The probe, or why there is none, and where what it sees comes out.
pub(super) struct Opened {
    pub(super) probe: anyhow::Result<Probe>,
    pub(super) sink: SyncSender<Vec<Event>>,
    pub(super) events: Receiver<Vec<Event>>,
    pub(super) throttle: Throttle,
    /// Leads to the deny list, once there is one.
    pub(super) known: Known,
    /// What was taken over from another sensor.
    pub(super) passed: Option<Passed>,
}

impl Opened {
    pub(super) fn meter(&self) -> Meter {
        self.probe.as_ref().map(Probe::meter).unwrap_or_default()
    }
}

/// Opens the probe; a host where nothing can be seen is told, no error.
pub(super) fn open(args: &Args, config: &Config) -> Opened {
    let (sink, events) = sync_channel(SINK_BATCHES);
    let known = Known::default();
    let mut probe_config = probe_config(args, config);
    probe_config.hashed = known.listener();
    let throttle = probe_config.throttle.clone();
    let probe = metsuke_probe::start(probe_config, sink.clone()).map_err(anyhow::Error::from);
    Opened { probe, sink, events, throttle, known, passed: None }
}

/// Opens the probe, and has the running sensor let go.
///
/// # Errors
/// When nothing can be seen, for then the running one is better; when none runs.
pub(super) fn take_over(args: &Args, config: &Config) -> anyhow::Result<Opened> {
    let mut opened = open(args, config);
    if let Err(error) = opened.probe {
        return Err(error.context("the running sensor goes on, for this one would see nothing"));
    }
    opened.passed = Some(takeover::take(&args.state, &opened.events)?);
    Ok(opened)
}

/// What is watched: by the command line, else by the configuration, else the whole host.
pub(super) fn scope(args: &Args, config: &Config) -> Scope {
    match (&args.scope_cgroup, &config.scope) {
        (Some(path), _) | (None, ConfiguredScope::Cgroup(path)) => Scope::Cgroup(path.clone()),
        (None, ConfiguredScope::Unsaid | ConfiguredScope::Host) => Scope::Host,
    }
}

fn probe_config(args: &Args, config: &Config) -> ProbeConfig {
    let mut probe = ProbeConfig::new(scope(args, config));
    probe.max_tier = args.max_tier.map(probe_cmd::tier);
    if let Some(sensitive) = config.sensitive() {
        probe.sensitive = sensitive;
    }
    probe.hooks.permille = config.hook_permille.unwrap_or(probe.hooks.permille);
    for watcher in config.unread() {
        probe.watchers.remove(&watcher);
    }
    probe
}
