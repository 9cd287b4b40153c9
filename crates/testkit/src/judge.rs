//! The judgement of a demo run: what the product says, held against what happened.
//!
//! Everything is asked through the API, and every sentence of the verdict names what it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metsuke_demo::truth::{Expectation, ProcessTruth, StepTruth, Truth, now};
use metsuke_event::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::Api;
use crate::cgroup::mounted;
use crate::wait;

mod quiet;

pub use quiet::Quiet;

/// Clocks of processes and events agree to this: both are this machine's. Steps last some tens of
/// milliseconds, so more would let one step's highlight answer for another's.
const CLOCK_SLACK_NS: i64 = 10_000_000;
/// How long before a run's start its events are looked for, and how long after its end.
const AROUND_NS: i64 = 5_000_000_000;

/// One alert, as `./x run` prints it.
#[derive(Clone, Debug)]
pub struct AlertLine {
    /// Identity.
    pub id: String,
    /// What it says.
    pub title: String,
    /// Severity.
    pub level: String,
    /// 0 to 99.
    pub score: u64,
    /// Tactics of its highlights.
    pub tactics: BTreeSet<String>,
    /// Number of highlights.
    pub highlights: usize,
}

/// What is known of one expectation.
#[derive(Clone, Debug)]
pub struct Met {
    /// The expectation.
    pub expected: Expectation,
    /// The highlight that met it: `title (technique)`.
    pub by: Option<String>,
}

/// What came of the intrusion.
#[derive(Clone, Debug)]
pub struct Caught {
    /// The storyline's root.
    pub storyline: String,
    /// Alerts on it.
    pub alerts: Vec<AlertLine>,
    /// Each expectation.
    pub met: Vec<Met>,
    /// From the end of the last step until all was there, or until waiting ended.
    pub took: Duration,
}

impl Caught {
    /// Expectations nothing met.
    pub fn missing(&self) -> impl Iterator<Item = &Expectation> {
        self.met.iter().filter(|met| met.by.is_none()).map(|met| &met.expected)
    }
}

/// Looks at one endpoint.
#[derive(Clone, Debug)]
pub struct Judge {
    api: Api,
    endpoint: String,
}

impl Judge {
    /// A judge of what the server says about `endpoint`.
    pub fn new(api: Api, endpoint: &str) -> Self {
        Self { api, endpoint: endpoint.to_owned() }
    }

