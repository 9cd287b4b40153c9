//! What does not come is missed: on endpoints that fell silent, once, over restarts, and on no account of
//! another endpoint's clock.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metsuke_catalog::{AlertFilter, AlertOrder, Catalog, HitFilter};
use metsuke_control::Library;
use metsuke_control::library::Shipped;
use metsuke_event::activity::ProcessActivity;
use metsuke_event::{Activity, BootId, EndpointId, Event, EventId, Kind, Process, Timestamp};
use metsuke_ingest::{Detector, HighWater, Metrics, Store, StoreError, replay};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest that a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

const CONTENT: &str = "
title: Begun
id: begun
level: low
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /begin}, condition: s}
---
title: Ended
id: ended
level: low
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /end}, condition: s}
---
title: Begun and not ended
id: left-open
level: high
sequence:
  by: host
  within: 1m
  steps: [{detections: [begun]}, {absent: [ended], within: 10s}]
---
title: What it did
id: model-of-it
level: high
model: {timespan: 1h, threshold: 25}
";

#[derive(Clone, Default)]
struct Disk(Arc<Mutex<Vec<Event>>>);

#[async_trait]
impl Store for Disk {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.0.lock().unwrap().extend(events);
        Ok(())
    }

    fn high_water(&self) -> HighWater {
        let mut marks = HighWater::new();
        for event in self.0.lock().unwrap().iter() {
            let mark = marks.entry((event.id.endpoint, event.id.boot)).or_default();
            *mark = event.id.seq.max(*mark);
        }
        marks
    }

    async fn events_after(
        &self,
        boot: (EndpointId, BootId),
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let mut events = self.0.lock().unwrap().clone();
        events.retain(|one| (one.id.endpoint, one.id.boot) == boot && one.id.seq > seq);
        events.truncate(limit);
        Ok(events)
    }
}

/// `exe` on `endpoint` at `second`, as its number too.
fn event(endpoint: u128, second: u64, exe: &str) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    let (endpoint, boot) = (EndpointId::from_u128(endpoint), BootId::from_u128(1));
    event.id = EventId { endpoint, boot, seq: second, ..EventId::default() };
    let time = 1_790_000_000_000 + i64::try_from(second).unwrap() * 1_000;
    event.time = Timestamp::from_millis(time);
    event.received = Some(event.time);
    event.activity = Activity::Process(ProcessActivity::Exec);
    event.process = Arc::new(Process {
        uid: Some(format!("p{second}").into()),
        exe: Some(exe.into()),
        storyline: Some("one".into()),
        ..Process::default()
    });
    event
}

struct World {
    folder: tempfile::TempDir,
    disk: Disk,
    /// What the server's clock shows, in seconds.
    clock: Arc<AtomicU64>,
}

