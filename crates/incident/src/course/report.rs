//! What the course of an incident came to: for people and programs.

use std::collections::BTreeMap;

use metsuke_event::Timestamp;
use metsuke_event::finding::Level;
use serde::{Deserialize, Serialize};

use super::{Course, Stops, layer, level};

/// A process as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPart {
    /// Identity.
    pub uid: String,
    /// Process id.
    pub pid: Option<u64>,
    /// Executable.
    pub executable: Option<String>,
    /// Command line, its beginning.
    pub command_line: Option<String>,
}

/// The first time that a detection struck on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub time: Timestamp,
    /// Host.
    pub host: String,
    /// Detection id.
    pub detection: String,
    /// Its title.
    pub title: String,
    /// `filter`, `rule` or `model`.
    pub layer: String,
    /// Level.
    pub level: String,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Score of an alert.
    pub score: Option<u8>,
    /// The process that acted.
    pub process: Option<ProcessPart>,
    /// The event: `ENDPOINT:BOOT:SEQ`.
    pub event: String,
}

/// What came before a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Events of the recording.
    pub events: u64,
    /// Events of this host.
    pub events_on_host: u64,
    /// Events of the step's storyline: what the intruder got done unseen.
    pub events_of_storyline: u64,
    /// Seconds since its storyline began.
    pub seconds_of_storyline: i64,
    /// The process that acted, with those that led to it, the first one first.
    pub line: Vec<ProcessPart>,
}

/// What came after a step that would have been stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Came {
    /// Events.
    pub events: u64,
    /// Processes that would not have started, or would have been ended.
    pub processes: u64,
    /// The first of them.
    pub first_processes: Vec<ProcessPart>,
    /// What struck on them: id, title and how often.
    pub detections: Vec<(String, String, u64)>,
    /// Alerts that would not have come.
    pub alerts: u64,
}

/// A step that would have been detected or stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The step.
    pub moment: Moment,
    /// What would have been ended: `process`, `storyline` or `host`; nothing where it is only detected.
    pub stops: Option<String>,
    /// What came before.
    pub before: Before,
    /// What would not have happened.
    pub after: Option<Came>,
}

/// What one layer found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPart {
    /// How often it struck.
    pub count: u64,
    /// By level.
    pub by_level: BTreeMap<String, u64>,
    /// The earliest of more than informational level.
    pub first: Option<Moment>,
}

/// What one detection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectionPart {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its layer.
    pub layer: String,
    /// Its level.
    pub level: String,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// How often it struck.
    pub count: u64,
    /// On how many hosts.
    pub hosts: u64,
    /// When first.
    pub first: Timestamp,
    /// What it stops in block mode, if anything.
    pub stops: Option<String>,
}

/// One recorded host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPart {
    /// Endpoint.
    pub endpoint: String,
    /// Host name; empty when the recording has none.
    pub host: String,
    /// Events.
    pub events: u64,
    /// First of them.
    pub first: Option<Timestamp>,
    /// Last of them.
    pub last: Option<Timestamp>,
}

/// What the course of an incident came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// The level from which what struck was thought to end its process; absent where none was given.
    #[serde(default)]
    pub stop_at: Option<String>,
    /// Events.
    pub events: u64,
    /// Events that came after a later one: with many, what happened first is not certain.
    pub out_of_order: u64,
    /// The recorded hosts.
    pub hosts: Vec<HostPart>,
    /// By layer: `filter`, `rule`, `model`.
    pub layers: BTreeMap<String, LayerPart>,
    /// Every detection that struck, by when it struck first.
    pub detections: Vec<DetectionPart>,
    /// First strikes by host, in order of time; at most 500.
    pub steps: Vec<Moment>,
    /// The earliest step that would have been detected.
    pub earliest_detected: Option<Stopped>,
    /// The earliest step that would have been stopped in block mode.
    pub earliest_stopped: Option<Stopped>,
}

fn stops(stops: Stops) -> Option<String> {
    let name = match stops {
        Stops::Nothing => return None,
        Stops::Process => "process",
        Stops::Storyline => "storyline",
        Stops::Host => "host",
    };
    Some(name.to_owned())
}

pub(super) fn of(course: Course, name: &str, stop_at: Option<Level>) -> Report {
    let hosts = course.hosts.into_iter().map(|(endpoint, host)| HostPart {
        endpoint: endpoint.to_string(),
        host: host.name,
        events: host.events,
        first: host.first,
        last: host.last,
    });
    let mut detections: Vec<DetectionPart> = course
        .struck
        .into_values()
        .map(|struck| DetectionPart {
            id: struck.detection.id,
            title: struck.detection.title,
            layer: layer(struck.detection.layer).to_owned(),
            level: level(struck.detection.level).to_owned(),
            techniques: struck.detection.techniques,
            count: struck.count,
            hosts: struck.hosts.len() as u64,
            first: struck.first.time,
            stops: stops(struck.stops),
        })
        .collect();
    detections.sort_by(|a, b| (a.first, &a.id).cmp(&(b.first, &b.id)));
    let mut steps = course.moments;
    steps.sort_by_key(|moment| moment.time);
    let detected = course.earliest.map(|(moment, before)| Stopped {
        moment,
        stops: None,
        before,
        after: None,
    });
    let stopped = course.stop.map(|stop| Stopped {
        moment: stop.moment,
        stops: stops(stop.stops),
        before: stop.before,
        after: Some(Came {
            events: stop.events,
            processes: stop.process_count,
            first_processes: stop.processes,
            detections: stop
                .detections
                .into_values()
                .map(|(detection, count)| (detection.id, detection.title, count))
                .collect(),
            alerts: stop.alerts,
        }),
    });
    let layers = course.by_layer.into_iter();
    Report {
        name: name.to_owned(),
        stop_at: stop_at.map(|from| level(from).to_owned()),
        events: course.events,
        out_of_order: course.disorder,
        hosts: hosts.collect(),
        layers: layers.map(|(name, part)| (name.to_owned(), part)).collect(),
        detections,
        steps,
        earliest_detected: detected,
        earliest_stopped: stopped,
    }
}
