//! The thin line: a harmless intrusion is caught, explained and in the tree; its twin is quiet.

use std::process::Command;

use anyhow::{Context, Result};
use metsuke_demo::truth::Truth;
use metsuke_e2e::stage::Stage;
use metsuke_testkit::binaries::binary;
use metsuke_testkit::judge::Judge;
use metsuke_testkit::process::Running;
use metsuke_testkit::{Cgroup, needs};

use crate::ARRIVES;

pub(crate) fn play(scenario: &str, seed: u64, group: &Cgroup) -> Result<Truth> {
    let output = Command::new(binary("metsuke-demo")?)
        .args([scenario, "--seed", &seed.to_string(), "--cgroup"])
        .arg(group.path())
        .output()?;
    let truth: Truth = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    assert_eq!(truth.problems, Vec::<String>::new(), "the {scenario} itself went as planned");
    Ok(truth)
}

#[test]
fn an_intrusion_is_caught_and_its_twin_is_not() -> Result<()> {
    needs!("an_intrusion_is_caught_and_its_twin_is_not", Root, Cgroup);
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-demo")?;
    let sensor = stage.sensor("sensor", &group)?;
    let mut command = Command::new("/bin/sh");
    let marker = format!("bystander-{}", std::process::id());
    command.args(["-c", "while :; do id; sleep 0.2; done", &marker]);
    let bystander =
        Running::start("bystander", &mut command, &stage.folder("logs")?.join("bystander"))?;
    let (twin_group, group_of_intrusion) = (group.child("twin")?, group.child("intrusion")?);
    let twin = play("twin", 41, &twin_group)?;
    let intrusion = play("intrusion", 41, &group_of_intrusion)?;
    let judge = Judge::new(stage.api(), sensor.endpoint());
    let caught = judge.caught(&intrusion, ARRIVES)?;
    let missing: Vec<_> = caught.missing().collect();
    assert!(missing.is_empty(), "no alert says: {missing:#?}\nalerts: {:#?}", caught.alerts);
    assert!(!caught.alerts.is_empty());
    let problems = judge.tree_problems(&intrusion, ARRIVES)?;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let quiet = judge.noise(&twin, ARRIVES)?;
    assert!(quiet.noise.is_empty(), "the twin raised:\n{}", quiet.noise.join("\n"));
    let seen = judge.rows_about(&intrusion, &marker, bystander.pid())?;
    assert!(seen.is_empty(), "the bystander was seen: {seen:#?}");
    Ok(())
}

#[test]
fn a_sensor_that_sees_nothing_makes_the_judge_say_so() -> Result<()> {
    needs!("a_sensor_that_sees_nothing_makes_the_judge_say_so", Root, Cgroup);
    let stage = Stage::new()?;
    let (watched, elsewhere) = (Cgroup::create("e2e-empty")?, Cgroup::create("e2e-else")?);
    let sensor = stage.sensor("sensor", &watched)?;
    let intrusion = play("intrusion", 5, &elsewhere)?;
    let judge = Judge::new(stage.api(), sensor.endpoint());
    let verdict = judge.caught(&intrusion, std::time::Duration::from_secs(3));
    assert!(verdict.is_err(), "nothing was watched, yet: {verdict:#?}");
    Ok(())
}
