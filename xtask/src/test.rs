//! `./x test`: builds everything once, runs the tests of Rust and console, and tells what did not
//! run.
//!
//! Rust tests go through cargo-nextest where it is installed, else through `cargo test`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::tally::Tally;
use crate::{build, node, place, steps, vm};

#[derive(Args)]
pub(crate) struct Options {
    /// Only this package; give it several times for several.
    #[arg(short, long, value_name = "PACKAGE")]
    package: Vec<String>,
    /// Only the tests in virtual machines: tier 1 and drivers, on Debian's kernels.
    #[arg(long)]
    vm: bool,
    /// With --vm, only the Debian with systemd: services, logons, audit, containers, the package.
    #[arg(long, requires = "vm")]
    systemd: bool,
    /// Only tests whose name holds this text.
    filter: Option<String>,
}

/// Runs the command; the exit code tells whether all that ran passed.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if options.vm {
        let lanes = if options.systemd {
            vm::Lanes::Systemd { only: options.filter.as_deref() }
        } else {
            vm::Lanes::All
        };
        let tally = vm::main(lanes)?;
        println!("{}", tally.closing());
        return Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut tally = Tally::default();
    let narrowed = !options.package.is_empty() || options.filter.is_some();
    if !narrowed {
        // The end-to-end tests start these binaries.
        build::product()?;
        tally.add(console());
        tally.add(scanner()?);
    }
    tally.add(rust(options)?);
    println!("{}", tally.closing());
    crate::doctor::keep_cache_small()?;
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything, for `ci`; the binaries are built already.
///
/// # Errors
/// The tests do not build.
pub(crate) fn all() -> Result<Tally> {
    let mut tally = console();
    tally.add(scanner()?);
    tally.add(rust(&Options { package: Vec::new(), vm: false, systemd: false, filter: None })?);
    Ok(tally)
}

fn rust(options: &Options) -> Result<Tally> {
    let selection = selection(options);
    steps::step(
        "build the Rust tests",
        build::cargo("test")
            .args(["--no-run", "--all-targets"])
            .args(&selection)
            .args(build::locked()),
    )?;
    if has_nextest() { nextest(options, &selection) } else { cargo_test(options, &selection) }
}

fn selection(options: &Options) -> Vec<String> {
    if options.package.is_empty() {
        return vec!["--workspace".to_owned()];
    }
    options.package.iter().flat_map(|package| ["--package".to_owned(), package.clone()]).collect()
}

