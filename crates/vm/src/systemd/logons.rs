//! Logons by sshd, sudo and su.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use metsuke_event::{Activity, Event, Kind, Logon};
use metsuke_testkit::table::{Outcome, Table, row};

use super::watch::World;
use super::{put, run};

/// May do everything by sudo without a password.
const FREE: &str = "metsuke-a";
/// Is asked for a password.
const ASKED: &str = "metsuke-b";
const PASSWORD: &str = "right-1";
const WRONG: &str = "wrong-1";
const KEY: &str = "/root/metsuke-key";

fn logon(event: &Event) -> Option<&Logon> {
    match &event.activity {
        Activity::Logon(_, logon) => Some(logon),
        _ => None,
    }
}

fn of<'a>(user: &'a str, service: &'a str) -> impl Fn(&Event) -> bool + 'a {
    move |event| {
        logon(event).is_some_and(|told| {
            told.user.as_deref() == Some(user) && told.service.as_deref() == Some(service)
        })
    }
}

/// Two users with a password and a key, once.
fn users(world: &World) -> Result<()> {
    if std::path::Path::new(KEY).exists() {
        return Ok(());
    }
    let tries = "/etc/sudoers.d/metsuke-tries";
    put(tries, "Defaults passwd_tries=1\n")?;
    std::fs::set_permissions(tries, std::fs::Permissions::from_mode(0o440))?;
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", KEY])?;
    let key = std::fs::read_to_string(format!("{KEY}.pub"))?;
    for user in [FREE, ASKED] {
        // Among the watched, so that the sensor knows them.
        world.done("/usr/sbin/useradd", &["--create-home", "--shell", "/bin/sh", user])?;
        let folder = format!("/home/{user}/.ssh");
        std::fs::create_dir(&folder)?;
        put(&format!("{folder}/authorized_keys"), &key)?;
        put("/run/metsuke-password", &format!("{user}:{PASSWORD}\n"))?;
        run("sh", &["-c", "chpasswd < /run/metsuke-password"])?;
    }
    std::fs::remove_file("/run/metsuke-password")?;
    Ok(())
}

const OPTIONS: [&str; 6] = [
    "-oStrictHostKeyChecking=no",
    "-oUserKnownHostsFile=/dev/null",
    "-oLogLevel=ERROR",
    "-oConnectTimeout=60",
    "-oNumberOfPasswordPrompts=1",
    "-oPreferredAuthentications=password",
];

/// By key; gives what the far end says.
fn by_key(world: &World, user: &str, command: &str) -> Result<(bool, String)> {
    let to = format!("{user}@127.0.0.1");
    let mut words = vec!["-i", KEY, "-oBatchMode=yes"];
    words.extend(&OPTIONS[..4]);
    words.extend([to.as_str(), command]);
    world.act("/usr/bin/ssh", &words)
}

fn by_password(world: &World, user: &str, password: &str) -> Result<(bool, String)> {
    let to = format!("{user}@127.0.0.1");
    let mut words = vec!["-p", password, "ssh"];
    words.extend(OPTIONS);
    words.extend([to.as_str(), "true"]);
    world.act("/usr/bin/sshpass", &words)
}

/// Without logind everything stays in one group, so that "once" can be counted by one probe.
fn without_logind() -> Result<()> {
    run("systemctl", &["mask", "--runtime", "--now", "systemd-logind.service"]).map(drop)
}

