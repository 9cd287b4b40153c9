//! `./x load NAME`: floods, soaks and idles against the real product.
//!
//! The server is the product's as tests run it; the sensor, which is what is looked at, is built
//! with optimisation.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, place, steps};

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// `flood-files`, `flood-exec`, `soak`, `idle` or `curve`, with its options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    rest: Vec<String>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    build::product()?;
    let mut sensor = build::cargo("build");
    // Plain rustc: clippy's driver holds back optimisations.
    sensor.env_remove("RUSTC_WORKSPACE_WRAPPER");
    sensor.args(["--release", "--package", "metsuke-sensor", "--bin", "metsuke-sensor"]);
    steps::step("build the optimised sensor", sensor.args(build::locked()))?;
    let folder = together()?;
    let status = Command::new(place::binaries().join("metsuke-load"))
        .args(&options.rest)
        .env("METSUKE_BINARIES", &folder)
        .status()
        .context("cannot start metsuke-load")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A folder with links to all of the product, the optimised sensor among them.
fn together() -> Result<PathBuf> {
    let folder = place::target().join("load-binaries");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let optimised = place::target().join("release/metsuke-sensor");
    std::os::unix::fs::symlink(optimised, folder.join("metsuke-sensor"))?;
    for name in ["metsuke-server", "metsuke", "metsuke-demo"] {
        std::os::unix::fs::symlink(place::binaries().join(name), folder.join(name))?;
    }
    Ok(folder)
}
