//! A recording's events in the order of their time, through an engine of their own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, Detected, RecordingRecord};
use metsuke_detect::{Ends, Engine, Findings};
use metsuke_event::finding::{Alert, DetectionRef, Level};
use metsuke_event::logsource::kept;
use metsuke_event::{BootId, EndpointId, Event, Timestamp};
use metsuke_incident::course::{Course, Report, Stops};

use super::RecordingError;
use crate::names::Names;
use crate::store::{Store, StoreError};

/// Events that are observed before what was found is stored.
const CHUNK: usize = 5_000;
/// Events of all boots that are held while they are brought into order.
const HELD: usize = 100_000;
/// Fewest events of one boot that are read at once.
const LEAST_READ: usize = 100;

/// How far detection got.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Events seen.
    pub events: u64,
    /// Events in all.
    pub total: u64,
    /// What it came to; set at the end.
    pub report: Option<Report>,
}

/// One boot, as far as it is read.
struct Boot {
    of: (EndpointId, BootId),
    from: u64,
    high: u64,
    read: VecDeque<Event>,
}

impl Boot {
    /// When its next event is; reads on when none is held. Nothing at its end.
    async fn head(
        &mut self,
        store: &dyn Store,
        count: usize,
    ) -> Result<Option<Timestamp>, StoreError> {
        if self.read.is_empty() && self.from < self.high {
            let events = store.events_after(self.of, self.from, count).await?;
            self.from = events.last().map_or(self.high, |event| event.id.seq);
            self.read = events.into();
        }
        Ok(self.read.front().map(|event| event.time))
    }
}

/// The part that moves into the computing thread and back.
struct Computing {
    engine: Engine,
    names: Names,
    course: Course,
    /// How far it goes on each endpoint.
    ends: Ends,
    stop_at: Option<Level>,
    /// What detections stop in block mode, of those that stop something.
    stops: HashMap<String, Stops>,
}

/// A recording that is being detected on.
pub(super) struct Playing {
    name: String,
    stop_at: Option<Level>,
    boots: Vec<Boot>,
    /// Next event of each boot that has one: time, then the boot's place.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    begun: bool,
    computing: Option<Box<Computing>>,
    events: u64,
    total: u64,
}

