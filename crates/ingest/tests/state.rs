//! What detection holds survives a restart, and content changes in the running stream: no window is
//! lost, and nothing strikes twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use metsuke_catalog::{Catalog, ExceptionRecord, HitFilter, TuningRecord};
use metsuke_control::Library;
use metsuke_control::library::Shipped;
use metsuke_event::activity::ProcessActivity;
use metsuke_event::{Activity, BootId, EndpointId, Event, EventId, Kind, Process, Timestamp};
use metsuke_ingest::{Detector, HighWater, Metrics, Store, StoreError, replay};
use tokio_util::sync::CancellationToken;

const BOOT: BootId = BootId::from_u128(1);
/// Adds a model.
const MODEL: &str = "
---
title: What it did
id: model
level: low
model: {timespan: 1h, threshold: 1}
";
/// Longer than what is read again without a checkpoint.
const LONG: u64 = 21_000;

/// The rule needs a window that reaches over the restart.
const CONTENT: &str = "
title: A shell
id: shell
level: low
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /sh}, condition: s}
---
title: Three shells
id: three
level: medium
correlation:
  type: event_count
  rules: [shell]
  timespan: 30d
  condition: {gte: 3}
";

#[derive(Clone, Default)]
struct Disk {
    events: Arc<Mutex<Vec<Event>>>,
    /// Events read from it.
    read: Arc<Mutex<u64>>,
}

#[async_trait]
impl Store for Disk {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.events.lock().unwrap().extend(events);
        Ok(())
    }

    fn high_water(&self) -> HighWater {
        let mut marks = HighWater::new();
        for event in self.events.lock().unwrap().iter() {
            let mark = marks.entry((event.id.endpoint, event.id.boot)).or_default();
            *mark = event.id.seq.max(*mark);
        }
        marks
    }

    async fn events_after(
        &self,
        (endpoint, boot): (EndpointId, BootId),
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let events = self.events.lock().unwrap();
        let of = |event: &&Event| {
            (event.id.endpoint, event.id.boot) == (endpoint, boot) && event.id.seq > seq
        };
        let found: Vec<Event> = events.iter().filter(of).take(limit).cloned().collect();
        *self.read.lock().unwrap() += found.len() as u64;
        Ok(found)
    }
}

fn event(endpoint: u128, seq: u64, exe: &str) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    let endpoint = EndpointId::from_u128(endpoint);
    event.id = EventId { endpoint, boot: BOOT, seq, ..EventId::default() };
    event.time = Timestamp::from_millis(i64::try_from(1_790_000_000_000 + seq).unwrap());
    event.received = Some(event.time);
    event.activity = Activity::Process(ProcessActivity::Exec);
    let uid = Some(format!("p{seq}").into());
    event.process = Arc::new(Process { uid, exe: Some(exe.into()), ..Process::default() });
    event
}

struct World {
    folder: tempfile::TempDir,
    disk: Disk,
}

struct Server {
    detector: Detector,
    catalog: Catalog,
    library: Library,
    metrics: Arc<Metrics>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), disk: Disk::default() }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("detection.state")
    }

    async fn start(&self) -> Server {
        let catalog = Catalog::open(&self.folder.path().join("catalog.db")).await.unwrap();
        let text = format!("{CONTENT}{MODEL}");
        let shipped = Shipped { path: "a.yml".into(), text, ..Shipped::default() };
        let library = Library::open(catalog.clone(), vec![shipped]).await.unwrap();
        let metrics: Arc<Metrics> = Arc::default();
        let stop = CancellationToken::new();
        let detector = Detector::new(&library, catalog.clone(), Arc::clone(&metrics), stop);
        let mut detector = detector.keeping(self.state());
        let store: Arc<dyn Store> = Arc::new(self.disk.clone());
        *self.disk.read.lock().unwrap() = 0;
        replay(&mut detector, &store).await.unwrap();
        Server { detector, catalog, library, metrics }
    }

    /// Stores `events` and has `server` see them, which then stops in order.
    async fn see(&self, server: Server, events: Vec<Event>) {
        self.disk.append(events.clone()).await.unwrap();
        let (sender, queue) = Detector::queue();
        sender.send(events).await.unwrap();
        drop(sender);
        server.detector.run(queue).await.unwrap();
        server.catalog.close().await;
    }

    /// Hits by detection.
    async fn hits(&self) -> BTreeMap<String, u64> {
        let catalog = Catalog::open(&self.folder.path().join("catalog.db")).await.unwrap();
        let mut counts = BTreeMap::new();
        for record in catalog.hits(&HitFilter::default(), 100_000).await.unwrap() {
            *counts.entry(record.hit.detection.id).or_default() += 1;
        }
        let now = Timestamp::from_millis(1_790_000_100_000);
        for (id, stats) in catalog.detection_stats(now).await.unwrap() {
            let stored = counts.get(&id).copied().unwrap_or_default();
            assert_eq!(stored, stats.hits_7d, "{id} is counted as it is stored");
        }
        catalog.close().await;
        counts
    }
}

