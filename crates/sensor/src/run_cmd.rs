//! `metsuke-sensor run`: builds everything, runs it, and stops it in order.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use metsuke_enforce::{EnforceScope, PocPlace, Terminator};
use metsuke_event::{Event, Timestamp};
use metsuke_link::Identity;
use metsuke_link::client::{Backoff, Client, Delegate};
use metsuke_link::spool::watch::{Ending, Watch};
use metsuke_link::spool::{Sequence, SharedSpool, Spool, SpoolConfig};
use metsuke_probe::{Probe, ProbeConfig, ProbeEnd, SINK_BATCHES, Scope};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Enforce};
use crate::delegate::{self, NOTES_MAX, Setup, Shared};
use crate::edge::Content;
use crate::executor::{Executor, Means};
use crate::health::Note;
use crate::live::Live;
use crate::pipeline::Pipeline;
use crate::plans::Plans;
use crate::task::Task;
use crate::{facts, log_to_stderr, probe_cmd};

/// The file that a running sensor holds locked in its state folder.
pub(crate) const LOCK: &str = "lock";
/// How long stopping waits for a reachable server to take what is in the spool.
const DRAIN: Duration = Duration::from_secs(10);
/// How often that is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How often the status file is written while nobody is connected to ask.
const STATUS_EVERY: Duration = Duration::from_secs(2);

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
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let config = Config::load(args.config.as_deref())?;
    let identity = Identity::load(&args.state)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(args.state.join(LOCK))
        .context("the state folder cannot be written")?;
    lock.try_lock().with_context(|| {
        format!("another sensor runs with {}; stop it first", args.state.display())
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Sensor::new(args, &config, identity)?.run())?;
    drop(lock);
    Ok(ExitCode::SUCCESS)
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
}

