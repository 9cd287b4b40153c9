//! The first response: its effect is looked at from outside, and its state stays true whatever
//! dies meanwhile.

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_testkit::process::Running;
use metsuke_testkit::{Api, Cgroup, Sensor, needs, wait};
use serde_json::{Value, json};

use crate::ARRIVES;

/// A process that waits in `group`, and its identity as the server knows it.
fn victim(stage: &Stage, group: &Cgroup, sensor: &Sensor, name: &str) -> Result<(Running, String)> {
    let log = stage.folder("logs")?.join(name);
    let running = Running::start(name, group.command("/bin/sleep").arg("3600"), &log)?;
    let uid = identity(&stage.api(), sensor.endpoint(), running.pid())?;
    Ok((running, uid))
}

fn identity(api: &Api, endpoint: &str, pid: u32) -> Result<String> {
    wait::until("the process to be known", ARRIVES, || {
        let query = format!("device.uid:{endpoint} AND class:process.exec AND process.pid:{pid}");
        let path = format!("/api/v1/search?q={}&limit=1", metsuke_testkit::http::escape(&query));
        let answer = api.get(&path)?;
        Ok(answer["items"][0]["fields"]["process.uid"].as_str().map(str::to_owned))
    })
}

fn order(api: &Api, endpoint: &str, process: &str, scope: &str) -> Result<String> {
    let made = api.post(
        "/api/v1/responses",
        &json!({ "verb": "terminate", "endpoint": endpoint, "process": process, "scope": scope,
            "reason": "end to end test" }),
    )?;
    Ok(made["id"].as_str().context("a plan without id")?.to_owned())
}

fn outcome(api: &Api, id: &str) -> Result<Value> {
    wait::until("the plan to end", ARRIVES, || {
        let Ok(plan) = api.get(&format!("/api/v1/responses/{id}")) else { return Ok(None) };
        let ended = ["done", "failed", "expired", "cancelled"].iter().any(|s| plan["state"] == *s);
        Ok(ended.then_some(plan))
    })
}

fn states(plan: &Value) -> Vec<&str> {
    let updates = plan["updates"].as_array().map(Vec::as_slice).unwrap_or_default();
    updates.iter().filter_map(|update| update["state"].as_str()).collect()
}

#[test]
fn a_process_and_a_storyline_are_ended_and_nothing_else() -> Result<()> {
    needs!("a_process_and_a_storyline_are_ended_and_nothing_else", Root, Cgroup);
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-term")?;
    let sensor = stage.sensor("sensor", &group)?;
    let (mut first, uid) = victim(&stage, &group, &sensor, "first")?;
    let (mut second, _) = victim(&stage, &group, &sensor, "second")?;
    let (code, plan) = stage.metsuke_json(&[
        "terminate",
        &uid,
        "--endpoint",
        sensor.endpoint(),
        "--reason",
        "end to end test",
    ])?;
    assert_eq!(code, Some(0), "{plan:#}");
    assert_eq!(states(&plan), ["queued", "delivered", "running", "done"]);
    wait::until("the process to be gone", ARRIVES, || first.ended())?;
    assert!(second.ended()?.is_none(), "the other process still runs");

    let log = stage.folder("logs")?.join("family");
    let mut shell = group.command("/bin/sh");
    let family = Running::start("family", shell.args(["-c", "sleep 3600 & sleep 3600; :"]), &log);
    let mut family = family?;
    let uid = identity(&stage.api(), sensor.endpoint(), family.pid())?;
    wait::until_true("the family to have three members", ARRIVES, || {
        Ok(group.processes()?.len() == 4)
    })?;
    let id = order(&stage.api(), sensor.endpoint(), &uid, "storyline")?;
    let plan = outcome(&stage.api(), &id)?;
    assert_eq!(plan["state"], "done", "{plan:#}");
    wait::until("the family's head to be gone", ARRIVES, || family.ended())?;
    wait::until_true("only the second to be left", ARRIVES, || {
        Ok(group.processes()? == [second.pid()])
    })?;
    let audit = stage.api().get("/api/v1/audit?limit=100")?.to_string();
    assert!(audit.contains(&id), "the plan stands in the audit log");
    Ok(())
}

