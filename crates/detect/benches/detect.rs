//! Events per CPU-second of the engine: `cargo bench -p metsuke-detect`.
//!
//! Lane 1 runs the whole public Sigma set over recorded Windows events, per log-source class and
//! over the recordings' own mix. Lane 2 runs the shipped content over a made-up Linux mix, lane 3
//! the public set over the same. CPU time of the one thread counts, conversion from JSON does not.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use metsuke_detect::{Document, Engine, RuleSet, compile};
use metsuke_event::Event;
use metsuke_event::logsource::LogSource;
use support::windows::Sources;

/// Events kept of one class; the rest of it is counted only, to bound memory.
const KEPT: usize = 15_000;
/// A class is run until it took this much CPU time.
const ENOUGH_SECONDS: f64 = 0.3;

fn main() {
    // `cargo test` runs benches too, to see that they start; measuring is not its business.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let linux = support::linux::events(200_000);
    let (content, seconds) = timed(|| compile(metsuke_content::documents()));
    load("shipped content", &content, seconds);
    lane_linux("shipped content, Linux mix, all layers", &content.0, &linux);

    let Some(data) = support::shared_data("bench detect (public set)") else { return };
    let mut documents = Vec::new();
    support::collect(&data.join("sigma"), "yml", &mut |path| {
        let text = std::fs::read_to_string(path).expect("readable");
        documents.push(Document { path: path.display().to_string(), text });
    });
    let (sigma, seconds) = timed(|| compile(documents));
    load("public Sigma set", &sigma, seconds);
    lane_linux("public Sigma set, Linux mix", &sigma.0, &linux);
    lane_windows(&sigma.0, &data.join("security-datasets/windows"));
}

fn load(name: &str, (rules, refused): &(Arc<RuleSet>, Vec<metsuke_detect::Refused>), seconds: f64) {
    println!(
        "\n{name}: {} filters, {} rules, {} models in {seconds:.2} CPU-s; {} refused",
        rules.filters().len(),
        rules.rules().len(),
        rules.models().len(),
        refused.len()
    );
    for one in refused {
        println!("  refused {one}");
    }
}

fn lane_linux(name: &str, rules: &Arc<RuleSet>, events: &[Event]) {
    let mut engine = Engine::new(Arc::clone(rules));
    let (_, first) = timed(|| engine.observe(&events[0]));
    let mut hits = 0;
    let mut alerts = 0;
    let ((), seconds) = timed(|| {
        for event in events {
            let findings = engine.observe(event);
            hits += findings.hits.len();
            alerts += findings.alerts.len();
        }
    });
    println!(
        "{name}: {} events/CPU-s ({} events, {hits} hits, {alerts} alerts; first plan {first:.3} CPU-s)",
        thousands(rate(events.len(), seconds)),
        events.len()
    );
}

#[derive(Default)]
struct Class {
    sources: Sources,
    events: Vec<Event>,
    total: usize,
}

fn lane_windows(rules: &Arc<RuleSet>, folder: &std::path::Path) {
    let mut classes: BTreeMap<String, Class> = BTreeMap::new();
    support::windows::events(folder, &mut |sources, event| {
        let class = classes.entry(name(&sources)).or_default();
        class.total += 1;
        if class.events.len() < KEPT {
            class.events.push(event);
        }
        class.sources = sources;
    });
    println!("\npublic Sigma set, recorded Windows events, filters only");
    println!(
        "{:<52} {:>9} {:>9} {:>9} {:>12} {:>9}",
        "class", "events", "run", "hits", "events/CPU-s", "plan s"
    );
    let mut total = 0;
    let mut cost = 0.0;
    for (name, class) in &classes {
        let mut engine = Engine::new(Arc::clone(rules));
        let (_, plan) = timed(|| engine.filters_only_as(&class.events[0], &class.sources));
        let mut hits = 0;
        for event in &class.events {
            hits += engine.filters_only_as(event, &class.sources).len();
        }
        let mut passes = 0;
        let mut spent = 0.0;
        while spent < ENOUGH_SECONDS {
            let ((), seconds) = timed(|| {
                for event in &class.events {
                    std::hint::black_box(engine.filters_only_as(event, &class.sources));
                }
            });
            spent += seconds;
            passes += 1;
        }
        let run = class.events.len() * passes;
        println!(
            "{name:<52} {:>9} {:>9} {hits:>9} {:>12} {plan:>9.3}",
            class.total,
            class.events.len(),
            thousands(rate(run, spent))
        );
        total += class.total;
        cost += spent / rate(run, 1.0) * rate(class.total, 1.0);
    }
    println!(
        "{:<52} {total:>9} {:>31}",
        "whole, weighted by the recordings' own mix",
        thousands(rate(total, cost))
    );
}

fn name(sources: &[LogSource<'_>]) -> String {
    let one = |source: &LogSource<'_>| {
        format!("{}/{}", source.category.unwrap_or("*"), source.service.unwrap_or("*"))
    };
    sources.iter().map(one).collect::<Vec<_>>().join(" + ")
}

#[expect(clippy::cast_precision_loss, reason = "numbers of events are far below 2^52")]
fn rate(events: usize, seconds: f64) -> f64 {
    events as f64 / seconds
}

fn thousands(rate: f64) -> String {
    if rate < 10_000.0 { format!("{rate:.0}") } else { format!("{:.0}k", rate / 1_000.0) }
}

/// What `work` gives, and the CPU time this thread took for it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        std::time::Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    };
    let start = now();
    let result = work();
    (result, now().saturating_sub(start).as_secs_f64())
}