/// A server whose detection runs until the sender is dropped.
struct Server {
    catalog: Catalog,
    sender: mpsc::Sender<Vec<Event>>,
    detection: tokio::task::JoinHandle<()>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, disk: Disk::default(), clock: Arc::default() }
    }

    async fn start(&self) -> Server {
        let catalog = Catalog::open(&self.folder.path().join("catalog.db")).await.unwrap();
        let shipped = Shipped { path: "a.yml".into(), text: CONTENT.into(), ..Shipped::default() };
        let library = Library::open(catalog.clone(), vec![shipped]).await.unwrap();
        let (metrics, stop) = (Arc::<Metrics>::default(), CancellationToken::new());
        let shown = Arc::clone(&self.clock);
        let clock = Arc::new(move || Duration::from_secs(shown.load(Ordering::SeqCst)));
        let mut detector = Detector::new(&library, catalog.clone(), metrics, stop)
            .keeping(self.folder.path().join("detection.state"))
            .reckoning(clock, Duration::from_millis(5));
        let store: Arc<dyn Store> = Arc::new(self.disk.clone());
        replay(&mut detector, &store).await.unwrap();
        let (sender, queue) = Detector::queue();
        #[expect(clippy::disallowed_methods, reason = "awaited in `stop`")]
        let detection = tokio::spawn(async move { detector.run(queue).await.unwrap() });
        Server { catalog, sender, detection }
    }

    /// Time goes by on the server.
    fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Server {
    async fn see(&self, world: &World, events: Vec<Event>) {
        let last = events.last().unwrap().id;
        world.disk.append(events.clone()).await.unwrap();
        self.sender.send(events).await.unwrap();
        let is_seen = async || {
            let marks = self.catalog.watermarks().await.unwrap();
            marks.iter().any(|mark| (mark.endpoint, mark.seq) == (last.endpoint, last.seq))
        };
        until("the watermark", is_seen).await;
    }

    /// The endpoints on which it was stored that nothing came.
    async fn struck(&self) -> Vec<u128> {
        let filter = HitFilter { detection: Some("left-open".into()), ..HitFilter::default() };
        let hits = self.catalog.hits(&filter, 100).await.unwrap();
        hits.iter().map(|record| record.hit.event.endpoint.as_u128()).collect()
    }

    /// Alerts, and the hits that are counted.
    async fn told(&self) -> (usize, u64) {
        let place = (None, 100);
        let alerts = self.catalog.alerts(&AlertFilter::default(), AlertOrder::Score, place).await;
        let now = Timestamp::from_millis(1_790_000_100_000);
        let stats = self.catalog.detection_stats(now).await.unwrap();
        (alerts.unwrap().items.len(), stats.get("left-open").map_or(0, |stats| stats.hits_7d))
    }

    async fn stop(self) {
        drop(self.sender);
        self.detection.await.unwrap();
        self.catalog.close().await;
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn silence_strikes_on_a_silent_endpoint_and_is_stored_once_over_restarts() {
    let world = World::new();
    let server = world.start().await;
    server.see(&world, vec![event(1, 0, "/bin/true"), event(1, 1, "/bin/begin")]).await;
    server.stop().await;
    let armed = std::fs::read(world.folder.path().join("detection.state")).unwrap();
    // The hour in which the server stood still is nobody's.
    world.pass(3_600);
    let server = world.start().await;
    assert_eq!(server.struck().await, [] as [u128; 0]);
    // Ten seconds of waiting, a minute's grace, two of lateness.
    world.pass(192);
    until("the hit", async || server.struck().await == [1]).await;
    assert_eq!(server.told().await, (1, 1));
    server.stop().await;
    // In order; with the state of before it struck, as after a crash; with none.
    let path = world.folder.path().join("detection.state");
    for state in [None, Some(Some(armed)), Some(None)] {
        match state {
            None => {}
            Some(Some(old)) => std::fs::write(&path, old).unwrap(),
            Some(None) => std::fs::remove_file(&path).unwrap(),
        }
        let server = world.start().await;
        world.pass(3_600);
        // Another strikes when it did: all is looked at by then.
        let next = u128::from(world.clock.load(Ordering::SeqCst));
        server.see(&world, vec![event(next, 2, "/bin/begin")]).await;
        world.pass(192);
        until("another hit", async || server.struck().await.contains(&next)).await;
        let of_first = server.struck().await.iter().filter(|one| **one == 1).count();
        let all = server.struck().await.len();
        assert_eq!((of_first, server.told().await), (1, (all, all as u64)));
        server.stop().await;
    }
}

#[tokio::test]
async fn neither_another_endpoints_clock_nor_what_comes_late_makes_it_strike() {
    let world = World::new();
    let server = world.start().await;
    let ahead = 86_400;
    server.see(&world, vec![event(1, 1, "/bin/begin"), event(2, ahead, "/bin/begin")]).await;
    // Within the time that things may be late, what must not have come comes.
    world.pass(100);
    server.see(&world, vec![event(1, 5, "/bin/end")]).await;
    world.pass(100);
    until("the one ahead", async || server.struck().await == [2]).await;
    world.pass(3_600);
    server.see(&world, vec![event(3, 7, "/bin/begin")]).await;
    world.pass(192);
    until("the third", async || server.struck().await.contains(&3)).await;
    assert_eq!(server.struck().await, [3, 2], "on the first it did end");
    server.stop().await;
}