    /// Waits, at most `limit`, until every expectation of `truth` is met, and tells what is there.
    ///
    /// # Errors
    /// When the server does not answer, or has not even seen the run's first process by then.
    pub fn caught(&self, truth: &Truth, limit: Duration) -> Result<Caught> {
        let end = Instant::now() + limit;
        let root = self.root(truth, limit)?;
        let storyline = text(&root, "process.storyline");
        loop {
            let details = self.alerts_of(&storyline)?;
            let met = expectations(truth, &details);
            let took = now().nanos_since(truth.ended).max(0).unsigned_abs();
            let caught = Caught {
                storyline: storyline.clone(),
                alerts: details.iter().map(line).collect(),
                met,
                took: Duration::from_nanos(took),
            };
            if (caught.missing().next().is_none() && !caught.alerts.is_empty())
                || Instant::now() >= end
            {
                return Ok(caught);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Processes of `truth` that are not in the tree as they were: one sentence each.
    ///
    /// # Errors
    /// When the server does not answer, or has not seen the run's first process by then.
    pub fn tree_problems(&self, truth: &Truth, limit: Duration) -> Result<Vec<String>> {
        let root = self.root(truth, limit)?;
        let end = Instant::now() + limit;
        loop {
            let problems = self.compare_tree(truth, &root)?;
            if problems.is_empty() || Instant::now() >= end {
                return Ok(problems);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn compare_tree(&self, truth: &Truth, root: &Value) -> Result<Vec<String>> {
        let uid = text(root, "process.uid");
        let tree = self.tree(truth, &uid)?;
        let nodes: Vec<Value> = tree["nodes"].as_array().cloned().unwrap_or_default();
        let pids: BTreeMap<u64, &Value> =
            nodes.iter().filter_map(|node| Some((node["pid"].as_u64()?, node))).collect();
        let query = format!(
            "device.uid:{} AND class:process.exec AND process.storyline:\"{}\"",
            self.endpoint,
            text(root, "process.storyline")
        );
        let starts = self.search(truth, &query)?;
        let mut problems = start_problems(&starts, truth);
        for process in truth.processes() {
            let label = process.argv.join(" ");
            let Some(start) = starts.iter().find(|row| is_start(row, process)) else { continue };
            let pid = number(start, "process.pid");
            match pids.get(&pid) {
                None => problems.push(format!("`{label}` (pid {pid}) is not in the tree")),
                Some(node) if node["uid"] != uid.as_str() && node["parent_uid"].is_null() => {
                    problems.push(format!("`{label}` (pid {pid}) has no parent in the tree"));
                }
                Some(_) => {}
            }
        }
        Ok(problems)
    }

    /// What the server said about a quiet run that it should not have said: any alert of the
    /// endpoint whose time touches the run's, and any hit of medium level or above in the run's
    /// time and control group, on whatever storyline. Low hits are counted.
    ///
    /// # Errors
    /// When the server does not answer, or has not seen the run's first process by then.
    pub fn noise(&self, truth: &Truth, limit: Duration) -> Result<Quiet> {
        let root = self.root(truth, limit)?;
        let mut found = Quiet::default();
        for alert in
            self.api.all(&format!("/api/v1/alerts?endpoint={}&limit=100", self.endpoint))?
        {
            if quiet::touches(&alert, truth.started, truth.ended) {
                let line = line(&alert);
                let what = format!("alert `{}` ({}, score {})", line.title, line.level, line.score);
                found.noise.push(what);
            }
        }
        let own = text(&root, "process.storyline");
        let inside = self.inside(truth, &root)?;
        let mut storylines: BTreeSet<&str> = inside.values().map(String::as_str).collect();
        storylines.insert(&own);
        for storyline in storylines.into_iter().filter(|storyline| !storyline.is_empty()) {
            let tree = self.tree(truth, storyline)?;
            for node in tree["nodes"].as_array().into_iter().flatten() {
                let uid = node["uid"].as_str().unwrap_or_default();
                if storyline == own || inside.contains_key(uid) {
                    found.judge_hits(node);
                }
            }
        }
        Ok(found)
    }

    /// Every process that acted in the run's time and control group, with its storyline; none
    /// where neither the run nor the sensor knows of a group.
    fn inside(&self, truth: &Truth, root: &Value) -> Result<BTreeMap<String, String>> {
        let group = match &truth.cgroup {
            Some(path) => path.trim_start_matches(&*mounted()?.to_string_lossy()).to_owned(),
            None => text(root, "process.cgroup"),
        };
        if group.is_empty() {
            return Ok(BTreeMap::new());
        }
        let query = format!("device.uid:{} AND process.cgroup:\"{group}\"", self.endpoint);
        let rows = self.search(truth, &query)?;
        let named = |row| (text(row, "process.uid"), text(row, "process.storyline"));
        Ok(rows.iter().map(named).collect())
    }

    /// Rows about a bystander: process `pid`, its children, or the word `marker`, which only its
    /// command line holds.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn rows_about(&self, truth: &Truth, marker: &str, pid: u32) -> Result<Vec<Value>> {
        let query = format!(
            "process.cmd_line:*{marker}* OR process.pid:{pid} OR process.parent_process.pid:{pid}"
        );
        self.search(truth, &query)
    }

    /// The first activity of the run's own process, with its identity.
    fn root(&self, truth: &Truth, limit: Duration) -> Result<Value> {
        let pid = truth.root.pid.context("a run without a process id")?;
        let query = format!("device.uid:{} AND process.pid:{pid}", self.endpoint);
        let what = format!("the run's first process (pid {pid}) to be seen");
        wait::until(&what, limit, || {
            let rows = self.search(truth, &query)?;
            Ok(rows.into_iter().find(|row| !row["fields"]["process.storyline"].is_null()))
        })
    }

    fn search(&self, truth: &Truth, query: &str) -> Result<Vec<Value>> {
        let from = truth.started.plus_nanos(-AROUND_NS).to_string();
        let to = truth.ended.plus_nanos(AROUND_NS).to_string();
        self.api.search_all(query, &from, &to)
    }

    fn tree(&self, truth: &Truth, uid: &str) -> Result<Value> {
        let from = crate::http::escape(&truth.started.plus_nanos(-AROUND_NS).to_string());
        let to = crate::http::escape(&truth.ended.plus_nanos(AROUND_NS).to_string());
        let (endpoint, uid) = (&self.endpoint, crate::http::escape(uid));
        self.api.get(&format!("/api/v1/tree?endpoint={endpoint}&process={uid}&from={from}&to={to}"))
    }

    fn alerts_of(&self, storyline: &str) -> Result<Vec<Value>> {
        let path = format!("/api/v1/alerts?endpoint={}&limit=100", self.endpoint);
        let mut details = Vec::new();
        for alert in self.api.all(&path)? {
            if alert["storyline"] == storyline {
                let id = alert["id"].as_str().unwrap_or_default();
                details.push(self.api.get(&format!("/api/v1/alerts/{id}"))?);
            }
        }
        Ok(details)
    }
}

/// Processes of `truth` whose start is not among `rows` as it was: one sentence each. A row is an
/// object whose `fields` are named canonically, as the API gives it.
pub fn start_problems(rows: &[Value], truth: &Truth) -> Vec<String> {
    let mut hashes = BTreeMap::new();
    let mut problems = Vec::new();
    for process in truth.processes() {
        match rows.iter().find(|row| is_start(row, process)) {
            Some(start) => problems.extend(compare_start(start, process, truth, &mut hashes)),
            None => problems.push(format!(
                "no start of `{}` (pid {:?})",
                process.argv.join(" "),
                process.pid
            )),
        }
    }
    problems
}

fn field<'a>(row: &'a Value, name: &str) -> &'a Value {
    &row["fields"][name]
}

fn text(row: &Value, name: &str) -> String {
    field(row, name).as_str().unwrap_or_default().to_owned()
}

/// Numbers beyond what JavaScript keeps travel as text.
fn number(row: &Value, name: &str) -> u64 {
    let value = field(row, name);
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn is_start(row: &Value, process: &ProcessTruth) -> bool {
    let pid = number(row, "process.pid");
    let same = process.pid.map_or_else(
        || number(row, "process.parent_process.pid") == u64::from(process.parent_pid),
        |known| u64::from(known) == pid,
    );
    same && arguments_match(&text(row, "process.cmd_line"), &process.argv)
}

/// The kernel puts a script's interpreter before the script, so an end that agrees is enough.
fn arguments_match(cmd_line: &str, argv: &[String]) -> bool {
    let told = argv.join(" ");
    cmd_line == told || cmd_line.ends_with(&format!(" {told}"))
}

fn compare_start(
    row: &Value,
    process: &ProcessTruth,
    truth: &Truth,
    hashes: &mut BTreeMap<String, String>,
) -> Vec<String> {
    let label = process.argv.join(" ");
    let mut problems = Vec::new();
    let parent = number(row, "process.parent_process.pid");
    if parent != u64::from(process.parent_pid) {
        problems.push(format!("`{label}`: parent {parent}, was {}", process.parent_pid));
    }
    let cwd = text(row, "process.working_directory");
    if cwd != process.cwd {
        problems.push(format!("`{label}`: cwd {cwd:?}, was {:?}", process.cwd));
    }
    let uid = number(row, "process.user.uid");
    if uid != u64::from(truth.uid) || text(row, "process.user.name").is_empty() {
        problems.push(format!("`{label}`: user {uid} {:?}", text(row, "process.user.name")));
    }
    if let Some(exe) = &process.exe {
        let known = hashes.entry(exe.clone()).or_insert_with(|| sha256(exe).unwrap_or_default());
        let told = text(row, "process.file.hash.sha256");
        if told != *known {
            problems.push(format!("`{label}`: sha256 {told:?}, of {exe} it is {known}"));
        }
    }
    problems
}

/// SHA-256 of a file, lower-case hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &str) -> Result<String> {
    use std::fmt::Write;
    let bytes = std::fs::read(path)?;
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        write!(digits, "{byte:02x}")?;
    }
    Ok(digits)
}

fn line(alert: &Value) -> AlertLine {
    let highlights = alert["highlights"].as_array().map(Vec::as_slice).unwrap_or_default();
    let string = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
    AlertLine {
        id: string("id"),
        title: string("title"),
        level: string("level"),
        score: alert["score"].as_u64().unwrap_or_default(),
        tactics: highlights.iter().flat_map(tactics).map(str::to_owned).collect(),
        highlights: highlights.len(),
    }
}

/// Whether the highlight is of one of the techniques the step imitates; a technique and its
/// sub-techniques count as one, the mere tactic does not.
fn names_technique(highlight: &Value, expected: &Expectation) -> bool {
    let family = |id: &str| id.split('.').next().unwrap_or_default().to_owned();
    highlight["detection"]["techniques"].as_array().into_iter().flatten().any(|technique| {
        let said = family(technique.as_str().unwrap_or_default());
        expected.techniques.iter().any(|one| family(one) == said)
    })
}

fn tactics(highlight: &Value) -> impl Iterator<Item = &str> {
    highlight["detection"]["tactics"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Each expectation of `truth`, with the highlight of `alerts` that meets it.
pub fn expectations(truth: &Truth, alerts: &[Value]) -> Vec<Met> {
    truth.expected.iter().map(|one| meet(one, truth, alerts)).collect()
}

fn meet(expected: &Expectation, truth: &Truth, alerts: &[Value]) -> Met {
    let step = truth.steps.iter().find(|step| step.name == expected.step);
    let by = alerts
        .iter()
        .flat_map(|alert| alert["highlights"].as_array().into_iter().flatten())
        .filter(|highlight| {
            names_technique(highlight, expected) && step.is_some_and(|step| covers(highlight, step))
        })
        // The one nearest to the step, where several answer.
        .max_by_key(|highlight| highlight["time"].as_str().unwrap_or_default().to_owned())
        .map(|highlight| {
            let detection = &highlight["detection"];
            let title = detection["title"].as_str().unwrap_or_default();
            let technique = detection["techniques"][0].as_str().unwrap_or("-");
            format!("{title} ({technique})")
        });
    Met { expected: expected.clone(), by }
}

/// Whether a highlight is about `step`: it struck while the step ran, or struck before and again
/// since (a highlight stands for all strikes of one detection on one process).
fn covers(highlight: &Value, step: &StepTruth) -> bool {
    let Some(time) = highlight["time"].as_str().and_then(|t| t.parse::<Timestamp>().ok()) else {
        return false;
    };
    let before_end = time <= step.ended.plus_nanos(CLOCK_SLACK_NS);
    let after_start = time >= step.started.plus_nanos(-CLOCK_SLACK_NS);
    before_end && (after_start || highlight["count"].as_u64().unwrap_or(1) > 1)
}

#[cfg(test)]
mod tests {
    use super::{arguments_match, covers, meet};
    use metsuke_demo::truth::{Expectation, ProcessTruth, Scenario, StepTruth, Truth};
    use metsuke_event::Timestamp;
    use serde_json::json;

    fn truth() -> Truth {
        let time = Timestamp::from_millis;
        let step = StepTruth {
            name: "discovery".into(),
            tactics: vec!["discovery".into()],
            techniques: vec![],
            started: time(10_000),
            ended: time(11_000),
            processes: vec![],
        };
        let root = ProcessTruth {
            pid: Some(1),
            parent_pid: 0,
            argv: vec!["demo".into()],
            cwd: "/".into(),
            exe: None,
        };
        let expected = Expectation {
            step: "discovery".into(),
            tactics: step.tactics.clone(),
            techniques: vec!["T1033".into(), "T1082".into()],
        };
        Truth {
            scenario: Scenario::Intrusion,
            seed: 1,
            uid: 0,
            cgroup: None,
            root,
            started: time(10_000),
            ended: time(11_000),
            steps: vec![step],
            expected: vec![expected],
            problems: vec![],
        }
    }

    #[test]
    fn only_a_highlight_of_the_technique_in_the_step_counts() {
        let truth = truth();
        let alert = |technique: &str, time: &str, count: u64| {
            json!({"highlights": [{"time": time, "count": count, "detection":
                {"title": "t", "techniques": [technique], "tactics": ["discovery"]}}]})
        };
        let by = |alert| meet(&truth.expected[0], &truth, &[alert]).by;
        assert!(by(alert("T1082", "1970-01-01T00:00:10.5Z", 1)).is_some());
        assert!(by(alert("T1087.001", "1970-01-01T00:00:10.5Z", 1)).is_none());
        assert!(by(alert("T1082", "1970-01-01T00:00:05Z", 1)).is_none());
        assert!(by(alert("T1082", "1970-01-01T00:00:05Z", 2)).is_some());
        assert!(by(alert("T1082", "1970-01-01T00:00:15Z", 2)).is_none());
        assert!(!covers(&json!({}), &truth.steps[0]));
    }

    #[test]
    fn an_interpreter_before_a_script_is_no_difference() {
        let argv = vec!["/tmp/a.sh".to_owned(), "x".to_owned()];
        assert!(arguments_match("/tmp/a.sh x", &argv));
        assert!(arguments_match("/bin/sh /tmp/a.sh x", &argv));
        assert!(!arguments_match("/tmp/a.sh y", &argv));
    }
}
