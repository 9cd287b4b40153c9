//! Identities for the processes of recordings.
//!
//! A sensor names every process and its storyline; logs of other products do so by halves: Sysmon
//! gives processes and their parents identities, Windows' own audit and auditd only numbers that are
//! used again. Here both become what the rest of the product works on: `process.uid`, that of the
//! parent, `process.storyline`.
//!
//! - What a source calls a process by stays its identity. A bare number is looked up among the
//!   processes of that host that ran at that time.
//! - Two logs that tell of one start (Sysmon's and Windows' own) mean one process.
//! - A parent that was never seen itself is a root of its own, so that what it started belongs
//!   together; what daemons, service managers and desktops start begins a storyline.
//!
//! Events should come in about the order of their time; whatever the order, the same events in the
//! same order get the same identities. Bounded by [`PROCESSES`]; what is forgotten is counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use metsuke_event::activity::ProcessActivity;
use metsuke_event::{
    Activity, BootId, EndpointId, Event, Process, ProcessKey, Text, Timestamp, ValueRef,
};

use crate::storyline::begins_below;

/// Processes remembered, of all hosts together: some 200 bytes each.
pub const PROCESSES: usize = 200_000;
/// Runs of one process number of one host that are remembered.
const RUNS: usize = 64;
/// How far two logs' times of one start may be apart.
const SAME_START_NANOS: i64 = 2_000_000_000;
/// How long after it was last seen a process of Linux may run another program: a later start is
/// taken for another process with a number that was used again.
const EXEC_AGAIN_NANOS: i64 = 600_000_000_000;
/// Sysmon's word for a process that it does not know.
const NOBODY: &str = "{00000000-0000-0000-0000-000000000000}";

type Host = (EndpointId, BootId);

/// One process.
#[derive(Clone, Debug)]
struct Known {
    uid: Text,
    storyline: Text,
    parent: Option<Text>,
    parent_pid: Option<u64>,
    /// File name of its executable, in lower case; empty when not known.
    name: String,
    pid: Option<u64>,
    seen: Timestamp,
}

/// When a process number was whose.
#[derive(Clone, Debug)]
struct Run {
    start: Timestamp,
    end: Option<Timestamp>,
    uid: Text,
}

/// Processes of recordings, as far as they were told of.
#[derive(Debug)]
pub struct Recorded {
    capacity: usize,
    known: HashMap<(EndpointId, Text), Known>,
    /// Other identities by which a source calls a process.
    others: HashMap<(EndpointId, Text), Text>,
    runs: HashMap<(EndpointId, u64), Vec<Run>>,
    order: VecDeque<(EndpointId, Text)>,
    forgotten: u64,
}

impl Default for Recorded {
    fn default() -> Self {
        Self::new(PROCESSES)
    }
}

/// What an event says of who acted.
struct Actor {
    uid: Option<Text>,
    pid: Option<u64>,
    parent_uid: Option<Text>,
    parent_pid: Option<u64>,
    name: String,
    parent_name: String,
    /// On Linux a process can run another program and stay itself.
    execs: bool,
}

impl Recorded {
    /// Remembers at most `capacity` processes.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: HashMap::new(),
            others: HashMap::new(),
            runs: HashMap::new(),
            order: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// Processes forgotten for want of room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Gives `event`, whose endpoint and boot are set, the identities it lacks. One that has them
    /// (the product's own) stays as it is, and so does one that names no process.
    pub fn identify(&mut self, event: &mut Event) {
        if event.process.uid.is_some() && event.process.storyline.is_some() {
            return;
        }
        let host = (event.id.endpoint, event.id.boot);
        let actor = Actor::of(event);
        let starts = matches!(
            event.activity,
            Activity::Process(ProcessActivity::Exec | ProcessActivity::Fork)
        );
        let known = if starts {
            self.started(host, event.time, &actor)
        } else {
            self.acting(host, event.time, &actor)
        };
        let Some(known) = known else { return };
        if matches!(event.activity, Activity::Process(ProcessActivity::Exit)) {
            self.ended(host.0, event.time, &known);
        }
        let given = event.process.uid.clone().filter(|uid| *uid != known.uid);
        if let Some(given) = given {
            event.unmapped.push("ProcessGuid", ValueRef::Text(&given));
        }
        let process: &mut Process = Arc::make_mut(&mut event.process);
        process.pid = process.pid.or(known.pid);
        process.uid = Some(known.uid);
        process.storyline = Some(known.storyline);
        process.parent_uid = known.parent;
        if starts {
            process.start_time = process.start_time.or(Some(event.time));
        }
    }

