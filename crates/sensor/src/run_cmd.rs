//! `metsuke-sensor run`: builds everything, runs it, and stops it in order.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use metsuke_event::Event;
use metsuke_guard::privileges::{self, StateOwner};
use metsuke_guard::senders::Senders;
use metsuke_guard::{Leash, memory, own_user};
use metsuke_link::Identity;
use metsuke_link::client::{Client, Delegate};
use metsuke_probe::{Probe, ProbeEnd};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::crossview;
use crate::delegate::Shared;
use crate::denials::Denials;
use crate::log_to_stderr;
use crate::task::Task;

mod build;
mod eyes;

/// The file that a running sensor holds locked in its state folder.
pub(crate) const LOCK: &str = "lock";
/// How long stopping waits for a reachable server to take what is in the spool.
const DRAIN: Duration = Duration::from_secs(10);
/// How often that is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How often the status file is written while nobody is connected to ask.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// How often memory that bursts left behind goes back to the kernel.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(15);

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the sensor keeps its state.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Watch and act only on processes in this control group (v2) or below it.
    #[arg(long, value_name = "PATH")]
    scope_cgroup: Option<PathBuf>,
    /// The best tier that may be used: 1, 2 or 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    max_tier: Option<u8>,
    /// Configuration file (JSON).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the proof-of-coverage exercise takes place.
    #[arg(long, value_name = "DIR")]
    poc_dir: Option<PathBuf>,
    /// Take over from the sensor that runs with the same state, without a gap.
    #[arg(long)]
    takeover: bool,
}

impl Args {
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    memory::make_frugal();
    // First of all: nothing else may have used standard input and output.
    let leash = Leash::take().context("the pipes to the guard cannot be taken")?;
    log_to_stderr();
    let config = Config::load(args.config.as_deref())?;
    let identity = Identity::load(&args.state)?;
    privileges::drop_most(owner(&args.state)?)
        .context("privileges that are not needed cannot be given up")?;
    let senders = Senders::watch().context("signals cannot be received")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (opened, lock) = if args.takeover {
        let opened = eyes::take_over(args, &config)?;
        (opened, lock(&args.state)?)
    } else {
        let lock = lock(&args.state)?;
        (eyes::open(args, &config), lock)
    };
    let own = build::Own { leash, senders: Some(senders) };
    let sensor = build::sensor(args, &config, identity, opened, own)?;
    let shared = Arc::clone(&sensor.parts.shared);
    crossview::start(&shared, eyes::scope(args, &config), config.crossview_minutes)?;
    let ran = runtime.block_on(sensor.run());
    drop(lock);
    if let Some((successor, cut)) = shared.care.handover()
        && let Err(error) = successor.let_go(cut)
    {
        tracing::error!(%error, "the sensor that was to take over is gone");
    }
    ran.map(|()| ExitCode::SUCCESS)
}

fn lock(state: &Path) -> anyhow::Result<File> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(state.join(LOCK))
        .context("the state folder cannot be written")?;
    lock.try_lock()
        .with_context(|| format!("another sensor runs with {}; stop it first", state.display()))?;
    Ok(lock)
}

fn owner(state: &Path) -> anyhow::Result<StateOwner> {
    use std::os::unix::fs::MetadataExt;
    let facts = std::fs::metadata(state).context("the state folder cannot be read")?;
    Ok(if facts.uid() == own_user() { StateOwner::Own } else { StateOwner::Other })
}

/// What is built, before it runs.
struct Sensor {
    client: Client,
    parts: Parts,
}

/// The probe, as far as keeping it and letting it go is concerned; a test has one of its own.
trait Eyes: Send {
    /// Whether it watches.
    fn are_open(&self) -> bool;
    /// Lets it hand over what it holds, and end.
    fn close(self: Box<Self>) -> ProbeEnd;
}

impl Eyes for Probe {
    fn are_open(&self) -> bool {
        self.is_running()
    }

    fn close(self: Box<Self>) -> ProbeEnd {
        self.stop()
    }
}

