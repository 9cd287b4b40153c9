//! `metsuke-server run`: builds the parts, starts them, stops them in order.
//!
//! Invariant: stop is intake first, then detection, then the lake; each has a deadline.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use metsuke_api::ports::Facts;
use metsuke_api::{Parts, Transport};
use metsuke_catalog::{ArtifactsKept, Catalog};
use metsuke_control::trials::Trials;
use metsuke_control::{Control, Library};
use metsuke_detect::Engine;
use metsuke_event::Event;
use metsuke_indicators::{Indicators, Packs, Worker};
use metsuke_ingest::{
    ArtifactFolder, Detector, DetectorError, Engines, Intake, Metrics, Recordings, SensorHandler,
    Store,
};
use metsuke_lake::{Lake, LakeConfig};
use metsuke_link::ca::Authority;
use metsuke_link::server::{ServeError, ServerConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::DataFolder;
use crate::content;
use crate::history::LakeHistory;
use crate::past::LakePast;
use crate::ready::{Ready, ReadyFile};
use crate::recordings::IngestRecordings;
use crate::responses::ControlResponses;
use crate::status::ServerStatus;
use crate::store::LakeStore;
use crate::telemetry::LakeTelemetry;

/// How long HTTP requests under way, and then detection, get to finish at stop.
const HTTP_DRAIN: Duration = Duration::from_secs(5);
const DETECT_DRAIN: Duration = Duration::from_secs(30);
/// How long what goes on without its client gets.
const TASKS_DRAIN: Duration = Duration::from_secs(10);
const LAKE_CLOSE: Duration = Duration::from_mins(1);
/// How often old hits are forgotten, and how many are kept (about 1 KB each).
const PRUNE_EVERY: Duration = Duration::from_mins(5);
const HITS_KEPT: u64 = 500_000;
/// Sightings kept (about 500 bytes each); each indicator keeps its earliest beyond that.
const SIGHTINGS_KEPT: u64 = 1_000_000;

/// Where detection keeps its state, in the data folder.
const DETECTION_STATE: &str = "detection.state";

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// Where console and API listen; loopback only, since it is plain HTTP.
    #[arg(long, default_value = "127.0.0.1:7680")]
    http: SocketAddr,
    /// Where sensors connect to (mutual TLS).
    #[arg(long, default_value = "127.0.0.1:7681")]
    link: SocketAddr,
    /// Put a fresh enrolment token and an API token into ready.json.
    #[arg(long)]
    bootstrap: bool,
    /// Days that artifacts of endpoints are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    artifacts_days: u32,
    /// GiB of artifacts kept in all; beyond them the oldest go.
    #[arg(long, value_name = "GIB", default_value_t = 100)]
    artifacts_gib: u32,
}

impl RunArguments {
    fn artifacts_kept(&self) -> ArtifactsKept {
        ArtifactsKept {
            age: Duration::from_secs(u64::from(self.artifacts_days) * 86_400),
            bytes: u64::from(self.artifacts_gib) << 30,
        }
    }
}

/// What is open before anything is served.
struct Opened {
    catalog: Catalog,
    lake: Lake,
    authority: Arc<Authority>,
    library: Library,
    control: Control,
    artifacts: ArtifactFolder,
    indicators: Indicators,
    recordings: Recordings,
}

/// The door to recordings, with engines that have the content of the moment.
fn recordings(lake: &Lake, catalog: &Catalog, library: &Library) -> Recordings {
    let store: Arc<dyn Store> = Arc::new(LakeStore(lake.clone()));
    let library = library.clone();
    let engines: Engines = Arc::new(move || {
        let force = library.in_force();
        let mut engine = Engine::new(Arc::clone(&force.rules));
        engine.lay(Arc::clone(&force.overlay));
        engine
    });
    Recordings::new(store, catalog.clone(), engines)
}

