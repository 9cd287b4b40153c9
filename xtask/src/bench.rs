//! `./x bench`: the project's measurements, each described in `docs/benchmarks.md`.
//!
//! Measurements use cargo's bench profile (optimised), never the profile of run and test.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{build, oracle, place, steps};

/// Tells the bench of the sensor which project to build.
const PROJECT: &str = "METSUKE_BENCH_PROJECT";

#[derive(Args)]
pub(crate) struct Options {
    /// What to measure.
    name: Name,
    /// Handed over to the measurement.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// What the sensor costs the programs it watches, and where it goes.
    Sensor,
    /// Events per CPU-second through the engine: the SigmaHQ set and the shipped content.
    Detect,
    /// Records per CPU-second out of files: Windows logs and JSON lines, and through the engine.
    Intake,
    /// Events per CPU-second into the lake, durable.
    Ingest,
    /// Questions over a filled lake.
    Search,
    /// Ten million indicators: memory, time to load, nanoseconds a look-up.
    Intel,
    /// Ten million indicators through the catalog: taking in, memory, restart, look-ups.
    Indicators,
}

impl Name {
    /// The package and the bench target that measure it.
    const fn target(self) -> (&'static str, &'static str) {
        match self {
            Self::Sensor => ("metsuke-probe", "sensor"),
            Self::Detect => ("metsuke-detect", "detect"),
            Self::Intake => ("metsuke-intake", "intake"),
            Self::Ingest => ("metsuke-lake", "ingest"),
            Self::Search => ("metsuke-lake", "search"),
            Self::Intel => ("metsuke-intel", "intel"),
            Self::Indicators => ("metsuke-indicators", "catalog"),
        }
    }
}

/// Builds and runs one measurement; its table goes to the terminal as it is.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let (package, target) = options.name.target();
    steps::step(&format!("build the bench {target}"), bench(package, target).arg("--no-run"))?;
    let mut command: Command = bench(package, target);
    command.arg("--quiet").arg("--").args(&options.rest);
    if let Some(data) = place::shared_data() {
        command.env("METSUKE_SHARED_DATA", data);
    }
    if matches!(options.name, Name::Sensor)
        && std::env::var_os(PROJECT).is_none()
        && let Some(project) = project()
    {
        command.env(PROJECT, project);
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "the bench ended with {status}");
    if matches!(options.name, Name::Detect) && place::shared_data().is_some() {
        return oracle::run("bench", &[]);
    }
    Ok(ExitCode::SUCCESS)
}

/// The C sources of zstd, which a dependency of ours brings along: a real project of forty files
/// that needs nothing but a C compiler. `None` where cargo has not fetched it.
fn project() -> Option<PathBuf> {
    let mut metadata = build::cargo("metadata");
    metadata.args(["--format-version", "1", "--offline"]);
    let answer: Value = serde_json::from_slice(&metadata.output().ok()?.stdout).ok()?;
    let packages = answer["packages"].as_array()?;
    let found = packages.iter().find(|package| package["name"] == "zstd-sys")?;
    let sources = Path::new(found["manifest_path"].as_str()?).parent()?.join("zstd/lib");
    sources.is_dir().then_some(sources)
}

fn bench(package: &str, target: &str) -> Command {
    let mut command = build::cargo("bench");
    // Plain rustc: clippy's driver holds back optimisations.
    command.env_remove("RUSTC_WORKSPACE_WRAPPER");
    command.args(["--package", package, "--bench", target]).args(build::locked());
    command
}
