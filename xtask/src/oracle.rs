//! `./x oracle`: the detection engine beside a public one (`crates/oracle`, a workspace of its own).

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::{build, place, steps};

#[derive(Args)]
pub(crate) struct Options {
    /// What to do.
    what: What,
    /// Of `bench`: only lanes whose name holds this.
    #[arg(trailing_var_arg = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The same pairs of event and rule over the public recordings, or each difference explained.
    Differ,
    /// Events per CPU-second of both, in turns.
    Bench,
    /// What the compiled set takes.
    Memory,
}

/// Builds the crate, optimised, and runs it on the public data.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let word = match options.what {
        What::Differ => "differ",
        What::Bench => "bench",
        What::Memory => "memory",
    };
    run(word, &options.rest)
}

/// Builds and runs it with `word`.
pub(crate) fn run(word: &str, rest: &[String]) -> Result<ExitCode> {
    let Some(data) = place::shared_data() else {
        bail!(
            "there is no public data: set METSUKE_SHARED_DATA to the folder of rules and recordings"
        );
    };
    let target = place::target().join("oracle");
    let mut cargo = build::cargo("build");
    cargo
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        // A parser that the reference stands on asks for a newer compiler than it needs.
        .args(["--release", "--ignore-rust-version", "--manifest-path"])
        .arg(place::root().join("crates/oracle/Cargo.toml"))
        .args(build::locked());
    steps::step("build the reference engine", &mut cargo)?;
    let name = if word == "memory" { "metsuke-oracle-memory" } else { "metsuke-oracle" };
    let program: PathBuf = target.join("release").join(name);
    let status = Command::new(program)
        .arg(word)
        .args(rest)
        .env("METSUKE_SHARED_DATA", data)
        .status()
        .context("cannot start the reference engine")?;
    ensure!(status.success(), "it ended with {status}");
    Ok(ExitCode::SUCCESS)
}
