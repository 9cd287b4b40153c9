//! A full disk, for real: a small tmpfs in a mount namespace of the test's own.

use std::path::Path;
use std::process::Command;

use metsuke_event::Event;
use metsuke_lake::{Lake, LakeError, SearchRequest, parse};

use crate::support::{Maker, config, ids};

/// Set for the inner run: the folder the small tmpfs is mounted on.
const INSIDE: &str = "METSUKE_LAKE_FULL_DISK";
const NAME: &str = "full_disk::a_full_disk_refuses_and_recovers_by_itself";
/// Bytes left on the disk for the lake to fill.
const FREE: u64 = 256 << 10;
/// What the inner shell ends with when it may not mount.
const NO_MOUNT: i32 = 77;

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    if let Some(dir) = std::env::var_os(INSIDE) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill_and_recover(Path::new(&dir)));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script =
        "mount -t tmpfs -o size=16m none \"$1\" || exit 77; exec \"$2\" --exact \"$3\" --nocapture";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(INSIDE, dir.path())
        .output();
    let said = match output {
        Err(error) => Err(format!("unshare: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let refused = output.status.code() == Some(NO_MOUNT)
                || text.contains("unshare failed")
                || text.contains("unshare: ");
            assert!(refused, "{text}\n{}", String::from_utf8_lossy(&output.stdout));
            Err(text)
        }
    };
    if let Err(reason) = said {
        eprintln!("NOT RUN: {NAME}: no mount namespace of its own: {}", reason.trim());
    }
}

async fn found(lake: &Lake) -> Vec<Event> {
    let query = parse("").unwrap();
    let mut events = Vec::new();
    let mut cursor = None;
    loop {
        let request = SearchRequest { limit: 10_000, cursor, ..SearchRequest::new(query.clone()) };
        let answer = lake.search(request).await.unwrap();
        events.extend(answer.events);
        cursor = answer.next;
        if cursor.is_none() {
            return events;
        }
    }
}

/// Appends until the disk is full; gives what was answered with yes.
async fn fill(lake: &Lake, maker: &mut Maker) -> Vec<Event> {
    let mut stored = Vec::new();
    for round in 0.. {
        assert!(round < 10_000, "the disk never becomes full");
        let events = maker.events(200);
        match lake.append(events.clone()).await {
            Ok(()) => stored.extend(events),
            Err(LakeError::NoSpace { .. }) => return stored,
            Err(error) => panic!("{error:?}"),
        }
    }
    stored
}

/// Fills the disk but for `free` bytes.
fn load(ballast: &Path, free: u64) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(ballast).unwrap();
    let mut length = 0;
    while file.write_all(&vec![0x5a; 1 << 16]).is_ok() {
        length += 1 << 16;
    }
    file.set_len(length - free).unwrap();
}

async fn fill_and_recover(dir: &Path) {
    let ballast = dir.join("ballast");
    load(&ballast, FREE);
    let lake = Lake::open(config(dir)).await.unwrap();
    let mut maker = Maker::new(21);
    let mut stored = fill(&lake, &mut maker).await;
    assert!(!stored.is_empty());
    assert_eq!(ids(&found(&lake).await), ids(&stored), "what was answered is there");
    assert_eq!(lake.high_water(), crate::support::marks(&stored));

    // No room for the table either: the flush says so, and nothing moves or is lost.
    let refused = lake.flush().await;
    assert!(matches!(refused, Err(LakeError::NoSpace { .. })), "{refused:?}");
    assert_eq!(lake.stats().failed_flushes, 1);
    assert_eq!(ids(&found(&lake).await), ids(&stored));
    let refused = lake.append(Maker::new(23).events(8_000)).await;
    assert!(matches!(refused, Err(LakeError::NoSpace { .. })), "still full: {refused:?}");

    // Space again: appends and flushes work with nothing done by anyone.
    std::fs::remove_file(&ballast).unwrap();
    let more = Maker::new(22).events(50);
    let more: Vec<Event> = more
        .into_iter()
        .map(|mut event| {
            event.id.seq += 1_000_000;
            event
        })
        .collect();
    lake.append(more.clone()).await.unwrap();
    stored.extend(more);
    lake.flush().await.unwrap();
    assert_eq!(lake.stats().failed_flushes, 0);
    assert_eq!(ids(&found(&lake).await), ids(&stored));

    // And once more full, closed in that state, opened in that state.
    load(&ballast, FREE);
    stored.extend(fill(&lake, &mut maker).await);
    drop(lake);
    let lake = Lake::open(config(dir)).await.unwrap();
    assert_eq!(ids(&found(&lake).await), ids(&stored));
    assert_eq!(lake.high_water(), crate::support::marks(&stored));
    std::fs::remove_file(&ballast).unwrap();
    lake.close().await.unwrap();
    drop(lake);
    let lake = Lake::open(config(dir)).await.unwrap();
    assert_eq!(ids(&found(&lake).await), ids(&stored));
    assert_eq!(lake.stats().tail_rows, 0);
}
