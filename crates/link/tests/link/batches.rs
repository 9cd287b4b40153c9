//! Nothing lost, nothing doubled: what is produced is compared with what is stored, by identity.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use metsuke_link::client::LinkState;

use crate::world::{World, until_true};

#[tokio::test]
async fn activities_arrive_in_order_over_two_boots() {
    let world = World::start();
    let mut sensor = world.sensor("a").await;
    for boot in [5, 3] {
        for batch in 0..200 {
            sensor.append(boot, batch * 10 + 1, batch * 10 + 10);
        }
    }
    sensor.run();
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.count(), 4_000);
    let stored = world.memory.stored.lock().unwrap();
    assert!(stored.values().all(|sequence| sequence.is_sorted() && sequence.len() == 2_000));
    assert_eq!(stored.len(), 2);
}

#[tokio::test]
async fn a_server_killed_again_and_again_loses_nothing() {
    let mut world = World::start();
    let mut sensor = world.sensor("a").await;
    sensor.run();
    let total = 30_000;
    let mut next = 1;
    for kill in 1..=5 {
        let goal = usize::try_from(kill * total / 8).expect("small");
        while next <= kill * total / 6 {
            sensor.append(1, next, next + 9);
            next += 10;
        }
        until_true("some to arrive", || {
            world.memory.count() >= goal || sensor.spool.depth().events == 0
        })
        .await;
        world.kill_server();
        // The sensor goes on meanwhile.
        for _ in 0..20 {
            sensor.append(1, next, next + 9);
            next += 10;
        }
        world.start_server();
    }
    while next <= total {
        sensor.append(1, next, next + 9);
        next += 10;
    }
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (1..next).collect::<BTreeSet<_>>());
    assert_eq!(world.memory.count() as u64, next - 1, "none twice");
    assert!(world.memory.hellos.lock().unwrap().len() >= 6);
}

#[tokio::test]
async fn a_server_that_cannot_store_is_asked_again() {
    let world = World::start();
    world.memory.unavailable.store(3, Ordering::SeqCst);
    let mut sensor = world.sensor("a").await;
    for batch in 0..50 {
        sensor.append(1, batch * 10 + 1, batch * 10 + 10);
    }
    sensor.run();
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (1..=500).collect());
    let states = sensor.seen.states.lock().unwrap();
    let away = states.iter().filter(|state| matches!(state, LinkState::Away(_))).count();
    assert_eq!(away, 3, "{states:?}");
    assert!(states.iter().any(
        |state| matches!(state, LinkState::Away(reason) if reason.contains("the disk is full"))
    ));
}

#[tokio::test]
async fn what_is_refused_for_good_is_told_and_the_rest_arrives() {
    let world = World::start();
    world.memory.refuse.store(1, Ordering::SeqCst);
    let mut sensor = world.sensor("a").await;
    for batch in 0..10 {
        sensor.append(1, batch * 10 + 1, batch * 10 + 10);
    }
    sensor.run();
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (11..=100).collect());
    let refused = sensor.seen.refused.lock().unwrap();
    assert_eq!((refused.len(), refused[0].count), (1, 10));
    assert_eq!(refused[0].lost.activities(), 10);
    assert_eq!(refused[0].reason, "not today");
}

#[tokio::test]
async fn a_restarted_sensor_sends_what_was_not_confirmed() {
    let mut world = World::start();
    let mut sensor = world.sensor("a").await;
    world.kill_server();
    for batch in 0..30 {
        sensor.append(1, batch * 10 + 1, batch * 10 + 10);
    }
    sensor.run();
    until_true("a failed connection", || !sensor.last_reason().is_empty()).await;
    sensor.stop().await;
    let identity = sensor.identity.clone();
    drop(sensor);
    world.start_server();
    let mut sensor = crate::world::SensorSide::new(identity, &world.dir.path().join("a"));
    assert_eq!(sensor.spool.depth().events, 300);
    sensor.run();
    sensor.drained().await;
    sensor.stop().await;
    assert_eq!(world.memory.sequences(), (1..=300).collect());
}

#[tokio::test]
async fn a_second_session_of_one_endpoint_takes_the_seat_of_the_first() {
    let world = World::start();
    let mut first = world.sensor("a").await;
    first.run();
    until_true("the first", || world.memory.hellos.lock().unwrap().len() == 1).await;
    let other = world.dir.path().join("other");
    let mut second = crate::world::SensorSide::new(first.identity.clone(), &other);
    second.run();
    until_true("the second", || world.memory.hellos.lock().unwrap().len() >= 2).await;
    first.stop().await;
    second.append(1, 1, 10);
    second.drained().await;
    second.stop().await;
    let log = world.memory.log.lock().unwrap().clone();
    // Each hello follows the other session's goodbye.
    for pair in
        log.iter().filter(|line| !line.starts_with("enrolled")).collect::<Vec<_>>().windows(2)
    {
        assert_ne!(pair[0], pair[1], "{log:?}");
    }
}

#[tokio::test]
async fn a_batch_being_stored_is_finished_when_the_sensor_goes() {
    let world = World::start();
    let mut sensor = world.sensor("a").await;
    sensor.append(1, 1, 10);
    let slow = world.memory.slow.lock().await;
    sensor.run();
    until_true("the batch", || world.memory.count() == 10).await;
    sensor.stop().await;
    // Some round trips of another sensor: by then the server knows that the first is gone.
    let mut other = world.sensor("b").await;
    other.run();
    until_true("the other", || world.memory.heartbeats.load(Ordering::SeqCst) > 2).await;
    drop(slow);
    let gone = || world.memory.log.lock().unwrap().contains(&"gone 1".to_owned());
    until_true("the end of the session", gone).await;
    assert_eq!(world.counters.batches.load(Ordering::Relaxed), 1, "the batch was not cut off");
    other.stop().await;
}
