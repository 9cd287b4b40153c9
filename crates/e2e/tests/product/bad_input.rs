//! Bad input: each kind gets a clear message, and nothing that was there is lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_e2e::workload::Marks;
use metsuke_testkit::binaries::binary;
use metsuke_testkit::{Cgroup, needs, sensor, wait};

use crate::ARRIVES;

#[test]
fn broken_rules_are_named_with_their_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rule = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    let head = "title: t\nlogsource: {product: linux, category: process_creation}\n";
    rule(
        "good.yml",
        &format!(
            "{head}id: 00000000-0000-4000-8000-000000000001\ndetection:\n  a:\n    Image|endswith: /id\n  condition: a\n"
        ),
    )?;
    rule(
        "modifier.yml",
        &format!(
            "{head}id: 00000000-0000-4000-8000-000000000002\ndetection:\n  a:\n    Image|sideways: x\n  condition: a\n"
        ),
    )?;
    rule("broken.yml", "title: [unclosed\n")?;
    rule(
        "condition.yml",
        &format!(
            "{head}id: 00000000-0000-4000-8000-000000000003\ndetection:\n  a:\n    Image: x\n  condition: a and missing\n"
        ),
    )?;
    let output = Command::new(binary("metsuke")?)
        .args(["--json", "rules", "check"])
        .arg(folder.path())
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let refused = answer["refused"].as_array().context("refused")?;
    assert_eq!((refused.len(), &answer["filters"]), (3, &1.into()), "{answer:#}");
    for (file, word) in
        [("modifier.yml", "sideways"), ("condition.yml", "missing"), ("broken.yml", "")]
    {
        let mut named = refused.iter().map(ToString::to_string);
        assert!(named.any(|l| l.contains(file) && l.contains(word)), "{file}: {answer:#}");
    }
    Ok(())
}

