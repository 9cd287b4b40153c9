//! `./x check`: everything a machine can say about the sources without running them; and
//! `./x fix`, which repairs what can be repaired by itself.
//!
//! One file per kind of check; each gives problems as data. This one runs them all, so that one
//! run shows every problem and not only the first.

mod layers;
mod licences;
mod lints;
mod metadata;
mod tidy;

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::tally::Tally;
use crate::{build, codegen, fuzz, node, place, steps};

#[derive(Args)]
pub(crate) struct Options {
    /// Leave out what compiles: clippy and the console's type check.
    #[arg(long)]
    fast: bool,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// File and line, or package.
    place: String,
    /// What is wrong and what to do.
    text: String,
}

impl Problem {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// Runs every check.
pub(crate) fn main(options: &Options) -> ExitCode {
    let mut tally = sources();
    if options.fast {
        tally.not_run("clippy and the console's lint", "--fast was given");
        println!("NOT RUN: fuzz targets: --fast was given");
        tally.not_run("fuzz targets", "--fast was given");
    } else {
        tally.record("build the console", &build::console());
        tally.add(compiled());
    }
    println!("{}", tally.closing());
    if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The checks that compile nothing.
pub(crate) fn sources() -> Tally {
    let mut tally = Tally::default();
    tally.record("formatting (`./x fix` repairs it)", &formatting());
    tally.record("tidiness", &report("tidiness", tidy::problems()));
    tally.record("layers", &report("layers", layers::problems()));
    tally.record("licences", &report("licences", licences::problems()));
    tally.record("generated files", &codegen::check());
    for (program, arguments) in [
        ("shellcheck", &["x", ".ci/run"][..]),
        ("typos", &["--config", "typos.toml"][..]),
        ("cargo-deny", &["check", "bans", "licenses", "sources"][..]),
    ] {
        if has(program) {
            let outcome = steps::step(
                program,
                Command::new(program).args(arguments).current_dir(place::root()),
            );
            tally.record(program, &outcome);
        } else {
            tally.not_run(program, "it is not installed");
        }
    }
    tally
}

/// The checks that compile: clippy over the workspace, lint and types of the console, and the
/// fuzz targets for a moment when they are built.
pub(crate) fn compiled() -> Tally {
    let mut tally = Tally::default();
    tally.record("clippy", &lints::check());
    if place::root().join("console/package.json").is_file() {
        tally.record("the console's lint", &console_lint());
    }
    fuzz::briefly(&mut tally);
    tally
}

/// `./x fix`.
pub(crate) fn fix() -> Result<ExitCode> {
    steps::step("format", build::cargo("fmt").arg("--all"))?;
    codegen::write()?;
    Ok(ExitCode::SUCCESS)
}

fn console_lint() -> Result<()> {
    node::ensure_modules()?;
    steps::step("lint the console", node::npm()?.args(["run", "--silent", "lint"]))
}

fn formatting() -> Result<()> {
    steps::step(
        "check the formatting",
        build::cargo("fmt").args(["--all", "--check", "--", "--color=never"]),
    )
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn report(what: &str, problems: Result<Vec<Problem>>) -> Result<()> {
    let problems = problems?;
    for problem in &problems {
        eprintln!("    {}: {}", problem.place, problem.text);
    }
    if problems.is_empty() {
        println!("ok  {what}");
        return Ok(());
    }
    bail!("{} problems", problems.len())
}
