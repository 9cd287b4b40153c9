//! `./x benign`: does ordinary work under the real sensor's eyes and asks what the shipped detections
//! say about it.

#![expect(clippy::print_stdout, reason = "a program for people in front of a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use metsuke_atomics::actions::rules;
use metsuke_atomics::watch::Watch;
use metsuke_atomics::work::{self, Judged, Work};

/// Rooms at the same time: as many as ordinary work leaves a small machine breath for.
const ROOMS: usize = 3;

/// Does ordinary work in closed rooms, records what the sensor tells, and puts it through the shipped
/// detections.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The folder `content`.
    content: PathBuf,
    /// The folder with the scripts of work.
    work: PathBuf,
    /// Where recordings are kept; outside of the repository.
    #[arg(long)]
    recording: PathBuf,
    /// Records each kind of work for so many minutes; without it what is recorded is judged again.
    #[arg(long)]
    minutes: Option<u64>,
    /// Only work whose name holds one of these texts.
    #[arg(long)]
    only: Vec<String>,
    /// Prints why what struck at level medium and above did.
    #[arg(long)]
    why: bool,
    /// Writes the page (Markdown) here.
    #[arg(long)]
    table: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metsuke-benign: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let (rules, refused) = rules(&args.content)?;
    ensure!(refused.is_empty(), "refused: {refused:?}");
    let mut all = work::load(&args.work)?;
    let wanted = |one: &Work| args.only.iter().any(|word| one.name.contains(word));
    all.retain(|one| args.only.is_empty() || wanted(one));
    ensure!(args.table.is_none() || args.only.is_empty(), "a table needs all kinds of work");
    std::fs::create_dir_all(&args.recording).context("the folder of recordings cannot be made")?;
    if let Some(minutes) = args.minutes {
        record(args, &all, minutes * 60)?;
    }
    let mut judged: Vec<(Work, Judged)> = Vec::new();
    for one in all {
        let found = work::judge(&rules, &one, &args.recording)?;
        println!(
            "{}: {} s, {} activities, {} detections struck, {} alerts{}",
            one.name,
            found.seconds,
            found.activities,
            found.hits.len(),
            found.alerts.len(),
            found.trouble.as_ref().map(|why| format!("; trouble: {why}")).unwrap_or_default()
        );
        if args.why {
            tell(&rules, &found);
        }
        judged.push((one, found));
    }
    if let Some(path) = &args.table {
        std::fs::write(path, work::page(&rules, &judged)).context("cannot write the page")?;
    }
    Ok(())
}

/// Records everything, [`ROOMS`] kinds at a time.
fn record(args: &Args, all: &[Work], seconds: u64) -> Result<()> {
    let watch = Watch::start()?;
    let next = Mutex::new(all.iter());
    let lane = || -> Result<()> {
        loop {
            let one = next.lock().ok().and_then(|mut all| all.next());
            let Some(one) = one else { return Ok(()) };
            println!("{}: recording", one.name);
            work::record(&watch, one, seconds, &args.recording)?;
        }
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..ROOMS).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().try_for_each(|lane| match lane.join() {
            Ok(outcome) => outcome,
            Err(_) => anyhow::bail!("a recording ended by a fault"),
        })
    })
}

fn tell(rules: &metsuke_detect::RuleSet, found: &Judged) {
    for meta in rules.all() {
        let one = &meta.detection;
        let Some(hits) = found.hits.get(&one.id) else { continue };
        if one.level >= metsuke_event::finding::Level::Medium {
            println!("    {hits} × {:?} {}", one.level, one.title);
            for why in &found.examples[&one.id] {
                println!("        {}", why.chars().take(300).collect::<String>());
            }
        }
    }
    for alert in &found.alerts {
        println!("    ALERT {} {}", alert.score, alert.detection.title);
        for part in &alert.parts {
            println!("        {} {} ({})", part.points, part.label, part.why);
        }
    }
}
