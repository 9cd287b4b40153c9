//! The probe's thread: chooses the tier, then drains it until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use metsuke_event::coverage::{Coverage, Tier};
use metsuke_event::{Event, Timestamp};

use crate::cgroups::Bounds;
use crate::config::ProbeConfig;
use crate::coverage;
use crate::emit::Notice;
use crate::error::ProbeError;
use crate::host;
use crate::report::{self, Report, Reporter};
use crate::stats::{Counters, Stats};
use crate::system::{self, Listeners};
use crate::tier2::{self, Tracing};
use crate::tier3::Interfaces;
use crate::world::World;

/// How often the kernel's queue is drained: batches are cheap, and 10 ms is no delay to a person.
const DRAIN: Duration = Duration::from_millis(10);

const THREAD: &str = "metsuke-probe";

/// What a probe counts, readable from anywhere and also after its end.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counters>);

impl Meter {
    /// What the probe has counted since its start.
    pub fn stats(&self) -> Stats {
        self.0.snapshot()
    }

    /// Hooks in the kernel that were attached at the start and are not now, each by its name with why:
    /// over its budget, or taken away by somebody; and tables that somebody took or changed for good.
    /// What they see or hold is not seen meanwhile.
    pub fn hooks_off(&self) -> Vec<String> {
        self.0.hooks_off()
    }

    /// The wall-clock time of boot by which the probe tells times: an activity's time minus this is
    /// its time since boot, which is the same for every probe. Follows a clock that is set.
    pub fn boot_time(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.boot_time_ns.load(Ordering::Relaxed).cast_signed())
    }
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// When it was told to: everything it held is with the sink, or was shed and counted.
    InOrder,
    /// By a panic, before it was told to, or with a sink that nobody emptied: what it held may be lost,
    /// and nobody watched since.
    ByItself,
}

/// A running probe. Dropping it stops it.
#[derive(Debug)]
pub struct Probe {
    coverage: Coverage,
    counters: Arc<Counters>,
    reporter: Reporter,
    stop: Arc<AtomicBool>,
    /// Says whether everything was delivered.
    thread: Option<JoinHandle<bool>>,
}

impl Probe {
    /// What it can see here, found by trial at its start.
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// What it has counted since its start.
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }

    /// Its counters, for somebody else to read.
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.counters))
    }

    /// Where others tell it what they saw of a process.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Whether it watches. It ends by itself only when its sink's receiver is gone, or by a panic.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Takes its hooks away, drains what is queued and hands it over. Waits for the thread, and
    /// says how it ended. Have the sink read meanwhile: a full one is waited for five seconds, then
    /// what is left is lost.
    pub fn stop(mut self) -> ProbeEnd {
        self.end()
    }

    fn end(&mut self) -> ProbeEnd {
        let ran = self.is_running();
        self.stop.store(true, Ordering::Release);
        let joined = self.thread.take().map_or(Ok(false), JoinHandle::join);
        if joined.is_err() {
            tracing::error!("the probe's thread ended by a panic; its last events are lost");
        }
        if ran && matches!(joined, Ok(true)) { ProbeEnd::InOrder } else { ProbeEnd::ByItself }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts watching. Events come in batches with `id.boot` set, `id.seq` and `id.endpoint` zero.
/// Make the sink with `sync_channel(SINK_BATCHES)`; when it is full events are shed and counted,
/// when its receiver is dropped the probe ends.
///
/// # Errors
/// When the scope is none, or the host has no usable /proc.
pub fn start(config: ProbeConfig, sink: SyncSender<Vec<Event>>) -> Result<Probe, ProbeError> {
    let bounds = Bounds::resolve(&config.scope)?;
    let boot = host::boot_id()?;
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let world = World::new(&config, bounds, boot, sink, Arc::clone(&counters));
    let (ready, answer) = sync_channel(1);
    let (reporter, reports) = report::channel();
    let stopped = Arc::clone(&stop);
    let thread = Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || drain(&config, world, (&stopped, &reports), &ready))
        .map_err(|source| ProbeError::Thread { name: THREAD, source })?;
    let coverage = answer.recv().map_err(|_| ProbeError::Thread {
        name: THREAD,
        source: std::io::Error::other("it ended while it chose a tier"),
    })?;
    Ok(Probe { coverage, counters, reporter, stop, thread: Some(thread) })
}

/// Tries every hook once and takes it away again; reports what worked and what stays unseen.
///
/// # Errors
/// When the scope is none.
pub fn trial(config: &ProbeConfig) -> Result<Coverage, ProbeError> {
    let bounds = Bounds::resolve(&config.scope)?;
    let (source, mut coverage) = choose(config, &bounds);
    if matches!(source, Source::Tracing(_)) {
        coverage.hooks.extend(Interfaces::open(config).1);
    }
    system::report(config, &mut coverage, Listeners::open(config, &bounds).1);
    Ok(coverage)
}

