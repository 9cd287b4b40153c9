#![doc = include_str!("../README.md")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use metsuke_respond::PlanId;

mod border;
mod care;
mod config;
mod counters;
mod crossview;
mod crossview_cmd;
mod delegate;
mod denials;
mod edge;
mod enrol_cmd;
mod evictions;
mod evidence;
mod executor;
mod facts;
mod gate;
mod governing;
mod grounds;
mod health;
mod install;
mod install_cmd;
mod inventory;
mod known;
mod live;
mod own;
mod pipeline;
mod plans;
mod probe_cmd;
mod progress;
mod pulse;
mod reach;
mod record;
mod rooted;
mod run_cmd;
mod sentry;
mod status;
mod status_cmd;
mod supervise_cmd;
mod takeover;
mod task;
mod touches;
mod upgrade_cmd;
mod watchlist;

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
    /// Put program, configuration and service in their places, enrol, and start.
    Install(install_cmd::InstallArgs),
    /// Stop the sensor and remove all that is its own.
    Uninstall(install_cmd::UninstallArgs),
    /// Watch, and send what is seen to the server.
    Run(run_cmd::Args),
    /// Watch under a guard, which starts the sensor again when it ends and brings in a new one
    /// without a gap; this is what the service runs.
    Supervise(run_cmd::Args),
    /// Have a guarded sensor's program, replaced on disk, take over without a gap.
    Upgrade(upgrade_cmd::Args),
    /// Show what a running sensor last said of itself.
    Status(status_cmd::Args),
    /// Try every hook and say what works here and what stays unseen.
    Probe(probe_cmd::Args),
    /// Compare what the kernel knows with what /proc, ls, ps and their like show.
    Crossview(crossview_cmd::Args),
    /// Record activities to a file, without a server.
    Record(record::Args),
    /// A step of the proof-of-coverage exercise; the sensor starts it itself.
    #[command(hide = true)]
    PocDrop { plan: PlanId, path: PathBuf },
    /// Holds the gate on named mounts; the sensor starts it itself.
    #[command(hide = true)]
    Gate(gate::Args),
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
        Command::Install(args) => install_cmd::install(&args),
        Command::Uninstall(args) => install_cmd::uninstall(&args),
        Command::Run(args) => run_cmd::run(&args),
        Command::Supervise(args) => supervise_cmd::run(&args),
        Command::Upgrade(args) => upgrade_cmd::run(&args),
        Command::Status(args) => status_cmd::run(&args),
        Command::Probe(args) => probe_cmd::run(args),
        Command::Crossview(args) => crossview_cmd::run(args),
        Command::Record(args) => record::run(args),
        Command::Gate(args) => gate::run(&args),
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
