//! Pages and what is read for them: whole together, and no more than needed.

use std::sync::Arc;

use metsuke_event::{Event, Process, Timestamp};
use metsuke_lake::{Cursor, Lake, Order, SearchAnswer, SearchRequest, TimeRange, parse};
use proptest::prelude::*;

use crate::support::{Maker, config, ids};

const START: i64 = 1_790_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// An answer page by page; `between` happens after each page.
async fn paged(
    lake: &Lake,
    request: &SearchRequest,
    mut between: impl AsyncFnMut(&Lake),
) -> Vec<Event> {
    let mut found = Vec::new();
    let mut request = request.clone();
    loop {
        let answer = lake.search(request.clone()).await.unwrap();
        found.extend(answer.events);
        let Some(next) = answer.next else { return found };
        // As text and back: what a client carries.
        request.cursor = Some(next.to_string().parse::<Cursor>().unwrap());
        between(lake).await;
    }
}

fn in_order(mut events: Vec<Event>, order: Order) -> Vec<Event> {
    events.sort_by_key(|event| (event.time, event.id));
    if order == Order::NewestFirst {
        events.reverse();
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn pages_together_are_the_answer(
        seed in 1_u64..1_000_000,
        // How many events each flush moves, and how many different times they have.
        files in prop::collection::vec((1_usize..60, 1_u64..40), 0..4),
        tail in 1_usize..60,
        limit in 8_usize..60,
        newest in any::<bool>(),
        (from, length) in (0_i64..40, 1_i64..60),
        query in prop::sample::select(vec!["", "pid:<9", "NOT user:root", "class:file.*"]),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let lake = Lake::open(config(dir.path())).await.unwrap();
            let mut maker = Maker::new(seed);
            // Few different times, so that pages end among events of the same time.
            let mut some = |count: usize, times: u64| -> Vec<Event> {
                let mut events = maker.events(count);
                for event in &mut events {
                    let at = i64::try_from(maker.below(times)).unwrap();
                    event.time = Timestamp::from_nanos(START + at * SECOND);
                }
                events
            };
            let mut before = Vec::new();
            for (count, times) in files {
                let events = some(count, times);
                lake.append(events.clone()).await.unwrap();
                lake.flush().await.unwrap();
                before.extend(events);
            }
            let events = some(tail, 40);
            lake.append(events.clone()).await.unwrap();
            before.extend(events);

            let order = if newest { Order::NewestFirst } else { Order::OldestFirst };
            let at = |second: i64| Timestamp::from_nanos(START + second * SECOND);
            for range in [TimeRange::ALL, TimeRange { from: at(from), to: at(from + length) }] {
                let query = parse(query).unwrap();
                let wanted: Vec<Event> = before
                    .iter()
                    .filter(|event| range.contains(event.time) && query.matches(event))
                    .cloned()
                    .collect();
                let request = SearchRequest { limit, range, order, ..SearchRequest::new(query) };
                let found = paged(&lake, &request, async |_| {}).await;
                assert_eq!(found, in_order(wanted.clone(), order));

                // Events arrive and move between the pages: what was there is given once.
                let mut arriving = Vec::new();
                let found = paged(&lake, &request, async |lake| {
                    let events = some(3, 40);
                    arriving.extend(events.clone());
                    lake.append(events).await.unwrap();
                    if arriving.len() % 2 == 0 {
                        lake.flush().await.unwrap();
                    }
                })
                .await;
                assert_eq!(found, in_order(found.clone(), order));
                let old = ids(&before);
                let (kept, new): (Vec<Event>, Vec<Event>) =
                    found.into_iter().partition(|event| old.contains(&event.id));
                assert_eq!(kept, in_order(wanted, order));
                assert!(ids(&new).is_subset(&ids(&arriving)));
                before.extend(arriving);
            }
        });
    }
}

