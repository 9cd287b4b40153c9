//! Accounts and what starts by itself, changed by system calls in a room of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only to fork into the group and the room"
)]

mod support;

use std::fs;
use std::io::BufRead;
use std::os::unix::fs::symlink;
use std::path::Path;

use metsuke_event::coverage::Tier;
use metsuke_event::{Account, Activity, Event, Kind, Persistence, Service};
use support::room::Room;
use support::{Group, ROLE, Shown, Table, Watch, pid_is, row};

/// Not a test of its own: what the others have done in their rooms, step by step as they are told.
#[test]
fn helper() {
    let Ok(role) = std::env::var(ROLE) else { return };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        match role.as_str() {
            "accounts" => accounts(&line),
            "persistence" => persist(&line),
            other => panic!("no role {other}"),
        }
        println!("\ndone");
    }
}

/// As passwd's own tools do it: a new file takes the old one's place.
fn replace(path: &str, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let new = format!("{path}+");
    fs::write(&new, change(&text)).unwrap();
    fs::rename(&new, path).unwrap();
}

fn accounts(step: &str) {
    let add = |path: &str, line: &str| replace(path, |text| format!("{text}{line}\n"));
    match step {
        "create" => {
            add("/etc/group", "metsuke-eve:x:64001:");
            add("/etc/gshadow", "metsuke-eve:!::");
            add("/etc/passwd", "metsuke-eve:x:64001:64001:Eve:/home/eve:/bin/sh");
            add("/etc/shadow", "metsuke-eve:$y$hidden:19000:0:99999:7:::");
        }
        "modify" => replace("/etc/shadow", |text| text.replace("$y$hidden", "$y$other")),
        "admin" => {
            let old = fs::read_to_string("/etc/passwd").unwrap();
            // In place, not by a new file.
            fs::write("/etc/passwd", old.replace(":64001:64001:", ":0:64001:")).unwrap();
        }
        "join" => replace("/etc/group", |text| {
            text.replace("metsuke-eve:x:64001:", "metsuke-eve:x:64001:root,metsuke-eve")
        }),
        "delete" => {
            for path in ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"] {
                replace(path, |text| {
                    let lines = text.lines().filter(|line| !line.starts_with("metsuke-eve:"));
                    lines.flat_map(|line| [line, "\n"]).collect()
                });
            }
        }
        other => panic!("no step {other}"),
    }
}

fn account(event: &Event) -> Option<&Account> {
    match &event.activity {
        Activity::Account(_, account) => Some(account),
        _ => None,
    }
}

