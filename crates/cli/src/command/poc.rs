//! `metsuke poc`: has a unique harmless file made on every endpoint and asks, by the ordinary
//! search over activities and nothing else, where it is.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::arguments::{Arguments, Poc};
use crate::client::{Client, query};
use crate::command::{BAD_NEWS, plan};
use crate::failure::Failure;
use crate::output::{self, cell};

/// How long an endpoint may take for the exercise itself.
const EXERCISE: Duration = Duration::from_mins(1);
/// Pause between two searches.
const PAUSE: Duration = Duration::from_millis(100);
/// A hash of nothing anywhere: the control question.
const NOWHERE: &str = "00000000000000000000000000000000000000000000000000000000deadbeef";

/// What is known of one endpoint's exercise.
struct Exercise {
    plan: String,
    endpoint: String,
    host: String,
    sha256: String,
    truth: BTreeSet<String>,
    found: BTreeSet<String>,
    trouble: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, client: &Client, poc: &Poc) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let mut exercises = start(client, poc)?;
    for exercise in &mut exercises {
        learn(client, exercise)?;
    }
    let (first, all) = find(client, &mut exercises, begun, Duration::from_secs(poc.wait))?;
    let control = search(client, NOWHERE)?;
    if !poc.keep {
        clean_up(client, &mut exercises)?;
    }
    let total: usize = exercises.iter().map(|one| one.truth.len()).sum();
    let found: usize = exercises.iter().map(|one| one.found.len()).sum();
    let trouble = exercises.iter().any(|one| one.trouble.is_some());
    let clear = control["items"].as_array().is_some_and(Vec::is_empty);
    let good = total > 0 && found == total && !trouble && clear;
    let report = json!({
        "endpoints": exercises.iter().map(shown).collect::<Vec<_>>(),
        "copies": total, "found": found,
        "recall": ratio(found, total),
        "first_event_ms": first.map(millis), "all_found_ms": all.map(millis),
        "control": { "sha256": NOWHERE, "found": control["items"].as_array().map(Vec::len),
            "loss": control["loss"] },
    });
    if arguments.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

