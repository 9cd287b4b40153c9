//! One back-test: the content in force and the document tried, over history by the stream's engine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metsuke_catalog::clock::now;
use metsuke_detect::{Document, Engine, Findings};
use metsuke_event::finding::Hit;
use metsuke_event::{AlertId, EndpointId, Event, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{EVENTS_MAX, EXAMPLES, History, TIME_MAX, Tried};
use crate::library::{ChangeError, Library};

const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;
const DAY_NANOS: i64 = 24 * HOUR_NANOS;
/// How much of history is asked for at once: the store sorts no more than that.
const WINDOW_NANOS: i64 = HOUR_NANOS;
/// How long to wait before looking again whether detection of what is live is behind, and how often
/// in a row: then one page is read all the same.
const BUSY_WAIT: Duration = Duration::from_millis(100);
const BUSY_WAITS: usize = 50;
/// Most alerts told apart.
const ALERTS_MAX: usize = 100_000;

/// Where a back-test stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacktestState {
    /// It reads on.
    Running,
    /// It came to its end.
    Done,
    /// It could not.
    Failed,
}

/// What a back-test found so far.
#[derive(Clone, Debug)]
pub struct Backtest {
    /// Identity.
    pub id: String,
    /// Who began it.
    pub actor: String,
    /// Where it stands.
    pub state: BacktestState,
    /// Why it failed.
    pub error: Option<String>,
    /// How far it is, 0 to 1.
    pub progress: f64,
    /// When the activities happened: from, and before.
    pub range: (Timestamp, Timestamp),
    /// When the first activity that was read happened, and the last.
    pub read: Option<(Timestamp, Timestamp)>,
    /// Activities read.
    pub events: u64,
    /// Hits; of a model its alerts.
    pub hits: u64,
    /// Alerts that stand on it.
    pub alerts: u64,
    /// Hits by endpoint.
    pub hosts: BTreeMap<EndpointId, u64>,
    /// Hits by day (UTC).
    pub per_day: BTreeMap<Timestamp, u64>,
    /// Endpoints with activities.
    pub endpoints: u64,
    /// The first hits.
    pub examples: Vec<Hit>,
    /// How long it took.
    pub seconds: f64,
    /// Why it is not the whole.
    pub incomplete: Option<String>,
}

impl Backtest {
    /// Hits per host and day, over the endpoints that had activities and the time from the first of
    /// them to the last, of an hour at least.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn noise_per_host_day(&self) -> f64 {
        let (first, last) = self.read.unwrap_or(self.range);
        let days = last.nanos_since(first) as f64 / DAY_NANOS as f64;
        let host_days = self.endpoints.max(1) as f64 * days.max(1.0 / 24.0);
        self.hits as f64 / host_days
    }
}

/// Content ready to be tried.
pub(super) struct Content {
    engine: Engine,
    /// Ids of the detections that are looked at.
    ids: HashSet<String>,
}

/// The content in force with what is tried, which is switched on whatever tuning says.
pub(super) async fn content(library: &Library, tried: Tried) -> Result<Content, ChangeError> {
    let force = library.in_force();
    let (rules, ids) = match tried {
        Tried::Id(id) => {
            let known = force.known(&id).ok_or(ChangeError::NotFound("detection"))?;
            no_indicators(&known.text)?;
            (Arc::clone(&force.rules), HashSet::from([id]))
        }
        Tried::Text(text) => {
            no_indicators(&text)?;
            let checked = library.checked(text.clone()).await?;
            let Some(detection) = checked.detection else {
                return Err(ChangeError::Refused(checked.faults));
            };
            let id = detection.id;
            let others = force
                .documents
                .iter()
                .filter(|(path, _)| force.meta(&id).is_none_or(|meta| meta.path != **path));
            let mut documents: Vec<Document> = others
                .map(|(path, known)| Document { path: path.clone(), text: known.text.clone() })
                .collect();
            documents.push(Document { path: "the document tried".to_owned(), text });
            let compiled = tokio::task::spawn_blocking(|| metsuke_detect::compile(documents).0);
            let rules = compiled.await.map_err(crate::ContentError::from)?;
            (rules, HashSet::from([id]))
        }
    };
    let mut tunings = force.tunings.clone();
    for tuning in tunings.iter_mut().filter(|tuning| ids.contains(&tuning.detection)) {
        tuning.enabled = None;
    }
    let (overlay, _) =
        crate::library::overlay((&tunings, &force.exceptions), &force.groups, force.weights());
    let mut engine = Engine::new(rules);
    engine.lay(overlay);
    Ok(Content { engine, ids })
}

