//! Files of hosts, looking back and the snapshot, on a catalog in a folder and a history in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, ImportRecord, Place, SightingFilter, SightingRecord};
use metsuke_event::inventory::{Delta, Executable, Format, Item, Stage};
use metsuke_event::{
    Activity, EndpointId, Event, Kind as Class, Process, Timestamp, Value,
    activity::ProcessActivity, field,
};
use metsuke_intel::packs::{Decided, Seen};
use metsuke_intel::{Action, Watchlist, read};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    ChangeError, Events, History, HistoryError, Imported, Indicators, NewIndicator, Order, Wanted,
};

const DAY: i64 = 24 * 3_600 * 1_000_000_000;

/// Activities, given slice by slice; each slice needs a permit.
struct Past {
    events: Vec<Event>,
    slices: Semaphore,
    asked: AtomicUsize,
}

impl Past {
    fn new(events: Vec<Event>, slices: usize) -> Arc<Self> {
        Arc::new(Self { events, slices: Semaphore::new(slices), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl History for Past {
    fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || self.events.iter().map(|event| event.time);
        times().min().zip(times().max())
    }

    async fn scan(
        &self,
        wanted: &Wanted,
        (from, to): (Timestamp, Timestamp),
        each: Events<'_>,
    ) -> Result<bool, HistoryError> {
        if *wanted == Wanted::Unmapped {
            return Ok(true);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.slices.acquire().await.unwrap().forget();
        let within = |event: &&Event| event.time >= from && event.time < to;
        each(self.events.iter().filter(within).cloned().collect());
        Ok(true)
    }
}

fn ran(endpoint: u128, time: Timestamp, hash: &str) -> Event {
    let mut event = Event::empty(Class::ProcessExec);
    event.id.endpoint = EndpointId::from_u128(endpoint);
    event.time = time;
    event.activity = Activity::Process(ProcessActivity::Exec);
    event.process =
        Arc::new(Process { sha256: Some(hash.to_owned().into()), ..Process::default() });
    event
}

/// A name that was asked for.
fn asked(name: &str) -> Event {
    let class = (field::meta::CLASS, Value::Text("dns.query".into()));
    let query = field::by_name("query.hostname").unwrap();
    Event::from_fields([class, (query.id, Value::parse(query.ty, name).unwrap())]).unwrap().0
}

fn hash(n: usize) -> String {
    // The set looks at the first half, as it may of digests.
    format!("{:064x}", (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834))
        .repeat(2)[32..96]
        .to_owned()
}

/// A message with a file for each of `hashes`.
fn files(hashes: impl Iterator<Item = usize>) -> Delta {
    let file = |(at, n): (usize, usize)| {
        Item::Executable(Executable {
            path: format!("/opt/file-{at}"),
            sha256: Some(hash(n)),
            hash_missing: None,
            format: Format::Elf,
            size: 7,
            mode: 0o755,
            uid: 0,
            modified: now(),
            package: None,
            integrity: None,
        })
    };
    let set = hashes.enumerate().map(file).collect();
    Delta {
        base: 0,
        generation: 1,
        stage: Stage::Whole,
        surveys: Vec::new(),
        set,
        removed: Vec::new(),
    }
}

fn origin(action: Action) -> read::Origin {
    read::Origin { source: "feed".into(), action, ..read::Origin::default() }
}

struct World {
    catalog: Catalog,
    indicators: Indicators,
}

impl World {
    /// Runs `work` beside the worker, and waits until both have ended.
    async fn with<T>(folder: &Path, past: Arc<Past>, work: impl AsyncFnOnce(&Self) -> T) -> T {
        Box::pin(Self::run(folder, past, work)).await
    }

    async fn run<T>(folder: &Path, past: Arc<Past>, work: impl AsyncFnOnce(&Self) -> T) -> T {
        let catalog = Catalog::open(&folder.join("catalog.db")).await.unwrap();
        let (indicators, worker) =
            Indicators::open(catalog.clone(), &folder.join("indicators")).await.unwrap();
        let (world, stop) = (Self { catalog, indicators }, CancellationToken::new());
        let work = async {
            let done = work(&world).await;
            stop.cancel();
            done
        };
        tokio::join!(worker.run(past, stop.clone()), work).1
    }

    async fn import(&self, hashes: impl Iterator<Item = usize>) -> Result<Imported, ChangeError> {
        let lines: Vec<String> = hashes.map(hash).collect();
        let order = Order {
            bytes: lines.join("\n").into(),
            format: Some(read::Format::List),
            origin: origin(Action::Alert),
            actor: "ann".to_owned(),
        };
        self.indicators.import(order).await
    }

    async fn allow(&self, n: usize) {
        let new = NewIndicator {
            kind: None,
            value: hash(n),
            origin: read::Origin { source: "ours".into(), ..origin(Action::Allow) },
            note: None,
            actor: "ann".to_owned(),
        };
        self.indicators.add(new).await.unwrap();
    }

    async fn host(&self, name: &str) -> EndpointId {
        let token = self.catalog.create_enrolment_token(now(), "ann", DAY).await.unwrap();
        self.catalog.enrol(now(), &token.secret, name).await.unwrap().unwrap()
    }

    /// How the look back of `import` ended.
    async fn looked(&self, import: i64) -> ImportRecord {
        until(async || {
            let import = self.catalog.import(import).await.unwrap().unwrap();
            (import.state == metsuke_catalog::ImportState::Done).then_some(import)
        })
        .await
    }

    async fn sightings(&self) -> Vec<SightingRecord> {
        self.catalog.sightings(&SightingFilter::default(), 1_000).await.unwrap()
    }
}

async fn until<T>(mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = ready().await {
            return found;
        }
        assert!(Instant::now() < deadline, "what is waited for does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_file_of_a_message_is_met_however_many_there_are_here_and_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    World::with(folder.path(), Past::new(Vec::new(), 0), async |world| {
        world.import(1..=30).await.unwrap();
        // Others told of the same files before; nothing met them yet.
        for name in ["a", "b"] {
            let host = world.host(name).await;
            world.catalog.take_inventory(now(), host, &files(1..=30)).await.unwrap();
        }
        let (host, message) = (world.host("c").await, files((1..=30).chain(100..=130)));
        world.catalog.take_inventory(now(), host, &message).await.unwrap();
        world.indicators.see_inventory(host, &message).await.unwrap();
        let seen = world.sightings().await;
        assert!(seen.iter().all(|one| one.endpoint == host && one.place == Place::Inventory));
        assert_eq!(seen.len(), 30, "more than fit a page: {}", super::hosts::PAGE);
    })
    .await;
}

#[tokio::test]
async fn looking_back_meets_the_newest_files_page_by_page_and_counts_the_others() {
    let folder = tempfile::tempdir().unwrap();
    World::with(folder.path(), Past::new(Vec::new(), 0), async |world| {
        let mut hosts = Vec::new();
        for n in 0..25 {
            let host = world.host(&format!("h{n}")).await;
            world.catalog.take_inventory(now(), host, &files(1..=1)).await.unwrap();
            hosts.push(host);
        }
        let import = world.import(1..=2).await.unwrap().import;
        let told = world.looked(import).await.look;
        assert_eq!((told.sightings, told.hosts), (20, 20), "{told:?}");
        let left = "5 files of hosts, those first seen longest ago, were not met";
        assert!(told.incomplete.as_deref().is_some_and(|why| why.starts_with(left)), "{told:?}");
        let seen = world.sightings().await;
        assert!(hosts[5..].iter().all(|host| seen.iter().any(|one| one.endpoint == *host)));
    })
    .await;
}

#[tokio::test]
async fn what_becomes_known_good_or_goes_while_history_is_read_is_met_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let first = Timestamp::from_millis(1_790_000_000_000);
    let day = |n: i64| first.plus_nanos(n * DAY);
    let events = (0..3).flat_map(|n| (1..=3).map(move |bad| (n, bad)));
    let events = events.map(|(n, bad)| ran(7, day(n), &hash(bad))).collect();
    let past = Past::new(events, 1);
    World::with(folder.path(), Arc::clone(&past), async |world| {
        let import = world.import(1..=3).await.unwrap().import;
        // The first day was read, and the second is being asked for.
        until(async || (past.asked.load(Ordering::SeqCst) == 2).then_some(())).await;
        assert_eq!(world.sightings().await.len(), 3);
        world.allow(1).await;
        let rows = world.catalog.indicators_of(metsuke_intel::Kind::Sha256, &hash(2)).await;
        world.indicators.remove(rows.unwrap()[0].id, "ann").await.unwrap();
        past.slices.add_permits(100);
        let told = world.looked(import).await.look;
        assert_eq!(told.sightings, 5, "three of the first day, one a day then: {told:?}");
        let later = world.sightings().await.into_iter().filter(|one| one.first > first);
        assert!(later.map(|one| one.seen).eq([hash(3), hash(3)]));
    })
    .await;
}

#[tokio::test]
async fn sensors_get_what_holds_and_what_people_decided_exactly() {
    let folder = tempfile::tempdir().unwrap();
    World::with(folder.path(), Past::new(Vec::new(), 0), async |world| {
        world.import(1..=50).await.unwrap();
        world.allow(2).await;
        let block = NewIndicator {
            kind: None,
            value: "blocked.example".to_owned(),
            origin: read::Origin { source: "ours".into(), ..origin(Action::Block) },
            note: None,
            actor: "ann".to_owned(),
        };
        let blocked = world.indicators.add(block).await.unwrap();
        let mut packs = world.indicators.packs();
        let list = || {
            let now = Arc::clone(&packs.borrow());
            let (filter, decided) = (now.filter.as_ref()?, now.decided.as_ref()?);
            let list = Watchlist::default().with_filter(&filter.bytes).unwrap();
            Some((list.with_decided(&decided.bytes).unwrap(), now))
        };
        let (list, first) = until(async || {
            let (list, packs) = list()?;
            list.see(&asked("www.blocked.example"), now()).blocked.then_some((list, packs))
        })
        .await;
        let seen = |n| list.see(&ran(1, now(), &hash(n)), now());
        assert!((1..=50).all(|n| seen(n) == Seen { blocked: false, perhaps: n != 2 }));
        assert!(!seen(51).perhaps && !list.see(&asked("notblocked.example"), now()).perhaps);
        world.indicators.remove(blocked.id, "ann").await.unwrap();
        until(async || (packs.borrow_and_update().decided != first.decided).then_some(())).await;
        let left: Decided =
            serde_json::from_slice(&packs.borrow().decided.as_ref().unwrap().bytes).unwrap();
        assert!(left.entries.iter().map(|one| &one.value).eq([&hash(2)]), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn a_set_that_fell_behind_the_catalog_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let open =
        async || Indicators::open(catalog.clone(), &folder.path().join("sets")).await.unwrap();
    let (indicators, mut worker) = open().await;
    let document = (0..40_000).map(hash).collect::<Vec<_>>().join("\n");
    let order = Order {
        bytes: document.into(),
        format: Some(read::Format::List),
        origin: origin(Action::Alert),
        actor: "ann".to_owned(),
    };
    // The server stops while a document is half taken: its first rows are there, its last are not.
    let stop = CancellationToken::new();
    let half = async {
        let some = async || (catalog.indicator_count().await.unwrap() > 0).then_some(());
        until(some).await;
        stop.cancel();
    };
    let (broke, ()) = tokio::join!(worker.import(order, &stop), half);
    assert!(matches!(broke, Err(ChangeError::Stopping)), "{broke:?}");
    worker.write_snapshot().await;
    let held = catalog.indicator_count().await.unwrap();
    assert!(held > 0 && held < 40_000, "{held}");
    assert_eq!(indicators.set().len(), 0, "it fell behind");
    let (next, _worker) = open().await;
    assert_eq!(next.set().len() as u64, held, "the next start has what the catalog has");
}
