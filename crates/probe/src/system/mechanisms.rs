//! Which files make something start by itself, and which tell of accounts and logons: one table of
//! path patterns.
//!
//! Invariant: a path that is none of them costs one look-up for each of its parts.

use std::collections::HashMap;
use std::path::PathBuf;

/// What a file of interest is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// One of the four account databases.
    Accounts,
    /// A list of logons: wtmp or btmp.
    Logons,
    /// A crontab with a user in each line.
    CronTable,
    /// A user's own crontab.
    CronSpool,
    /// A script that cron starts each hour, day, week or month.
    CronScript,
    /// anacron's table.
    Anacron,
    /// A job of at(1).
    At,
    /// A unit of systemd or what belongs to one, told by its name.
    Unit,
    /// A script in init.d, or rc.local.
    Init,
    /// A script that a web server would run.
    Web,
    /// Anything else that starts by itself, by the mechanism's name.
    Other(&'static str),
}

/// Patterns: a leading `**/` stands for any folder, a trailing `/**` for anything below, `*` for
/// any run of characters but `/`.
const TABLE: &[(Subject, &[&str])] = &[
    (Subject::Accounts, &["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"]),
    (Subject::Logons, &["/var/log/wtmp", "/var/log/btmp"]),
    (Subject::CronTable, &["/etc/crontab", "/etc/cron.d/*"]),
    (Subject::CronSpool, &["/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/etc/crontabs/*"]),
    (
        Subject::CronScript,
        &["/etc/cron.hourly/*", "/etc/cron.daily/*", "/etc/cron.weekly/*", "/etc/cron.monthly/*"],
    ),
    (Subject::Anacron, &["/etc/anacrontab"]),
    (Subject::At, &["/var/spool/cron/atjobs/*", "/var/spool/at/*"]),
    (
        Subject::Other("systemd_generator"),
        &[
            "/etc/systemd/system-generators/*",
            "/etc/systemd/user-generators/*",
            "/usr/lib/systemd/system-generators/*",
            "/lib/systemd/system-generators/*",
            "/usr/local/lib/systemd/system-generators/*",
            "/run/systemd/system-generators/*",
        ],
    ),
    (
        Subject::Unit,
        &[
            "/etc/systemd/system/**",
            "/etc/systemd/user/**",
            "/usr/lib/systemd/system/**",
            "/usr/lib/systemd/user/**",
            "/lib/systemd/system/**",
            "/usr/local/lib/systemd/system/**",
            "/run/systemd/system/**",
            "**/.config/systemd/user/**",
            "**/.local/share/systemd/user/**",
        ],
    ),
    (Subject::Init, &["/etc/init.d/*", "/etc/rc.local", "/etc/rc.d/rc.local"]),
    (
        Subject::Other("profile"),
        &[
            "/etc/profile",
            "/etc/profile.d/*",
            "/etc/bash.bashrc",
            "/etc/bashrc",
            "/etc/environment",
            "/etc/zsh/*",
            "**/.profile",
            "**/.bashrc",
            "**/.bash_profile",
            "**/.bash_login",
            "**/.bash_logout",
            "**/.bash_aliases",
            "**/.zshrc",
            "**/.zshenv",
            "**/.zprofile",
            "**/.zlogin",
            "**/.kshrc",
            "**/.pam_environment",
            "**/.config/fish/config.fish",
        ],
    ),
    (
        Subject::Other("ld_preload"),
        &["/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d/*"],
    ),
    (
        Subject::Other("pam"),
        &[
            "/etc/pam.d/*",
            "/etc/pam.conf",
            "/etc/security/*",
            "/lib/security/*",
            "/usr/lib/security/*",
            "/lib/x86_64-linux-gnu/security/*",
            "/usr/lib/x86_64-linux-gnu/security/*",
            "/usr/lib64/security/*",
            "/lib64/security/*",
        ],
    ),
    (
        Subject::Other("udev"),
        &[
            "/etc/udev/rules.d/*",
            "/usr/lib/udev/rules.d/*",
            "/lib/udev/rules.d/*",
            "/run/udev/rules.d/*",
        ],
    ),
    (Subject::Other("sudoers"), &["/etc/sudoers", "/etc/sudoers.d/*", "/etc/doas.conf"]),
    (
        Subject::Other("authorized_keys"),
        &["**/.ssh/authorized_keys", "**/.ssh/authorized_keys2", "**/.ssh/rc", "/etc/ssh/sshrc"],
    ),
    (Subject::Other("sshd_config"), &["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*"]),
    (
        Subject::Other("kernel_modules"),
        &[
            "/etc/modules",
            "/etc/modules-load.d/*",
            "/etc/modprobe.d/*",
            "/usr/lib/modules-load.d/*",
        ],
    ),
    (
        Subject::Other("package_hook"),
        &[
            "/etc/apt/apt.conf",
            "/etc/apt/apt.conf.d/*",
            "/etc/dpkg/dpkg.cfg.d/*",
            "/var/lib/dpkg/info/*.postinst",
            "/var/lib/dpkg/info/*.preinst",
            "/var/lib/dpkg/info/*.prerm",
            "/var/lib/dpkg/info/*.postrm",
            "/etc/yum/pluginconf.d/*",
            "/etc/dnf/plugins/*",
        ],
    ),
    (
        Subject::Other("xdg_autostart"),
        &["/etc/xdg/autostart/*.desktop", "**/.config/autostart/*.desktop"],
    ),
    (Subject::Other("motd"), &["/etc/update-motd.d/*"]),
    (
        Subject::Other("network_dispatcher"),
        &[
            "/etc/NetworkManager/dispatcher.d/**",
            "/etc/network/if-up.d/*",
            "/etc/network/if-pre-up.d/*",
            "/etc/network/if-down.d/*",
            "/etc/networkd-dispatcher/**",
            "/etc/dhcp/dhclient-exit-hooks.d/*",
            "/etc/dhcp/dhclient-enter-hooks.d/*",
        ],
    ),
    (Subject::Other("git_hook"), &["**/.git/hooks/*"]),
    (Subject::Other("logrotate"), &["/etc/logrotate.conf", "/etc/logrotate.d/*"]),
];

