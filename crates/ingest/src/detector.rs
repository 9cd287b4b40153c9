//! The detect stage: one engine, fed in order, its findings stored with the watermark.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError, Detected, MAX_BOOTS, Watermark};
use metsuke_detect::{Engine, Evicted, RuleSet};
use metsuke_event::{BootId, EndpointId, Event, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, add, set, sub};
use crate::names::Names;
use crate::store::{Store, StoreError};

/// Batches that may wait for detection; with the link's largest batch some hundred thousand
/// activities. A full queue makes intake wait, and so the sensors.
const QUEUE_BATCHES: usize = 64;
/// Activities observed before their findings are stored: bounds one transaction.
const CHUNK_EVENTS: usize = 10_000;
/// Activities read from the store at once in a replay.
const REPLAY_CHUNK: usize = 5_000;
/// Activities before the watermark that are read again after a restart, per boot, so that what
/// spans the restart (correlations, storylines) is seen whole.
const WARM_UP_EVENTS: u64 = 20_000;
/// How long to wait before findings that the catalog could not take are stored again.
const STORE_RETRY: Duration = Duration::from_secs(1);

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

/// The state that moves into the computing thread and back.
struct State {
    engine: Engine,
    names: Names,
    /// Up to where each boot was seen, of those the catalog has a watermark of.
    seen: HashMap<(EndpointId, BootId), u64>,
}

/// The detect stage. Made with [`Detector::start`]; fed by its sender.
pub struct Detector {
    state: Option<State>,
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
    /// A detector of `rules` that has seen nothing. `stop` ends its retries, nothing else.
    pub fn new(
        rules: Arc<RuleSet>,
        catalog: Catalog,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let state =
            State { engine: Engine::new(rules), names: Names::default(), seen: HashMap::new() };
        Self { state: Some(state), catalog, metrics, stop }
    }

    /// The queue intake feeds.
    pub fn queue() -> (mpsc::Sender<Vec<Event>>, mpsc::Receiver<Vec<Event>>) {
        mpsc::channel(QUEUE_BATCHES)
    }

