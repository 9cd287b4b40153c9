//! Events per CPU-second of both engines, in turns.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use metsuke_detect::{Engine, RuleSet};
use metsuke_event::Event;
use metsuke_event::logsource::LogSource;
use rustix::time::{ClockId, clock_gettime};

use crate::data::{self, Both};
use crate::reference::Reference;

/// Every so-and-so-manieth recorded event is one of the raw mix.
const EVERY: usize = 5;
/// Rounds, each with both engines, one after the other.
const ROUNDS: usize = 7;
/// Events that are copied, then matched.
const CHUNK: usize = 64;
/// Events of the mix as an endpoint sensor sees it.
const EDR_EVENTS: usize = 30_000;
/// Of a hundred events of that mix, how many are of which category.
const EDR_MIX: [(&str, usize); 13] = [
    ("process_creation", 10),
    ("process_termination", 8),
    ("image_load", 18),
    ("file_event", 17),
    ("file_delete", 4),
    ("registry_set", 12),
    ("registry_add", 4),
    ("network_connection", 12),
    ("dns_query", 6),
    ("process_access", 5),
    ("pipe_created", 2),
    ("create_remote_thread", 1),
    ("wmi_event", 1),
];

/// Runs all lanes.
pub fn main(data: &Path) -> Result<()> {
    let before = resident_mib();
    let (ours, seconds) = timed(|| data::rules(data));
    let (ours, reference) = ours?;
    println!(
        "both engines loaded in {seconds:.2} CPU-s; resident {:.0} MiB more",
        resident_mib() - before
    );
    let mut raw = Vec::new();
    let mut by_category: BTreeMap<String, Vec<Both>> = BTreeMap::new();
    let mut number = 0_usize;
    data::recorded(&data.join("security-datasets/windows"), &mut |both| {
        let category = both.sources.first().and_then(|source| source.category).unwrap_or_default();
        let wanted = EDR_MIX.iter().any(|(name, _)| *name == category);
        let pool = by_category.entry(category.to_owned()).or_default();
        number += 1;
        if wanted && pool.len() < 6_000 {
            pool.push(both.clone());
        }
        if number.is_multiple_of(EVERY) {
            raw.push(both);
        }
    })?;
    let edr = edr(&by_category)?;
    println!(
        "\n{:<44} {:>8} {:>8} {:>12} {:>12} {:>7} {:>9}",
        "lane", "events", "matches", "ours/CPU-s", "ref/CPU-s", "ratio", "(fastest)"
    );
    lane("an endpoint sensor's mix", &ours, &reference, &edr)?;
    let all: Vec<&Both> = raw.iter().collect();
    lane("raw Windows events, the recordings' mix", &ours, &reference, &all)?;
    let mut classes: BTreeMap<String, Vec<&Both>> = BTreeMap::new();
    for both in raw.iter().chain(by_category.values().flatten()) {
        classes.entry(name(&both.sources)).or_default().push(both);
    }
    for (name, events) in classes.iter().filter(|(_, events)| events.len() >= 200) {
        lane(&format!("  {name}"), &ours, &reference, events)?;
    }
    Ok(())
}

/// A mix as an endpoint sensor sees it, drawn from recorded events.
fn edr(pools: &BTreeMap<String, Vec<Both>>) -> Result<Vec<&Both>> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % (below as u64)).unwrap_or(0)
    };
    let mut drawn = Vec::with_capacity(EDR_EVENTS);
    while drawn.len() < EDR_EVENTS {
        let mut left = next(100);
        let category = EDR_MIX.iter().find(|(_, share)| {
            let here = left < *share;
            left = left.saturating_sub(*share);
            here
        });
        let Some(pool) = category.and_then(|(name, _)| pools.get(*name)) else { continue };
        ensure!(!pool.is_empty(), "no recorded event of {category:?}");
        drawn.push(&pool[next(pool.len())]);
    }
    Ok(drawn)
}

