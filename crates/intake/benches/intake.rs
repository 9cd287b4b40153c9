//! Records per CPU-second from files to findings: `cargo bench -p metsuke-intake`.
//!
//! The public Windows logs (EVTX) and recordings (JSON lines) are read into memory first; then
//! reading alone, and reading with the whole public Sigma set behind it, take turns. CPU time of
//! the one thread counts; unpacking zips does not.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use metsuke_detect::{Document, Engine, RuleSet, compile};
use metsuke_intake::evtx::{CHUNK_BYTES, HEADER_BYTES, Reader};
use metsuke_intake::{Format, Lines, Output};

/// Turns of each lane; the median counts.
const TURNS: usize = 5;
/// How often the logs are read in one turn: they are small.
const PASSES: usize = 10;
/// Bytes of JSON lines that are kept.
const JSON_BYTES: usize = 200 * 1024 * 1024;

fn main() {
    // `cargo test` runs benches too, to see that they start; measuring is not its business.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let Some(data) = support::shared_data("bench intake") else { return };
    let documents = support::files(&data.join("sigma"), "yml").into_iter().map(|path| Document {
        text: std::fs::read_to_string(&path).expect("readable"),
        path: path.display().to_string(),
    });
    let (rules, refused) = compile(documents);
    println!("public Sigma set: {} filters, {} refused", rules.filters().len(), refused.len());
    let logs: Vec<Vec<u8>> = support::files(&data.join("evtx-attack-samples"), "evtx")
        .iter()
        .map(|path| std::fs::read(path).expect("readable"))
        .collect();
    let lines = recordings(&support::files(&data.join("security-datasets/windows"), "zip"));
    println!("{:<44} {:>10} {:>14} {:>10}", "lane", "records", "per CPU-second", "hits");
    lane("EVTX, reading alone", || windows_logs(&logs, None));
    lane("EVTX, reading and the whole Sigma set", || windows_logs(&logs, Some(&rules)));
    lane("JSON lines, reading alone", || json_lines(&lines, None));
    lane("JSON lines, reading and the whole Sigma set", || json_lines(&lines, Some(&rules)));
}

/// The lines of JSON in the zips, up to the bound.
fn recordings(zips: &[std::path::PathBuf]) -> Vec<u8> {
    let mut text = Vec::new();
    for path in zips {
        let file = std::fs::File::open(path).expect("readable");
        let mut archive = zip::ZipArchive::new(file).expect("a zip");
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).expect("an entry");
            let wanted = entry.name().is_ok_and(|name| name.ends_with(".json"));
            if wanted && text.len() < JSON_BYTES {
                entry.read_to_end(&mut text).expect("readable");
                text.push(b'\n');
            }
        }
    }
    text
}

fn lane(name: &str, mut run: impl FnMut() -> (usize, usize)) {
    let mut rates = Vec::new();
    let mut found = (0, 0);
    for _ in 0..TURNS {
        let before = now();
        found = run();
        let seconds = now().saturating_sub(before).as_secs_f64();
        rates.push(rate(found.0, seconds));
    }
    rates.sort_by(f64::total_cmp);
    println!("{name:<44} {:>10} {:>14.0} {:>10}", found.0, rates[TURNS / 2], found.1);
}

/// Records and hits; the engine is made anew, so its plans are part of the cost.
fn windows_logs(logs: &[Vec<u8>], rules: Option<&Arc<RuleSet>>) -> (usize, usize) {
    let mut engine = rules.map(|rules| Engine::new(Arc::clone(rules)));
    let mut reader = Reader::new();
    let mut out = Output::default();
    let (mut records, mut hits) = (0, 0);
    for log in (0..PASSES).flat_map(|_| logs) {
        let mut offset = HEADER_BYTES;
        while offset < log.len() {
            let end = log.len().min(offset + CHUNK_BYTES);
            reader.chunk(offset as u64, &log[offset..end], &mut out);
            offset = end;
            records += out.records.len();
            hits += detect(&mut engine, &mut out);
        }
    }
    (records, hits)
}

fn json_lines(text: &[u8], rules: Option<&Arc<RuleSet>>) -> (usize, usize) {
    let mut engine = rules.map(|rules| Engine::new(Arc::clone(rules)));
    let mut lines = Lines::new(Format::Auto);
    let mut out = Output::default();
    let (mut records, mut hits) = (0, 0);
    for line in text.split(|byte| *byte == b'\n') {
        lines.line(line, &mut out);
        records += out.records.len();
        hits += detect(&mut engine, &mut out);
    }
    (records, hits)
}

fn detect(engine: &mut Option<Engine>, out: &mut Output) -> usize {
    out.problems.clear();
    let mut hits = 0;
    for record in out.records.drain(..) {
        match engine {
            Some(engine) => hits += engine.observe_as(&record.event, &record.sources).hits.len(),
            None => drop(std::hint::black_box(record)),
        }
    }
    hits
}

#[expect(clippy::cast_precision_loss, reason = "numbers of records are far below 2^52")]
fn rate(records: usize, seconds: f64) -> f64 {
    records as f64 / seconds
}

/// CPU time of this thread.
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
