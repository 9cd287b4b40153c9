//! The inventory on its way: one at a time, answered each, whatever becomes of the server.

use std::sync::atomic::Ordering;

use metsuke_event::inventory::{Delta, Item, ItemKind, Password, Stage, User};

use crate::world::{SensorSide, World, until_true};

fn delta(base: u64, stage: Stage, name: &str) -> Delta {
    let user = User {
        name: name.to_owned(),
        uid: 1,
        gid: 1,
        home: "/".to_owned(),
        shell: "/bin/sh".to_owned(),
        groups: vec!["g".to_owned()],
        password: Password::Locked,
    };
    Delta {
        base,
        generation: base + 1,
        stage,
        surveys: Vec::new(),
        set: vec![Item::User(user)],
        removed: vec![(ItemKind::User, "gone".to_owned())],
    }
}

fn say(sensor: &SensorSide, delta: Delta) {
    sensor.seen.inventory.lock().unwrap().push_back(delta);
    sensor.seen.inventory_news.notify_one();
}

fn generations(sensor: &SensorSide) -> Vec<u64> {
    sensor.seen.answers.lock().unwrap().iter().map(|seen| seen.generation).collect()
}

#[tokio::test]
async fn changes_arrive_in_order_and_each_is_answered_with_what_the_server_holds() {
    let world = World::start();
    let mut sensor = world.sensor("a").await;
    let told = [
        delta(0, Stage::Whole, "one"),
        delta(1, Stage::Change, "two"),
        delta(7, Stage::Change, "of another past"),
    ];
    for delta in &told {
        say(&sensor, delta.clone());
    }
    sensor.run();
    until_true("three answers", || generations(&sensor).len() == 3).await;
    assert_eq!(generations(&sensor), [1, 2, 2], "what builds on another past is not taken");
    assert_eq!(*world.memory.inventory.lock().unwrap(), told);
    let later = delta(2, Stage::Change, "later");
    say(&sensor, later);
    until_true("the fourth", || generations(&sensor).len() == 4).await;
    assert_eq!(generations(&sensor)[3], 3);
    sensor.stop().await;
}

#[tokio::test]
async fn what_was_not_answered_is_said_again_in_the_next_session() {
    let mut world = World::start();
    let mut sensor = world.sensor("a").await;
    sensor.run();
    until_true("a session", || world.memory.heartbeats.load(Ordering::SeqCst) > 0).await;
    world.kill_server();
    say(&sensor, delta(0, Stage::Whole, "one"));
    world.start_server();
    until_true("an answer", || generations(&sensor) == [1]).await;
    assert_eq!(world.memory.inventory.lock().unwrap().len(), 1);
    sensor.stop().await;
}

#[tokio::test]
async fn a_refused_message_is_said_to_be_and_activities_still_arrive() {
    let world = World::start();
    world.memory.refuse_inventory.store(1, Ordering::SeqCst);
    let mut sensor = world.sensor("a").await;
    say(&sensor, delta(0, Stage::Whole, "one"));
    say(&sensor, delta(0, Stage::Whole, "not sent in this session"));
    sensor.append(1, 1, 100);
    sensor.run();
    sensor.drained().await;
    until_true("the answer", || sensor.seen.answers.lock().unwrap().len() == 1).await;
    let refused = sensor.seen.answers.lock().unwrap()[0].refused.clone();
    assert_eq!(refused.as_deref(), Some("not today"));
    assert_eq!(world.counters.inventories_refused.load(Ordering::SeqCst), 1);
    assert_eq!(world.memory.count(), 100);
    assert!(world.memory.inventory.lock().unwrap().is_empty(), "no more in this session");
    sensor.stop().await;
}
