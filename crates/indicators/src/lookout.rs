//! Indicators met in the stream: detection's neighbour. It looks each activity's values up and gives
//! hits, at once, and sightings, with the findings.

use std::collections::HashSet;
use std::sync::Arc;

use metsuke_catalog::clock::now;
use metsuke_catalog::{NewSighting, Place};
use metsuke_event::finding::{DetectionRef, Hit, Layer, Level, Matched};
use metsuke_event::{EndpointId, Event, Text};
use metsuke_intel::observe::Said;
use metsuke_intel::{Action, Kind, Matcher, Set, Severity, Sighting};

use crate::live::Indicators;
use crate::met::{Met, bad};

/// Values met lately, per generation: the hour's second meeting gives no hit. About 150 bytes each.
const GENERATION: usize = 50_000;
/// Longest value in a hit's reason, in bytes; the vocabulary's bound.
const MAX_VALUE_BYTES: usize = 1_024;
/// From this confidence down a hit is one level lower.
const DOUBTFUL: u8 = 30;
const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;

type Key = (EndpointId, Kind, Text, i64);

/// Who looks activities' values up.
#[derive(Debug)]
pub struct Lookout {
    indicators: Indicators,
    set: Arc<Set>,
    met: Met,
    young: HashSet<Key>,
    old: HashSet<Key>,
}

impl Lookout {
    pub(crate) fn new(indicators: Indicators) -> Self {
        let set = indicators.set();
        let (young, old) = Default::default();
        Self { indicators, set, met: Met::default(), young, old }
    }

    /// From now on looks with the indicators that are in force.
    pub fn begin(&mut self) {
        self.set = self.indicators.set();
    }

    /// Looks `event`'s values up; what is known good is not among the answers.
    pub fn see(&mut self, event: &Event) -> Vec<Sighting> {
        if self.set.is_empty() {
            return Vec::new();
        }
        let mut sightings = Matcher::new(&self.set, now()).observe(event);
        sightings.retain(|sighting| {
            let is_bad = sighting.action != Action::Allow;
            if !is_bad {
                self.indicators.count_allowed();
            }
            is_bad
        });
        sightings
    }

    /// Notes what was seen in `event`, for [`Lookout::take`]; the first meeting of a value in an hour
    /// gives a hit.
    pub fn note(&mut self, event: &Event, sightings: &[Sighting]) -> Vec<Hit> {
        let mut hits = Vec::new();
        for sighting in sightings {
            self.met.see(event, sighting, Place::Stream);
            if self.is_first(event, sighting) {
                hits.push(hit(event, sighting));
            }
        }
        hits
    }

    fn is_first(&mut self, event: &Event, sighting: &Sighting) -> bool {
        let hour = event.time.as_nanos().div_euclid(HOUR_NANOS);
        let key = (event.id.endpoint, sighting.kind, Text::clone(&sighting.value), hour);
        if self.old.contains(&key) {
            return false;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key)
    }

    /// The sightings since this was last asked.
    pub fn take(&mut self) -> Vec<NewSighting> {
        let (sightings, dropped) = self.met.take();
        self.indicators.count_met(sightings.len() as u64, dropped);
        sightings
    }
}

/// How bad a sighting is: what its worst source says, at least high on a block list, one lower when
/// that source is hardly sure.
pub(crate) fn level(said: &Said) -> Level {
    let context = &said.context;
    let mut severity = context.severity;
    if context.action == Action::Block {
        severity = severity.max(Severity::High);
    }
    let doubtful = context.confidence.is_some_and(|sure| sure < DOUBTFUL);
    match (severity, doubtful) {
        (Severity::Informational, _) | (Severity::Low, true) => Level::Informational,
        (Severity::Low, false) | (Severity::Medium, true) => Level::Low,
        (Severity::Medium, false) | (Severity::High, true) => Level::Medium,
        (Severity::High, false) | (Severity::Critical, true) => Level::High,
        (Severity::Critical, false) => Level::Critical,
    }
}

fn hit(event: &Event, sighting: &Sighting) -> Hit {
    let value = &sighting.value[..sighting.value.floor_char_boundary(MAX_VALUE_BYTES)];
    let reason = |said: &Said| {
        let sure = said.context.confidence.map(|sure| format!(", confidence {sure}"));
        Matched {
            field: sighting.field.to_string(),
            value: value.to_owned(),
            clause: format!(
                "indicator {} {} of {} (list {}{})",
                said.kind.name(),
                said.indicator,
                said.context.source,
                said.context.action.list(),
                sure.unwrap_or_default()
            ),
        }
    };
    let kind = sighting.kind.name();
    let process = event.process.uid.as_deref().unwrap_or_default();
    Hit {
        detection: DetectionRef {
            id: format!("indicator-match/{kind}"),
            title: format!("Indicator met: {kind}"),
            layer: Layer::Filter,
            level: bad(&sighting.said).map(level).max().unwrap_or_default(),
            techniques: Vec::new(),
            tactics: Vec::new(),
        },
        event: event.id,
        time: event.time,
        process: process.to_owned(),
        storyline: event.process.storyline.as_deref().unwrap_or(process).to_owned(),
        matched: bad(&sighting.said).map(reason).collect(),
        excepted: None,
    }
}
