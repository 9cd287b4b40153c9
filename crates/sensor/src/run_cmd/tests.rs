//! A part that ends by itself ends the sensor, and is named.

use std::sync::mpsc::sync_channel;

use tokio_util::sync::CancellationToken;

use super::{Parts, thread};
use crate::pipeline::tests::shared;
use crate::task::Task;

/// What a part does, other than waiting to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Returns,
    Panics,
}

fn commit(fault: Option<Fault>, wait: impl FnOnce()) {
    match fault {
        None => wait(),
        Some(Fault::Returns) => {}
        Some(Fault::Panics) => panic!("a fault of the test"),
    }
}

/// Why a sensor stopped in which only `part` has a fault.
fn stopped(part: &str, fault: Fault) -> String {
    let fault_of = |name| (name == part).then_some(fault);
    let (pipeline, executor, link) =
        (fault_of("the pipeline"), fault_of("the executor"), fault_of("the link"));
    let dir = tempfile::tempdir().expect("a folder");
    let ((sink, events), (work, jobs)) = (sync_channel(1), sync_channel(1));
    let parts = Parts {
        shared: shared(dir.path()).0,
        probe: None,
        sink: Some(sink),
        work,
        pipeline: thread("pipeline", move || commit(pipeline, || events.iter().for_each(drop)))
            .expect("starts"),
        executor: thread("executor", move || commit(executor, || jobs.iter().for_each(drop)))
            .expect("starts"),
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
    format!("{:#}", ran.expect_err("nobody stopped it"))
}

#[test]
fn a_part_that_ends_by_itself_ends_the_sensor_and_is_named() {
    for part in ["the pipeline", "the executor", "the link"] {
        for fault in [Fault::Returns, Fault::Panics] {
            let says = stopped(part, fault);
            assert!(says.starts_with(part), "{part} {fault:?}: {says}");
            let broke = part == "the link" && fault == Fault::Panics;
            let how = if broke { "broke down" } else { "ended by itself" };
            assert!(says.contains(how), "{part} {fault:?}: {says}");
        }
    }
}
