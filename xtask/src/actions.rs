//! `./x actions`: the action of every shipped detection, done under the real sensor's eyes.
//!
//! Leaves the doing to `crates/atomics`; here it is built and the page named.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, place};

#[derive(Args)]
pub(crate) struct Options {
    /// Writes `docs/reference/content.md`, with what recorded ordinary work (`./x benign --minutes N`) has of
    /// each.
    #[arg(long)]
    table: bool,
    /// Handed over: `--only TEXT`, `--samples`, `--told`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    build::product()?;
    let mut command = Command::new(place::binaries().join("metsuke-actions"));
    command.arg(place::root().join("content"));
    if options.table {
        command.arg("--table").arg(place::root().join("docs/reference/content.md"));
        command.arg("--work").arg(place::root().join("crates/atomics/work"));
        command.arg("--recording").arg(place::cache().join("benign"));
    }
    let status = command.args(&options.rest).status().context("cannot start metsuke-actions")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
