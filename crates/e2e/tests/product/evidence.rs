//! Evidence on request: what lies on the endpoint arrives with the analyst, byte for byte.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_evidence::dump::{Reader, Record};
use metsuke_testkit::binaries::binary;
use metsuke_testkit::process::Running;
use metsuke_testkit::{Cgroup, Sensor, needs, wait};
use serde_json::json;

use crate::ARRIVES;

/// A sensor over `group` that may read files below the returned folder.
fn sensor(stage: &Stage, group: &Cgroup) -> Result<(Sensor, std::path::PathBuf)> {
    let root = stage.folder("evidence")?;
    let config = stage.folder("configuration")?.join("sensor.json");
    let settings = json!({ "evidence_roots": [&root], "evidence_cpu_percent": 100 });
    fs::write(&config, settings.to_string())?;
    let mut options = stage.sensor_options("sensor", group)?;
    options.more = vec!["--config".to_owned(), config.display().to_string()];
    Ok((Sensor::start(&stage.server, options)?, root))
}

#[test]
fn a_collected_file_and_a_dump_arrive_byte_for_byte() -> Result<()> {
    needs!("a_collected_file_and_a_dump_arrive_byte_for_byte", Root, Cgroup);
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-evidence")?;
    let (sensor, root) = sensor(&stage, &group)?;
    let (path, saved) = (root.join("file"), stage.folder("saved")?.join("file.bin"));
    // More than three chunks of the link.
    let content: Vec<u8> = (0..250_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&path, &content)?;
    let arguments = ["endpoint", "collect", sensor.endpoint()];
    let text = [&path, &saved].map(|path| path.display().to_string());
    let more = [&*text[0], "--reason", "end to end test", "--output", &*text[1]];
    let (code, plan) = stage.metsuke_json(&[&arguments[..], &more[..]].concat())?;
    assert_eq!((code, &plan["state"]), (Some(0), &json!("done")), "{plan:#}");
    assert!(fs::read(&saved)? == content, "what arrived is not what lies there");
    let beside = fs::read(saved.with_file_name("file.bin.json"))?;
    let beside: serde_json::Value = serde_json::from_slice(&beside)?;
    assert_eq!(beside["meta"]["path"], json!(&path), "{beside:#}");
    assert_eq!(beside["sha256"], plan["result"]["artifact"]["sha256"]);
    let audit = stage.api().get("/api/v1/audit?limit=100")?.to_string();
    assert!(audit.contains("artifact.download") && audit.contains("artifact.store"), "{audit}");

    // Outside of what a scoped sensor may read.
    let arguments = ["endpoint", "collect", sensor.endpoint(), "/etc/hostname"];
    let (code, plan) = stage.metsuke_json(&[&arguments[..], &["--reason", "test"]].concat())?;
    assert_eq!((code, &plan["state"]), (Some(1), &json!("failed")), "{plan:#}");
    dump(&stage, &group, &sensor)
}

fn dump(stage: &Stage, group: &Cgroup, sensor: &Sensor) -> Result<()> {
    let secret = format!("only-in-memory-{}", std::process::id());
    let folder = stage.folder("keeper")?;
    fs::write(folder.join("secret"), format!("{secret}\n"))?;
    let script = "read -r kept < \"$1/secret\"; : > \"$1/ready\"; sleep 3600; echo \"$kept\"";
    let mut command = group.command("/bin/sh");
    command.args(["-c", script, "keeper"]).arg(&folder);
    let keeper = Running::start("keeper", &mut command, &folder.join("log"))?;
    wait::until_true("the secret to be read", ARRIVES, || Ok(folder.join("ready").exists()))?;
    let stat = fs::read_to_string(format!("/proc/{}/stat", keeper.pid()))?;
    let (_, rest) = stat.rsplit_once(')').context("a stat line without a name")?;
    let ticks = rest.split_whitespace().nth(19).context("a short stat line")?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().replace('-', "");
    let process = format!("{boot}-{}-{ticks}", keeper.pid());
    let saved = stage.folder("saved")?.join("dump.bin").display().to_string();
    let arguments = ["endpoint", "dump", sensor.endpoint(), &process];
    let more = ["--reason", "end to end test", "--output", &saved];
    let (code, plan) = stage.metsuke_json(&[&arguments[..], &more[..]].concat())?;
    assert_eq!((code, &plan["state"]), (Some(0), &json!("done")), "{plan:#}");
    let records = Reader::open(fs::File::open(&saved)?)?.collect::<io::Result<Vec<_>>>()?;
    let holds = |record: &Record| match record {
        Record::Data { bytes, .. } => {
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        }
        _ => false,
    };
    assert!(records.iter().any(holds), "the secret is not in the dump that arrived");
    assert!(matches!(records.last(), Some(Record::End(trailer)) if !trailer.cut));
    Ok(())
}

#[test]
fn a_scan_names_what_it_found_and_the_rule_it_could_not_use() -> Result<()> {
    let test = "a_scan_names_what_it_found_and_the_rule_it_could_not_use";
    needs!(test, Root, Cgroup);
    if let Err(error) = binary("metsuke-yara") {
        eprintln!("NOT RUN: {test}: {error:#}");
        return Ok(());
    }
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-evidence")?;
    let (sensor, root) = sensor(&stage, &group)?;
    fs::write(root.join("bad"), "xx needle-in-file yy")?;
    let rules = stage.folder("rules")?.join("rules.yar");
    fs::write(
        &rules,
        "rule hit { strings: $a = \"needle-in-file\" condition: $a }\n\
         rule broken { condition: $missing }",
    )?;
    let text = [&root, &rules].map(|path| path.display().to_string());
    let (code, plan) = stage.metsuke_json(&[
        "endpoint",
        "scan",
        sensor.endpoint(),
        "--path",
        &text[0],
        "--rules",
        &text[1],
        "--reason",
        "end to end test",
    ])?;
    assert_eq!((code, &plan["state"]), (Some(0), &json!("done")), "{plan:#}");
    assert_eq!(plan["result"]["found"][0]["name"], "hit", "{plan:#}");
    assert!(plan["result"]["gaps"].to_string().contains("rule broken is refused"), "{plan:#}");
    Ok(())
}
