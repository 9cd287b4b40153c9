//! A part that ends by itself ends the sensor, and is named; of what a probe held that broke down
//! the time is told.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use metsuke_event::{Event, Health, Timestamp};
use metsuke_link::spool::watch::{Ending, Watch};
use metsuke_probe::ProbeEnd;
use tokio_util::sync::CancellationToken;

use super::{Eyes, Parts, thread};
use crate::facts;
use crate::pipeline::tests::{exec, pipeline, shared, told};
use crate::task::Task;

/// What a part does, other than waiting to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Returns,
    Panics,
    /// Only when it is told to stop; the probe.
    PanicsAtLast,
}

fn commit(fault: Option<Fault>, wait: impl FnOnce()) {
    match fault {
        None => wait(),
        Some(Fault::Returns) => {}
        Some(_) => panic!("a fault of the test"),
    }
}

/// A probe that sees one activity.
struct Probe {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Probe {
    /// `gone` is set when nothing can come from it any more.
    fn start(
        sink: SyncSender<Vec<Event>>,
        fault: Option<Fault>,
        gone: &Arc<OnceLock<Timestamp>>,
    ) -> Self {
        let (stop, stopped) = sync_channel(1);
        let gone = Arc::clone(gone);
        let body = move || {
            let seen = Event { time: facts::now(), ..exec(7) };
            sink.send(vec![seen]).expect("the pipeline waits");
            if matches!(fault, None | Some(Fault::PanicsAtLast)) {
                assert!(stopped.recv().is_err(), "dropped");
            }
            drop(sink);
            gone.set(facts::now()).expect("once");
            assert!(matches!(fault, None | Some(Fault::Returns)), "a fault of the test");
        };
        Self { stop, thread: thread("probe", body).expect("starts") }
    }
}

impl Eyes for Probe {
    fn are_open(&self) -> bool {
        !self.thread.is_finished()
    }

    fn close(self: Box<Self>) -> ProbeEnd {
        let ran = self.are_open();
        drop(self.stop);
        let joined = self.thread.join();
        if ran && joined.is_ok() { ProbeEnd::InOrder } else { ProbeEnd::ByItself }
    }
}

/// How a sensor ended.
struct Ended {
    says: String,
    /// When the probe's last word could have come.
    gone: Option<Timestamp>,
    /// What it told of its probe.
    told: Vec<Health>,
    /// What the next run will know of it.
    watch: Option<(Timestamp, Ending)>,
}

/// Runs a sensor in which only these parts have faults.
fn run(faults: &[(&str, Fault)]) -> Ended {
    let fault_of = |name| faults.iter().find(|(part, _)| *part == name).map(|(_, fault)| *fault);
    let (broken, executor, link) =
        (fault_of("the pipeline"), fault_of("the executor"), fault_of("the link"));
    let dir = tempfile::tempdir().expect("a folder");
    let ((sink, events), (work, jobs)) = (sync_channel(1), sync_channel(1));
    let ((end, ended), (_taking, asked)) = (sync_channel(1), sync_channel::<()>(1));
    let (shared, said) = shared(dir.path());
    let keeps = pipeline(&shared);
    let gone = Arc::default();
    let parts = Parts {
        shared: shared.clone(),
        probe: Some(Box::new(Probe::start(sink, fault_of("the probe"), &gone))),
        sink: None,
        end,
        work,
        pipeline: thread("pipeline", move || {
            commit(broken, || keeps.run(&events, &said, &ended));
        })
        .expect("starts"),
        sentry: None,
        denials: None,
        executor: thread("executor", move || commit(executor, || jobs.iter().for_each(drop)))
            .expect("starts"),
        taker: thread("taker", move || asked.iter().for_each(drop)).expect("starts"),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let ran = runtime.block_on(async {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let link = Task::start("the link", async move {
            if link.is_none() {
                stopped.cancelled().await;
            }
            commit(link, || {});
        });
        parts.run(link, stop).await
    });
    Ended {
        gone: gone.get().copied(),
        says: format!("{:#}", ran.expect_err("nobody stopped it")),
        told: told(&shared, "probe_failed"),
        watch: Watch::open(&dir.path().join("spool")).expect("a folder").before(),
    }
}

#[test]
fn a_part_that_ends_by_itself_ends_the_sensor_and_is_named() {
    for part in ["the pipeline", "the probe", "the executor", "the link"] {
        for fault in [Fault::Returns, Fault::Panics] {
            let says = run(&[(part, fault)]).says;
            assert!(says.starts_with(part), "{part} {fault:?}: {says}");
            let broke = part == "the link" && fault == Fault::Panics;
            let how = if broke { "broke down" } else { "ended by itself" };
            assert!(says.contains(how), "{part} {fault:?}: {says}");
        }
    }
}

#[test]
fn what_a_probe_held_that_broke_down_is_told_as_lost() {
    let executor = ("the executor", Fault::Returns);
    for fault in [Fault::Panics, Fault::Returns, Fault::PanicsAtLast] {
        let at_last = fault == Fault::PanicsAtLast;
        let faults = [("the probe", fault), executor];
        let ended = run(if at_last { &faults } else { &faults[..1] });
        let [loss] = ended.told.as_slice() else { panic!("{fault:?}: {:?}", ended.told) };
        assert_eq!((loss.part.as_deref(), loss.lost), (Some("probe"), None), "{fault:?}");
        let (from, to) = (loss.from.expect("told"), loss.to.expect("told"));
        let gone = ended.gone.expect("it ended");
        assert!(from < gone && gone <= to, "{fault:?}: {from:?} {gone:?} {to:?}");
        let (watched, ending) = ended.watch.expect("set");
        // What comes after is told by the next run.
        assert!(ending == Ending::Stopped && watched >= to, "{fault:?}: {watched:?} {ending:?}");
    }
    assert_eq!(run(&[executor]).told, [], "of a probe that stopped in order");
}
