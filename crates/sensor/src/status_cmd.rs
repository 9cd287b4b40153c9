//! `metsuke-sensor status`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use metsuke_guard::privileges::Privileges;
use metsuke_link::Identity;
use serde_json::json;

use crate::status::Status;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the sensor keeps its state.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also tell what it may do, and what for.
    #[arg(long)]
    privileges: bool,
}

/// Whether a sensor holds this state folder now.
fn is_running(state: &Path) -> bool {
    let lock = File::open(state.join(crate::run_cmd::LOCK));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let identity = Identity::load(&args.state)?;
    let running = is_running(&args.state);
    let status = Status::load(&args.state);
    if args.json {
        let document = json!({
            "endpoint": identity.endpoint,
            "server": identity.server,
            "running": running,
            "status": status,
        });
        println!("{}", serde_json::to_string_pretty(&document).context("printing the status")?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("endpoint     {}", identity.endpoint);
    println!("server       {}", identity.server);
    println!("running      {}", if running { "yes" } else { "no" });
    let Some(status) = status else {
        println!("it has not run here yet");
        return Ok(ExitCode::SUCCESS);
    };
    let health = &status.health;
    println!("said         {}", status.updated);
    println!("guard        {}", guard(&status));
    println!("link         {}", status.link);
    println!("scope        {}", status.scope);
    println!("enforcement  {}", status.enforcement);
    if let Some(coverage) = &status.coverage {
        println!("tier         {}", coverage.tier.number());
        for blind in &coverage.blind {
            println!("blind        {}: {}", blind.code, blind.reason);
        }
    }
    println!("activities   {} seen, {} lost", health.events_total, health.lost_total);
    for (kind, count) in &status.lost {
        println!("lost         {kind} {count}");
    }
    println!("spool        {} activities, {} bytes", health.spool_events, health.spool_bytes);
    for (name, help, count) in health.evictions.list() {
        if count > 0 {
            println!("let go       {name} {count}: {help}");
        }
    }
    println!(
        "indicators   {} activities asked of the server, {} met a block list",
        health.indicator_candidates, health.indicator_blocked
    );
    println!("lag          {} ms", health.lag_ms);
    println!("uses         {} ms CPU, {} bytes memory", health.cpu_ms, health.rss_bytes);
    for reason in &health.degraded {
        println!("degraded     {reason}");
    }
    if args.privileges {
        print_privileges(&status.privileges);
    }
    Ok(ExitCode::SUCCESS)
}

fn guard(status: &Status) -> String {
    status.guard.map_or_else(
        || "none: nobody starts it again when it ends".to_owned(),
        |pid| format!("process {pid}"),
    )
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_privileges(privileges: &Privileges) {
    let yes = |is: bool| if is { "yes" } else { "no" };
    println!("no new privileges  {}", yes(privileges.no_new_privileges));
    println!("filtered (seccomp) {}", yes(privileges.seccomp));
    for name in &privileges.effective {
        let why = metsuke_guard::privileges::reason(name).unwrap_or("not given up");
        println!("{name:22} {why}");
    }
}
