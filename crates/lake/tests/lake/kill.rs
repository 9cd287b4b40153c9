//! `kill -9`, for real: a process that stores and says what was answered, killed in the middle,
//! several times over one lake.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use metsuke_event::{Event, EventId};
use metsuke_lake::{Lake, LakeConfig, SearchRequest, parse};

use crate::support::{Maker, config, ids};

/// Set for the inner run: the folder of the lake.
const INSIDE: &str = "METSUKE_LAKE_KILL";
const NAME: &str = "kill::what_was_answered_survives_kill_9";
const ROUNDS: u64 = 5;

#[test]
fn what_was_answered_survives_kill_9() {
    if let Some(dir) = std::env::var_os(INSIDE) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(store_for_ever(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut answered: BTreeSet<u64> = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(INSIDE, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut count, mut flushes, mut killed) = (0, 0, false);
        for line in lines {
            let line = line.unwrap();
            flushes += usize::from(line == "flushed");
            let Some(seq) = line.strip_prefix("stored ") else { continue };
            answered.insert(seq.parse().unwrap());
            count += 1;
            // After a flush, and at another point of the next one each round.
            if !killed && flushes > 0 && count % (17 + usize::try_from(round).unwrap()) == 0 {
                // SIGKILL, by the handle of the child this test made.
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(
            killed,
            "round {round}: {count} answers and {flushes} flushes, then it died itself"
        );
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lake = Lake::open(config(dir.path())).await.unwrap();
        let found: BTreeSet<u64> = stored(&lake).await.iter().map(|id| id.seq).collect();
        let lost: Vec<&u64> = answered.difference(&found).collect();
        assert!(lost.is_empty(), "answered and lost: {lost:?}");
        let marks = lake.high_water();
        assert_eq!(marks.values().max(), found.iter().max(), "the marks are exact");
        assert!(lake.stats().table_rows > 0, "some of it went through the table");
    });
}

/// Every identity stored; panics when one stands there twice.
async fn stored(lake: &Lake) -> BTreeSet<EventId> {
    let query = parse("").unwrap();
    let mut events: Vec<Event> = Vec::new();
    let mut cursor = None;
    loop {
        let request = SearchRequest { limit: 10_000, cursor, ..SearchRequest::new(query.clone()) };
        let answer = lake.search(request).await.unwrap();
        events.extend(answer.events);
        cursor = answer.next;
        if cursor.is_none() {
            return ids(&events);
        }
    }
}

/// Stores as ingest does after a restart: from the high-water mark on; says each answer.
async fn store_for_ever(dir: &Path) {
    let config = LakeConfig { segment_bytes: 30_000, ..config(dir) };
    let lake = Lake::open(config).await.unwrap();
    let flushing = lake.clone();
    let mut beside = tokio::task::JoinSet::new();
    beside.spawn(async move {
        loop {
            if flushing.flush().await.unwrap().rows > 0 {
                writeln!(std::io::stdout().lock(), "flushed").unwrap();
            }
        }
    });
    let mut seq = lake.high_water().values().max().copied().unwrap_or(0);
    let mut template = Maker::new(1).event();
    loop {
        let mut events = Vec::new();
        for _ in 0..=seq % 50 {
            seq += 1;
            template.id.seq = seq;
            events.push(template.clone());
        }
        let all: Vec<u64> = events.iter().map(|event| event.id.seq).collect();
        lake.append(events).await.unwrap();
        let mut out = std::io::stdout().lock();
        for seq in all {
            writeln!(out, "stored {seq}").unwrap();
        }
    }
}
