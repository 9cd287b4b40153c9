//! `metsuke detections backtest`: begun, waited for, ended when somebody wants that.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use metsuke_event::Timestamp;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::arguments::detections::Over;
use crate::client::Client;
use crate::command::BAD_NEWS;
use crate::command::alert::checked;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, cell, clean};

/// Between two questions how far it is.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// What is looked at when nothing is said: a week.
const WEEK_NANOS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// The range asked for, its ends filled in.
pub(in crate::command) fn over(over: &Over) -> (String, String) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let to = over.to.clone().unwrap_or_else(|| now.to_string());
    let end = to.parse().unwrap_or(now);
    let from = over.from.clone().unwrap_or_else(|| end.plus_nanos(-WEEK_NANOS).to_string());
    (from, to)
}

pub(super) fn run(
    arguments: &Arguments,
    client: &Client,
    (id, text): (Option<&str>, Option<String>),
    range: &Over,
) -> Result<ExitCode, Failure> {
    let (from, to) = over(range);
    let mut body = json!({ "from": from, "to": to });
    match (id, text) {
        (_, Some(text)) => body["text"] = json!(text),
        (id, None) => body["id"] = json!(id),
    }
    let interrupt = Interrupt::watch()?;
    let begun = client.post("/api/v1/backtests", &body)?;
    let path = format!("/api/v1/backtests/{}", checked(begun["id"].as_str().unwrap_or_default())?);
    let found = loop {
        if let Err(failure) = interrupt.check() {
            // Nobody waits for it any more, and only one runs at a time.
            client.delete(&path)?;
            return Err(failure);
        }
        let found = client.get(&path)?;
        if found["state"] != "running" {
            break found;
        }
        std::thread::sleep(ASK_AGAIN);
    };
    if arguments.json {
        output::json(&found)?;
    } else {
        tell(&found)?;
    }
    Ok(if found["state"] == "done" { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

fn tell(found: &Value) -> Result<(), Failure> {
    if found["state"] != "done" {
        output::say(&format!("the back-test failed: {}", cell(&found["error"])))?;
        return Ok(());
    }
    let [hits, alerts, events] = ["hits", "alerts", "events"].map(|key| cell(&found[key]));
    let noise = found["noise_per_host_day"].as_f64().unwrap_or_default();
    let (from, to) = (cell(&found["from"]), cell(&found["to"]));
    output::say(&format!("{hits} hits, {alerts} alerts in {events} activities, {from} to {to}"))?;
    output::say(&format!("{noise:.2} a day on each host that was on"))?;
    if let Some(why) = found["incomplete"].as_str() {
        output::say(&format!("not whole: {}", clean(why)))?;
    }
    tallies(found)
}

/// The hosts and days that something is counted for.
pub(in crate::command) fn tallies(found: &Value) -> Result<(), Failure> {
    for (key, names) in [("hosts", ["host", "count"]), ("per_day", ["day", "count"])] {
        let rows = found[key].as_array().into_iter().flatten();
        let row = |one: &Value| names.iter().map(|name| cell(&one[*name])).collect();
        let rows: Vec<Vec<String>> = rows.map(row).collect();
        if !rows.is_empty() {
            output::table(&names, &rows)?;
        }
    }
    Ok(())
}
