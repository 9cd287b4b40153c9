//! Recordings: taken once however often they are sent, apart from what is live, detected on in the order
//! of time, with what would have been stopped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use metsuke_catalog::{Catalog, HitFilter, RecordingState};
use metsuke_control::Library;
use metsuke_control::library::Shipped;
use metsuke_detect::{Document, Engine, RuleSet};
use metsuke_event::finding::Level;
use metsuke_event::logsource::KEPT;
use metsuke_event::{BootId, EndpointId, Event, EventId, Kind, Process, Timestamp, ValueRef};
use metsuke_ingest::{
    Detector, Engines, HighWater, Pace, RecordingError, Recordings, Store, StoreError, Taken,
    replay,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const RULE: &str = "
title: A shell out of an office
id: office-shell
level: high
logsource: { product: windows, category: process_creation }
detection:
  selection: { Image|endswith: '\\cmd.exe' }
  condition: selection
---
title: What it did
id: model-of-it
level: high
model:
  timespan: 1h
  threshold: 10
  weights: { high: 20 }
---
title: Nobody asked who
id: nobody-asked
level: high
sequence:
  by: host
  within: 1m
  steps: [{ detections: [office-shell] }, { absent: [asked-who], within: 5s }]
---
title: Who
id: asked-who
level: low
logsource: { product: windows, category: process_creation }
detection:
  selection: { Image|endswith: '\\whoami.exe' }
  condition: selection
";

#[derive(Clone)]
struct Disk {
    events: Arc<Mutex<Vec<Event>>>,
    /// One is taken for each append; a test takes all to make it slow.
    ready: Arc<Semaphore>,
    appending: Arc<Semaphore>,
}

impl Default for Disk {
    fn default() -> Self {
        let ready = Arc::new(Semaphore::new(1));
        Self { events: Arc::default(), ready, appending: Arc::new(Semaphore::new(0)) }
    }
}

#[async_trait]
impl Store for Disk {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.events.lock().unwrap().extend(events);
        // On disk, and not yet said.
        self.appending.add_permits(1);
        let _ready = self.ready.acquire().await.unwrap();
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
        boot: (EndpointId, BootId),
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let mut events = self.events.lock().unwrap().clone();
        events.retain(|one| (one.id.endpoint, one.id.boot) == boot && one.id.seq > seq);
        events.sort_by_key(|event| event.id.seq);
        events.truncate(limit);
        Ok(events)
    }
}

/// A start on `host` at `second`: number `seq` of the file `file`.
fn start(
    host: &str,
    file: u128,
    seq: u64,
    second: i64,
    (uid, parent, exe): (&str, &str, &str),
) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id = EventId { boot: BootId::from_u128(file), seq, ..EventId::default() };
    event.time = Timestamp::from_millis(1_600_000_000_000 + second * 1_000);
    event.host = Some(host.into());
    event.process = Arc::new(Process {
        uid: Some(uid.into()),
        parent_uid: Some(parent.into()),
        exe: Some(exe.into()),
        storyline: Some("{1}".into()),
        ..Process::default()
    });
    event.unmapped.push(KEPT, ValueRef::Text("windows/process_creation/sysmon"));
    event
}

/// Two files of one host, each with a part of the story, and another host.
fn recording() -> Vec<Event> {
    vec![
        start("PC7", 1, 1, 0, ("{1}", "{0}", "C:\\winword.exe")),
        start("PC7", 1, 2, 20, ("{3}", "{2}", "C:\\Windows\\System32\\whoami.exe")),
        start("PC7", 1, 3, 30, ("{4}", "{3}", "C:\\Windows\\System32\\cmd.exe")),
        start("pc7", 2, 1, 10, ("{2}", "{1}", "C:\\Windows\\System32\\cmd.exe")),
        start("pc8", 2, 2, 15, ("{9}", "{8}", "C:\\calc.exe")),
    ]
}

fn rules() -> Arc<RuleSet> {
    let document = Document { path: "office.yml".into(), text: RULE.into() };
    let (rules, refused) = metsuke_detect::compile([document]);
    assert!(refused.is_empty(), "{refused:?}");
    rules
}

