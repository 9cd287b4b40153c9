//! Nothing lost, nothing doubled: servers and sensors that die in the middle.

use anyhow::Result;
use metsuke_demo::truth::now;
use metsuke_e2e::stage::Stage;
use metsuke_e2e::workload::{Difference, Marks};
use metsuke_event::Timestamp;
use metsuke_testkit::process::Running;
use metsuke_testkit::{Api, Cgroup, needs, wait};

use crate::ARRIVES;

fn nothing_lost_nothing_doubled(marks: &Marks, api: &Api) {
    let mut last = Difference::default();
    let arrived = wait::until_true("every mark to be stored", ARRIVES, || {
        last = marks.compare(api)?;
        Ok(last.lost.is_empty())
    });
    assert!(
        arrived.is_ok(),
        "{} lost: {:?}",
        last.lost.len(),
        last.lost.iter().take(5).collect::<Vec<_>>()
    );
    assert_eq!(last.doubled, Vec::<String>::new());
}

#[test]
fn a_server_that_is_killed_while_processes_start_loses_nothing() -> Result<()> {
    needs!("a_server_that_is_killed_while_processes_start_loses_nothing", Root, Cgroup);
    let mut stage = Stage::new()?;
    let group = Cgroup::create("e2e-kill")?;
    let _sensor = stage.sensor("sensor", &group)?;
    let (word, count, started) = ("kill", 2_000, now());
    let log = stage.folder("logs")?.join("work");
    let mut work = Running::start("work", &mut Marks::command(&group, word, count), &log)?;
    let marks = Marks::of(word, count, started);
    for part in 1..=3 {
        // Killed while it has some, but not all.
        let wanted = count * part / 5;
        wait::until_true("a part to be stored", ARRIVES, || {
            Ok(marks.stored(&stage.api())?.len() >= wanted)
        })?;
        stage.server.kill9()?;
        stage.server.restart()?;
    }
    wait::until("the work to end", ARRIVES, || work.ended())?;
    nothing_lost_nothing_doubled(&marks, &stage.api());
    Ok(())
}

#[test]
fn a_server_that_is_away_gets_everything_afterwards() -> Result<()> {
    needs!("a_server_that_is_away_gets_everything_afterwards", Root, Cgroup);
    let mut stage = Stage::new()?;
    let group = Cgroup::create("e2e-away")?;
    let _sensor = stage.sensor("sensor", &group)?;
    stage.server.stop()?;
    let marks = Marks::run(&group, "away", 1_000)?;
    stage.server.restart()?;
    nothing_lost_nothing_doubled(&marks, &stage.api());
    Ok(())
}

#[test]
fn what_a_killed_sensor_did_not_see_is_stated_with_bounds() -> Result<()> {
    needs!("what_a_killed_sensor_did_not_see_is_stated_with_bounds", Root, Cgroup);
    let stage = Stage::new()?;
    let group = Cgroup::create("e2e-blind")?;
    let mut sensor = stage.sensor("sensor", &group)?;
    let before = Marks::run(&group, "before", 50)?;
    nothing_lost_nothing_doubled(&before, &stage.api());
    sensor.kill9()?;
    let killed = now();
    let _unseen = Marks::run(&group, "unseen", 50)?;
    let back = now();
    sensor.restart()?;
    let api = stage.api();
    let endpoint = sensor.endpoint().to_owned();
    let (from, to) = wait::until("the unseen interval to be stated", ARRIVES, || {
        let answer = api.get("/api/v1/search?q=process.cmd_line:*unseen-*&limit=10")?;
        Ok(answer["loss"].as_array().into_iter().flatten().find_map(|loss| {
            let down = loss["reason"] == "sensor_down" && loss["endpoint"] == endpoint.as_str();
            let time = |name: &str| loss[name].as_str()?.parse::<Timestamp>().ok();
            if down { Some((time("from")?, time("to")?)) } else { None }
        }))
    })?;
    assert!(from <= killed && to >= back, "{from} to {to} covers {killed} to {back}");
    // Bounded: no further back than the sensor's last sign of life can be.
    let early = killed.nanos_since(from);
    assert!(early < 60_000_000_000, "it begins {early} ns before the kill");
    let after = Marks::run(&group, "after", 50)?;
    nothing_lost_nothing_doubled(&after, &stage.api());
    nothing_lost_nothing_doubled(&before, &stage.api());
    Ok(())
}
