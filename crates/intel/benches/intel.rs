//! Ten million indicators: memory, time to load, nanoseconds a look-up, wrong answers.
//!
//! `cargo bench -p metsuke-intel`, or `./x bench intel`. Everything is made up from a counter, so the
//! same run can be had again; CPU time of the one thread counts. `METSUKE_BENCH_INDICATORS` sets another
//! number.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::cast_precision_loss, reason = "figures are shown rounded")]

use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::Timestamp;
use metsuke_intel::filter::Filter;
use metsuke_intel::{Context, Indicator, Kind, Set};

/// Look-ups of one measurement.
const LOOK_UPS: u64 = 2_000_000;
/// Rounds; the median is shown.
const ROUNDS: usize = 5;
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn main() {
    // `cargo test` runs benches too, to see that they start; measuring is not its business.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let count = std::env::var("METSUKE_BENCH_INDICATORS");
    let count = count.ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    println!("{:<34} {:>10} {:>9} {:>9} {:>9}", "", "indicators", "MiB", "hit ns", "miss ns");
    alone("SHA-256", Kind::Sha256, count);
    plain_array(count);
    alone("domains", Kind::Domain, count / 2);
    alone("networks (IPv4)", Kind::Cidr, count / 10);
    alone("addresses (IPv4)", Kind::Ipv4, count / 10);
    alone("URLs", Kind::Url, count / 5);
    mix(count);
}

/// A scrambled number: `SplitMix64`.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn digest(number: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    for (part, word) in digest.chunks_exact_mut(8).zip(0..) {
        part.copy_from_slice(&scramble(number ^ word << 56).to_be_bytes());
    }
    digest
}

/// Value `number` of a kind; of `domain` with labels below it when `below`.
fn value(kind: Kind, number: u64) -> String {
    let random = scramble(number);
    match kind {
        Kind::Sha256 => hex::encode(digest(number)),
        Kind::Domain => {
            let top = ["com", "net", "org", "info", "example"][(random % 5) as usize];
            format!("{:x}-{number:x}.{top}", random >> 40)
        }
        Kind::Url => format!("http://{:x}.example/{number:x}/gate.php", random >> 40),
        Kind::Ipv4 => std::net::Ipv4Addr::from_bits((random >> 32) as u32 | 1).to_string(),
        Kind::Cidr => {
            // As feeds have them: mostly /24 and around, some wide.
            let length = [24, 24, 24, 24, 23, 22, 20, 25, 28, 16][(random % 10) as usize];
            let mask = u32::MAX << (32 - length);
            format!("{}/{length}", std::net::Ipv4Addr::from_bits((random >> 32) as u32 & mask))
        }
        _ => format!("/opt/{:x}/{number:x}", random >> 40),
    }
}

fn indicators(kind: Kind, from: u64, count: u64) -> impl Iterator<Item = Indicator> {
    let contexts: Vec<_> = (0..50)
        .map(|feed| {
            Arc::new(Context {
                source: format!("feed {}", feed % 10).into(),
                labels: vec![format!("family {feed}").into()],
                ..Context::default()
            })
        })
        .collect();
    (from..from + count).map(move |number| Indicator {
        kind,
        value: value(kind, number).into(),
        context: Arc::clone(&contexts[(number % 50) as usize]),
        object: None,
        first_seen: None,
        last_seen: None,
        expires: (!number.is_multiple_of(3)).then_some(NOW.plus_nanos(1 << 50)),
    })
}

fn build(parts: &[(Kind, u64)]) -> Set {
    let mut builder = Set::builder(0x5eed);
    for (kind, count) in parts {
        for indicator in indicators(*kind, 0, *count) {
            builder.add(&indicator).expect("canonical");
        }
    }
    builder.build()
}

/// What is asked of a kind: values in it (`from` 0) or not (beyond them), below it where that counts.
fn asked(kind: Kind, from: u64, count: u64, number: u64) -> String {
    let number = from + scramble(number) % count;
    match kind {
        Kind::Domain => format!("www.{}", value(kind, number)),
        Kind::Cidr => value(kind, number).split('/').next().unwrap_or_default().to_owned(),
        kind => value(kind, number),
    }
}

