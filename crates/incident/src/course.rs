//! The course of a recorded incident: what would have been detected, by which layer and when; what the
//! earliest step is that would have been detected and, in block mode, stopped; what came before it and
//! what would not have happened after it.
//!
//! Events come in the order of their time, each followed by what struck on it. What would have been
//! stopped is told as far as the recording knows: everything that the stopped process and its
//! descendants did later. What an intruder would have tried instead, nobody knows.

mod report;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use metsuke_event::finding::{Alert, DetectionRef, Hit, Layer, Level};
use metsuke_event::{EndpointId, Event, EventId, Kind, Process, Text, Timestamp};

pub use report::{
    Before, Came, DetectionPart, HostPart, LayerPart, Moment, ProcessPart, Report, Stopped,
};

/// Detections told of.
const DETECTIONS: usize = 2_000;
/// Moments told of, the earliest.
const MOMENTS: usize = 500;
/// Processes told of before and after a step.
const PROCESSES: usize = 20;
/// Processes known by what started them.
const KNOWN: usize = 200_000;
/// Bytes shown of a command line.
const SHOWN_BYTES: usize = 300;

/// What a detection does in block mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stops {
    /// Nothing.
    Nothing,
    /// Ends the process and what it started.
    Process,
    /// Ends the whole storyline.
    Storyline,
    /// Takes the host off the network: ends what it does there.
    Host,
}

impl Stops {
    /// What the responses of a detection of `layer`, by name, stop for certain. Of a model the whole
    /// storyline ends, for that is what it is about. To deny a value or to put a file away stops what
    /// asks for it later; what that would have been, a recording does not say.
    pub fn of<'r>(layer: Layer, responses: impl IntoIterator<Item = &'r str>) -> Self {
        let stops = |name: &str| match (name, layer) {
            ("terminate" | "suspend", Layer::Model) => Self::Storyline,
            ("terminate" | "suspend", _) => Self::Process,
            ("isolate", _) => Self::Host,
            _ => Self::Nothing,
        };
        responses.into_iter().map(stops).max().unwrap_or(Self::Nothing)
    }
}

/// A process, as far as a report shows it.
#[derive(Clone, Debug)]
struct Seen {
    parent: Option<Text>,
    pid: Option<u64>,
    exe: Option<Text>,
    cmd_line: Option<Text>,
}

