//! What ships is checked whole: every document compiles, every sample strikes or stays quiet, every
//! page has its headings, every ATT&CK id is one in force.

#![expect(clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use metsuke_content::{documents, pages};
use metsuke_detect::{Document, Engine, RuleSet, compile};
use metsuke_event::finding::Level;
use metsuke_event::{Event, ecs, ocsf};
use serde_json::Value as Json;

const HEADINGS: [&str; 5] = [
    "## What it detects",
    "## Why it matters",
    "## What is ordinary",
    "## What to do next",
    "## What it cannot see",
];

fn content() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content")
}

fn folders() -> Vec<(&'static str, PathBuf)> {
    let mut found = Vec::new();
    for layer in ["filters", "rules", "models"] {
        let folder = std::fs::read_dir(content().join(layer)).expect("readable");
        for entry in folder {
            found.push((layer, entry.expect("readable").path()));
        }
    }
    found.sort();
    found
}

fn engine() -> Engine {
    static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
        let (rules, refused) = compile(documents());
        let refused: Vec<String> = refused.iter().map(ToString::to_string).collect();
        assert!(refused.is_empty(), "{}", refused.join("\n"));
        rules
    });
    Engine::new(Arc::clone(&RULES))
}

/// The events of a sample: one object or a list of them, in ECS or OCSF.
fn events(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).expect("readable");
    let json: Json =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let list = match json {
        Json::Array(list) => list,
        one => vec![one],
    };
    let read = |json: &Json| {
        let event = if json.get("class_uid").is_some() {
            ocsf::from_ocsf(json)
        } else {
            ecs::from_ecs(json)
        };
        event.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    list.iter().map(read).collect()
}

/// Ids of what struck on the events of `path`, with the highest level of each.
fn struck(path: &Path) -> BTreeMap<String, Level> {
    let mut engine = engine();
    let mut found = BTreeMap::new();
    for event in events(path) {
        let findings = engine.observe(&event);
        for hit in findings.hits {
            assert!(!hit.matched.is_empty(), "{}: a hit without a reason", path.display());
            found.insert(hit.detection.id, hit.detection.level);
        }
        for alert in findings.alerts {
            let total: f64 = alert.parts.iter().map(|part| part.points).sum();
            assert!((f64::from(alert.score) - total.min(99.0)).abs() < 0.51, "parts add up");
            found.extend(alert.models().map(|one| (one.id.clone(), one.level)));
        }
    }
    found
}

fn samples(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    found.sort();
    assert!(!found.is_empty(), "{} is empty", folder.display());
    found
}

fn id_of(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("detection.yml")).expect("readable");
    let id = text.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id");
    id.to_owned()
}

#[test]
fn everything_compiles_and_there_is_enough() {
    let engine = engine();
    let rules = engine.rules();
    assert!(rules.filters().len() >= 250, "{} filters", rules.filters().len());
    assert!(rules.rules().len() >= 57, "{} rules", rules.rules().len());
    assert!(rules.models().len() >= 30, "{} models", rules.models().len());
    assert_eq!(documents().count(), folders().len(), "every folder is embedded");
}

#[test]
fn every_sample_strikes_or_stays_quiet() {
    let mut wrong = Vec::new();
    for (_, folder) in folders() {
        let id = id_of(&folder);
        for sample in samples(&folder.join("fires")) {
            if !struck(&sample).contains_key(&id) {
                wrong.push(format!("{} does not fire", sample.display()));
            }
        }
        for sample in samples(&folder.join("quiet")) {
            if struck(&sample).contains_key(&id) {
                wrong.push(format!("{} is not quiet", sample.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ordinary_work_raises_nothing() {
    let sample = content().join("models/intrusion_storyline/quiet/work.json");
    let loud: Vec<_> =
        struck(&sample).into_iter().filter(|(_, level)| *level >= Level::Medium).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

#[test]
fn pages_have_their_headings_and_title() {
    let pages: Vec<_> = pages().collect();
    assert_eq!(pages.len(), folders().len());
    let (rules, _) = compile(documents());
    for page in pages {
        let path = format!("content/{}/detection.yml", page.slug);
        let meta = rules.all().find(|meta| meta.path == path).expect("compiled");
        let first = page.markdown.lines().next().unwrap_or_default();
        assert_eq!(first, format!("# {}", meta.detection.title), "{}", page.slug);
        let found: Vec<&str> =
            page.markdown.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(found, HEADINGS, "{}", page.slug);
        assert!(!meta.description.is_empty(), "{} has no description", page.slug);
    }
}

#[test]
fn attack_ids_are_in_force_and_fit_their_tactics() {
    let text = std::fs::read_to_string(content().join("attack-ids.txt")).expect("readable");
    let known: BTreeMap<&str, BTreeSet<&str>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.collect()))
        })
        .collect();
    let tactics: BTreeSet<&str> = known.values().flatten().copied().collect();
    let (rules, _) = compile(documents());
    for meta in rules.all() {
        let detection = &meta.detection;
        for tactic in &detection.tactics {
            assert!(tactics.contains(tactic.as_str()), "{}: {tactic}", meta.path);
        }
        for technique in &detection.techniques {
            let of = known.get(technique.as_str());
            let of = of.unwrap_or_else(|| panic!("{}: {technique} is not known", meta.path));
            assert!(
                detection.tactics.iter().any(|tactic| of.contains(tactic.as_str())),
                "{}: {technique} serves {of:?}, the document names {:?}",
                meta.path,
                detection.tactics
            );
        }
    }
}

#[test]
fn names_in_documents_are_unique() {
    let mut names = BTreeSet::new();
    for Document { path, text } in documents() {
        for line in text.lines().filter(|line| line.starts_with("name: ")) {
            assert!(names.insert(line.to_owned()), "{path}: {line} twice");
        }
    }
}
