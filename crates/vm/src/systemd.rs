//! The suite on a Debian with systemd as process 1: services, logons, audit, containers and the
//! project's own package, as an administrator has them.
//!
//! Runs as a unit in a slice of its own. What is watched are `system.slice` and, for the sessions
//! that logind moves there, `user.slice`; the deeds are done in a group below the first.

mod audit;
mod container;
mod logons;
mod package;
mod services;
mod sink;
mod watch;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::init;
use crate::suite::{named, tell};
use watch::World;

/// Where rows of tables are written before they are told; the unit names it too.
const ROWS: &str = "/run/metsuke-rows";

type Case = fn(&mut World) -> Result<()>;

const CASES: &[(&str, Case)] = &[
    ("a unit is written, changed, enabled, disabled and removed", services::definitions),
    ("services are started, restarted, stopped, and fail", services::states),
    ("a timer is written and starts its service", services::timers),
    ("a service that is over within a moment is told", services::quick),
    ("sshd, sudo and su are logons, each told once", logons::sessions),
    ("what sshd, sudo and su refuse is told once", logons::refusals),
    ("a session that logind moves is told", logons::moved),
    ("audit messages are told, and auditd has them too", audit::beside_auditd),
    ("a container of runc is told with its id and namespaces", container::of_runc),
];

/// Has a sensor of its own.
const PACKAGE: &str = "the package runs under systemd";

pub(crate) fn main() -> ExitCode {
    if let Err(error) = fs::create_dir_all(ROWS) {
        println!("vm: {ROWS}: {error}");
    }
    // Before systemd has started all else, what is watched would be the boot.
    let settled = run("systemctl", &["is-system-running", "--wait"]);
    if let Err(error) = settled {
        println!("vm: {error:#}");
    }
    let only = only();
    let wanted = |name: &str| only.as_deref().is_none_or(|word| name.contains(word));
    if CASES.iter().any(|(name, _)| wanted(name)) {
        watched(&wanted);
    }
    if wanted(PACKAGE) {
        tell(PACKAGE, &named(PACKAGE, package::whole));
    }
    init::tell_rows(Path::new(ROWS));
    init::report(Path::new("/payload/sensor"));
    init::off()
}

/// The cases that need a probe.
fn watched(wanted: &dyn Fn(&str) -> bool) {
    let world = World::new();
    let started = world.as_ref().map(drop).map_err(|error| anyhow::anyhow!("{error:#}"));
    tell("the sensor watches the services", &started);
    let Ok(mut world) = world else { return };
    for (name, body) in CASES.iter().filter(|(name, _)| wanted(name)) {
        world.forget();
        let outcome = named(name, || body(&mut world));
        tell(name, &outcome);
    }
}

/// A word that the names of cases must hold, from the kernel's command line.
fn only() -> Option<String> {
    let line = fs::read_to_string("/proc/cmdline").ok()?;
    line.split_whitespace().find_map(|word| word.strip_prefix("metsuke.only=")).map(str::to_owned)
}

/// Runs a program of the machine and gives what it says.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{program} {}: {}: {text}{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// A property of a unit.
fn property(unit: &str, name: &str) -> Result<String> {
    Ok(run("systemctl", &["show", "--value", "--property", name, unit])?.trim().to_owned())
}

fn put(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.to_owned())
}