impl Sensor {
    fn new(args: &Args, config: &Config, identity: Identity) -> anyhow::Result<Self> {
        let state = &args.state;
        let boot = metsuke_probe::boot_id()?;
        let enforcement = enforcement(args, config)?;
        let mut spool = SpoolConfig::new(state.join("spool"));
        spool.max_bytes = config.spool_max_bytes.unwrap_or(spool.max_bytes);
        spool.segment_bytes = spool.segment_bytes.min(spool.max_bytes / 4);
        let spool_dir = spool.dir.clone();
        let spool = SharedSpool::new(Spool::open(spool)?);
        let sequence = Sequence::open(&spool_dir, boot)?;
        let mut watch = Watch::open(&spool_dir)?;
        let before = watch.before();
        let plans = Plans::open(&state.join("plans")).context("the plans cannot be read")?;

        let (sink, events) = sync_channel(SINK_BATCHES);
        let ((end, told), (work, jobs)) = (sync_channel(1), sync_channel(1));
        let (notes, said) = sync_channel(NOTES_MAX);
        let probe = metsuke_probe::start(probe_config(args, config), sink.clone());
        let coverage = probe.as_ref().ok().map(Probe::coverage);
        let scope = args.scope_cgroup.as_ref();
        let setup = Setup {
            state: state.clone(),
            endpoint: identity.endpoint,
            boot,
            host: facts::host(),
            scope: scope.map_or_else(|| "host".to_owned(), |path| path.display().to_string()),
            enforcement: enforcement.as_ref().map_or_else(Clone::clone, ToString::to_string),
            started: facts::now(),
            coverage,
        };
        let content = Content::load(state);
        let meter = probe.as_ref().map(Probe::meter).unwrap_or_default();
        let stats = Box::new(move || meter.stats());
        let shared = delegate::Parts {
            setup,
            spool,
            probe: stats,
            work: work.clone(),
            notes,
            plans,
            content,
        };
        let shared = Arc::new(Shared::new(shared));
        note_the_past(&shared, &mut watch, before);
        let probe = probe.map_err(anyhow::Error::from);
        note_limits(&shared, &probe, &enforcement);
        let since = probe.is_ok().then(facts::ticks_since_boot).flatten();
        let live = Arc::new(Live::new(since.unwrap_or(u64::MAX), facts::now()));
        let pipeline =
            Pipeline { shared: Arc::clone(&shared), sequence, watch, live: Arc::clone(&live) };
        let means = Means {
            terminator: enforcement.map(|scope| Terminator::new(scope, boot)),
            poc: poc_place(args, config)?,
            live,
        };
        let executor = Executor::new(Arc::clone(&shared), means);
        Ok(Self {
            client: Client {
                identity,
                backoff: Backoff::default(),
                plan_news: Arc::clone(&shared.plan_news),
            },
            parts: Parts {
                sink: probe.is_err().then_some(sink),
                probe: probe.ok().map(|probe| Box::new(probe) as Box<dyn Eyes>),
                end,
                pipeline: thread("metsuke-pipeline", move || pipeline.run(&events, &said, &told))?,
                executor: thread("metsuke-executor", move || executor.run(&jobs))?,
                work,
                shared,
            },
        })
    }

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
        let failure = loop {
            tokio::select! {
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
                end = link.end() => break end.and_then(|()| Err(by_itself(link.name()))),
                _ = look.tick() => {
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
        ];
        parts.into_iter().find_map(|(name, is_over)| is_over.then_some(name))
    }

    /// Probe, then pipeline, then link; each gets its time.
    async fn stop(self, stop: &CancellationToken) -> anyhow::Result<()> {
        let Self { shared, probe, sink, end, work, pipeline, executor } = self;
        let kept = tokio::task::spawn_blocking(move || {
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
            while shared.is_connected() && shared.spool.depth().events > 0 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                "the server did not take everything in time; the rest stays in the spool"
            );
        }
        shared.health();
        stop.cancel();
        // The shared state holds the other sender, so the executor ends with the process.
        drop(work);
        drop(executor);
        kept
    }
}

/// Says since when nobody watched; a first run begins to say so.
fn note_the_past(shared: &Shared, watch: &mut Watch, before: Option<(Timestamp, Ending)>) {
    if let Some((kept, ending)) = before {
        shared.note(Note::down(kept, ending));
    } else if let Err(error) = watch.kept(shared.setup.started) {
        // Else a first run that is killed within its first second would leave no trace.
        tracing::warn!(%error, "the watch is not set");
    }
}

/// Says so when there is no probe, or nowhere to act.
fn note_limits(
    shared: &Shared,
    probe: &anyhow::Result<Probe>,
    enforcement: &Result<EnforceScope, String>,
) {
    if let Err(error) = probe {
        tracing::error!("nothing is seen on this host: {error:#}");
        shared.note(Note::blind(error));
        shared.trouble("probe", Some(format!("nothing is seen: {error:#}")));
    }
    if let Err(reason) = enforcement {
        shared.trouble("enforcement", Some(format!("no plan can end a process: {reason}")));
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

fn probe_config(args: &Args, config: &Config) -> ProbeConfig {
    let scope = args.scope_cgroup.clone().map_or(Scope::Host, Scope::Cgroup);
    let mut probe = ProbeConfig::new(scope);
    probe.max_tier = args.max_tier.map(probe_cmd::tier);
    if let Some(sensitive) = config.sensitive() {
        probe.sensitive = sensitive;
    }
    probe
}

/// Where the sensor may act; the inner error says why nowhere. A scope that was asked for and
/// cannot be used is an error of the command, never a wider scope.
fn enforcement(args: &Args, config: &Config) -> anyhow::Result<Result<EnforceScope, String>> {
    match (&args.scope_cgroup, config.enforce) {
        (Some(path), _) => Ok(Ok(EnforceScope::cgroup(path)?)),
        (None, Enforce::Host) => Ok(Ok(EnforceScope::Host)),
        (None, Enforce::Scope) => Ok(Err(
            "this sensor watches the whole host and has no scope to act in, so it only watches; \
             start it with --scope-cgroup, or set \"enforce\": \"host\" in its configuration"
                .to_owned(),
        )),
    }
}

fn poc_place(args: &Args, config: &Config) -> anyhow::Result<PocPlace> {
    let chosen = args.poc_dir.as_ref().or(config.poc_dir.as_ref());
    let dir = chosen.cloned().unwrap_or_else(|| args.state.join("poc"));
    Ok(PocPlace {
        dir: absolute(&dir)?,
        cgroup: args.scope_cgroup.clone(),
        sensor: std::env::current_exe().context("this program's own path is not known")?,
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no usable path", path.display()))
}

#[cfg(test)]
mod tests;
