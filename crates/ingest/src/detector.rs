//! The detect stage: one engine, fed in order, its findings stored with the watermark.

mod state;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError, Detected, Watermark};
use metsuke_control::Library;
use metsuke_control::library::InForce;
use metsuke_detect::Engine;
use metsuke_event::{BootId, EndpointId, Event};
use metsuke_indicators::Lookout;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::checkpoint::Checkpoint;
use crate::lull::{Lull, Ticks};
use crate::metrics::{Metrics, add, sub};
use crate::names::Names;
use crate::sighted::Watch;
use crate::store::StoreError;
use state::State;

/// Batches that may wait for detection; with the link's largest batch some hundred thousand
/// activities. A full queue makes intake wait, and so the sensors.
const QUEUE_BATCHES: usize = 64;
/// Activities observed before their findings are stored: bounds one transaction.
const CHUNK_EVENTS: usize = 10_000;
/// How long to wait before findings that the catalog could not take are stored again.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// How often a checkpoint is written while activities come: what came since is read again after a
/// crash.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);
/// At least so many times what writing one took lies between two: 2 % of the time at most.
const CHECKPOINT_REST: u32 = 50;

/// About one activity of so many is measured: reading the clock around each filter that is asked
/// makes that one a few times as dear.
const MEASURED_OF: u32 = 256;
/// CPU time per activity above which a detection is put to sleep, in nanoseconds: alone it would keep a
/// processor busy with a thousand activities a second.
const TOO_DEAR_NANOS: u64 = 1_000_000;
/// How often what was measured is made known.
const PROFILE_EVERY: Duration = Duration::from_secs(30);

