//! Services started and stopped, as a service manager does it: by control groups made for them.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only to fork into the group"
)]

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use metsuke_event::{Activity, Event, Kind, Service};
use support::room::Room;
use support::{Group, Watch, pid_is};

/// A service's control group below the test's; removed at the end, when it is empty.
struct Unit(PathBuf);

impl Unit {
    fn make(group: &Group, name: &str) -> Self {
        let slice = group.0.join("system.slice");
        fs::create_dir_all(&slice).unwrap();
        let path = slice.join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Runs a shell in it that waits for a line and ends with `code`.
    fn start(&self, code: u8) -> Child {
        let procs = self.0.join("cgroup.procs");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("read line; exit {code}")]).stdin(Stdio::piped());
        // SAFETY: between fork and exec only open, write and close are called.
        unsafe {
            command.pre_exec(move || fs::write(&procs, "0"));
        }
        command.spawn().unwrap()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // What is left is removed with the test's group by its owner.
        let _ = fs::remove_dir(&self.0);
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

fn service(event: &Event) -> Option<&Service> {
    match &event.activity {
        Activity::Service(_, service) => Some(service),
        _ => None,
    }
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn services_are_told_by_their_control_groups() {
    let test = "services_are_told_by_their_control_groups";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let name = "metsuke-a.service";
    let unit = Unit::make(&group, name);
    // Two steps, as ExecStartPre and ExecStart: one start.
    let first = unit.start(0);
    let started = first.id();
    let found = watch.of(Kind::ServiceStart, "a start", |event| pid_is(event, started));
    let told = service(&found).unwrap();
    assert_eq!(told.name.as_deref(), Some(name));
    assert_eq!(told.pid, Some(u64::from(started)));
    assert_eq!(told.command.as_deref(), Some("/bin/sh -c read line; exit 0"));
    assert_eq!(told.manager.as_deref(), Some("systemd"));
    end(first);
    let main = unit.start(3);
    let failed = main.id();
    watch.of(Kind::ProcessExec, "the second step", |event| pid_is(event, failed));
    end(main);
    drop(unit);
    let found = watch.of(Kind::ServiceStop, "an end", |event| pid_is(event, failed));
    let told = service(&found).unwrap();
    assert_eq!((told.name.as_deref(), told.state.as_deref()), (Some(name), Some("failed")));
    // Again, in a new group of the same name.
    let unit = Unit::make(&group, name);
    let again = unit.start(0);
    let pid = again.id();
    watch.of(Kind::ServiceStart, "another start", |event| pid_is(event, pid));
    end(again);
    drop(unit);
    let found = watch.of(Kind::ServiceStop, "another end", |event| pid_is(event, pid));
    assert_eq!(service(&found).unwrap().state.as_deref(), Some("inactive"));
    let all = watch.stop();
    assert_eq!(all.iter().filter(|event| service(event).is_some()).count(), 4);
}

/// Its group is mostly gone before the sensor can ask for its name.
#[test]
fn a_service_that_is_over_at_once_is_told() {
    let test = "a_service_that_is_over_at_once_is_told";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    for number in 0..20 {
        let name = format!("metsuke-q{number}.service");
        let unit = Unit::make(&group, &name);
        let child = unit.start(0);
        let pid = child.id();
        end(child);
        drop(unit);
        for (kind, state) in [(Kind::ServiceStart, "active"), (Kind::ServiceStop, "inactive")] {
            let found = watch.of(kind, &name, |event| pid_is(event, pid));
            let told = service(&found).unwrap();
            assert_eq!(told.name.as_deref(), Some(name.as_str()));
            assert_eq!(told.state.as_deref(), Some(state));
        }
    }
}

#[test]
fn a_service_that_ran_before_is_told_only_to_stop() {
    let test = "a_service_that_ran_before_is_told_only_to_stop";
    let Some(group) = Group::make(test) else { return };
    let unit = Unit::make(&group, "metsuke-b.service");
    let child = unit.start(0);
    let comm = format!("/proc/{}/comm", child.id());
    while fs::read_to_string(&comm).unwrap() != "sh\n" {
        std::thread::yield_now();
    }
    let Some(mut watch) = Watch::tracing(&group, test) else {
        end(child);
        return;
    };
    let pid = child.id();
    end(child);
    watch.of(Kind::ServiceStop, "its end", |event| pid_is(event, pid));
    assert!(!watch.stop().iter().any(|event| event.activity.kind() == Kind::ServiceStart));
}

#[test]
fn init_scripts_are_told_when_run() {
    let test = "init_scripts_are_told_when_run";
    if Path::new("/run/systemd/system").is_dir() {
        eprintln!("NOT RUN: {test}: systemd manages the services here");
        return;
    }
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let make = "printf '#!/bin/sh\\nexit 0\\n' > /etc/init.d/metsuke; chmod 755 /etc/init.d/metsuke; \
                /etc/init.d/metsuke start; /etc/init.d/metsuke stop";
    let mut child = room.command(&group, "/bin/sh", &["-c", make]).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    for kind in [Kind::ServiceStart, Kind::ServiceStop] {
        let found = watch.of(kind, kind.name(), |_| true);
        let told = service(&found).unwrap();
        assert_eq!(told.name.as_deref(), Some("metsuke"));
        assert_eq!(told.manager.as_deref(), Some("sysv"));
    }
    assert!(!Path::new("/etc/init.d/metsuke").exists(), "the host is as it was");
}
