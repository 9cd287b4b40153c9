//! What the tables of the whole sensor let go reaches the heartbeat, the status and the server.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use metsuke_detect::{Document, compile};
use metsuke_event::activity::{Activity, ProcessActivity};
use metsuke_event::{BootId, EndpointId, Event, GivenUp, Health, Kind, Process, Tally, Timestamp};
use metsuke_guard::governor::Budgets;
use metsuke_link::spool::watch::Watch;
use metsuke_link::spool::{Position, Sequence, SharedSpool, Spool, SpoolConfig};
use metsuke_probe::{ProbeEnd, Stats, Throttle};

use super::{Gate, Pipeline};
use crate::border::Border;
use crate::delegate::{Gauge, NOTES_MAX, Parts, Setup, Shared};
use crate::edge::Content;
use crate::governing::{Bounds, Governing};
use crate::health::Note;
use crate::live::Live;
use crate::plans::Plans;
use crate::status::Status;
use crate::touches::Touches;

/// More than any table holds; the largest are `detect::bounds::CORRELATION_KEYS`.
const PROCESSES: u32 = 100_001;
const BATCH: u32 = 1_000;
const BOOT: BootId = BootId::from_u128(5);
const RULES: &str = "
title: every execution
id: every
name: every
level: high
logsource: {product: linux, category: process_creation}
detection: {selection: {Image: /bin/a}, condition: selection}
---
title: twice
id: twice
correlation: {type: event_count, rules: [every], group-by: [process.storyline], timespan: 1h, condition: {gte: 2}}
---
title: weighed
id: weighed
level: high
model: {timespan: 1h, threshold: 1000}
";

pub(crate) fn exec(pid: u32) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.time = Timestamp::from_millis(1_790_000_000_000 + i64::from(pid));
    event.activity = Activity::Process(ProcessActivity::Exec);
    let uid = format!("{BOOT}-{pid}-{pid}");
    event.process = Arc::new(Process {
        exe: Some("/bin/a".into()),
        storyline: Some(uid.as_str().into()),
        uid: Some(uid.into()),
        ..Process::default()
    });
    event
}

/// A probe whose tables let go, with these hooks off.
struct Fixed(&'static [&'static str]);

impl Gauge for Fixed {
    fn stats(&self) -> Stats {
        Stats { processes_refused: 7, hashes_evicted: 8, ..Stats::default() }
    }

    fn hooks_off(&self) -> Vec<String> {
        self.0.iter().map(|off| (*off).to_owned()).collect()
    }
}

/// The shared state of a sensor without probe and link, and what it notes. Its spool is as small
/// as one can be, and its probe says that tables let go.
pub(crate) fn shared(state: &Path) -> (Arc<Shared>, Receiver<Note>) {
    shared_with(state, Box::new(Fixed(&[])))
}

fn shared_with(state: &Path, probe: Box<dyn Gauge>) -> (Arc<Shared>, Receiver<Note>) {
    let (rules, refused) =
        compile([Document { path: "rules.yml".to_owned(), text: RULES.to_owned() }]);
    assert!(refused.is_empty(), "{refused:?}");
    let mut config = SpoolConfig::new(state.join("spool"));
    (config.max_bytes, config.segment_bytes) = (256 << 10, 64 << 10);
    let (notes, said) = sync_channel(NOTES_MAX);
    let setup = Setup {
        state: state.to_owned(),
        endpoint: EndpointId::from_u128(1),
        boot: BOOT,
        host: "host".to_owned(),
        scope: "host".to_owned(),
        enforcement: "host".to_owned(),
        started: Timestamp::from_millis(1),
        coverage: None,
        guard: None,
    };
    let shared = Shared::new(Parts {
        setup,
        spool: SharedSpool::new(Spool::open(config).expect("a folder")),
        probe,
        work: [sync_channel(1).0, sync_channel(1).0],
        evidence: crate::evidence::Store::open(&state.join("evidence")).expect("a store"),
        notes,
        plans: Plans::open(&state.join("plans")).expect("a folder"),
        policy: metsuke_respond::Policy::default(),
        content: Content {
            version: String::new(),
            serial: 1,
            rules,
            overlay: Arc::default(),
            refused: 0,
        },
        lists: crate::watchlist::Lists::load(state, &crate::watchlist::tests::identity()).0,
    });
    (Arc::new(shared), said)
}

/// Lets everything pass.
fn gate() -> Gate {
    let bounds = Bounds {
        budgets: Budgets { cpu_permille: u64::MAX, memory_bytes: u64::MAX, ..Budgets::default() },
        flood_per_second: u64::MAX,
        throttle: Throttle::default(),
    };
    Gate {
        governing: Governing::new(bounds),
        border: Border::default(),
        touches: Touches::default(),
        held: Vec::new(),
        started: None,
    }
}

