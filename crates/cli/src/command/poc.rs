//! `metsuke poc`: has a unique harmless file made on every endpoint and asks, by the ordinary
//! search over activities and nothing else, where it is.
//!
//! `exercise` has it made and removed, `report` says what came of it; here are the order of things
//! and the search. Invariants: every enrolled endpoint is told of, also those that could not be
//! asked; what was made is cleaned up also when something fails in between, or at a Ctrl-C.

mod exercise;
mod report;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::arguments::{Arguments, Poc};
use crate::client::{Client, query};
use crate::command::BAD_NEWS;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output;

use exercise::{Exercise, Look, State};

/// Pause between two searches, and between two looks at the plans.
const PAUSE: Duration = Duration::from_millis(100);
/// A hash of nothing anywhere: the control question.
const NOWHERE: &str = "00000000000000000000000000000000000000000000000000000000deadbeef";

/// When what was found since the beginning, and the answer to the control question.
#[derive(Debug, Default)]
struct Measured {
    /// The first activity with the hash.
    first: Option<Duration>,
    /// The latest copy so far; all of them when none is missing.
    latest: Option<Duration>,
    control: Value,
}

pub(crate) fn run(arguments: &Arguments, client: &Client, poc: &Poc) -> Result<ExitCode, Failure> {
    carry_out(arguments, client, poc, &Interrupt::watch()?)
}

fn carry_out(
    arguments: &Arguments,
    client: &Client,
    poc: &Poc,
    interrupt: &Interrupt,
) -> Result<ExitCode, Failure> {
    let mut exercises = exercise::enrolled(client, &poc.endpoint)?;
    if exercises.iter().all(|one| one.state == State::Offline) {
        return Err(report::nobody(&exercises));
    }
    let mut measured = Measured::default();
    let limit = Duration::from_secs(poc.wait);
    let ended = measure(client, &mut exercises, interrupt, limit, &mut measured);
    if !poc.keep {
        exercise::clean_up(client, &mut exercises, interrupt);
    }
    let report = report::of(&exercises, &measured, ended.as_ref().err());
    if arguments.json {
        output::json(&report)?;
    } else {
        report::print(&report)?;
    }
    ended?;
    let clear = report["control"]["found"] == 0;
    // One that is not there, or may not be asked, lowers what the recall is over: that is said,
    // and is no failure of those that took part.
    let good =
        report["recall"] == 1.0 && clear && exercises.iter().all(|one| one.state != State::Failed);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

fn measure(
    client: &Client,
    exercises: &mut [Exercise],
    interrupt: &Interrupt,
    limit: Duration,
    measured: &mut Measured,
) -> Result<(), Failure> {
    let begun = Instant::now();
    for exercise in exercises.iter_mut() {
        interrupt.check()?;
        exercise.begin(client)?;
    }
    let learned = Instant::now() + exercise::LIMIT;
    let mut end = None;
    loop {
        // Those that are done are searched for at once, whatever the others still do.
        let open = exercise::learn(client, exercises, Look::before(learned))?;
        let all = find(client, exercises, begun, measured)?;
        if !open && (all || Instant::now() >= *end.get_or_insert_with(|| Instant::now() + limit)) {
            break;
        }
        interrupt.check()?;
        std::thread::sleep(PAUSE);
    }
    measured.control = search(client, NOWHERE)?;
    Ok(())
}

/// Searches once for what is still missing; whether nothing is.
fn find(
    client: &Client,
    exercises: &mut [Exercise],
    begun: Instant,
    measured: &mut Measured,
) -> Result<bool, Failure> {
    for exercise in exercises.iter_mut().filter(|one| one.found.len() < one.truth.len()) {
        let answer = search(client, &exercise.sha256)?;
        let rows = answer["items"].as_array().into_iter().flatten();
        for row in rows.filter(|row| row["endpoint"] == exercise.endpoint.as_str()) {
            measured.first.get_or_insert_with(|| begun.elapsed());
            for name in ["file.path", "process.file.path"] {
                if let Some(path) = row["fields"][name].as_str()
                    && exercise.truth.contains(path)
                    && exercise.found.insert(path.to_owned())
                {
                    measured.latest = Some(begun.elapsed());
                }
            }
        }
    }
    Ok(exercises.iter().all(|one| one.found.len() == one.truth.len()))
}

fn search(client: &Client, sha256: &str) -> Result<Value, Failure> {
    let pairs = [("q", Some(format!("sha256:{sha256}"))), ("limit", Some("1000".to_owned()))];
    client.get(&format!("/api/v1/search{}", query(&pairs)))
}
