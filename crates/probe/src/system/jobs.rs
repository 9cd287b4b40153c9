//! What scheduled jobs, units and the like start: command, schedule and user as written.
//!
//! Pure. Sources: crontab(5), anacrontab(5), at(1) of Debian, systemd.syntax(7),
//! systemd.timer(5), systemd.exec(5).

/// Jobs told of one file at most; the diff shows the rest.
const MAX_JOBS: usize = 32;

/// Something that is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) command: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) user: Option<String>,
}

/// Who a crontab's lines run as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    /// Named in each line.
    InLine,
    /// The table's owner.
    Always(&'a str),
}

/// The jobs of a crontab's lines as one: commands and schedules, each on a line of its own.
pub(super) fn cron<'a>(lines: impl Iterator<Item = &'a str>, owner: Owner<'_>) -> Job {
    joined(lines.filter_map(|line| cron_line(line.trim(), owner)).take(MAX_JOBS))
}

fn cron_line(line: &str, owner: Owner<'_>) -> Option<Job> {
    let first = line.chars().next()?;
    if first == '#' {
        return None;
    }
    let fields = if first == '@' { 1 } else { 5 };
    let (schedule, mut rest) = words(line, fields)?;
    // A variable's assignment has no schedule.
    if first != '@' && schedule.split_whitespace().any(|word| word.contains('=')) {
        return None;
    }
    let user = match owner {
        Owner::Always(user) => user.to_owned(),
        Owner::InLine => {
            let (user, command) = words(rest, 1)?;
            rest = command;
            user.to_owned()
        }
    };
    Some(Job {
        command: Some(rest.trim().to_owned()),
        schedule: Some(schedule.to_owned()),
        user: Some(user),
    })
}

/// The jobs of anacron's table: period, delay, name, command.
pub(super) fn anacron<'a>(lines: impl Iterator<Item = &'a str>) -> Job {
    let jobs = lines.filter_map(|line| {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let (head, command) = words(line, 3)?;
        let period = head.split_whitespace().next()?;
        let counts = period.starts_with('@') || period.bytes().all(|byte| byte.is_ascii_digit());
        counts.then(|| Job {
            command: Some(command.trim().to_owned()),
            schedule: Some(period.to_owned()),
            user: Some("root".to_owned()),
        })
    });
    joined(jobs.take(MAX_JOBS))
}

/// A job of at(1): the file's name tells when, its head who, its end what.
pub(super) fn at(name: &str, text: &str) -> Job {
    // Queue letter, five hexadecimal digits of number, eight of minutes since 1970.
    let minutes = name.get(6..14).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let schedule = minutes.map(|minutes| {
        let nanos = i64::try_from(minutes).unwrap_or(0).saturating_mul(60_000_000_000);
        metsuke_event::Timestamp::from_nanos(nanos).to_string()
    });
    let user = text.lines().find_map(|line| {
        let mut words = line.strip_prefix("# mail ")?.split_whitespace();
        words.next().map(str::to_owned)
    });
    // The environment ends with the block that enters the working directory.
    let body = text.rsplit_once("\n}\n").map_or(text, |(_, body)| body);
    let lines: Vec<&str> = body
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter(|line| !line.starts_with("${SHELL:") && !line.starts_with("marcinDELIMITER"))
        .take(MAX_JOBS)
        .collect();
    Job { command: (!lines.is_empty()).then(|| lines.join("\n")), schedule, user }
}

/// The values of `key` in `[section]` of a unit or desktop file, continued lines joined.
pub(super) fn settings(text: &str, section: &str, key: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let mut inside = false;
    let mut values = Vec::new();
    for line in joined.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = name == section;
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            values.push(value.trim().to_owned());
        }
    }
    values
}

/// What a service unit starts, and as whom.
pub(super) fn service(text: &str) -> Job {
    let one = |values: Vec<String>| (!values.is_empty()).then(|| values.join("\n"));
    let mut commands = Vec::new();
    for key in ["ExecStartPre", "ExecStart", "ExecStartPost"] {
        commands.extend(settings(text, "Service", key));
    }
    commands.retain(|command| !command.is_empty());
    Job { command: one(commands), schedule: None, user: settings(text, "Service", "User").pop() }
}

