//! Exactly once: activities sent again and again, a server that dies between the steps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use metsuke_catalog::{Catalog, HitFilter, MAX_BOOTS};
use metsuke_control::library::Shipped;
use metsuke_control::{Control, Library};
use metsuke_event::activity::ProcessActivity;
use metsuke_event::{Activity, BootId, EndpointId, Event, EventId, Kind, Process, Timestamp};
use metsuke_ingest::{
    Detector, HighWater, Intake, Metrics, SensorHandler, Store, StoreError, replay,
};
use metsuke_link::message::{Evictions, Heartbeat};
use metsuke_link::server::{Handler, HandlerError};
use metsuke_respond::Policy;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const BOOT: BootId = BootId::from_u128(3);
const EVERY_EXEC: &str = "
title: every exec of /bin/evil
id: 11111111-2222-4333-8444-555555555555
status: test
level: medium
logsource: { product: linux, category: process_creation }
detection:
  selection: { Image: /bin/evil }
  condition: selection
";

/// A store in memory that outlives its server, and can be full.
#[derive(Clone, Default)]
struct Disk {
    events: Arc<Mutex<Vec<Event>>>,
    full: Arc<Mutex<bool>>,
    /// An append that has its activities waits here while it is locked.
    slow: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl Store for Disk {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        if *self.full.lock().unwrap() {
            return Err(StoreError::Later("the disk is full".into()));
        }
        self.events.lock().unwrap().extend(events);
        drop(self.slow.lock().await);
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
        let mut events = self.events.lock().unwrap().clone();
        let behind = |id: EventId| id.endpoint == endpoint && id.boot == boot && id.seq > seq;
        events.retain(|event| behind(event.id));
        events.sort_by_key(|event| event.id.seq);
        events.truncate(limit);
        Ok(events)
    }
}

fn exec(endpoint: EndpointId, seq: u64) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id = EventId { endpoint, boot: BOOT, seq, ..EventId::default() };
    event.time = Timestamp::from_millis(1_790_000_000_000 + i64::try_from(seq).unwrap());
    event.activity = Activity::Process(ProcessActivity::Exec);
    event.process = Arc::new(Process {
        uid: Some(format!("{BOOT}-{seq}-1").into()),
        exe: Some("/bin/evil".into()),
        storyline: Some("root".into()),
        ..Process::default()
    });
    event
}

fn batch(endpoint: EndpointId, range: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    range.map(|seq| exec(endpoint, seq)).collect()
}

fn shipped() -> Vec<Shipped> {
    vec![Shipped { path: "evil.yml".into(), text: EVERY_EXEC.into(), ..Shipped::default() }]
}

struct World {
    folder: tempfile::TempDir,
    disk: Disk,
    endpoint: EndpointId,
}

/// A server over the disk and catalog of its world.
struct Server {
    handler: SensorHandler,
    queue: mpsc::Receiver<Vec<Event>>,
    detector: Detector,
    catalog: Catalog,
    metrics: Arc<Metrics>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let now = Timestamp::from_millis(0);
        let token = catalog.create_enrolment_token(now, "x", i64::MAX).await.unwrap();
        let endpoint = catalog.enrol(now, &token.secret, "h").await.unwrap().unwrap();
        catalog.close().await;
        Self { folder, disk: Disk::default(), endpoint }
    }

    /// Starts a server; it has replayed when this returns the number of activities it had not seen.
    async fn start(&self) -> (Server, u64) {
        let catalog = Catalog::open(&self.folder.path().join("catalog.db")).await.unwrap();
        let library = Library::open(catalog.clone(), shipped()).await.unwrap();
        let control = Control::new(catalog.clone(), &library, Policy::default());
        let metrics: Arc<Metrics> = Arc::default();
        let store: Arc<dyn Store> = Arc::new(self.disk.clone());
        let (sender, queue) = Detector::queue();
        let stop = CancellationToken::new();
        let mut detector = Detector::new(&library, catalog.clone(), Arc::clone(&metrics), stop);
        let unseen = replay(&mut detector, &store).await.unwrap();
        let intake = Intake::new(store, Arc::clone(&metrics));
        let feed = (sender, Arc::clone(&metrics));
        let handler = SensorHandler::new(catalog.clone(), control, intake, feed);
        (Server { handler, queue, detector, catalog, metrics }, unseen)
    }

    fn stored(&self) -> Vec<u64> {
        self.disk.events.lock().unwrap().iter().map(|event| event.id.seq).collect()
    }
}