    /// The process that a start tells of.
    fn started(&mut self, host: Host, time: Timestamp, actor: &Actor) -> Option<Known> {
        if let Some(known) = actor.uid.as_ref().and_then(|uid| self.known(host.0, uid)).cloned() {
            return Some(self.seen(host.0, known, time, actor));
        }
        if let Some(known) = self.same_start(host.0, time, actor) {
            if let Some(other) = &actor.uid {
                self.others.insert((host.0, Text::clone(other)), Text::clone(&known.uid));
            }
            return Some(self.seen(host.0, known, time, actor));
        }
        self.begin(host, time, actor)
    }

    /// The process that another log told of already, or that runs another program now.
    fn same_start(&self, endpoint: EndpointId, time: Timestamp, actor: &Actor) -> Option<Known> {
        let run = self.run(endpoint, actor.pid?, time)?;
        let known = self.known.get(&(endpoint, Text::clone(&run.uid)))?;
        let parents_agree = match (known.parent_pid, actor.parent_pid) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let names_agree =
            known.name.is_empty() || actor.name.is_empty() || known.name == actor.name;
        let together = time.nanos_since(run.start).abs() <= SAME_START_NANOS;
        let again = actor.execs && time.nanos_since(known.seen) <= EXEC_AGAIN_NANOS;
        (parents_agree && ((together && names_agree) || again)).then(|| known.clone())
    }

    /// The process of something else than a start.
    fn acting(&mut self, host: Host, time: Timestamp, actor: &Actor) -> Option<Known> {
        let by_uid = actor.uid.as_ref().and_then(|uid| self.known(host.0, uid));
        let by_pid = || {
            let run = self.run(host.0, actor.pid?, time)?;
            self.known.get(&(host.0, Text::clone(&run.uid)))
        };
        let found = match &actor.uid {
            Some(_) => by_uid.cloned(),
            None => by_pid().cloned(),
        };
        match found {
            Some(known) => Some(self.seen(host.0, known, time, actor)),
            None => self.begin(host, time, actor),
        }
    }

    /// Takes what an event adds to a process that is known.
    fn seen(
        &mut self,
        endpoint: EndpointId,
        mut known: Known,
        time: Timestamp,
        actor: &Actor,
    ) -> Known {
        known.seen = known.seen.max(time);
        if !actor.name.is_empty() {
            known.name.clone_from(&actor.name);
        }
        if known.pid.is_none()
            && let Some(pid) = actor.pid
        {
            known.pid = Some(pid);
            self.add_run(endpoint, pid, time, &known.uid);
        }
        self.known.insert((endpoint, Text::clone(&known.uid)), known.clone());
        known
    }

    /// A process that was not known.
    fn begin(&mut self, host: Host, time: Timestamp, actor: &Actor) -> Option<Known> {
        let uid = match (&actor.uid, actor.pid) {
            (Some(uid), _) => Text::clone(uid),
            (None, Some(pid)) => made(host.1, pid, time),
            (None, None) => return None,
        };
        let parent = self.parent(host, time, actor);
        let joins = parent.as_ref().filter(|parent| !begins_below(parent.pid, &parent.name));
        let known = Known {
            storyline: Text::clone(joins.map_or(&uid, |parent| &parent.storyline)),
            parent: parent.map(|parent| parent.uid),
            parent_pid: actor.parent_pid,
            name: actor.name.clone(),
            pid: actor.pid,
            seen: time,
            uid,
        };
        self.remember(host.0, time, &known);
        Some(known)
    }

    /// The parent, which becomes known by this if it was not.
    fn parent(&mut self, host: Host, time: Timestamp, actor: &Actor) -> Option<Known> {
        let own = |known: &&Known| actor.uid.as_ref() != Some(&known.uid);
        if let Some(uid) = &actor.parent_uid
            && let Some(known) = self.known(host.0, uid).filter(own)
        {
            return Some(known.clone());
        }
        if actor.parent_uid.is_none()
            && let Some(run) = self.run(host.0, actor.parent_pid?, time)
            && let Some(known) = self.known.get(&(host.0, Text::clone(&run.uid))).filter(own)
        {
            return Some(known.clone());
        }
        let before = Timestamp::from_nanos(0);
        let uid = match (&actor.parent_uid, actor.parent_pid) {
            (Some(uid), _) => Text::clone(uid),
            (None, Some(pid)) => made(host.1, pid, before),
            (None, None) => return None,
        };
        if Some(&uid) == actor.uid.as_ref() {
            return None;
        }
        let known = Known {
            storyline: Text::clone(&uid),
            parent: None,
            parent_pid: None,
            name: actor.parent_name.clone(),
            pid: actor.parent_pid,
            seen: before,
            uid,
        };
        self.remember(host.0, before, &known);
        Some(known)
    }

