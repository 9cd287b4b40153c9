//! What files, processes and libraries say about the system around them: accounts, what starts by
//! itself, services, logons, scripts.
//!
//! Works with every tier: it is shown each activity before it leaves the probe and adds typed ones,
//! attributed to the process that acted.
//!
//! Invariant: nothing here waits, and every store, queue and rate has a bound whose overflow is
//! counted and told.

mod accounts;
mod audit;
mod bucket;
mod diff;
mod ended;
mod jobs;
mod listeners;
mod logons;
mod mechanisms;
mod pending;
mod persistence;
mod roots;
mod scan;
mod scripts;
mod services;
mod snapshots;
mod utmp;
mod world;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use metsuke_event::activity::{
    Activity, FileActivity, LogonActivity, ModuleActivity, ProcessActivity, TransitionActivity,
};
use metsuke_event::{File, Logon, Process, Tally, Timestamp};

pub(crate) use listeners::Listeners;
pub(crate) use scripts::runs_scripts;
pub(crate) use world::report;

use crate::config::{ProbeConfig, Watcher};
use crate::emit::Notice;
use crate::host;
use crate::stats::{Counters, set};
use accounts::Accounts;
use ended::Ended;
use listeners::{Copy, Heard};
use logons::{Logons, Origin};
use mechanisms::{Mechanisms, Subject};
use pending::{Item, Pending};
use persistence::Change;
use roots::{Place, Root, Roots};
use scan::Scan;
use scripts::{Scripts, Source};
use services::Services;
use snapshots::{Before, Content, MAX_READ, Snapshot, Snapshots};

/// Most bytes read of an account database: some fifty thousand accounts.
const MAX_DATABASE: u64 = 4 << 20;

/// Places whose accounts are known: containers of one host.
const MAX_PLACES: usize = 128;

/// Copies of libraries and shells that wait to be watched.
const MAX_COPIES: usize = 16;

/// Losses are told this often, in nanoseconds.
const TELL_NANOS: u64 = 1_000_000_000;

/// An activity that follows from another.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) time: Timestamp,
    pub(crate) process: Arc<Process>,
    pub(crate) activity: Activity,
}

/// What is known of the system around the processes.
#[derive(Debug)]
pub(crate) struct System {
    watchers: BTreeSet<Watcher>,
    roots: Roots,
    mechanisms: Mechanisms,
    snapshots: Snapshots,
    accounts: HashMap<Place, Accounts>,
    met: HashSet<Place>,
    pending: Pending,
    scan: Scan,
    services: Services,
    scripts: Scripts,
    logons: Logons,
    ended: Ended,
    copies: Vec<Copy>,
    unreached: u64,
    told_lost: u64,
    tell_at: u64,
    since: Timestamp,
}

impl System {
    /// Reads the account databases; what starts by itself is looked at round by round.
    pub(crate) fn new(config: &ProbeConfig) -> Self {
        let mut system = Self {
            watchers: config.watchers.clone(),
            roots: Roots::new(),
            mechanisms: Mechanisms::new(&config.web_roots),
            snapshots: Snapshots::default(),
            accounts: HashMap::new(),
            met: HashSet::new(),
            pending: Pending::default(),
            scan: Scan::default(),
            services: Services::new(host::cgroup_root()),
            scripts: Scripts::new(),
            logons: Logons::default(),
            ended: Ended::default(),
            copies: Vec::new(),
            unreached: 0,
            told_lost: 0,
            tell_at: 0,
            since: host::now(),
        };
        if let Some(root) = system.roots.host() {
            system.meet(&Place::Host, &root);
        }
        system
    }

    /// A root that is met for the first time: its accounts are read, its files looked at in turn.
    fn meet(&mut self, place: &Place, root: &Arc<Root>) {
        if self.met.contains(place) {
            return;
        }
        if self.met.len() >= MAX_PLACES {
            self.met.retain(|place| *place == Place::Host);
            self.accounts.retain(|place, _| *place == Place::Host);
        }
        self.met.insert(place.clone());
        let mut accounts = Accounts::new();
        for path in accounts::PATHS {
            if let Content::File(whole) = root.read(path, MAX_DATABASE) {
                accounts.learn(path, &String::from_utf8_lossy(&whole.bytes));
            }
        }
        self.logons.learn(place, root);
        let homes = accounts.homes();
        self.accounts.insert(place.clone(), accounts);
        if self.watchers.contains(&Watcher::Persistence) {
            self.scan.plan(&self.mechanisms, (place, root), &homes);
        }
    }