/// Why detection stopped.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The store could not be read for the replay.
    #[error("what detection had not seen cannot be read")]
    Store(#[from] StoreError),
    /// The watermark could not be read.
    #[error("the detect watermark cannot be read")]
    Catalog(#[from] CatalogError),
    /// The engine died.
    #[error("the detection engine failed")]
    Engine(#[from] tokio::task::JoinError),
    /// It was told to stop.
    #[error("detection was stopped")]
    Stopped,
}

/// Where checkpoints go, and when the next is due.
struct Checkpoints {
    path: PathBuf,
    due: Instant,
}

/// The detect stage. Made with [`Detector::start`]; fed by its sender.
pub struct Detector {
    state: Option<Box<State>>,
    content: watch::Receiver<Arc<InForce>>,
    checkpoints: Option<Checkpoints>,
    /// When what was measured is made known next.
    profile_due: Instant,
    catalog: Catalog,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector").finish_non_exhaustive()
    }
}

impl Detector {
    /// A detector of what is in force of `library`, that has seen nothing. `stop` ends its retries,
    /// nothing else.
    pub fn new(
        library: &Library,
        catalog: Catalog,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let mut content = library.follow();
        let force = Arc::clone(&content.borrow_and_update());
        let mut engine = Engine::new(Arc::clone(&force.rules));
        engine.measure(thread_nanos, MEASURED_OF, Some(TOO_DEAR_NANOS));
        engine.lay(Arc::clone(&force.overlay));
        let state = Box::new(State {
            engine,
            names: Names::default(),
            seen: HashMap::new(),
            watch: Watch::default(),
            lull: Lull::default(),
        });
        let (state, checkpoints, profile_due) = (Some(state), None, Instant::now());
        Self { state, content, checkpoints, profile_due, catalog, metrics, stop }
    }

    /// Keeps checkpoints in the file `path`, and goes on there after a restart.
    #[must_use]
    pub fn keeping(mut self, path: PathBuf) -> Self {
        self.checkpoints = Some(Checkpoints { path, due: Instant::now() + CHECKPOINT_EVERY });
        self
    }

    /// Reckons time that goes by without activities by `clock`, and looks at it `every` so often.
    #[must_use]
    pub fn reckoning(mut self, clock: Ticks, every: Duration) -> Self {
        if let Some(state) = &mut self.state {
            state.lull = Lull::new(clock, every);
        }
        self
    }

    /// Meets what comes with the indicators too.
    #[must_use]
    pub fn watching(mut self, lookout: Lookout) -> Self {
        if let Some(state) = &mut self.state {
            state.watch.lookout = Some(lookout);
        }
        self
    }

    /// What the catalog's watermarks stand at was met with the indicators before the restart.
    pub(crate) fn met(&mut self, stored: &HashMap<(EndpointId, BootId), Watermark>) {
        if let Some(state) = &mut self.state {
            state.watch.met = stored.iter().map(|(boot, mark)| (*boot, mark.seq)).collect();
        }
    }

    /// The queue intake feeds.
    pub fn queue() -> (mpsc::Sender<Vec<Event>>, mpsc::Receiver<Vec<Event>>) {
        mpsc::channel(QUEUE_BATCHES)
    }

    /// Observes what comes, until every sender is gone: what waits then is still seen.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Vec<Event>>) -> Result<(), DetectorError> {
        loop {
            let every = self.state.as_ref().map_or(CHECKPOINT_EVERY, |state| state.lull.every());
            match tokio::time::timeout(every, queue.recv()).await {
                Ok(Some(mut events)) => {
                    while events.len() < CHUNK_EVENTS
                        && let Ok(more) = queue.try_recv()
                    {
                        events.extend(more);
                    }
                    let waiting = events.len();
                    self.observe(events).await?;
                    sub(&self.metrics.detect_waiting, waiting);
                }
                Ok(None) => break,
                Err(_) => {}
            }
            // What waits in the queue may be what must not come.
            if queue.is_empty() {
                self.wait().await?;
            }
            self.tell_costs();
            if self.checkpoints.as_ref().is_some_and(|kept| Instant::now() >= kept.due) {
                self.checkpoint().await?;
            }
        }
        self.checkpoint().await
    }

    /// Writes a checkpoint, where they are kept. All that was seen is stored: [`Self::observe`] sees
    /// to it. One that cannot be written is told; the one before stays.
    async fn checkpoint(&mut self) -> Result<(), DetectorError> {
        let (Some(kept), Some(state)) = (&self.checkpoints, self.state.take()) else {
            return Ok(());
        };
        let (path, begun) = (kept.path.clone(), Instant::now());
        let work = tokio::task::spawn_blocking(move || {
            let checkpoint =
                Checkpoint { marks: state.seen.clone(), engine: state.engine.checkpoint() };
            (checkpoint.write(&path), path, state)
        });
        let (written, path, state) = work.await?;
        self.state = Some(state);
        match written {
            Ok(bytes) => {
                self.metrics.checkpoints.fetch_add(1, Ordering::Relaxed);
                self.metrics.checkpoint_bytes.store(bytes as u64, Ordering::Relaxed);
            }
            Err(error) => {
                self.metrics.checkpoint_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(path = %path.display(), %error, "a checkpoint of detection cannot be \
                    written; a restart reads more history again");
            }
        }
        let rest = CHECKPOINT_EVERY.max(begun.elapsed() * CHECKPOINT_REST);
        if let Some(kept) = &mut self.checkpoints {
            kept.due = Instant::now() + rest;
        }
        Ok(())
    }

    /// Goes on at the checkpoint, when there is one that `stored` (the catalog's watermarks) has not
    /// fallen behind. Whatever keeps it from that is told, and detection begins without state.
    pub(crate) async fn resume(
        &mut self,
        stored: &HashMap<(EndpointId, BootId), Watermark>,
    ) -> Result<(), DetectorError> {
        let Some(kept) = &self.checkpoints else { return Ok(()) };
        let (path, rules) = (kept.path.clone(), Arc::clone(&self.content.borrow().rules));
        let work = tokio::task::spawn_blocking(move || {
            let checkpoint = Checkpoint::read(&path).map_err(|error| error.to_string())?;
            let Some(Checkpoint { marks, engine }) = checkpoint else { return Ok(None) };
            let restored = Engine::restore(&rules, &engine).map_err(|error| error.to_string())?;
            Ok::<_, String>(Some((marks, restored)))
        });
        let (mut marks, (mut engine, restored)) = match work.await? {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(why) => {
                tracing::warn!(
                    why,
                    "the checkpoint of detection is not used; history is read again"
                );
                return Ok(());
            }
        };
        let is_ahead = |(boot, seq): (&(EndpointId, BootId), &u64)| {
            stored.get(boot).is_some_and(|mark| mark.seq < *seq)
        };
        if marks.iter().any(is_ahead) || (stored.is_empty() && !marks.is_empty()) {
            tracing::warn!(
                "the checkpoint of detection is newer than the catalog, which came from a backup; \
                 it is not used and history is read again"
            );
            return Ok(());
        }
        marks.retain(|boot, _| stored.contains_key(boot));
        engine.measure(thread_nanos, MEASURED_OF, Some(TOO_DEAR_NANOS));
        engine.lay(Arc::clone(&self.content.borrow().overlay));
        tracing::info!(taken = restored.taken, dropped = restored.dropped, "detection goes on");
        let (watch, lull) =
            self.state.take().map(|state| (state.watch, state.lull)).unwrap_or_default();
        let names = Names::default();
        self.state = Some(Box::new(State { engine, names, seen: marks, watch, lull }));
        Ok(())
    }

    /// The catalog's watermarks.
    pub(crate) async fn watermarks(
        &self,
    ) -> Result<HashMap<(EndpointId, BootId), Watermark>, CatalogError> {
        let marks = self.catalog.watermarks().await?;
        Ok(marks.into_iter().map(|mark| ((mark.endpoint, mark.boot), mark)).collect())
    }

    /// The endpoints of recordings: what is recorded has an engine of its own.
    pub(crate) async fn is_recorded(
        &self,
    ) -> Result<impl Fn(&EndpointId) -> bool + use<>, CatalogError> {
        let recorded = self.catalog.recorded_endpoints().await?;
        Ok(move |endpoint: &EndpointId| recorded.contains_key(endpoint))
    }

    /// Up to where `boot` was seen; `None` when nothing of it was.
    pub(crate) fn seen(&self, boot: (EndpointId, BootId)) -> Option<u64> {
        self.state.as_ref()?.seen.get(&boot).copied()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Observes `events` and stores what was found, with the watermark. Events seen before are
    /// passed over. Content that was changed meanwhile is in force from the first of them on.
    pub(crate) async fn observe(&mut self, events: Vec<Event>) -> Result<(), DetectorError> {
        let mut state = self.state.take().ok_or(DetectorError::Stopped)?;
        let changed = self.content.has_changed().unwrap_or(false);
        let force = changed.then(|| Arc::clone(&self.content.borrow_and_update()));
        let work = tokio::task::spawn_blocking(move || {
            if let Some(force) = force {
                *state = state.with(&force);
            }
            let found = state.observe(&events);
            (state, found, events.len())
        });
        let (state, found, count) = work.await?;
        self.metrics.engine(&state.engine.counters());
        self.state = Some(state);
        add(&self.metrics.detected, count);
        self.store(found).await
    }

    /// Makes known what detections cost, now and then.
    fn tell_costs(&mut self) {
        if Instant::now() < self.profile_due {
            return;
        }
        self.profile_due = Instant::now() + PROFILE_EVERY;
        let profile = self.state.as_ref().and_then(|state| state.engine.profile());
        let costs = profile.iter().flat_map(|profile| &profile.costs);
        for cost in costs.filter(|cost| cost.asleep) {
            let id = &cost.detection.id;
            tracing::warn!(id, "a detection is too dear and sleeps until the content changes");
        }
        *self.metrics.profile.lock().unwrap_or_else(PoisonError::into_inner) = profile;
    }

    /// Stores what strikes because time went by, when it is time to look.
    async fn wait(&mut self) -> Result<(), DetectorError> {
        let Some(state) = &mut self.state else { return Err(DetectorError::Stopped) };
        if !state.lull.is_due() || state.engine.waiting() == 0 {
            return Ok(());
        }
        let mut state = self.state.take().ok_or(DetectorError::Stopped)?;
        let work = tokio::task::spawn_blocking(move || {
            let found = state.wait();
            (state, found)
        });
        let (state, found) = work.await?;
        self.metrics.engine(&state.engine.counters());
        self.state = Some(state);
        self.store(found).await
    }

    async fn store(&mut self, found: Detected) -> Result<(), DetectorError> {
        if found.is_empty() {
            return Ok(());
        }
        let hits = found.hits.len() + found.late.len();
        loop {
            match self.catalog.store_detected(now(), found.clone()).await {
                Ok(stored) => {
                    add(&self.metrics.hits, hits);
                    add(&self.metrics.alerts, stored.changed.len());
                    // Intake knows those boots still, so nothing of them comes twice.
                    if let Some(state) = &mut self.state {
                        state.seen.retain(|boot, _| !stored.forgotten.contains(boot));
                    }
                    return Ok(());
                }
                Err(error) => {
                    add(&self.metrics.store_retries, 1);
                    tracing::error!(error = &error as &dyn std::error::Error, "storing findings");
                }
            }
            let wait = tokio::time::sleep(STORE_RETRY);
            if self.stop.run_until_cancelled(wait).await.is_none() {
                return Err(DetectorError::Stopped);
            }
        }
    }
}

/// CPU time of this thread.
fn thread_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use metsuke_catalog::MAX_BOOTS;
    use metsuke_event::{EventId, Kind};

    use super::*;

    #[tokio::test]
    async fn no_more_boots_are_remembered_than_have_a_watermark() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let library = Library::open(catalog.clone(), Vec::new()).await.unwrap();
        let stop = CancellationToken::new();
        let mut detector = Detector::new(&library, catalog, Arc::default(), stop);
        for boot in 1..=u128::try_from(MAX_BOOTS).unwrap() + 6 {
            let mut event = Event::empty(Kind::ProcessExec);
            let boot = BootId::from_u128(boot);
            event.id = EventId { boot, seq: 1, ..EventId::default() };
            event.received = Some(now());
            detector.observe(vec![event]).await.unwrap();
        }
        let state = detector.state.as_ref().unwrap();
        assert_eq!(state.seen.len(), MAX_BOOTS);
    }
}
