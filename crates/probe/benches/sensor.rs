//! What watching costs: CPU time per operation with the probe against without, measured in turns.
//!
//! Each round runs the same work three times: without a probe, with one whose scope is the work,
//! and with one whose scope is another group. The work's own CPU time (user and kernel, children
//! included) and this process's (the probe's thread and the sink) are added. Figures are medians
//! over rounds; ratios are medians of each round's ratio, so drift of the machine cancels out.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench: it prints, and any failure ends it"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use metsuke_probe::{ProbeConfig, SINK_BATCHES, Scope, cgroup_root, start};

const ROUNDS: usize = 9;
/// Operations done before the measured ones.
const WARM: u64 = 20;
const WORK: &str = "METSUKE_BENCH_WORK";
const OPERATIONS: [(&str, u64); 4] =
    [("exec", 300), ("open+close", 60_000), ("connect", 3_000), ("create+write+close", 4_000)];

fn main() {
    if let Ok(work) = std::env::var(WORK) {
        worker(&work);
        return;
    }
    let Some(root) = cgroup_root() else {
        println!("NOT RUN: sensor bench: no cgroup v2 hierarchy is mounted");
        return;
    };
    let groups = [
        root.join(format!("metsuke-bench-{}-in", std::process::id())),
        root.join(format!("metsuke-bench-{}-out", std::process::id())),
    ];
    for group in &groups {
        if let Err(error) = fs::create_dir(group) {
            println!("NOT RUN: sensor bench: cannot make {}: {error}", group.display());
            return;
        }
    }
    compare(&groups[0], &groups[1]);
    for group in &groups {
        // The workers are gone; a group that stays empty behind harms nobody.
        let _ = fs::remove_dir(group);
    }
}

/// Where a probe looks while the work is done.
#[derive(Clone, Copy)]
enum Watched {
    Nothing,
    Work,
    Elsewhere,
}

fn compare(inside: &Path, elsewhere: &Path) {
    println!("CPU nanoseconds per operation, median of {ROUNDS} rounds; ratios to no sensor");
    println!(
        "{:<20} {:>12} {:>12} {:>7} {:>14} {:>7} {:>9} {:>6}",
        "operation", "none", "watched", "ratio", "out of scope", "ratio", "events", "lost"
    );
    // Words among the arguments name the operations wanted; without any it is all of them.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for (name, count) in OPERATIONS {
        if !wanted.is_empty() && !wanted.iter().any(|word| name == word) {
            continue;
        }
        let mut figures: [Vec<f64>; 3] = Default::default();
        let (mut events, mut lost) = (0, 0);
        for round in 0..ROUNDS {
            let mut order = [Watched::Nothing, Watched::Work, Watched::Elsewhere];
            order.rotate_left(round % 3);
            for watched in order {
                let (nanos, stats) = measure(name, count, inside, elsewhere, watched);
                figures[watched as usize].push(nanos / count as f64);
                events += stats.0;
                lost += stats.1;
            }
        }
        let ratio = |which: usize| {
            median(figures[which].iter().zip(&figures[0]).map(|(with, none)| with / none).collect())
        };
        println!(
            "{name:<20} {:>12.0} {:>12.0} {:>7.2} {:>14.0} {:>7.2} {events:>9} {lost:>6}",
            median(figures[0].clone()),
            median(figures[1].clone()),
            ratio(1),
            median(figures[2].clone()),
            ratio(2),
        );
    }
}

fn measure(
    work: &str,
    count: u64,
    inside: &Path,
    elsewhere: &Path,
    watched: Watched,
) -> (f64, (u64, u64)) {
    let scope = match watched {
        Watched::Nothing => None,
        Watched::Work => Some(inside),
        Watched::Elsewhere => Some(elsewhere),
    };
    let (sink, events) = sync_channel(SINK_BATCHES);
    let probe = scope.map(|scope| {
        let config = ProbeConfig::new(Scope::Cgroup(scope.to_owned()));
        start(config, sink).expect("the probe starts")
    });
    let reader =
        std::thread::spawn(move || events.into_iter().map(|batch| batch.len()).sum::<usize>());
    // What a probe does once (its hash of a program never seen before) is not what an operation costs.
    run(work, WARM, inside);
    if probe.is_some() {
        settle();
    }
    let before = cpu(libc::RUSAGE_SELF);
    let theirs = run(work, count, inside);
    let stats = probe.as_ref().map(metsuke_probe::Probe::stats).unwrap_or_default();
    let mine = cpu(libc::RUSAGE_SELF) - before;
    drop(probe);
    let delivered = reader.join().unwrap() as u64;
    let mine = if scope.is_some() { mine } else { 0.0 };
    (theirs + mine, (delivered, stats.kernel_lost + stats.shed))
}

/// Waits until the probe has nothing left to do: it uses less than a millisecond in fifty.
fn settle() {
    loop {
        let before = cpu(libc::RUSAGE_SELF);
        std::thread::sleep(std::time::Duration::from_millis(50));
        if cpu(libc::RUSAGE_SELF) - before < 1e6 {
            return;
        }
    }
}

/// Runs the work in `group`; gives its CPU nanoseconds.
fn run(work: &str, count: u64, group: &Path) -> f64 {
    let procs = group.join("cgroup.procs");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(WORK, format!("{work} {count}")).stdout(Stdio::piped());
    // SAFETY: between fork and exec only open, write and close are called.
    unsafe {
        command.pre_exec(move || fs::write(&procs, "0"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{work}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn worker(work: &str) {
    let (name, count) = work.split_once(' ').unwrap();
    let count: u64 = count.parse().unwrap();
    let spent = || cpu(libc::RUSAGE_SELF) + cpu(libc::RUSAGE_CHILDREN);
    let dir = std::env::temp_dir().join(format!("metsuke-bench-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let file: PathBuf = dir.join("file");
    fs::write(&file, "x").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let before = spent();
    match name {
        "exec" => (0..count).for_each(|_| {
            assert!(Command::new("/bin/true").status().unwrap().success());
        }),
        "open+close" => (0..count).for_each(|_| drop(fs::File::open(&file).unwrap())),
        "connect" => (0..count).for_each(|_| {
            let client = TcpStream::connect(address).unwrap();
            drop((listener.accept().unwrap(), client));
        }),
        _ => (0..count).for_each(|number| {
            fs::write(dir.join(format!("f{}", number % 64)), "text").unwrap();
        }),
    }
    println!("{}", spent() - before);
    fs::remove_dir_all(&dir).unwrap();
}

fn cpu(who: libc::c_int) -> f64 {
    // SAFETY: rusage is plain data for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid rusage that outlives the call.
    assert_eq!(unsafe { libc::getrusage(who, &raw mut usage) }, 0);
    let nanos = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
