//! Records through the engine: identity, span of time, findings to the writer.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use metsuke_detect::{Ends, Engine, Findings, RuleSet};
use metsuke_event::finding::Alert;
use metsuke_event::{AlertId, BootId, EndpointId, EventId, FieldId, Text, Timestamp, Value};
use metsuke_intake::Record;
use metsuke_lineage::Recorded;

use crate::command::detect::files::Sink;
use crate::command::detect::finding::{Found, Writer};
use crate::command::detect::summary::Numbers;

/// Alerts held until the end, so that each is told once, as far as it grew. Past that the first to
/// come is told as it is.
const HELD_ALERTS: usize = 10_000;
/// Events remembered for sequences that wait for something not to come and strike later.
const AWAITED: usize = 100_000;
/// Host names whose endpoint id is kept.
const HOSTS: usize = 100_000;

/// The engine, and what has to be known beside it.
pub(crate) struct Lookout {
    engine: Engine,
    /// The processes of the recordings; nothing asks for them when only filters run.
    recorded: Option<Recorded>,
    storyline: Option<FieldId>,
    span: (Option<Timestamp>, Option<Timestamp>),
    writer: Writer,
    hosts: HashMap<Text, EndpointId>,
    alerts: HashMap<AlertId, (u64, Held)>,
    /// Where the last steps of sequences that wait were read.
    awaited: HashMap<EventId, Found>,
    /// How far the records of each host go.
    ends: Ends,
    /// Number of the file at hand, from 1: two files can have records of one number.
    file: u64,
    seq: u64,
    events: u64,
    outside: u64,
    matches: u64,
    /// Ids of what struck, when that is asked for instead of being written.
    struck: Option<BTreeSet<String>>,
}

/// An alert with the event that it grew by last.
struct Held {
    alert: Box<Alert>,
    found: Found,
}

impl Lookout {
    pub(super) fn new(
        rules: &Arc<RuleSet>,
        span: (Option<Timestamp>, Option<Timestamp>),
        writer: Writer,
    ) -> Self {
        Self {
            engine: Engine::new(Arc::clone(rules)),
            recorded: (rules.models().len() + rules.rules().len() > 0).then(Recorded::default),
            storyline: metsuke_event::field::by_name("process.storyline").map(|spec| spec.id),
            span,
            writer,
            hosts: HashMap::new(),
            alerts: HashMap::new(),
            awaited: HashMap::new(),
            ends: Ends::default(),
            file: 0,
            seq: 0,
            events: 0,
            outside: 0,
            matches: 0,
            struck: None,
        }
    }

    /// One that writes nothing, and remembers what struck.
    pub(crate) fn silent(rules: &Arc<RuleSet>) -> Self {
        let mut lookout = Self::new(rules, (None, None), Writer::new(false));
        lookout.struck = Some(BTreeSet::new());
        lookout
    }

    /// Measures what detections cost.
    pub(crate) fn measure(&mut self, clock: metsuke_detect::Clock, every: u32) {
        self.engine.measure(clock, every, None);
    }

    /// What was measured.
    pub(crate) fn profile(&self) -> Option<metsuke_detect::Profile> {
        self.engine.profile()
    }

    /// Ids of what struck, to the end of what was read.
    pub(crate) fn struck(mut self) -> BTreeSet<String> {
        let findings = self.engine.close_each(&self.ends);
        let mut struck = self.struck.unwrap_or_default();
        struck.extend(findings.hits.into_iter().map(|hit| hit.detection.id));
        struck.extend(findings.alerts.iter().flat_map(Alert::models).map(|one| one.id.clone()));
        struck
    }

    /// What was counted.
    pub(crate) fn numbers(&self) -> Numbers {
        let evicted = self.engine.counters().evicted;
        let forgotten = self.recorded.as_ref().map_or(0, Recorded::forgotten);
        Numbers {
            events: self.events,
            outside: self.outside,
            matches: self.matches,
            evicted: evicted.keys + evicted.storylines + evicted.fleet + forgotten,
        }
    }

    /// An imported event has no identity of ours: it gets one of its host, file and place, so that
    /// nothing is taken for another event; its process and storyline as far as the recording tells
    /// of processes, else its host stands for a storyline.
    fn identify(&mut self, record: &mut Record) {
        self.seq += 1;
        let event = &mut record.event;
        if event.id.endpoint == EndpointId::default() {
            let host = event.host.clone().unwrap_or_default();
            event.id.endpoint = self.endpoint(host);
        }
        if event.id.boot == BootId::default() {
            event.id.boot = BootId::from_u128(u128::from(self.file));
            event.id.seq = self.seq;
        }
        let Some(recorded) = &mut self.recorded else { return };
        recorded.identify(event);
        if event.process.storyline.is_none()
            && let Some(storyline) = self.storyline
        {
            let host = event.host.as_deref().unwrap_or("unknown");
            event.set(storyline, &Value::Text(format!("host:{host}").into()));
        }
    }

