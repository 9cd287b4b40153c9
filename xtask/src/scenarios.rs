//! `./x scenarios`: the invented intrusions under the real sensor's eyes, and which layer caught what.
//!
//! Leaves the doing to `crates/atomics`; here it is built and the folders are named.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, place};

#[derive(Args)]
pub(crate) struct Options {
    /// Writes `docs/reference/scenarios.md`.
    #[arg(long)]
    table: bool,
    /// Handed over: `--only TEXT`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    build::product()?;
    let mut command = Command::new(place::binaries().join("metsuke-scenarios"));
    command.arg(place::root().join("content")).arg(place::root().join("scenarios"));
    if options.table {
        command.arg("--table").arg(place::root().join("docs/reference/scenarios.md"));
    }
    let status = command.args(&options.rest).status().context("cannot start metsuke-scenarios")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