#[test]
fn wrong_and_used_tokens_are_refused() -> Result<()> {
    let stage = Stage::new()?;
    let ready = stage.server.ready().clone();
    let enrol = |state: &str, token: &str, fingerprint: &str| -> Result<(bool, String)> {
        let output = Command::new(binary("metsuke-sensor")?)
            .args(["enrol", "--server", &ready.link_addr, "--token", token])
            .args(["--ca-fingerprint", fingerprint, "--state"])
            .arg(stage.folder(state)?)
            .output()?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let (taken, message) = enrol("wrong", "not-a-token", &ready.ca_fingerprint)?;
    assert!(!taken && message.contains("token"), "{message}");
    let token = stage.server.enrolment_token()?;
    let (taken, message) = enrol("pinned", &token, &"ab".repeat(32))?;
    assert!(!taken && !message.is_empty(), "another authority is not trusted: {message}");
    let (taken, message) = enrol("first", &token, &ready.ca_fingerprint)?;
    assert!(taken, "a token that was not used up is good: {message}");
    let (taken, message) = enrol("second", &token, &ready.ca_fingerprint)?;
    assert!(!taken && message.contains("token"), "a used token: {message}");
    let endpoints = stage.api().get("/api/v1/endpoints")?;
    assert_eq!(endpoints["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn a_foreign_certificate_is_refused() -> Result<()> {
    needs!("a_foreign_certificate_is_refused", Root, Cgroup);
    let group = Cgroup::create("e2e-foreign")?;
    let elsewhere = Stage::new()?;
    let options = elsewhere.sensor_options("sensor", &group)?;
    let state = options.state.clone();
    sensor::enrol(&elsewhere.server, &options, &elsewhere.server.enrolment_token()?)?;
    let kept = tempfile::tempdir()?;
    let status = Command::new("cp").arg("-a").arg(&state).arg(kept.path()).status()?;
    assert!(status.success());
    let link = elsewhere.server.ready().link_addr.clone();
    drop(elsewhere);
    // Another server answers at the same address; the sensor's identity is foreign to it, and its
    // certificate is foreign to the sensor.
    let stage = Stage::at(&link)?;
    let mut options = stage.sensor_options("unused", &group)?;
    options.state = kept.path().join("sensor");
    let mut sensor = sensor::Sensor::unwatched(options)?;
    wait::until_true("the sensor to say that it does not know the server", ARRIVES, || {
        let log = sensor.process().log_tail().to_lowercase();
        Ok(log.contains("certificate") || log.contains("authority") || log.contains("trust"))
    })?;
    let endpoints = stage.api().get("/api/v1/endpoints")?;
    assert_eq!(endpoints["items"].as_array().map(Vec::len), Some(0));
    Ok(())
}

#[test]
fn garbage_on_both_ports_harms_nothing() -> Result<()> {
    let mut stage = Stage::new()?;
    let ports = [stage.api().address().to_owned(), stage.server.ready().link_addr.clone()];
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\xff\xff garbage that looks like a handshake",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff",
    ];
    for port in &ports {
        for bytes in garbage {
            let mut stream = TcpStream::connect(port)?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(bytes)?;
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
        }
    }
    stage.server.process().must_run()?;
    let api = stage.api();
    assert_eq!(api.raw("GET", "/healthz", None)?.0, 200);
    let deep = format!("/api/v1/search?q={}", "(".repeat(5_000));
    let (status, problem) = api.raw("GET", &deep, None)?;
    assert!((400..500).contains(&status), "{status} {problem}");
    let huge = serde_json::json!({ "user": "a".repeat(8 << 20), "password": "b" });
    let (status, _) = api.raw("POST", "/api/v1/session", Some(&huge)).unwrap_or((413, huge));
    assert!((400..500).contains(&status), "{status}");
    stage.server.process().must_run()
}

#[test]
fn without_root_and_without_bpf_the_probe_says_what_it_cannot_see() -> Result<()> {
    needs!("without_root_and_without_bpf_the_probe_says_what_it_cannot_see", Root);
    let sensor = binary("metsuke-sensor")?;
    let folder = tempfile::tempdir()?;
    // The build folder may be closed to others.
    let copy = folder.path().join("metsuke-sensor");
    std::fs::copy(&sensor, &copy)?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let no_bpf = ["--bounding-set=-bpf,-sys_admin,-perfmon", "--inh-caps=-all"];
    for drop in [&nobody[..], &no_bpf[..]] {
        let output =
            Command::new("setpriv").args(drop).arg(&copy).args(["probe", "--json"]).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        let coverage: metsuke_event::coverage::Coverage =
            serde_json::from_slice(&output.stdout).with_context(|| format!("{drop:?}: {error}"))?;
        assert_eq!(coverage.tier.number(), 3, "{drop:?}");
        assert!(!coverage.blind.is_empty(), "{drop:?} names blind spots");
        let refused = coverage.hooks.iter().any(|hook| {
            matches!(&hook.outcome, metsuke_event::coverage::Outcome::Refused { reason } if !reason.is_empty())
        });
        assert!(refused, "{drop:?} names refused hooks with their reason");
    }
    Ok(())
}

#[test]
fn damaged_files_cost_what_was_in_them_and_are_told() -> Result<()> {
    needs!("damaged_files_cost_what_was_in_them_and_are_told", Root, Cgroup);
    let mut stage = Stage::new()?;
    let group = Cgroup::create("e2e-damage")?;
    let mut sensor = stage.sensor("sensor", &group)?;
    let marks = Marks::run(&group, "kept", 300)?;
    wait::until_true("the marks to be stored", ARRIVES, || {
        Ok(marks.compare(&stage.api())?.lost.is_empty())
    })?;
    sensor.stop()?;
    // Killed, not stopped: what came last is still in the write-ahead segment.
    stage.server.kill9()?;
    let data = stage.server.data();
    let segment = newest(&data, "seg").context("no write-ahead segment")?;
    let length = segment.metadata()?.len();
    std::fs::File::options().write(true).open(&segment)?.set_len(length.saturating_sub(7))?;
    stage.server.restart()?;
    let torn = told(&stage.api(), "segment_torn")?;
    assert!(torn["lost"].is_null(), "nobody can know what the torn end had held: {torn:#}");
    let after = marks.compare(&stage.api())?;
    assert!(after.lost.len() < 300, "what stood before the damage is served");
    assert_eq!(after.doubled, Vec::<String>::new());
    stage.server.stop()?;
    // A clean stop has moved everything to Parquet.
    let parquet = newest(&data, "parquet").context("no Parquet file")?;
    std::fs::write(&parquet, b"PAR1 but nothing else")?;
    stage.server.restart()?;
    let corrupt = told(&stage.api(), "parquet_corrupt")?;
    let rows = corrupt["lost"].as_u64().unwrap_or_default();
    let gone = marks.compare(&stage.api())?.lost.len() - after.lost.len();
    assert!(rows > 0 && rows >= gone as u64, "{gone} marks are gone, told are {rows} rows");
    told(&stage.api(), "segment_torn").context("the first loss stays told")?;
    assert_eq!(stage.api().raw("GET", "/healthz", None)?.0, 200);
    Ok(())
}

/// The loss of `reason` as the answer to a search tells it.
fn told(api: &metsuke_testkit::Api, reason: &str) -> Result<serde_json::Value> {
    let answer = api.get("/api/v1/search?q=process.cmd_line:*kept-*&limit=10")?;
    let mut losses = answer["loss"].as_array().into_iter().flatten();
    let found = losses.find(|loss| loss["reason"] == reason).cloned();
    found.with_context(|| format!("no loss `{reason}` is told: {:#}", answer["loss"]))
}

/// The newest file below `folder` whose name ends with `.end` and that is not empty.
fn newest(folder: &std::path::Path, end: &str) -> Option<std::path::PathBuf> {
    let mut found: Vec<std::path::PathBuf> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == end) {
                found.push(path);
            }
        }
    }
    found.into_iter().filter(|path| path.metadata().is_ok_and(|m| m.len() > 0)).max_by_key(|path| {
        path.metadata().and_then(|m| m.modified()).unwrap_or(std::time::UNIX_EPOCH)
    })
}
