//! Plans against a real sensor: effect seen from outside, truth told whenever it is killed.

use std::path::Path;
use std::sync::Arc;

use metsuke_enforce::host::Seen;
use metsuke_event::{ProcessKey, Timestamp};
use metsuke_link::message::Downstream;
use metsuke_respond::plan::{Plan, Scope};
use metsuke_respond::{Outcome, Permission, PlanId, Policy, State, Verb};
use metsuke_testkit::{needs, wait};
use serde_json::json;

use crate::world::{LIMIT, World, key, plan, sleeper, states};

fn terminate(pid: u32, scope: Scope) -> Verb {
    Verb::Terminate { target: key(pid), scope }
}

fn is_dead(pid: u32) -> bool {
    Seen::look(pid).is_none_or(|seen| seen.is_dead())
}

#[test]
fn a_process_in_scope_is_ended_and_one_outside_is_not() -> anyhow::Result<()> {
    needs!("a_process_in_scope_is_ended_and_one_outside_is_not", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let inside = sleeper(&world)?;
    let outside = metsuke_testkit::process::Running::start(
        "outside",
        std::process::Command::new("sleep").arg("600"),
        &world.dir.path().join("outside.log"),
    )?;
    world.memory.order(Downstream::Plan(plan(1, terminate(inside.pid(), Scope::Process))));
    world.memory.order(Downstream::Plan(plan(2, terminate(outside.pid(), Scope::Process))));
    let done = world.ended(PlanId::from_u128(1))?;
    assert!(is_dead(inside.pid()));
    assert_eq!(
        states(&world.memory, PlanId::from_u128(1)),
        [State::Delivered, State::Running, State::Done]
    );
    match done.outcome {
        Some(Outcome::Terminated { ended, spared }) => {
            assert_eq!((ended.len(), spared.len()), (1, 0));
            assert_eq!(ended[0].cmd_line, "sleep 600");
        }
        other => panic!("{other:?}"),
    }
    let failed = world.ended(PlanId::from_u128(2))?;
    assert_eq!(failed.update.state, State::Failed);
    assert!(failed.update.detail.contains("outside this sensor's scope"), "{failed:?}");
    assert!(!is_dead(outside.pid()));
    Ok(())
}

#[test]
fn a_storyline_is_ended_whole() -> anyhow::Result<()> {
    needs!("a_storyline_is_ended_whole", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let mut family = world.group.command("/bin/sh");
    family.args(["-c", "(sleep 601 & sleep 602) & sleep 603"]);
    let log = world.dir.path().join("family.log");
    let root = metsuke_testkit::process::Running::start("family", &mut family, &log)?;
    let group = world.group.path().join("cgroup.procs");
    world.wait("the family", || Ok(std::fs::read_to_string(&group)?.lines().count() >= 4))?;
    world.memory.order(Downstream::Plan(plan(1, terminate(root.pid(), Scope::Storyline))));
    let ended = world.ended(PlanId::from_u128(1))?;
    assert_eq!(ended.update.state, State::Done, "{ended:?}");
    world.wait("an empty group", || Ok(std::fs::read_to_string(&group)?.is_empty()))?;
    Ok(())
}

#[test]
fn expired_denied_and_withdrawn_plans_do_nothing() -> anyhow::Result<()> {
    needs!("expired_denied_and_withdrawn_plans_do_nothing", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let target = sleeper(&world)?;
    let verb = terminate(target.pid(), Scope::Process);
    let expired = Plan {
        created: Timestamp::from_millis(1),
        expires: Timestamp::from_millis(2),
        ..plan(1, verb.clone())
    };
    world.memory.order(Downstream::Plan(expired));
    assert_eq!(world.ended(PlanId::from_u128(1))?.update.state, State::Expired);

    world.memory.order(Downstream::Cancel(PlanId::from_u128(2)));
    world.memory.order(Downstream::Plan(plan(2, verb.clone())));
    assert_eq!(world.ended(PlanId::from_u128(2))?.update.state, State::Cancelled);

    let policy = Policy { version: 9, terminate: Permission::Deny, ..Policy::default() };
    world.memory.order(Downstream::Policy(policy));
    world.memory.order(Downstream::Policy(Policy { version: 8, ..Policy::default() }));
    world.memory.order(Downstream::Plan(plan(3, verb)));
    let denied = world.ended(PlanId::from_u128(3))?;
    assert_eq!(denied.update.state, State::Failed);
    assert!(denied.update.detail.contains("policy 9"), "{denied:?}");
    assert!(!is_dead(target.pid()));
    Ok(())
}

#[test]
fn a_sensor_killed_at_any_moment_tells_the_truth_afterwards() -> anyhow::Result<()> {
    needs!("a_sensor_killed_at_any_moment_tells_the_truth_afterwards", Root, Cgroup);
    let mut world = World::with_sensor()?;
    for round in 1..=6_u128 {
        let target = sleeper(&world)?;
        let id = PlanId::from_u128(round);
        let file = world.state().join(format!("plans/{id}.json"));
        world.memory.order(Downstream::Plan(plan(round, terminate(target.pid(), Scope::Process))));
        // A different moment each round: when the plan's file has so many updates, at once.
        let wanted = usize::try_from(round % 3 + 1)?;
        world.wait("the plan to be noted", || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            Ok(text.matches("\"revision\"").count() >= wanted)
        })?;
        world.sensor().kill9()?;
        let dead_when_killed = is_dead(target.pid());
        world.run()?;
        let end = world.ended(id)?;
        match end.update.state {
            State::Done => assert!(is_dead(target.pid()), "{end:?}"),
            State::Failed => assert!(!is_dead(target.pid()), "{end:?}"),
            other => panic!("{other}: {end:?}"),
        }
        if dead_when_killed {
            assert_eq!(end.update.state, State::Done, "{end:?}");
        }
        let mut seen = states(&world.memory, id);
        seen.dedup();
        assert_eq!(seen.iter().filter(|state| **state == State::Running).count(), 1);
    }
    Ok(())
}

/// The one moment chance does not hit: begun, and nothing done yet.
#[test]
fn an_interrupted_plan_is_not_begun_again() -> anyhow::Result<()> {
    needs!("an_interrupted_plan_is_not_begun_again", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let alive = sleeper(&world)?;
    let dead = sleeper(&world)?;
    let plans = [
        plan(1, terminate(alive.pid(), Scope::Process)),
        plan(2, terminate(dead.pid(), Scope::Process)),
    ];
    let members = [key(alive.pid()), key(dead.pid())];
    world.sensor().kill9()?;
    let mut dead = dead;
    dead.kill9()?;
    for (plan, member) in plans.iter().zip(members) {
        note_running(&world, plan, &[member])?;
    }
    for plan in plans {
        world.memory.order(Downstream::Plan(plan));
    }
    world.run()?;
    let end = world.ended(PlanId::from_u128(1))?;
    assert_eq!(end.update.state, State::Failed);
    assert!(end.update.detail.contains("not begun again"), "{end:?}");
    assert!(!is_dead(alive.pid()));
    let end = world.ended(PlanId::from_u128(2))?;
    assert_eq!(end.update.state, State::Done);
    assert!(end.update.detail.contains("none runs any more"), "{end:?}");
    Ok(())
}

/// Writes the note of a plan that was running when its sensor was killed.
fn note_running(world: &World, plan: &Plan, members: &[ProcessKey]) -> anyhow::Result<()> {
    let update = |revision: u32, state: &str| {
        json!({"plan": plan.id, "revision": revision, "outcome": null,
               "update": {"time": plan.created, "state": state, "detail": ""}})
    };
    let record = json!({
        "plan": plan, "id": plan.id, "state": "running", "members": members, "seen": 0,
        "updates": [update(1, "delivered"), update(2, "running")],
    });
    let path = world.state().join(format!("plans/{}.json", plan.id));
    std::fs::write(path, serde_json::to_vec(&record)?)?;
    Ok(())
}

#[test]
fn processes_held_by_a_killed_sensor_go_on_when_it_is_back() -> anyhow::Result<()> {
    needs!("processes_held_by_a_killed_sensor_go_on_when_it_is_back", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let targets = [sleeper(&world)?, sleeper(&world)?];
    world.sensor().kill9()?;
    let state = |pid| Seen::look(pid).map(|seen| seen.state);
    for target in &targets {
        let pid = target.pid().to_string();
        std::process::Command::new("kill").args(["-STOP", &pid]).status()?;
        wait::until_true("it to stand still", LIMIT, || Ok(state(target.pid()) == Some('T')))?;
    }
    let storyline = plan(1, terminate(targets[0].pid(), Scope::Storyline));
    note_running(&world, &storyline, &targets.each_ref().map(|target| key(target.pid())))?;
    world.run()?;
    assert_eq!(world.ended(PlanId::from_u128(1))?.update.state, State::Failed);
    for target in &targets {
        wait::until_true("it to go on", LIMIT, || Ok(state(target.pid()) == Some('S')))?;
    }
    Ok(())
}

#[test]
fn a_storyline_from_before_the_sensor_is_not_called_ended() -> anyhow::Result<()> {
    needs!("a_storyline_from_before_the_sensor_is_not_called_ended", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let mut family = world.group.command("/bin/sh");
    family.args(["-c", "sleep 601 & sleep 602; :"]);
    let log = world.dir.path().join("family.log");
    let mut root = metsuke_testkit::process::Running::start("family", &mut family, &log)?;
    let group = world.group.path().join("cgroup.procs");
    world.wait("the family", || Ok(std::fs::read_to_string(&group)?.lines().count() == 3))?;
    let target = key(root.pid());
    world.sensor().kill9()?;
    // Its children are nobody's now: neither the sensor's memory nor /proc leads to them.
    root.kill9()?;
    world.run()?;
    let verb = Verb::Terminate { target, scope: Scope::Storyline };
    world.memory.order(Downstream::Plan(plan(1, verb)));
    let end = world.ended(PlanId::from_u128(1))?;
    assert_eq!(end.update.state, State::Failed, "{end:?}");
    assert!(end.update.detail.contains("is not known"), "{end:?}");
    Ok(())
}

#[test]
fn the_exercise_does_what_it_says_and_cleans_up() -> anyhow::Result<()> {
    needs!("the_exercise_does_what_it_says_and_cleans_up", Root, Cgroup);
    let mut world = World::with_sensor()?;
    world.memory.order(Downstream::Plan(plan(1, Verb::Poc { ttl_s: 600 })));
    world.memory.order(Downstream::Plan(plan(2, Verb::Poc { ttl_s: 0 })));
    let end = world.ended(PlanId::from_u128(1))?;
    let Some(Outcome::Poc(truth)) = end.outcome else { panic!("{end:?}") };
    assert_eq!(truth.paths.len(), 3);
    for path in &truth.paths {
        let output = std::process::Command::new("sha256sum").arg(path).output()?;
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(&truth.sha256), "{path}");
    }
    assert!(!Path::new(&truth.dropped).exists());
    assert!(truth.paths.contains(&truth.ran) && truth.paths.contains(&truth.never_ran));
    assert_ne!(truth.ran, truth.never_ran);

    let other = world.ended(PlanId::from_u128(2))?;
    let Some(Outcome::Poc(other)) = other.outcome else { panic!("{other:?}") };
    assert_ne!(other.sha256, truth.sha256, "each exercise makes a file of its own");
    world.wait("the time of the second to be over", || {
        Ok(other.paths.iter().all(|path| !Path::new(path).exists()))
    })?;

    let poc = PlanId::from_u128(1);
    world.memory.order(Downstream::Plan(plan(3, Verb::PocCleanup { poc })));
    let end = world.ended(PlanId::from_u128(3))?;
    assert_eq!(end.update.state, State::Done, "{end:?}");
    assert!(truth.paths.iter().all(|path| !Path::new(path).exists()));
    assert!(!world.state().join("poc").join(poc.to_string()).exists());
    Ok(())
}

#[test]
fn a_plan_that_comes_twice_is_carried_out_once() -> anyhow::Result<()> {
    needs!("a_plan_that_comes_twice_is_carried_out_once", Root, Cgroup);
    let mut world = World::with_sensor()?;
    let order = Downstream::Plan(plan(1, Verb::Poc { ttl_s: 600 }));
    world.memory.order(order.clone());
    world.ended(PlanId::from_u128(1))?;
    let before = world.memory.updates.lock().unwrap().len();
    world.memory.order(order);
    let memory = Arc::clone(&world.memory);
    world.wait("it to be told again", || Ok(memory.updates.lock().unwrap().len() >= before + 3))?;
    let states = states(&world.memory, PlanId::from_u128(1));
    assert_eq!(states, [State::Delivered, State::Running, State::Done]);
    Ok(())
}
