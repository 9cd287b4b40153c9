//! Does the actions one after the other and asks the engine about what was told of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use metsuke_detect::{Engine, RuleSet};
use metsuke_event::Event;
use metsuke_event::finding::Layer;

use super::room::Room;
use super::{Deed, Detection};
use crate::watch::Watch;

/// Seconds that an action waits under the sensor's eyes before it begins and before its room ends, try
/// by try: what a file was before is known only from when the sensor has first looked into a room, and
/// a process that is told of is looked up while it lives; nothing tells when either is done.
const PAUSES: [u64; 3] = [0, 1, 5];
/// How long what is summed up or read later (writes at close, files of the system) may take to be
/// told after an action's end. Only a detection that did not strike waits this long.
const LATE: Duration = Duration::from_secs(6);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What became of one action.
#[derive(Debug)]
pub struct Outcome {
    /// The detection's layer and folder.
    pub layer: Layer,
    /// The folder's name.
    pub name: String,
    /// The class of the activity on which it struck; `None` when it did not strike.
    pub struck: Option<&'static str>,
    /// What went wrong in the action, where something did.
    pub trouble: Option<String>,
    /// Titles of whatever else struck.
    pub others: BTreeSet<String>,
    /// The activities on which it struck, and those that led there.
    pub sample: Vec<Event>,
    /// Everything told.
    pub told: Vec<Event>,
}

/// What became of all.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each action, in the order in which they were done.
    pub outcomes: Vec<Outcome>,
    /// Observations that the sensor says it lost.
    pub lost: u64,
}

/// Does the action of each of `detections` and gives each outcome to `tell` as it comes.
///
/// # Errors
/// When rooms or control groups cannot be made at all, or the sensor's probe ended.
pub fn run(
    watch: &Watch,
    rules: &Arc<RuleSet>,
    detections: &[&Detection],
    mut tell: impl FnMut(&Outcome),
) -> Result<Report> {
    let mut report = Report::default();
    for (number, detection) in detections.iter().enumerate() {
        let Deed::Action(action) = &detection.deed else { continue };
        let mut outcome = attempt(watch, rules, detection, (&format!("a{number}"), action, 0))?;
        for pause in PAUSES.into_iter().skip(1) {
            if outcome.struck.is_none() {
                let group = format!("a{number}-{pause}");
                outcome = attempt(watch, rules, detection, (&group, action, pause))?;
            }
        }
        tell(&outcome);
        report.outcomes.push(outcome);
    }
    report.lost = watch.lost();
    Ok(report)
}

/// Does the action once, in a control group of this name, after a pause in seconds.
fn attempt(
    watch: &Watch,
    rules: &Arc<RuleSet>,
    detection: &Detection,
    (group, action, pause): (&str, &str, u64),
) -> Result<Outcome> {
    let room = Room::new(&watch.group().join(group), action, pause)?;
    let trouble = room.act()?;
    let mut told = watch.of(room.group())?;
    let mut outcome = judge(rules, detection, &told);
    let deadline = Instant::now() + LATE;
    while outcome.struck.is_none() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
        let more = watch.take(room.group());
        if !more.is_empty() {
            told.extend(more);
            outcome = judge(rules, detection, &told);
        }
    }
    (outcome.trouble, outcome.told) = (trouble, told);
    Ok(outcome)
}

/// What strikes on `told`, with an engine that has seen nothing else.
fn judge(rules: &Arc<RuleSet>, detection: &Detection, told: &[Event]) -> Outcome {
    let mut outcome = Outcome {
        layer: detection.layer,
        name: detection.name.clone(),
        struck: None,
        trouble: None,
        others: BTreeSet::new(),
        sample: Vec::new(),
        told: Vec::new(),
    };
    let mut engine = Engine::new(Arc::clone(rules));
    for (number, event) in (1..).zip(told) {
        // The probe leaves numbering to the sensor; without a number all were the same activity.
        let mut event = event.clone();
        event.id.seq = number;
        let findings = engine.observe(&event);
        let alerts = findings.alerts.iter().map(|alert| &alert.detection);
        let struck: Vec<_> = findings.hits.iter().map(|hit| &hit.detection).chain(alerts).collect();
        let met = struck.iter().any(|one| one.id == detection.id);
        if outcome.struck.is_none() && (met || detection.layer != Layer::Filter) {
            let filters = struck.iter().any(|one| one.layer == Layer::Filter);
            if met || filters {
                outcome.sample.push(event.clone());
            }
        }
        if met && outcome.struck.is_none() {
            outcome.struck = Some(event.activity.kind().name());
        }
        let others = struck.iter().filter(|one| one.id != detection.id);
        outcome.others.extend(others.map(|one| one.title.clone()));
    }
    outcome
}