#[test]
fn a_reused_pid_and_a_process_out_of_scope_are_refused() -> Result<()> {
    needs!("a_reused_pid_and_a_process_out_of_scope_are_refused", Root, Cgroup);
    let stage = Stage::new()?;
    let (group, other) = (Cgroup::create("e2e-term")?, Cgroup::create("e2e-other")?);
    let sensor = stage.sensor("sensor", &group)?;
    let (mut inside, uid) = victim(&stage, &group, &sensor, "inside")?;
    // The same pid with another start time: what a reused pid looks like.
    let (head, ticks) = uid.rsplit_once('-').context("an identity without start time")?;
    let older = format!("{head}-{}", ticks.parse::<u64>()?.saturating_sub(100));
    let id = order(&stage.api(), sensor.endpoint(), &older, "process")?;
    let plan = outcome(&stage.api(), &id)?;
    assert_eq!(plan["state"], "failed", "{plan:#}");
    assert!(inside.ended()?.is_none(), "the process that has the pid now still runs");

    let log = stage.folder("logs")?.join("outside");
    let mut outside = Running::start("outside", other.command("/bin/sleep").arg("3600"), &log)?;
    let boot = head.rsplit_once('-').context("an identity without pid")?.0;
    let started = start_ticks(outside.pid())?;
    let uid = format!("{boot}-{}-{started}", outside.pid());
    let id = order(&stage.api(), sensor.endpoint(), &uid, "process")?;
    let plan = outcome(&stage.api(), &id)?;
    assert_eq!(plan["state"], "failed", "{plan:#}");
    assert!(outside.ended()?.is_none(), "a process outside the scope still runs");
    Ok(())
}

/// Field 22 of `/proc/PID/stat` (proc(5)).
fn start_ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("a stat line without a name")?;
    Ok(rest.split_whitespace().nth(19).context("a short stat line")?.parse()?)
}

#[test]
fn a_plan_made_while_the_sensor_is_away_is_carried_out_once_it_is_back() -> Result<()> {
    needs!("a_plan_made_while_the_sensor_is_away_is_carried_out_once_it_is_back", Root, Cgroup);
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-term")?;
    let mut sensor = stage.sensor("sensor", &group)?;
    let (mut victim, uid) = victim(&stage, &group, &sensor, "victim")?;
    sensor.kill9()?;
    let id = order(&stage.api(), sensor.endpoint(), &uid, "process")?;
    let plan = stage.api().get(&format!("/api/v1/responses/{id}"))?;
    assert_eq!(plan["state"], "queued", "nobody is there to take it: {plan:#}");
    assert!(victim.ended()?.is_none());
    sensor.restart()?;
    let plan = outcome(&stage.api(), &id)?;
    assert_eq!(plan["state"], "done", "{plan:#}");
    wait::until("the process to be gone", ARRIVES, || victim.ended())?;
    Ok(())
}

#[test]
fn a_plan_outlives_a_killed_server_and_its_state_is_true() -> Result<()> {
    needs!("a_plan_outlives_a_killed_server_and_its_state_is_true", Root, Cgroup);
    let mut stage = Stage::new()?;
    let group = Cgroup::create("e2e-term")?;
    let sensor = stage.sensor("sensor", &group)?;
    for round in 0..3 {
        let (mut victim, uid) = victim(&stage, &group, &sensor, &format!("victim{round}"))?;
        let id = order(&stage.api(), sensor.endpoint(), &uid, "process")?;
        stage.server.kill9()?;
        stage.server.restart()?;
        let plan = outcome(&stage.api(), &id)?;
        assert_eq!(plan["state"], "done", "{plan:#}");
        wait::until("the process to be gone", ARRIVES, || victim.ended())?;
    }
    Ok(())
}

#[test]
fn a_killed_sensor_tells_the_truth_about_its_plan() -> Result<()> {
    needs!("a_killed_sensor_tells_the_truth_about_its_plan", Root, Cgroup);
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-term")?;
    let mut sensor = stage.sensor("sensor", &group)?;
    for round in 0..3 {
        let (mut victim, uid) = victim(&stage, &group, &sensor, &format!("victim{round}"))?;
        let id = order(&stage.api(), sensor.endpoint(), &uid, "process")?;
        sensor.kill9()?;
        sensor.restart()?;
        let plan = outcome(&stage.api(), &id)?;
        let gone = victim.ended()?.is_some();
        // Whichever moment the kill hit: what the plan says is what is so.
        assert_eq!(plan["state"] == "done", gone, "gone: {gone}, {plan:#}");
    }
    Ok(())
}
