//! `metsuke rules test`: detections as code. Every sample in `fires/` has to strike, none in
//! `quiet/` may.
//!
//! A sample is one event or a list of them as JSON (ECS or OCSF), or a file as `metsuke detect`
//! reads it. Each is seen by an engine of its own, with all detections that were named, so rules and
//! models find what they stand on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use metsuke_detect::{Engine, RuleSet};
use metsuke_event::finding::Alert;
use metsuke_event::{Event, Timestamp, ecs, ocsf};
use metsuke_intake::Format;
use serde_json::{Value as Json, json};

use crate::arguments::Arguments;
use crate::arguments::rules::Test;
use crate::command::BAD_NEWS;
use crate::command::detect::content::{self, Content};
use crate::command::detect::files::Files;
use crate::command::detect::lookout::Lookout;
use crate::command::detect::summary::{Clock, Summary};
use crate::failure::Failure;
use crate::output::{self, clean};

/// The document of a folder.
const DOCUMENT: &str = "detection.yml";
/// Bytes of one JSON sample.
const SAMPLE_BYTES: u64 = 16 * 1024 * 1024;
/// Time that passes after the last event of a sample, so that what waits for something not to come
/// strikes: longer than any such rule waits.
const AFTER_NANOS: i64 = 366 * 86_400 * 1_000_000_000;

/// What a sample is to show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fires,
    Quiet,
}

/// A sample that was tried.
struct Outcome {
    kind: Kind,
    path: PathBuf,
    /// Why it is not as it should be.
    wrong: Option<String>,
}

/// A folder that was tried.
struct Tested {
    folder: PathBuf,
    ids: Vec<String>,
    /// Those of them that no sample in `fires/` made strike: what nothing shows is not passed.
    untested: Vec<String>,
    outcomes: Vec<Outcome>,
}

pub(super) fn run(arguments: &Arguments, test: &Test) -> Result<ExitCode, Failure> {
    let mut folders = Vec::new();
    for path in &test.paths {
        collect(path, &mut folders)?;
    }
    folders.sort();
    folders.dedup();
    if folders.is_empty() {
        return Err(Failure::NotFound(format!("no {DOCUMENT} in the folders named")));
    }
    let documents: Vec<PathBuf> = folders.iter().map(|folder| folder.join(DOCUMENT)).collect();
    let content = content::load(&documents, test.shipped)?;
    let tested: Result<Vec<Tested>, Failure> =
        folders.into_iter().map(|folder| tried(&content.rules, folder)).collect();
    let tested = tested?;
    let failed = tested.iter().flat_map(|one| &one.outcomes).filter(|one| one.wrong.is_some());
    let strict = test.strict && tested.iter().any(|one| !one.untested.is_empty());
    let good = failed.count() == 0 && content.refused.is_empty() && !strict;
    if arguments.json {
        print_json(&content, &tested)?;
    } else {
        print(&content, &tested)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// Folders with a document, at any depth; links are not followed.
fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let local = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Failure::NotFound(format!("no {}", path.display())),
        _ => Failure::Local { doing: format!("reading {}", path.display()), source },
    };
    for entry in fs::read_dir(path).map_err(local)? {
        let entry = entry.map_err(local)?;
        if entry.file_type().map_err(local)?.is_dir() {
            collect(&entry.path(), found)?;
        } else if entry.file_name() == DOCUMENT {
            found.push(path.to_owned());
        }
    }
    Ok(())
}

/// Tries the samples of `folder`.
fn tried(rules: &Arc<RuleSet>, folder: PathBuf) -> Result<Tested, Failure> {
    let document = folder.join(DOCUMENT).display().to_string();
    let own = rules.all().filter(|meta| meta.path == document);
    let ids: Vec<String> = own.map(|meta| meta.detection.id.clone()).collect();
    let mut outcomes = Vec::new();
    let mut untested = ids.clone();
    // What was refused is told of as that.
    for (kind, name) in [(Kind::Fires, "fires"), (Kind::Quiet, "quiet")] {
        if ids.is_empty() || !folder.join(name).is_dir() {
            continue;
        }
        let local = |source| Failure::Local {
            doing: format!("reading {}", folder.join(name).display()),
            source,
        };
        let entries: Result<Vec<_>, _> = fs::read_dir(folder.join(name)).map_err(local)?.collect();
        let mut paths: Vec<PathBuf> =
            entries.map_err(local)?.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let wrong = match struck(rules, &path) {
                Err(why) => Some(why),
                Ok(struck) => {
                    if kind == Kind::Fires {
                        untested.retain(|id| !struck.contains(id));
                    }
                    let there = ids.iter().find(|id| struck.contains(*id));
                    match (kind, there) {
                        (Kind::Fires, None) => Some(does_not_fire(&struck)),
                        (Kind::Quiet, Some(id)) => Some(format!("`{id}` strikes")),
                        _ => None,
                    }
                }
            };
            outcomes.push(Outcome { kind, path, wrong });
        }
    }
    Ok(Tested { folder, ids, untested, outcomes })
}

fn does_not_fire(struck: &BTreeSet<String>) -> String {
    let others: Vec<&str> = struck.iter().take(5).map(String::as_str).collect();
    match others.as_slice() {
        [] => "nothing strikes".to_owned(),
        others => format!("it does not strike; what does: {}", others.join(", ")),
    }
}