/// Ten files of 300 events each, one after another in time, and a tail.
async fn history(lake: &Lake) -> Vec<Event> {
    let mut maker = Maker::new(5);
    let mut all = Vec::new();
    for minute in 0..11 {
        let mut events = maker.events(300);
        for (event, second) in events.iter_mut().zip(0..) {
            event.time = Timestamp::from_nanos(START + (minute * 300 + second) * SECOND);
            // Hashes of every value: their smallest and greatest refute nothing.
            let hash = format!("{:016x}", maker.below(u64::MAX)).repeat(4);
            event.process =
                Arc::new(Process { sha256: Some(hash.into()), ..Process::clone(&event.process) });
        }
        lake.append(events.clone()).await.unwrap();
        if minute < 10 {
            lake.flush().await.unwrap();
        }
        all.extend(events);
    }
    all
}

async fn ask(lake: &Lake, query: &str) -> SearchAnswer {
    lake.search(SearchRequest::new(parse(query).unwrap())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_is_not_looked_for_in_every_row() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let mut events = Maker::new(3).events(1);
    let hash = "5eed".repeat(16);
    events[0].process = Arc::new(Process {
        sha256: Some(hash.as_str().into()),
        ..Process::clone(&events[0].process)
    });
    lake.append(events).await.unwrap();
    lake.flush().await.unwrap();
    history(&lake).await;
    lake.flush().await.unwrap();

    let absent = "7777456789abcdef".repeat(4);
    for query in [format!("sha256:{absent}"), absent.clone(), format!("{absent} pid:>3")] {
        let answer = ask(&lake, &query).await;
        assert_eq!((answer.events.len(), answer.scanned_rows), (0, 0), "{query}");
    }
    for query in [format!("sha256:{hash}"), hash.clone(), format!("sha256:({absent} OR {hash})")] {
        let answer = ask(&lake, &query).await;
        assert_eq!(answer.events.len(), 1, "{query}");
        assert!(answer.scanned_rows < 700, "{query}: {}", answer.scanned_rows);
    }
    // What no filter can refute is looked for everywhere, and the figure says so.
    let answer = ask(&lake, &format!("sha256:{absent} OR cmd:kagemusha")).await;
    assert_eq!((answer.events.len(), answer.scanned_rows), (0, 3_301));
    let answer = ask(&lake, &format!("NOT sha256:{absent}")).await;
    assert_eq!(answer.events.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_time_reads_only_what_touches_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let events = history(&lake).await;
    let at = |second: i64| Timestamp::from_nanos(START + second * SECOND);
    let range = TimeRange { from: at(1_000), to: at(1_020) };
    let request = SearchRequest { range, ..SearchRequest::new(parse("").unwrap()) };
    for request in [request.clone(), SearchRequest { histogram_buckets: 4, ..request }] {
        let answer = lake.search(request).await.unwrap();
        assert_eq!(ids(&answer.events), ids(&events[1_000..1_020]));
        assert!(answer.scanned_rows <= 300, "one file of eleven: {}", answer.scanned_rows);
    }
    let nowhen = TimeRange { from: at(90_000), to: at(90_010) };
    let request = SearchRequest { range: nowhen, ..SearchRequest::new(parse("").unwrap()) };
    assert_eq!(lake.search(request).await.unwrap().scanned_rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_stops_when_it_is_full() {
    const FILE: i64 = 10_000;
    const FILES: i64 = 7;
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(config(dir.path())).await.unwrap();
    let mut maker = Maker::new(8);
    for file in 0..FILES {
        let mut events = maker.events(usize::try_from(FILE).unwrap());
        for (event, second) in events.iter_mut().zip(0..) {
            event.time = Timestamp::from_nanos(START + (file * FILE + second) * SECOND);
        }
        lake.append(events).await.unwrap();
        lake.flush().await.unwrap();
    }
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut request =
            SearchRequest { limit: 2_500, order, ..SearchRequest::new(parse("").unwrap()) };
        for page in 0..6 {
            let answer = lake.search(request.clone()).await.unwrap();
            assert_eq!(answer.events.len(), 2_500);
            // A page that ends or begins where one file meets the next may look at four times as
            // much in its second round: how much of that is read before the first file has filled
            // the page is a matter of time.
            let most = if matches!(page, 3 | 4) { 5 * FILE } else { FILE };
            assert!(answer.scanned_rows <= most.cast_unsigned(), "{page}: {}", answer.scanned_rows);
            request.cursor = answer.next;
        }
    }
}