/// Refuses a document on indicators: history is not met with them here, and 0 hits would say nothing.
fn no_indicators(text: &str) -> Result<(), ChangeError> {
    if text.lines().any(|line| line.starts_with("indicator-match:")) {
        return Err(ChangeError::Invalid(
            "a document on indicators is not back-tested: history is looked through for each indicator \
             as it comes in, and its sightings say where and when it was met earliest"
                .to_owned(),
        ));
    }
    Ok(())
}

/// A back-test and its result.
pub(super) struct Job {
    pub(super) id: String,
    told: Mutex<Backtest>,
    stop: CancellationToken,
    begun: Instant,
}

/// What is remembered beside the result.
#[derive(Default)]
struct Seen {
    endpoints: HashSet<EndpointId>,
    alerts: HashSet<AlertId>,
}

impl Job {
    pub(super) fn new(range: (Timestamp, Timestamp), actor: &str, stop: CancellationToken) -> Self {
        let id = hex::encode(rand::random::<[u8; 8]>());
        let told = Backtest {
            id: id.clone(),
            actor: actor.to_owned(),
            state: BacktestState::Running,
            error: None,
            progress: 0.0,
            range,
            read: None,
            events: 0,
            hits: 0,
            alerts: 0,
            hosts: BTreeMap::new(),
            per_day: BTreeMap::new(),
            endpoints: 0,
            examples: Vec::new(),
            seconds: 0.0,
            incomplete: None,
        };
        Self { id, told: Mutex::new(told), stop, begun: Instant::now() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Backtest> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn told(&self) -> Backtest {
        self.lock().clone()
    }

    pub(super) fn is_running(&self) -> bool {
        self.lock().state == BacktestState::Running
    }

    pub(super) fn cancel(&self) {
        self.stop.cancel();
    }

    pub(super) async fn run(
        &self,
        content: Content,
        history: Arc<dyn History>,
        recorded: HashMap<EndpointId, String>,
    ) {
        let ended = self.walk(content, &history, &recorded).await;
        let mut told = self.lock();
        told.seconds = self.begun.elapsed().as_secs_f64();
        match ended {
            Ok(()) => {
                told.state = BacktestState::Done;
                told.progress = 1.0;
            }
            Err(why) => {
                told.state = BacktestState::Failed;
                told.error = Some(why);
            }
        }
    }

    async fn walk(
        &self,
        mut content: Content,
        history: &Arc<dyn History>,
        recorded: &HashMap<EndpointId, String>,
    ) -> Result<(), String> {
        let (from, to) = self.lock().range;
        let mut seen = Seen::default();
        let mut begin = from;
        while begin < to {
            let end = to.min(begin.plus_nanos(WINDOW_NANOS));
            let mut cursor = None;
            loop {
                self.wait(history).await?;
                let page = history.page((begin, end), cursor).await?;
                if !page.complete {
                    self.incomplete("part of the store could not be read");
                }
                let mut events = page.events;
                // The stream never saw what was recorded elsewhere.
                events.retain(|event| !recorded.contains_key(&event.id.endpoint));
                let reached = events.last().map_or(begin, |event| event.time);
                let work = tokio::task::spawn_blocking(move || {
                    let found: Vec<Findings> =
                        events.iter().map(|event| content.engine.observe(event)).collect();
                    (content, events, found)
                });
                let (back, events, found) =
                    work.await.map_err(|_| "the engine broke down; please report it")?;
                content = back;
                self.count(&content, &events, found, &mut seen);
                self.lock().progress = share(reached, (from, to));
                if self.is_over() {
                    return Ok(());
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            // What did not come before the window's end did not come; of what lies ahead nothing is
            // known, and nothing that is still to come has happened.
            let close = end.min(now());
            let (engine, found) = closed(content.engine, close).await?;
            content.engine = engine;
            self.count(&content, &[], vec![found], &mut seen);
            begin = end;
            self.lock().progress = share(begin, (from, to));
        }
        Ok(())
    }

    /// Lets what is live go first.
    async fn wait(&self, history: &Arc<dyn History>) -> Result<(), String> {
        for _ in 0..BUSY_WAITS {
            if self.stop.is_cancelled() {
                return Err("it was cancelled".to_owned());
            }
            if !history.is_busy() {
                break;
            }
            tokio::time::sleep(BUSY_WAIT).await;
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    fn incomplete(&self, why: &str) {
        self.lock().incomplete.get_or_insert_with(|| why.to_owned());
    }

    /// Whether a bound was reached, which is told.
    fn is_over(&self) -> bool {
        let many = self.lock().events >= EVENTS_MAX;
        let late = self.begun.elapsed() >= TIME_MAX;
        if many {
            self.incomplete("it read as many activities as a back-test may; try a shorter range");
        } else if late {
            self.incomplete("it took as long as a back-test may; try a shorter range");
        }
        many || late
    }

    fn count(&self, content: &Content, events: &[Event], found: Vec<Findings>, seen: &mut Seen) {
        seen.endpoints.extend(events.iter().map(|event| event.id.endpoint));
        let mut told = self.lock();
        told.events += events.len() as u64;
        for time in events.iter().map(|event| event.time) {
            let (first, last) = told.read.unwrap_or((time, time));
            told.read = Some((first.min(time), last.max(time)));
        }
        told.endpoints = seen.endpoints.len() as u64;
        for Findings { hits, alerts, .. } in found {
            for hit in hits {
                if !content.ids.contains(&hit.detection.id) || hit.excepted.is_some() {
                    continue;
                }
                strike(&mut told, hit.event.endpoint, hit.time);
                if told.examples.len() < EXAMPLES {
                    told.examples.push(hit);
                }
            }
            for alert in alerts {
                let of_model = alert.models().any(|model| content.ids.contains(&model.id));
                let stands =
                    alert.highlights.iter().any(|step| content.ids.contains(&step.detection.id));
                if !(of_model || stands) {
                    continue;
                }
                if seen.alerts.len() >= ALERTS_MAX {
                    let why = "it found as many alerts as are told apart; try a shorter range";
                    told.incomplete.get_or_insert_with(|| why.to_owned());
                    continue;
                }
                if !seen.alerts.insert(alert.id) {
                    continue;
                }
                told.alerts += 1;
                if of_model {
                    strike(&mut told, alert.endpoint, alert.last);
                }
            }
        }
    }
}

/// What strikes because nothing came until `time`.
async fn closed(mut engine: Engine, time: Timestamp) -> Result<(Engine, Findings), String> {
    let work = tokio::task::spawn_blocking(move || {
        let found = engine.close(time);
        (engine, found)
    });
    work.await.map_err(|_| "the engine broke down; please report it".to_owned())
}

fn strike(told: &mut Backtest, endpoint: EndpointId, time: Timestamp) {
    told.hits += 1;
    *told.hosts.entry(endpoint).or_default() += 1;
    let day = Timestamp::from_nanos(time.as_nanos().div_euclid(DAY_NANOS) * DAY_NANOS);
    *told.per_day.entry(day).or_default() += 1;
}

/// How much of `range` lies before `time`.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(time: Timestamp, (from, to): (Timestamp, Timestamp)) -> f64 {
    let whole = to.nanos_since(from).max(1) as f64;
    (time.nanos_since(from) as f64 / whole).clamp(0.0, 1.0)
}
