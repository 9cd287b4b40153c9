//! Full disks, on either side: counted, shown, and over by itself when there is room again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_e2e::workload::Marks;
use metsuke_testkit::{Cgroup, Sensor, http, needs, small_disk, wait};
use serde_json::Value;

use crate::ARRIVES;

/// Large enough for a server's empty stores, small enough to fill at once.
const SERVER_DISK: u64 = 96 * 1024 * 1024;
/// Large enough for a sensor's state, small enough to fill at once.
const SENSOR_DISK: u64 = 8 * 1024 * 1024;

#[test]
fn a_server_with_a_full_disk_recovers_by_itself_and_loses_nothing() -> Result<()> {
    let name = "a_server_with_a_full_disk_recovers_by_itself_and_loses_nothing";
    needs!(name, Root, Cgroup, PrivateMounts);
    let mut stage = Stage::with_disk(Some(SERVER_DISK))?;
    let group = Cgroup::create("e2e-full")?;
    let sensor = stage.sensor("sensor", &group)?;
    let before = Marks::run(&group, "room", 50)?;
    let api = stage.api();
    let none_lost = |marks: &Marks| Ok(marks.compare(&api)?.lost.is_empty());
    wait::until_true("the first marks", ARRIVES, || none_lost(&before))?;
    let failed_before = metric(&stage, "metsuke_append_failures_total")?;
    assert_eq!(failed_before, 0, "with room everything is stored");
    let storage = || -> Result<Value> { Ok(api.get("/api/v1/status")?["storage"].take()) };
    let room = storage()?;
    assert_eq!((&room["state"], &room["reason"]), (&"ok".into(), &Value::Null));
    let filler = small_disk::fill(&stage.server.data())?;
    let during = Marks::run(&group, "full", 200)?;
    wait::until_true("the counter of batches that could not be stored", ARRIVES, || {
        stage.server.process().must_run()?;
        Ok(metric(&stage, "metsuke_append_failures_total")? > failed_before)
    })?;
    assert!(!none_lost(&during)?, "what was not stored was not acknowledged");
    let mut full = Value::Null;
    wait::until_true("the API to say that nothing is stored", ARRIVES, || {
        full = storage()?;
        Ok(full["state"] == "refusing")
    })?;
    assert!(full["since"].is_string() && full["reason"].is_string(), "{full}");
    assert!(full["refused_batches"].as_u64() > Some(0), "{full}");
    let free = |storage: &Value| storage["free_bytes"].as_u64();
    assert!(free(&full).is_some() && free(&full) < free(&room), "{full} after {room}");
    std::fs::remove_file(filler)?;
    wait::until_true("everything to arrive once there is room", ARRIVES, || none_lost(&during))?;
    assert_eq!(storage()?["state"], "ok", "over with the first batch that was stored");
    assert_eq!(during.compare(&api)?.doubled, Vec::<String>::new());
    let endpoint = api.endpoint(sensor.endpoint())?;
    assert_eq!(endpoint["status"], "online");
    Ok(())
}

#[test]
fn a_sensor_with_a_full_disk_counts_what_it_lost_and_goes_on() -> Result<()> {
    let name = "a_sensor_with_a_full_disk_counts_what_it_lost_and_goes_on";
    needs!(name, Root, Cgroup, PrivateMounts);
    let mut stage = Stage::new()?;
    let group = Cgroup::create("e2e-full")?;
    let mut options = stage.sensor_options("sensor", &group)?;
    options.small_disk = Some(SENSOR_DISK);
    let mut sensor = Sensor::start(&stage.server, options)?;
    stage.server.stop()?;
    let filler = small_disk::fill(&sensor.state())?;
    // More than the spool keeps in memory meanwhile, so that something must be lost.
    flood(&group, &stage.folder("flood")?)?;
    sensor.process().must_run()?;
    std::fs::remove_file(filler)?;
    stage.server.restart()?;
    let api = stage.api();
    let endpoint = sensor.endpoint().to_owned();
    wait::until_true("the loss to be counted and shown", ARRIVES, || {
        sensor.process().must_run()?;
        let answer = api.get("/api/v1/search?q=process.cmd_line:*flood*&limit=1")?;
        Ok(answer["loss"].as_array().into_iter().flatten().any(|loss| {
            loss["endpoint"] == endpoint.as_str()
                && loss["lost"].as_u64().is_some_and(|lost| lost > 0)
        }))
    })?;
    let after = Marks::run(&group, "afterwards", 50)?;
    wait::until_true("what happens afterwards to arrive", ARRIVES, || {
        Ok(after.compare(&api)?.lost.is_empty())
    })?;
    assert_eq!(after.compare(&api)?.doubled, Vec::<String>::new());
    Ok(())
}

/// A counter of the server, by the name it is exported under.
fn metric(stage: &Stage, name: &str) -> Result<u64> {
    let token = stage.server.ready().api_token.as_deref().context("no token")?;
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let request = http::Request { method: "GET", path: "/metrics", headers: &headers, body: None };
    let answer = http::send(stage.api().address(), &request)?;
    anyhow::ensure!(answer.status == 200, "/metrics: {}", answer.status);
    let text = String::from_utf8(answer.body)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("/metrics has no {name}"))?.trim().parse()?)
}

/// Processes whose command lines do not compress: some 12 MB of activities.
fn flood(group: &Cgroup, folder: &Path) -> Result<()> {
    let lines = folder.join("lines");
    let status = Command::new("/bin/sh")
        .args(["-c", "head -c 13000000 /dev/urandom | base64 -w 3500 > \"$0\""])
        .arg(&lines)
        .status()?;
    anyhow::ensure!(status.success(), "no random lines");
    let mut command = group.command("/bin/sh");
    command.args(["-c", "while read -r line; do /bin/true flood \"$line\"; done < \"$0\""]);
    anyhow::ensure!(command.arg(&lines).status()?.success(), "the flood broke off");
    Ok(())
}