    /// Observes what comes, until every sender is gone: what waits then is still seen.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Vec<Event>>) -> Result<(), DetectorError> {
        while let Some(mut events) = queue.recv().await {
            while events.len() < CHUNK_EVENTS
                && let Ok(more) = queue.try_recv()
            {
                events.extend(more);
            }
            let waiting = events.len();
            self.observe(events).await?;
            sub(&self.metrics.detect_waiting, waiting);
        }
        Ok(())
    }

    /// Observes `events` and stores what was found, with the watermark. Events seen before are
    /// passed over.
    async fn observe(&mut self, events: Vec<Event>) -> Result<(), DetectorError> {
        let mut state = self.state.take().ok_or(DetectorError::Stopped)?;
        let work = tokio::task::spawn_blocking(move || {
            let found = state.observe(&events);
            (state, found, events.len())
        });
        let (state, found, count) = work.await?;
        let Evicted { keys, hits, values, kin, storylines, fleet } =
            state.engine.counters().evicted;
        set(&self.metrics.evicted_keys, keys + hits + values + kin + fleet);
        set(&self.metrics.evicted_storylines, storylines);
        self.state = Some(state);
        add(&self.metrics.detected, count);
        self.store(found).await
    }

    async fn store(&mut self, found: Detected) -> Result<(), DetectorError> {
        if found.watermarks.is_empty() {
            return Ok(());
        }
        let hits = found.hits.len();
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

impl State {
    fn observe(&mut self, events: &[Event]) -> Detected {
        let mut found = Detected::default();
        let mut marks: HashMap<(EndpointId, BootId), Watermark> = HashMap::new();
        for event in events {
            let (endpoint, boot, seq) = (event.id.endpoint, event.id.boot, event.id.seq);
            let seen = self.seen.entry((endpoint, boot)).or_default();
            if seq <= *seen {
                continue;
            }
            *seen = seq;
            self.names.see(event);
            let findings = self.engine.observe(event);
            if !findings.hits.is_empty() {
                self.names.struck(event);
            }
            found.hits.extend(findings.hits);
            for alert in findings.alerts {
                let context = self.names.context(&alert);
                // Only the last version within a chunk is stored.
                found.alerts.retain(|(known, _)| known.id != alert.id);
                found.alerts.push((alert, context));
            }
            let mark = Watermark { endpoint, boot, seq, received: received(event) };
            marks.insert((endpoint, boot), mark);
        }
        found.watermarks = marks.into_values().collect();
        found
    }
}

/// Lets `detector` see what `store` holds above the watermark, a stretch before it included.
/// Returns how many activities above the mark were seen.
pub async fn replay(detector: &mut Detector, store: &Arc<dyn Store>) -> Result<u64, DetectorError> {
    let marks = detector.catalog.watermarks().await?;
    let marks: HashMap<_, _> =
        marks.into_iter().map(|mark| ((mark.endpoint, mark.boot), mark)).collect();
    let mut boots: Vec<_> = store.high_water().into_iter().collect();
    boots.sort_unstable();
    // What is recorded has an engine of its own.
    let recorded = detector.catalog.recorded_endpoints().await?;
    boots.retain(|((endpoint, _), _)| !recorded.contains_key(endpoint));
    let mut unseen = 0_u64;
    let mut forgotten = 0_u64;
    for (boot, high) in boots {
        if is_forgotten(store, &marks, (boot, high)).await? {
            forgotten += 1;
            continue;
        }
        let mark = marks.get(&boot).map_or(0, |mark| mark.seq);
        let mut from = mark.saturating_sub(WARM_UP_EVENTS);
        loop {
            let events = store.events_after(boot, from, REPLAY_CHUNK).await?;
            let Some(last) = events.last().map(|event| event.id.seq) else { break };
            let above = events.iter().filter(|event| event.id.seq > mark).count();
            add(&detector.metrics.replayed, above);
            unseen += u64::try_from(above).unwrap_or(u64::MAX);
            detector.observe(events).await?;
            from = last;
            if last >= high {
                break;
            }
        }
    }
    if forgotten > 0 {
        tracing::info!(forgotten, "boots whose watermark was forgotten are not detected on again");
    }
    Ok(unseen)
}

/// When the server took `event` in. Intake stamps every activity, so the sensor's time stands in
/// for nothing that it took.
fn received(event: &Event) -> Timestamp {
    event.received.unwrap_or(event.time)
}

/// Whether the catalog knew `boot` once and forgot it as one of the endpoint's oldest: it has no
/// mark, and all the marks an endpoint may have are of activities that came later. Detection sees
/// activities in the order in which they came, so one that it did not reach came after all those it
/// has marked, whatever the sensor's clock said.
async fn is_forgotten(
    store: &Arc<dyn Store>,
    marks: &HashMap<(EndpointId, BootId), Watermark>,
    (boot, high): ((EndpointId, BootId), u64),
) -> Result<bool, DetectorError> {
    let of_endpoint = || marks.values().filter(|mark| mark.endpoint == boot.0);
    if marks.contains_key(&boot) || of_endpoint().count() < MAX_BOOTS {
        return Ok(false);
    }
    let last = store.events_after(boot, high.saturating_sub(1), 1).await?;
    let oldest = of_endpoint().map(|mark| mark.received).min();
    Ok(last.last().zip(oldest).is_some_and(|(last, oldest)| received(last) < oldest))
}

#[cfg(test)]
mod tests {
    use metsuke_event::{EventId, Kind};

    use super::*;

    #[tokio::test]
    async fn no_more_boots_are_remembered_than_have_a_watermark() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let (rules, _) = metsuke_detect::compile([]);
        let mut detector = Detector::new(rules, catalog, Arc::default(), CancellationToken::new());
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
