//! A file that never ran is found by its hash, and still when its host is off.

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_testkit::{Cgroup, judge, needs, wait};
use serde_json::{Value, json};

use crate::ARRIVES;

#[test]
fn a_file_that_never_ran_is_found_also_when_its_host_is_off() -> Result<()> {
    needs!("a_file_that_never_ran_is_found_also_when_its_host_is_off", Root, Cgroup);
    let stage = Stage::new()?;
    let (group, other) = (Cgroup::create("e2e-inventory")?, Cgroup::create("e2e-none")?);
    let place = stage.folder("place")?;
    let (file, later) = (place.join("dormant"), place.join("later"));
    let script = |what: &str| format!("#!/bin/sh\n# {what} {}\n", std::process::id());
    std::fs::write(&file, script("never run"))?;
    let hash = judge::sha256(&file.to_string_lossy())?;
    let config = stage.folder("config")?.join("sensor.json");
    std::fs::write(&config, json!({ "inventory": { "places": [place] } }).to_string())?;
    let mut options = stage.sensor_options("sensor", &group)?;
    options.more = vec!["--config".to_owned(), config.display().to_string()];
    let mut sensor = metsuke_testkit::Sensor::start(&stage.server, options)?;
    let without = stage.sensor("without", &other)?;

    let api = stage.api();
    let ask = |hash: &str| api.get(&format!("/api/v1/inventory/files?sha256={hash}"));
    let found = |answer: &Value| {
        let items = answer["items"].as_array().into_iter().flatten();
        let there = items.filter(|one| one["gone"].is_null());
        there.filter_map(|one| one["path"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let is_found = |hash: &str, path: &std::path::Path| {
        Ok((found(&ask(hash)?) == [path.display().to_string()]).then_some(()))
    };
    wait::until("the file that never ran", ARRIVES, || is_found(&hash, &file))?;
    // One that appears later, made by a process of the scope, and removed again.
    let made = group.command("cp").arg("/bin/true").arg(&later).status()?;
    assert!(made.success());
    let copy = judge::sha256("/bin/true")?;
    wait::until("the copy", ARRIVES, || is_found(&copy, &later))?;
    assert!(group.command("rm").arg(&later).status()?.success());
    wait::until("the copy to be gone", ARRIVES, || {
        let answer = ask(&copy)?;
        let gone = answer["items"].as_array().is_some_and(|items| items.len() == 1);
        Ok((gone && found(&answer).is_empty()).then_some(()))
    })?;

    assert!(sensor.stop()?.success());
    let (code, answer) = stage.metsuke_json(&["file", &hash])?;
    assert_eq!(code, Some(0), "{answer:#}");
    assert_eq!(answer["items"][0]["endpoint"], sensor.endpoint());
    assert!(answer["items"][0]["last_seen"].is_string(), "with its last contact");
    let doubts = answer["not_looked_at"].as_array().context("who was not asked")?;
    let silent = doubts.iter().find(|one| one["endpoint"] == without.endpoint());
    assert_eq!(silent.context("the one without")?["reason"], "none", "{answer:#}");
    let (code, nothing) = stage.metsuke_json(&["file", &"0".repeat(64)])?;
    assert_eq!((code, nothing["items"].as_array().map(Vec::len)), (Some(4), Some(0)));

    let (code, users) =
        stage.metsuke_json(&["endpoint", "inventory", sensor.endpoint(), "--kind", "user"])?;
    let root = users["items"].as_array().into_iter().flatten().find(|one| one["name"] == "root");
    assert_eq!((code, &root.context("root")?["fields"]["uid"]), (Some(0), &json!(0)));
    let shown = stage.metsuke(&["endpoint", "show", sensor.endpoint()])?;
    assert!(String::from_utf8_lossy(&shown.stdout).contains("executable"), "{shown:?}");
    Ok(())
}
