//! `./x benign`: ordinary work under the real sensor's eyes, and what the shipped detections say about it.
//!
//! Leaves the doing to `crates/atomics`; here it is built and the folders are named. Recordings stay
//! outside of the repository.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, place};

#[derive(Args)]
pub(crate) struct Options {
    /// Writes `docs/reference/benign.md`.
    #[arg(long)]
    table: bool,
    /// Handed over: `--minutes N` to record each kind of work anew, `--only TEXT`, `--why`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    build::product()?;
    let mut command = Command::new(place::binaries().join("metsuke-benign"));
    command.arg(place::root().join("content")).arg(place::root().join("crates/atomics/work"));
    command.arg("--recording").arg(place::cache().join("benign"));
    if options.table {
        command.arg("--table").arg(place::root().join("docs/reference/benign.md"));
    }
    let status = command.args(&options.rest).status().context("cannot start metsuke-benign")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