fn has_nextest() -> bool {
    Command::new("cargo")
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn product_paths(command: &mut Command) -> &mut Command {
    command.env("METSUKE_BINARIES", place::binaries()).env("RUST_BACKTRACE", "1")
}

fn nextest(options: &Options, selection: &[String]) -> Result<Tally> {
    let mut command = build::cargo("nextest");
    command
        .args(["run", "--no-fail-fast", "--no-tests", "pass", "--color", "never"])
        .args(["--success-output", "immediate", "--failure-output", "immediate"])
        .args(selection)
        .args(build::locked())
        .args(&options.filter);
    let mut tally = Tally::default();
    let mut shown = false;
    let mut summary = None;
    let (status, log, _) =
        steps::follow("run the Rust tests", product_paths(&mut command), |line| {
            tally.heard(line);
            let word = line.split_whitespace().next().unwrap_or_default();
            match word {
                "PASS" => shown = false,
                // `FLAKY` passed at its second try: shown, so that nobody overlooks it.
                "FLAKY" => {
                    eprintln!("{line}");
                    tally.second_try(test_of(line));
                }
                "TRY" => shown = true,
                "FAIL" | "TIMEOUT" | "ABORT" | "SIGKILL" | "SIGSEGV" | "SIGABRT" => {
                    shown = true;
                }
                "Summary" => {
                    summary = Some(line.to_owned());
                    shown = false;
                }
                _ => {}
            }
            if shown {
                eprintln!("{line}");
            }
        })?;
    let counts = summary.as_deref().map(nextest_counts).unwrap_or_default();
    tally.passed = counts.0;
    tally.skipped = counts.2;
    add_failures(&mut tally, counts.1, status.success(), &log);
    Ok(tally)
}

/// The test's name at the end of `FLAKY 2/2 [ 1.2s] (3/9) metsuke-e2e::product a_test`.
fn test_of(line: &str) -> &str {
    let rest = line.rsplit_once("] ").map_or(line, |(_, rest)| rest);
    rest.rsplit_once(") ").map_or(rest, |(_, rest)| rest).trim()
}

/// Reads `Summary [ 1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`.
fn nextest_counts(line: &str) -> (usize, usize, usize) {
    let count_before = |word: &str| {
        line.split([',', ':', ']'])
            .filter(|part| part.split_whitespace().nth(1) == Some(word))
            .find_map(|part| part.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    (
        count_before("passed"),
        count_before("failed") + count_before("timed") + count_before("exec"),
        count_before("skipped"),
    )
}

/// The tests of `metsuke-yara`, which is a workspace of its own.
fn scanner() -> Result<Tally> {
    let mut command = build::scanner_cargo("test");
    command.args(["--no-fail-fast", "--bins"]).args(build::locked()).args(["--", "--show-output"]);
    libtest("run the YARA scanner's tests", &mut command)
}

fn cargo_test(options: &Options, selection: &[String]) -> Result<Tally> {
    let mut command = build::cargo("test");
    command
        .args(["--no-fail-fast", "--lib", "--bins", "--tests", "--examples"])
        .args(selection)
        .args(build::locked())
        .args(&options.filter)
        .args(["--", "--show-output"]);
    libtest("run the Rust tests", product_paths(&mut command))
}

/// Runs `cargo test` as the step `name` and counts what it says.
///
/// # Errors
/// It cannot be started.
pub(crate) fn libtest(name: &str, command: &mut Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut failed = 0;
    let (status, log, _) = steps::follow(name, command, |line| {
        tally.heard(line);
        if let Some(counts) = line.strip_prefix("test result: ") {
            let (passed, bad, ignored) = libtest_counts(counts);
            tally.passed += passed;
            tally.skipped += ignored;
            failed += bad;
        } else if line.ends_with("... FAILED") || line.contains("panicked at") {
            eprintln!("{line}");
        }
    })?;
    add_failures(&mut tally, failed, status.success(), &log);
    Ok(tally)
}

/// Reads `ok. 3 passed; 1 failed; 0 ignored; 0 measured; …`.
fn libtest_counts(text: &str) -> (usize, usize, usize) {
    let text = text.trim_start_matches("ok. ").trim_start_matches("FAILED. ");
    let count = |word: &str| {
        text.split(';')
            .filter_map(|part| part.trim().split_once(' '))
            .find(|(_, name)| *name == word)
            .and_then(|(number, _)| number.parse().ok())
            .unwrap_or(0)
    };
    (count("passed"), count("failed"), count("ignored"))
}

fn add_failures(tally: &mut Tally, failed: usize, good: bool, log: &std::path::Path) {
    if failed > 0 || !good {
        tally.fail(&format!("Rust tests (the whole output is in {})", log.display()));
        // `fail` counted one.
        tally.failed += failed.saturating_sub(1);
    }
}

/// The console's unit tests, counted from vitest's report.
fn console() -> Tally {
    let mut tally = Tally::default();
    if !place::root().join("console/package.json").is_file() {
        tally.not_run("console unit tests", "there is no console folder");
        return tally;
    }
    let report = place::log("console-tests").with_extension("json");
    if let Err(error) = run_vitest(&report) {
        eprintln!("x: {error:#}");
    }
    match vitest_counts(&report) {
        Some((passed, failed, skipped)) => {
            tally.passed = passed;
            tally.skipped = skipped;
            if failed > 0 {
                tally.fail("console unit tests");
                tally.failed += failed - 1;
            }
        }
        None => tally.fail("console unit tests"),
    }
    tally
}

fn run_vitest(report: &PathBuf) -> Result<()> {
    if report.exists() {
        std::fs::remove_file(report)?;
    }
    node::ensure_modules()?;
    let output = format!("--outputFile.json={}", report.display());
    steps::step(
        "run the console's unit tests",
        node::npx()?.args([
            "--no-install",
            "vitest",
            "run",
            "--reporter=default",
            "--reporter=json",
            &output,
        ]),
    )
}

fn vitest_counts(report: &PathBuf) -> Option<(usize, usize, usize)> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(report).ok()?).ok()?;
    let number = |name: &str| usize::try_from(json.get(name)?.as_u64()?).ok();
    let failed = number("numFailedTests")?
        + usize::from(
            json.get("success") != Some(&true.into()) && number("numFailedTests") == Some(0),
        );
    Some((number("numPassedTests")?, failed, number("numPendingTests")?))
}

#[cfg(test)]
mod tests {
    use super::{libtest_counts, nextest_counts, test_of};

    #[test]
    fn closing_lines_are_read() {
        let check = |line: &str, expect| assert_eq!(nextest_counts(line), expect, "{line}");
        check("     Summary [   0.5s] 12 tests run: 12 passed, 0 skipped", (12, 0, 0));
        check(
            "     Summary [   1.2s] 3 tests run: 2 passed (1 slow), 1 failed, 7 skipped",
            (2, 1, 7),
        );
        check(
            "     Summary [   1.2s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped",
            (1, 2, 0),
        );
        for line in ["  FLAKY 2/2 [   0.2s] (3/9) a::b c", "  FLAKY 2/2 [   0.2s] a::b c"] {
            assert_eq!(test_of(line), "a::b c");
        }
        let check = |line: &str, expect| assert_eq!(libtest_counts(line), expect, "{line}");
        check(
            "ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            (5, 0, 1),
        );
        check("FAILED. 4 passed; 2 failed; 0 ignored; 0 measured", (4, 2, 0));
    }
}
