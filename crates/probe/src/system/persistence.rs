//! A change of a file that makes something start by itself, as an activity: scheduled job, service
//! or other persistence, with what it starts and the difference.

use metsuke_event::activity::{Activity, PersistenceActivity, ServiceActivity};
use metsuke_event::{Persistence, Service, Text};

use crate::system::diff;
use crate::system::jobs::{self, Job, Owner};
use crate::system::mechanisms::Subject;
use crate::system::roots::Root;
use crate::system::snapshots::{Before, Content, MAX_READ, Shape, Snapshot};

/// Where units are looked for, most important first (systemd.unit(5)).
pub(super) const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Modify,
    Delete,
}

/// A file of interest before and after.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) subject: Subject,
    pub(super) path: &'a str,
    pub(super) before: Before,
    pub(super) after: Option<Snapshot>,
    /// For other files that say more, as a timer's service.
    pub(super) root: &'a Root,
}

/// What the name of a unit's file says.
#[derive(Debug, PartialEq, Eq)]
struct Unit<'a> {
    name: &'a str,
    part: UnitPart,
}

#[derive(Debug, PartialEq, Eq)]
enum UnitPart {
    Definition,
    DropIn,
    Enablement,
}

impl Change<'_> {
    /// The activity; `None` when nothing has changed.
    pub(super) fn tell(&self) -> Option<Activity> {
        let verb = match (&self.before, &self.after) {
            (Before::Known(before), Some(after)) if before == after => return None,
            (Before::Absent, None) => return None,
            (Before::Absent, Some(_)) => Verb::Create,
            (_, None) => Verb::Delete,
            (_, Some(_)) => Verb::Modify,
        };
        let activity = match self.subject {
            Subject::Accounts | Subject::Logons => return None,
            Subject::CronTable
            | Subject::CronSpool
            | Subject::CronScript
            | Subject::Anacron
            | Subject::At => self.job(verb, self.scheduled()),
            Subject::Unit => self.unit(verb),
            Subject::Init if !self.path.starts_with("/etc/init.d/") => {
                self.other(verb, "rc_local", Job::default())
            }
            Subject::Init => {
                let job = Job { command: Some(self.path.to_owned()), ..Job::default() };
                self.service(verb, self.name(), job, ("sysv", None))
            }
            Subject::Web => self.other(verb, "web_root", Job::default()),
            Subject::Other(mechanism) => self.other(verb, mechanism, self.started(mechanism)),
        };
        Some(activity)
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The text afterwards, or of what is gone.
    fn text(&self) -> String {
        let before = match &self.before {
            Before::Known(before) => Some(before),
            _ => None,
        };
        self.after.as_ref().or(before).and_then(Snapshot::text).unwrap_or_default()
    }

    /// The lines that came, or all of them where none did.
    fn came(&self) -> Vec<String> {
        let text = self.text();
        if let (Before::Known(before), Some(_)) = (&self.before, &self.after) {
            let added = diff::added(&before.text().unwrap_or_default(), &text);
            if !added.is_empty() {
                return added;
            }
        }
        text.lines().map(str::to_owned).collect()
    }

    fn scheduled(&self) -> (&'static str, Job) {
        let came = self.came();
        let lines = || came.iter().map(String::as_str);
        match self.subject {
            Subject::CronTable => ("cron", jobs::cron(lines(), Owner::InLine)),
            Subject::CronSpool => ("cron", jobs::cron(lines(), Owner::Always(self.name()))),
            Subject::Anacron => ("anacron", jobs::anacron(lines())),
            Subject::At => ("at", jobs::at(self.name(), &self.text())),
            _ => {
                let folder = self.path.rsplit('/').nth(1).unwrap_or_default();
                let period = folder.strip_prefix("cron.").map(|period| format!("@{period}"));
                let (command, user) = (Some(self.path.to_owned()), Some("root".to_owned()));
                ("cron", Job { command, schedule: period, user })
            }
        }
    }

    fn unit(&self, verb: Verb) -> Activity {
        let unit = unit(self.path);
        // A drop-in or a link that enables changes a unit that is there already.
        let verb = if unit.part == UnitPart::Definition { verb } else { Verb::Modify };
        let text = self.text();
        if let Some(stem) = unit.name.strip_suffix(".timer") {
            let (schedule, started) = jobs::timer(&text);
            let started = started.unwrap_or_else(|| format!("{stem}.service"));
            let service = self.other_unit(&started).map(|text| jobs::service(&text));
            let service = service.unwrap_or(Job { command: Some(started), ..Job::default() });
            return self.job(verb, ("systemd_timer", Job { schedule, ..service }));
        }
        if unit.name.strip_suffix(".service").is_some() {
            let state = match (&unit.part, &self.after) {
                (UnitPart::Enablement, Some(_)) => Some("enabled"),
                (UnitPart::Enablement, None) => Some("disabled"),
                (_, Some(Snapshot { shape: Shape::Link(target), .. }))
                    if target.as_ref() == "/dev/null" =>
                {
                    Some("masked")
                }
                _ => None,
            };
            let job = jobs::service(&text);
            return self.service(verb, unit.name, job, ("systemd", state));
        }
        self.other(verb, "systemd_unit", Job::default())
    }

    /// The text of another unit: beside this one, else where units are.
    fn other_unit(&self, name: &str) -> Option<String> {
        if name.contains('/') {
            return None;
        }
        let beside = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folders = std::iter::once(beside).chain(UNIT_FOLDERS);
        folders.map(|folder| format!("{folder}/{name}")).find_map(|path| {
            match self.root.read(&path, MAX_READ) {
                Content::File(whole) => Some(String::from_utf8_lossy(&whole.bytes).into_owned()),
                _ => None,
            }
        })
    }

    /// What the other mechanisms start, where it can be told.
    fn started(&self, mechanism: &str) -> Job {
        let came = self.came().join("\n");
        let some = |values: Vec<String>| (!values.is_empty()).then(|| values.join("\n"));
        let command = match mechanism {
            "xdg_autostart" => some(jobs::settings(&self.text(), "Desktop Entry", "Exec")),
            "udev" => some(udev_programs(&came)),
            "ld_preload" if self.name() == "ld.so.preload" => some(
                came.split(|c: char| c.is_whitespace() || c == ':')
                    .filter(|word| word.starts_with('/'))
                    .map(str::to_owned)
                    .collect(),
            ),
            "systemd_generator" | "motd" | "network_dispatcher" | "git_hook" => {
                Some(self.path.to_owned())
            }
            _ => None,
        };
        let user = ["authorized_keys", "profile", "xdg_autostart"].contains(&mechanism);
        Job { command, schedule: None, user: user.then(|| owner(self.path)).flatten() }
    }

    fn job(&self, verb: Verb, (mechanism, job): (&'static str, Job)) -> Activity {
        let what = match verb {
            Verb::Create => PersistenceActivity::JobCreate,
            Verb::Modify => PersistenceActivity::JobModify,
            Verb::Delete => PersistenceActivity::JobDelete,
        };
        Activity::Persistence(what, self.entity(mechanism, job))
    }

    fn other(&self, verb: Verb, mechanism: &'static str, job: Job) -> Activity {
        let what = match verb {
            Verb::Create => PersistenceActivity::Create,
            Verb::Modify => PersistenceActivity::Modify,
            Verb::Delete => PersistenceActivity::Delete,
        };
        Activity::Persistence(what, self.entity(mechanism, job))
    }

    fn service(
        &self,
        verb: Verb,
        name: &str,
        job: Job,
        (manager, state): (&str, Option<&str>),
    ) -> Activity {
        let what = match verb {
            Verb::Create => ServiceActivity::Create,
            Verb::Modify => ServiceActivity::Modify,
            Verb::Delete => ServiceActivity::Delete,
        };
        let service = Service {
            name: Some(name.into()),
            path: Some(self.path.into()),
            command: job.command.map(Into::into),
            user: job.user.map(Into::into),
            diff: self.difference().0,
            state: state.map(Into::into),
            pid: None,
            manager: Some(manager.into()),
        };
        Activity::Service(what, service)
    }

    fn entity(&self, mechanism: &str, job: Job) -> Persistence {
        let (diff, missing) = self.difference();
        let old = match &self.before {
            Before::Known(before) => before.sha256.clone(),
            _ => None,
        };
        Persistence {
            mechanism: Some(mechanism.into()),
            path: Some(self.path.into()),
            diff,
            command: job.command.map(Into::into),
            schedule: job.schedule.map(Into::into),
            user: job.user.map(Into::into),
            old_sha256: old,
            sha256: self.after.as_ref().and_then(|after| after.sha256.clone()),
            diff_missing: missing.map(Into::into),
        }
    }

    /// The difference, or why there is none.
    fn difference(&self) -> (Option<Text>, Option<&'static str>) {
        let shown = |snapshot: &Snapshot| match snapshot.shape {
            Shape::Binary => Err("binary"),
            Shape::TooLarge => Err("too_large"),
            _ => Ok(snapshot.text().unwrap_or_default()),
        };
        let before = match &self.before {
            Before::Known(before) => shown(before),
            Before::Absent => Ok(String::new()),
            Before::Unknown => Err("not_known_before"),
        };
        let after = self.after.as_ref().map_or(Ok(String::new()), shown);
        match (before, after) {
            (Ok(before), Ok(after)) => (diff::lines(&before, &after).map(Into::into), None),
            (Err(reason), _) | (_, Err(reason)) => (None, Some(reason)),
        }
    }
}

fn unit(path: &str) -> Unit<'_> {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let folder = parts.next().unwrap_or_default();
    if [".wants", ".requires", ".upholds"].iter().any(|end| folder.ends_with(end)) {
        return Unit { name, part: UnitPart::Enablement };
    }
    match folder.strip_suffix(".d").filter(|unit| unit.contains('.')) {
        Some(name) => Unit { name, part: UnitPart::DropIn },
        None => Unit { name, part: UnitPart::Definition },
    }
}