impl Server {
    /// Stops as asked: intake first, then what waits is still detected on.
    async fn stop(self) {
        drop(self.handler);
        self.detector.run(self.queue).await.unwrap();
        self.catalog.close().await;
    }

    /// Dies: what waits for detection is forgotten.
    async fn die(self) {
        self.catalog.close().await;
    }

    async fn hits(&self) -> BTreeSet<u64> {
        let hits = self.catalog.hits(&HitFilter::default(), 100_000).await.unwrap();
        let numbers: BTreeSet<u64> = hits.iter().map(|record| record.hit.event.seq).collect();
        assert_eq!(numbers.len(), hits.len(), "no hit is stored twice");
        numbers
    }
}

#[tokio::test]
async fn what_comes_again_is_stored_once() {
    let world = World::new().await;
    let (server, _) = world.start().await;
    let send = async |range| {
        server.handler.batch(world.endpoint, BOOT, batch(world.endpoint, range)).await
    };
    assert_eq!(send(1..=10).await.unwrap(), 10);
    assert_eq!(send(5..=12).await.unwrap(), 12, "an overlap is taken in part");
    assert_eq!(send(1..=10).await.unwrap(), 12, "what is known is acknowledged again");
    assert_eq!(world.stored(), (1..=12).collect::<Vec<_>>());
    let mut disorder = batch(world.endpoint, 20..=21);
    disorder.reverse();
    let refused = server.handler.batch(world.endpoint, BOOT, disorder).await;
    assert!(matches!(refused, Err(HandlerError::Refused(_))));
    server.stop().await;

    let (server, unseen) = world.start().await;
    assert_eq!(unseen, 0, "a server that stopped as asked had seen everything");
    let again = batch(world.endpoint, 1..=12);
    assert_eq!(server.handler.batch(world.endpoint, BOOT, again).await.unwrap(), 12);
    assert_eq!(world.stored().len(), 12, "after a restart too");
    assert_eq!(server.hits().await, (1..=12).collect());
    server.stop().await;
}

#[tokio::test]
async fn the_identity_is_the_authenticated_one() {
    let world = World::new().await;
    let (server, _) = world.start().await;
    let claimed = batch(EndpointId::from_u128(666), 1..=3);
    server.handler.batch(world.endpoint, BOOT, claimed).await.unwrap();
    let events = world.disk.events.lock().unwrap().clone();
    assert!(events.iter().all(|event| event.id.endpoint == world.endpoint));
    assert!(events.iter().all(|event| event.received.is_some()));
    server.stop().await;
}

#[tokio::test]
async fn a_death_between_append_and_detection_loses_no_hit() {
    let world = World::new().await;
    let mut sent = 0;
    for _ in 0..5 {
        let (server, unseen) = world.start().await;
        assert_eq!(unseen, if sent == 0 { 0 } else { 100 });
        let events = batch(world.endpoint, sent + 1..=sent + 100);
        server.handler.batch(world.endpoint, BOOT, events).await.unwrap();
        sent += 100;
        server.die().await;
    }
    let (server, unseen) = world.start().await;
    assert_eq!((unseen, server.hits().await), (100, (1..=sent).collect()));
    server.stop().await;
}

