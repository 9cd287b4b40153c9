//! What watching costs: CPU time per operation with the probe against without, measured in turns.
//!
//! Each round runs the same work four times: without a probe, with one whose scope is the work,
//! with one whose scope is another group, and with Linux' own audit and its daemon in the probe's
//! place. The work's own CPU time (user and kernel, children included) and this process's (the
//! probe's thread and the sink), or that of audit, are added. Figures are medians over rounds;
//! ratios are medians of each round's ratio, so drift of the machine cancels out.
//! Below each operation stands where it goes, from one more run with the kernel's own statistics.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench: it prints, and any failure ends it"
)]

mod audit;
mod hooks;
mod usage;
mod work;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use metsuke_event::coverage::Tier;
use metsuke_probe::{Probe, ProbeConfig, SINK_BATCHES, Scope, cgroup_root, start};

use audit::Audit;
use usage::{cpu, median};
use work::{BUILD, OPERATIONS, Operation, PROJECT, WORK};

/// Looks in a row at a probe that is at rest.
const QUIET_LOOKS: u32 = 4;

fn main() {
    if let Ok(name) = std::env::var(WORK) {
        work::work(&name);
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
#[derive(Clone, Copy, PartialEq)]
enum Watched {
    Nothing,
    Work,
    Elsewhere,
    /// By audit.
    Audited,
}

/// What one run took.
#[derive(Clone, Copy, Default)]
struct Run {
    /// CPU nanoseconds of the work, and of the probe or the audit daemon.
    theirs: f64,
    mine: f64,
    events: u64,
    lost: u64,
}

fn compare(inside: &Path, elsewhere: &Path) {
    println!(
        "CPU nanoseconds per operation, medians; ratios to no probe; the probe's own included"
    );
    println!(
        "{:<20} {:>12} {:>12} {:>7} {:>14} {:>7} {:>9} {:>6} {:>12} {:>7} {:>6}",
        "operation",
        "none",
        "watched",
        "ratio",
        "out of scope",
        "ratio",
        "events",
        "lost",
        "auditd",
        "ratio",
        "rounds"
    );
    let audit = Audit::start().map(drop);
    if let Err(why) = &audit {
        println!("NOT RUN: auditd: {why}");
    }
    // Words among the arguments name the operations wanted; without any it is all of them.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for operation in &OPERATIONS {
        if !wanted.is_empty() && !wanted.iter().any(|word| operation.name == word) {
            continue;
        }
        if operation.name == BUILD && std::env::var_os(PROJECT).is_none() {
            println!("NOT RUN: {BUILD}: {PROJECT} names no folder of C files to compile");
            continue;
        }
        lane(operation, inside, elsewhere, audit.is_ok());
    }
}

fn lane(operation: &Operation, inside: &Path, elsewhere: &Path, audited: bool) {
    let Operation { name, count, rounds, .. } = *operation;
    let mut figures: [Vec<f64>; 4] = Default::default();
    let (mut events, mut lost) = (0, 0);
    for round in 0..rounds {
        let mut order = vec![Watched::Nothing, Watched::Work, Watched::Elsewhere, Watched::Audited];
        order.truncate(if audited { 4 } else { 3 });
        let first = round % order.len();
        order.rotate_left(first);
        for watched in order {
            let run = match watched {
                Watched::Audited => measure_audit(operation, inside),
                _ => measure(operation, inside, elsewhere, watched),
            };
            figures[watched as usize].push((run.theirs + run.mine) / count as f64);
            events += run.events;
            lost += run.lost;
        }
    }
    let ratio = |which: usize| {
        median(figures[which].iter().zip(&figures[0]).map(|(with, none)| with / none).collect())
    };
    let audit = if audited {
        format!("{:>12.0} {:>7.3}", median(figures[3].clone()), ratio(3))
    } else {
        format!("{:>12} {:>7}", "-", "-")
    };
    println!(
        "{name:<20} {:>12.0} {:>12.0} {:>7.3} {:>14.0} {:>7.3} {events:>9} {lost:>6} {audit} {rounds:>6}",
        median(figures[0].clone()),
        median(figures[1].clone()),
        ratio(1),
        median(figures[2].clone()),
        ratio(2),
    );
    let Some(counting) = hooks::Counting::start() else {
        println!("NOT RUN: where it goes: the kernel refuses statistics of BPF programs");
        return;
    };
    let run = measure(operation, inside, elsewhere, Watched::Work);
    drop(counting);
    println!("    the probe's thread and the sink {:>39.0} ns", run.mine / count as f64);
}

fn measure(operation: &Operation, inside: &Path, elsewhere: &Path, watched: Watched) -> Run {
    let scope = match watched {
        Watched::Nothing | Watched::Audited => None,
        Watched::Work => Some(inside),
        Watched::Elsewhere => Some(elsewhere),
    };
    let (sink, events) = sync_channel(SINK_BATCHES);
    let probe = scope.map(|scope| {
        let config = ProbeConfig::new(Scope::Cgroup(scope.to_owned()));
        let probe = start(config, sink).expect("the probe starts");
        let tier = probe.coverage().tier;
        assert!(
            tier != Tier::Interfaces,
            "the probe fell back to tier 3: see why in the build's output"
        );
        probe
    });
    let reader =
        std::thread::spawn(move || events.into_iter().map(|batch| batch.len()).sum::<usize>());
    // What a probe does once (its hash of a program never seen before) is not what an operation costs.
    run(operation.name, operation.warm, inside);
    if let Some(probe) = &probe {
        settle(probe);
    }
    let counted = hooks::counts();
    let before = cpu(libc::RUSAGE_SELF);
    let theirs = run(operation.name, operation.count, inside);
    let stats = probe.as_ref().map(Probe::stats).unwrap_or_default();
    let mine = cpu(libc::RUSAGE_SELF) - before;
    if watched == Watched::Work {
        // All zeroes, and so nothing to print, but in the run that counts.
        hooks::print(&counted, &hooks::counts(), operation.count as f64);
    }
    drop(probe);
    let delivered = reader.join().unwrap() as u64;
    let mine = if scope.is_some() { mine } else { 0.0 };
    Run { theirs, mine, events: delivered, lost: stats.kernel_lost + stats.shed }
}

/// The same under audit. A run that leaves nothing in the log would measure nothing, and ends the bench.
fn measure_audit(operation: &Operation, inside: &Path) -> Run {
    let audit = Audit::start().expect("audit starts again");
    run(operation.name, operation.warm, inside);
    let (written, lost, before) = (audit.settle(), Audit::lost(), audit.spent());
    let theirs = run(operation.name, operation.count, inside);
    assert!(audit.settle() > written, "audit recorded nothing");
    let mine = audit.spent() - before;
    // Its losses are told here, for the table's are the probe's.
    let lost = Audit::lost() - lost;
    if lost > 0 {
        println!("    auditd: the kernel dropped {lost} records in one run");
    }
    Run { theirs, mine, events: 0, lost: 0 }
}

/// Waits until the probe has nothing left to do: its first look at the host is over, and it uses less
/// than a millisecond in fifty, several times in a row.
fn settle(probe: &Probe) {
    let mut quiet = 0;
    while quiet < QUIET_LOOKS || probe.stats().scan_left > 0 {
        let before = cpu(libc::RUSAGE_SELF);
        std::thread::sleep(std::time::Duration::from_millis(50));
        quiet = if cpu(libc::RUSAGE_SELF) - before < 1e6 { quiet + 1 } else { 0 };
    }
}

/// Runs the work in `group`; gives its CPU nanoseconds.
fn run(work: &str, count: u64, group: &Path) -> f64 {
    let procs = group.join("cgroup.procs");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(WORK, format!("{work} {count}")).stdout(Stdio::piped());
    // SAFETY: between fork and exec only open, write and close are called.
    unsafe {
        command.pre_exec(move || {
            // What audit goes by. It is said in every run alike; where it may not be, the run with
            // audit finds nothing in its log.
            let _ = fs::write("/proc/self/loginuid", audit::LOGIN);
            fs::write(&procs, "0")
        });
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{work}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