    fn known(&self, endpoint: EndpointId, uid: &Text) -> Option<&Known> {
        let key = (endpoint, Text::clone(uid));
        let uid = self.others.get(&key).map_or(uid, |canonical| canonical);
        self.known.get(&(endpoint, Text::clone(uid)))
    }

    fn remember(&mut self, endpoint: EndpointId, start: Timestamp, known: &Known) {
        let key = (endpoint, Text::clone(&known.uid));
        if self.known.insert(key.clone(), known.clone()).is_none() {
            self.order.push_back(key);
        }
        if let Some(pid) = known.pid {
            self.add_run(endpoint, pid, start, &known.uid);
        }
        while self.order.len() > self.capacity {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(key) = self.order.pop_front() else { return };
        self.forgotten += 1;
        let Some(known) = self.known.remove(&key) else { return };
        if self.others.len() > self.capacity {
            // They are few: only where two logs tell of the same processes.
            self.others.clear();
        }
        let Some(pid) = known.pid else { return };
        if let Some(runs) = self.runs.get_mut(&(key.0, pid)) {
            runs.retain(|run| run.uid != key.1);
            if runs.is_empty() {
                self.runs.remove(&(key.0, pid));
            }
        }
    }

    fn add_run(&mut self, endpoint: EndpointId, pid: u64, start: Timestamp, uid: &Text) {
        let runs = self.runs.entry((endpoint, pid)).or_default();
        if runs.iter().any(|run| run.uid == *uid) {
            return;
        }
        let place = runs.partition_point(|run| run.start <= start);
        runs.insert(place, Run { start, end: None, uid: Text::clone(uid) });
        if runs.len() > RUNS {
            runs.remove(0);
        }
    }

    /// Whose number `pid` was at `time`.
    fn run(&self, endpoint: EndpointId, pid: u64, time: Timestamp) -> Option<&Run> {
        let late = time.plus_nanos(SAME_START_NANOS);
        let runs = self.runs.get(&(endpoint, pid))?;
        let run = runs.iter().rev().find(|run| run.start <= late)?;
        let over = run.end.is_some_and(|end| end.plus_nanos(SAME_START_NANOS) < time);
        (!over).then_some(run)
    }

    fn ended(&mut self, endpoint: EndpointId, time: Timestamp, known: &Known) {
        let runs = known.pid.and_then(|pid| self.runs.get_mut(&(endpoint, pid)));
        if let Some(run) = runs.and_then(|runs| runs.iter_mut().find(|run| run.uid == known.uid)) {
            run.end = Some(time);
        }
    }
}

/// An identity in the product's form; of a process whose start nobody saw with the time when it was
/// first told of.
fn made(boot: BootId, pid: u64, time: Timestamp) -> Text {
    let pid = u32::try_from(pid).unwrap_or(u32::MAX);
    let start_ticks = u64::try_from(time.as_nanos() / 10_000_000).unwrap_or_default();
    ProcessKey { boot, pid, start_ticks }.to_string().into()
}

impl Actor {
    fn of(event: &Event) -> Self {
        let process = &event.process;
        let kept = |names: &[&str]| {
            let found = names.iter().find_map(|name| event.unmapped.get(name));
            found.map(|value| value.to_text().into_owned())
        };
        let named = |uid: Option<Text>| uid.filter(|uid| !uid.is_empty() && **uid != *NOBODY);
        let source = || kept(&["SourceProcessGuid", "SourceProcessGUID"]).map(Text::from);
        let channel = kept(&["Channel"]).unwrap_or_default().to_ascii_lowercase();
        let places: &[&str] = match channel.as_str() {
            "security" => &["ProcessId", "ProcessID", "CallerProcessId"],
            other if other.contains("powershell") => &["Execution_ProcessID", "ExecutionProcessID"],
            _ => &["SourceProcessId"],
        };
        let pid = process.pid.or_else(|| number(&kept(places)?)).filter(|pid| *pid != 0);
        let exe = process.exe.as_deref().unwrap_or_default();
        let parent_exe = process.parent_exe.as_deref().or(process.parent_name.as_deref());
        Self {
            uid: named(process.uid.clone().or_else(source)),
            pid,
            parent_uid: named(process.parent_uid.clone()),
            parent_pid: process.parent_pid,
            name: file_name(if exe.is_empty() {
                process.name.as_deref().unwrap_or_default()
            } else {
                exe
            }),
            parent_name: file_name(parent_exe.unwrap_or_default()),
            execs: exe.starts_with('/'),
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase()
}
