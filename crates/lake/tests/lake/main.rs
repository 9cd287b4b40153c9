//! The lake by its public face: store, search, flush, reopen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod damage;
mod full_disk;
mod kill;
mod paging;
mod support;

use metsuke_event::field::by_name;
use metsuke_event::{EndpointId, Timestamp};
use metsuke_lake::{Lake, LakeConfig, Order, SearchRequest, TimeRange, parse};
use support::{Maker, config, ids};

fn ask(query: &str) -> SearchRequest {
    SearchRequest { limit: 10_000, ..SearchRequest::new(parse(query).unwrap()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_finds_flushes_and_finds_again() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let events = Maker::new(1).events(500);
    lake.append(events[..250].to_vec()).await.unwrap();
    assert_eq!(ids(&lake.search(ask("")).await.unwrap().events), ids(&events[..250]));

    let report = lake.flush().await.unwrap();
    assert_eq!(report.rows, 250);
    lake.append(events[250..].to_vec()).await.unwrap();
    let answer = lake.search(ask("")).await.unwrap();
    assert_eq!(ids(&answer.events), ids(&events), "table and tail together");
    assert_eq!(answer.scanned_rows, 500);
    assert!(answer.complete);

    let mut found = answer.events;
    found.sort_by_key(|event| event.id);
    let mut wanted = events.clone();
    wanted.sort_by_key(|event| event.id);
    assert_eq!(found, wanted, "what comes out equals what went in");

    lake.close().await.unwrap();
    drop(lake);
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert_eq!(ids(&lake.search(ask("")).await.unwrap().events), ids(&events));
    assert_eq!(lake.high_water(), support::marks(&events));
    assert_eq!(lake.stats().tail_rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unflushed_lake_comes_back_from_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let events = Maker::new(2).events(300);
    {
        let lake = Lake::open(config(dir.path())).await.unwrap();
        for chunk in events.chunks(7) {
            lake.append(chunk.to_vec()).await.unwrap();
        }
    }
    let lake = Lake::open(config(dir.path())).await.unwrap();
    assert_eq!(lake.stats().tail_rows, 300);
    assert_eq!(ids(&lake.search(ask("")).await.unwrap().events), ids(&events));
    assert_eq!(lake.high_water(), support::marks(&events));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_may_have_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let second = Lake::open(config(dir.path())).await;
    assert!(matches!(second, Err(metsuke_lake::LakeError::InUse { .. })), "{second:?}");
    drop(lake);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_to_the_whole_in_both_orders() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let events = Maker::new(3).events(400);
    lake.append(events[..200].to_vec()).await.unwrap();
    lake.flush().await.unwrap();
    lake.append(events[200..].to_vec()).await.unwrap();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut wanted = events.clone();
        wanted.sort_by_key(|event| (event.time, event.id));
        if order == Order::NewestFirst {
            wanted.reverse();
        }
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let request = SearchRequest { limit: 37, cursor, order, ..ask("") };
            let answer = lake.search(request).await.unwrap();
            assert!(answer.events.len() <= 37);
            found.extend(answer.events);
            match answer.next {
                Some(next) => cursor = Some(next.to_string().parse().unwrap()),
                None => break,
            }
            if found.len() == 37 * 3 {
                lake.flush().await.unwrap();
            }
        }
        assert_eq!(found, wanted, "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_agree_with_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let events = Maker::new(4).events(300);
    lake.append(events[..100].to_vec()).await.unwrap();
    lake.flush().await.unwrap();
    lake.append(events[100..].to_vec()).await.unwrap();
    let class = by_name("class").unwrap().id;
    let pid = by_name("process.pid").unwrap().id;
    let request = SearchRequest {
        histogram_buckets: 13,
        facets: vec![class, pid],
        limit: 5,
        ..ask("class:process.*")
    };
    let answer = lake.search(request).await.unwrap();
    let wanted: Vec<_> =
        events.iter().filter(|e| e.activity.kind().name().starts_with("process.")).collect();
    assert_eq!(answer.total, Some(wanted.len() as u64));
    assert_eq!(answer.histogram.iter().map(|b| b.count).sum::<u64>(), wanted.len() as u64);
    for bucket in &answer.histogram {
        let range = TimeRange { from: bucket.from, to: bucket.to };
        let inside = wanted.iter().filter(|e| range.contains(e.time)).count() as u64;
        assert_eq!(bucket.count, inside, "{bucket:?}");
    }
    let execs = wanted.iter().filter(|e| e.activity.kind().name() == "process.exec").count();
    let facet = &answer.facets[0];
    let found = facet.values.iter().find(|v| v.value == "process.exec").map(|v| v.count);
    assert_eq!(found, Some(execs as u64));
    assert_eq!(answer.facets[1].field, pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_questions_and_completion() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let events = Maker::new(5).events(400);
    lake.append(events[..200].to_vec()).await.unwrap();
    lake.flush().await.unwrap();
    lake.append(events[200..].to_vec()).await.unwrap();

    let one = &events[123];
    let uid = one.process.uid.clone().unwrap();
    let got = lake.by_process(one.id.endpoint, &uid, TimeRange::ALL).await.unwrap();
    let wanted: Vec<_> = events
        .iter()
        .filter(|e| e.id.endpoint == one.id.endpoint && e.process.uid.as_ref() == Some(&uid))
        .cloned()
        .collect();
    assert_eq!(ids(&got.events), ids(&wanted));

    let storyline = one.process.storyline.clone().unwrap();
    let got = lake.process_events(one.id.endpoint, &storyline, TimeRange::ALL).await.unwrap();
    let is = |value: &Option<metsuke_event::Text>| value.as_ref() == Some(&storyline);
    let wanted: Vec<_> = events
        .iter()
        .filter(|e| {
            let p = &e.process;
            e.id.endpoint == one.id.endpoint
                && (is(&p.uid) || is(&p.parent_uid) || is(&p.storyline))
        })
        .cloned()
        .collect();
    assert_eq!(ids(&got.events), ids(&wanted));
    assert!(got.events.windows(2).all(|pair| pair[0].time <= pair[1].time));

    let mut wanted: Vec<_> = events
        .iter()
        .filter(|e| e.id.endpoint == one.id.endpoint && e.id.boot == one.id.boot)
        .filter(|e| e.id.seq > one.id.seq)
        .cloned()
        .collect();
    wanted.sort_by_key(|e| e.id.seq);
    let after = lake.events_after(one.id.endpoint, one.id.boot, one.id.seq, 10_000).await.unwrap();
    assert_eq!(after, wanted);

    let exe = by_name("process.file.path").unwrap().id;
    let values = lake.field_values(exe, "/USR/bin/c", 10).await.unwrap();
    assert!(values.iter().any(|v| v.value == "/usr/bin/curl"), "{values:?}");
    assert!(values.iter().all(|v| v.value.starts_with("/usr/bin/c")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sensors_lost_accompanies_answers_also_after_a_restart() {
    use metsuke_event::{Activity, Event, Health, Kind};
    let dir = tempfile::tempdir().unwrap();
    let from = Timestamp::from_millis(1_000_000);
    let mut event = Event::empty(Kind::SensorHealth);
    event.id.endpoint = EndpointId::from_u128(7);
    event.id.seq = 1;
    event.time = Timestamp::from_millis(3_000_000);
    event.activity = Activity::Health(Health {
        part: Some("probe.ring".into()),
        reason: Some("queue_full".into()),
        lost: Some(17),
        from: Some(from),
        to: Some(Timestamp::from_millis(2_000_000)),
        ..Health::default()
    });
    {
        let lake = Lake::open(config(dir.path())).await.unwrap();
        lake.append(vec![event]).await.unwrap();
        assert_eq!(lake.loss(TimeRange::ALL).len(), 1);
        lake.close().await.unwrap();
    }
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let range = TimeRange { from, to: from.plus_nanos(1) };
    let answer = lake.search(SearchRequest { range, ..ask("cmd:nothing") }).await.unwrap();
    assert_eq!(answer.loss.len(), 1);
    assert_eq!(answer.loss[0].lost, Some(17));
    assert_eq!(answer.loss[0].reason, "queue_full");
    let elsewhere = TimeRange { from: Timestamp::from_millis(2_000_000), to: TimeRange::ALL.to };
    assert!(lake.loss(elsewhere).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_moves_by_itself_when_it_is_large() {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { flush_bytes: 1, ..config(dir.path()) };
    let lake = Lake::open(config).await.unwrap();
    lake.append(Maker::new(6).events(50)).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while lake.stats().table_rows < 50 {
        assert!(std::time::Instant::now() < deadline, "{:?}", lake.stats());
        tokio::task::yield_now().await;
    }
    assert_eq!(lake.stats().tail_rows, 0);
    assert_eq!(lake.stats().wal_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_waiting_is_refused_until_it_is_moved() {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { max_tail_bytes: 1, ..config(dir.path()) };
    let lake = Lake::open(config).await.unwrap();
    let mut maker = Maker::new(8);
    let mut stored = maker.events(10);
    lake.append(stored.clone()).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let more = maker.events(10);
    let mut refused = 0;
    loop {
        // The refusal itself sets the move going.
        match lake.append(more.clone()).await {
            Ok(()) => break,
            Err(metsuke_lake::LakeError::Backlog { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert!(refused > 0);
    stored.extend(more);
    assert_eq!(ids(&lake.search(ask("")).await.unwrap().events), ids(&stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_lake_takes_nothing_and_still_answers() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let mut maker = Maker::new(9);
    let events = maker.events(10);
    lake.append(events.clone()).await.unwrap();
    lake.close().await.unwrap();
    let refused = lake.append(maker.events(1)).await;
    assert!(matches!(refused, Err(metsuke_lake::LakeError::Closed)), "{refused:?}");
    assert_eq!(ids(&lake.search(ask("")).await.unwrap().events), ids(&events));
}
