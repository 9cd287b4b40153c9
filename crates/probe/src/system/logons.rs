//! Logons, logoffs and failed logons, from four sources that often tell of the same one: calls of
//! libpam, user messages of the audit subsystem by libpam and by the program itself, records of wtmp
//! and btmp.
//!
//! Invariant: each source tells of one logon once, so one told by a source takes away at most one
//! of each other source.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::net::IpAddr;

use metsuke_event::activity::LogonActivity;
use metsuke_event::{Logon, Process, Text};

use crate::system::audit::{Message, Said, Teller};
use crate::system::listeners::{Call, PamCall};
use crate::system::roots::{Place, Root};
use crate::system::utmp::{self, Entry, State};

/// Two sources tell of one logon within this time, in nanoseconds.
const TOGETHER_NANOS: u64 = 10_000_000_000;

/// A program's own word may come so much later, in nanoseconds: sshd says of a refused user at the end
/// of the connection that nobody logged on, and ends it after 120 seconds itself (`LoginGraceTime`).
const LAST_WORD_NANOS: u64 = 130_000_000_000;

/// Logons told lately that are remembered.
const MAX_RECENT: usize = 512;

/// Terminals whose user is remembered for the record of its end, which names none.
const MAX_TERMINALS: usize = 1_024;

/// Most bytes read of wtmp or btmp at once: 512 records.
const MAX_READ: u64 = 512 * utmp::RECORD as u64;

/// Files of logons whose length is known, over all places.
const MAX_LENGTHS: usize = 512;

/// The files.
pub(super) const PATHS: [&str; 2] = ["/var/log/wtmp", "/var/log/btmp"];

/// PAM services whose sessions are jobs and no logons of anybody.
const JOBS: [&str; 7] = ["cron", "crond", "atd", "anacron", "systemd-user", "runuser", "runuser-l"];

/// PAM services by which one user becomes another.
const CHANGES: [&str; 6] = ["su", "su-l", "sudo", "sudo-i", "doas", "pkexec"];

/// Where it was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Pam,
    /// libpam's message to the audit subsystem.
    Audit,
    /// The program's own message to it.
    Program,
    Utmp,
}

impl From<Teller> for Origin {
    fn from(teller: Teller) -> Self {
        match teller {
            Teller::Pam => Self::Audit,
            Teller::Program => Self::Program,
        }
    }
}

#[derive(Debug)]
struct Recent {
    what: LogonActivity,
    user: Option<Text>,
    pid: u64,
    at: u64,
    origins: Vec<Origin>,
}

#[derive(Debug, Default)]
pub(super) struct Logons {
    recent: VecDeque<Recent>,
    terminals: HashMap<String, String>,
    lengths: HashMap<(Place, String), u64>,
    repeated: u64,
}

impl Logons {
    /// Logons that a second source told of as well.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Whether this is the first source that tells of it.
    pub(super) fn is_first(
        &mut self,
        what: LogonActivity,
        logon: &Logon,
        (pid, origin, now): (u64, Origin, u64),
    ) -> bool {
        self.recent.retain(|recent| recent.at.saturating_add(LAST_WORD_NANOS) > now);
        let same = self.recent.iter_mut().find(|recent| {
            if recent.what != what || recent.origins.contains(&origin) {
                return false;
            }
            let fits = recent.user == logon.user;
            if origin == Origin::Program && recent.pid == pid {
                return fits || names_nobody(logon);
            }
            let alone = recent.origins.contains(&Origin::Utmp) || origin == Origin::Utmp;
            recent.at.saturating_add(TOGETHER_NANOS) > now
                && fits
                // What stands in wtmp is often written by another process than called PAM.
                && (alone || recent.pid == pid)
        });
        if let Some(recent) = same {
            recent.origins.push(origin);
            self.repeated += 1;
            return false;
        }
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        let (user, origins) = (logon.user.clone(), vec![origin]);
        self.recent.push_back(Recent { what, user, pid, at: now, origins });
        true
    }

    /// How long a place's files are before anything is seen to be added.
    pub(super) fn learn(&mut self, place: &Place, root: &Root) {
        if self.lengths.len() >= MAX_LENGTHS {
            self.lengths.retain(|(place, _), _| *place == Place::Host);
        }
        for path in PATHS {
            let length = root.version(path).map_or(0, |(_, _, size, _)| size);
            self.lengths.insert((place.clone(), path.to_owned()), length);
        }
    }