    /// Shows an activity; what follows from it is added to `told`.
    pub(crate) fn observe(
        &mut self,
        time: Timestamp,
        process: &Arc<Process>,
        activity: &Activity,
        told: &mut Vec<Told>,
    ) {
        match activity {
            Activity::File(what, file) => self.file(time, process, (*what, file), told),
            Activity::Process(ProcessActivity::Exec) => self.exec(time, process, told),
            Activity::Process(ProcessActivity::Exit) => {
                if self.watches(Watcher::Services) {
                    self.services.exit(process, time, host::since_boot());
                }
                self.ended.keep(process);
            }
            Activity::Transition(TransitionActivity::Namespace, _) => self.enter(process),
            Activity::Module(ModuleActivity::Image, module) => {
                let path = module.path.as_deref().unwrap_or_default();
                if path.contains("/libpam.so.") && self.watches(Watcher::Logons) {
                    self.copy(process, path, true);
                }
            }
            _ => {}
        }
    }

    fn watches(&self, watcher: Watcher) -> bool {
        self.watchers.contains(&watcher)
    }

    fn enter(&mut self, process: &Process) {
        if let Some((place, root)) = self.roots.hold(process, host::since_boot()) {
            self.meet(&place, &root);
        }
    }

    /// A process uses a library or shell that may be a copy not watched yet.
    fn copy(&mut self, process: &Process, path: &str, pam: bool) {
        if let Some(pid) = process.pid
            && self.copies.len() < MAX_COPIES
        {
            self.copies.push(Copy { pid, path: path.to_owned(), pam });
        }
    }

    /// The copies that turned up since the last time.
    fn copies(&mut self) -> Vec<Copy> {
        std::mem::take(&mut self.copies)
    }

    fn file(
        &mut self,
        time: Timestamp,
        process: &Arc<Process>,
        (what, file): (FileActivity, &File),
        told: &mut Vec<Told>,
    ) {
        for (path, old) in [(file.old_path.as_deref(), true), (file.path.as_deref(), false)] {
            let Some(path) = path else { continue };
            let Some(subject) = self.wanted(path) else { continue };
            let item = Item {
                path: path.to_owned(),
                subject,
                process: Arc::clone(process),
                time,
                created: what == FileActivity::Create,
            };
            // Content follows a creation; what vanished may be put back in the same go; and of a
            // logon libpam and the audit subsystem say more than its record, a moment before.
            let later = old
                || subject == Subject::Logons
                || matches!(what, FileActivity::Create | FileActivity::Delete);
            self.touched(item, later, told);
        }
    }

    fn exec(&mut self, time: Timestamp, process: &Arc<Process>, told: &mut Vec<Told>) {
        self.enter(process);
        if self.watches(Watcher::Services) {
            self.services.exec(process, time, told);
        }
        if self.watches(Watcher::Prompts)
            && let Some(exe) = process.exe.as_deref()
            && exe.ends_with("/bash")
        {
            self.copy(process, exe, false);
        }
        if !self.watches(Watcher::Scripts) {
            return;
        }
        let Some(source) = scripts::source(process) else { return };
        let now = host::since_boot();
        let script = match &source {
            Source::Argument(text) => self.scripts.text(process, Some(text), now),
            Source::Stdin => self.scripts.text(process, None, now),
            Source::File(path) => match self.roots.at_start(process, path, now) {
                Some(root) => self.scripts.file(process, path, &root, now),
                None => return,
            },
        };
        let process = Arc::clone(process);
        told.push(Told { time, process, activity: Activity::Script(script) });
    }

    /// What was heard of a process beside the tiers.
    fn hear(&mut self, time: Timestamp, process: &Arc<Process>, heard: &Heard) -> Option<Told> {
        let now = host::since_boot();
        let (found, origin) = match heard {
            Heard::Line(line) if !line.trim().is_empty() && self.watches(Watcher::Prompts) => {
                let activity = Activity::Script(self.scripts.line(process, line, now));
                return Some(Told { time, process: Arc::clone(process), activity });
            }
            Heard::Line(_) => return None,
            Heard::Pam(call) => (logons::of_pam(call, process), Origin::Pam),
            Heard::Audit(message) => (logons::of_audit(message), message.teller.into()),
        };
        let (what, logon) = found?;
        self.logon(time, process, (what, logon, origin))
    }

    fn logon(
        &mut self,
        time: Timestamp,
        process: &Arc<Process>,
        (what, mut logon, origin): (LogonActivity, Logon, Origin),
    ) -> Option<Told> {
        let pid = process.pid.unwrap_or(0);
        let now = host::since_boot();
        if !self.watches(Watcher::Logons) || !self.logons.is_first(what, &logon, (pid, origin, now))
        {
            return None;
        }
        let host = self.accounts.get(&Place::Host);
        logon.user_id = logon.user.as_deref().and_then(|user| host?.user_id(user));
        let activity = Activity::Logon(what, logon);
        Some(Told { time, process: Arc::clone(process), activity })
    }

