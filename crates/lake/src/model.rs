//! The lake against a model that cannot forget: a plain list. Random histories of appends,
//! flushes, crashes at each step of a flush, torn and garbled ends of the log, reopenings.

use std::io::Write as _;
use std::path::Path;

use metsuke_event::Event;
use proptest::prelude::*;

use crate::frame::prepare;
use crate::lake::Step;
use crate::support::{Maker, config, ids, marks};
use crate::{Lake, Order, SearchRequest, TimeRange, codec, parse};

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Flush,
    FlushAndCrash(Step),
    /// The flush fails, and the same process goes on.
    FlushAndFail(Step),
    Reopen,
    Close,
    /// A crash in the middle of writing a frame: this many bytes of it reach the disk.
    TornWrite(usize),
    /// A crash that leaves rubbish behind the last frame.
    Rubbish(Vec<u8>),
    Ask(usize, usize, Order),
}

fn act() -> impl Strategy<Value = Act> {
    let step = prop::sample::select(vec![
        Step::Sealed,
        Step::PartsWritten,
        Step::MarksWritten,
        Step::Committed,
        Step::Switched,
    ]);
    let order = prop::sample::select(vec![Order::NewestFirst, Order::OldestFirst]);
    prop_oneof![
        6 => (1_usize..40).prop_map(Act::Append),
        2 => Just(Act::Flush),
        4 => step.clone().prop_map(Act::FlushAndCrash),
        4 => step.prop_map(Act::FlushAndFail),
        1 => Just(Act::Reopen),
        1 => Just(Act::Close),
        2 => (0_usize..2_000).prop_map(Act::TornWrite),
        1 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Act::Rubbish),
        4 => (0_usize..QUERIES.len(), 1_usize..60, order)
            .prop_map(|(query, limit, order)| Act::Ask(query, limit, order)),
    ]
}

const QUERIES: [&str; 16] = [
    "",
    "pid:7",
    "NOT pid:[3 TO 9]",
    "exe:/USR/bin/curl OR cmd:payload",
    "実行 class:process.*",
    "process.capabilities:>9223372036854775807",
    "process.capabilities:<=9223372036854775807",
    "process.capabilities:[10 TO 18446744073709551615}",
    "sha256:(0000000000000000000000000000000000000000000000000000000000000003 OR \
     0000000000000000000000000000000000000000000000000000000000000005)",
    "ip:10.0.1.0/24 OR ip:fe80::/16",
    "NOT (cmd:* OR user:root)",
    "process.exit_code:<0 Initiated:(true OR false)",
    "process.exit_code:>=-1 NOT host:HOST-2",
    "NOT file.hash.sha256:* NOT NOT file.path:*file1?.TXT",
    "ip:[10.0.1.7 TO 10.0.2.9]",
    "time:{2026-09-21T14:13:20Z TO *] user:al*",
];

fn last_segment(dir: &Path) -> Option<std::path::PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(dir.join("lake/wal")).ok()?.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.pop()
}

fn append_bytes(dir: &Path, bytes: &[u8]) {
    if let Some(path) = last_segment(dir) {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }
}

struct World {
    dir: tempfile::TempDir,
    lake: Option<Lake>,
    maker: Maker,
    events: Vec<Event>,
}

impl World {
    fn lake(&self) -> &Lake {
        self.lake.as_ref().unwrap()
    }

    async fn reopen(&mut self) {
        self.lake = None;
        self.lake = Some(Lake::open(config(self.dir.path())).await.unwrap());
        self.check_all().await;
    }

    /// Everything is there once, equal to what was stored, and the marks are exact.
    async fn check_all(&self) {
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let request =
                SearchRequest { limit: 5_000, cursor, ..SearchRequest::new(parse("").unwrap()) };
            let answer = self.lake().search(request).await.unwrap();
            found.extend(answer.events);
            cursor = answer.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(ids(&found), ids(&self.events), "nothing lost, nothing doubled");
        let mut wanted = self.events.clone();
        wanted.sort_by_key(|event| std::cmp::Reverse((event.time, event.id)));
        assert_eq!(found, wanted);
        assert_eq!(self.lake().high_water(), marks(&self.events));
    }

    async fn ask(&self, query: &str, limit: usize, order: Order) {
        let query = parse(query).unwrap();
        let mut wanted: Vec<Event> =
            self.events.iter().filter(|event| query.matches(event)).cloned().collect();
        wanted.sort_by_key(|event| (event.time, event.id));
        if order == Order::NewestFirst {
            wanted.reverse();
        }
        let total = wanted.len() as u64;
        wanted.truncate(limit);
        let text = query.text.clone();
        let request = SearchRequest {
            limit,
            order,
            histogram_buckets: 3,
            range: TimeRange::ALL,
            ..SearchRequest::new(query)
        };
        let answer = self.lake().search(request).await.unwrap();
        assert_eq!(answer.events, wanted, "{text}");
        assert_eq!(answer.total, Some(total), "{text}");
        assert_eq!(answer.histogram.iter().map(|bucket| bucket.count).sum::<u64>(), total);
        assert!(answer.complete);
    }

