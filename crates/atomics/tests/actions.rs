//! Every shipped detection is fired by its action, under the real sensor's eyes, or says why nothing
//! here can; and the page that tells so is the one of this run.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::Path;

use metsuke_atomics::actions::{self, Deed};
use metsuke_atomics::watch::Watch;

#[test]
fn every_shipped_detection_is_fired_by_its_action() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let all = actions::load(&root.join("content")).unwrap();
    for one in &all {
        match &one.deed {
            Deed::Action(text) => {
                let summary = actions::summary(text);
                assert!(text.starts_with("# ") && summary.len() > 10, "{}", one.name);
                assert!(text.contains("act()"), "{} has no act()", one.name);
            }
            Deed::NotFired(reason) => assert!(reason.len() > 20, "{}: {reason}", one.name),
        }
    }
    let (rules, refused) = actions::rules(&root.join("content")).unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let watch = match Watch::start() {
        Ok(watch) => watch,
        Err(error) => {
            eprintln!("NOT RUN: every_shipped_detection_is_fired_by_its_action: {error:#}");
            return;
        }
    };
    let chosen: Vec<_> = all.iter().filter(|one| matches!(one.deed, Deed::Action(_))).collect();
    let report = actions::run(&watch, &rules, &chosen, |_| ()).unwrap();
    let silent: Vec<_> = report
        .outcomes
        .iter()
        .filter(|one| one.struck.is_none())
        .map(|one| format!("{}: {}", one.name, one.trouble.as_deref().unwrap_or("")))
        .collect();
    assert!(silent.is_empty(), "not fired: {silent:#?}");
    let page = std::fs::read_to_string(root.join("docs/reference/content.md")).unwrap();
    let missing: Vec<_> = all
        .iter()
        .map(|one| &one.name)
        .filter(|name| !page.contains(&format!("| {name} |")))
        .collect();
    assert!(missing.is_empty(), "write the page anew (`./x actions --table`): {missing:?}");
}