/// When a timer unit fires, and the unit it starts if it names one.
pub(super) fn timer(text: &str) -> (Option<String>, Option<String>) {
    let mut when = Vec::new();
    for key in [
        "OnCalendar",
        "OnBootSec",
        "OnStartupSec",
        "OnUnitActiveSec",
        "OnUnitInactiveSec",
        "OnActiveSec",
    ] {
        when.extend(settings(text, "Timer", key).iter().map(|value| format!("{key}={value}")));
    }
    let unit = settings(text, "Timer", "Unit").pop();
    ((!when.is_empty()).then(|| when.join("\n")), unit)
}

fn joined(jobs: impl Iterator<Item = Job>) -> Job {
    let jobs: Vec<Job> = jobs.collect();
    let all = |part: fn(&Job) -> Option<&String>| {
        let mut values: Vec<&str> = jobs.iter().filter_map(part).map(String::as_str).collect();
        values.dedup();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    Job {
        command: all(|job| job.command.as_ref()),
        schedule: all(|job| job.schedule.as_ref()),
        user: all(|job| job.user.as_ref()),
    }
}

/// The first `count` words of a line as written, and the rest.
fn words(line: &str, count: usize) -> Option<(&str, &str)> {
    let mut at = 0;
    for _ in 0..count {
        let rest = &line[at..];
        let start = rest.len() - rest.trim_start().len();
        let word = rest[start..].find(char::is_whitespace)?;
        at += start + word;
    }
    Some((&line[..at], line[at..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::{Job, Owner, anacron, at, cron, service, settings, timer};

    fn job(command: &str, schedule: &str, user: &str) -> Job {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Job { command: some(command), schedule: some(schedule), user: some(user) }
    }

    #[test]
    fn crontabs() {
        for (text, owner, expected) in [
            ("* * * * * root /bin/x -a", Owner::InLine, job("/bin/x -a", "* * * * *", "root")),
            ("@reboot bob sh -c 'a b'", Owner::InLine, job("sh -c 'a b'", "@reboot", "bob")),
            ("*/5 0 1 1 7\t/bin/x", Owner::Always("eve"), job("/bin/x", "*/5 0 1 1 7", "eve")),
            (
                "# * * * * * root x\nSHELL=/bin/sh\nPATH = /a b c d e f g",
                Owner::InLine,
                Job::default(),
            ),
            ("* * * *", Owner::InLine, Job::default()),
            ("", Owner::InLine, Job::default()),
            (
                "1 2 3 4 5 root a\n@daily root b",
                Owner::InLine,
                job("a\nb", "1 2 3 4 5\n@daily", "root"),
            ),
        ] {
            assert_eq!(cron(text.lines(), owner), expected, "{text}");
        }
        let table = "7 10 job /bin/y z\n@monthly 45 m run-parts /etc/cron.monthly\nSHELL=/bin/sh";
        let expected = job("/bin/y z\nrun-parts /etc/cron.monthly", "7\n@monthly", "root");
        assert_eq!(anacron(table.lines()), expected);
    }

    #[test]
    fn jobs_of_at() {
        let text = "#!/bin/sh\n# atrun uid=0 gid=0\n# mail bob 0\numask 22\nA=b; export A\n\
                    cd /root || {\n\t echo 'x' >&2\n\t exit 1\n}\n/bin/x now\n";
        let found = at("a0000101a2b3c4", text);
        assert_eq!(found.command.as_deref(), Some("/bin/x now"));
        assert_eq!(found.user.as_deref(), Some("bob"));
        assert!(found.schedule.unwrap().starts_with("2022-"));
        assert_eq!(at("x", ""), Job::default());
    }

    #[test]
    fn units() {
        let text = "[Unit]\nExecStart=no\n[Service]\nExecStart=/bin/a \\\n  -b\nUser = eve\nExecStartPre=-/bin/c\n";
        assert_eq!(service(text), job("-/bin/c\n/bin/a    -b", "", "eve"));
        let text = "[Timer]\nOnCalendar=daily\nOnBootSec=5min\nUnit=x.service\n";
        let (when, unit) = timer(text);
        assert_eq!(when.as_deref(), Some("OnCalendar=daily\nOnBootSec=5min"));
        assert_eq!(unit.as_deref(), Some("x.service"));
        assert_eq!(settings("[Desktop Entry]\nExec=/bin/z\n", "Desktop Entry", "Exec"), ["/bin/z"]);
    }
}