impl Playing {
    pub(super) fn new(
        recording: &RecordingRecord,
        store: &dyn Store,
        engine: Engine,
        stop_at: Option<Level>,
    ) -> Self {
        let mut boots: Vec<Boot> = store
            .high_water()
            .into_iter()
            .filter(|((endpoint, _), _)| recording.hosts.contains_key(endpoint))
            .map(|(of, high)| Boot { of, from: 0, high, read: VecDeque::new() })
            .collect();
        boots.sort_by_key(|boot| boot.of);
        let carried = engine.rules().all().map(|meta| {
            let responses = meta.responses.block.iter().map(|response| response.name());
            (meta.detection.id.clone(), Stops::of(meta.detection.layer, responses))
        });
        let stops = carried.filter(|(_, stops)| *stops > Stops::Nothing).collect();
        let (names, course) = (Names::default(), Course::new());
        let computing = Computing { engine, names, course, ends: Ends::default(), stop_at, stops };
        Self {
            name: recording.name.clone(),
            stop_at,
            boots,
            heads: BinaryHeap::new(),
            begun: false,
            computing: Some(Box::new(computing)),
            events: 0,
            total: recording.events,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_of(&self, name: &str, stop_at: Option<Level>) -> bool {
        self.name == name && self.stop_at == stop_at && self.computing.is_some()
    }

    pub(super) fn slice(&self, report: Option<Report>) -> Slice {
        Slice { events: self.events, total: self.total.max(self.events), report }
    }

    /// Goes on for a while; true at the end.
    pub(super) async fn play(
        &mut self,
        store: &dyn Store,
        catalog: &Catalog,
        slice: Duration,
    ) -> Result<bool, RecordingError> {
        let begin = Instant::now();
        loop {
            let chunk = self.chunk(store).await?;
            let is_end = chunk.is_empty();
            self.events += chunk.len() as u64;
            let Some(mut computing) = self.computing.take() else { return Ok(true) };
            let work = tokio::task::spawn_blocking(move || {
                let found = if is_end { computing.end() } else { computing.observe(&chunk) };
                (computing, found)
            });
            let (computing, found) = work.await?;
            self.computing = Some(computing);
            if !found.is_empty() {
                catalog.store_detected(now(), found).await?;
            }
            if is_end {
                return Ok(true);
            }
            if begin.elapsed() >= slice {
                return Ok(false);
            }
        }
    }

    /// The next events of all boots, in the order of their time.
    async fn chunk(&mut self, store: &dyn Store) -> Result<Vec<Event>, StoreError> {
        let count = (HELD / self.boots.len().max(1)).clamp(LEAST_READ, CHUNK);
        if !self.begun {
            self.begun = true;
            for (place, boot) in self.boots.iter_mut().enumerate() {
                if let Some(time) = boot.head(store, count).await? {
                    self.heads.push(Reverse((time, place)));
                }
            }
        }
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK
            && let Some(Reverse((_, place))) = self.heads.pop()
        {
            let boot = &mut self.boots[place];
            chunk.extend(boot.read.pop_front());
            if let Some(time) = boot.head(store, count).await? {
                self.heads.push(Reverse((time, place)));
            }
        }
        Ok(chunk)
    }

    /// The report, and the same as text.
    pub(super) fn finish(mut self, name: &str) -> Result<(Slice, String), RecordingError> {
        let course = self.computing.take().map(|computing| computing.course).unwrap_or_default();
        let report = course.report(name, self.stop_at);
        let text = serde_json::to_string(&report)?;
        Ok((self.slice(Some(report)), text))
    }
}

impl Computing {
    fn observe(&mut self, events: &[Event]) -> Detected {
        let mut found = Detected::default();
        for event in events {
            self.names.see(event);
            self.ends.note(event);
            let findings = match kept(event) {
                Some(sources) => self.engine.observe_as(event, &sources),
                None => self.engine.observe(event),
            };
            self.course.event(event);
            if !findings.hits.is_empty() {
                self.names.struck(event);
            }
            for hit in findings.hits.iter().filter(|hit| hit.excepted.is_none()) {
                self.course.hit(event, hit, self.stops(&hit.detection));
            }
            for alert in &findings.alerts {
                self.course.alert(event, alert, self.stops_of(alert));
            }
            self.found(findings, &mut found);
        }
        found
    }

    /// What waited for something not to come, as far as the recording goes.
    fn end(&mut self) -> Detected {
        let mut found = Detected::default();
        let findings = self.engine.close_each(&self.ends);
        for hit in findings.hits.iter().filter(|hit| hit.excepted.is_none()) {
            self.course.late_hit(hit, self.stops(&hit.detection));
        }
        for alert in &findings.alerts {
            self.course.late_alert(alert, self.stops_of(alert));
        }
        self.found(findings, &mut found);
        found
    }

    fn found(&self, findings: Findings, found: &mut Detected) {
        found.hits.extend(findings.hits);
        for alert in findings.alerts {
            let context = self.names.context(&alert);
            found.alerts.retain(|(known, _)| known.id != alert.id);
            found.alerts.push((alert, context));
        }
    }

    /// What any of the models would have stopped: one that yields calls for what it calls for.
    fn stops_of(&self, alert: &Alert) -> Stops {
        alert.models().map(|model| self.stops(model)).max().unwrap_or(Stops::Nothing)
    }

    fn stops(&self, detection: &DetectionRef) -> Stops {
        let thought = self.stop_at.is_some_and(|level| detection.level >= level);
        let carried = self.stops.get(&detection.id).copied().unwrap_or(Stops::Nothing);
        carried.max(if thought { Stops::Process } else { Stops::Nothing })
    }
}