fn accounts_are_told(test: &str, tier: Tier, make: fn(&str, &Group) -> Option<Room>) {
    let Some(group) = Group::make(test) else { return };
    let Some(room) = make(test, &group) else { return };
    let mut watch = Watch::start(&group, tier);
    if watch.coverage().tier != tier || !watch.coverage().sees.iter().any(|c| c == "file.rename") {
        eprintln!("NOT RUN: {test}: no tier {} here", tier.number());
        return;
    }
    let before = fs::read("/etc/passwd").unwrap();
    let mut child = room.helper(&group, "accounts");
    let pid = child.pid();
    // What a container begins with is known from its first execution on.
    watch.of(Kind::ProcessExec, "the helper", |event| pid_is(event, pid));
    let mut find = |kind, sort: &str, what: &str| {
        let found = watch.of(kind, what, |event| {
            let account = account(event).unwrap();
            pid_is(event, pid)
                && account.name.as_deref() == Some("metsuke-eve")
                && account.kind.as_deref() == Some(sort)
                && account.diff.as_deref().is_some_and(|diff| diff.contains(what))
        });
        account(&found).unwrap().clone()
    };
    child.step("create");
    let user = find(Kind::AccountCreate, "user", "password: set");
    assert_eq!((user.id, user.group_id), (Some(64001), Some(64001)));
    assert_eq!(user.shell.as_deref(), Some("/bin/sh"));
    assert_eq!(user.home.as_deref(), Some("/home/eve"));
    find(Kind::AccountCreate, "group", "gid");
    child.step("modify");
    find(Kind::AccountModify, "user", "password: changed");
    child.step("admin");
    let admin = find(Kind::AccountModify, "user", "uid: 64001 → 0");
    assert_eq!(admin.id, Some(0));
    child.step("join");
    let group_told = find(Kind::AccountModify, "group", "members:");
    assert_eq!(group_told.members.as_deref(), Some("root metsuke-eve"));
    child.step("delete");
    find(Kind::AccountDelete, "user", "shell: /bin/sh → ");
    find(Kind::AccountDelete, "group", "gid");
    child.end();
    let all = watch.stop();
    let told: Vec<_> = all.iter().filter_map(account).collect();
    // Two came, three changes, two went: each once, and no other account.
    assert_eq!(told.len(), 7, "{told:?}");
    assert!(!format!("{all:?}").contains("$y$"), "a password hash is never told");
    assert_eq!(before, fs::read("/etc/passwd").unwrap(), "the host is as it was");
    if tier == Tier::Tracing {
        row(
            Table::Coverage,
            "User Account Created",
            Shown::Seen,
            "account.create of users and groups, from passwd's own files (in an overlay root)",
        );
        row(
            Table::Coverage,
            "User Account Modified",
            Shown::Seen,
            "account.modify with a diff: password, user id, members",
        );
        row(
            Table::Coverage,
            "User Account Deleted",
            Shown::Seen,
            "account.delete of users and groups",
        );
    }
}

#[test]
fn accounts_are_told_with_what_changed() {
    accounts_are_told("accounts_are_told_with_what_changed", Tier::Tracing, Room::make);
}

#[test]
fn accounts_of_a_container_are_its_own() {
    accounts_are_told("accounts_of_a_container_are_its_own", Tier::Tracing, Room::container);
}

/// Makes, changes or removes one file: `make PATH TEXT`, `link PATH TARGET`, `remove PATH`.
fn persist(step: &str) {
    let mut words = step.splitn(3, ' ');
    let (verb, path) = (words.next().unwrap(), words.next().unwrap());
    let text = words.next().unwrap_or_default().replace("\\n", "\n");
    if let Some(folder) = Path::new(path).parent() {
        fs::create_dir_all(folder).unwrap();
    }
    match verb {
        "make" => fs::write(path, text).unwrap(),
        "link" => symlink(text, path).unwrap(),
        "move" => fs::rename(path, text).unwrap(),
        "remove" => fs::remove_file(path).unwrap(),
        other => panic!("no step {other}"),
    }
}

fn persistence(event: &Event) -> Option<&Persistence> {
    match &event.activity {
        Activity::Persistence(_, persistence) => Some(persistence),
        _ => None,
    }
}

fn service(event: &Event) -> Option<&Service> {
    match &event.activity {
        Activity::Service(_, service) => Some(service),
        _ => None,
    }
}