    /// What `path` is about, where somebody wants to know.
    fn wanted(&self, path: &str) -> Option<Subject> {
        let subject = self.mechanisms.of(path)?;
        let watcher = match subject {
            Subject::Accounts => Watcher::Accounts,
            Subject::Logons => Watcher::Logons,
            _ => Watcher::Persistence,
        };
        self.watchers.contains(&watcher).then_some(subject)
    }

    fn touched(&mut self, mut item: Item, later: bool, told: &mut Vec<Told>) {
        let now = host::since_boot();
        if later || !self.pending.may_look(now) {
            self.pending.put(item, now);
            return;
        }
        item.created |= self.pending.take(&item);
        self.look(&item, now, told);
    }

    /// Looks at a file as it is now, and tells what changed since it was last looked at.
    fn look(&mut self, item: &Item, now: u64, told: &mut Vec<Told>) {
        let Some((place, root)) = self.roots.of(&item.process, &item.path, now) else {
            self.unreached += 1;
            return;
        };
        if item.subject == Subject::Accounts {
            self.look_accounts(item, (place, &root), now);
            return;
        }
        if item.subject == Subject::Logons {
            let added = self.logons.added((&place, &root), &item.path, &item.process);
            for (what, logon) in added {
                told.extend(self.logon(item.time, &item.process, (what, logon, Origin::Utmp)));
            }
            return;
        }
        let path = root.resolved(&item.path, place == Place::Host);
        let content = root.read(&path, MAX_READ);
        if content == Content::Unreadable {
            return;
        }
        let after = Snapshot::of(&content);
        let mut before = self.snapshots.before(&place, &path);
        if item.created && before == Before::Unknown {
            before = Before::Absent;
        }
        let subject = item.subject;
        let change = Change { subject, path: &path, before, after: after.clone(), root: &root };
        if let Some(activity) = change.tell() {
            let process = Arc::clone(&item.process);
            told.push(Told { time: item.time, process, activity });
            self.snapshots.keep(&place, &path, after);
        }
    }

    fn look_accounts(&mut self, item: &Item, (place, root): (Place, &Arc<Root>), now: u64) {
        let content = root.read(&item.path, MAX_DATABASE);
        let text = match &content {
            Content::File(whole) => Some(String::from_utf8_lossy(&whole.bytes)),
            // Between two renames; the next one is told too.
            Content::Absent => None,
            Content::Link(_) | Content::Unreadable => return,
        };
        if !self.accounts.contains_key(&place) {
            let host = self.accounts.get(&Place::Host);
            let begun = match (&place, host) {
                (Place::Namespace(_), Some(host)) => Accounts::like(host),
                _ => Accounts::new(),
            };
            if self.accounts.len() >= MAX_PLACES {
                self.accounts.retain(|place, _| *place == Place::Host);
            }
            self.accounts.insert(place.clone(), begun);
        }
        if let Some(accounts) = self.accounts.get_mut(&place) {
            accounts.change(&item.path, text.as_deref(), (&item.process, item.time, now));
        }
    }

    /// What waited long enough, and the next steps of the paced look. Called some hundred times a
    /// second; `u64::MAX` tells everything.
    pub(crate) fn round(&mut self, now: u64, told: &mut Vec<Told>) -> Option<Notice> {
        for item in self.pending.due(now) {
            self.look(&item, host::since_boot(), told);
        }
        for accounts in self.accounts.values_mut() {
            for (time, process, activity) in accounts.due(now) {
                told.push(Told { time, process, activity });
            }
        }
        self.services.round(now, told);
        self.scan.round(&self.mechanisms, &mut self.snapshots);
        if now < self.tell_at {
            return None;
        }
        self.tell_at = now.saturating_add(TELL_NANOS);
        self.roots.release(now);
        self.tell_lost()
    }

    /// Changes that were seen and could not be looked at.
    fn tell_lost(&mut self) -> Option<Notice> {
        let (from, to) = (self.since, host::now());
        self.since = to;
        let total = self.unreached + self.pending.refused() + self.services.refused();
        let lost = total - self.told_lost;
        self.told_lost = total;
        let detail = "changed files that could not be read in time, or services beyond the bound";
        (lost > 0).then(|| Notice {
            part: "probe.system",
            reason: "gone",
            lost: Some(Tally::unknown(lost)),
            from,
            to,
            detail: Some(detail.to_owned()),
        })
    }

    /// Sets the counters kept here.
    pub(crate) fn count(&self, counters: &Counters) {
        set(&counters.snapshots, self.snapshots.len() as u64);
        set(&counters.snapshots_evicted, self.snapshots.evicted() + self.scan.refused());
        set(&counters.scan_left, self.scan.left() as u64);
        set(&counters.scripts_shortened, self.scripts.shortened());
        set(&counters.logons_repeated, self.logons.repeated());
    }
}
