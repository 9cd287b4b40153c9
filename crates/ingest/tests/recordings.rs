//! Recordings: taken once however often they are sent, apart from what is live, detected on in the order
//! of time, with what would have been stopped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use metsuke_catalog::{Catalog, HitFilter, RecordingState};
use metsuke_control::Library;
use metsuke_control::library::Shipped;
use metsuke_detect::{Document, Engine, RuleSet};
use metsuke_event::finding::Level;
use metsuke_event::logsource::KEPT;
use metsuke_event::{BootId, EndpointId, Event, EventId, Kind, Process, Timestamp, ValueRef};
use metsuke_ingest::{
    Detector, Engines, HighWater, RecordingError, Recordings, Store, StoreError, Taken, replay,
};
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
    let rules = rules();
    let engines: Engines = Arc::new(move || Engine::new(Arc::clone(&rules)));
    Recordings::new(Arc::new(disk.clone()), catalog.clone(), engines)
}

#[tokio::test]
async fn what_is_sent_twice_is_stored_once_also_after_a_restart() {
    let world = world().await;
    let all = Taken { taken: 5, known: 0 };
    assert_eq!(world.recordings.take("old", recording()).await.unwrap(), all);
    let again = Taken { taken: 0, known: 5 };
    assert_eq!(world.recordings.take("old", recording()).await.unwrap(), again);
    let restarted = door(&world.disk, &world.catalog);
    assert_eq!(restarted.take("old", recording()).await.unwrap(), again);
    // A part that broke off is completed.
    let mut more = recording();
    more.push(start("pc8", 2, 3, 40, ("{10}", "{9}", "C:\\calc.exe")));
    assert_eq!(restarted.take("old", more).await.unwrap(), Taken { taken: 1, known: 5 });
    assert_eq!(world.disk.0.lock().unwrap().len(), 6);
    let record = world.catalog.recording("old").await.unwrap().unwrap();
    assert_eq!((record.events, record.hosts.len()), (6, 2), "{record:?}");
    let unknown = restarted.take("never opened", recording()).await;
    assert!(matches!(unknown, Err(RecordingError::Unknown)), "{unknown:?}");
}

#[tokio::test]
async fn detection_runs_in_order_of_time_and_says_what_would_have_been_stopped() {
    let world = world().await;
    world.recordings.take("old", recording()).await.unwrap();
    let slice = world.recordings.detect("old", "ana", Some(Level::High)).await.unwrap();
    let report = slice.report.expect("a small recording is done at once");
    assert_eq!((slice.events, report.events, report.out_of_order), (5, 5, 0));
    let detected = report.earliest_detected.expect("detected");
    assert_eq!(detected.moment.detection, "office-shell");
    assert_eq!((detected.before.events, detected.before.seconds_of_storyline), (1, 10));
    let line: Vec<&str> = detected.before.line.iter().map(|one| one.uid.as_str()).collect();
    assert_eq!(line, ["{0}", "{1}", "{2}"]);
    let stopped = report.earliest_stopped.expect("stopped");
    let after = stopped.after.expect("something came after");
    assert_eq!((after.events, after.processes), (2, 2), "whoami and the second shell: {after:?}");
    assert_eq!(after.detections[0].0, "office-shell");
    assert_eq!(report.layers["model"].count, 1);

    let record = world.catalog.recording("old").await.unwrap().unwrap();
    assert_eq!(record.state, RecordingState::Detected);
    let hits = world.catalog.hits(&HitFilter::default(), 100).await.unwrap();
    assert_eq!(hits.len(), 2);
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
        assert_eq!(world.catalog.hits(&HitFilter::default(), 100).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_recording_never_reaches_the_live_engine() {
    let world = world().await;
    world.recordings.take("old", recording()).await.unwrap();
    let stop = CancellationToken::new();
    let shipped =
        vec![Shipped { path: "office.yml".into(), text: RULE.into(), ..Shipped::default() }];
    let library = Library::open(world.catalog.clone(), shipped).await.unwrap();
    let mut live = Detector::new(&library, world.catalog.clone(), Arc::default(), stop);
    let store: Arc<dyn Store> = Arc::new(world.disk.clone());
    assert_eq!(replay(&mut live, &store).await.unwrap(), 0);
    // Another recording of the same host has endpoints of its own.
    world.catalog.open_recording(Timestamp::from_millis(1), "ana", "other").await.unwrap();
    world.recordings.take("other", recording()).await.unwrap();
    let endpoints = world.catalog.recorded_endpoints().await.unwrap();
    assert_eq!(endpoints.len(), 4);
    let rows = world.catalog.endpoints().await.unwrap();
    assert!(
        rows.iter()
            .all(|row| row.scope.as_deref().is_some_and(|scope| scope.starts_with("recording:")))
    );
}