fn counts(expected: [(&str, u64); 2]) -> BTreeMap<String, u64> {
    let some = expected.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(id, count)| (id.to_owned(), count)).collect()
}

/// Two shells, then so much else that nobody reads back to them.
fn beginning() -> Vec<Event> {
    let exe = |seq| if seq <= 2 { "/bin/sh" } else { "/bin/true" };
    (1..=LONG).map(|seq| event(7, seq, exe(seq))).collect()
}

#[tokio::test]
async fn a_window_reaches_over_a_stop_in_order() {
    let world = World::new();
    world.see(world.start().await, beginning()).await;
    assert_eq!(world.hits().await, counts([("shell", 2), ("three", 0)]));
    let server = world.start().await;
    assert!(*world.disk.read.lock().unwrap() < 5_000, "history is not read again");
    world.see(server, vec![event(7, LONG + 1, "/bin/sh")]).await;
    assert_eq!(world.hits().await, counts([("shell", 3), ("three", 1)]));
    world.see(world.start().await, vec![event(7, LONG + 2, "/bin/sh")]).await;
    let expected = counts([("shell", 4), ("three", 1)]);
    assert_eq!(world.hits().await, expected, "it strikes once in its timespan");
}

#[tokio::test]
async fn after_a_crash_what_came_since_the_checkpoint_is_seen_again_and_counted_once() {
    let world = World::new();
    world.see(world.start().await, beginning()).await;
    let old = std::fs::read(world.state()).unwrap();
    let more = |from| (from..from + 2).map(|seq| event(7, seq, "/bin/sh")).collect::<Vec<_>>();
    world.see(world.start().await, more(LONG + 1)).await;
    assert_eq!(world.hits().await, counts([("shell", 4), ("three", 1)]));
    // The server died before it wrote the last checkpoint: the one before is there still.
    std::fs::write(world.state(), &old).unwrap();
    let server = world.start().await;
    assert_eq!(world.hits().await, counts([("shell", 4), ("three", 1)]), "nothing twice");
    world.see(server, more(LONG + 3)).await;
    assert_eq!(world.hits().await, counts([("shell", 6), ("three", 1)]));
    // Another dies before detection saw what is on disk.
    world.disk.append(more(LONG + 5)).await.unwrap();
    world.start().await.catalog.close().await;
    assert_eq!(world.hits().await, counts([("shell", 8), ("three", 1)]));
}