fn alone(name: &str, kind: Kind, count: u64) {
    let set = build(&[(kind, count)]);
    let memory = set.memory().total();
    let hit = look_ups(&set, kind, 0, count);
    // Of networks, addresses at random: those outside are the misses, told by their number.
    let miss = look_ups(&set, kind, 1 << 40, count);
    let (hit, miss) = (hit.0, miss.0);
    println!("{name:<34} {count:>10} {:>9.1} {hit:>9.0} {miss:>9.0}", mib(memory));
    if kind == Kind::Sha256 {
        let (hit, miss) = (many(&set, 0, count), many(&set, 1 << 40, count));
        println!("{:<34} {:>10} {:>9} {hit:>9.0} {miss:>9.0}", "  the same, many at once", "", "");
    }
    if kind == Kind::Sha256 || kind == Kind::Domain {
        filter(&set, kind, count);
    }
}

/// Nanoseconds a look-up and how many were met, values made before.
fn look_ups(set: &Set, kind: Kind, from: u64, count: u64) -> (f64, usize) {
    let mut found = 0;
    if kind == Kind::Sha256 {
        let asked: Vec<_> = (0..LOOK_UPS).map(|n| digest(from + scramble(n) % count)).collect();
        let seconds = median(|| {
            found = asked.iter().filter(|one| !set.look_up_sha256(one, NOW).is_empty()).count();
        });
        return (seconds * 1e9 / LOOK_UPS as f64, found);
    }
    if kind == Kind::Cidr || kind == Kind::Ipv4 {
        let asked: Vec<std::net::IpAddr> = (0..LOOK_UPS)
            .map(|n| asked(kind, from, count, n).parse().expect("an address"))
            .collect();
        let seconds = median(|| {
            found = asked.iter().filter(|one| !set.look_up_address(**one, NOW).is_empty()).count();
        });
        return (seconds * 1e9 / LOOK_UPS as f64, found);
    }
    let asked: Vec<_> = (0..LOOK_UPS).map(|n| asked(kind, from, count, n)).collect();
    let seconds = median(|| {
        found = asked.iter().filter(|one| !set.look_up(kind, one, NOW).is_empty()).count();
    });
    (seconds * 1e9 / LOOK_UPS as f64, found)
}

/// Nanoseconds a look-up of SHA-256 given as one list.
fn many(set: &Set, from: u64, count: u64) -> f64 {
    let asked: Vec<_> = (0..LOOK_UPS).map(|n| digest(from + scramble(n) % count)).collect();
    let mut found = 0;
    let seconds = median(|| {
        found = 0;
        set.look_up_many_sha256(&asked, NOW, |_, _| found += 1);
    });
    assert_eq!(found, if from == 0 { LOOK_UPS } else { 0 });
    seconds * 1e9 / LOOK_UPS as f64
}

/// The sensor's filter of a set: memory, look-ups, and how often it is wrong.
fn filter(set: &Set, kind: Kind, count: u64) {
    let (filter, built) = timed(|| Filter::of(set, NOW).expect("made"));
    let asked = |from: u64| -> Vec<(String, [u8; 32])> {
        let numbers = (0..LOOK_UPS).map(|n| from + scramble(n) % count);
        numbers
            .map(|n| {
                if kind == Kind::Sha256 {
                    (String::new(), digest(n))
                } else {
                    (value(kind, n), [0; 32])
                }
            })
            .collect()
    };
    let mut held = 0;
    let mut run = |asked: &[(String, [u8; 32])]| {
        let seconds = median(|| {
            held = asked
                .iter()
                .filter(|(text, digest)| {
                    if kind == Kind::Sha256 {
                        filter.may_hold_sha256(digest)
                    } else {
                        filter.may_hold(kind, text)
                    }
                })
                .count();
        });
        (seconds * 1e9 / LOOK_UPS as f64, held)
    };
    let (hit, missed) = run(&asked(0));
    assert_eq!(missed as u64, LOOK_UPS, "a filter never misses");
    let (miss, wrong) = run(&asked(1 << 40));
    println!(
        "{:<34} {count:>10} {:>9.1} {hit:>9.0} {miss:>9.0}   wrong {wrong} of {LOOK_UPS} (1/{:.0}); made in {built:.1} CPU-s",
        format!("  sensor's filter ({})", kind.name()),
        mib(filter.memory()),
        LOOK_UPS as f64 / wrong.max(1) as f64
    );
}

