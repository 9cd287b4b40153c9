//! The audit subsystem, switched on, with auditd reading it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use metsuke_event::coverage::Outcome as Tried;
use metsuke_event::{Activity, Kind};
use metsuke_testkit::table::{Outcome, Table, row};
use metsuke_testkit::wait;

use super::run;
use super::watch::World;

const LOG: &str = "/var/log/audit/audit.log";
/// How long auditd may take to write what it was told.
const WRITTEN: Duration = Duration::from_secs(30);

pub(crate) fn beside_auditd(world: &mut World) -> Result<()> {
    let status = run("auditctl", &["-s"])?;
    ensure!(status.lines().any(|line| line == "enabled 1"), "audit is not switched on: {status}");
    let reader = super::property("auditd.service", "MainPID")?;
    ensure!(status.contains(&format!("pid {reader}")), "auditd is not the reader: {status}");
    let hooks = world.coverage().hooks;
    let hook = hooks.iter().find(|hook| hook.hook == "audit multicast").context("no such hook")?;
    ensure!(hook.outcome == Tried::Works, "{:?}", hook.outcome);
    world.role(&["audit", "metsuke-u", "192.0.2.7"])?;
    wait::until_true("auditd to write the message", WRITTEN, || {
        Ok(fs::read_to_string(LOG).unwrap_or_default().contains("acct=\"metsuke-u\""))
    })?;
    let event = world.find(Kind::UserLogonFailed, "a message", |event| {
        matches!(&event.activity, Activity::Logon(_, told)
            if told.user.as_deref() == Some("metsuke-u"))
    })?;
    let Activity::Logon(_, told) = &event.activity else { unreachable!("looked for above") };
    ensure!(told.source.as_deref() == Some("audit"), "{told:?}");
    ensure!(told.service.as_deref() == Some("sshd"), "{told:?}");
    ensure!(
        told.source_ip.map(|from| from.to_string()).as_deref() == Some("192.0.2.7"),
        "{told:?}"
    );
    let line = event.process.cmd_line.as_deref().unwrap_or_default();
    ensure!(line.contains("role audit"), "attributed to {line}");
    let reason = "user.logon_failed by the audit subsystem's messages, beside auditd";
    row(Table::Coverage, "Logon Failed", Outcome::Seen, reason);
    Ok(())
}