/// What a web server runs, by the end of its name.
const WEB_ENDINGS: &[&str] = &[
    ".php",
    ".php3",
    ".php5",
    ".php7",
    ".phtml",
    ".phar",
    ".jsp",
    ".jspx",
    ".war",
    ".asp",
    ".aspx",
    ".ashx",
    ".cgi",
    ".pl",
    ".py",
    ".sh",
    ".rb",
    ".lua",
    ".shtml",
    ".htaccess",
];

/// Names that editors and package managers give for a moment, or keep as copies: not read by what
/// starts things.
const PASSING: &[&str] =
    &["~", ".swp", ".swx", ".dpkg-new", ".dpkg-tmp", ".dpkg-old", ".dpkg-dist", ".sample", "-"];

/// Old passwords' hashes (`pam_unix`, `pam_pwhistory`), which lie where PAM's settings do: never read,
/// so that no difference tells them.
const SECRET: [&str; 4] = ["opasswd", "opasswd.old", "nopasswd", "nopasswd.old"];

/// One pattern with what it is about.
#[derive(Clone, Debug)]
struct Rule {
    subject: Subject,
    pattern: String,
}

/// The table, ready to be asked.
#[derive(Debug)]
pub(super) struct Mechanisms {
    rules: Vec<Rule>,
    /// Rules by the last fixed part of their pattern.
    by_part: HashMap<String, Vec<usize>>,
}

