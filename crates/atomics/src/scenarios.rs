//! Invented intrusions: folders of `scenarios/`, each done step by step in a room of its own under the
//! real sensor's eyes. Which layer caught which step, and after how long, is asked of the shipped
//! detections, which know nothing of them.
//!
//! A folder holds `steps.sh` (functions for bash, and `prepare`), `expected.yml` (the steps in order, in
//! words, and whether each is expected to be caught) and `page.md`.

mod credit;
mod page;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use metsuke_detect::{Engine, RuleSet};
use metsuke_event::finding::{Alert, DetectionRef, Level};
use metsuke_event::{Event, Timestamp};
use metsuke_incident::course::Stops;
use saphyr::{LoadableYamlNode as _, Yaml};

use crate::actions::room::{Room, Script};
use crate::watch::Watch;

pub use page::page;

use credit::Credit;

/// Seconds that a scenario may take.
const SECONDS: u64 = 90;
/// Space for what its room writes, in MiB of memory.
const SPACE: u64 = 256;
/// How long the sensor has looked at a room before the first step, in seconds.
const PAUSE: u64 = 1;
/// How long what is told late is waited for at the end.
const LATE: Duration = Duration::from_secs(6);
/// What stands in the command line of the program that begins a step, before its name.
const STEP: &str = "metsuke-step ";

/// One step of an intrusion.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its function in `steps.sh`.
    pub name: String,
    /// What it does, in words.
    pub what: String,
    /// Techniques of ATT&CK.
    pub techniques: Vec<String>,
    /// Whether it is expected to be caught at level medium or above.
    pub caught: bool,
    /// Whether it begins a service that later steps speak with.
    pub serves: bool,
    /// Why not, where it is not.
    pub why: String,
}

/// One invented intrusion.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The folder's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// The step until which responses that detections carry must have stopped it; `None` where none
    /// does.
    pub stopped: Option<String>,
    script: String,
}

/// What was caught of one step.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What struck on its activities, each once, the highest first.
    pub hits: Vec<DetectionRef>,
    /// From the step's begin to the first hit at level medium or above, by the activities' own time.
    pub after: Option<Duration>,
}

/// What became of one scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario.
    pub scenario: Scenario,
    /// What was caught, step by step.
    pub seen: Vec<Seen>,
    /// Models that raised an alert: the step, and how long after the first step's begin.
    pub alerts: Vec<(DetectionRef, usize, Duration)>,
    /// The first that calls for a stop in block mode, as `metsuke replay` finds it: the step, and how long
    /// after the first step's begin.
    pub stopped: Option<(DetectionRef, usize, Duration)>,
    /// Everything told.
    pub told: Vec<Event>,
    /// What went wrong in the script, where something did.
    pub trouble: Option<String>,
}

impl Outcome {
    /// Whether step `number` was caught at level medium or above.
    pub fn caught(&self, number: usize) -> bool {
        self.seen.get(number).is_some_and(|seen| seen.after.is_some())
    }

    /// Whether it was stopped in the step that its folder names, or before; where none is named, always.
    pub fn stopped_in_time(&self) -> bool {
        let Some(name) = &self.scenario.stopped else { return true };
        let until = self.scenario.steps.iter().position(|step| step.name == *name);
        self.stopped.as_ref().is_some_and(|(_, step, _)| until.is_some_and(|until| *step <= until))
    }
}

/// Every scenario below `folder`, by name.
///
/// # Errors
/// When one of the files is missing or cannot be read.
pub fn load(folder: &Path) -> Result<Vec<Scenario>> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).context("the folder of scenarios cannot be read")? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    let read = |path: &PathBuf| {
        scenario(path).with_context(|| format!("{} is no scenario", path.display()))
    };
    folders.iter().map(read).collect()
}

fn scenario(folder: &Path) -> Result<Scenario> {
    let text = fs::read_to_string(folder.join("expected.yml"))?;
    let steps = fs::read_to_string(folder.join("steps.sh"))?;
    ensure!(folder.join("page.md").is_file(), "write page.md: what happens, and what it teaches");
    let documents = Yaml::load_from_str(&text)?;
    let document = documents.first().ok_or_else(|| anyhow!("expected.yml is empty"))?;
    let list = document.as_mapping_get("steps").and_then(Yaml::as_vec);
    let list = list.ok_or_else(|| anyhow!("expected.yml has no list of steps"))?;
    let list: Vec<Step> = list.iter().map(step).collect();
    let mut script = steps + "\nact() {\n";
    for one in &list {
        ensure!(script.contains(&format!("{}()", one.name)), "steps.sh has no {}()", one.name);
        let name = &one.name;
        let _ = writeln!(script, "/usr/bin/true '{STEP}{name}'\n{name}\nsleep 0.3");
    }
    script += "}\n";
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stopped = Some(field(document, "stopped")).filter(|step| !step.is_empty());
    let known = |name: &String| list.iter().any(|step| step.name == *name);
    ensure!(stopped.as_ref().is_none_or(known), "expected.yml: stopped names no step");
    Ok(Scenario { name, title: field(document, "title"), steps: list, stopped, script })
}

