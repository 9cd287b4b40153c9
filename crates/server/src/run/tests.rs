//! A part that ends by itself ends the server, and is named.

mod indicators;

use tokio_util::sync::CancellationToken;

use super::{Tasks, task, wait};

/// What a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// Waits to be stopped.
    Work,
    Return,
    Panic,
}

async fn run(does: Does, stop: CancellationToken) {
    match does {
        Does::Work => stop.cancelled().await,
        Does::Return => {}
        Does::Panic => panic!("a fault of the test"),
    }
}

/// Why a server stopped in which only `part` has a fault, and how its parts ended.
async fn stopped(part: &str, fault: Does) -> (String, Result<(), String>) {
    let (stop, give_up) = (CancellationToken::new(), CancellationToken::new());
    let does = |name| run(if name == part { fault } else { Does::Work }, stop.clone());
    let (detect, link) = (does("detection"), does("the link"));
    let (http, upkeep) = (does("HTTP"), does("upkeep"));
    let indicators = does("the indicators' worker");
    let tasks = Tasks {
        detect: task(async move {
            detect.await;
            Ok(())
        }),
        link: task(async move {
            link.await;
            Ok(())
        }),
        http: task(async move {
            http.await;
            Ok(())
        }),
        indicators: task(indicators),
        upkeep: task(upkeep),
    };
    let failure = wait(&tasks).await.expect_err("nobody stopped it");
    let ends = tasks.stop(&stop, &give_up).await;
    (format!("{failure:#}"), ends.map_err(|error| format!("{error:#}")))
}

#[tokio::test]
async fn a_part_that_ends_by_itself_ends_the_server_and_is_named() {
    for part in ["detection", "the link", "HTTP", "the indicators' worker", "upkeep"] {
        for fault in [Does::Return, Does::Panic] {
            let (failure, ends) = stopped(part, fault).await;
            let expected = format!("{part} ended by itself");
            assert!(failure.starts_with(&expected), "{part} {fault:?}: {failure}");
            let broke = ends.is_err_and(|error| error.starts_with(&format!("{part} broke down")));
            assert_eq!(broke, fault == Does::Panic, "{part} {fault:?}");
        }
    }
}