/// What is made, and how it is told: class, mechanism, command.
const MADE: &[(&str, &str, &str, &str, &str)] = &[
    (
        "/etc/cron.d/metsuke",
        "* * * * * root /bin/x -a",
        "scheduled_job.create",
        "cron",
        "/bin/x -a",
    ),
    ("/var/spool/cron/crontabs/root", "@reboot /bin/y", "scheduled_job.create", "cron", "/bin/y"),
    (
        "/etc/cron.daily/metsuke",
        "#!/bin/sh",
        "scheduled_job.create",
        "cron",
        "/etc/cron.daily/metsuke",
    ),
    (
        "/var/spool/cron/atjobs/a0000101a2b3c4",
        "#!/bin/sh\\n# mail root 0\\ncd / || {\\n exit 1\\n}\\n/bin/z",
        "scheduled_job.create",
        "at",
        "/bin/z",
    ),
    (
        "/etc/systemd/system/metsuke-t.timer",
        "[Timer]\\nOnCalendar=daily\\nUnit=metsuke-none.service",
        "scheduled_job.create",
        "systemd_timer",
        "metsuke-none.service",
    ),
    ("/etc/systemd/system/metsuke-t.socket", "[Socket]", "persistence.create", "systemd_unit", ""),
    ("/etc/rc.local", "/bin/x", "persistence.create", "rc_local", ""),
    ("/etc/profile.d/metsuke.sh", "x", "persistence.create", "profile", ""),
    ("/etc/ld.so.preload", "/tmp/a.so", "persistence.create", "ld_preload", "/tmp/a.so"),
    ("/etc/pam.d/metsuke", "auth sufficient pam_permit.so", "persistence.create", "pam", ""),
    ("/etc/udev/rules.d/9-m.rules", "RUN+=\"/bin/u\"", "persistence.create", "udev", "/bin/u"),
    ("/etc/sudoers.d/metsuke", "ALL ALL=(ALL) NOPASSWD: ALL", "persistence.create", "sudoers", ""),
    ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA", "persistence.create", "authorized_keys", ""),
    ("/etc/modules-load.d/m.conf", "m", "persistence.create", "kernel_modules", ""),
    ("/etc/apt/apt.conf.d/9m", "APT::Update::Pre-Invoke", "persistence.create", "package_hook", ""),
    (
        "/home/metsuke/.config/autostart/m.desktop",
        "[Desktop Entry]\\nExec=/bin/d",
        "persistence.create",
        "xdg_autostart",
        "/bin/d",
    ),
    (
        "/etc/update-motd.d/99-m",
        "#!/bin/sh",
        "persistence.create",
        "motd",
        "/etc/update-motd.d/99-m",
    ),
    ("/var/www/html/m.php", "<?php system($_GET[0]);", "persistence.create", "web_root", ""),
];

#[test]
fn what_starts_by_itself_is_told_with_what_changed() {
    let test = "what_starts_by_itself_is_told_with_what_changed";
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    watch.until("everything is known", |stats| stats.scan_left == 0);
    let mut child = room.helper(&group, "persistence");
    let pid = child.pid();
    for (path, text, class, mechanism, command) in MADE {
        let kind = Kind::from_name(class).unwrap();
        child.step(&format!("make {path} {text}"));
        let found = watch.of(kind, path, |event| {
            pid_is(event, pid) && persistence(event).unwrap().path.as_deref() == Some(path)
        });
        let told = persistence(&found).unwrap();
        assert_eq!(told.mechanism.as_deref(), Some(*mechanism), "{path}");
        assert_eq!(told.command.as_deref().unwrap_or_default(), *command, "{path}");
        let diff = format!("+{}", text.replace("\\n", "\n+"));
        assert_eq!(told.diff.as_deref(), Some(diff.as_str()), "{path}: {told:?}");
        assert!(told.sha256.is_some() && told.old_sha256.is_none(), "{path}");
    }
    child.step("make /etc/cron.d/metsuke * * * * * root /bin/x -a\\n@daily eve /bin/w");
    let found = watch.of(Kind::JobModify, "a changed crontab", |event| pid_is(event, pid));
    let told = persistence(&found).unwrap();
    assert_eq!(told.diff.as_deref(), Some("+@daily eve /bin/w"));
    assert_eq!(told.user.as_deref(), Some("eve"));
    assert_eq!(told.schedule.as_deref(), Some("@daily"));
    assert!(told.old_sha256.is_some() && told.old_sha256 != told.sha256);
    child.step("remove /etc/cron.d/metsuke");
    let found = watch.of(Kind::JobDelete, "a removed crontab", |event| pid_is(event, pid));
    assert!(persistence(&found).unwrap().diff.as_deref().unwrap().contains("-@daily eve /bin/w"));
    // Moved into its place from elsewhere.
    child.step("make /etc/metsuke-m /tmp/b.so");
    child.step("move /etc/metsuke-m /etc/ld.so.preload");
    let found = watch.of(Kind::PersistenceModify, "a library moved in", |event| {
        persistence(event).unwrap().path.as_deref() == Some("/etc/ld.so.preload")
    });
    assert_eq!(persistence(&found).unwrap().diff.as_deref(), Some("-/tmp/a.so\n+/tmp/b.so"));
    child.step("remove /etc/ld.so.preload");
    watch.of(Kind::PersistenceDelete, "no library any more", |event| {
        persistence(event).unwrap().path.as_deref() == Some("/etc/ld.so.preload")
    });
    child.end();
    assert!(!Path::new("/etc/cron.daily/metsuke").exists(), "the host is as it was");
    let all = watch.stop();
    let jobs = all
        .iter()
        .filter_map(persistence)
        .filter(|told| told.path.as_deref() == Some("/etc/cron.d/metsuke"));
    assert_eq!(jobs.count(), 3, "one change is one activity");
    row(
        Table::Coverage,
        "Scheduled Task",
        Shown::Seen,
        "scheduled_job.create, modify, delete with a diff, user and schedule, from the job's own files (in an overlay root)",
    );
}

