//! `./x run`: the whole product on this host, and the demo.
//!
//! Builds, starts `metsuke-server` and one enrolled `metsuke-sensor` as child processes, says where
//! the console is and what the sensor cannot see, and stays with a live status line until Ctrl-C.
//! `run::world` starts and stops, `run::show` speaks, `run::demo` plays and judges.
//! Invariant: whatever was started here is stopped on every way out, also when the terminal goes
//! away: first the sensor (it drains its spool), then the server (it flushes).

mod demo;
mod show;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{build, steps};

/// Build and start server and sensor on this host; default policy: detect, never block.
///
/// With `METSUKE_BINARIES` the programs in that folder are used, and nothing is built.
#[derive(Clone, Debug, Parser)]
#[command(name = "./x run", bin_name = "./x run")]
pub(crate) struct Options {
    /// Play a harmless intrusion and its benign twin in a control group of their own, and print
    /// the alerts with links.
    #[arg(long)]
    demo: bool,
    /// With --demo: end after it, with 0 only if every expected alert came in time, every process
    /// of the demo is in the tree, a bystander is not, and the twin raised nothing.
    #[arg(long, requires = "demo")]
    once: bool,
    /// Draws the demo's names, ways and order; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// Where server and sensor keep their data; with --once a temporary folder, otherwise
    /// `$XDG_STATE_HOME/metsuke` (`~/.local/state/metsuke`).
    #[arg(long)]
    data: Option<PathBuf>,
    /// Port of console and API; 7680 by default, any free one with --once. The link takes the
    /// next port, or any free one with --once, and keeps it in later runs with the same data.
    #[arg(long)]
    port: Option<u16>,
    /// A control group (v2): the sensor watches and acts only there.
    #[arg(long)]
    scope_cgroup: Option<PathBuf>,
    /// The best tier the sensor may use (2 or 3).
    #[arg(long)]
    max_tier: Option<u8>,
    /// Start the sensor over a control group in which nothing runs: it sees nothing, and with
    /// --once the demo must fail.
    #[arg(long)]
    no_probes: bool,
}

/// Runs with the arguments that came after `run`.
///
/// # Errors
/// When something does not build, start, or stop.
pub(crate) fn main(arguments: &[String]) -> Result<ExitCode> {
    let options = match Options::try_parse_from(
        std::iter::once("./x run").chain(arguments.iter().map(String::as_str)),
    ) {
        Ok(options) => options,
        Err(message) => {
            message.print()?;
            return Ok(ExitCode::from(if message.use_stderr() { 2 } else { 0 }));
        }
    };
    match std::env::var_os("METSUKE_BINARIES") {
        Some(folder) => steps::say(&format!("using the programs in {}", folder.display())),
        None => build::product()?,
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("watching for Ctrl-C")?;
    }
    let mut world = world::World::start(&options, &stop)?;
    let outcome = until_it_ends(&mut world, &options, &stop);
    let stopped = world.stop();
    if let (Err(_), Err(error)) = (&outcome, &stopped) {
        steps::say(&format!("and stopping it: {error:#}"));
    }
    let code = outcome?;
    stopped?;
    Ok(code)
}

fn until_it_ends(
    world: &mut world::World,
    options: &Options,
    stop: &AtomicBool,
) -> Result<ExitCode> {
    show::welcome(world);
    let outcome =
        if options.demo { demo::play(world, options, stop) } else { Ok(ExitCode::SUCCESS) };
    if !options.once && !stop.load(Ordering::Acquire) {
        if let Err(error) = &outcome {
            steps::say(&format!("the demo did not run to its end: {error:#}"));
        }
        stay(world, stop)?;
    }
    outcome
}

fn stay(world: &mut world::World, stop: &AtomicBool) -> Result<()> {
    let line = show::StatusLine::new();
    while !stop.load(Ordering::Acquire) {
        world.must_run()?;
        line.draw(world);
        // The line is for eyes; nothing waits for this pause.
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