    async fn fail_to_flush(&self, step: Step) {
        let had_rows = self.lake().stats().tail_rows > 0;
        *self.lake().inner.crash_at.lock().unwrap() = Some(step);
        let in_doubt = self.lake().inner.table.lock().await.in_doubt();
        let result = self.lake().flush().await;
        // Rows that are found to be in the table already need no further step.
        let settled = in_doubt && self.lake().stats().tail_rows == 0;
        assert_eq!(result.is_err(), (had_rows && !settled) || step == Step::Sealed);
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Append(count) => {
                let events = self.maker.events(count);
                self.lake().append(events.clone()).await.unwrap();
                self.events.extend(events);
            }
            Act::Flush => {
                self.lake().flush().await.unwrap();
                assert_eq!(self.lake().stats().tail_rows, 0);
            }
            Act::FlushAndCrash(step) => {
                self.fail_to_flush(step).await;
                self.reopen().await;
            }
            Act::FlushAndFail(step) => {
                self.fail_to_flush(step).await;
                *self.lake().inner.crash_at.lock().unwrap() = None;
                self.check_all().await;
            }
            Act::Reopen => self.reopen().await,
            Act::Close => {
                self.lake().close().await.unwrap();
                self.reopen().await;
                assert_eq!(self.lake().stats().tail_rows, 0);
            }
            Act::TornWrite(bytes) => {
                // Events that were never answered, and so are not in the model.
                let events = Maker::new(99).events(30);
                let mut frame = Vec::new();
                let number = last_segment(self.dir.path())
                    .and_then(|path| path.file_stem()?.to_str()?.parse().ok());
                self.lake = None;
                if let Some(number) = number {
                    prepare(codec::encode(&events).unwrap())
                        .unwrap()
                        .write_to(&mut frame, number, 9);
                    append_bytes(self.dir.path(), &frame[..bytes.min(frame.len() - 1)]);
                }
                self.reopen().await;
            }
            Act::Rubbish(bytes) => {
                self.lake = None;
                append_bytes(self.dir.path(), &bytes);
                self.reopen().await;
            }
            Act::Ask(query, limit, order) => self.ask(QUERIES[query], limit, order).await,
        }
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_history_loses_or_doubles(seed in 1_u64..1_000_000, acts in prop::collection::vec(act(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let lake = Some(Lake::open(config(dir.path())).await.unwrap());
            let mut world = World { dir, lake, maker: Maker::new(seed), events: Vec::new() };
            for act in acts {
                world.act(act).await;
            }
            world.check_all().await;
        });
    }
}

/// Every query of the list against table and tail at once: the store means what the language says.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_means_what_the_language_says() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Some(Lake::open(config(dir.path())).await.unwrap());
    let mut world = World { dir, lake, maker: Maker::new(7), events: Vec::new() };
    world.act(Act::Append(300)).await;
    world.act(Act::Flush).await;
    world.act(Act::Append(300)).await;
    for query in QUERIES {
        let parsed = parse(query).unwrap();
        let hits = world.events.iter().filter(|event| parsed.matches(event)).count();
        assert!(hits > 0, "{query} finds nothing and so tests nothing");
        assert!(query.is_empty() || hits < 600, "{query} finds everything");
        world.ask(query, 1_000, Order::NewestFirst).await;
    }
}

/// A flush that failed behind its commit is finished by the next one, not done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_failed_late_doubles_nothing_when_it_is_tried_again() {
    for arrives_between in [0, 25] {
        let dir = tempfile::tempdir().unwrap();
        let lake = Some(Lake::open(config(dir.path())).await.unwrap());
        let mut world = World { dir, lake, maker: Maker::new(11), events: Vec::new() };
        world.act(Act::Append(40)).await;
        world.act(Act::FlushAndFail(Step::Committed)).await;
        assert_eq!(world.lake().stats().failed_flushes, 1);
        if arrives_between > 0 {
            world.act(Act::Append(arrives_between)).await;
        }
        let report = world.lake().flush().await.unwrap();
        assert_eq!(report.rows, 40 + arrives_between as u64);
        world.check_all().await;
        let stats = world.lake().stats();
        assert_eq!((stats.table_rows, stats.tail_rows), (report.rows, 0));
        assert_eq!((stats.table_bytes, stats.failed_flushes), (report.bytes, 0));
        assert_eq!(last_segment(world.dir.path()), None, "the log's segments are gone");
        world.act(Act::Append(9)).await;
        world.act(Act::Flush).await;
        world.check_all().await;
        world.reopen().await;
    }
}