/// For comparison, in the same run: whole digests in a sorted array, an index over 24 bits.
fn plain_array(count: u64) {
    let mut rows: Vec<[u8; 32]> = (0..count).map(digest).collect();
    rows.sort_unstable();
    let lead =
        |row: &[u8; 32]| (u32::from_be_bytes([row[0], row[1], row[2], row[3]]) >> 8) as usize;
    let mut starts = vec![0_u32; (1 << 24) + 1];
    for row in &rows {
        starts[lead(row) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut found = 0;
    let mut run = |from: u64| {
        let asked: Vec<_> = (0..LOOK_UPS).map(|n| digest(from + scramble(n) % count)).collect();
        let seconds = median(|| {
            found = asked
                .iter()
                .filter(|one| {
                    let at = lead(one);
                    rows[starts[at] as usize..starts[at + 1] as usize].binary_search(one).is_ok()
                })
                .count();
        });
        seconds * 1e9 / LOOK_UPS as f64
    };
    let (hit, miss) = (run(0), run(1 << 40));
    assert_eq!(found, 0);
    println!(
        "{:<34} {count:>10} {:>9.1} {hit:>9.0} {miss:>9.0}   digests alone, nothing said of them",
        "  plain sorted array, 24-bit index",
        mib(rows.len() * 32 + starts.len() * 4)
    );
}

/// All kinds together: memory of the process, snapshot, load, and look-ups that turn from kind to kind.
fn mix(count: u64) {
    let parts = [
        (Kind::Sha256, count * 4 / 10),
        (Kind::Domain, count * 3 / 10),
        (Kind::Url, count / 10),
        (Kind::Ipv4, count / 10),
        (Kind::Cidr, count / 20),
        (Kind::Path, count / 20),
    ];
    let before = resident();
    let (set, seconds) = timed(|| build(&parts));
    println!(
        "\nmix: {} kept of {count}, made in {seconds:.1} CPU-s; {:.1} MiB (rows {:.1}, indices {:.1}), resident {:.1} MiB",
        set.len(),
        mib(set.memory().total()),
        mib(set.memory().rows),
        mib(set.memory().indices),
        mib(resident().saturating_sub(before))
    );
    for (kind, part) in parts {
        let (hit, found) = look_ups(&set, kind, 0, part);
        let (miss, wrong) = look_ups(&set, kind, 1 << 40, part);
        println!(
            "  {:<32} {part:>10} {:>9} {hit:>9.0} {miss:>9.0}   met {found}, and {wrong} of {LOOK_UPS} strangers",
            kind.name(),
            ""
        );
    }
    let path = std::env::temp_dir().join(format!("metsuke-bench-intel-{}", std::process::id()));
    let (size, written) = timed(|| {
        use std::io::Write;
        let mut file = std::fs::File::create(&path).expect("a file");
        let mut size = 0;
        set.snapshot(&mut |part| {
            size += part.len();
            file.write_all(part).expect("written");
        });
        size
    });
    drop(set);
    let mut loaded = Set::default();
    let seconds = median(|| {
        loaded = Set::default();
        let bytes = Bytes::from(std::fs::read(&path).expect("readable"));
        loaded = Set::load(&bytes).expect("whole");
    });
    println!(
        "  snapshot {:.1} MiB, written in {written:.2} CPU-s; read, checked and indexed in {seconds:.2} CPU-s; {} kept",
        mib(size),
        loaded.len()
    );
    let (merged, seconds) = timed(|| loaded.merged(NOW));
    println!("  merged anew in {seconds:.1} CPU-s; {} kept", merged.len());
    let _ = std::fs::remove_file(&path);
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Resident memory of the process in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..ROUNDS).map(|_| timed(&mut run).1).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[ROUNDS / 2]
}

/// CPU seconds of this thread.
fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = cpu();
    let outcome = run();
    (outcome, cpu() - start)
}