fn step(node: &Yaml<'_>) -> Step {
    let techniques = node.as_mapping_get("techniques").and_then(Yaml::as_vec);
    let techniques = techniques.into_iter().flatten();
    Step {
        name: field(node, "step"),
        what: field(node, "what"),
        techniques: techniques.filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        caught: node.as_mapping_get("caught").and_then(Yaml::as_bool).unwrap_or(true),
        serves: node.as_mapping_get("serves").and_then(Yaml::as_bool).unwrap_or(false),
        why: field(node, "why"),
    }
}

fn field(node: &Yaml<'_>, name: &str) -> String {
    let text = node.as_mapping_get(name).and_then(Yaml::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Does `scenario` and asks `rules` about what was told.
///
/// # Errors
/// When its room cannot be made, or the sensor's probe ended.
pub fn run(watch: &Watch, rules: &Arc<RuleSet>, scenario: &Scenario) -> Result<Outcome> {
    let script = Script { text: &scenario.script, pause: PAUSE, seconds: SECONDS, space: SPACE };
    let room = Room::new(&watch.group().join(format!("s-{}", scenario.name)), script)?;
    let trouble = room.act(|| ())?;
    let mut told = watch.of(room.group())?;
    let deadline = Instant::now() + LATE;
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        told.extend(watch.take(room.group()));
    }
    let mut outcome = judge(rules, scenario, &told);
    (outcome.told, outcome.trouble) = (told, trouble);
    Ok(outcome)
}

/// A detection engine that has seen nothing else is shown what was told.
fn judge(rules: &Arc<RuleSet>, scenario: &Scenario, told: &[Event]) -> Outcome {
    let credit = Credit::of(&scenario.steps, told);
    let mut outcome = Outcome {
        scenario: scenario.clone(),
        seen: vec![Seen::default(); scenario.steps.len()],
        alerts: Vec::new(),
        stopped: None,
        told: Vec::new(),
        trouble: None,
    };
    let mut engine = Engine::new(Arc::clone(rules));
    let mut raised = BTreeSet::new();
    for (number, event) in (1..).zip(told) {
        let mut event = event.clone();
        event.id.seq = number;
        let findings = engine.observe(&event);
        let at = credit.step(&event);
        let since_first = between(credit.begun(0), event.time);
        let hits = findings.hits.iter().map(|hit| &hit.detection);
        let struck: Vec<&DetectionRef> =
            hits.chain(findings.alerts.iter().flat_map(Alert::models)).collect();
        if let Some(first) = struck.iter().find(|one| stops(rules, one) > Stops::Nothing) {
            outcome.stopped.get_or_insert_with(|| ((*first).clone(), at, since_first));
        }
        let Some(seen) = outcome.seen.get_mut(at) else { continue };
        for hit in findings.hits {
            if hit.detection.level >= Level::Medium && seen.after.is_none() {
                seen.after = Some(between(credit.begun(at), event.time));
            }
            if !seen.hits.iter().any(|one| one.id == hit.detection.id) {
                seen.hits.push(hit.detection);
            }
        }
        for alert in findings.alerts {
            // What leads an alert may change; it is one still.
            if raised.insert(alert.id) {
                outcome.alerts.push((alert.detection, at, since_first));
            }
        }
    }
    for seen in &mut outcome.seen {
        seen.hits.sort_by(|a, b| (b.level, b.layer, &a.title).cmp(&(a.level, a.layer, &b.title)));
    }
    outcome
}

/// What a detection stops in block mode.
fn stops(rules: &RuleSet, detection: &DetectionRef) -> Stops {
    let meta = rules.all().find(|meta| meta.detection.id == detection.id);
    let called = meta.into_iter().flat_map(|meta| &meta.responses.block);
    Stops::of(detection.layer, called.map(|response| response.name()))
}

fn between(from: Option<Timestamp>, to: Timestamp) -> Duration {
    let nanos = from.map_or(0, |from| to.nanos_since(from));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