#[tokio::test]
async fn what_an_exception_keeps_from_a_model_is_counted_once() {
    let world = World::new();
    let server = world.start().await;
    let time = |seconds: i64| Timestamp::from_millis(1_790_000_000_000 + seconds * 1_000);
    let exception = ExceptionRecord {
        id: "e1".into(),
        title: "t".into(),
        detections: vec!["model".into()],
        groups: Vec::new(),
        endpoints: Vec::new(),
        condition: "Image: /bin/sh".into(),
        reason: "r".into(),
        owner: "ann".into(),
        created: time(0),
        expires: time(1_000_000),
        hidden: 0,
        last: None,
    };
    server.library.except(exception).await.unwrap();
    let other = event(7, 2, "/usr/bin/sh");
    world.see(server, vec![event(7, 1, "/bin/sh"), other, event(7, 3, "/bin/sh")]).await;
    // Also when all of it is read again.
    std::fs::remove_file(world.state()).unwrap();
    let server = world.start().await;
    // The rule over three shells struck at the third: one activity, kept from the model once.
    let kept = server.catalog.exceptions().await.unwrap().remove(0);
    assert_eq!((kept.hidden, kept.last), (2, Some(event(7, 3, "").time)));
    let stats = server.catalog.detection_stats(time(60)).await.unwrap();
    assert_eq!((stats["model"].excepted_7d, stats["shell"].hits_7d), (2, 3));
    let days = server.catalog.hidden_by_exception(time(60), 2).await.unwrap();
    assert_eq!(days["e1"].iter().map(|day| day.excepted).collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test]
async fn what_a_detection_costs_is_measured() {
    let world = World::new();
    let server = world.start().await;
    let metrics = Arc::clone(&server.metrics);
    assert!(metrics.costs().is_empty());
    world.see(server, vec![event(7, 1, "/bin/sh"), event(7, 2, "/bin/sh")]).await;
    let costs = metrics.costs();
    let cost = costs["shell"];
    assert!(cost.nanos_per_event > 0.0 && 0.0 < cost.share && cost.share <= 1.0, "{cost:?}");
    assert!(!cost.asleep && !costs.contains_key("model"), "{costs:?}");
}

#[tokio::test]
async fn several_endpoints_are_caught_up_with_in_the_order_of_their_coming() {
    let world = World::new();
    world.start().await.catalog.close().await;
    let order = [(7, 1), (8, 2), (7, 3), (8, 4), (7, 5)];
    let events = order.map(|(endpoint, seq)| event(endpoint, seq, "/bin/sh"));
    world.disk.append(events.to_vec()).await.unwrap();
    let server = world.start().await;
    let filter = HitFilter { detection: Some("three".into()), ..HitFilter::default() };
    let hits = server.catalog.hits(&filter, 10).await.unwrap();
    let struck = hits[0].hit.event;
    assert_eq!((hits.len(), struck.endpoint.as_u128(), struck.seq), (1, 7, 3), "at the third");
}

#[tokio::test]
async fn a_checkpoint_that_is_damaged_or_ahead_of_the_catalog_is_not_used() {
    let world = World::new();
    world.see(world.start().await, vec![event(7, 1, "/bin/sh"), event(7, 2, "/bin/sh")]).await;
    let good = std::fs::read(world.state()).unwrap();
    std::fs::write(world.state(), &good[..good.len() - 1]).unwrap();
    world.see(world.start().await, vec![event(7, 3, "/bin/sh")]).await;
    assert_eq!(world.hits().await, counts([("shell", 3), ("three", 1)]), "read again instead");
    let kept = std::fs::read(world.state()).unwrap();
    std::fs::remove_file(world.folder.path().join("catalog.db")).unwrap();
    std::fs::write(world.state(), kept).unwrap();
    world.see(world.start().await, vec![event(7, 4, "/bin/sh")]).await;
    assert_eq!(world.hits().await, counts([("shell", 4), ("three", 1)]), "all of it anew");
}

#[tokio::test]
async fn content_changes_in_the_running_stream_and_what_is_held_stays() {
    let world = World::new();
    let server = world.start().await;
    let (library, metrics) = (server.library.clone(), Arc::clone(&server.metrics));
    let catalog = server.catalog.clone();
    let (sender, queue) = Detector::queue();
    let feed = async |from: u64, count: u64| {
        let events: Vec<Event> = (from..from + count).map(|seq| event(7, seq, "/bin/sh")).collect();
        sender.send(events).await.unwrap();
        let seen = || metrics.detected.load(std::sync::atomic::Ordering::Relaxed);
        let stored = async || {
            let marks = catalog.watermarks().await.unwrap();
            marks.first().is_some_and(|mark| mark.seq == from + count - 1)
        };
        while !stored().await {
            tokio::task::yield_now().await;
        }
        assert!(seen() >= count);
    };
    let changes = async {
        feed(1, 2).await;
        let own = "title: Any\nid: any\nlevel: low\nlogsource: {product: linux}\ndetection: {s: \
                   {Image|contains: bin}, condition: s}\n";
        library.put("ann", "any", own.to_owned()).await.unwrap();
        feed(3, 1).await;
        let off = TuningRecord {
            detection: "any".into(),
            group: None,
            enabled: Some(false),
            level: None,
            reason: "r".into(),
            actor: "ann".into(),
            time: Timestamp::from_millis(0),
        };
        library.tune(off).await.unwrap();
        feed(4, 1).await;
    };
    let run = server.detector.run(queue);
    let stopped = async {
        changes.await;
        // The last sender: the detector ends.
        drop(sender.clone());
    };
    tokio::select! {
        () = stopped => {}
        ended = run => panic!("{ended:?}"),
    }
    let hits = world.hits().await;
    assert_eq!(hits["three"], 1, "the window went over the change");
    assert_eq!((hits["shell"], hits["any"]), (4, 1));
}
