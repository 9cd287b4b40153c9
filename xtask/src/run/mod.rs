//! `./x run`: build, start, show, stop. Not written yet.

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Runs the command with its own options.
pub(crate) fn main(_options: &[String]) -> Result<ExitCode> {
    bail!("`./x run` is not there yet")
}
