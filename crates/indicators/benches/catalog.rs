//! Ten million indicators through the catalog: taking documents in, the set in force, a restart with and
//! without its snapshot, look-ups, and what people do with the list.
//!
//! `cargo bench -p metsuke-indicators`, or `./x bench indicators`. Everything is made up from a counter.
//! Wall time, since the database waits for the disk; memory is what the kernel says of the process.
//! `METSUKE_BENCH_INDICATORS` sets another number, `METSUKE_BENCH_FOLDER` another place for the catalog
//! (about 6 GB at ten million).

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "figures are shown rounded")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, ImportState, IndicatorFilter};
use metsuke_event::Timestamp;
use metsuke_indicators::{Events, History, HistoryError, Indicators, NewIndicator, Order, Wanted};
use metsuke_intel::{Action, Kind, Matcher, read};
use tokio_util::sync::CancellationToken;

/// Values of one document: what 64 MiB, the largest that is taken, hold of hashes.
const DOCUMENT: u64 = 1_000_000;
/// Look-ups of one measurement.
const LOOK_UPS: u64 = 1_000_000;
/// Single changes of one measurement.
const CHANGES: u32 = 20;

/// A history in which nothing happened: what is measured is the indicators.
struct Nothing;

#[async_trait]
impl History for Nothing {
    fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        None
    }

    async fn scan(
        &self,
        _: &Wanted,
        _: (Timestamp, Timestamp),
        _: Events<'_>,
    ) -> Result<bool, HistoryError> {
        Ok(true)
    }
}

fn main() -> Result<()> {
    // `cargo test` runs benches too, to see that they start; measuring is not its business.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let count = std::env::var("METSUKE_BENCH_INDICATORS");
    let count = count.ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    let folder = match std::env::var_os("METSUKE_BENCH_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    tokio::runtime::Runtime::new()?.block_on(measure(folder.path(), count))
}

/// A scrambled number: `SplitMix64`.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Value `number`: of ten, six digests, two domains, an address and a URL.
fn value(number: u64) -> (Kind, String) {
    let random = scramble(number);
    match number % 10 {
        0..6 => {
            let words: Vec<String> =
                (0..4).map(|word| format!("{:016x}", scramble(number ^ word << 56))).collect();
            (Kind::Sha256, words.concat())
        }
        6 | 7 => (Kind::Domain, format!("{:x}-{number:x}.example", random >> 40)),
        8 => {
            let bits = (random >> 32) as u32 & 0x3fff_ffff | 0x4000_0001;
            (Kind::Ipv4, std::net::Ipv4Addr::from_bits(bits).to_string())
        }
        _ => (Kind::Url, format!("http://{:x}.example/{number:x}/gate.php", random >> 40)),
    }
}

fn row(name: &str, took: Duration, more: &str) {
    println!("{name:<44} {:>10.3} s  {more}", took.as_secs_f64());
}

/// Resident memory now and at most, in MiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.unwrap_or(0) >> 10
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn mib(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|facts| facts.len()).sum::<u64>() >> 20
}

fn order(from: u64, to: u64) -> Order {
    let mut bytes = String::new();
    for number in from..to {
        let _ = writeln!(bytes, "{}", value(number).1);
    }
    let source = format!("feed-{}", from / DOCUMENT).into();
    Order {
        bytes: bytes.into(),
        format: Some(read::Format::List),
        origin: read::Origin { source, confidence: Some(70), ..read::Origin::default() },
        actor: "bench".to_owned(),
    }
}

async fn measure(folder: &Path, count: u64) -> Result<()> {
    let stored = folder.join("catalog");
    let sets = folder.join("sets");
    std::fs::create_dir_all(&stored)?;
    let path = stored.join("catalog.db");
    let catalog = Catalog::open(&path).await?;
    let (indicators, worker) = Indicators::open(catalog.clone(), &sets).await?;
    let stop = CancellationToken::new();
    let mut stopping = Instant::now();
    let work = async {
        let done = fill(&catalog, &indicators, count).await;
        let done = match done {
            Ok(()) => people(&catalog, &indicators, count).await,
            Err(error) => Err(error),
        };
        stopping = Instant::now();
        stop.cancel();
        done
    };
    tokio::join!(worker.run(Arc::new(Nothing), stop.clone()), work).1?;
    row("stop, with the snapshot", stopping.elapsed(), &format!("{} MiB", mib(&sets)));
    println!("{:<44} {:>10} MiB of catalog", "on disk", mib(&stored));
    drop(indicators);
    catalog.close().await;
    drop(catalog);
    for (name, fresh) in [("restart", false), ("restart without the snapshot", true)] {
        if fresh {
            std::fs::remove_dir_all(&sets)?;
        }
        let catalog = Catalog::open(&path).await?;
        let begun = Instant::now();
        let (indicators, worker) = Indicators::open(catalog.clone(), &sets).await?;
        let took = begun.elapsed();
        row(name, took, &format!("{} in force, {:?} MiB", indicators.set().len(), memory()));
        // The one indicator entered by hand and left is there too.
        ensure!(indicators.set().len() as u64 >= count, "not all of them are in force");
        drop(worker);
        catalog.close().await;
    }
    Ok(())
}