#[derive(Clone, Debug, Default)]
struct Host {
    name: String,
    events: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Struck {
    detection: DetectionRef,
    count: u64,
    first: Moment,
    hosts: HashSet<EndpointId>,
    stops: Stops,
}

/// What was stopped, and what came after.
#[derive(Debug)]
struct Stop {
    moment: Moment,
    before: Before,
    stops: Stops,
    endpoint: EndpointId,
    storyline: String,
    /// The stopped processes: the one that acted and, as they are met, its descendants.
    ended: HashSet<Text>,
    events: u64,
    processes: Vec<ProcessPart>,
    process_count: u64,
    detections: BTreeMap<String, (DetectionRef, u64)>,
    alerts: u64,
}

/// Follows a recorded incident.
#[derive(Debug, Default)]
pub struct Course {
    hosts: BTreeMap<EndpointId, Host>,
    seen: HashMap<(EndpointId, Text), Seen>,
    /// First event of each storyline.
    begun: HashMap<(EndpointId, Text), (Timestamp, u64)>,
    struck: BTreeMap<String, Struck>,
    moments: Vec<Moment>,
    earliest: Option<(Moment, Before)>,
    by_layer: BTreeMap<&'static str, LayerPart>,
    stop: Option<Stop>,
    events: u64,
    /// The event at hand is one that would not have happened.
    prevented: bool,
    disorder: u64,
    last_time: Option<Timestamp>,
}

impl Course {
    /// A course that nothing is known of.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        if self.last_time.is_some_and(|last| event.time < last) {
            self.disorder += 1;
        }
        self.last_time = Some(event.time);
        let endpoint = event.id.endpoint;
        let host = self.hosts.entry(endpoint).or_default();
        host.events += 1;
        host.first = Some(host.first.map_or(event.time, |first| first.min(event.time)));
        host.last = Some(host.last.map_or(event.time, |last| last.max(event.time)));
        if host.name.is_empty() {
            event.host.as_deref().unwrap_or_default().clone_into(&mut host.name);
        }
        let process = &event.process;
        if let Some(uid) = &process.uid
            && (self.seen.len() < KNOWN || self.seen.contains_key(&(endpoint, Text::clone(uid))))
        {
            let known = self.seen.entry((endpoint, Text::clone(uid))).or_insert_with(|| Seen {
                parent: None,
                pid: None,
                exe: None,
                cmd_line: None,
            });
            known.parent = process.parent_uid.clone().or_else(|| known.parent.take());
            known.pid = process.pid.or(known.pid);
            known.exe = process.exe.clone().or_else(|| known.exe.take());
            known.cmd_line = process.cmd_line.clone().or_else(|| known.cmd_line.take());
        }
        if let Some(storyline) = &process.storyline {
            let key = (endpoint, Text::clone(storyline));
            if self.begun.len() < KNOWN || self.begun.contains_key(&key) {
                self.begun.entry(key).or_insert((event.time, 0)).1 += 1;
            }
        }
        self.prevented = self.stop.as_mut().is_some_and(|stop| stop.prevents(event));
    }

    /// A hit, on the event at hand or, of a sequence that waited, on one before it; `stops` says what
    /// the detection does in block mode.
    pub fn hit(&mut self, event: &Event, hit: &Hit, stops: Stops) {
        if hit.event == event.id {
            self.strike(event, &hit.detection, stops, None);
        } else {
            self.late_hit(hit, stops);
        }
    }

    /// A hit of a sequence that waited, when its time was over.
    pub fn late_hit(&mut self, hit: &Hit, stops: Stops) {
        let of = (hit.event, hit.time);
        let event = self.stand_in(of, &hit.process, &hit.storyline);
        // Whatever the event at hand: this is of another.
        let prevented = std::mem::take(&mut self.prevented);
        self.strike(&event, &hit.detection, stops, None);
        self.prevented = prevented;
    }

    /// An alert that came to be or grew when the time of a sequence was over.
    pub fn late_alert(&mut self, alert: &Alert, stops: Stops) {
        let last = alert.highlights.iter().max_by_key(|step| step.time);
        let id = last.and_then(|step| step.events.last().copied()).unwrap_or_default();
        let id = EventId { endpoint: alert.endpoint, ..id };
        let process = last.map_or("", |step| step.process.as_str());
        let event = self.stand_in((id, alert.last), process, &alert.storyline);
        self.prevented = false;
        self.alert(&event, alert, stops);
    }

    /// What is known of an event that is no longer at hand.
    fn stand_in(&self, (id, time): (EventId, Timestamp), process: &str, storyline: &str) -> Event {
        let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Text::from);
        let mut event = Event::empty(Kind::ProcessExec);
        (event.id, event.time) = (id, time);
        event.host = self.hosts.get(&id.endpoint).map(|host| Text::from(host.name.as_str()));
        let (uid, storyline) = (text(process), text(storyline));
        event.process = Arc::new(Process { uid, storyline, ..Process::default() });
        event
    }

    /// An alert that came to be or grew on the event at hand.
    pub fn alert(&mut self, event: &Event, alert: &Alert, stops: Stops) {
        if alert.revision > 1 {
            return;
        }
        self.strike(event, &alert.detection, stops, Some(alert.score));
        if self.prevented
            && let Some(stop) = &mut self.stop
        {
            stop.alerts += 1;
        }
    }

    fn strike(&mut self, event: &Event, detection: &DetectionRef, stops: Stops, score: Option<u8>) {
        let moment = self.moment(event, detection, score);
        let part = self.by_layer.entry(layer(detection.layer)).or_default();
        part.count += 1;
        *part.by_level.entry(level(detection.level).to_owned()).or_default() += 1;
        // What is only counted is nobody's detection.
        let telling = detection.level > Level::Informational;
        if telling && part.first.is_none() {
            part.first = Some(moment.clone());
        }
        if telling && self.earliest.is_none() {
            self.earliest = Some((moment.clone(), self.before(event)));
        }
        let known = self.struck.contains_key(&detection.id);
        if known || self.struck.len() < DETECTIONS {
            let struck = self.struck.entry(detection.id.clone()).or_insert_with(|| Struck {
                detection: detection.clone(),
                count: 0,
                first: moment.clone(),
                hosts: HashSet::new(),
                stops,
            });
            struck.count += 1;
            if struck.hosts.insert(event.id.endpoint) && self.moments.len() < MOMENTS {
                self.moments.push(moment.clone());
            }
        }
        match &mut self.stop {
            Some(stop) if self.prevented => {
                let entry = stop.detections.entry(detection.id.clone());
                entry.or_insert_with(|| (detection.clone(), 0)).1 += 1;
            }
            None if stops > Stops::Nothing => {
                self.stop = Some(Stop {
                    before: self.before(event),
                    moment,
                    stops,
                    endpoint: event.id.endpoint,
                    storyline: event.process.storyline.as_deref().unwrap_or_default().to_owned(),
                    ended: event.process.uid.iter().cloned().collect(),
                    events: 0,
                    processes: Vec::new(),
                    process_count: 0,
                    detections: BTreeMap::new(),
                    alerts: 0,
                });
            }
            _ => {}
        }
    }

    fn moment(&self, event: &Event, detection: &DetectionRef, score: Option<u8>) -> Moment {
        Moment {
            time: event.time,
            host: event.host.as_deref().unwrap_or_default().to_owned(),
            detection: detection.id.clone(),
            title: detection.title.clone(),
            layer: layer(detection.layer).to_owned(),
            level: level(detection.level).to_owned(),
            techniques: detection.techniques.clone(),
            score,
            process: event.process.uid.as_ref().map(|uid| self.shown(event.id.endpoint, uid)),
            event: event_name(event.id),
        }
    }

    fn shown(&self, endpoint: EndpointId, uid: &Text) -> ProcessPart {
        let seen = self.seen.get(&(endpoint, Text::clone(uid)));
        let text = |of: fn(&Seen) -> Option<&Text>| {
            let text = seen.and_then(of)?;
            Some(text[..text.floor_char_boundary(SHOWN_BYTES)].to_owned())
        };
        ProcessPart {
            uid: uid.to_string(),
            pid: seen.and_then(|seen| seen.pid),
            executable: text(|seen| seen.exe.as_ref()),
            command_line: text(|seen| seen.cmd_line.as_ref()),
        }
    }

    /// What came before the event at hand.
    fn before(&self, event: &Event) -> Before {
        let endpoint = event.id.endpoint;
        let host = self.hosts.get(&endpoint);
        let storyline = event.process.storyline.as_ref();
        let begun = storyline.and_then(|one| self.begun.get(&(endpoint, Text::clone(one))));
        let mut line = Vec::new();
        let mut next = event.process.uid.clone();
        while let Some(uid) = next.filter(|_| line.len() < PROCESSES) {
            line.push(self.shown(endpoint, &uid));
            let seen = self.seen.get(&(endpoint, Text::clone(&uid)));
            next = seen.and_then(|seen| seen.parent.clone()).filter(|parent| *parent != uid);
        }
        line.reverse();
        Before {
            events: self.events.saturating_sub(1),
            events_on_host: host.map_or(0, |host| host.events.saturating_sub(1)),
            events_of_storyline: begun.map_or(0, |(_, events)| events.saturating_sub(1)),
            seconds_of_storyline: begun
                .map_or(0, |(first, _)| event.time.nanos_since(*first).max(0) / 1_000_000_000),
            line,
        }
    }

    /// What it came to; `stop_at`: the level from which what struck was thought to end its process.
    pub fn report(self, name: &str, stop_at: Option<Level>) -> Report {
        report::of(self, name, stop_at)
    }
}

