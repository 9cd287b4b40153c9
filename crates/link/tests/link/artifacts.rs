//! Evidence goes up whole, also over interrupted sessions.

use std::sync::atomic::Ordering;

use metsuke_event::Timestamp;
use metsuke_link::artifact::Offer;
use metsuke_link::limits::ARTIFACT_CHUNK_MAX;
use metsuke_respond::PlanId;

use crate::world::{World, until_true};

fn artifact(plan: u128, kind: &str, size: usize) -> (Offer, Vec<u8>) {
    let bytes: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
    let offer = Offer {
        plan: PlanId::from_u128(plan),
        kind: kind.to_owned(),
        name: "/etc/hosts".to_owned(),
        size: size as u64,
        sha256: "0a".repeat(32),
        taken: Timestamp::from_millis(1),
        meta: "{}".to_owned(),
    };
    (offer, bytes)
}

#[tokio::test]
async fn artifacts_arrive_one_after_another_and_an_unwelcome_one_is_told() {
    let world = World::start();
    let mut sensor = world.sensor("a").await;
    let all = [
        artifact(1, "file", 3 * ARTIFACT_CHUNK_MAX + 17),
        artifact(2, "unwelcome", 5),
        artifact(3, "list", 1),
        artifact(4, "list", 0),
    ];
    sensor.seen.waiting.lock().unwrap().extend(all[..2].to_vec());
    sensor.run();
    until_true("the first two to end", || sensor.seen.ended.lock().unwrap().len() == 2).await;
    // Later ones go when the session is told that there is something new.
    sensor.seen.waiting.lock().unwrap().extend(all[2..].to_vec());
    sensor.plan_news.notify_one();
    until_true("all to end", || sensor.seen.ended.lock().unwrap().len() == 4).await;
    let ended = sensor.seen.ended.lock().unwrap().clone();
    let reasons: Vec<Option<&str>> = ended.iter().map(|(_, why)| why.as_deref()).collect();
    assert_eq!(reasons, [None, Some("nobody asked for it"), None, None]);
    for (offer, bytes) in [&all[0], &all[2], &all[3]] {
        assert!(world.memory.artifacts.lock().unwrap()[&offer.plan].1 == *bytes);
    }
    sensor.stop().await;
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_broke_off() {
    let mut world = World::start();
    let mut sensor = world.sensor("a").await;
    let (offer, bytes) = artifact(1, "dump", 12 * ARTIFACT_CHUNK_MAX + 1);
    sensor.seen.waiting.lock().unwrap().push((offer.clone(), bytes.clone()));
    sensor.run();
    let held = |world: &World| {
        world.memory.artifacts.lock().unwrap().get(&offer.plan).map_or(0, |(_, held)| held.len())
    };
    until_true("some chunks", || held(&world) >= 3 * ARTIFACT_CHUNK_MAX).await;
    world.kill_server();
    let before = held(&world) as u64;
    assert!(sensor.seen.ended.lock().unwrap().is_empty(), "it is not whole yet");
    let reads = sensor.seen.reads.lock().unwrap().len();
    world.start_server();
    until_true("the rest", || sensor.seen.ended.lock().unwrap().len() == 1).await;
    assert!(world.memory.artifacts.lock().unwrap()[&offer.plan].1 == bytes);
    assert_eq!(world.memory.offers.load(Ordering::SeqCst), 2);
    let again = sensor.seen.reads.lock().unwrap()[reads..].to_vec();
    // A chunk may have been read for the session that broke; nothing from the beginning was.
    let least = before.saturating_sub(ARTIFACT_CHUNK_MAX as u64);
    assert!(again.iter().all(|offset| *offset >= least), "{again:?} after {before}");
    sensor.stop().await;
}
