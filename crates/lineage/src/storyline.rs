//! Where a storyline begins.
//!
//! A storyline is everything descended from one root: the first process in scope whose parent is
//! outside the scope, a direct child of pid 1 or of the kernel, or a session leader started by a
//! daemon that opens sessions for people or for schedules.

/// Names (comm) of daemons whose children begin storylines of their own.
const SESSION_DAEMONS: &[&str] = &[
    "agetty",
    "anacron",
    "at",
    "atd",
    "cron",
    "crond",
    "dropbear",
    "gdm-session-wor",
    "getty",
    "in.telnetd",
    "lightdm",
    "login",
    "sddm",
    "sshd",
    "sshd-session",
    "su-l",
    "systemd",
    "xrdp-sesman",
];

/// Programs of Windows that start services, sessions, tasks, and what people click.
const WINDOWS_STARTERS: &[&str] = &[
    "csrss.exe",
    "explorer.exe",
    "lsass.exe",
    "services.exe",
    "smss.exe",
    "svchost.exe",
    "system",
    "taskeng.exe",
    "taskhostw.exe",
    "userinit.exe",
    "wininit.exe",
    "winlogon.exe",
    "wmiprvse.exe",
];

/// Whether what a process starts begins a storyline, as far as a recording tells: by its number and
/// the file name of its executable in lower case. Of sessions nothing is known there, so every child
/// of a daemon that opens them counts.
pub fn begins_below(pid: Option<u64>, name: &str) -> bool {
    // 0 is the kernel; 1 and 2 are init and kthreadd, 4 is the system process of Windows.
    matches!(pid, Some(0..=2 | 4))
        || SESSION_DAEMONS.contains(&name)
        || WINDOWS_STARTERS.contains(&name)
}

/// What is known of a process's parent when the process is first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent<'a> {
    /// Outside the scope, or gone before it was seen.
    Unseen,
    /// In scope.
    Seen {
        /// Its process id.
        pid: u32,
        /// Its short name.
        name: &'a str,
        /// Its storyline.
        storyline: &'a str,
    },
}

/// Whether a process leads its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It does.
    Leader,
    /// It does not.
    Member,
}

/// The storyline that a process joins: `None` when it begins one of its own.
pub fn joins(parent: Parent<'_>, session: Session) -> Option<&str> {
    match parent {
        // pid 0 is the kernel, 1 is init, 2 is kthreadd.
        Parent::Unseen | Parent::Seen { pid: 0..=2, .. } => None,
        Parent::Seen { name, .. }
            if session == Session::Leader && SESSION_DAEMONS.contains(&name) =>
        {
            None
        }
        Parent::Seen { storyline, .. } => Some(storyline),
    }
}

#[cfg(test)]
mod tests {
    use super::{Parent, Session, joins};

    #[test]
    fn begins_where_it_should() {
        let parent = |pid, name| Parent::Seen { pid, name, storyline: "s" };
        for (parent, session, expected) in [
            (Parent::Unseen, Session::Member, None),
            (parent(1, "init"), Session::Member, None),
            (parent(2, "kthreadd"), Session::Member, None),
            (parent(700, "sshd"), Session::Leader, None),
            (parent(700, "sshd"), Session::Member, Some("s")),
            (parent(700, "cron"), Session::Leader, None),
            (parent(700, "bash"), Session::Leader, Some("s")),
            (parent(700, "bash"), Session::Member, Some("s")),
        ] {
            assert_eq!(joins(parent, session), expected, "{parent:?} {session:?}");
        }
    }
}
