#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "a program for people in front of a terminal")]

mod base;
mod compare;
mod document;
mod judge;
mod report;
mod room;
mod truth;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use metsuke_atomics::watch::Watch;
use metsuke_detect::{Engine, RuleSet, compile};
use metsuke_event::Event;

use compare::Told;
use document::Atomic;
use report::{Line, Totals};
use room::{Ending, Room};

/// Most missing deeds named for one test.
const NAMED_MAX: usize = 20;

/// Runs a folder of ATT&CK atomics harmlessly and asks whether the sensor saw what they did.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The folder with the documents (`T*.yaml`).
    folder: PathBuf,
    /// Where the root file system below the rooms is kept; made when it is not there.
    #[arg(long)]
    base: PathBuf,
    /// Only tests whose technique or name holds this text.
    #[arg(long)]
    only: Option<String>,
    /// Only list what would run, and why others would not.
    #[arg(long)]
    list: bool,
    /// Writes the page (Markdown) here.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Writes every line as JSON here.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("metsuke-atomics: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let mut atomics = document::load(&args.folder)?;
    if let Some(word) = &args.only {
        atomics.retain(|a| a.technique.contains(word.as_str()) || a.name.contains(word.as_str()));
    }
    anyhow::ensure!(!atomics.is_empty(), "{} has no such test for Linux", args.folder.display());
    if args.list {
        for atomic in &atomics {
            let verdict = judge::refusal(atomic)
                .map_or("may run".to_owned(), |why| format!("not run: {why}"));
            println!("{} {}: {verdict}", atomic.technique, atomic.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    base::ensure_base(&args.base)?;
    let base = args.base.canonicalize()?;
    let (rules, _) = compile(metsuke_content::documents());
    let watch = Watch::start()?;
    let mut lines = Vec::new();
    for (number, atomic) in atomics.iter().enumerate() {
        let line = one(&watch, &rules, (&args.folder, &base), (number, atomic))?;
        tell(number, atomics.len(), &line);
        lines.push(line);
    }
    let totals = Totals::of(&lines, watch.lost());
    if let Some(path) = &args.table {
        std::fs::write(path, report::page(&lines, &totals)).context("cannot write the page")?;
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&(&totals, &lines))?)?;
    }
    println!(
        "{} tests for Linux: {} ran, {} not run (each with its reason); {} of {} deeds told; \
         {} of {} runs whole; {} met by shipped filters; {} records lost",
        totals.tests,
        totals.ran,
        totals.tests - totals.ran,
        totals.deeds - totals.missing,
        totals.deeds,
        totals.whole,
        totals.ran,
        totals.found,
        totals.lost
    );
    Ok(if totals.whole == totals.ran { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(
    watch: &Watch,
    rules: &Arc<RuleSet>,
    (folder, base): (&Path, &Path),
    (number, atomic): (usize, &Atomic),
) -> Result<Line> {
    let mut line = Line {
        technique: atomic.technique.clone(),
        name: atomic.name.clone(),
        guid: atomic.guid.clone(),
        outcome: "not run",
        exit: None,
        reason: judge::refusal(atomic),
        deeds: 0,
        cut: false,
        missing: Vec::new(),
        activities: 0,
        filters: Vec::new(),
    };
    if line.reason.is_some() {
        return Ok(line);
    }
    let room = Room::new(watch.group(), number, atomic)?;
    match room.run(base, folder, atomic)? {
        Ending::NotRun(reason) => {
            line.reason = Some(reason);
            return Ok(line);
        }
        Ending::Ran(code) => (line.outcome, line.exit) = ("ran", Some(code)),
        Ending::CutOff => line.outcome = "cut off",
    }
    let events = watch.of(room.group())?;
    let truth = truth::read(&room.truth())?;
    let told = Told::new(&events);
    let missing = truth.deeds.iter().filter(|deed| !told.has(deed));
    line.missing = missing.map(|deed| format!("{deed:?}")).collect();
    (line.deeds, line.cut, line.activities) = (truth.deeds.len(), truth.cut, told.count);
    line.filters = filters(rules, &events);
    Ok(line)
}

/// The shipped filters that the test itself meets: what strace started, and what came of that. The
/// making of the room is nobody's attack.
fn filters(rules: &Arc<RuleSet>, events: &[Event]) -> Vec<String> {
    let mut engine = Engine::new(Arc::clone(rules));
    let mut family = HashSet::new();
    let mut found = BTreeSet::new();
    for event in events {
        let process = &event.process;
        let Some(uid) = process.uid.as_deref() else { continue };
        let tracer = process.exe.as_deref().is_some_and(|exe| exe.ends_with("/strace"));
        let child = process.parent_uid.as_deref().is_some_and(|parent| family.contains(parent));
        if tracer || child {
            family.insert(uid.to_owned());
        }
        if !tracer && family.contains(uid) {
            let hits = engine.filters_only(event);
            found.extend(hits.into_iter().map(|hit| hit.detection.title));
        }
    }
    found.into_iter().collect()
}

fn tell(number: usize, all: usize, line: &Line) {
    let reason = line.reason.as_deref().unwrap_or_default();
    let told = line.deeds - line.missing.len();
    println!(
        "[{}/{all}] {} {}: {}{}{reason}{}",
        number + 1,
        line.technique,
        line.name,
        line.outcome,
        if reason.is_empty() { "" } else { ": " },
        if line.outcome == "not run" {
            String::new()
        } else {
            format!(", {told} of {} told", line.deeds)
        },
    );
    for deed in line.missing.iter().take(NAMED_MAX) {
        println!("    not told: {deed}");
    }
}