impl Stop {
    /// Whether `event` would not have happened; if so it is counted.
    fn prevents(&mut self, event: &Event) -> bool {
        if event.id.endpoint != self.endpoint {
            return false;
        }
        let uid = event.process.uid.as_ref();
        let stopped = |uid: Option<&Text>| uid.is_some_and(|uid| self.ended.contains(uid));
        let kind = event.activity.kind();
        let network = kind.name().starts_with("network.") || kind == Kind::DnsQuery;
        let storyline = || {
            !self.storyline.is_empty()
                && event.process.storyline.as_deref() == Some(self.storyline.as_str())
        };
        let gone = match self.stops {
            Stops::Nothing => false,
            Stops::Process => stopped(uid) || stopped(event.process.parent_uid.as_ref()),
            Stops::Storyline => {
                storyline() || stopped(uid) || stopped(event.process.parent_uid.as_ref())
            }
            Stops::Host => network,
        };
        // Its end is what stopping brings about, too.
        if !gone || kind == Kind::ProcessExit {
            return false;
        }
        self.events += 1;
        if let Some(uid) = uid.filter(|_| self.stops != Stops::Host)
            && self.ended.len() < KNOWN
            && self.ended.insert(Text::clone(uid))
        {
            self.process_count += 1;
            if self.processes.len() < PROCESSES {
                self.processes.push(ProcessPart {
                    uid: uid.to_string(),
                    pid: event.process.pid,
                    executable: event.process.exe.as_deref().map(str::to_owned),
                    command_line: event
                        .process
                        .cmd_line
                        .as_deref()
                        .map(|text| text[..text.floor_char_boundary(SHOWN_BYTES)].to_owned()),
                });
            }
        }
        true
    }
}

fn event_name(id: EventId) -> String {
    id.to_string()
}

pub(crate) const fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Filter => "filter",
        Layer::Rule => "rule",
        Layer::Model => "model",
    }
}

pub(crate) const fn level(level: Level) -> &'static str {
    match level {
        Level::Informational => "informational",
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
        Level::Critical => "critical",
    }
}