/// Takes `count` indicators in, and waits until they have been looked for.
async fn fill(catalog: &Catalog, indicators: &Indicators, count: u64) -> Result<()> {
    println!(
        "{count} indicators in documents of {DOCUMENT}; memory: resident, most resident (MiB)"
    );
    let (begun, mut last) = (Instant::now(), 0);
    let mut from = 0;
    while from < count {
        let to = (from + DOCUMENT).min(count);
        let document = order(from, to);
        let begun = Instant::now();
        let taken = indicators.import(document).await?;
        let took = begun.elapsed();
        let speed = (to - from) as f64 / took.as_secs_f64();
        ensure!(taken.fresh == to - from, "{} were new of {}", taken.fresh, to - from);
        let name = format!("document {} in force", to.div_ceil(DOCUMENT));
        row(&name, took, &format!("{speed:.0} a second, {:?} MiB", memory()));
        (from, last) = (to, taken.import);
    }
    row("all of them", begun.elapsed(), "");
    let begun = Instant::now();
    loop {
        let import = catalog.import(last).await?.context("the import is gone")?;
        match import.state {
            ImportState::Done => break,
            ImportState::Failed => anyhow::bail!("the look back failed: {:?}", import.error),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    row("looked for, after the last came", begun.elapsed(), "");
    let set = indicators.set();
    let parts = set.memory();
    println!("set: {} indicators, {} MiB {parts:?}", set.len(), parts.total() >> 20);
    let matcher = Matcher::new(&set, now());
    for (name, first, found) in [("hit", 0, true), ("stranger", count * 2, false)] {
        let asked: Vec<_> =
            (0..LOOK_UPS).map(|n| value(first + scramble(n) % count.max(1))).collect();
        let begun = Instant::now();
        let met =
            asked.iter().filter(|(kind, value)| black_box(matcher.action(*kind, value)).is_some());
        let met = met.count() as u64;
        let each = begun.elapsed() / u32::try_from(LOOK_UPS)?;
        println!("{name:<44} {:>10} ns, {met} of {LOOK_UPS} met", each.as_nanos());
        ensure!(!found || met == LOOK_UPS, "a value that is in force was not met");
    }
    Ok(())
}

/// What people do: look at the list, find, enter, change and remove single ones, give a source up.
async fn people(catalog: &Catalog, indicators: &Indicators, count: u64) -> Result<()> {
    let begun = Instant::now();
    let all = catalog.indicator_count().await?;
    row("count", begun.elapsed(), &format!("{all}"));
    let begun = Instant::now();
    let sources = catalog.indicator_sources(now()).await?.len();
    row("sources", begun.elapsed(), &format!("{sources}"));
    let begun = Instant::now();
    catalog.indicators(&IndicatorFilter::default(), 50).await?;
    row("first page of the list", begun.elapsed(), "");
    let begun = Instant::now();
    let (kind, wanted) = value(count / 2);
    ensure!(catalog.indicators_of(kind, &wanted).await?.len() == 1, "it is not found");
    row("one value", begun.elapsed(), "");
    let begun = Instant::now();
    let part = IndicatorFilter { part: Some("nowhere-to-be".into()), ..IndicatorFilter::default() };
    catalog.indicators(&part, 50).await?;
    row("part of a value that none has", begun.elapsed(), "");
    let begun = Instant::now();
    let mut rows = Vec::new();
    for n in 0..CHANGES {
        let new = NewIndicator {
            kind: None,
            value: format!("own-{n}.example"),
            origin: read::Origin {
                source: "ours".into(),
                action: Action::Block,
                ..read::Origin::default()
            },
            note: None,
            actor: "bench".to_owned(),
        };
        rows.push(indicators.add(new).await?.id);
    }
    row("enter one", begun.elapsed() / CHANGES, &format!("mean of {CHANGES}"));
    let begun = Instant::now();
    for id in rows {
        indicators.remove(id, "bench").await?;
    }
    row("remove one", begun.elapsed() / CHANGES, &format!("mean of {CHANGES}"));
    let document = order(0, DOCUMENT.min(count));
    let begun = Instant::now();
    let taken = indicators.import(document).await?;
    ensure!(taken.known == DOCUMENT.min(count), "they were known");
    row("the first document again", begun.elapsed(), &format!("{:?} MiB", memory()));
    Ok(())
}
