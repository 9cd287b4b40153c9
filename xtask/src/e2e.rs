//! `./x e2e`: the console in Debian's Chromium against a real server and sensor, with the demo's
//! alerts in it.
//!
//! The browser's part is `console/e2e/`; this starts the product for it (by the same code as
//! `./x run`) and counts what it said.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::tally::Tally;
use crate::{build, node, place, steps};

/// Runs the command.
pub(crate) fn main() -> Result<ExitCode> {
    build::product()?;
    let tally = browser();
    println!("{}", tally.closing());
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The browser tests, counted.
pub(crate) fn browser() -> Tally {
    let mut tally = Tally::default();
    let chromium = Command::new("chromium").arg("--version").output();
    if !chromium.is_ok_and(|output| output.status.success()) {
        tally.not_run("browser tests", "chromium is not installed (Debian package chromium)");
        return tally;
    }
    if !place::root().join("console/e2e").is_dir() {
        tally.not_run("browser tests", "console/e2e does not exist");
        return tally;
    }
    match run(&mut tally) {
        Ok(()) => {}
        Err(error) => {
            eprintln!("x: {error:#}");
            tally.fail("browser tests");
        }
    }
    tally
}

fn run(tally: &mut Tally) -> Result<()> {
    node::ensure_modules()?;
    let (mut passed, mut failed) = (0, 0);
    let mut command = node::npm()?;
    command.args(["run", "--silent", "e2e"]).env("METSUKE_BIN_DIR", place::target().join("debug"));
    let (status, log, _) = steps::follow("run the browser tests", &mut command, |line| {
        tally.heard(line);
        match line.trim_start().split_once(' ') {
            Some(("ok" | "✓", _)) => passed += 1,
            Some(("not" | "✗", _)) => {
                eprintln!("{line}");
                failed += 1;
            }
            _ => {}
        }
    })?;
    tally.passed += passed;
    if failed > 0 || !status.success() {
        tally.fail(&format!("browser tests (the whole output is in {})", log.display()));
    }
    Ok(())
}