pub(crate) fn sessions(world: &mut World) -> Result<()> {
    users(world)?;
    without_logind()?;
    let (well, said) = by_key(world, FREE, "sudo -n id -u")?;
    ensure!(well && said.trim() == "0", "sudo by key: {said}");
    let (well, said) = by_password(world, ASKED, PASSWORD)?;
    ensure!(well, "by password: {said}");
    world.done("/usr/bin/su", &[ASKED, "-c", "/bin/true"])?;
    for (user, service, from, actor) in [
        (FREE, "sshd", Some("127.0.0.1"), None),
        (ASKED, "sshd", Some("127.0.0.1"), None),
        ("root", "sudo", None, Some(FREE)),
        (ASKED, "su", None, Some("root")),
    ] {
        let event =
            world.find(Kind::UserLogon, &format!("{user} by {service}"), of(user, service))?;
        let told = logon(&event).context("no logon")?;
        let address = told.source_ip.map(|address| address.to_string());
        ensure!(address.as_deref() == from, "{told:?}");
        ensure!(told.user_id.is_some(), "{told:?}");
        ensure!(told.actor.as_deref() == actor, "{told:?}");
        let exe = event.process.exe.as_deref().unwrap_or_default();
        ensure!(exe.ends_with(service), "by {exe}, not {service}");
        world.find(Kind::UserLogoff, &format!("{user} by {service}"), of(user, service))?;
    }
    let all = world.all(|event| logon(event).is_some());
    ensure!(all.len() == 8, "each once, but: {}", list(&all));
    let reason = "by sshd (key, password), sudo and su: user, service, source address, who became";
    row(Table::Coverage, "User Logon", Outcome::Seen, &format!("user.logon {reason}"));
    row(Table::Coverage, "User Logoff", Outcome::Seen, &format!("user.logoff {reason}"));
    Ok(())
}

pub(crate) fn refusals(world: &mut World) -> Result<()> {
    let (well, _) = by_password(world, ASKED, WRONG)?;
    ensure!(!well, "a wrong password was taken");
    // A user who has no key asks to be root, and gives a wrong password.
    let (well, said) = by_key(world, ASKED, &format!("echo {WRONG} | sudo -S -k id"))?;
    ensure!(!well, "sudo took a wrong password: {said}");
    let (well, said) = by_key(world, ASKED, &format!("echo {WRONG} | su root -c id"))?;
    ensure!(!well, "su took a wrong password: {said}");
    for (user, service) in [(ASKED, "sshd"), (ASKED, "sudo"), ("root", "su")] {
        let what = format!("{user} by {service}");
        let event = world.find(Kind::UserLogonFailed, &what, of(user, service))?;
        let told = logon(&event).context("no logon")?;
        ensure!(told.reason.as_deref() == Some("authentication_failed"), "{told:?}");
        let address = told.source_ip.map(|address| address.to_string());
        ensure!(address.as_deref() == (service == "sshd").then_some("127.0.0.1"), "{told:?}");
    }
    let all = world.all(|event| event.activity.kind() == Kind::UserLogonFailed);
    ensure!(all.len() == 3, "each once, but: {}", list(&all));
    let reason = "user.logon_failed by sshd, sudo and su: user, service, source address, reason";
    row(Table::Coverage, "Logon Failed", Outcome::Seen, reason);
    Ok(())
}

pub(crate) fn moved(world: &mut World) -> Result<()> {
    run("systemctl", &["unmask", "--runtime", "systemd-logind.service"])?;
    run("systemctl", &["start", "systemd-logind.service"])?;
    world.forget();
    let (well, said) = by_key(world, FREE, "cat /proc/self/cgroup")?;
    ensure!(well && said.contains("/user.slice/"), "logind moved nobody: {said}");
    let event = world.find(Kind::UserLogon, "a logon", of(FREE, "sshd"))?;
    let told = logon(&event).context("no logon")?;
    ensure!(told.source_ip.is_some_and(|address| address.is_loopback()), "{told:?}");
    let in_session = |event: &Event| {
        let group = event.process.cgroup.as_deref().unwrap_or_default();
        event.process.cmd_line.as_deref() == Some("cat /proc/self/cgroup")
            && group.starts_with("/user.slice/")
            && group.contains("/session-")
    };
    world.find(Kind::ProcessExec, "what runs in the session", in_session)?;
    world.find(Kind::UserLogoff, "a logoff", of(FREE, "sshd"))?;
    Ok(())
}

fn list(events: &[Event]) -> String {
    let line = |event: &Event| {
        let (pid, exe) = (event.process.pid, &event.process.exe);
        format!("\n  {} {pid:?} {exe:?} {:?}", event.activity.kind().name(), logon(event))
    };
    events.iter().map(line).collect()
}