    fn endpoint(&mut self, host: Text) -> EndpointId {
        use sha2::{Digest, Sha256};
        if let Some(known) = self.hosts.get(&host) {
            return *known;
        }
        let digest = Sha256::digest(host.to_ascii_lowercase().as_bytes());
        let (first, _) = digest.split_at(16);
        let id = first.iter().fold(0_u128, |id, byte| id << 8 | u128::from(*byte));
        let id = EndpointId::from_u128(id);
        if self.hosts.len() < HOSTS {
            self.hosts.insert(host, id);
        }
        id
    }

    fn tell(&mut self, held: &Held) -> io::Result<()> {
        self.matches += 1;
        self.writer.alert(&held.alert, &held.found)
    }

    /// Tells what was found on the record of `found`, which is event `id`, or on one before it that a
    /// sequence waited on.
    fn found(&mut self, id: EventId, found: &Found, findings: Findings) -> io::Result<()> {
        for hit in &findings.hits {
            self.matches += 1;
            let of = if hit.event == id { None } else { self.awaited.get(&hit.event) };
            self.writer.hit(hit, of.unwrap_or(found))?;
        }
        for alert in findings.alerts {
            let held = Held { alert: Box::new(alert), found: found.clone() };
            let first = self.alerts.get(&held.alert.id).map_or(self.seq, |(first, _)| *first);
            self.alerts.insert(held.alert.id, (first, held));
        }
        while self.alerts.len() > HELD_ALERTS {
            let oldest = self.alerts.iter().min_by_key(|(_, (first, _))| *first).map(|(id, _)| *id);
            let Some((_, held)) = oldest.and_then(|id| self.alerts.remove(&id)) else { break };
            self.tell(&held)?;
        }
        Ok(())
    }

    /// What waited for something not to come, as far as the records go.
    fn close(&mut self) -> io::Result<()> {
        let Findings { hits, alerts, .. } = self.engine.close_each(&self.ends);
        for hit in hits {
            let Some(found) = self.awaited.get(&hit.event).cloned() else { continue };
            self.found(hit.event, &found, Findings { hits: vec![hit], ..Findings::default() })?;
        }
        for alert in alerts {
            let last = alert.highlights.iter().filter_map(|step| step.events.last());
            let found = last.filter_map(|id| self.awaited.get(id)).next_back().cloned();
            let Some(found) = found else { continue };
            let findings = Findings { alerts: vec![alert], ..Findings::default() };
            self.found(EventId::default(), &found, findings)?;
        }
        Ok(())
    }

    /// Tells the alerts, in the order in which they came to be, and writes out what is held.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.close()?;
        let mut held: Vec<(u64, Held)> = self.alerts.drain().map(|(_, held)| held).collect();
        held.sort_by_key(|(first, held)| (*first, held.alert.id));
        for (_, held) in &held {
            self.tell(held)?;
        }
        self.writer.flush()
    }
}

impl Sink for Lookout {
    fn begin(&mut self, _path: &str) -> io::Result<()> {
        self.file += 1;
        Ok(())
    }

    /// Runs the detections on `record` of the file called `path`.
    fn take(&mut self, path: &str, mut record: Record) -> io::Result<()> {
        let time = record.event.time;
        if self.span.0.is_some_and(|since| time < since)
            || self.span.1.is_some_and(|until| time >= until)
        {
            self.outside += 1;
            return Ok(());
        }
        self.events += 1;
        self.identify(&mut record);
        self.ends.note(&record.event);
        let waiting = self.engine.waiting();
        let findings = self.engine.observe_as(&record.event, &record.sources);
        let is_quiet = findings.hits.is_empty() && findings.alerts.is_empty();
        let waits = self.engine.waiting();
        if is_quiet && waits == waiting {
            return Ok(());
        }
        if let Some(struck) = &mut self.struck {
            struck.extend(findings.hits.into_iter().map(|hit| hit.detection.id));
            struck.extend(findings.alerts.iter().flat_map(Alert::models).map(|one| one.id.clone()));
            return Ok(());
        }
        let found = Found::of(path, &record);
        let id = record.event.id;
        let may_wait = waits > waiting || findings.hits.iter().any(|hit| hit.event != id);
        if may_wait && self.awaited.len() < AWAITED {
            self.awaited.insert(id, found.clone());
        }
        self.found(id, &found, findings)?;
        if waits == 0 {
            self.awaited.clear();
        }
        Ok(())
    }
}
