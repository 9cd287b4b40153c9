#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "a program for people in front of a terminal")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod account;
mod scene;
mod usage;
mod work;

use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use metsuke_testkit::judge::Judge;

use account::{Told, account};
use scene::Scene;
use usage::{Look, Meter};
use work::{Done, Kind, PROGRAM};

/// How often memory and CPU are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long the alert about the intrusion may take on a machine that is flooded.
const ALERT: Duration = Duration::from_secs(1_200);
/// When in a flood the intrusion begins: after this share of its seconds.
const INTRUSION_AFTER: u64 = 4;
/// Bytes in a megabyte.
const MB: f64 = 1e6;
/// Seconds in a day.
const DAY: f64 = 86_400.0;

/// Floods, soaks and idles against the real product.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// File operations at a rate, with an intrusion in the midst.
    FloodFiles {
        /// For so long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// File operations a second (system calls).
        #[arg(long, default_value_t = 100_000)]
        rate: u64,
    },
    /// Executions as fast as the machine can, with an intrusion in the midst.
    FloodExec {
        /// For so long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Ordinary work for long: memory over time, counts at the end.
    Soak {
        /// For so long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// Deeds a second.
        #[arg(long, default_value_t = 40)]
        rate: u64,
    },
    /// Next to nothing: bytes on the wire.
    Idle {
        /// For so long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// What the sensor uses at 100, 400 and 1,600 executions a second.
    Curve {
        /// At each, for so long.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// The work itself; started by the others.
    #[command(hide = true)]
    Work {
        kind: Kind,
        #[arg(long)]
        rate: u64,
        #[arg(long)]
        seconds: u64,
        #[arg(long)]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("metsuke-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::FloodFiles { seconds, rate } => flood(Kind::Files, rate, seconds),
        Command::FloodExec { seconds } => flood(Kind::Exec, 0, seconds),
        Command::Soak { minutes, rate } => soak(minutes, rate),
        Command::Idle { minutes } => idle(minutes),
        Command::Curve { seconds } => curve(seconds),
        Command::Work { kind, rate, seconds, folder } => {
            let done = work::work(kind, rate, seconds, &folder)?;
            println!("{}", serde_json::to_string(&done)?);
            Ok(true)
        }
    }
}

/// Two workers at full speed, or at half the rate each.
fn flood(kind: Kind, rate: u64, seconds: u64) -> Result<bool> {
    let mut scene = Scene::new()?;
    let meter = Meter::start(scene.sensor.process().pid(), LOOK);
    let workers: Vec<Child> = ["a", "b"]
        .iter()
        .map(|name| scene.worker(kind, rate / 2, seconds, name))
        .collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_secs(seconds / INTRUSION_AFTER));
    let intrusion = scene.intrusion()?;
    let mut done = Done::default();
    for worker in workers {
        done = done.plus(Scene::done(worker)?);
    }
    let drained = scene.drained()?;
    let looks = meter.stop();
    let told = scene.told(PROGRAM)?;
    println!(
        "did in {:.0} s: {} executions ({:.0}/s), {} file operations ({:.0}/s), of these {} creations and {} deletions",
        done.seconds,
        done.execs,
        done.execs as f64 / done.seconds,
        done.operations,
        done.operations as f64 / done.seconds,
        done.creates,
        done.deletes,
    );
    println!("the sensor's spool was empty {drained:.0} s after the end");
    print_usage(&looks);
    let whole = print_counts(&done, &told);
    let judge = Judge::new(scene.stage.api(), scene.sensor.endpoint());
    let caught = judge.caught(&intrusion, ALERT)?;
    let missing = caught.missing().count();
    println!(
        "the intrusion inside: {} alerts, {} expected findings missing",
        caught.alerts.len(),
        missing
    );
    Ok(whole && missing == 0)
}

fn soak(minutes: u64, rate: u64) -> Result<bool> {
    let mut scene = Scene::new()?;
    let meter = Meter::start(scene.sensor.process().pid(), LOOK);
    let worker = scene.worker(Kind::Mixed, rate, minutes * 60, "a")?;
    let done = Scene::done(worker)?;
    scene.drained()?;
    let looks = meter.stop();
    let told = scene.told(PROGRAM)?;
    print_usage(&looks);
    let sixth = looks.len() / 6;
    let of = |looks: &[Look]| looks.iter().map(|look| look.rss).max().unwrap_or(0) as f64 / MB;
    if sixth > 0 {
        println!(
            "most resident memory by sixths of the run, MB: {}",
            looks
                .chunks(sixth)
                .map(|part| format!("{:.1}", of(part)))
                .collect::<Vec<_>>()
                .join(" ")
        );
    }
    Ok(print_counts(&done, &told))
}

fn idle(minutes: u64) -> Result<bool> {
    let mut scene = Scene::new()?;
    let pid = scene.sensor.process().pid();
    scene.drained()?;
    let (before, sent) = (usage::look(pid), usage::bytes_sent(pid)?);
    // A host at rest still does a little: a small program now and then.
    let end = std::time::Instant::now() + Duration::from_secs(minutes * 60);
    let mut runs = 0_u64;
    while std::time::Instant::now() < end {
        let status = scene.group.command("/bin/sh").args(["-c", "id > /dev/null"]).status()?;
        runs += u64::from(status.success());
        std::thread::sleep(Duration::from_secs(20).min(Duration::from_secs(minutes * 6)));
    }
    let (after, now) = (usage::look(pid), usage::bytes_sent(pid)?);
    let bytes = now.checked_sub(sent).context("the link was made anew; measure again")? as f64;
    let seconds = minutes as f64 * 60.0;
    println!(
        "idle for {minutes} min ({runs} small scripts): {:.0} bytes on the wire, that is {:.1} MB a day; \
         CPU {:.2} %, resident {:.1} MB",
        bytes,
        bytes / seconds * DAY / MB,
        (after.cpu - before.cpu) / seconds * 100.0,
        after.rss as f64 / MB
    );
    Ok(true)
}

fn curve(seconds: u64) -> Result<bool> {
    println!(
        "{:>8} {:>10} {:>14} {:>12} {:>8}",
        "asked/s", "reached/s", "sensor CPU %", "us per exec", "RSS MB"
    );
    let mut whole = true;
    for rate in [100_u64, 400, 1_600] {
        let mut scene = Scene::new()?;
        let pid = scene.sensor.process().pid();
        scene.drained()?;
        let before = usage::look(pid);
        let workers: Vec<Child> = ["a", "b"]
            .iter()
            .map(|name| scene.worker(Kind::Exec, rate / 2, seconds, name))
            .collect::<Result<_>>()?;
        let mut done = Done::default();
        for worker in workers {
            done = done.plus(Scene::done(worker)?);
        }
        let after = usage::look(pid);
        let cpu = after.cpu - before.cpu;
        println!(
            "{rate:>8} {:>10.0} {:>14.2} {:>12.0} {:>8.1}",
            done.execs as f64 / done.seconds,
            cpu / done.seconds * 100.0,
            cpu * 1e6 / done.execs as f64,
            after.rss as f64 / MB
        );
        scene.drained()?;
        whole &= print_counts(&done, &scene.told(PROGRAM)?);
    }
    Ok(whole)
}

fn print_usage(looks: &[Look]) {
    let most = looks.iter().map(|look| look.rss).max().unwrap_or(0);
    let (first, last) = (looks.first(), looks.last());
    if let (Some(first), Some(last)) = (first, last) {
        println!(
            "sensor: most resident {:.1} MB, at the end {:.1} MB; {:.1} CPU seconds in {:.0} s",
            most as f64 / MB,
            last.rss as f64 / MB,
            last.cpu - first.cpu,
            last.at
        );
    }
}

/// Whether nothing is missing that is not told as lost, of its own kind.
fn print_counts(done: &Done, told: &Told) -> bool {
    let (said, holds) = account(done, told);
    for line in said {
        println!("{line}");
    }
    holds
}