#[tokio::test]
async fn a_batch_whose_connection_goes_during_the_append_is_finished() {
    let world = World::new().await;
    let (server, _) = world.start().await;
    let slow = world.disk.slow.lock().await;
    {
        let taking = server.handler.batch(world.endpoint, BOOT, batch(world.endpoint, 1..=10));
        let appended = async {
            while world.stored().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        // The future is dropped with the activities on disk and the append not yet returned.
        tokio::select! {
            taken = taking => panic!("the append waits: {taken:?}"),
            () = appended => {}
        }
    }
    drop(slow);
    let again = batch(world.endpoint, 1..=15);
    assert_eq!(server.handler.batch(world.endpoint, BOOT, again).await.unwrap(), 15);
    assert_eq!(world.stored(), (1..=15).collect::<Vec<_>>(), "nothing is doubled");
    server.stop().await;

    let (server, unseen) = world.start().await;
    assert_eq!(unseen, 0, "what was stored was handed to detection");
    assert_eq!(server.hits().await, (1..=15).collect());
    server.stop().await;
}

#[tokio::test]
async fn what_sensors_let_go_is_counted_over_their_restarts() {
    let world = World::new().await;
    let (server, _) = world.start().await;
    let all = |base: u64| Evictions {
        processes: base,
        hashes: base + 1,
        storylines: base + 2,
        detection_keys: base + 3,
        detection_storylines: base + 4,
        spool: base + 5,
    };
    // The sensor was there before the server; ten more, then started anew and four let go since.
    for evictions in [all(10), all(10), all(20), all(4)] {
        let heartbeat = Heartbeat { evictions, ..Heartbeat::default() };
        server.handler.heartbeat(world.endpoint, heartbeat).await.unwrap();
    }
    let unknown = EndpointId::from_u128(666);
    let heartbeat = Heartbeat { evictions: all(1_000), ..Heartbeat::default() };
    assert!(server.handler.heartbeat(unknown, heartbeat).await.is_err());
    let list = server.metrics.list();
    let ten = all(20).since(&all(10));
    for (name, _, expected) in ten.plus(&all(4)).list() {
        let exported = list.iter().find(|(exported, ..)| *exported == name);
        assert_eq!(exported.map(|(.., count)| *count), Some(expected), "{name}");
    }
    let record = server.catalog.endpoint(world.endpoint).await.unwrap().unwrap();
    assert_eq!(record.health["evictions"]["hashes"], 5, "what it said last");
    // A count that cannot be fills no sum: what comes then is still seen.
    let spool = || {
        let list = server.metrics.list().into_iter();
        let mut counts = list.filter(|(name, ..)| *name == "sensor_evicted_spool_total");
        counts.next().unwrap().2
    };
    for wrong in [Evictions { spool: u64::MAX, ..all(4) }, all(0)] {
        let heartbeat = Heartbeat { evictions: wrong, ..Heartbeat::default() };
        server.handler.heartbeat(world.endpoint, heartbeat).await.unwrap();
    }
    let before = spool();
    let heartbeat = Heartbeat { evictions: all(1), ..Heartbeat::default() };
    server.handler.heartbeat(world.endpoint, heartbeat).await.unwrap();
    assert_eq!(spool(), before + 1);
    server.stop().await;
}

#[tokio::test]
async fn forgotten_boots_are_not_detected_on_again() {
    let world = World::new().await;
    let store = |boot: usize| {
        let mut event = exec(world.endpoint, 1);
        event.id.boot = BootId::from_u128(u128::try_from(boot).unwrap());
        event.received =
            Some(Timestamp::from_millis(1_790_000_000_000 + i64::try_from(boot).unwrap()));
        world.disk.events.lock().unwrap().push(event);
    };
    (1..=MAX_BOOTS + 3).for_each(store);
    let (server, unseen) = world.start().await;
    assert_eq!(unseen, u64::try_from(MAX_BOOTS).unwrap() + 3);
    server.stop().await;
    // The newest boot was stored, not detected on: it has no mark either, and is no forgotten one.
    store(MAX_BOOTS + 4);
    let (server, unseen) = world.start().await;
    assert_eq!(unseen, 1);
    assert_eq!(server.catalog.watermarks().await.unwrap().len(), MAX_BOOTS);
    server.stop().await;
}

#[tokio::test]
async fn a_boot_whose_clock_was_set_back_is_detected_on_after_a_death() {
    let world = World::new().await;
    let at = |boot: usize, time: Timestamp| {
        let mut event = exec(world.endpoint, u64::try_from(boot).unwrap());
        event.id.boot = BootId::from_u128(u128::try_from(boot).unwrap());
        event.time = time;
        event
    };
    let send = async |server: &Server, event: Event| {
        server.handler.batch(world.endpoint, event.id.boot, vec![event]).await.unwrap();
    };
    let (server, _) = world.start().await;
    // As many boots as are known, all of them with a clock far in the future.
    let future = Timestamp::from_millis(4_000_000_000_000);
    for boot in 1..=MAX_BOOTS {
        send(&server, at(boot, future)).await;
    }
    server.stop().await;
    let (server, _) = world.start().await;
    assert_eq!(server.catalog.watermarks().await.unwrap().len(), MAX_BOOTS);
    // One more, its clock set right: stored, and the server dies before detection has seen it.
    let back = Timestamp::from_millis(1_000);
    send(&server, at(MAX_BOOTS + 1, back)).await;
    server.die().await;
    let (server, unseen) = world.start().await;
    assert_eq!(unseen, 1, "it is no boot that was forgotten");
    let last = u64::try_from(MAX_BOOTS).unwrap() + 1;
    assert!(server.hits().await.contains(&last));
    server.stop().await;
}

#[tokio::test]
async fn a_sensor_that_invents_boots_is_told_to_stop() {
    let world = World::new().await;
    let (server, _) = world.start().await;
    let Server { handler, queue, detector, catalog, metrics } = server;
    let ((), ran) = tokio::join!(invent_boots(&world, handler, &metrics), detector.run(queue));
    ran.unwrap();
    catalog.close().await;
}

async fn invent_boots(world: &World, handler: SensorHandler, metrics: &Metrics) {
    let send = async |endpoint: EndpointId, boot: u128, seq: u64| {
        handler.batch(endpoint, BootId::from_u128(boot), batch(endpoint, seq..=seq)).await
    };
    let most = 64;
    for boot in 1..=most {
        send(world.endpoint, boot, 1).await.unwrap();
    }
    for boot in most + 1..=most + 3 {
        let refused = send(world.endpoint, boot, 1).await;
        let Err(HandlerError::Unavailable(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("new boots"), "{why}");
    }
    let counted = metrics.list().into_iter().find(|(name, ..)| *name == "boots_refused_total");
    assert_eq!(counted.map(|(_, _, count)| count), Some(3));
    assert_eq!(metrics.refusals.now(), None, "the store is not to blame");
    assert_eq!(send(world.endpoint, 1, 2).await.unwrap(), 2, "boots that are known go on");
    assert_eq!(send(EndpointId::from_u128(9), most + 1, 1).await.unwrap(), 1, "and others'");
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let world = World::new().await;
    let (server, _) = world.start().await;
    *world.disk.full.lock().unwrap() = true;
    let events = batch(world.endpoint, 1..=10);
    let refused = server.handler.batch(world.endpoint, BOOT, events.clone()).await;
    assert!(matches!(refused, Err(HandlerError::Unavailable(_))), "{refused:?}");
    let refusal = server.metrics.refusals.now().expect("it lasts");
    assert!(refusal.reason.contains("the disk is full"), "{refusal:?}");
    *world.disk.full.lock().unwrap() = false;
    assert_eq!(server.handler.batch(world.endpoint, BOOT, events).await.unwrap(), 10);
    assert_eq!(world.stored(), (1..=10).collect::<Vec<_>>());
    let failures =
        server.metrics.list().into_iter().find(|(name, ..)| *name == "append_failures_total");
    assert_eq!(failures.map(|(_, _, count)| count), Some(1), "and counted");
    assert_eq!(server.metrics.refusals.now(), None, "over with the first batch that is stored");
    server.stop().await;
}

#[tokio::test]
async fn a_full_queue_makes_intake_wait() {
    let world = World::new().await;
    let (mut server, _) = world.start().await;
    let mut seq = 0;
    // Nobody takes from the queue; the batch that finds it full waits, and is counted.
    loop {
        seq += 1;
        let events = batch(world.endpoint, seq..=seq);
        let taking = server.handler.batch(world.endpoint, BOOT, events);
        tokio::pin!(taking);
        let free = tokio::select! {
            biased;
            taken = &mut taking => { taken.unwrap(); true }
            first = async { while waits(&server.metrics) == 0 { tokio::task::yield_now().await } server.queue.recv().await } => {
                assert!(first.is_some());
                taking.await.unwrap();
                false
            }
        };
        if !free {
            break;
        }
        assert!(seq < 10_000, "the queue is bounded");
    }
    assert_eq!(waits(&server.metrics), 1);
    server.stop().await;
}

fn waits(metrics: &Metrics) -> u64 {
    let waits = metrics.list().into_iter().find(|(name, ..)| *name == "backpressure_waits_total");
    waits.unwrap().2
}
