//! What `./x` hands over to: building, running, testing and checking the project.
//!
//! One file per command; this one only parses and dispatches. Shared by the commands: `place`
//! (where things are), `steps` (progress on the terminal), `build` (product, console, tests),
//! `node` (a Node.js new enough), `tally` (what tests said).
//! Invariant: every command that compiles the workspace does it through `build`, so that run,
//! test, check and CI share one profile and one set of artefacts.

#![expect(clippy::print_stdout, reason = "a program for people in front of a terminal")]

mod actions;
mod atomics;
mod bench;
mod benign;
mod build;
mod check;
mod ci;
mod codegen;
mod dist;
mod doctor;
mod e2e;
mod fuzz;
mod load;
mod node;
mod oracle;
mod place;
mod run;
mod scenarios;
mod steps;
mod tables;
mod tally;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "./x", bin_name = "./x", version, about = "Build, run, test and check Metsuke")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and start server and sensor on this host (`./x run --help` tells the options).
    #[command(disable_help_flag = true)]
    Run {
        /// Options of `run`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Build everything, run the tests of Rust and console, and count what did not run.
    Test(test::Options),
    /// Formatting, lints, layers, tidiness, generated files, licences. Changes nothing.
    Check(check::Options),
    /// Repair what can be repaired by itself: formatting and generated files.
    Fix,
    /// Write the generated files, or with --check tell which have drifted.
    Codegen(codegen::Options),
    /// Write the pages of what tests have shown: coverage, evasion, cross-view.
    Tables(tables::Options),
    /// Measure: sensor, detect, intake, ingest or search (docs/benchmarks.md).
    Bench(bench::Options),
    /// The detection engine beside a public one: the same matches, and how fast.
    Oracle(oracle::Options),
    /// Do the action of every shipped detection and ask whether the detection struck.
    Actions(actions::Options),
    /// Do ordinary work under the sensor's eyes and ask what the shipped detections say about it.
    Benign(benign::Options),
    /// Do the invented intrusions and ask which layer caught what.
    Scenarios(scenarios::Options),
    /// Run a folder of ATT&CK atomics harmlessly and ask whether the sensor saw what they did.
    Atomics(atomics::Options),
    /// Flood, soak or idle the real product: what is lost, what memory and the wire cost.
    Load(load::Options),
    /// Fuzz one parser of untrusted bytes; without a target, list them.
    Fuzz(fuzz::Options),
    /// The console in a real browser against a real server and sensor.
    E2e,
    /// Tell what this machine has, lacks and allows; --install brings what is missing.
    Doctor(doctor::Options),
    /// The static sensor and its YARA scanner as programs, a .deb and an .rpm.
    Dist,
    /// What CI runs: check, test, the demo, the browser.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run { options } => run::main(&options),
        Command::Test(options) => test::main(&options),
        Command::Check(options) => Ok(check::main(&options)),
        Command::Fix => check::fix(),
        Command::Codegen(options) => codegen::main(&options),
        Command::Tables(options) => tables::main(&options),
        Command::Bench(options) => bench::main(&options),
        Command::Oracle(options) => oracle::main(&options),
        Command::Actions(options) => actions::main(&options),
        Command::Benign(options) => benign::main(&options),
        Command::Scenarios(options) => scenarios::main(&options),
        Command::Atomics(options) => atomics::main(&options),
        Command::Load(options) => load::main(&options),
        Command::Fuzz(options) => fuzz::main(&options),
        Command::E2e => e2e::main(),
        Command::Doctor(options) => doctor::main(&options),
        Command::Dist => dist::main(),
        Command::Ci => ci::main(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("x: {error:#}");
        ExitCode::FAILURE
    })
}