/// What keeps what a probe sends, for `shared`.
pub(crate) fn pipeline(shared: &Arc<Shared>) -> Pipeline {
    let spool = shared.setup.state.join("spool");
    Pipeline {
        shared: Arc::clone(shared),
        sequence: Sequence::open(&spool, BOOT).expect("a folder"),
        watch: Watch::open(&spool).expect("a folder"),
        live: Arc::new(Live::new(0, Timestamp::from_millis(1))),
        gate: gate(),
    }
}

/// What the sensor says of itself in the spool with this reason.
pub(crate) fn told(shared: &Shared, reason: &str) -> Vec<Health> {
    let (mut found, mut at) = (Vec::new(), Position::default());
    while let Some((batch, next)) = shared.spool.next(at) {
        at = next;
        let (_, events) = metsuke_link::codec::decode(&batch.to_proto()).expect("our own");
        found.extend(events.into_iter().filter_map(|event| match event.activity {
            Activity::Health(health) if health.reason.as_deref() == Some(reason) => Some(health),
            _ => None,
        }));
    }
    found
}

#[test]
fn what_any_table_lets_go_is_in_heartbeat_status_and_activities() {
    let dir = tempfile::tempdir().expect("a folder");
    let (shared, said) = shared(dir.path());
    let pipeline = pipeline(&shared);
    let ((sink, events), (end, ended)) = (sync_channel(4), sync_channel(1));
    let running = thread::spawn(move || pipeline.run(&events, &said, &ended));
    for first in (0..PROCESSES).step_by(BATCH as usize) {
        sink.send((first..PROCESSES.min(first + BATCH)).map(exec).collect()).expect("it runs");
    }
    drop(sink);
    end.send(ProbeEnd::InOrder).expect("it runs");
    running.join().expect("no panic");

    let evictions = shared.health().evictions;
    assert_eq!((evictions.processes, evictions.hashes), (7, 8), "the probe's");
    for (name, _, count) in evictions.list() {
        assert!(count > 0, "{name}");
    }
    let status = Status::load(dir.path()).expect("written");
    assert_eq!(status.health.evictions, evictions, "what `metsuke-sensor status` shows");

    let mut said = String::new();
    for health in told(&shared, "evicted") {
        assert_eq!((health.lost, health.from), (None, health.to), "no loss of activities");
        said.push_str(health.detail.as_deref().unwrap_or_default());
    }
    for (name, ..) in evictions.list().iter().filter(|(name, ..)| !name.contains("spool")) {
        assert!(said.contains(name), "{name} in {said}");
    }
}

#[test]
fn a_loss_whose_word_is_lost_too_counts_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let (shared, said) = shared(dir.path());
    let pipeline = pipeline(&shared);
    let ((sink, events), (end, ended)) = (sync_channel(4), sync_channel(1));
    let running = thread::spawn(move || pipeline.run(&events, &said, &ended));
    let word = Note {
        part: "probe",
        reason: "first",
        lost: Some(Tally::of(Kind::FileCreate, 5)),
        from: Timestamp::from_millis(1),
        to: Timestamp::from_millis(2),
        detail: String::new(),
    };
    sink.send(vec![word.event()]).expect("it runs");
    for first in (0..PROCESSES / 2).step_by(BATCH as usize) {
        sink.send((first..first + BATCH).map(exec).collect()).expect("it runs");
    }
    drop(sink);
    end.send(ProbeEnd::InOrder).expect("it runs");
    running.join().expect("no panic");

    assert!(told(&shared, "first").is_empty(), "its word is lost");
    let health = shared.health();
    let given_up = health.events_total - health.spool_events;
    // What the last flush pushed out, of which no word can come any more.
    let last = shared.spool.take_losses();
    let untold: u64 =
        last.iter().filter_map(|loss| loss.lost.as_ref()).map(GivenUp::activities).sum();
    assert_eq!(health.lost_total + untold, 5 + given_up);
    assert_eq!(health.evictions.spool + untold, given_up, "the spool lost nothing else");
    assert_eq!(shared.counters.lost().get(Kind::FileCreate), 5);
    let words = last.iter().filter_map(|loss| loss.lost.as_ref());
    let words = words.fold(shared.counters.lost(), |mut sum, lost| {
        sum.merge(&lost.all);
        sum
    });
    assert!(words.get(Kind::SensorHealth) > 0, "words about losses were lost");
}

#[test]
fn a_hook_that_is_off_is_a_reason_of_the_heartbeat() {
    let dir = tempfile::tempdir().expect("a folder");
    let off = Fixed(&["on_rename is off: it costs too much", "on_signal is off: somebody did it"]);
    let (shared, _said) = shared_with(dir.path(), Box::new(off));
    let degraded = shared.health().degraded;
    for hook in ["on_rename is off: it costs too much", "on_signal is off: somebody did it"] {
        assert!(degraded.iter().any(|why| why.contains(hook)), "{hook} in {degraded:?}");
    }
    let status = Status::load(dir.path()).expect("written");
    assert_eq!(status.health.degraded, degraded, "what `metsuke-sensor status` shows");
}
