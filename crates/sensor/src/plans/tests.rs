//! Tests of the store of plans: what is kept, what survives, what is never begun twice.

use metsuke_event::{EndpointId, ProcessKey, Timestamp};
use metsuke_respond::plan::{Draft, Plan, Scope, Verb};
use metsuke_respond::{PlanId, State};

use super::{PLANS_MAX, Plans, update};

fn plan(number: u128) -> Plan {
    Plan::new(Draft {
        id: PlanId::from_u128(number),
        verb: Verb::Terminate { target: ProcessKey::default(), scope: Scope::Process },
        endpoint: EndpointId::from_u128(1),
        reason: "test".to_owned(),
        actor: "test".to_owned(),
        alert: None,
        created: Timestamp::from_millis(1),
        expires: Timestamp::from_millis(2),
    })
    .expect("valid")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn states(plans: &Plans) -> Vec<String> {
    plans.unseen().iter().map(|u| format!("{}:{}", u.revision, u.update.state)).collect()
}

#[test]
fn steps_survive_the_process_and_are_offered_until_confirmed() {
    let dir = tempfile::tempdir().expect("a folder");
    let id = PlanId::from_u128(7);
    let mut plans = Plans::open(dir.path()).expect("opens");
    plans.deliver(plan(7), at(1));
    plans.step(id, update(State::Running, at(2), String::new()), None).expect("noted");
    drop(plans);
    let mut plans = Plans::open(dir.path()).expect("opens");
    assert_eq!(plans.in_state(State::Running).len(), 1);
    assert_eq!(states(&plans), ["1:delivered", "2:running"]);
    plans.seen(id, 1);
    plans.step(id, update(State::Done, at(3), String::new()), None).expect("noted");
    drop(plans);
    let mut plans = Plans::open(dir.path()).expect("opens");
    assert_eq!(states(&plans), ["2:running", "3:done"]);
    plans.deliver(plan(7), at(4));
    assert_eq!(
        states(&plans),
        ["1:delivered", "2:running", "3:done"],
        "told again, not begun again"
    );
    assert!(plans.in_state(State::Delivered).is_empty());
}

#[test]
fn a_plan_withdrawn_before_it_came_is_never_begun() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut plans = Plans::open(dir.path()).expect("opens");
    plans.cancel(PlanId::from_u128(7), at(1));
    plans.deliver(plan(7), at(2));
    assert!(plans.in_state(State::Delivered).is_empty());
    assert_eq!(states(&plans), ["1:cancelled"]);
}

#[test]
fn a_running_plan_is_not_withdrawn() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut plans = Plans::open(dir.path()).expect("opens");
    plans.deliver(plan(7), at(1));
    plans
        .step(PlanId::from_u128(7), update(State::Running, at(2), String::new()), None)
        .expect("noted");
    plans.cancel(PlanId::from_u128(7), at(3));
    assert_eq!(plans.in_state(State::Running).len(), 1);
}

#[test]
fn without_a_note_on_disk_nothing_begins() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().join("plans");
    let mut plans = Plans::open(&place).expect("opens");
    plans.deliver(plan(7), at(1));
    std::fs::remove_dir_all(&place).expect("gone");
    let running = update(State::Running, at(2), String::new());
    assert!(plans.step(PlanId::from_u128(7), running, None).is_err());
    assert!(plans.in_state(State::Running).is_empty());
    plans.deliver(plan(8), at(3));
    assert_eq!(plans.in_state(State::Failed).len(), 1, "one that came then has failed at once");
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut plans = Plans::open(dir.path()).expect("opens");
    plans.deliver(plan(7), at(1));
    std::fs::write(dir.path().join("x.json"), "{").expect("written");
    let plans = Plans::open(dir.path()).expect("opens");
    assert_eq!(plans.in_state(State::Delivered).len(), 1);
    assert!(dir.path().join("x.damaged").exists());
}

#[test]
fn only_ended_and_confirmed_plans_are_forgotten() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut plans = Plans::open(dir.path()).expect("opens");
    plans.cancel(PlanId::from_u128(1), at(1));
    plans.seen(PlanId::from_u128(1), 1);
    for number in 2..=PLANS_MAX as u128 {
        plans.cancel(PlanId::from_u128(number), at(2));
    }
    plans.deliver(plan(5_000), at(3));
    assert!(plans.get(PlanId::from_u128(1)).is_none());
    assert!(plans.get(PlanId::from_u128(2)).is_some());
}