/// Ids of what struck on the events of `path`.
fn struck(rules: &Arc<RuleSet>, path: &Path) -> Result<BTreeSet<String>, String> {
    let is_json = path.extension().is_some_and(|end| end == "json");
    if !is_json {
        return struck_on_records(rules, path);
    }
    let events = events(path)?;
    let mut engine = Engine::new(Arc::clone(rules));
    let mut found = BTreeSet::new();
    let mut last = Timestamp::default();
    for event in &events {
        last = last.max(event.time);
        let findings = engine.observe(event);
        found.extend(findings.hits.into_iter().map(|hit| hit.detection.id));
        found.extend(findings.alerts.iter().flat_map(Alert::models).map(|one| one.id.clone()));
    }
    let findings = engine.advance(last.plus_nanos(AFTER_NANOS));
    found.extend(findings.hits.into_iter().map(|hit| hit.detection.id));
    found.extend(findings.alerts.iter().flat_map(Alert::models).map(|one| one.id.clone()));
    Ok(found)
}

/// The events of a JSON sample: one or a list, in ECS or OCSF.
fn events(path: &Path) -> Result<Vec<Event>, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > SAMPLE_BYTES {
        return Err(format!("{size} bytes; at most {SAMPLE_BYTES} are read"));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let json: Json = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let list = match json {
        Json::Array(list) => list,
        one => vec![one],
    };
    let read = |(number, json): (usize, &Json)| {
        let event = if json.get("class_uid").is_some() {
            ocsf::from_ocsf(json).map_err(|error| error.to_string())
        } else {
            ecs::from_ecs(json).map_err(|error| error.to_string())
        };
        event.map_err(|error| format!("event {number}: {error}"))
    };
    (1..).zip(&list).map(read).collect()
}

/// The same for a file of records.
fn struck_on_records(rules: &Arc<RuleSet>, path: &Path) -> Result<BTreeSet<String>, String> {
    let files = Files::below(&[path.to_owned()]).map_err(|error| error.to_string())?;
    let mut summary = Summary::of(&Content::none(), Clock::start());
    let mut lookout = Lookout::silent(rules);
    let read = files.read(Format::Auto, &mut lookout, &mut summary);
    read.map_err(|error| error.to_string())?;
    if !summary.is_good() {
        return Err("it cannot be read whole; try `metsuke detect` on it".to_owned());
    }
    Ok(lookout.struck())
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Fires => "fires",
        Kind::Quiet => "quiet",
    }
}

/// How many of each: passed, failed, detections that no sample shows to fire.
fn counts(tested: &[Tested]) -> (usize, usize, usize) {
    let all = || tested.iter().flat_map(|one| &one.outcomes);
    let failed = all().filter(|one| one.wrong.is_some()).count();
    let untested = tested.iter().map(|one| one.untested.len()).sum();
    (all().count() - failed, failed, untested)
}

fn print(content: &Content, tested: &[Tested]) -> io::Result<()> {
    for one in tested {
        let of = |kind: Kind| one.outcomes.iter().filter(|one| one.kind == kind).count();
        let folder = clean(&one.folder.display().to_string());
        let samples = format!("{} fires, {} quiet", of(Kind::Fires), of(Kind::Quiet));
        let verdict = match one.outcomes.iter().any(|one| one.wrong.is_some()) {
            _ if one.ids.is_empty() => "REFUSED",
            true => "FAILED",
            false if !one.untested.is_empty() => "untested",
            false => "ok",
        };
        output::say(&format!("{verdict:<8}  {folder} ({samples})"))?;
        for wrong in &one.outcomes {
            let Some(why) = &wrong.wrong else { continue };
            let path = clean(&wrong.path.display().to_string());
            output::say(&format!("          {} {path}: {}", name(wrong.kind), clean(why)))?;
        }
    }
    for id in tested.iter().flat_map(|one| &one.untested) {
        output::say(&format!("untested  {}: no sample in fires/ makes it strike", clean(id)))?;
    }
    for (path, reason) in &content.refused {
        output::say(&format!("refused   {}: {}", clean(path), clean(reason)))?;
    }
    let (passed, failed, untested) = counts(tested);
    output::say(&format!(
        "{passed} passed, {failed} failed of {} samples of {} detections; {untested} without a \
         sample that fires, {} refused",
        passed + failed,
        tested.iter().map(|one| one.ids.len()).sum::<usize>(),
        content.refused.len()
    ))
}

fn print_json(content: &Content, tested: &[Tested]) -> io::Result<()> {
    let (passed, failed, untested) = counts(tested);
    let sample = |one: &Outcome| {
        json!({
            "kind": name(one.kind),
            "path": one.path.display().to_string(),
            "passed": one.wrong.is_none(),
            "why": one.wrong,
        })
    };
    let folder = |one: &Tested| {
        json!({
            "folder": one.folder.display().to_string(),
            "ids": one.ids,
            "untested": one.untested,
            "samples": one.outcomes.iter().map(sample).collect::<Vec<_>>(),
        })
    };
    let refused = |(path, reason): &(String, String)| json!({ "path": path, "reason": reason });
    output::json(&json!({
        "detections": tested.iter().map(folder).collect::<Vec<_>>(),
        "passed": passed,
        "failed": failed,
        "without_fires": untested,
        "refused": content.refused.iter().map(refused).collect::<Vec<_>>(),
    }))
}
