#![doc = include_str!("../README.md")]

mod admin;
mod content;
mod history;
mod password;
mod past;
mod reach;
mod ready;
mod recordings;
mod responses;
mod run;
mod status;
mod store;
mod telemetry;
mod token;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// The Metsuke server.
#[derive(Debug, Parser)]
#[command(name = "metsuke-server", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve sensors and people until SIGINT or SIGTERM.
    Run(run::RunArguments),
    /// Give an account a new one-time password, for when nobody can sign in.
    Password(password::PasswordArguments),
    /// Make one-time enrolment tokens, one line each.
    Token(token::TokenArguments),
}

/// Where the server keeps its data.
#[derive(Debug, clap::Args)]
struct DataFolder {
    /// Folder of everything the server keeps; made when missing.
    #[arg(long)]
    data: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new("info,datafusion=warn,deltalake_core=warn,buoyant_kernel=warn,sqlx=warn")
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    // Two providers are compiled in; this one is meant. A second call would change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "threads cannot be started");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => Box::pin(run::run(arguments)).await,
            Command::Password(arguments) => password::run(arguments).await,
            Command::Token(arguments) => token::run(arguments).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