/// What runs beside the link.
struct Parts {
    shared: Arc<Shared>,
    probe: Option<Box<dyn Eyes>>,
    /// Keeps the pipeline going while there is no probe.
    sink: Option<SyncSender<Vec<Event>>>,
    /// Tells the pipeline how the probe ended.
    end: SyncSender<ProbeEnd>,
    work: SyncSender<()>,
    pipeline: JoinHandle<()>,
    executor: JoinHandle<()>,
    taker: JoinHandle<()>,
    /// What is denied, and told.
    denials: Option<Denials>,
    /// Looks after the sensor itself, until the flag is set.
    sentry: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

impl Sensor {
    async fn run(self) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let client = self.client.clone();
        let delegate: Arc<dyn Delegate> = Arc::clone(&self.parts.shared) as Arc<dyn Delegate>;
        let (spool, stopped) = (self.parts.shared.spool.clone(), stop.clone());
        let link =
            Task::start("the link", async move { client.run(spool, delegate, stopped).await });
        self.parts.run(link, stop).await
    }
}

impl Parts {
    /// Until a signal, or until a part ends by itself: that is a failure, which is returned when
    /// the others have stopped in order.
    async fn run(self, mut link: Task, stop: CancellationToken) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut look = tokio::time::interval(STATUS_EVERY);
        let mut give_back = tokio::time::interval(GIVE_BACK_EVERY);
        let failure = loop {
            tokio::select! {
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
                end = link.end() => break end.and_then(|()| Err(by_itself(link.name()))),
                () = self.shared.care.leave.notified() => break Ok(()),
                _ = give_back.tick() => memory::give_back(),
                _ = look.tick() => {
                    self.shared.care.pulse.main();
                    self.shared.health();
                    if let Some(part) = self.ended() {
                        break Err(by_itself(part));
                    }
                }
            }
        };
        match &failure {
            Ok(()) => {
                tracing::info!("stopping: no more is taken in, what there is is kept and sent");
            }
            Err(error) => tracing::error!("stopping: {error:#}"),
        }
        let stopped = self.stop(&stop).await;
        failure.and(stopped).and(link.end().await)
    }

    /// The part that ended although nobody had stopped it.
    fn ended(&self) -> Option<&'static str> {
        // The pipeline first: without it the probe ends too.
        let parts = [
            ("the pipeline", self.pipeline.is_finished()),
            ("the probe", self.probe.as_ref().is_some_and(|probe| !probe.are_open())),
            ("the executor of plans", self.executor.is_finished()),
            ("the taker of evidence", self.taker.is_finished()),
        ];
        parts.into_iter().find_map(|(name, is_over)| is_over.then_some(name))
    }

    /// Probe, then pipeline, then link; each gets its time.
    async fn stop(self, stop: &CancellationToken) -> anyhow::Result<()> {
        let Self { shared, probe, sink, end, work, pipeline, executor, taker, sentry, denials } =
            self;
        let kept = tokio::task::spawn_blocking(move || {
            // Before the pipeline, which tells its last words.
            if let Some((sentry, over)) = sentry {
                over.store(true, Ordering::Release);
                if sentry.join().is_err() {
                    tracing::error!("what looks after the sensor itself broke down");
                }
            }
            // Its last words go through the probe.
            drop(denials);
            let ended = probe.map_or(ProbeEnd::InOrder, Eyes::close);
            drop(sink);
            // A pipeline that broke down hears nothing; that is told below.
            let _ = end.send(ended);
            let pipeline = pipeline.join().map_err(|_| broke_down("the pipeline"));
            match ended {
                ProbeEnd::InOrder => pipeline,
                ProbeEnd::ByItself => pipeline.and(Err(broke_down("the probe"))),
            }
        })
        .await
        // Not returned at once: the link, too, is to be stopped.
        .unwrap_or_else(|error| Err(error).context("stopping broke down"));
        let drained = async {
            while shared.is_connected()
                && shared.spool.depth().events > 0
                && !shared.care.is_leaving()
            {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                "the server did not take everything in time; the rest stays in the spool"
            );
        }
        shared.inventory.stop();
        shared.health();
        stop.cancel();
        // The shared state holds the other senders: who carries out plans ends with the process.
        drop(work);
        drop((executor, taker));
        kept
    }
}

fn by_itself(part: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{part} ended by itself, and the sensor with it; the log says why. Start it again: what \
         is in the spool is kept, and of what may be missing the time is told to the server"
    )
}

fn broke_down(part: &str) -> anyhow::Error {
    anyhow::anyhow!("{part} broke down; the log says where")
}

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .with_context(|| format!("the thread {name} cannot be started"))
}

#[cfg(test)]
mod tests;