impl Mechanisms {
    /// The table, with the folders that web servers serve.
    pub(super) fn new(web_roots: &[PathBuf]) -> Self {
        let mut rules = Vec::new();
        for (subject, patterns) in TABLE {
            rules.extend(
                patterns.iter().map(|p| Rule { subject: *subject, pattern: (*p).to_owned() }),
            );
        }
        for root in web_roots {
            let pattern = format!("{}/**", root.display());
            rules.push(Rule { subject: Subject::Web, pattern });
        }
        let mut by_part: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let part = rule.pattern.rsplit('/').find(|part| !part.contains('*'));
            by_part.entry(part.unwrap_or_default().to_owned()).or_default().push(index);
        }
        Self { rules, by_part }
    }

    /// What `path` is about; `None` of nearly every path.
    pub(super) fn of(&self, path: &str) -> Option<Subject> {
        let mut best: Option<usize> = None;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            for index in self.by_part.get(part).into_iter().flatten() {
                if best.is_none_or(|best| *index < best)
                    && matches(&self.rules[*index].pattern, path)
                {
                    best = Some(*index);
                }
            }
        }
        let subject = self.rules[best?].subject;
        let name = path.rsplit('/').next().unwrap_or_default();
        let passing = PASSING.iter().any(|end| name.ends_with(end));
        let ends = |endings: &[&str]| {
            let name = name.to_ascii_lowercase();
            endings.iter().any(|end| name.ends_with(end))
        };
        let wanted = match subject {
            Subject::Web => ends(WEB_ENDINGS),
            Subject::CronSpool => !passing && !name.starts_with("tmp."),
            Subject::Unit => !passing && !name.starts_with(".#"),
            Subject::Accounts | Subject::Logons => true,
            Subject::Other("pam") => !passing && !SECRET.contains(&name),
            _ => !passing,
        };
        wanted.then_some(subject)
    }

    /// The patterns to look at in a scan: those of the whole host, and those of a home folder
    /// without their leading `**/`.
    pub(super) fn patterns(&self) -> (Vec<&str>, Vec<&str>) {
        let mut fixed = Vec::new();
        let mut homes = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.subject != Subject::Logons) {
            match rule.pattern.strip_prefix("**/") {
                // Repositories lie anywhere.
                Some(rest) if rest.starts_with(".git/") => {}
                Some(rest) => homes.push(rest),
                None => fixed.push(rule.pattern.as_str()),
            }
        }
        (fixed, homes)
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**/") {
        return path.match_indices('/').any(|(at, _)| matches(rest, &path[at + 1..]));
    }
    let (pattern, below) = match pattern.strip_suffix("/**") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return !below,
            (None, Some(_)) => return below,
            (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// At most one `*` in a part.
fn part_matches(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((head, tail)) => {
            !part.is_empty()
                && part.len() >= head.len() + tail.len()
                && part.starts_with(head)
                && part.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mechanisms, Subject};

    #[test]
    fn paths_and_what_they_are_about() {
        let mechanisms = Mechanisms::new(&["/var/www".into()]);
        for (path, expected) in [
            ("/etc/passwd", Some(Subject::Accounts)),
            ("/etc/passwd-", None),
            ("/etc/passwd+", None),
            ("/tmp/etc/passwd", None),
            ("/etc/cron.d/job", Some(Subject::CronTable)),
            ("/etc/cron.d/a/b", None),
            ("/var/spool/cron/crontabs/root", Some(Subject::CronSpool)),
            ("/var/spool/cron/crontabs/tmp.x1", None),
            ("/var/spool/cron/root", Some(Subject::CronSpool)),
            ("/var/spool/cron/atjobs/a0000101a2b3c4", Some(Subject::At)),
            ("/etc/systemd/system/a.service", Some(Subject::Unit)),
            ("/etc/systemd/system/a.target.wants/b.service", Some(Subject::Unit)),
            ("/home/u/.config/systemd/user/a.timer", Some(Subject::Unit)),
            ("/etc/systemd/system", None),
            ("/usr/lib/systemd/system-generators/g", Some(Subject::Other("systemd_generator"))),
            ("/home/u/.bashrc", Some(Subject::Other("profile"))),
            ("/root/.ssh/authorized_keys", Some(Subject::Other("authorized_keys"))),
            ("/home/u/.config/autostart/x.desktop", Some(Subject::Other("xdg_autostart"))),
            ("/home/u/.config/autostart/x.txt", None),
            ("/etc/ld.so.preload", Some(Subject::Other("ld_preload"))),
            ("/etc/init.d/x", Some(Subject::Init)),
            ("/var/www/html/shell.PHP", Some(Subject::Web)),
            ("/var/www/html/logo.png", None),
            ("/srv/x/.git/hooks/post-merge", Some(Subject::Other("git_hook"))),
            ("/srv/x/.git/hooks/post-merge.sample", None),
            ("/etc/pam.d/sshd.dpkg-new", None),
            ("/etc/security/limits.conf", Some(Subject::Other("pam"))),
            ("/etc/security/opasswd", None),
            ("/etc/security/nopasswd", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(mechanisms.of(path), expected, "{path}");
        }
    }

    #[test]
    fn every_pattern_has_a_fixed_part() {
        let mechanisms = Mechanisms::new(&["/var/www".into()]);
        assert!(!mechanisms.by_part.contains_key(""));
    }
}