async fn open(folder: &Path) -> Result<(Opened, Worker)> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let lake = Lake::open(LakeConfig::new(folder.join("lake"))).await?;
    // After the lake: its lock says that no other server runs here.
    ReadyFile::clear(folder);
    let catalog = Catalog::open(&folder.join("catalog.db")).await?;
    let authority = Arc::new(Authority::open(&folder.join("ca"))?);
    let library = Library::open(catalog.clone(), content::shipped()).await?;
    let policy = metsuke_control::current_policy(&catalog).await?;
    let control = Control::new(catalog.clone(), &library, policy);
    let artifacts = ArtifactFolder::open(&folder.join("artifacts"))
        .context("the folder of artifacts cannot be made")?;
    let (indicators, worker) =
        Indicators::open(catalog.clone(), &folder.join("indicators")).await?;
    let recordings = recordings(&lake, &catalog, &library);
    let opened =
        Opened { catalog, lake, authority, library, control, artifacts, indicators, recordings };
    Ok((opened, worker))
}

/// Runs the server until a signal.
pub(crate) async fn run(arguments: RunArguments) -> Result<()> {
    anyhow::ensure!(
        arguments.http.ip().is_loopback(),
        "--http {} is not a loopback address, and this is plain HTTP; put a TLS proxy before it",
        arguments.http
    );
    let folder = arguments.folder.data.clone();
    let (opened, worker) = open(&folder).await?;
    let http = listen(arguments.http, "--http").await?;
    let link = listen(arguments.link, "--link").await?;
    let (http_addr, link_addr) = (http.local_addr()?, link.local_addr()?);

    let stop = CancellationToken::new();
    let give_up = CancellationToken::new();
    let metrics: Arc<Metrics> = Arc::default();
    let store: Arc<dyn Store> = Arc::new(LakeStore(opened.lake.clone()));
    let mut detector = Detector::new(
        &opened.library,
        opened.catalog.clone(),
        Arc::clone(&metrics),
        give_up.clone(),
    )
    .keeping(folder.join(DETECTION_STATE))
    .watching(opened.indicators.lookout());
    let unseen = metsuke_ingest::replay(&mut detector, &store).await?;
    tracing::info!(unseen, "detection has caught up");

    let (sender, receiver) = Detector::queue();
    let handler = handler(&opened, store, (sender, Arc::clone(&metrics)));
    let link_config = ServerConfig::default();
    let status = ServerStatus {
        metrics,
        link: Arc::clone(&link_config.counters),
        lake: opened.lake.clone(),
        control: opened.control.clone(),
        indicators: opened.indicators.clone(),
        folder,
    };
    let router = metsuke_api::router(parts(&opened, status, (http_addr, link_addr), &stop));
    let tasks = Tasks {
        detect: task(detector.run(receiver)),
        link: task(metsuke_link::server::serve(
            link,
            Arc::clone(&opened.authority),
            Arc::new(handler),
            link_config,
            stop.clone(),
        )),
        http: task({
            let stopped = stop.clone().cancelled_owned();
            async move { axum::serve(http, router).with_graceful_shutdown(stopped).await }
        }),
        indicators: task({
            let history = Arc::new(LakeHistory(opened.lake.clone()));
            worker.run(history, stop.clone())
        }),
        upkeep: task(upkeep(
            (opened.catalog.clone(), opened.lake.clone()),
            (opened.control.clone(), opened.indicators.packs()),
            (opened.artifacts.clone(), arguments.artifacts_kept()),
            stop.clone(),
        )),
    };
    let ready = announce(&arguments, &opened, (http_addr, link_addr)).await?;
    let failure = wait(&tasks).await;
    drop(ready);
    let stopped = tasks.stop(&stop, &give_up).await;
    close(opened).await?;
    failure.and(stopped)
}

fn handler(
    opened: &Opened,
    store: Arc<dyn Store>,
    (sender, metrics): (mpsc::Sender<Vec<Event>>, Arc<Metrics>),
) -> SensorHandler {
    let intake = Intake::new(store, Arc::clone(&metrics));
    let (catalog, control) = (opened.catalog.clone(), opened.control.clone());
    SensorHandler::new(catalog, control, intake, (sender, metrics))
        .keeping(opened.artifacts.clone())
        .watching(opened.indicators.clone())
}