/// Where observations come from, by tier.
enum Source {
    Tracing(Box<Tracing>),
    Interfaces(Box<Interfaces>),
}

impl Source {
    fn round(&mut self, world: &mut World) {
        match self {
            Self::Tracing(tracing) => tracing.round(world),
            Self::Interfaces(interfaces) => interfaces.round(world),
        }
    }

    fn wait(&self) {
        match self {
            Self::Tracing(tracing) => tracing.wait(DRAIN),
            Self::Interfaces(interfaces) => interfaces.wait(DRAIN),
        }
    }

    fn finish(&mut self, world: &mut World) {
        match self {
            Self::Tracing(tracing) => tracing.finish(world),
            Self::Interfaces(interfaces) => interfaces.round(world),
        }
    }
}

/// Tries tier by tier, best first; what is tried is attached when this returns.
fn choose(config: &ProbeConfig, bounds: &Bounds) -> (Source, Coverage) {
    let mut hooks = Vec::new();
    let best = config.max_tier.unwrap_or(Tier::Lsm);
    if best <= Tier::Lsm {
        hooks.push(tier2::try_lsm());
    }
    if best <= Tier::Tracing {
        let (tracing, trials) = Tracing::load(config, bounds);
        hooks.extend(trials);
        if let Some(tracing) = tracing {
            let sees = coverage::tracing(tracing.sees_modules());
            // Tier 1 enforces with the same eyes; until it does, the tier in force is 2.
            let report = coverage::report(Tier::Tracing, hooks, &sees);
            return (Source::Tracing(Box::new(tracing)), report);
        }
    }
    let (interfaces, trials) = Interfaces::open(config);
    hooks.extend(trials);
    let report = coverage::report(Tier::Interfaces, hooks, &interfaces.sees());
    (Source::Interfaces(Box::new(interfaces)), report)
}

/// Whether everything was delivered in the end.
fn drain(
    config: &ProbeConfig,
    mut world: World,
    (stop, reports): (&AtomicBool, &Receiver<Report>),
    ready: &SyncSender<Coverage>,
) -> bool {
    host::hasten();
    let (mut source, mut coverage) = choose(config, &world.bounds);
    let (mut listeners, trials) = Listeners::open(config, &world.bounds);
    system::report(config, &mut coverage, trials);
    world.emitter.set_tier(coverage.tier.number());
    // Hooks first, then the running processes: what starts in between is seen twice, never missed.
    world.seed();
    say(&mut world, "started");
    source.round(&mut world);
    // The receiver waits for this one message; if it is gone so is the caller.
    let _ = ready.send(coverage);
    while !stop.load(Ordering::Acquire) && !world.emitter.closed() {
        source.wait();
        let heard = listeners.take();
        source.round(&mut world);
        listeners.tell(&mut world, heard);
        report::tell(reports, &mut world);
        world.tick();
        world.emitter.flush();
    }
    let heard = listeners.take();
    source.finish(&mut world);
    listeners.tell(&mut world, heard);
    world.system_round(u64::MAX);
    report::tell(reports, &mut world);
    world.count();
    say(&mut world, "stopped");
    world.emitter.finish()
}

fn say(world: &mut World, reason: &'static str) {
    let now = host::now();
    world.emitter.notice(Notice { part: "probe", reason, from: now, to: now, ..Notice::default() });
}

#[cfg(test)]
mod tests {
    use super::{Arc, AtomicBool, Builder, Ordering, Probe, ProbeEnd, Reporter, Tier, coverage};

    /// A probe whose thread does `body`, which is given the word to stop.
    fn probe(body: impl FnOnce(&AtomicBool) -> bool + Send + 'static) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = Builder::new().spawn(move || body(&stopped)).expect("starts");
        let coverage = coverage::report(Tier::Interfaces, Vec::new(), &[]);
        let (counters, reporter) = (Arc::default(), Reporter::default());
        Probe { coverage, counters, reporter, stop, thread: Some(thread) }
    }

    fn wait_for(stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn delivers(stop: &AtomicBool) -> bool {
        wait_for(stop);
        true
    }

    #[test]
    fn only_a_probe_that_was_told_to_end_and_did_ended_in_order() {
        assert_eq!(probe(delivers).stop(), ProbeEnd::InOrder);
        let full = |stop: &AtomicBool| {
            wait_for(stop);
            false
        };
        assert_eq!(probe(full).stop(), ProbeEnd::ByItself, "nobody took the rest");
        let breaks = |stop: &AtomicBool| {
            wait_for(stop);
            panic!("a fault of the test")
        };
        assert_eq!(probe(breaks).stop(), ProbeEnd::ByItself, "while it handed over what it held");
        let early = probe(|_| true);
        while early.is_running() {
            std::thread::yield_now();
        }
        assert_eq!(early.stop(), ProbeEnd::ByItself, "before it was told");
    }
}
