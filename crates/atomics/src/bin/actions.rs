//! `./x actions`: does the action of every shipped detection under the real sensor's eyes.

#![expect(clippy::print_stdout, reason = "a program for people in front of a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use metsuke_atomics::actions::{self, Deed, Outcome};
use metsuke_atomics::watch::Watch;
use metsuke_atomics::work::{self, Noise};
use metsuke_event::ecs;

/// Does the action of every shipped detection and asks whether the detection struck.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The folder `content`.
    content: PathBuf,
    /// Only detections whose name holds one of these texts.
    #[arg(long)]
    only: Vec<String>,
    /// Writes the page (Markdown) here; asks for a run over everything, and for `--work`, `--recording`.
    #[arg(long, requires = "work", requires = "recording")]
    table: Option<PathBuf>,
    /// The folder with the scripts of ordinary work.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Where ordinary work is recorded (`./x benign --minutes N`).
    #[arg(long)]
    recording: Option<PathBuf>,
    /// Writes what was told into `fires/seen.json` of each detection that has no such file yet.
    #[arg(long)]
    samples: bool,
    /// Prints everything that was told of each action.
    #[arg(long)]
    told: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("metsuke-actions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let all = actions::load(&args.content)?;
    let wanted =
        |name: &str| args.only.is_empty() || args.only.iter().any(|word| name.contains(word));
    let chosen: Vec<_> =
        all.iter().filter(|one| wanted(&one.name) && matches!(one.deed, Deed::Action(_))).collect();
    ensure!(args.table.is_none() || args.only.is_empty(), "a table needs a run over everything");
    let (rules, refused) = actions::rules(&args.content)?;
    for one in &refused {
        println!("refused: {one}");
    }
    let noise = match (&args.work, &args.recording) {
        (Some(work), Some(recording)) => Some(Noise::of(&rules, &work::load(work)?, recording)?),
        _ => None,
    };
    let watch = Watch::start()?;
    let report = actions::run(&watch, &rules, &chosen, |outcome| tell(args, outcome))?;
    if args.samples {
        for (one, outcome) in chosen.iter().zip(&report.outcomes) {
            let path = one.folder.join("fires/seen.json");
            if outcome.struck.is_some() && !path.exists() {
                actions::write_sample(&path, &outcome.sample)?;
            }
        }
    }
    if let (Some(path), Some(noise)) = (&args.table, &noise) {
        std::fs::write(path, actions::page(&rules, &all, &report.outcomes, noise))
            .context("cannot write the page")?;
    }
    let silent: Vec<_> =
        report.outcomes.iter().filter(|one| one.struck.is_none()).map(|one| &one.name).collect();
    println!(
        "{} actions, {} fired their detection ({} not at the first try); {} records lost; {} documents \
         refused",
        report.outcomes.len(),
        report.outcomes.len() - silent.len(),
        report.outcomes.iter().filter(|one| one.tries > 1 && one.struck.is_some()).count(),
        report.lost,
        refused.len()
    );
    for name in &silent {
        println!("not fired: {name}");
    }
    let good = silent.is_empty() && refused.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(args: &Args, outcome: &Outcome) {
    let struck = outcome.struck.unwrap_or("NOT FIRED");
    let others: Vec<_> = outcome.others.iter().map(String::as_str).collect();
    let tries =
        if outcome.tries > 1 { format!(" ({} tries)", outcome.tries) } else { String::new() };
    println!("{}: {struck}{tries}; also: {}", outcome.name, others.join(", "));
    if let Some(trouble) = &outcome.trouble {
        println!("    trouble: {trouble}");
    }
    if args.told {
        for event in &outcome.told {
            println!("    {}", ecs::to_ecs(event));
        }
    }
}