async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; stop what listens there, or give another {option}")
    })
}

fn parts(
    opened: &Opened,
    status: ServerStatus,
    (http, link): (SocketAddr, SocketAddr),
    stop: &CancellationToken,
) -> Parts {
    let port = http.port();
    let names = [http.ip().to_string(), "127.0.0.1".into(), "localhost".into(), "[::1]".into()];
    Parts {
        catalog: opened.catalog.clone(),
        library: opened.library.clone(),
        trials: Trials::new(
            opened.library.clone(),
            opened.catalog.clone(),
            Arc::new(LakePast { lake: opened.lake.clone(), metrics: Arc::clone(&status.metrics) }),
            stop.clone(),
        ),
        telemetry: Arc::new(LakeTelemetry(opened.lake.clone())),
        responses: Arc::new(ControlResponses(opened.control.clone())),
        recordings: Arc::new(IngestRecordings(opened.recordings.clone())),
        artifacts: {
            let artifacts = opened.artifacts.clone();
            Arc::new(move |sha256: &str| artifacts.path(sha256))
        },
        uninstall: {
            let authority = Arc::clone(&opened.authority);
            Arc::new(move |endpoint, expires| {
                authority.signing().uninstall_token(endpoint, expires)
            })
        },
        indicators: opened.indicators.clone(),
        status: Arc::new(status),
        facts: Facts {
            policy_version: opened.control.policy().version.to_string(),
            ca_fingerprint: opened.authority.fingerprint(),
            link_addr: link.to_string(),
        },
        transport: Transport::PlainLoopback,
        allowed_hosts: names.into_iter().map(|name| format!("{name}:{port}")).collect(),
        stop: stop.clone(),
    }
}

async fn announce(
    arguments: &RunArguments,
    opened: &Opened,
    (http, link): (SocketAddr, SocketAddr),
) -> Result<ReadyFile> {
    let first_admin = crate::admin::first(&opened.catalog).await?;
    let (enrolment_token, api_token) = if arguments.bootstrap {
        let (enrolment, api) = crate::admin::bootstrap(&opened.catalog).await?;
        (Some(enrolment), Some(api))
    } else {
        (None, None)
    };
    let ready = Ready {
        console_url: format!("http://{http}"),
        link_addr: link.to_string(),
        ca_fingerprint: opened.authority.fingerprint(),
        first_admin,
        enrolment_token,
        api_token,
        pid: std::process::id(),
    };
    let file = ReadyFile::write(&arguments.folder.data, &ready)?;
    tracing::info!(console = ready.console_url, link = ready.link_addr, "listening");
    Ok(file)
}

/// Expires plans, sends sensors content and indicators, forgets old hits, old health and old
/// artifacts, asks how common values are, until `stop`.
async fn upkeep(
    (catalog, lake): (Catalog, Lake),
    (control, packs): (Control, watch::Receiver<Arc<Packs>>),
    (artifacts, kept): (ArtifactFolder, ArtifactsKept),
    stop: CancellationToken,
) {
    let prune = async {
        while stop.run_until_cancelled(tokio::time::sleep(PRUNE_EVERY)).await.is_some() {
            match catalog.prune_hits(HITS_KEPT).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::warn!(forgotten, "old hits were forgotten"),
                Err(error) => tracing::error!(%error, "old hits cannot be forgotten"),
            }
            if let Err(error) = catalog.prune_counts(metsuke_catalog::clock::now()).await {
                tracing::error!(%error, "old counts of hits cannot be forgotten");
            }
            match catalog.prune_sightings(SIGHTINGS_KEPT).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::warn!(forgotten, "old sightings were forgotten"),
                Err(error) => tracing::error!(%error, "old sightings cannot be forgotten"),
            }
            if let Err(error) = catalog.prune_health(metsuke_catalog::clock::now()).await {
                tracing::error!(%error, "old health of endpoints cannot be forgotten");
            }
            match artifacts.prune(&catalog, kept).await {
                Ok(0) => {}
                Ok(forgotten) => tracing::warn!(forgotten, "old artifacts were thrown away"),
                Err(error) => tracing::error!(%error, "old artifacts cannot be thrown away"),
            }
        }
    };
    let asked = crate::reach::until(catalog.clone(), lake, stop.clone());
    tokio::join!(
        control.expire_until(stop.clone()),
        control.push_until(stop.clone()),
        control.distribute_until(packs, stop.clone()),
        prune,
        asked
    );
}

