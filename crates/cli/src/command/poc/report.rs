//! What an exercise came to, as one JSON document and as text.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::exercise::Exercise;
use super::{Measured, NOWHERE};
use crate::failure::Failure;
use crate::output::{self, cell};

/// The report; `broken_off` is why nothing can be said of the whole. The recall is over the
/// endpoints that took part, and null when there is none or the exercise was broken off.
pub(super) fn of(
    exercises: &[Exercise],
    measured: &Measured,
    broken_off: Option<&Failure>,
) -> Value {
    let total: usize = exercises.iter().map(|one| one.truth.len()).sum();
    let found: usize = exercises.iter().map(|one| one.found.len()).sum();
    let over = exercises.iter().filter(|one| !one.truth.is_empty()).count();
    let recall = if broken_off.is_some() { Value::Null } else { ratio(found, total) };
    let all = measured.latest.filter(|_| found == total);
    json!({
        "endpoints": exercises.iter().map(shown).collect::<Vec<_>>(),
        "endpoints_measured": over, "endpoints_total": exercises.len(),
        "copies": total, "found": found, "recall": recall,
        "broken_off": broken_off.map(ToString::to_string),
        "first_event_ms": measured.first.map(millis), "all_found_ms": all.map(millis),
        "control": { "sha256": NOWHERE, "found": measured.control["items"].as_array().map(Vec::len),
            "loss": measured.control["loss"] },
    })
}

fn shown(exercise: &Exercise) -> Value {
    json!({ "endpoint": exercise.endpoint, "host": exercise.host,
        "state": exercise.state.name(), "sha256": exercise.sha256,
        "copies": exercise.truth, "found": exercise.found,
        "missing": exercise.truth.difference(&exercise.found).collect::<Vec<_>>(),
        "trouble": exercise.trouble })
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

/// Why there is nothing to measure, endpoint by endpoint.
pub(super) fn nobody(exercises: &[Exercise]) -> Failure {
    if exercises.is_empty() {
        return Failure::NotFound("no endpoint is enrolled".to_owned());
    }
    let mut text = "no endpoint is online".to_owned();
    for one in exercises {
        let trouble = one.trouble.as_deref().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{} ({})  {trouble}", one.host, one.endpoint);
    }
    Failure::NotFound(text)
}

pub(super) fn print(report: &Value) -> Result<(), Failure> {
    for one in report["endpoints"].as_array().into_iter().flatten() {
        output::say(&endpoint(one))?;
        for path in one["missing"].as_array().into_iter().flatten() {
            output::say(&format!("    not found: {}", cell(path)))?;
        }
        if !one["trouble"].is_null() {
            output::say(&format!("    {}", cell(&one["trouble"])))?;
        }
    }
    output::say(&summary(report))?;
    let control = &report["control"];
    if !control["found"].is_null() {
        output::say(&format!("a hash that is nowhere: {} found", cell(&control["found"])))?;
        output::losses(&control["loss"])?;
    }
    Ok(())
}

fn endpoint(one: &Value) -> String {
    let count = |name: &str| one[name].as_array().map_or(0, Vec::len);
    let who =
        format!("{} ({})  {}", cell(&one["host"]), cell(&one["endpoint"]), cell(&one["state"]));
    if count("copies") == 0 {
        return who;
    }
    let (found, copies) = (count("found"), count("copies"));
    format!("{who}  {found} of {copies} copies found  {}", cell(&one["sha256"]))
}

pub(super) fn summary(report: &Value) -> String {
    let after = |time: &Value| {
        if time.is_null() { "never".to_owned() } else { format!("after {} ms", cell(time)) }
    };
    let over = format!(
        "over {} of {} endpoints ({} of {} copies)",
        cell(&report["endpoints_measured"]),
        cell(&report["endpoints_total"]),
        cell(&report["found"]),
        cell(&report["copies"])
    );
    if !report["broken_off"].is_null() {
        return format!("broken off: {over}");
    }
    format!(
        "recall {} {over}; first event {}, all found {}",
        cell(&report["recall"]),
        after(&report["first_event_ms"]),
        after(&report["all_found_ms"])
    )
}
