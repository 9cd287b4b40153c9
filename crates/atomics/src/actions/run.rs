//! Does the actions one after the other and asks the engine about what was told of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use metsuke_detect::{Engine, RuleSet};
use metsuke_event::finding::{Alert, Layer};
use metsuke_event::{Event, Kind};

use super::room::{Room, Script};
use super::{Deed, Detection};
use crate::watch::Watch;

/// Seconds that an action waits under the sensor's eyes before it begins and before its room ends, try
/// by try: what a file was before is known only from when the sensor has first looked into a room, and
/// a process that is told of is looked up while it lives; nothing tells when either is done.
const PAUSES: [u64; 3] = [0, 1, 5];
/// How long what is summed up or read later (writes at close, files of the system) may take to be
/// told after an action's end. Only a detection that did not strike waits this long.
const LATE: Duration = Duration::from_secs(6);
/// Seconds that an action may take, and MiB of memory for what it writes.
const SECONDS: u64 = 30;
const SPACE: u64 = 256;
/// What an action calls when days are to have passed (`days_pass` of `kit.sh`), before their number.
const DAYS_PASS: &str = "metsuke-days-pass ";
/// A day in nanoseconds.
const DAY_NANOS: i64 = 86_400_000_000_000;
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
    /// How often it was done: more than once when it did not strike at first.
    pub tries: usize,
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
        let mut done = None;
        for (tries, pause) in (1..).zip(PAUSES) {
            let group = format!("a{number}-{pause}");
            let mut outcome = attempt(watch, rules, detection, (&group, action, pause))?;
            outcome.tries = tries;
            let struck = outcome.struck.is_some();
            done = Some(outcome);
            if struck {
                break;
            }
        }
        if let Some(outcome) = done {
            tell(&outcome);
            report.outcomes.push(outcome);
        }
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
    let script = Script { text: action, pause, seconds: SECONDS, space: SPACE };
    let room = Room::new(&watch.group().join(group), script)?;
    let trouble = room.act(|| ())?;
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
        tries: 0,
        trouble: None,
        others: BTreeSet::new(),
        sample: Vec::new(),
        told: Vec::new(),
    };
    let mut engine = Engine::new(Arc::clone(rules));
    let mut later = 0_i64;
    for (number, event) in (1..).zip(told) {
        // The probe leaves numbering to the sensor; without a number all were the same activity.
        let mut event = event.clone();
        event.id.seq = number;
        if event.activity.kind() == Kind::ProcessExec {
            later = later.saturating_add(days(&event).saturating_mul(DAY_NANOS));
        }
        event.time = event.time.plus_nanos(later);
        let findings = engine.observe(&event);
        let alerts = findings.alerts.iter().flat_map(Alert::models);
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

/// How many days pass with `event`.
fn days(event: &Event) -> i64 {
    let line = event.process.cmd_line.as_deref().unwrap_or_default();
    line.split_once(DAYS_PASS).and_then(|(_, days)| days.parse().ok()).unwrap_or(0)
}
