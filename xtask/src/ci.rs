//! `./x ci`: everything, in the order in which it fails soonest, each artefact built once.
//!
//! The closing line counts everything that ran; the exit code is 0 only when nothing failed.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::tally::Tally;
use crate::{build, check, doctor, e2e, run, test};

/// Runs everything.
pub(crate) fn main() -> Result<ExitCode> {
    let start = Instant::now();
    let mut tally = Tally::default();
    tally.add(check::sources());
    let built = build::product();
    tally.record("build the product", &built);
    if built.is_ok() {
        tally.add(check::compiled());
        match test::all() {
            Ok(tests) => tally.add(tests),
            Err(error) => tally.record("tests", &Err(error)),
        }
        tally.record("./x run --demo --once", &demo());
        tally.add(e2e::browser());
    }
    doctor::keep_cache_small()?;
    println!("ci took {} s", start.elapsed().as_secs());
    println!("{}", tally.closing());
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The harmless intrusion, caught; and its benign twin, quiet.
fn demo() -> Result<()> {
    let code = run::main(&["--demo".to_owned(), "--once".to_owned()])?;
    anyhow::ensure!(code == ExitCode::SUCCESS, "it ended with a failure");
    Ok(())
}
