//! `metsuke-sensor supervise`: the guard of a sensor, a small process of its own.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;
use metsuke_guard::{Charge, supervise};

use crate::config::Config;
use crate::{log_to_stderr, run_cmd};

/// Guards a sensor with these arguments until told to stop.
///
/// # Errors
/// When the sensor could not even be started: what is wrong with its arguments is said here.
pub(crate) fn run(args: &run_cmd::Args) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    // What a person has to repair is said once, not by a sensor that is started again and again.
    Config::load(args.config())?;
    metsuke_link::Identity::load(args.state())?;
    let program = std::env::current_exe().context("this program's own path is not known")?;
    // After this program was replaced on disk the kernel names the old one thus.
    let path = program.to_string_lossy();
    let program = path.strip_suffix(" (deleted)").map_or(program.clone(), Into::into);
    let supervise_args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let run = supervise_args.iter().skip(1).cloned().collect();
    let charge = Charge { program, run, supervise: supervise_args };
    let code = supervise(charge).context("the sensor cannot be guarded")?;
    Ok(ExitCode::from(code))
}
