//! Ordinary work: scripts of `work/`, each done for minutes in a room of its own under the real sensor's
//! eyes; what was told is kept as JSON lines (ECS) and put through the shipped detections.
//!
//! Invariant: recording and judging are two steps, so that content is mended without recording again.

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use metsuke_detect::{Engine, RuleSet};
use metsuke_event::finding::Alert;
use metsuke_event::{Event, ecs};
use serde_json::json;

use crate::actions::room::{Room, Script};
use crate::watch::Watch;

pub use page::page;

/// Space for what a room of work writes, in MiB of memory.
const SPACE: u64 = 1536;
/// How long what is told late (writes at close) is waited for at the end.
const LATE: Duration = Duration::from_secs(6);
/// How long the sensor has looked at a room before work begins there, in seconds.
const PAUSE: u64 = 2;
/// How much longer than its time a script may take to come to its end.
const GRACE: u64 = 120;

/// A kind of ordinary work.
#[derive(Clone, Debug)]
pub struct Work {
    /// The script's name without its ending.
    pub name: String,
    /// What it does, by its own first line.
    pub what: String,
    text: String,
}

/// The kinds of work in `folder`, by name; `kit.sh` is what they share.
///
/// # Errors
/// When the folder cannot be read.
pub fn load(folder: &Path) -> Result<Vec<Work>> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let kit = read(&folder.join("kit.sh"))?;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).context("the folder of work cannot be read")? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|ending| ending == "sh") && name != "kit" {
            let text = read(&path)?;
            let what = crate::actions::summary(&text).to_owned();
            found.push(Work { name, what, text: format!("{kit}\n{text}") });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Does `work` for so many seconds and writes what was told into `folder`.
///
/// # Errors
/// When its room cannot be made, the recording not be written, or the probe ended.
pub fn record(watch: &Watch, work: &Work, seconds: u64, folder: &Path) -> Result<()> {
    let text = format!("export WORK_SECONDS={seconds}\n{}", work.text);
    let script = Script { text: &text, pause: PAUSE, seconds: seconds + GRACE, space: SPACE };
    let room = Room::new(&watch.group().join(format!("w-{}", work.name)), script)?;
    let path = folder.join(format!("{}.jsonl", work.name));
    let mut out = BufWriter::new(
        fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?,
    );
    let mut number = 0;
    let mut failed = None;
    let mut keep = |told: Vec<Event>| {
        for mut event in told {
            number += 1;
            event.id.seq = number;
            if let Err(error) = writeln!(out, "{}", ecs::to_ecs(&event)) {
                failed.get_or_insert(error);
            }
        }
    };
    let begin = Instant::now();
    let trouble = room.act(|| keep(watch.take(room.group())))?;
    let took = begin.elapsed().as_secs();
    keep(watch.of(room.group())?);
    let deadline = Instant::now() + LATE;
    while Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
        keep(watch.take(room.group()));
    }
    if let Some(error) = failed {
        return Err(error).context("the recording cannot be written");
    }
    out.flush()?;
    let about = json!({"seconds": took, "lost": watch.lost(), "trouble": trouble});
    fs::write(folder.join(format!("{}.json", work.name)), about.to_string())?;
    Ok(())
}

/// What the detections say about one recording.
#[derive(Debug, Default)]
pub struct Judged {
    /// How long was recorded, in seconds.
    pub seconds: u64,
    /// Activities.
    pub activities: u64,
    /// Observations that the sensor says it lost until then.
    pub lost: u64,
    /// What went wrong in the script, where something did.
    pub trouble: Option<String>,
    /// Hits by id of the detection, filters and rules.
    pub hits: BTreeMap<String, u64>,
    /// Why the first hits of each struck, at most [`EXAMPLES`].
    pub examples: BTreeMap<String, Vec<String>>,
    /// Alerts, each in its last revision.
    pub alerts: Vec<Alert>,
}

/// Examples kept of a detection's hits.
const EXAMPLES: usize = 3;

/// What ordinary work, recorded, has of each detection.
#[derive(Debug, Default)]
pub struct Noise {
    /// Seconds recorded, of all kinds of work.
    pub seconds: u64,
    /// Hits, or alerts, by id of the detection.
    pub count: BTreeMap<String, u64>,
}

impl Noise {
    /// Of every recording of `all` in `folder`.
    ///
    /// # Errors
    /// As [`judge`].
    pub fn of(rules: &Arc<RuleSet>, all: &[Work], folder: &Path) -> Result<Self> {
        let mut noise = Self::default();
        for work in all {
            let judged = judge(rules, work, folder)?;
            noise.seconds += judged.seconds;
            for (id, hits) in judged.hits {
                *noise.count.entry(id).or_default() += hits;
            }
            for alert in judged.alerts {
                for model in alert.models() {
                    *noise.count.entry(model.id.clone()).or_default() += 1;
                }
            }
        }
        Ok(noise)
    }

    /// How often detection `id` struck in a day of one host.
    pub fn per_day(&self, id: &str) -> f64 {
        let count = self.count.get(id).copied().unwrap_or(0);
        page::rate(count, page::host_days(self.seconds))
    }
}

/// Puts the recording of `work` in `folder` through `rules`, as a host of its own.
///
/// # Errors
/// When there is no such recording, or a line of it cannot be read.
pub fn judge(rules: &Arc<RuleSet>, work: &Work, folder: &Path) -> Result<Judged> {
    let path = |ending: &str| -> PathBuf { folder.join(format!("{}.{ending}", work.name)) };
    let about = fs::read_to_string(path("json"))
        .with_context(|| format!("{} was not recorded", work.name))?;
    let about: serde_json::Value = serde_json::from_str(&about)?;
    let number = |name: &str| about[name].as_u64().unwrap_or(0);
    let mut judged = Judged {
        seconds: number("seconds"),
        lost: number("lost"),
        trouble: about["trouble"].as_str().map(str::to_owned),
        ..Judged::default()
    };
    let mut engine = Engine::new(Arc::clone(rules));
    let mut alerts = BTreeMap::new();
    for line in BufReader::new(fs::File::open(path("jsonl"))?).lines() {
        let json = serde_json::from_str(&line?)?;
        let event = ecs::from_ecs(&json).map_err(|error| anyhow!("{}: {error}", work.name))?;
        judged.activities += 1;
        let findings = engine.observe(&event);
        for hit in findings.hits {
            let examples = judged.examples.entry(hit.detection.id.clone()).or_default();
            if examples.len() < EXAMPLES {
                let why = hit.matched.iter().map(|one| format!("{} = {}", one.field, one.value));
                examples.push(why.collect::<Vec<_>>().join("; "));
            }
            *judged.hits.entry(hit.detection.id).or_default() += 1;
        }
        for alert in findings.alerts {
            alerts.insert(alert.id.to_string(), alert);
        }
    }
    judged.alerts = alerts.into_values().collect();
    Ok(judged)
}
