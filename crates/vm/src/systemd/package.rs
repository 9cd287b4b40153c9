//! The project's own package: installed, killed, removed, with systemd doing its part.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use metsuke_testkit::wait;
use serde_json::Value;

use super::sink::Sink;
use super::{property, put, run};

const UNIT: &str = "metsuke-sensor.service";
const PACKAGE: &str = "/payload/metsuke-sensor.deb";
const PROGRAM: &str = "/usr/bin/metsuke-sensor";
const STATE: &str = "/var/lib/metsuke";
/// How long the sensor may take to watch, on an emulated machine.
const READY: Duration = Duration::from_secs(300);

pub(crate) fn whole() -> Result<()> {
    let sink = Sink::start(Path::new("/run/metsuke-sink"))?;
    run("dpkg", &["--install", PACKAGE])?;
    ensure!(property(UNIT, "UnitFileState")? == "enabled", "it is not enabled");
    ensure!(property(UNIT, "ActiveState")? == "inactive", "it started without an identity");
    // What it may act on is no more than what it watches.
    put("/etc/metsuke/sensor.json", "{\"scope\": \"/sys/fs/cgroup/system.slice\"}\n")?;
    put("/run/metsuke-token", "any\n")?;
    // Emulated, everything takes ten times as long or more.
    let folder = format!("/etc/systemd/system/{UNIT}.d");
    fs::create_dir_all(&folder)?;
    put(&format!("{folder}/slow.conf"), "[Service]\nTimeoutStartSec=900\nTimeoutStopSec=900\n")?;
    run("systemctl", &["daemon-reload"])?;
    let words = ["--server", &sink.address, "--ca-fingerprint", &sink.fingerprint];
    let install = [&["install", "--token-file", "/run/metsuke-token"], &words[..]].concat();
    run(PROGRAM, &install).map_err(with_log)?;
    watching(&sink, 1)?;
    is_confined()?;
    notifies()?;
    restarts(&sink)?;
    leaves(&sink)?;
    run("dpkg", &["--purge", "metsuke-sensor"])?;
    fs::remove_dir_all(&folder)?;
    run("systemctl", &["daemon-reload"])?;
    nothing_left()
}

fn until(what: &str, holds: impl FnMut() -> Result<bool>) -> Result<()> {
    wait::until_true(what, READY, holds).map_err(with_log)
}

/// What the unit said stands beside what went wrong.
fn with_log(error: anyhow::Error) -> anyhow::Error {
    let log = run("journalctl", &["--no-pager", "--output=cat", "-n", "40", "-u", UNIT]);
    error.context(log.unwrap_or_default())
}

/// The unit is active, and the sensor has said so often hello to the server, and sent events.
fn watching(sink: &Sink, hellos: u64) -> Result<()> {
    until("the unit to be active", || Ok(property(UNIT, "ActiveState")? == "active"))?;
    until("a session with the server", || Ok(sink.came.hellos.load(Ordering::Relaxed) >= hellos))?;
    let before = sink.came.events.load(Ordering::Relaxed);
    until("events at the server", || Ok(sink.came.events.load(Ordering::Relaxed) > before))
}

/// Under the unit's restrictions the sensor has the same tier as without.
fn is_confined() -> Result<()> {
    let status: Value =
        serde_json::from_str(&run(PROGRAM, &["status", "--json", "--state", STATE])?)?;
    let alone: Value = serde_json::from_str(&run(PROGRAM, &["probe", "--json"])?)?;
    let tier = find(&status, "tier").context("a status without a tier")?;
    ensure!(
        Some(tier) == alone.get("tier"),
        "tier {tier} in the unit, {:?} without",
        alone["tier"]
    );
    println!("vm: tier {tier} under the unit");
    run("systemctl", &["status", "--no-pager", UNIT]).map(drop)
}

/// The first value called `name`, wherever.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => {
            fields.get(name).or_else(|| fields.values().find_map(|value| find(value, name)))
        }
        _ => None,
    }
}

/// systemd hears the watchdog.
fn notifies() -> Result<()> {
    let heard = || property(UNIT, "WatchdogTimestampMonotonic");
    let first = heard()?;
    until("the watchdog to be heard again", || Ok(heard()? != first))
}

/// Killed, it is started again: the sensor by its guard, the guard by systemd.
fn restarts(sink: &Sink) -> Result<()> {
    let guard = property(UNIT, "MainPID")?;
    let children = || -> Result<String> {
        let at = format!("/proc/{guard}/task/{guard}/children");
        Ok(fs::read_to_string(at)?.trim().to_owned())
    };
    let sensor = children()?;
    run("kill", &["-KILL", sensor.split(' ').next().context("the guard is alone")?])?;
    until("another sensor", || Ok(!children()?.is_empty() && children()? != sensor))?;
    watching(sink, 2)?;
    ensure!(property(UNIT, "MainPID")? == guard, "the guard is another one");
    run("kill", &["-KILL", &guard])?;
    until("another guard", || {
        let now = property(UNIT, "MainPID")?;
        Ok(now != guard && now != "0")
    })?;
    watching(sink, 3)?;
    ensure!(property(UNIT, "NRestarts")? == "1", "{} restarts", property(UNIT, "NRestarts")?);
    Ok(())
}

/// Uninstalled with the server's leave, and with no other.
fn leaves(sink: &Sink) -> Result<()> {
    const FILE: &str = "/run/metsuke-leave";
    let leave = sink.leave()?;
    let forged = leave.replacen('1', "2", 1);
    put(FILE, &forged)?;
    let refused = run(PROGRAM, &["uninstall", "--token-file", FILE]);
    ensure!(refused.is_err(), "uninstalled with a forged leave");
    ensure!(property(UNIT, "ActiveState")? == "active", "a forged leave stopped it");
    put(FILE, &leave)?;
    run(PROGRAM, &["uninstall", "--token-file", FILE]).map_err(with_log)?;
    ensure!(fs::symlink_metadata(PROGRAM).is_err(), "{PROGRAM} is left");
    ensure!(property(UNIT, "ActiveState")? != "active", "the unit goes on");
    Ok(())
}

fn nothing_left() -> Result<()> {
    let paths = [PROGRAM, STATE, "/etc/metsuke", "/etc/init.d/metsuke-sensor"];
    for path in paths.iter().copied().chain(["/lib/systemd/system/metsuke-sensor.service"]) {
        ensure!(fs::symlink_metadata(path).is_err(), "{path} is left");
    }
    ensure!(property(UNIT, "LoadState")? == "not-found", "the unit is still known");
    for entry in fs::read_dir("/proc")?.flatten() {
        let exe = fs::read_link(entry.path().join("exe")).unwrap_or_default();
        ensure!(!exe.starts_with(PROGRAM), "{} still runs", entry.path().display());
    }
    Ok(())
}