struct World {
    _folder: tempfile::TempDir,
    catalog: Catalog,
    disk: Disk,
    recordings: Recordings,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let disk = Disk::default();
    let recordings = door(&disk, &catalog);
    catalog.open_recording(Timestamp::from_millis(1), "ana", "old").await.unwrap();
    World { _folder: folder, catalog, disk, recordings }
}

fn door(disk: &Disk, catalog: &Catalog) -> Recordings {
    paced(disk, catalog, Pace::default())
}

fn paced(disk: &Disk, catalog: &Catalog, pace: Pace) -> Recordings {
    let rules = rules();
    let engines: Engines = Arc::new(move || Engine::new(Arc::clone(&rules)));
    Recordings::with_pace(Arc::new(disk.clone()), catalog.clone(), engines, pace)
}

/// A door whose slices are as short as can be, and recordings `names` that take three of them.
async fn long(world: &World, names: &[&str], left: Duration) -> Recordings {
    let door = paced(&world.disk, &world.catalog, Pace { slice: Duration::ZERO, left });
    for name in names {
        world.catalog.open_recording(Timestamp::from_millis(1), "ana", name).await.unwrap();
        let started = ("{2}", "{1}", "C:\\calc.exe");
        let starts = (1..=11_000).map(|seq| start("PC7", 1, seq, 0, started)).collect();
        door.take(name, "ana", starts).await.unwrap();
    }
    door
}

#[tokio::test]
async fn two_that_are_detected_on_at_once_both_come_to_an_end() {
    let world = world().await;
    let door = long(&world, &["one", "two"], Duration::MAX).await;
    let asks = [("one", None), ("two", Some(Level::High))];
    let mut seen = [Vec::new(), Vec::new()];
    for _ in 0..4 {
        for ((name, stop_at), seen) in asks.into_iter().zip(&mut seen) {
            let slice = door.detect(name, "ana", stop_at).await.unwrap();
            seen.push((slice.events, slice.report.is_some()));
        }
    }
    let expected = vec![(5_000, false), (10_000, false), (11_000, false), (11_000, true)];
    assert_eq!(seen, [expected.clone(), expected]);
}

#[tokio::test]
async fn a_third_waits_until_one_is_done_or_was_left() {
    let world = world().await;
    let names = ["one", "two", "three"];
    let door = long(&world, &names, Duration::MAX).await;
    for name in &names[..2] {
        door.detect(name, "ana", None).await.unwrap();
    }
    let third = door.detect("three", "ana", None).await;
    assert!(matches!(third, Err(RecordingError::Busy)), "{third:?}");
    while door.detect("one", "ana", None).await.unwrap().report.is_none() {}
    assert_eq!(door.detect("three", "ana", None).await.unwrap().events, 5_000);
    // The refusal and the end of another took nothing from the second.
    assert_eq!(door.detect("two", "ana", None).await.unwrap().events, 10_000);
    // Where what nobody asked for at once counts as left, the third is let in.
    let door = long(&world, &[], Duration::ZERO).await;
    for name in names {
        assert_eq!(door.detect(name, "ana", None).await.unwrap().events, 5_000);
    }
}

#[tokio::test]
async fn what_is_sent_twice_is_stored_once_also_after_a_restart() {
    let world = world().await;
    let all = Taken { taken: 5, known: 0 };
    assert_eq!(world.recordings.take("old", "ana", recording()).await.unwrap(), all);
    let again = Taken { taken: 0, known: 5 };
    assert_eq!(world.recordings.take("old", "ana", recording()).await.unwrap(), again);
    let restarted = door(&world.disk, &world.catalog);
    assert_eq!(restarted.take("old", "ana", recording()).await.unwrap(), again);
    // A part that broke off is completed.
    let mut more = recording();
    more.push(start("pc8", 2, 3, 40, ("{10}", "{9}", "C:\\calc.exe")));
    assert_eq!(restarted.take("old", "ana", more).await.unwrap(), Taken { taken: 1, known: 5 });
    assert_eq!(world.disk.events.lock().unwrap().len(), 6);
    let record = world.catalog.recording("old").await.unwrap().unwrap();
    assert_eq!((record.events, record.hosts.len()), (6, 2), "{record:?}");
    let unknown = restarted.take("never opened", "ana", recording()).await;
    assert!(matches!(unknown, Err(RecordingError::Unknown)), "{unknown:?}");
}

