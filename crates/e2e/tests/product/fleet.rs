//! Two sensors, one question: where is this file?

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_testkit::{Cgroup, judge, needs, wait};
use serde_json::Value;

use crate::ARRIVES;

#[test]
fn poc_finds_every_copy_on_every_endpoint() -> Result<()> {
    needs!("poc_finds_every_copy_on_every_endpoint", Root, Cgroup);
    let stage = Stage::new()?;
    let (first, second) = (Cgroup::create("e2e-one")?, Cgroup::create("e2e-two")?);
    let (one, two) = (stage.sensor("one", &first)?, stage.sensor("two", &second)?);
    let (code, report) = stage.metsuke_json(&["poc"])?;
    assert_eq!(report["recall"], 1.0, "{report:#}");
    assert_eq!(code, Some(0), "{report:#}");
    let endpoints: BTreeSet<&str> = report["endpoints"]
        .as_array()
        .context("endpoints")?
        .iter()
        .filter_map(|each| each["endpoint"].as_str())
        .collect();
    assert_eq!(endpoints, BTreeSet::from([one.endpoint(), two.endpoint()]));
    assert_eq!(report["control"]["found"], 0);
    for each in report["endpoints"].as_array().into_iter().flatten() {
        let copies = each["copies"].as_array().context("copies")?;
        assert!(copies.len() >= 2, "{each:#}");
        for copy in copies.iter().filter_map(Value::as_str) {
            assert!(!Path::new(copy).exists(), "{copy} was cleaned up");
        }
    }
    Ok(())
}

/// Copies made by a process that is none of the sensor's, on two endpoints, found by hash.
#[test]
fn copies_made_by_others_are_found_by_hash() -> Result<()> {
    needs!("copies_made_by_others_are_found_by_hash", Root, Cgroup);
    let stage = Stage::new()?;
    let (first, second) = (Cgroup::create("e2e-one")?, Cgroup::create("e2e-two")?);
    let (one, two) = (stage.sensor("one", &first)?, stage.sensor("two", &second)?);
    let work = stage.folder("work")?;
    let seed = work.join("seed");
    let mut bytes = std::fs::read("/bin/true")?;
    bytes.extend_from_slice(format!("metsuke e2e {}", std::process::id()).as_bytes());
    std::fs::write(&seed, bytes)?;
    let hash = judge::sha256(&seed.to_string_lossy())?;
    let mut truth = BTreeSet::new();
    for (group, sensor, name) in [(&first, &one, "a"), (&second, &two, "b")] {
        for copy in 0..3 {
            let path = work.join(format!("{name}{copy}"));
            let status = group.command("cp").arg(&seed).arg(&path).status()?;
            assert!(status.success());
            truth.insert((sensor.endpoint().to_owned(), path.display().to_string()));
        }
    }
    let api = stage.api();
    wait::until("every copy to be found by its hash", ARRIVES, || {
        let answer = api.get(&format!("/api/v1/search?q=sha256:{hash}&limit=1000"))?;
        let found: BTreeSet<(String, String)> = answer["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|row| {
                let path = row["fields"]["file.path"].as_str()?;
                Some((row["endpoint"].as_str()?.to_owned(), path.to_owned()))
            })
            .collect();
        Ok((found == truth).then_some(()))
    })?;
    let nowhere = api.get(&format!("/api/v1/search?q=sha256:{}", "0".repeat(64)))?;
    assert_eq!(nowhere["items"].as_array().map(Vec::len), Some(0));
    assert!(nowhere["loss"].is_array(), "an empty answer says what was not seen");
    Ok(())
}
