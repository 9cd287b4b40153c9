//! Shipped content against recorded runs of the demo, without a server: many seeds, quickly.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use metsuke_detect::{Engine, compile};
use metsuke_event::Event;
use metsuke_event::field::by_name;
use metsuke_event::finding::{Alert, Hit, Level};
use metsuke_testkit::binaries::binary;
use metsuke_testkit::judge::{expectations, start_problems};
use metsuke_testkit::process::Running;
use metsuke_testkit::{Cgroup, needs, wait};
use serde_json::{Value, json};

use crate::ARRIVES;
use crate::demo::play;

/// Seeds that together take every way the demo knows.
const SEEDS: [u64; 6] = [1, 2, 3, 5, 8, 13];

/// What the sensor recorded while `work` went on in `group`, line by line.
fn record(group: &Cgroup, folder: &Path, work: impl FnOnce() -> Result<()>) -> Result<Vec<Value>> {
    let output = folder.join("recording.jsonl");
    let mut command = Command::new(binary("metsuke-sensor")?);
    command.args(["record", "--format", "native", "--scope-cgroup"]).arg(group.path());
    command.arg("--output").arg(&output);
    let mut sensor = Running::start("recorder", &mut command, &folder.join("log"))?;
    wait::until_true("the recorder to watch", ARRIVES, || {
        sensor.must_run()?;
        Ok(sensor.log_tail().contains("recording to"))
    })?;
    work()?;
    sensor.stop(ARRIVES)?;
    let text = std::fs::read_to_string(&output)?;
    text.lines().map(|line| serde_json::from_str(line).context("a broken line")).collect()
}

fn event(line: &Value) -> Event {
    let fields = line.as_object().into_iter().flatten();
    let values = fields.filter_map(|(name, value)| {
        let spec = by_name(name)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((spec.id, metsuke_event::Value::parse(spec.ty, &text)?))
    });
    let (event, rest) = Event::from_fields(values).expect("an activity");
    assert!(rest.is_empty(), "fields nobody knows: {rest:?}");
    event
}

fn findings(lines: &[Value]) -> (Vec<Hit>, BTreeMap<String, Alert>) {
    let (rules, refused) = compile(metsuke_content::documents());
    assert!(refused.is_empty(), "{refused:#?}");
    let mut engine = Engine::new(rules);
    let (mut hits, mut alerts) = (Vec::new(), BTreeMap::new());
    for line in lines {
        let found = engine.observe(&event(line));
        hits.extend(found.hits);
        alerts.extend(found.alerts.into_iter().map(|alert| (alert.id.to_string(), alert)));
    }
    (hits, alerts)
}

#[test]
fn every_step_of_every_seed_is_said_by_an_alert() -> Result<()> {
    needs!("every_step_of_every_seed_is_said_by_an_alert", Root, Cgroup);
    for seed in SEEDS {
        let folder = tempfile::tempdir()?;
        let group = Cgroup::create("e2e-record")?;
        let mut truth = None;
        let events = record(&group, folder.path(), || {
            truth = Some(play("intrusion", seed, &group)?);
            Ok(())
        })?;
        let truth = truth.context("a run without truth")?;
        let starts: Vec<Value> = events
            .iter()
            .filter(|line| line["class"] == "process.exec")
            .map(|line| json!({ "fields": line }))
            .collect();
        let problems = start_problems(&starts, &truth);
        assert!(problems.is_empty(), "seed {seed}: {}", problems.join("\n"));
        let (hits, alerts) = findings(&events);
        let struck: Vec<&str> = hits.iter().map(|hit| hit.detection.title.as_str()).collect();
        let alerts: Vec<Value> =
            alerts.values().map(serde_json::to_value).collect::<Result<_, _>>()?;
        for met in expectations(&truth, &alerts) {
            let step = &met.expected.step;
            assert!(met.by.is_some(), "seed {seed}: no alert says {step}; struck: {struck:#?}");
        }
    }
    Ok(())
}

#[test]
fn no_twin_of_any_seed_raises_anything() -> Result<()> {
    needs!("no_twin_of_any_seed_raises_anything", Root, Cgroup);
    for seed in SEEDS {
        let folder = tempfile::tempdir()?;
        let group = Cgroup::create("e2e-record")?;
        let events = record(&group, folder.path(), || play("twin", seed, &group).map(drop))?;
        assert!(events.len() > 30, "seed {seed}: only {} activities", events.len());
        let (hits, alerts) = findings(&events);
        assert!(alerts.is_empty(), "seed {seed}: {alerts:#?}");
        let loud: Vec<&Hit> =
            hits.iter().filter(|hit| hit.detection.level >= Level::Medium).collect();
        assert!(loud.is_empty(), "seed {seed}: {loud:#?}");
    }
    Ok(())
}