/// Programs that udev rules run: `RUN+="…"`, `RUN{program}="…"`, `PROGRAM="…"`.
fn udev_programs(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in text.split([',', '\n']).map(str::trim) {
        let runs = piece.starts_with("RUN") || piece.starts_with("PROGRAM");
        if runs && let Some((_, rest)) = piece.split_once('"') {
            found.push(rest.trim_end_matches('"').to_owned());
        }
    }
    found
}

/// Whose home a path lies in, by its name.
fn owner(path: &str) -> Option<String> {
    let mut parts = path.trim_start_matches('/').split('/');
    match parts.next()? {
        "root" => Some("root".to_owned()),
        "home" => parts.next().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::Activity;

    use super::{Change, Unit, UnitPart, owner, udev_programs, unit};
    use crate::system::mechanisms::Mechanisms;
    use crate::system::roots::Root;
    use crate::system::snapshots::{Before, Content, Snapshot, Whole};

    fn snapshot(text: Option<&str>) -> Option<Snapshot> {
        let bytes = text?.as_bytes().to_vec();
        Snapshot::of(&Content::File(Whole { size: bytes.len() as u64, bytes, limit: 1_000 }))
    }

    /// `class mechanism-or-name command/schedule/user diff-or-reason`.
    fn check(path: &str, before: Option<&str>, after: Option<&str>, expected: Option<&str>) {
        let subject = Mechanisms::new(&[]).of(path).expect("of interest");
        let before = match before {
            Some("?") => Before::Unknown,
            text => snapshot(text).map_or(Before::Absent, Before::Known),
        };
        let root = Root::open("/").unwrap();
        let change = Change { subject, path, before, after: snapshot(after), root: &root };
        let told = change.tell().map(|activity| {
            let kind = activity.kind().name();
            match activity {
                Activity::Persistence(_, p) => {
                    let text =
                        |text: &Option<metsuke_event::Text>| text.clone().unwrap_or_default();
                    let diff = p.diff.clone().or(p.diff_missing.clone()).unwrap_or_default();
                    format!(
                        "{kind} {} {}/{}/{} {diff}",
                        text(&p.mechanism),
                        text(&p.command),
                        text(&p.schedule),
                        text(&p.user)
                    )
                }
                Activity::Service(_, s) => {
                    let text =
                        |text: &Option<metsuke_event::Text>| text.clone().unwrap_or_default();
                    let (name, command) = (text(&s.name), text(&s.command));
                    format!(
                        "{kind} {name} {command}/{}/{} {}",
                        text(&s.state),
                        text(&s.user),
                        text(&s.diff)
                    )
                }
                other => format!("{other:?}"),
            }
        });
        assert_eq!(told.as_deref(), expected);
    }

    #[test]
    fn changes_as_activities() {
        let cron = "/etc/cron.d/x";
        let (old, new) = ("* * * * * root a", "* * * * * root a\n@reboot eve b");
        check(
            cron,
            None,
            Some(old),
            Some("scheduled_job.create cron a/* * * * */root +* * * * * root a"),
        );
        check(
            cron,
            Some(old),
            Some(new),
            Some("scheduled_job.modify cron b/@reboot/eve +@reboot eve b"),
        );
        check(
            cron,
            Some(old),
            None,
            Some("scheduled_job.delete cron a/* * * * */root -* * * * * root a"),
        );
        check(cron, Some(old), Some(old), None);
        check(cron, None, None, None);
        check(
            cron,
            Some("?"),
            Some(old),
            Some("scheduled_job.modify cron a/* * * * */root not_known_before"),
        );
        check(
            "/etc/cron.daily/x",
            None,
            Some("#!/bin/sh\n"),
            Some("scheduled_job.create cron /etc/cron.daily/x/@daily/root +#!/bin/sh"),
        );
        check(
            "/etc/systemd/system/x.service",
            None,
            Some("[Service]\nExecStart=/bin/x\nUser=eve\n"),
            Some("service.create x.service /bin/x//eve +[Service]\n+ExecStart=/bin/x\n+User=eve"),
        );
        check(
            "/etc/systemd/system/x.service.d/a.conf",
            None,
            Some("[Service]\nExecStartPre=/bin/y\n"),
            Some("service.modify x.service /bin/y// +[Service]\n+ExecStartPre=/bin/y"),
        );
        check(
            "/etc/systemd/system/no-such-unit-anywhere.timer",
            None,
            Some("[Timer]\nOnCalendar=daily"),
            Some(
                "scheduled_job.create systemd_timer no-such-unit-anywhere.service/OnCalendar=daily/ +[Timer]\n+OnCalendar=daily",
            ),
        );
        check("/etc/init.d/x", None, Some("y"), Some("service.create x /etc/init.d/x// +y"));
        check("/etc/rc.local", Some("a"), Some("b"), Some("persistence.modify rc_local // -a\n+b"));
        check(
            "/etc/ld.so.preload",
            None,
            Some("/tmp/a.so\n"),
            Some("persistence.create ld_preload /tmp/a.so// +/tmp/a.so"),
        );
        check(
            "/home/bob/.ssh/authorized_keys",
            Some("k1\n"),
            Some("k1\nk2\n"),
            Some("persistence.modify authorized_keys //bob +k2"),
        );
        check("/etc/pam.d/x", Some("a\0"), Some("b"), Some("persistence.modify pam // binary"));
    }

    #[test]
    fn names() {
        for (path, name, part) in [
            ("/e/a.service", "a.service", UnitPart::Definition),
            ("/e/a.service.d/b.conf", "a.service", UnitPart::DropIn),
            ("/e/m.target.wants/a.service", "a.service", UnitPart::Enablement),
            ("/etc/systemd/system.d/a.service", "a.service", UnitPart::Definition),
        ] {
            assert_eq!(unit(path), Unit { name, part }, "{path}");
        }
        let rule = "SUBSYSTEM==\"usb\", RUN+=\"/bin/x a\"\nACTION==\"add\",PROGRAM=\"/bin/y\"";
        assert_eq!(udev_programs(rule), ["/bin/x a", "/bin/y"]);
        assert_eq!(owner("/root/.bashrc").as_deref(), Some("root"));
        assert_eq!(owner("/etc/profile"), None);
    }
}
