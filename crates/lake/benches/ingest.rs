//! How fast the lake takes events: append to durable, tail to table, bytes on disk, and how soon
//! an event is found. `cargo bench -p metsuke-lake --bench ingest`; `METSUKE_BENCH_EVENTS` sets
//! the number of events.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Fleet, Spent, Watch, setting};
use metsuke_lake::{Lake, LakeConfig, LakeError, SearchRequest, parse};
use tokio::task::JoinSet;

/// How long a lake that was dropped may need to let go of its lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(bench())
}

fn config(dir: &Path) -> LakeConfig {
    LakeConfig { flush_interval: None, flush_bytes: usize::MAX, ..LakeConfig::new(dir) }
}

fn row(what: &str, events: u64, spent: Spent, more: &str) {
    let per_second = |time: Duration| {
        if time.is_zero() { f64::INFINITY } else { events as f64 / time.as_secs_f64() }
    };
    println!(
        "{what:<48} {events:>9} {:>9.0} {:>9.0} {:>12.0}  {more}",
        spent.wall.as_secs_f64() * 1e3,
        spent.cpu.as_secs_f64() * 1e3,
        per_second(spent.cpu),
    );
}

async fn bench() -> Result<(), Box<dyn std::error::Error>> {
    let default = if cfg!(debug_assertions) { 60_000 } else { 1_000_000 };
    let total = setting("METSUKE_BENCH_EVENTS", default);
    println!(
        "{:<48} {:>9} {:>9} {:>9} {:>12}",
        "ingest", "events", "wall ms", "CPU ms", "events/CPU-s"
    );
    for (batch, writers) in [(1_000, 1), (1_000, 8), (100, 8)] {
        store(total, batch, writers).await?;
    }
    latency().await?;
    Ok(())
}

/// Appends by several tasks, then one flush.
async fn store(total: u64, batch: usize, writers: u64) -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let lake = Lake::open(config(dir.path())).await?;
    let mut fleet = Fleet::new();
    let batches = total / batch as u64;
    let mut queues: Vec<Vec<_>> = (0..writers).map(|_| Vec::new()).collect();
    for number in 0..batches {
        queues[usize::try_from(number % writers)?].push(fleet.batch(batch));
    }
    let events = batches * batch as u64;
    let watch = Watch::start();
    let mut tasks = JoinSet::new();
    for queue in queues {
        let lake = lake.clone();
        tasks.spawn(async move {
            for events in queue {
                patient(&lake, events).await?;
            }
            Ok::<(), LakeError>(())
        });
    }
    while let Some(end) = tasks.join_next().await {
        end??;
    }
    let spent = watch.stop();
    let stats = lake.stats();
    let name = format!("append and its flushes, {batch} a call, {writers} at once");
    let per_event = |bytes: u64, rows: u64| bytes as f64 / rows.max(1) as f64;
    let more = format!(
        "{:.0} B/event log, {:.0} B/event memory",
        per_event(stats.wal_bytes, stats.tail_rows),
        per_event(stats.tail_bytes, stats.tail_rows),
    );
    row(&name, events, spent, &more);
    // As after kill -9: everything is read from the log again.
    drop(lake);
    let (lake, spent) = open_again(dir.path()).await?;
    row("  opened again from the log", lake.stats().tail_rows, spent, "");
    let watch = Watch::start();
    let report = lake.flush().await?;
    let spent = watch.stop();
    let more = format!("{:.0} B/event Parquet", per_event(report.bytes, report.rows));
    row("  flush of it to the table", report.rows, spent, &more);
    Ok(())
}

/// Opens it as soon as the threads of the one before have let its lock go; the waiting is not counted.
async fn open_again(dir: &Path) -> Result<(Lake, Spent), LakeError> {
    let begun = Instant::now();
    loop {
        let watch = Watch::start();
        match Lake::open(config(dir)).await {
            Err(LakeError::InUse { .. }) if begun.elapsed() < LOCK_WAIT => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other.map(|lake| (lake, watch.stop())),
        }
    }
}

/// As ingest does: when too much waits, it is moved first.
async fn patient(lake: &Lake, events: Vec<metsuke_event::Event>) -> Result<(), LakeError> {
    loop {
        match lake.append(events.clone()).await {
            Err(LakeError::Backlog { .. }) => {
                lake.flush().await?;
            }
            other => return other,
        }
    }
}

/// One event: until it is durable, and until a search has found it.
async fn latency() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let lake = Lake::open(config(dir.path())).await?;
    let mut fleet = Fleet::new();
    lake.append(fleet.batch(10_000)).await?;
    lake.flush().await?;
    let (mut durable, mut found) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let events = fleet.batch(1);
        let query = parse(&format!("metadata.sequence:{}", events[0].id.seq))?;
        let begun = Instant::now();
        lake.append(events).await?;
        durable.push(begun.elapsed());
        let answer = lake.search(SearchRequest::new(query)).await?;
        found.push(begun.elapsed());
        if answer.events.len() != 1 {
            return Err("an event that was stored is not found".into());
        }
    }
    durable.sort();
    found.sort();
    println!("one event durable, median: {:.1} ms", durable[10].as_secs_f64() * 1e3);
    println!("one event found, median:   {:.1} ms", found[10].as_secs_f64() * 1e3);
    Ok(())
}
