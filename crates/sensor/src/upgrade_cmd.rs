//! `metsuke-sensor upgrade`: has the program that is on disk now take over from a guarded sensor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::status::Status;

/// How long the new sensor may take to watch, and the old one to let go.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the status is read meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `upgrade`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the sensor keeps its state.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

/// Asks the guard, and waits until another process says that it watches.
///
/// # Errors
/// When no guarded sensor runs there, or the new one does not take over in time.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let before = Status::load(&args.state)
        .with_context(|| format!("no sensor has run with {}", args.state.display()))?;
    let guard = before.guard.context(
        "the sensor runs without a guard; stop it and start it anew, or run it by \
         `metsuke-sensor supervise`",
    )?;
    let is_it = || metsuke_enforce::host::cmd_line(guard).contains(" supervise");
    metsuke_guard::hang_up(guard, is_it).with_context(|| {
        format!("the guard (process {guard}) is not there any more; start the service")
    })?;
    let after = wait(&args.state, before.pid)?;
    println!("process {} has taken over from {}", after.pid, before.pid);
    Ok(ExitCode::SUCCESS)
}

fn wait(state: &Path, before: u32) -> anyhow::Result<Status> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = Status::load(state).filter(|status| status.pid != before) {
            return Ok(status);
        }
        std::thread::sleep(LOOK);
    }
    anyhow::bail!(
        "no other sensor has taken over within {} s; the present one goes on, and its log says why",
        PATIENCE.as_secs()
    )
}