/// The one door to tasks: whoever starts one here owns it in [`Tasks`], which looks at its end.
#[expect(clippy::disallowed_methods, reason = "the door")]
fn task<T: Send + 'static>(body: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(body)
}

/// The parts that run. Each is owned here and awaited at stop.
struct Tasks {
    detect: JoinHandle<Result<(), DetectorError>>,
    link: JoinHandle<Result<(), ServeError>>,
    http: JoinHandle<std::io::Result<()>>,
    indicators: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

/// Until a signal, or a part that ended by itself: that is a failure.
async fn wait(tasks: &Tasks) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut look = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = look.tick() => {
                if let Some(part) = tasks.ended() {
                    anyhow::bail!(
                        "{part} ended by itself, and the server with it; the log says why. \
                         What is stored is kept: start it again"
                    );
                }
            }
        }
    }
    tracing::info!("stopping");
    Ok(())
}

impl Tasks {
    /// The part that ended although nobody had stopped it.
    fn ended(&self) -> Option<&'static str> {
        let parts = [
            ("detection", self.detect.is_finished()),
            ("the link", self.link.is_finished()),
            ("HTTP", self.http.is_finished()),
            ("the indicators' worker", self.indicators.is_finished()),
            ("upkeep", self.upkeep.is_finished()),
        ];
        parts.into_iter().find_map(|(part, is_over)| is_over.then_some(part))
    }

    /// Stops intake, then detection. All are stopped, also when one of them broke down.
    async fn stop(self, stop: &CancellationToken, give_up: &CancellationToken) -> Result<()> {
        stop.cancel();
        let link = end("the link", self.link.await);
        let http = if let Ok(http) = tokio::time::timeout(HTTP_DRAIN, self.http).await {
            end("HTTP", http)
        } else {
            tracing::warn!("requests were still open; they are cut off");
            Ok(())
        };
        let indicators =
            end("the indicators' worker", self.indicators.await.map(Ok::<(), DetectorError>));
        let upkeep = end("upkeep", self.upkeep.await.map(Ok::<(), DetectorError>));
        // The handler is gone, and with it the queue's sender: detection ends by itself.
        let mut detect = self.detect;
        let detect = if let Ok(result) = tokio::time::timeout(DETECT_DRAIN, &mut detect).await {
            end("detection", result)
        } else {
            tracing::warn!("detection did not finish in time; the next start replays");
            give_up.cancel();
            Ok(())
        };
        detect.and(link).and(http).and(indicators).and(upkeep)
    }
}

/// How a part ended; said here, for only the first failure becomes the program's.
fn end<E>(part: &'static str, ended: Result<Result<(), E>, JoinError>) -> Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let ended = match ended {
        Ok(result) => result.with_context(|| format!("{part} failed")),
        Err(error) => Err(error).with_context(|| format!("{part} broke down")),
    };
    ended.inspect_err(|error| tracing::error!("{error:#}"))
}

async fn close(opened: Opened) -> Result<()> {
    let under_way = async { tokio::join!(opened.recordings.stopped(), opened.library.stopped()) };
    if tokio::time::timeout(TASKS_DRAIN, under_way).await.is_err() {
        tracing::warn!("events of a recording or a change of content were still being stored");
    }
    let closed = tokio::time::timeout(LAKE_CLOSE, opened.lake.close()).await;
    opened.catalog.close().await;
    closed.context("the lake did not close in time; the next start recovers it")??;
    tracing::info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests;
