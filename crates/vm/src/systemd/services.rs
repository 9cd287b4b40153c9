//! Services, units and timers.

use anyhow::{Context, Result, ensure};
use metsuke_event::{Activity, Event, Kind, Persistence, Service};
use metsuke_testkit::table::{Outcome, Table, row};

use super::property;
use super::watch::World;

const FOLDER: &str = "/etc/systemd/system";
const NAME: &str = "metsuke-t.service";

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

fn unit(command: &str) -> String {
    format!(
        "[Service]\nExecStart={command}\nUser=nobody\n\n[Install]\nWantedBy=multi-user.target\n"
    )
}

fn service(event: &Event) -> Option<&Service> {
    match &event.activity {
        Activity::Service(_, service) => Some(service),
        _ => None,
    }
}

fn named(name: &str) -> impl Fn(&Event) -> bool {
    move |event| service(event).is_some_and(|service| service.name.as_deref() == Some(name))
}

fn told(world: &mut World, kind: Kind, name: &str, state: Option<&str>) -> Result<Service> {
    let what = format!("{name} {}", state.unwrap_or_default());
    let fits = |event: &Event| {
        named(name)(event)
            && (state.is_none() || service(event).and_then(|told| told.state.as_deref()) == state)
    };
    let event = world.find(kind, &what, fits)?;
    ensure!(event.process.pid.is_some(), "{what}: nobody did it");
    service(&event).cloned().context("no service")
}

pub(crate) fn definitions(world: &mut World) -> Result<()> {
    let at = path(NAME);
    world.role(&["write", &at, &unit("/bin/sleep 1000001")])?;
    let made = told(world, Kind::ServiceCreate, NAME, None)?;
    ensure!(made.command.as_deref() == Some("/bin/sleep 1000001"), "{made:?}");
    ensure!(made.user.as_deref() == Some("nobody"), "{made:?}");
    ensure!(made.path.as_deref() == Some(at.as_str()), "{made:?}");
    let added = "+ExecStart=/bin/sleep 1000001";
    ensure!(made.diff.as_deref().is_some_and(|diff| diff.contains(added)), "{made:?}");
    world.role(&["append", &at, "# changed\n"])?;
    let fits = |event: &Event| {
        let diff = service(event).and_then(|service| service.diff.as_deref());
        named(NAME)(event) && diff.is_some_and(|diff| diff.contains("+# changed"))
    };
    world.find(Kind::ServiceModify, "the changed unit", fits)?;
    // Asked over the bus, process 1 makes the links itself, and it is in no slice that is watched.
    for (order, state) in [("enable", "enabled"), ("disable", "disabled")] {
        world.done("/bin/systemctl", &["--root=/", order, NAME])?;
        told(world, Kind::ServiceModify, NAME, Some(state))?;
    }
    world.role(&["remove", &at])?;
    let gone = told(world, Kind::ServiceDelete, NAME, None)?;
    let removed = "-ExecStart=/bin/sleep 1000001";
    ensure!(gone.diff.as_deref().is_some_and(|diff| diff.contains(removed)), "{gone:?}");
    for (name, kind) in [
        ("Service Creation", "service.create"),
        ("Service Modification", "service.modify, also enabled and disabled"),
        ("Service Deletion", "service.delete"),
    ] {
        let reason = format!("{kind}: a unit of systemd, with command, user and difference");
        row(Table::Coverage, name, Outcome::Seen, &reason);
    }
    Ok(())
}

