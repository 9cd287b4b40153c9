//! Damaged files cost what they held, say so, and nothing else suffers.

use std::path::{Path, PathBuf};

use metsuke_event::{Event, Timestamp};
use metsuke_lake::{Lake, SearchRequest, TimeRange, parse};

use crate::support::{Maker, config, ids};

async fn all(lake: &Lake) -> metsuke_lake::SearchAnswer {
    let query = parse("").unwrap();
    lake.search(SearchRequest { limit: 10_000, ..SearchRequest::new(query) }).await.unwrap()
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("_delta_log") {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Three appends, each one frame, in one segment; gives the events and where the frames begin.
async fn three_frames(dir: &Path) -> (Vec<Vec<Event>>, PathBuf, Vec<usize>) {
    let lake = Lake::open(config(dir)).await.unwrap();
    let mut maker = Maker::new(11);
    let groups: Vec<Vec<Event>> = (0..3).map(|_| maker.events(20)).collect();
    for group in &groups {
        lake.append(group.clone()).await.unwrap();
    }
    drop(lake);
    let segment = files(&dir.join("lake/wal"), "seg").pop().unwrap();
    let bytes = std::fs::read(&segment).unwrap();
    let starts = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, window)| *window == b"MTKF\x01\x02")
        .map(|(at, _)| at)
        .collect::<Vec<_>>();
    assert_eq!(starts.len(), 3);
    (groups, segment, starts)
}

fn overwrite(path: &Path, at: usize, with: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_segment_costs_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (groups, segment, starts) = three_frames(dir.path()).await;
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(starts[2] as u64 + 100).unwrap();

    let lake = Lake::open(config(dir.path())).await.unwrap();
    let kept = groups[..2].concat();
    let answer = all(&lake).await;
    assert_eq!(ids(&answer.events), ids(&kept));
    assert_eq!(answer.loss.len(), 1, "{:?}", answer.loss);
    assert_eq!(answer.loss[0].reason, "segment_torn");
    assert_eq!(answer.loss[0].lost, None, "nobody can know whether it had been answered");
    let (first, last) = bounds(&groups[2]);
    assert!(answer.loss[0].from <= first && last < answer.loss[0].to);

    // It stays said, once, and the damaged segment is kept for people.
    lake.flush().await.unwrap();
    drop(lake);
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert_eq!(ids(&all(&lake).await.events), ids(&kept));
    assert_eq!(lake.loss(TimeRange::ALL).len(), 1);
    assert_eq!(files(&dir.path().join("lake/quarantine"), "seg").len(), 1);
}

fn bounds(events: &[Event]) -> (Timestamp, Timestamp) {
    let times = || events.iter().map(|event| event.time);
    (times().min().unwrap(), times().max().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_log_costs_one_frame_and_says_how_much() {
    let dir = tempfile::tempdir().unwrap();
    let (groups, segment, starts) = three_frames(dir.path()).await;
    overwrite(&segment, starts[1] + 64 + 30, &[0x55]);

    let lake = Lake::open(config(dir.path())).await.unwrap();
    let answer = all(&lake).await;
    assert_eq!(ids(&answer.events), ids(&[groups[0].clone(), groups[2].clone()].concat()));
    assert_eq!(answer.loss.len(), 1, "{:?}", answer.loss);
    assert_eq!(answer.loss[0].reason, "segment_corrupt");
    assert_eq!(answer.loss[0].lost, Some(20));
    let (first, last) = bounds(&groups[1]);
    assert_eq!(answer.loss[0].from, first);
    assert!(last < answer.loss[0].to);
    // Opening again before the flush states it no second time.
    drop(lake);
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert_eq!(lake.loss(TimeRange::ALL).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_header_and_a_broken_schema_cost_no_more_than_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let (groups, segment, starts) = three_frames(dir.path()).await;
    overwrite(&segment, starts[1] + 20, &[1, 2, 3, 4]);
    overwrite(&segment, 64 + 8, &[0xff; 8]);

    let lake = Lake::open(config(dir.path())).await.unwrap();
    let answer = all(&lake).await;
    assert_eq!(ids(&answer.events), ids(&[groups[0].clone(), groups[2].clone()].concat()));
    assert!(answer.loss.iter().all(|loss| loss.reason == "segment_corrupt" && loss.lost.is_none()));
    assert!(!answer.loss.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_parquet_file_is_set_aside_and_the_rest_served() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("parquet_corrupt", |path| {
            let length = usize::try_from(std::fs::metadata(path).unwrap().len()).unwrap();
            overwrite(path, 4, &vec![0xff; length / 2]);
        }),
        ("parquet_corrupt", |path| {
            let length = usize::try_from(std::fs::metadata(path).unwrap().len()).unwrap();
            overwrite(path, length - 300, &[0x77; 200]);
        }),
        ("parquet_corrupt", |path| {
            std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1_000).unwrap();
        }),
        ("parquet_missing", |path| std::fs::remove_file(path).unwrap()),
    ];
    for (number, (reason, harm)) in harms.into_iter().enumerate() {
        for reopen in [false, true] {
            harmed(number, reason, harm, reopen).await;
        }
    }
}

async fn harmed(number: usize, reason: &str, harm: fn(&Path), reopen: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open(config(dir.path())).await.unwrap();
    let mut maker = Maker::new(12);
    let (mut bad, good) = (maker.events(50), maker.events(50));
    for event in &mut bad {
        // One day, so one file.
        event.received = Some(event.time);
    }
    lake.append(bad.clone()).await.unwrap();
    lake.flush().await.unwrap();
    let path = files(&dir.path().join("lake/table"), "parquet").pop().unwrap();
    lake.append(good.clone()).await.unwrap();
    lake.flush().await.unwrap();
    harm(&path);
    if reopen {
        drop(lake);
        lake = Lake::open(config(dir.path())).await.unwrap();
    }
    let answer = all(&lake).await;
    assert_eq!(ids(&answer.events), ids(&good), "harm {number}, reopened {reopen}");
    assert_eq!(answer.loss.len(), 1, "harm {number}: {:?}", answer.loss);
    assert_eq!((&*answer.loss[0].reason, answer.loss[0].lost), (reason, Some(50)));
    let (first, last) = bounds(&bad);
    assert!(answer.loss[0].from == first && last < answer.loss[0].to);
    assert_eq!(answer.complete, reopen, "the search that met it says so");
    let kept = files(&dir.path().join("lake/quarantine"), "parquet").len();
    assert_eq!(kept, usize::from(reason != "parquet_missing"));

    // The table has forgotten it, and the loss has not been.
    drop(lake);
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let answer = all(&lake).await;
    assert_eq!(ids(&answer.events), ids(&good));
    assert!(answer.complete && answer.loss.len() == 1);
    lake.append(maker.events(5)).await.unwrap();
    lake.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_high_water_marks_are_read_from_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let events = Maker::new(13).events(80);
    lake.append(events.clone()).await.unwrap();
    lake.close().await.unwrap();
    drop(lake);
    let states = files(&dir.path().join("lake/state"), "json");
    assert_eq!(states.len(), 1);
    std::fs::write(&states[0], "{ half of").unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert_eq!(lake.high_water(), crate::support::marks(&events));
}