    /// What was added to wtmp or btmp since the last look.
    pub(super) fn added(
        &mut self,
        (place, root): (&Place, &Root),
        path: &str,
        process: &Process,
    ) -> Vec<(LogonActivity, Logon)> {
        let Some((_, _, size, _)) = root.version(path) else { return Vec::new() };
        let key = |place: &Place| (place.clone(), path.to_owned());
        let begun = match place {
            Place::Namespace(_) => self.lengths.get(&key(&Place::Host)),
            _ => None,
        };
        let known = self.lengths.get(&key(place)).or(begun).copied();
        // Not known before: the last record is the new one. Shorter than before: it was begun anew.
        let record = utmp::RECORD as u64;
        let from = known.unwrap_or(size.saturating_sub(record));
        let from = if from > size { 0 } else { from };
        let Some((bytes, _)) = root.read_from(path, from, MAX_READ) else { return Vec::new() };
        let whole = bytes.len() as u64 / record * record;
        self.lengths.insert(key(place), from + whole);
        let failed = path.ends_with("btmp");
        let entries = utmp::entries(&bytes);
        entries.into_iter().filter_map(|entry| self.recorded(entry, failed, process)).collect()
    }

    fn recorded(
        &mut self,
        entry: Entry,
        failed: bool,
        process: &Process,
    ) -> Option<(LogonActivity, Logon)> {
        let what = match (failed, entry.state) {
            (true, _) => LogonActivity::Failed,
            (false, State::Began) => LogonActivity::Logon,
            (false, State::Ended) => LogonActivity::Logoff,
            (false, State::Asked) => return None,
        };
        let user = match what {
            LogonActivity::Logoff => self.terminals.remove(&entry.line).unwrap_or(entry.user),
            _ => entry.user,
        };
        if what == LogonActivity::Logon {
            if self.terminals.len() >= MAX_TERMINALS {
                self.terminals.clear();
            }
            self.terminals.insert(entry.line.clone(), user.clone());
        }
        let (source_ip, source_host) = origin(&entry.host);
        let logon = Logon {
            user: text(&user),
            service: process.name.clone(),
            source_ip: entry.address.or(source_ip),
            source_host,
            tty: text(&entry.line),
            source: Some("utmp".into()),
            ..Logon::default()
        };
        Some((what, logon))
    }
}

/// What a call of libpam tells; `None` when it is no logon.
pub(super) fn of_pam(call: &PamCall, process: &Process) -> Option<(LogonActivity, Logon)> {
    let job = JOBS.contains(&call.service.as_str());
    let what = match (call.call, call.result) {
        (Call::Open | Call::Close, _) if job => return None,
        (Call::Authenticate, 0) | (Call::Account, 0 | NEW_TOKEN_REQUIRED) => return None,
        (Call::Open, 0) => LogonActivity::Logon,
        (Call::Close, _) => LogonActivity::Logoff,
        (Call::Authenticate | Call::Account | Call::Open, _) => LogonActivity::Failed,
    };
    let (source_ip, source_host) = origin(&call.remote_host);
    let becomes = CHANGES.contains(&call.service.as_str());
    let actor =
        text(&call.remote_user).or_else(|| becomes.then(|| process.user_name.clone()).flatten());
    let logon = Logon {
        user: text(&call.user),
        service: text(&call.service),
        source_ip,
        source_host,
        tty: text(call.terminal.trim_start_matches("/dev/")),
        reason: (what == LogonActivity::Failed).then(|| reason(call.result).into()),
        session: process.pid.and_then(session),
        actor,
        source: Some("pam".into()),
        ..Logon::default()
    };
    Some((what, logon))
}

/// What a message of the audit subsystem tells.
pub(super) fn of_audit(message: &Message) -> Option<(LogonActivity, Logon)> {
    let what = match message.said {
        Said::Began => LogonActivity::Logon,
        Said::Ended => LogonActivity::Logoff,
        Said::Failed => LogonActivity::Failed,
    };
    let program = message.program.as_deref()?.rsplit('/').next()?;
    if JOBS.contains(&program) && what != LogonActivity::Failed {
        return None;
    }
    let logon = Logon {
        user: message.user.as_deref().and_then(text),
        service: text(program),
        source_ip: message.address,
        source_host: message.host.as_deref().and_then(text),
        tty: message.terminal.as_deref().and_then(|tty| text(tty.trim_start_matches("/dev/"))),
        reason: message
            .operation
            .as_deref()
            .filter(|_| message.said == Said::Failed)
            // The same word as libpam's own call is told by, which returns seconds later.
            .map(|operation| match operation {
                "PAM:authentication" => "authentication_failed",
                other => other,
            })
            .and_then(text),
        session: message.session,
        source: Some("audit".into()),
        ..Logon::default()
    };
    Some((what, logon))
}

/// A program tells the audit subsystem a user by number, or that there is none of the name it was given.
fn names_nobody(logon: &Logon) -> bool {
    let nobody = |user: &str| user.starts_with("uid ") || user.starts_with("(unknown");
    logon.user.as_deref().is_none_or(nobody)
}