#[tokio::test]
async fn detection_runs_in_order_of_time_and_says_what_would_have_been_stopped() {
    let world = world().await;
    world.recordings.take("old", "ana", recording()).await.unwrap();
    let slice = world.recordings.detect("old", "ana", Some(Level::High)).await.unwrap();
    let report = slice.report.expect("a small recording is done at once");
    assert_eq!(report.stop_at.as_deref(), Some("high"));
    assert_eq!((slice.events, report.events, report.out_of_order), (5, 5, 0));
    let detected = report.earliest_detected.expect("detected");
    assert_eq!(detected.moment.detection, "office-shell");
    assert_eq!((detected.before.events, detected.before.seconds_of_storyline), (1, 10));
    let line: Vec<&str> = detected.before.line.iter().map(|one| one.uid.as_str()).collect();
    assert_eq!(line, ["{0}", "{1}", "{2}"]);
    let stopped = report.earliest_stopped.expect("stopped");
    let after = stopped.after.expect("something came after");
    assert_eq!((after.events, after.processes), (2, 2), "whoami and the second shell: {after:?}");
    let came: Vec<&str> = after.detections.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(came, ["asked-who", "office-shell"]);
    assert_eq!(report.layers["model"].count, 1);

    let record = world.catalog.recording("old").await.unwrap().unwrap();
    assert_eq!(record.state, RecordingState::Detected);
    let hits = world.catalog.hits(&HitFilter::default(), 100).await.unwrap();
    assert_eq!(hits.len(), 4);
    assert!(hits.iter().all(|one| record.hosts.contains_key(&one.hit.event.endpoint)));
    // It is one incident, called as the recording; detecting again changes nothing.
    for _ in 0..2 {
        let incidents = world.catalog.incidents().await.unwrap();
        assert_eq!(incidents.items.len(), 1, "{incidents:?}");
        assert_eq!(
            (incidents.items[0].title.as_str(), incidents.items[0].recording.as_deref()),
            ("old", Some("old"))
        );
        world.recordings.detect("old", "ana", None).await.unwrap();
        assert_eq!(world.catalog.hits(&HitFilter::default(), 100).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn what_a_client_that_breaks_off_had_sent_is_stored_once() {
    let world = world().await;
    let slow = world.disk.ready.acquire().await.unwrap();
    {
        let sent = world.recordings.take("old", "ana", recording());
        let begun = world.disk.appending.acquire();
        tokio::select! {
            taken = sent => panic!("{taken:?}"),
            begun = begun => begun.unwrap().forget(),
        }
    }
    drop(slow);
    let all_known = Taken { taken: 0, known: 5 };
    assert_eq!(world.recordings.take("old", "ana", recording()).await.unwrap(), all_known);
    assert_eq!(world.disk.events.lock().unwrap().len(), 5);
    let record = world.catalog.recording("old").await.unwrap().unwrap();
    assert_eq!((record.events, record.hosts.len()), (5, 2));
    world.recordings.stopped().await;
}

/// What the audit log says of recordings.
async fn deeds(catalog: &Catalog) -> Vec<String> {
    let entries = catalog.audit_entries(None, 100).await.unwrap();
    let mut deeds: Vec<_> = entries.into_iter().map(|entry| entry.action).collect();
    deeds.reverse();
    deeds.retain(|deed| deed.starts_with("recording."));
    deeds
}

#[tokio::test]
async fn what_is_recorded_counts_for_nothing_that_is_live_and_its_parts_are_audited_once() {
    let world = world().await;
    let mut parts = recording();
    let last = parts.split_off(4);
    world.recordings.take("old", "ana", parts).await.unwrap();
    world.recordings.take("old", "ana", last).await.unwrap();
    for _ in 0..2 {
        world.recordings.detect("old", "ana", None).await.unwrap();
        let now = Timestamp::from_millis(1_600_000_060_000);
        assert!(world.catalog.detection_stats(now).await.unwrap().is_empty());
        // Three hits, and the silence after the first shell; the second was followed by no more.
        let hits = world.catalog.hits(&HitFilter::default(), 100).await.unwrap();
        let mut ids: Vec<_> = hits.iter().map(|one| one.hit.detection.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["asked-who", "nobody-asked", "office-shell", "office-shell"]);
    }
    let expected = ["open", "fill", "detect", "detect"].map(|deed| format!("recording.{deed}"));
    assert_eq!(deeds(&world.catalog).await, expected);
}

#[tokio::test]
async fn a_recording_that_is_removed_is_gone_and_never_live() {
    let world = world().await;
    world.recordings.take("old", "ana", recording()).await.unwrap();
    world.recordings.detect("old", "ana", None).await.unwrap();
    assert_eq!(world.catalog.incidents().await.unwrap().items.len(), 1);
    world.recordings.remove("old", "bob").await.unwrap();
    let again = world.recordings.remove("old", "bob").await;
    assert!(matches!(again, Err(RecordingError::Unknown)), "{again:?}");
    let unknown = world.recordings.take("old", "ana", recording()).await;
    assert!(matches!(unknown, Err(RecordingError::Unknown)), "{unknown:?}");
    assert!(world.catalog.recordings().await.unwrap().is_empty());
    assert!(world.catalog.hits(&HitFilter::default(), 100).await.unwrap().is_empty());
    assert!(world.catalog.incidents().await.unwrap().items.is_empty());
    assert!(world.catalog.endpoints().await.unwrap().is_empty());
    assert_eq!(deeds(&world.catalog).await.last().unwrap(), "recording.remove");
    // What is stored of it never becomes live, and is there when it is opened again.
    let library = Library::open(world.catalog.clone(), Vec::new()).await.unwrap();
    let stop = CancellationToken::new();
    let mut live = Detector::new(&library, world.catalog.clone(), Arc::default(), stop);
    let store: Arc<dyn Store> = Arc::new(world.disk.clone());
    assert_eq!(replay(&mut live, &store).await.unwrap(), 0);
    let record = world.catalog.open_recording(Timestamp::from_millis(9), "eve", "old").await;
    let record = record.unwrap();
    assert_eq!((record.actor.as_str(), record.events, record.hosts.len()), ("eve", 5, 2));
    assert_eq!(world.catalog.endpoints().await.unwrap().len(), 2);
    world.recordings.detect("old", "eve", None).await.unwrap();
    assert_eq!(world.catalog.hits(&HitFilter::default(), 100).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_recording_never_reaches_the_live_engine() {
    let world = world().await;
    world.recordings.take("old", "ana", recording()).await.unwrap();
    let stop = CancellationToken::new();
    let shipped =
        vec![Shipped { path: "office.yml".into(), text: RULE.into(), ..Shipped::default() }];
    let library = Library::open(world.catalog.clone(), shipped).await.unwrap();
    let mut live = Detector::new(&library, world.catalog.clone(), Arc::default(), stop);
    let store: Arc<dyn Store> = Arc::new(world.disk.clone());
    assert_eq!(replay(&mut live, &store).await.unwrap(), 0);
    // Another recording of the same host has endpoints of its own.
    world.catalog.open_recording(Timestamp::from_millis(1), "ana", "other").await.unwrap();
    world.recordings.take("other", "ana", recording()).await.unwrap();
    let endpoints = world.catalog.recorded_endpoints().await.unwrap();
    assert_eq!(endpoints.len(), 4);
    let rows = world.catalog.endpoints().await.unwrap();
    assert!(
        rows.iter()
            .all(|row| row.scope.as_deref().is_some_and(|scope| scope.starts_with("recording:")))
    );
}
