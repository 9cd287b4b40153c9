//! Orders down, plan updates up.

use std::sync::Arc;

use metsuke_event::{EndpointId, ProcessKey, Timestamp};
use metsuke_link::message::{Bundle, BundleDocument, Downstream, PlanUpdate};
use metsuke_respond::plan::{Draft, Scope};
use metsuke_respond::{Plan, PlanId, Policy, State, Update, Verb};

use crate::world::{World, until_true};

fn plan(endpoint: EndpointId) -> Plan {
    Plan::new(Draft {
        id: PlanId::from_u128(9),
        verb: Verb::Terminate { target: ProcessKey::default(), scope: Scope::Storyline },
        endpoint,
        reason: "test".to_owned(),
        actor: "test".to_owned(),
        alert: None,
        created: Timestamp::from_millis(1),
        expires: Timestamp::from_millis(2),
    })
    .expect("valid")
}

#[tokio::test]
async fn orders_reach_the_sensor_signed_and_a_plan_for_another_does_not() {
    let world = World::start();
    let mut sensor = world.sensor("a").await;
    let document = BundleDocument { path: "a.yml".to_owned(), text: "x".to_owned() };
    let mine = vec![
        Downstream::Content(Bundle {
            version: "3".to_owned(),
            serial: 3,
            documents: Arc::new(vec![document]),
            ..Bundle::default()
        }),
        Downstream::Policy(Policy { version: 2, ..Policy::default() }),
        Downstream::Plan(plan(sensor.identity.endpoint)),
        Downstream::Cancel(PlanId::from_u128(8)),
    ];
    let mut sent = mine.clone();
    sent.insert(0, Downstream::Plan(plan(EndpointId::from_u128(77))));
    *world.memory.orders.lock().unwrap() = sent;
    sensor.run();
    until_true("the orders", || sensor.seen.orders.lock().unwrap().len() >= mine.len()).await;
    sensor.append(1, 1, 5);
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(*sensor.seen.orders.lock().unwrap(), mine);
}

#[tokio::test]
async fn a_plan_update_is_offered_until_the_server_has_it() {
    let mut world = World::start();
    let mut sensor = world.sensor("a").await;
    world.kill_server();
    let update = |revision, state| PlanUpdate {
        plan: PlanId::from_u128(9),
        revision,
        update: Update { time: Timestamp::from_millis(5), state, detail: "x".to_owned() },
        outcome: None,
    };
    let updates = vec![update(1, State::Delivered), update(2, State::Running)];
    *sensor.seen.updates.lock().unwrap() = updates.clone();
    sensor.run();
    until_true("a failed connection", || !sensor.last_reason().is_empty()).await;
    world.start_server();
    until_true("both", || sensor.seen.updates.lock().unwrap().is_empty()).await;
    sensor.seen.updates.lock().unwrap().push(update(3, State::Done));
    sensor.plan_news.notify_one();
    until_true("the third", || sensor.seen.updates.lock().unwrap().is_empty()).await;
    until_true("heartbeats", || {
        world.memory.heartbeats.load(std::sync::atomic::Ordering::SeqCst) >= 3
    })
    .await;
    sensor.stop().await;
    let mut got = world.memory.updates.lock().unwrap().clone();
    got.dedup();
    assert_eq!(got, [updates, vec![update(3, State::Done)]].concat());
}
