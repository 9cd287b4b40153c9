//! Where the world speaks to [`System`], and what it can and cannot see.

use std::sync::Arc;

use metsuke_event::Process;
use metsuke_event::coverage::{BlindSpot, Coverage, HookTrial, Outcome};

use crate::cgroups::Cgroups;
use crate::config::{ProbeConfig, Watcher};
use crate::procfs;
use crate::system::listeners::Heard;
use crate::system::{System, Told};
use crate::world::World;

impl World {
    /// Adds what follows from an activity; nothing follows from these in turn.
    pub(crate) fn push_told(&mut self, told: impl IntoIterator<Item = Told>) {
        for Told { time, process, activity } in told {
            self.emitter.push(time, &process, activity);
        }
    }

    /// Tells what waited long enough at `now`, in nanoseconds since boot; `u64::MAX` tells all.
    pub(crate) fn system_round(&mut self, now: u64) {
        let mut told = Vec::new();
        let notice = self.system.round(now, &mut told);
        self.push_told(told);
        if let Some(notice) = notice {
            self.emitter.notice(notice);
        }
    }

    /// Something was heard of the process `pid` that started at `start`, at `now` (nanoseconds
    /// since boot). Without a start whoever has the number is meant; false when nobody in scope has.
    pub(super) fn hear(&mut self, pid: u32, start: Option<u64>, now: u64, heard: &Heard) -> bool {
        let found = match start {
            Some(start) => {
                let key = self.key(pid, start);
                let known = self.table.get(key).cloned();
                let ended = || self.system.ended.by_uid(&key.to_string());
                Some(known.or_else(ended).unwrap_or_else(|| self.find(key)))
            }
            None => self.whoever(pid),
        };
        let Some(process) = found else { return false };
        let told = self.system.hear(self.time(now), &process, heard);
        self.push_told(told);
        true
    }

    /// The process with a number, when it is in scope.
    fn whoever(&mut self, pid: u32) -> Option<Arc<Process>> {
        if let Some(process) =
            self.table.by_pid(pid).cloned().or_else(|| self.system.ended.by_pid(pid))
        {
            return Some(process);
        }
        let group = Cgroups::of_pid(pid);
        if !self.bounds.prefix.is_empty() && !group.is_some_and(|g| self.bounds.holds(&g.path)) {
            return None;
        }
        let stat = procfs::stat(pid)?;
        Some(self.adopt(pid, &stat))
    }
}

impl System {
    /// A control group was made.
    pub(crate) fn group_made(&mut self, id: u64, path: &str) {
        if self.watches(Watcher::Services) {
            self.services.made(id, path);
        }
    }

    /// A process that ran before anything was watched.
    pub(crate) fn known(&mut self, process: &Arc<Process>) {
        if self.watches(Watcher::Services) {
            self.services.known(process);
        }
    }
}

/// Adds what is seen of the system, and what is not, to the report.
pub(crate) fn report(config: &ProbeConfig, coverage: &mut Coverage, trials: Vec<HookTrial>) {
    let sees = config.watchers.iter().flat_map(|watcher| classes(*watcher));
    coverage.sees.extend(sees.map(|class| (*class).to_owned()));
    let works =
        trials.iter().any(|hook| hook.hook == "uprobe/libpam" && hook.outcome == Outcome::Works);
    if config.watchers.contains(&Watcher::Logons) && !works {
        coverage.blind.push(spot(
            "logons_without_libpam",
            classes(Watcher::Logons),
            "calls of libpam are not seen; logons are known from the audit subsystem and wtmp only",
        ));
    }
    coverage.hooks.extend(trials);
    for (code, activities, reason) in BLIND {
        coverage.blind.push(spot(code, activities, reason));
    }
}

const BLIND: &[(&str, &[&str], &str)] = &[
    (
        "logons_without_pam",
        &["user.logon", "user.logon_failed"],
        "a program that asks no PAM, tells no audit subsystem and writes no wtmp logs users on unseen; keys refused by sshd reach none of them",
    ),
    (
        "script_input",
        &["script.execute"],
        "code that comes by a pipe or socket is told as such, without its text; so is code in a file that is gone when it is looked at",
    ),
    (
        "prompts",
        &["script.execute"],
        "lines typed at a prompt are seen of bash and of programs that use libreadline.so.8, not of other shells or static copies under another name",
    ),
    (
        "quick_changes",
        &["persistence.modify", "account.modify", "scheduled_job.modify", "service.modify"],
        "a file is looked at after its writer closed it: what was changed and put back within milliseconds is told as written, not as a difference; so is what a container changes before its first execution was looked at",
    ),
];

fn classes(watcher: Watcher) -> &'static [&'static str] {
    match watcher {
        Watcher::Accounts => &["account.create", "account.modify", "account.delete"],
        Watcher::Persistence => &[
            "persistence.create",
            "persistence.modify",
            "persistence.delete",
            "scheduled_job.create",
            "scheduled_job.modify",
            "scheduled_job.delete",
            "service.create",
            "service.modify",
            "service.delete",
        ],
        Watcher::Services => &["service.start", "service.stop"],
        Watcher::Logons => &["user.logon", "user.logoff", "user.logon_failed"],
        Watcher::Scripts => &["script.execute"],
        Watcher::Prompts => &[],
    }
}

fn spot(code: &str, activities: &[&str], reason: &str) -> BlindSpot {
    BlindSpot {
        code: code.to_owned(),
        activities: activities.iter().map(|name| (*name).to_owned()).collect(),
        reason: reason.to_owned(),
    }
}
