//! `./x scenarios`: does the invented intrusions under the real sensor's eyes and asks which layer
//! caught what.

#![expect(clippy::print_stdout, reason = "a program for people in front of a terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use metsuke_atomics::actions::rules;
use metsuke_atomics::scenarios::{self, Outcome};
use metsuke_atomics::watch::Watch;
use metsuke_event::ecs;

/// Does the invented intrusions in closed rooms and asks what the shipped detections caught.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The folder `content`.
    content: PathBuf,
    /// The folder `scenarios`.
    scenarios: PathBuf,
    /// Only scenarios whose name holds one of these texts.
    #[arg(long)]
    only: Vec<String>,
    /// Prints everything that was told.
    #[arg(long)]
    told: bool,
    /// Writes what was told of each scenario into this folder (JSON lines), for `metsuke replay`.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Writes the page (Markdown) here; asks for a run over everything.
    #[arg(long)]
    table: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("metsuke-scenarios: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let (rules, refused) = rules(&args.content)?;
    ensure!(refused.is_empty(), "refused: {refused:?}");
    ensure!(args.table.is_none() || args.only.is_empty(), "a table needs a run over everything");
    let mut all = scenarios::load(&args.scenarios)?;
    all.retain(|one| args.only.is_empty() || args.only.iter().any(|word| one.name.contains(word)));
    let watch = Watch::start()?;
    let mut outcomes = Vec::new();
    for one in &all {
        let outcome = scenarios::run(&watch, &rules, one)?;
        tell(&outcome);
        for event in outcome.told.iter().filter(|_| args.told) {
            println!("    {}", ecs::to_ecs(event));
        }
        if let Some(folder) = &args.keep {
            let lines = outcome.told.iter().map(|event| format!("{}\n", ecs::to_ecs(event)));
            let path = folder.join(format!("{}.jsonl", one.name));
            std::fs::write(&path, lines.collect::<String>())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        outcomes.push(outcome);
    }
    if let Some(path) = &args.table {
        std::fs::write(path, scenarios::page(&outcomes)).context("cannot write the page")?;
    }
    let unexpected = outcomes.iter().flat_map(|one| {
        let steps = one.scenario.steps.iter().enumerate();
        steps.filter(|(number, step)| one.caught(*number) != step.caught)
    });
    let unexpected = unexpected.count();
    println!("{} scenarios; {unexpected} steps not as expected", outcomes.len());
    Ok(if unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(outcome: &Outcome) {
    println!("{}: {} activities", outcome.scenario.name, outcome.told.len());
    if let Some(trouble) = &outcome.trouble {
        println!("    trouble: {trouble}");
    }
    for (number, step) in outcome.scenario.steps.iter().enumerate() {
        let seen = &outcome.seen[number];
        let hits: Vec<_> =
            seen.hits.iter().map(|one| format!("{:?} {}", one.level, one.title)).collect();
        let caught = outcome.caught(number);
        let mark = if caught == step.caught { ' ' } else { '!' };
        println!("  {mark} {} caught={caught}: {}", step.name, hits.join("; "));
    }
    if let Some((by, step, after)) = &outcome.stopped {
        let mark = if outcome.stopped_in_time() { ' ' } else { '!' };
        println!("  {mark} STOPPED by {} in step {} after {after:.1?}", by.title, step + 1);
    }
    for (alert, step, after) in &outcome.alerts {
        println!("    ALERT {} in step {} after {after:.1?}", alert.title, step + 1);
    }
}
