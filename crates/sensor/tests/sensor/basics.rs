//! Commands, activities on their way, and what is said of the time nobody watched.

use std::sync::Arc;

use metsuke_event::activity::Activity;
use metsuke_testkit::needs;
use serde_json::Value;

use crate::world::{LIMIT, World, now, sleeper};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn status(world: &World) -> anyhow::Result<Value> {
    let output =
        World::command().args(["status", "--json", "--state"]).arg(world.state()).output()?;
    anyhow::ensure!(output.status.success(), "{}", stderr(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn commands_say_what_is_wrong_and_what_to_do() -> anyhow::Result<()> {
    needs!("commands_say_what_is_wrong_and_what_to_do", Root, Cgroup);
    let world = World::start()?;
    let run = |more: &[&str]| {
        World::command().args(["run", "--state"]).arg(world.state()).args(more).output()
    };
    let says = |output: &std::process::Output, what: &str| {
        assert!(!output.status.success());
        assert!(stderr(output).contains(what), "{}", stderr(output));
        assert!(stderr(output).lines().count() <= 3, "{}", stderr(output));
    };
    says(&run(&[])?, "metsuke-sensor enrol");
    says(&world.enrol("bad")?, "make a new one on the server");
    assert!(world.enrol("good")?.status.success());
    says(&world.enrol("good")?, "holds an identity already");
    says(&run(&["--scope-cgroup", ""])?, "a value is required");
    says(&run(&["--scope-cgroup", "/etc"])?, "control group");
    says(&run(&["--max-tier", "7"])?, "7");
    let config = world.dir.path().join("config.json");
    std::fs::write(&config, r#"{"enforec": "host"}"#)?;
    says(&run(&["--config", config.to_str().expect("plain")])?, "enforec");
    let before = status(&world)?;
    assert_eq!((&before["running"], &before["status"]), (&Value::Bool(false), &Value::Null));
    Ok(())
}

#[test]
fn the_token_comes_by_file_or_standard_input_or_variable() -> anyhow::Result<()> {
    needs!("the_token_comes_by_file_or_standard_input_or_variable", Root, Cgroup);
    let world = World::start()?;
    let file = world.dir.path().join("token");
    std::fs::write(&file, "good\n")?;
    let enrol = |state: &str, more: &[&str]| {
        let mut command = World::command();
        command.args(["enrol", "--server", &world.address, "--ca-fingerprint", &world.fingerprint]);
        command.arg("--state").arg(world.dir.path().join(state)).args(more);
        command
    };
    let by_file = enrol("file", &["--token-file", file.to_str().expect("plain")]).output()?;
    assert!(by_file.status.success(), "{}", stderr(&by_file));
    let by_input =
        enrol("input", &["--token-file", "-"]).stdin(std::fs::File::open(&file)?).output()?;
    assert!(by_input.status.success(), "{}", stderr(&by_input));
    let by_variable = enrol("variable", &[]).env("METSUKE_ENROL_TOKEN", "good").output()?;
    assert!(by_variable.status.success(), "{}", stderr(&by_variable));
    let none = enrol("none", &[]).output()?;
    assert!(!none.status.success() && stderr(&none).contains("--token-file"), "{}", stderr(&none));
    Ok(())
}

#[test]
fn a_sensor_that_cannot_end_processes_says_why() -> anyhow::Result<()> {
    needs!("a_sensor_that_cannot_end_processes_says_why", Root, Cgroup);
    let mut world = World::start()?;
    assert!(world.enrol("good")?.status.success());
    world.run_unscoped()?;
    let memory = Arc::clone(&world.memory);
    world.wait("a heartbeat that says so", || {
        let beats = memory.heartbeats.lock().unwrap();
        Ok(beats.iter().any(|beat| {
            beat.degraded.iter().any(|reason| reason.contains("no plan can end a process"))
        }))
    })
}

/// A sensor killed before its watch was ever set by what it saw.
#[test]
fn a_first_run_that_is_killed_at_once_is_told_too() -> anyhow::Result<()> {
    needs!("a_first_run_that_is_killed_at_once_is_told_too", Root, Cgroup);
    let mut world = World::with_sensor()?;
    world.sensor().kill9()?;
    world.run()?;
    let memory = Arc::clone(&world.memory);
    world.wait("the interval", || {
        let events = memory.events.lock().unwrap();
        Ok(events.iter().any(|event| match &event.activity {
            Activity::Health(health) => health.reason.as_deref() == Some("sensor_down"),
            _ => false,
        }))
    })
}

#[test]
fn what_happens_in_scope_arrives_and_status_tells_of_it() -> anyhow::Result<()> {
    needs!("what_happens_in_scope_arrives_and_status_tells_of_it", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let inside = sleeper(&world)?;
    let memory = Arc::clone(&world.memory);
    let pid = u64::from(inside.pid());
    world.wait("the sleeper's activity", || {
        let events = memory.events.lock().unwrap();
        Ok(events.iter().any(|event| event.process.pid == Some(pid)))
    })?;
    world.wait("a heartbeat that counts it", || {
        Ok(memory.heartbeats.lock().unwrap().last().is_some_and(|beat| beat.events_total > 0))
    })?;
    let events = memory.events.lock().unwrap().clone();
    assert!(events.iter().all(|event| event.host.is_some() && event.id.seq > 0));
    let hello = memory.hellos.lock().unwrap()[0].clone();
    assert_eq!(hello.coverage.expect("a report").tier.number(), 3);
    assert_eq!(hello.scope, world.group.path().display().to_string());
    let said = status(&world)?;
    assert_eq!(said["running"], true);
    assert_eq!(said["status"]["link"], "connected");
    assert_eq!(said["status"]["coverage"]["tier"], "interfaces");

    let second = World::command().args(["run", "--state"]).arg(world.state()).output()?;
    assert!(stderr(&second).contains("another sensor runs"), "{}", stderr(&second));
    assert!(world.sensor().stop(LIMIT)?.success());
    assert_eq!(status(&world)?["running"], false);
    Ok(())
}

#[test]
fn the_time_a_killed_sensor_did_not_watch_is_bounded_and_told() -> anyhow::Result<()> {
    needs!("the_time_a_killed_sensor_did_not_watch_is_bounded_and_told", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let started = now();
    // The watch is set once a second; wait until it can be no older than this.
    let watch = world.state().join("spool/watch");
    let mut sets = std::collections::HashSet::new();
    world.wait("the watch to be set", || {
        sets.insert(std::fs::read(&watch)?);
        Ok(sets.len() > 4)
    })?;
    let killed = now();
    world.sensor().kill9()?;
    world.run()?;
    let memory = Arc::clone(&world.memory);
    let down = || {
        let events = memory.events.lock().unwrap();
        events.iter().find_map(|event| match &event.activity {
            Activity::Health(health) if health.reason.as_deref() == Some("sensor_down") => {
                health.from.zip(health.to)
            }
            _ => None,
        })
    };
    world.wait("the interval", || Ok(down().is_some()))?;
    let (from, to) = down().expect("there");
    assert!(from <= killed && killed <= to, "{from} {killed} {to}");
    assert!(from > started.plus_nanos(-5_000_000_000), "bounded: {from}, started {started}");
    let sequences: Vec<u64> =
        memory.events.lock().unwrap().iter().map(|event| event.id.seq).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "no number twice, none out of order");
    Ok(())
}