pub(crate) fn states(world: &mut World) -> Result<()> {
    let failing = "metsuke-f.service";
    super::put(&path(NAME), &unit("/bin/sleep 1000002"))?;
    super::put(&path(failing), &unit("/bin/sh -c 'read line < /proc/version; exit 3'"))?;
    let order = |world: &World, words: &[&str]| world.done("/bin/systemctl", words);
    order(world, &["daemon-reload"])?;
    order(world, &["start", NAME])?;
    let first = told(world, Kind::ServiceStart, NAME, Some("active"))?;
    let pid = property(NAME, "MainPID")?;
    ensure!(first.pid.map(|pid| pid.to_string()) == Some(pid.clone()), "{first:?}, not {pid}");
    ensure!(first.command.as_deref() == Some("/bin/sleep 1000002"), "{first:?}");
    ensure!(first.user.as_deref() == Some("nobody"), "{first:?}");
    ensure!(first.path.as_deref() == Some(path(NAME).as_str()), "{first:?}");
    order(world, &["restart", NAME])?;
    let stopped = told(world, Kind::ServiceStop, NAME, Some("inactive"))?;
    ensure!(stopped.pid == first.pid, "{stopped:?}");
    let again = property(NAME, "MainPID")?;
    let is_again = |event: &Event| {
        let told = service(event).and_then(|service| service.pid);
        named(NAME)(event) && told.map(|pid| pid.to_string()).as_deref() == Some(&again)
    };
    world.find(Kind::ServiceStart, "started again", is_again)?;
    order(world, &["stop", NAME])?;
    world.find(Kind::ServiceStop, "stopped", is_again)?;
    world.act("/bin/systemctl", &["start", failing])?;
    told(world, Kind::ServiceStart, failing, Some("active"))?;
    told(world, Kind::ServiceStop, failing, Some("failed"))?;
    let both = world.all(|event| named(NAME)(event) || named(failing)(event));
    ensure!(both.len() == 6, "each once: {both:?}");
    for name in [NAME, failing] {
        std::fs::remove_file(path(name))?;
    }
    super::run("systemctl", &["daemon-reload"])?;
    Ok(())
}

pub(crate) fn timers(world: &mut World) -> Result<()> {
    let (timer, started) = ("metsuke-w.timer", "metsuke-w.service");
    super::put(&path(started), &unit("/bin/sleep 1000003"))?;
    let text = "[Timer]\nOnActiveSec=1\nOnCalendar=*-*-* 04:05:06\n";
    world.role(&["write", &path(timer), text])?;
    let of = |event: &Event| match &event.activity {
        Activity::Persistence(_, told) if told.path.as_deref() == Some(&path(timer)) => {
            Some(Persistence::clone(told))
        }
        _ => None,
    };
    let event = world.find(Kind::JobCreate, timer, |event| of(event).is_some())?;
    let made = of(&event).context("no job")?;
    ensure!(made.mechanism.as_deref() == Some("systemd_timer"), "{made:?}");
    ensure!(made.command.as_deref() == Some("/bin/sleep 1000003"), "{made:?}");
    ensure!(made.schedule.as_deref().is_some_and(|when| when.contains("04:05:06")), "{made:?}");
    world.done("/bin/systemctl", &["daemon-reload"])?;
    world.done("/bin/systemctl", &["start", timer])?;
    told(world, Kind::ServiceStart, started, Some("active"))?;
    world.done("/bin/systemctl", &["stop", timer, started])?;
    told(world, Kind::ServiceStop, started, Some("inactive"))?;
    world.role(&["remove", &path(timer)])?;
    world.find(Kind::JobDelete, "the timer is gone", |event| of(event).is_some())?;
    std::fs::remove_file(path(started))?;
    super::run("systemctl", &["daemon-reload"])?;
    let reason = "scheduled_job.create, .delete: a timer of systemd with schedule and command; \
                  service.start when it is time";
    row(Table::Coverage, "Scheduled Task", Outcome::Seen, reason);
    Ok(())
}

/// Its control group is gone when the sensor looks.
pub(crate) fn quick(world: &mut World) -> Result<()> {
    for number in 0..3 {
        let name = format!("metsuke-q{number}.service");
        let unit = format!("--unit={name}");
        super::run("systemd-run", &["--wait", &unit, "/bin/true"])?;
        told(world, Kind::ServiceStart, &name, Some("active"))?;
        told(world, Kind::ServiceStop, &name, Some("inactive"))?;
    }
    Ok(())
}
