//! `./x atomics DIR`: a folder of ATT&CK atomics, run harmlessly against the sensor's eyes.
//!
//! Leaves the running to `crates/atomics`; here the product is built and the cache named.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, place};

#[derive(Args)]
pub(crate) struct Options {
    /// A folder of atomics (`T*.yaml`); the shared data's by default, where there is one.
    folder: Option<PathBuf>,
    /// Handed over: `--only TEXT`, `--list`, `--table FILE`, `--json FILE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let shared = || place::shared_data().map(|data| data.join("atomics"));
    let folder = options.folder.clone().or_else(shared);
    let folder = folder.context("name a folder of atomics: ./x atomics DIR")?;
    build::product()?;
    let status = Command::new(place::binaries().join("metsuke-atomics"))
        .arg(folder)
        .arg("--base")
        .arg(place::cache().join("atomics-base"))
        .args(&options.rest)
        .status()
        .context("cannot start metsuke-atomics")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