#[test]
fn definitions_of_services_are_told() {
    let test = "definitions_of_services_are_told";
    let Some(group) = Group::make(test) else { return };
    let Some(room) = Room::make(test, &group) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    watch.until("everything is known", |stats| stats.scan_left == 0);
    let mut child = room.helper(&group, "persistence");
    let pid = child.pid();
    let mut find = |kind, what: &str, name: &str| {
        let found = watch.of(kind, what, |event| {
            let service = service(event).unwrap();
            let text = format!("{:?} {:?}", service.diff, service.state);
            pid_is(event, pid) && service.name.as_deref() == Some(name) && text.contains(what)
        });
        service(&found).unwrap().clone()
    };
    let unit = "/etc/systemd/system/metsuke-s.service";
    child.step(&format!("make {unit} [Service]\\nExecStart=/bin/x -d\\nUser=nobody"));
    let made = find(Kind::ServiceCreate, "+ExecStart=/bin/x -d", "metsuke-s.service");
    assert_eq!(made.command.as_deref(), Some("/bin/x -d"));
    assert_eq!((made.user.as_deref(), made.path.as_deref()), (Some("nobody"), Some(unit)));
    let wants = "/etc/systemd/system/multi-user.target.wants/metsuke-s.service";
    child.step(&format!("link {wants} {unit}"));
    find(Kind::ServiceModify, "\"enabled\"", "metsuke-s.service");
    child.step(&format!("make {unit} [Service]\\nExecStart=/bin/y\\nUser=nobody"));
    find(Kind::ServiceModify, "-ExecStart=/bin/x -d", "metsuke-s.service");
    let drop_in = "/etc/systemd/system/metsuke-s.service.d/a.conf";
    child.step(&format!("make {drop_in} [Service]\\nExecStartPre=/bin/z"));
    find(Kind::ServiceModify, "+ExecStartPre=/bin/z", "metsuke-s.service");
    child.step(&format!("remove {wants}"));
    find(Kind::ServiceModify, "\"disabled\"", "metsuke-s.service");
    child.step(&format!("remove {unit}"));
    find(Kind::ServiceDelete, "-ExecStart=/bin/y", "metsuke-s.service");
    child.step("make /etc/init.d/metsuke-i #!/bin/sh");
    let init = find(Kind::ServiceCreate, "+#!/bin/sh", "metsuke-i");
    assert_eq!(init.manager.as_deref(), Some("sysv"));
    child.end();
    drop(watch);
    row(
        Table::Coverage,
        "Service Creation",
        Shown::Seen,
        "service.create with command and user, from the unit's own file (in an overlay root)",
    );
    row(
        Table::Coverage,
        "Service Modification",
        Shown::Seen,
        "service.modify with a diff: unit, drop-in, enabled, disabled, from the unit's own files (in an overlay root)",
    );
    row(
        Table::Coverage,
        "Service Deletion",
        Shown::Seen,
        "service.delete, from the unit's own file (in an overlay root)",
    );
}
