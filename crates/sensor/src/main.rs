#![doc = include_str!("../README.md")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use metsuke_respond::PlanId;

mod config;
mod delegate;
mod edge;
mod enrol_cmd;
mod evictions;
mod executor;
mod facts;
mod health;
mod live;
mod pipeline;
mod plans;
mod probe_cmd;
mod record;
mod run_cmd;
mod status;
mod status_cmd;
mod task;

#[derive(Debug, Parser)]
#[command(name = "metsuke-sensor", version, about = "Metsuke's sensor for one endpoint")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol this host with a server, using a one-time token.
    Enrol(enrol_cmd::Args),
    /// Watch, and send what is seen to the server.
    Run(run_cmd::Args),
    /// Show what a running sensor last said of itself.
    Status(status_cmd::Args),
    /// Try every hook and say what works here and what stays unseen.
    Probe(probe_cmd::Args),
    /// Record activities to a file, without a server.
    Record(record::Args),
    /// A step of the proof-of-coverage exercise; the sensor starts it itself.
    #[command(hide = true)]
    PocDrop { plan: PlanId, path: PathBuf },
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("metsuke-sensor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Enrol(args) => enrol_cmd::run(&args),
        Command::Run(args) => run_cmd::run(&args),
        Command::Status(args) => status_cmd::run(&args),
        Command::Probe(args) => probe_cmd::run(args),
        Command::Record(args) => record::run(args),
        Command::PocDrop { plan, path } => {
            metsuke_enforce::poc::drop_executable(plan, &path)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Logs to standard error; `METSUKE_LOG` filters (tracing-subscriber's syntax), `info` by default.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("METSUKE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