fn lane(name: &str, rules: &Arc<RuleSet>, reference: &Reference, events: &[&Both]) -> Result<()> {
    if !std::env::args().nth(2).is_none_or(|wanted| name.contains(&wanted)) {
        return Ok(());
    }
    let mut engine = Engine::new(Arc::clone(rules));
    let sources: Vec<_> = events.iter().map(|both| Reference::sources(&both.sources)).collect();
    // The first round, not timed, compares matches and lets plans learn.
    let mut matches = 0;
    for (both, sources) in events.iter().zip(&sources) {
        let hits = engine.filters_only_as(&both.event, &both.sources);
        let mut found: Vec<&str> = hits.iter().map(|hit| hit.detection.id.as_str()).collect();
        found.sort_unstable();
        let expected = reference.matches(&both.json, sources);
        ensure!(found == expected, "VOID: {name}: {found:?} and {expected:?} on {}", both.json);
        matches += found.len();
    }
    if std::env::args().nth(3).as_deref() == Some("profile") {
        let start = std::time::Instant::now();
        eprintln!("profile begins");
        while start.elapsed() < Duration::from_secs(20) {
            pass(
                events,
                |number| parsed(events[number]),
                |(event, sources)| engine.filters_only_as(event, sources).len(),
            );
        }
        return Ok(());
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mine = pass(
            events,
            |number| parsed(events[number]),
            |(event, sources)| engine.filters_only_as(event, sources).len(),
        );
        let theirs = pass(
            events,
            |number| (events[number].json.clone(), sources[number].clone()),
            |(json, sources)| reference.count(json, sources),
        );
        rounds.push((theirs / mine, mine, theirs));
    }
    rounds.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (ratio, mine, theirs) = rounds[ROUNDS / 2];
    // The fastest round of each: what a busy machine disturbs least.
    let fastest = |of: fn(&(f64, f64, f64)) -> f64| rounds.iter().map(of).fold(f64::MAX, f64::min);
    let fastest = fastest(|round| round.2) / fastest(|round| round.1);
    let rate = |seconds: f64| format!("{:.1}k", events.len() as f64 / seconds / 1_000.0);
    println!(
        "{name:<44} {:>8} {matches:>8} {:>12} {:>12} {ratio:>6.1}x {fastest:>8.1}x",
        events.len(),
        rate(mine),
        rate(theirs)
    );
    Ok(())
}

/// A copy of an event with its text read, as a parser has just written it.
fn parsed(both: &Both) -> (Event, Vec<LogSource<'static>>) {
    let event = both.event.clone();
    let mut sum = 0_usize;
    event.visit(&mut |_, value| {
        sum += value.to_text().bytes().map(usize::from).sum::<usize>();
    });
    sum += event.unmapped.buffer().bytes().map(usize::from).sum::<usize>();
    std::hint::black_box(sum);
    (event, both.sources.clone())
}

/// CPU time that `run` took for all events. Each chunk of them is copied before, untimed, so that
/// both engines find events as parsing leaves them: in the processor's cache.
fn pass<T>(events: &[&Both], copy: impl Fn(usize) -> T, mut run: impl FnMut(&T) -> usize) -> f64 {
    let mut seconds = 0.0;
    for begin in (0..events.len()).step_by(CHUNK) {
        let chunk: Vec<T> = (begin..events.len().min(begin + CHUNK)).map(&copy).collect();
        let (_, time) = timed(|| std::hint::black_box(chunk.iter().map(&mut run).sum::<usize>()));
        seconds += time;
    }
    seconds
}

fn name(sources: &[LogSource<'_>]) -> String {
    let one = |source: &LogSource<'_>| {
        format!("{}/{}", source.category.unwrap_or("*"), source.service.unwrap_or("*"))
    };
    sources.iter().map(one).collect::<Vec<_>>().join(" + ")
}

/// Memory of this process, in MiB.
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0 / 1_048_576.0
}

/// What `work` gives, and the CPU time this thread took for it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    };
    let start = now();
    let result = work();
    (result, now().saturating_sub(start).as_secs_f64())
}
