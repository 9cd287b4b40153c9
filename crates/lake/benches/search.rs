//! How fast the lake answers: the questions hunting asks, over table and tail.
//! `cargo bench -p metsuke-lake --bench search`; `METSUKE_BENCH_EVENTS` sets the number of events.
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod common;

use common::{Fleet, RARE_HASH, RARE_WORD, START, STEP, Watch, setting};
use metsuke_event::field::by_any_name;
use metsuke_event::{EndpointId, FieldId, Timestamp};
use metsuke_lake::{Lake, LakeConfig, SearchRequest, TimeRange, parse};

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(bench())
}

fn field(name: &str) -> Result<FieldId, String> {
    by_any_name(name).map(|spec| spec.id).ok_or_else(|| format!("no field {name}"))
}

fn ask(query: &str) -> Result<SearchRequest, Box<dyn std::error::Error>> {
    Ok(SearchRequest::new(parse(query)?))
}

async fn bench() -> Result<(), Box<dyn std::error::Error>> {
    let default = if cfg!(debug_assertions) { 100_000 } else { 2_000_000 };
    let total = setting("METSUKE_BENCH_EVENTS", default);
    let dir = tempfile::tempdir()?;
    let config = LakeConfig { flush_interval: None, ..LakeConfig::new(dir.path()) };
    let lake = Lake::open(config).await?;
    let mut fleet = Fleet::new();
    // Ten flushes' worth of files, and a tail.
    for part in 0..11 {
        for _ in 0..(total / 11).div_ceil(1_000) {
            lake.append(fleet.batch(1_000)).await?;
        }
        if part < 10 {
            lake.flush().await?;
        }
    }
    let stats = lake.stats();
    println!(
        "{} events in {} files ({:.0} B/event), {} in the tail",
        stats.table_rows,
        stats.table_files,
        stats.table_bytes as f64 / stats.table_rows.max(1) as f64,
        stats.tail_rows
    );
    println!("{:<44} {:>8} {:>9} {:>9} {:>10}", "search", "found", "wall ms", "CPU ms", "rows");
    for (what, request) in questions(total)? {
        time(&lake, what, request).await?;
    }
    narrow(&lake).await
}

fn questions(total: u64) -> Result<Vec<(&'static str, SearchRequest)>, Box<dyn std::error::Error>> {
    let middle = START + i64::try_from(total / 2)? * STEP;
    let hour = TimeRange {
        from: Timestamp::from_nanos(middle),
        to: Timestamp::from_nanos(middle + i64::try_from(total / 100)? * STEP),
    };
    let absent = "0123456789abcdef".repeat(4);
    Ok(vec![
        ("newest 100 events", ask("")?),
        ("one rare SHA-256", ask(&format!("sha256:{RARE_HASH}"))?),
        ("an absent SHA-256", ask(&absent)?),
        ("an address", ask("ip:10.1.77.7")?),
        ("an absent address", ask("ip:203.0.113.9")?),
        ("a word in one command line", ask(&format!("cmd:{RARE_WORD}"))?),
        ("a bare word, absent", ask("kagemusha")?),
        ("one host, 1 % of the time", SearchRequest { range: hour, ..ask("host:web-007*")? }),
        (
            "everything, histogram of 60",
            SearchRequest { histogram_buckets: 60, limit: 0, ..ask("")? },
        ),
        (
            "exec by www-data, facets host exe user",
            SearchRequest {
                facets: vec![field("host")?, field("exe")?, field("user")?],
                ..ask("class:process.exec user:www-data")?
            },
        ),
    ])
}

async fn time(
    lake: &Lake,
    what: &str,
    request: SearchRequest,
) -> Result<(), Box<dyn std::error::Error>> {
    let first = lake.search(request.clone()).await?;
    let found = first.total.unwrap_or(first.events.len() as u64);
    let mut walls = Vec::new();
    let all = Watch::start();
    for _ in 0..ROUNDS {
        let watch = Watch::start();
        lake.search(request.clone()).await?;
        walls.push(watch.stop().wall);
    }
    walls.sort();
    let cpu = all.stop().cpu.as_secs_f64() * 1e3 / ROUNDS as f64;
    let wall = walls[ROUNDS / 2].as_secs_f64() * 1e3;
    println!("{what:<44} {found:>8} {wall:>9.1} {cpu:>9.1} {:>10}", first.scanned_rows);
    Ok(())
}

/// The process-tree question.
async fn narrow(lake: &Lake) -> Result<(), Box<dyn std::error::Error>> {
    let one = lake.search(ask("host:web-007* class:process.exec")?).await?;
    let event = one.events.first().ok_or("no event to ask about")?;
    let storyline = event.process.storyline.clone().unwrap_or_default();
    let endpoint: EndpointId = event.id.endpoint;
    let mut walls = Vec::new();
    let mut found = 0;
    let all = Watch::start();
    for _ in 0..ROUNDS {
        let watch = Watch::start();
        found = lake.process_events(endpoint, &storyline, TimeRange::ALL).await?.events.len();
        walls.push(watch.stop().wall);
    }
    walls.sort();
    let cpu = all.stop().cpu.as_secs_f64() * 1e3 / ROUNDS as f64;
    let wall = walls[ROUNDS / 2].as_secs_f64() * 1e3;
    println!(
        "{:<44} {found:>8} {wall:>9.1} {cpu:>9.1} {:>10}",
        "process tree of one storyline", ""
    );
    Ok(())
}
