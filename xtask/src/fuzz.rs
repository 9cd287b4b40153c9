//! `./x fuzz`: libFuzzer over the parsers of untrusted bytes, with the pinned stable toolchain.
//!
//! Coverage comes from LLVM's own pass, which stable rustc can switch on; so neither a nightly
//! toolchain nor cargo-fuzz is needed. There is no address sanitizer: the parsers are safe Rust,
//! and what is looked for is panics, hangs and memory out of bounds of the stated limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::tally::Tally;
use crate::{place, steps};

/// Flags that make the compiler count edges and comparisons for libFuzzer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks";

/// Seconds for one input before it counts as a hang.
const HANG_S: u32 = 10;
/// Memory for one input in MiB.
const MEMORY_MB: u32 = 2048;

/// Inputs of each target in `./x check`.
const BRIEF_RUNS: u64 = 20_000;
/// Seconds of each target in `./x check`.
const BRIEF_S: u64 = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// The target; without one all are listed.
    target: Option<String>,
    /// How many inputs to try.
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// Stop after this many seconds even if inputs are left.
    #[arg(long, default_value_t = 120)]
    max_total_time_s: u64,
}

/// Builds and runs one target. A crash leaves its input under `fuzz/artifacts/` in the target directory.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    let targets = targets()?;
    let Some(target) = &options.target else {
        println!("targets: {}", targets.join(", "));
        return Ok(ExitCode::SUCCESS);
    };
    if !targets.contains(target) {
        bail!("there is no target `{target}`; there are: {}", targets.join(", "));
    }
    build(target)?;
    let corpus = place::target().join("fuzz/corpus").join(target);
    let limits = [
        format!("-runs={}", options.runs),
        format!("-max_total_time={}", options.max_total_time_s),
    ];
    let status =
        fuzzer(target, &corpus)?.args(limits).status().context("cannot start the fuzzer")?;
    ensure!(
        status.success(),
        "the fuzzer found something: look under {}",
        artifacts(target).display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Part of `./x check` and `./x ci`: every target for a moment, when an earlier `./x fuzz` left
/// its build; from nothing the instrumented build would take minutes.
pub(crate) fn briefly(tally: &mut Tally) {
    let targets = match targets() {
        Ok(targets) => targets,
        Err(error) => return tally.record("fuzz targets", &Err(error)),
    };
    if let Some(reason) = missing(&targets, |target| binary(target).is_file()) {
        println!("NOT RUN: fuzz targets: {reason}");
        return tally.not_run("fuzz targets", &reason);
    }
    for target in &targets {
        tally.record(&format!("fuzz {target}"), &brief(target));
    }
}

/// Why the targets are not run, when one of them is not built.
fn missing(targets: &[String], built: impl Fn(&str) -> bool) -> Option<String> {
    let missing: Vec<_> =
        targets.iter().map(String::as_str).filter(|target| !built(target)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{} not built here, which takes minutes; `./x fuzz TARGET` does",
            missing.join(", ")
        )
    })
}

/// The same inputs every time, made from the committed ones alone: what fails here can be repeated.
fn brief(target: &str) -> Result<()> {
    build(target)?;
    let corpus = tempfile::tempdir()?;
    let mut command = fuzzer(target, corpus.path())?;
    command.args([
        format!("-runs={BRIEF_RUNS}"),
        format!("-max_total_time={BRIEF_S}"),
        "-seed=1".to_owned(),
    ]);
    steps::step(&format!("fuzz {target} for a moment"), &mut command)
}

/// The program of a target that is built; what it makes of its inputs goes to `corpus`.
fn fuzzer(target: &str, corpus: &Path) -> Result<Command> {
    let artifacts = artifacts(target);
    fs::create_dir_all(corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(binary(target));
    command
        .arg(format!("-timeout={HANG_S}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus)
        .args(seeds(target));
    Ok(command)
}

fn artifacts(target: &str) -> PathBuf {
    place::target().join("fuzz/artifacts").join(target)
}

/// The names of the targets: the files under `fuzz/fuzz_targets/`.
fn targets() -> Result<Vec<String>> {
    let folder = place::root().join("fuzz/fuzz_targets");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn build(target: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    steps::step(
        &format!("build the fuzz target {target}"),
        Command::new(cargo)
            .args(["build", "--release", "--target", TRIPLE, "--bin", target])
            .current_dir(place::root().join("fuzz"))
            .env("CARGO_TARGET_DIR", place::target().join("fuzz"))
            // Fast enough to fuzz, and built in a minute.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("RUSTFLAGS", COVERAGE),
    )
}

/// Named, so that the coverage flags reach no build script.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

fn binary(target: &str) -> PathBuf {
    place::target().join("fuzz").join(TRIPLE).join("release").join(target)
}

/// Committed inputs to begin with: the target's own, for Sigma the detections that ship.
fn seeds(target: &str) -> Vec<PathBuf> {
    let root = place::root();
    let mut folders = vec![root.join("fuzz/seeds").join(target)];
    if target == "sigma" {
        folders
            .extend(["filters", "models", "rules"].map(|layer| root.join("content").join(layer)));
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

#[cfg(test)]
mod tests {
    use super::{missing, seeds, targets};

    #[test]
    fn every_target_has_inputs_to_begin_with() {
        let targets = targets().expect("readable");
        assert!(targets.len() >= 2, "{targets:?}");
        for target in &targets {
            assert!(!seeds(target).is_empty(), "{target} begins with nothing");
        }
    }

    #[test]
    fn what_is_not_built_is_named() {
        let targets = ["link".to_owned(), "sigma".to_owned()];
        assert_eq!(missing(&targets, |_| true), None);
        let reason = missing(&targets, |target| target == "link").expect("one is not built");
        assert!(reason.starts_with("sigma not built here"), "{reason}");
    }
}