fn text(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| text.into())
}

/// A remote host as PAM and utmp name it: an address or a name.
fn origin(host: &str) -> (Option<IpAddr>, Option<Text>) {
    match host.parse::<IpAddr>() {
        Ok(address) => (Some(address.to_canonical()), None),
        Err(_) => (None, text(host)),
    }
}

/// The audit subsystem's session of a running process.
fn session(pid: u64) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/sessionid")).ok()?;
    text.trim().parse::<u32>().ok().filter(|id| *id != u32::MAX).map(u64::from)
}

const NEW_TOKEN_REQUIRED: i32 = 12;

/// Results of Linux-PAM (`security/_pam_types.h`).
fn reason(result: i32) -> &'static str {
    match result {
        4 => "system_error",
        6 => "permission_denied",
        7 => "authentication_failed",
        8 => "insufficient_credentials",
        9 => "authentication_unavailable",
        10 => "unknown_user",
        11 => "too_many_tries",
        13 => "account_expired",
        14 => "session_error",
        19 => "no_answer",
        26 => "aborted",
        27 => "token_expired",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::activity::LogonActivity;
    use metsuke_event::{Logon, Process};

    use super::{Call, LAST_WORD_NANOS, Logons, Origin, PamCall, TOGETHER_NANOS, of_pam};

    #[test]
    fn one_logon_told_by_three_is_told_once_and_two_are_two() {
        let mut logons = Logons::default();
        let bob = Logon { user: Some("bob".into()), ..Logon::default() };
        let mut first =
            |pid, origin, at| logons.is_first(LogonActivity::Failed, &bob, (pid, origin, at));
        assert!(first(7, Origin::Pam, 1));
        assert!(first(7, Origin::Pam, 2), "a second try");
        assert!(!first(7, Origin::Audit, 3) && !first(7, Origin::Audit, 4));
        assert!(!first(9, Origin::Utmp, 5) && !first(9, Origin::Utmp, 6));
        assert!(first(9, Origin::Utmp, 7), "a third try, which nobody else saw");
        assert!(first(7, Origin::Audit, 9 + TOGETHER_NANOS), "later is another");
    }

    #[test]
    fn what_a_program_says_itself_at_the_end_is_no_other_logon() {
        let mut logons = Logons::default();
        let named = |user: &str| Logon { user: Some(user.into()), ..Logon::default() };
        let mut first = |user: &str, pid, origin, at| {
            logons.is_first(LogonActivity::Failed, &named(user), (pid, origin, at))
        };
        assert!(first("bob", 7, Origin::Audit, 1));
        assert!(!first("bob", 7, Origin::Pam, 2));
        assert!(!first("bob", 7, Origin::Program, 2 + TOGETHER_NANOS), "at the connection's end");
        assert!(first("eve", 8, Origin::Pam, 3 + TOGETHER_NANOS));
        assert!(first("bob", 8, Origin::Program, 4 + TOGETHER_NANOS), "another user");
        assert!(!first("(unknown user)", 8, Origin::Program, 5 + TOGETHER_NANOS), "nobody");
        assert!(first("eve", 9, Origin::Program, 6 + TOGETHER_NANOS), "another process");
        assert!(first("bob", 7, Origin::Program, 2 + LAST_WORD_NANOS), "its number is used again");
    }

    #[test]
    fn calls_of_libpam() {
        let check = |call, result, service: &str| {
            let call = PamCall {
                call,
                result,
                service: service.to_owned(),
                user: "bob".to_owned(),
                remote_host: "192.0.2.1".to_owned(),
                remote_user: String::new(),
                terminal: "/dev/pts/1".to_owned(),
            };
            let process = Process { user_name: Some("eve".into()), ..Process::default() };
            of_pam(&call, &process)
        };
        let (what, logon) = check(Call::Open, 0, "sshd").unwrap();
        assert_eq!(what, LogonActivity::Logon);
        assert_eq!(logon.source_ip, Some([192, 0, 2, 1].into()));
        assert_eq!((logon.tty.as_deref(), logon.actor), (Some("pts/1"), None));
        let (what, logon) = check(Call::Authenticate, 7, "su").unwrap();
        assert_eq!(what, LogonActivity::Failed);
        assert_eq!(logon.reason.as_deref(), Some("authentication_failed"));
        assert_eq!(logon.actor.as_deref(), Some("eve"));
        assert_eq!(check(Call::Authenticate, 0, "sshd"), None);
        assert_eq!(check(Call::Account, 12, "sshd"), None);
        assert_eq!(check(Call::Open, 0, "cron"), None);
        assert_eq!(check(Call::Close, 0, "sshd").unwrap().0, LogonActivity::Logoff);
    }
}
