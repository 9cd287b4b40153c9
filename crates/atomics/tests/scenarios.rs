//! The invented intrusions: each raises an alert, and the steps that its folder expects to be caught are.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::Path;

use metsuke_atomics::actions::rules;
use metsuke_atomics::scenarios::{self, Outcome};
use metsuke_atomics::watch::Watch;

/// What was expected and did not come.
fn unexpected(outcome: &Outcome) -> Vec<String> {
    let steps = outcome.scenario.steps.iter().enumerate();
    // More than is expected is no fault: a busy machine tells some things later, beside others.
    let wrong = steps.filter(|(number, step)| step.caught && !outcome.caught(*number));
    let mut wrong: Vec<_> =
        wrong.map(|(_, step)| format!("{}: {}", outcome.scenario.name, step.name)).collect();
    if !outcome.stopped_in_time() {
        wrong.push(format!("{}: stopped {:?}", outcome.scenario.name, outcome.stopped));
    }
    if outcome.alerts.is_empty() {
        wrong.push(format!("{}: no alert", outcome.scenario.name));
    }
    wrong
}

#[test]
fn every_invented_intrusion_is_caught_as_its_folder_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let all = scenarios::load(&root.join("scenarios")).unwrap();
    assert!(all.len() >= 10, "{} scenarios", all.len());
    let (rules, refused) = rules(&root.join("content")).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let watch = match Watch::start() {
        Ok(watch) => watch,
        Err(error) => {
            eprintln!("NOT RUN: every_invented_intrusion_is_caught_as_its_folder_says: {error:#}");
            return;
        }
    };
    let mut wrong = Vec::new();
    for one in &all {
        let mut outcome = scenarios::run(&watch, &rules, one).unwrap();
        // A process that ended before it was looked up, on a machine that is busy: once more.
        if !unexpected(&outcome).is_empty() {
            outcome = scenarios::run(&watch, &rules, one).unwrap();
        }
        wrong.extend(unexpected(&outcome));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