fn ratio(found: usize, total: usize) -> Value {
    if total == 0 {
        return Value::Null;
    }
    let (found, total) = (u32::try_from(found), u32::try_from(total));
    json!(f64::from(found.unwrap_or(u32::MAX)) / f64::from(total.unwrap_or(u32::MAX)))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn start(client: &Client, poc: &Poc) -> Result<Vec<Exercise>, Failure> {
    let mut endpoints = Vec::new();
    for name in &poc.endpoint {
        endpoints.push(client.endpoint(name)?);
    }
    if poc.endpoint.is_empty() {
        let answer = client.get("/api/v1/endpoints")?;
        let all = answer["items"].as_array().cloned().unwrap_or_default();
        endpoints = all.into_iter().filter(|one| one["status"] == "online").collect();
    }
    if endpoints.is_empty() {
        return Err(Failure::NotFound("no endpoint is online".to_owned()));
    }
    let mut exercises = Vec::new();
    for endpoint in endpoints {
        let made = client.post(
            "/api/v1/responses",
            &json!({ "verb": "poc", "endpoint": endpoint["id"],
                "reason": "proof of coverage by metsuke poc" }),
        )?;
        exercises.push(Exercise {
            plan: plan::id(&made)?,
            endpoint: cell(&endpoint["id"]),
            host: cell(&endpoint["host"]),
            sha256: String::new(),
            truth: BTreeSet::new(),
            found: BTreeSet::new(),
            trouble: None,
        });
    }
    Ok(exercises)
}

/// Takes the truth from the finished plan.
fn learn(client: &Client, exercise: &mut Exercise) -> Result<(), Failure> {
    let last = plan::follow(client, &exercise.plan, EXERCISE, |_| Ok(()))?;
    if last["state"] != "done" {
        let updates = last["updates"].as_array().and_then(|updates| updates.last());
        let detail = updates.map(|update| cell(&update["detail"])).unwrap_or_default();
        exercise.trouble = Some(format!("{}: {detail}", cell(&last["state"])));
        return Ok(());
    }
    let result = &last["result"];
    exercise.sha256 = cell(&result["sha256"]);
    exercise.truth = texts(&result["paths"]);
    Ok(())
}

fn texts(value: &Value) -> BTreeSet<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn search(client: &Client, sha256: &str) -> Result<Value, Failure> {
    let pairs = [("q", Some(format!("sha256:{sha256}"))), ("limit", Some("1000".to_owned()))];
    client.get(&format!("/api/v1/search{}", query(&pairs)))
}

/// Searches until every copy of every exercise is found: (first event, all found) since `begun`.
fn find(
    client: &Client,
    exercises: &mut [Exercise],
    begun: Instant,
    limit: Duration,
) -> Result<(Option<Duration>, Option<Duration>), Failure> {
    let end = Instant::now() + limit;
    let mut first = None;
    loop {
        for exercise in exercises.iter_mut().filter(|one| one.found.len() < one.truth.len()) {
            let answer = search(client, &exercise.sha256)?;
            for row in answer["items"].as_array().into_iter().flatten() {
                if row["endpoint"] != exercise.endpoint.as_str() {
                    continue;
                }
                first.get_or_insert_with(|| begun.elapsed());
                for name in ["file.path", "process.file.path"] {
                    if let Some(path) = row["fields"][name].as_str()
                        && exercise.truth.contains(path)
                    {
                        exercise.found.insert(path.to_owned());
                    }
                }
            }
        }
        if exercises.iter().all(|one| one.found.len() == one.truth.len()) {
            return Ok((first, Some(begun.elapsed())));
        }
        if Instant::now() >= end {
            return Ok((first, None));
        }
        std::thread::sleep(PAUSE);
    }
}

fn clean_up(client: &Client, exercises: &mut [Exercise]) -> Result<(), Failure> {
    for exercise in exercises.iter_mut() {
        let made = client.post(
            "/api/v1/responses",
            &json!({ "verb": "poc_cleanup", "endpoint": exercise.endpoint, "cleanup_of": exercise.plan,
                "reason": "clean-up after metsuke poc" }),
        )?;
        let last = plan::follow(client, &plan::id(&made)?, EXERCISE, |_| Ok(()))?;
        if last["state"] != "done" && exercise.trouble.is_none() {
            exercise.trouble = Some(format!("clean-up {}", cell(&last["state"])));
        }
    }
    Ok(())
}

fn shown(exercise: &Exercise) -> Value {
    json!({ "endpoint": exercise.endpoint, "host": exercise.host, "sha256": exercise.sha256,
        "copies": exercise.truth, "found": exercise.found,
        "missing": exercise.truth.difference(&exercise.found).collect::<Vec<_>>(),
        "trouble": exercise.trouble })
}

fn print(report: &Value) -> Result<(), Failure> {
    for one in report["endpoints"].as_array().into_iter().flatten() {
        let count = |name: &str| one[name].as_array().map_or(0, Vec::len);
        output::say(&format!(
            "{} ({})  {} of {} copies found  {}",
            cell(&one["host"]),
            cell(&one["endpoint"]),
            count("found"),
            count("copies"),
            cell(&one["sha256"])
        ))?;
        for path in one["missing"].as_array().into_iter().flatten() {
            output::say(&format!("    not found: {}", cell(path)))?;
        }
        if !one["trouble"].is_null() {
            output::say(&format!("    {}", cell(&one["trouble"])))?;
        }
    }
    output::say(&format!(
        "recall {} ({} of {}); first event after {} ms, all found after {} ms",
        cell(&report["recall"]),
        cell(&report["found"]),
        cell(&report["copies"]),
        cell(&report["first_event_ms"]),
        cell(&report["all_found_ms"])
    ))?;
    let control = &report["control"];
    output::say(&format!("a hash that is nowhere: {} found", cell(&control["found"])))?;
    output::losses(&control["loss"])?;
    Ok(())
}
