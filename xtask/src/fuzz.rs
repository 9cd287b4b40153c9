//! `./x fuzz`: libFuzzer over the parsers of untrusted bytes, with the pinned stable toolchain.
//!
//! Coverage comes from LLVM's own pass, which stable rustc can switch on; so neither a nightly
//! toolchain nor cargo-fuzz is needed. There is no address sanitizer: the parsers are safe Rust,
//! and what is looked for is panics, hangs and memory out of bounds of the stated limits.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{place, steps};

/// Flags that make the compiler count edges and comparisons for libFuzzer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks";

/// Seconds for one input before it counts as a hang.
const HANG_S: u32 = 10;
/// Memory for one input in MiB.
const MEMORY_MB: u32 = 2048;

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
    let folder = place::target().join("fuzz");
    let (corpus, artifacts) =
        (folder.join("corpus").join(target), folder.join("artifacts").join(target));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let status = Command::new(binary(target))
        .arg(format!("-runs={}", options.runs))
        .arg(format!("-max_total_time={}", options.max_total_time_s))
        .arg(format!("-timeout={HANG_S}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&corpus)
        .args(seeds(target))
        .status()
        .context("cannot start the fuzzer")?;
    ensure!(status.success(), "the fuzzer found something: look under {}", artifacts.display());
    Ok(ExitCode::SUCCESS)
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

fn binary(target: &str) -> std::path::PathBuf {
    place::target().join("fuzz").join(TRIPLE).join("release").join(target)
}

/// Committed inputs to begin with.
fn seeds(target: &str) -> Option<std::path::PathBuf> {
    let path = place::root().join("fuzz/seeds").join(target);
    path.is_dir().then_some(path)
}
