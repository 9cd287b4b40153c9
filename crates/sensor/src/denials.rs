//! The deny list in force: read from the configuration, put in force, and each decision told as an
//! activity of the process it met.
//!
//! Invariant: what was denied and could not be told is counted and told as a loss.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use metsuke_enforce::deny::{Decision, DenyList, Entry, Found, Guard, Mode, Operations, Subject};
use metsuke_enforce::gate::Passed;
use metsuke_event::activity::Activity;
use metsuke_event::{Denial, Kind, Tally, Timestamp};
use metsuke_guard::protected::Touch;
use metsuke_probe::{Report, Reporter};
use serde::Deserialize;

use crate::facts;
use crate::gate::{Gate, Plan};
use crate::health::Note;

/// How long the thread waits for a decision at a time.
const WAIT: Duration = Duration::from_millis(50);
/// Alike decisions within this time are told as one activity with their number.
const JOINED: Duration = Duration::from_secs(1);
/// Different decisions that wait to be joined; beyond, the oldest is told at once.
const JOINING_MAX: usize = 256;
/// How often what could not be told is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often the hooks and tables are looked after: for so long one that somebody took away denies
/// nothing.
const MIND: Duration = Duration::from_secs(1);

/// One entry as the configuration writes it: one of the subjects, and what is denied of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Written {
    sha256: Option<String>,
    path: Option<PathBuf>,
    destination: Option<String>,
    module: Option<String>,
    /// `everything`, `memfd`, `unknown_copy` or `anonymous`.
    any: Option<String>,
    operations: Vec<String>,
    observe: bool,
}

impl Written {
    fn subject(&self) -> anyhow::Result<Subject> {
        let mut found = Vec::new();
        if let Some(text) = &self.sha256 {
            found.push(Subject::Sha256(sha256(text)?));
        }
        if let Some(path) = &self.path {
            found.push(Subject::Path(path.clone()));
        }
        if let Some(text) = &self.destination {
            found.push(destination(text)?);
        }
        if let Some(name) = &self.module {
            found.push(Subject::Module(name.clone()));
        }
        if let Some(word) = &self.any {
            found.push(match word.as_str() {
                "everything" => Subject::Everything,
                "memfd" => Subject::Memory,
                "unknown_copy" => Subject::UnknownCopy,
                "anonymous" => Subject::Anonymous,
                _ => anyhow::bail!(
                    "`any` is everything, memfd, unknown_copy or anonymous, not {word}"
                ),
            });
        }
        let [subject] = <[Subject; 1]>::try_from(found).map_err(|found| {
            anyhow::anyhow!(
                "an entry names one of sha256, path, destination, module and any, not {}",
                found.len()
            )
        })?;
        Ok(subject)
    }
}

fn sha256(text: &str) -> anyhow::Result<[u8; 32]> {
    let wrong = || format!("`{text}` is no SHA-256: 64 hexadecimal digits");
    let mut hash = [0; 32];
    anyhow::ensure!(text.len() == 64 && text.is_ascii(), "{}", wrong());
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).with_context(wrong)?;
    }
    Ok(hash)
}

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.1:443` or `[::1]:443`.
fn destination(text: &str) -> anyhow::Result<Subject> {
    let wrong = || format!("`{text}` is no destination: an address, with a port, or a network");
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        let bits = if socket.is_ipv4() { 32 } else { 128 };
        return Ok(Subject::Destination { address: socket.ip(), bits, port: Some(socket.port()) });
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().with_context(wrong)?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().with_context(wrong)?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Ok(Subject::Destination { address, bits: bits.unwrap_or(whole), port: None })
}

/// The list of the configuration.
///
/// # Errors
/// When an entry is wrong; it is named by its number.
pub(crate) fn list(written: &[Written]) -> anyhow::Result<DenyList> {
    let mut list = DenyList::default();
    for (number, entry) in written.iter().enumerate() {
        let named = || format!("entry {} of `deny` in the configuration", number + 1);
        let mut operations = Operations::default();
        for name in &entry.operations {
            let known = Operations::named(name)
                .with_context(|| format!("{}: `{name}` is none of {}", named(), Operations::ALL))?;
            operations = operations.and(known);
        }
        let mode = if entry.observe { Mode::Observe } else { Mode::Deny };
        let subject = entry.subject().with_context(named)?;
        list.add(Entry { subject, operations, mode }).with_context(named)?;
    }
    Ok(list)
}

/// Where decisions and losses are told.
pub(crate) struct Told {
    pub(crate) reporter: Reporter,
    pub(crate) note: Box<dyn Fn(Note) + Send>,
    /// What somebody did to the sensor's own.
    pub(crate) tampered: Box<dyn Fn(Touch) + Send>,
    /// What is wrong with the hooks and tables now.
    pub(crate) trouble: Box<dyn Fn(Option<String>) + Send>,
}

/// The guard, put in force; its thread tells what it does. Dropping it ends both.
pub(crate) struct Denials {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Denials {
    /// Puts `list` in force by `guard`, and begins to tell what it does.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        mut guard: Guard,
        list: DenyList,
        gate: Option<&Plan>,
        told: Told,
    ) -> anyhow::Result<Self> {
        let asked = !list.entries().is_empty();
        let gate = gate.map(|plan| Gate::start(plan, list.clone())).transpose()?;
        if guard.tier().is_some() {
            match guard.apply(list) {
                Ok(gaps) => {
                    for gap in gaps {
                        let (operations, reason) = (gap.operations, gap.reason);
                        tracing::warn!(code = gap.code, %operations, "deny list: {reason}");
                    }
                }
                Err(error) => (told.note)(note("refused", None, error.to_string())),
            }
        } else if asked {
            let detail = "no hook that could deny works here; the refused hooks say why";
            (told.note)(note("no_hook", None, detail.to_owned()));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("metsuke-denials".to_owned())
            .spawn(move || listen((guard, gate), &told, &stopped))
            .context("the thread of the deny list cannot be started")?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Denials {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the deny list ended by a panic");
        }
    }
}

fn note(reason: &'static str, lost: Option<Tally>, detail: String) -> Note {
    let now = facts::now();
    Note { part: "enforce.deny", reason, lost, from: now, to: now, detail }
}

/// Decisions of one process about one thing.
struct Joined {
    decision: Decision,
    denial: Denial,
    since: Instant,
}

fn listen((mut guard, mut gate): (Guard, Option<Gate>), told: &Told, stop: &AtomicBool) {
    let mut joining: VecDeque<Joined> = VecDeque::new();
    let mut losses = Losses::default();
    let (mut looked, mut minded) = (Instant::now(), Instant::now());
    loop {
        let stopped = stop.load(Ordering::Acquire);
        for decision in guard.take(if stopped { Duration::ZERO } else { WAIT }) {
            join(&mut joining, decision);
        }
        for decision in gate.as_mut().map(|gate| asked(gate, told)).unwrap_or_default() {
            join(&mut joining, decision);
        }
        while let Some(first) = joining.front() {
            if !stopped && joining.len() <= JOINING_MAX && first.since.elapsed() < JOINED {
                break;
            }
            losses.unsaid += joining.pop_front().map_or(0, |one| tell(&told.reporter, one));
        }
        if stopped || looked.elapsed() >= LOOK {
            looked = Instant::now();
            losses.tell(&guard, gate.as_ref(), told);
        }
        if stopped {
            return;
        }
        if minded.elapsed() >= MIND {
            minded = Instant::now();
            mind(&mut guard, told);
        }
    }
}

/// Looks after the hooks and tables, and tells what was found.
fn mind(guard: &mut Guard, told: &Told) {
    for Found { tampered, reason, detail, from } in guard.look(facts::now()) {
        tracing::warn!(reason, "the deny list's own: {detail}");
        if let Some(object) = tampered {
            (told.tampered)(Touch { object, reason, detail: detail.clone() });
        }
        (told.note)(Note { part: "enforce.hook", from, ..note(reason, None, detail) });
    }
    let off = guard.off().join("; ");
    (told.trouble)((!off.is_empty()).then(|| format!("what is listed may not be denied: {off}")));
}

/// What the gate decided; how it ended is told at once.
fn asked(gate: &mut Gate, told: &Told) -> Vec<Decision> {
    let heard = gate.heard();
    if let Some((reason, detail)) = heard.ended {
        tracing::error!(reason, "the gate: {detail}");
        (told.note)(Note { part: "enforce.gate", ..note(reason, None, detail) });
    }
    heard.decisions
}

/// What was not told, and what was allowed because it could not be hashed.
#[derive(Debug, Default)]
struct Losses {
    unsaid: u64,
    passed: Passed,
    told: u64,
    open: u64,
    since: Option<Timestamp>,
}

impl Losses {
    fn tell(&mut self, guard: &Guard, gate: Option<&Gate>, told: &Told) {
        let counts = guard.counts();
        let from = self.since.replace(facts::now()).unwrap_or_else(facts::now);
        let untold = gate.map_or(0, Gate::untold);
        let lost = counts.lost.saturating_add(self.unsaid).saturating_add(untold);
        if lost > self.told {
            let detail = "decisions were carried out and could not be told for want of room";
            let count = Some(Tally::of(Kind::Denial, lost - self.told));
            (told.note)(Note { from, ..note("queue_full", count, detail.to_owned()) });
            self.told = lost;
        }
        let open = counts.too_large.saturating_add(counts.not_hashed);
        if open > self.open {
            let files = open - self.open;
            let detail = format!(
                "{files} files were let pass by content, {} of them too large to be hashed, \
                 unless an entry for unknown copies denied them",
                counts.too_large.min(files)
            );
            (told.note)(Note { from, ..note("not_hashed", None, detail) });
            self.open = open;
        }
        let passed = gate.map(Gate::passed).unwrap_or_default();
        let seen = Passed { untold: 0, ..passed };
        if seen != self.passed {
            self.passed = seen;
            if seen != Passed::default() {
                let detail = format!(
                    "since the gate holds {} files were let pass for want of time, {} for want of \
                     room, {} were too large, {} could not be read, unless an entry for unknown \
                     copies denied the last two; {} could not be opened, which the kernel denied",
                    seen.late, seen.shed, seen.too_large, seen.unread, seen.unopened
                );
                let told_of = note("not_hashed", None, detail);
                (told.note)(Note { part: "enforce.gate", from, ..told_of });
            }
        }
    }
}

fn join(joining: &mut VecDeque<Joined>, decision: Decision) {
    let denial = decision.denial();
    let same = |one: &&mut Joined| {
        let key = |decision: &Decision| (decision.pid, decision.start_nanos);
        let alike = Denial { operations: denial.operations, ..one.denial.clone() } == denial;
        key(&one.decision) == key(&decision) && alike
    };
    if let Some(known) = joining.iter_mut().find(same) {
        known.denial.operations = known.denial.operations.map(|count| count.saturating_add(1));
    } else {
        joining.push_back(Joined { decision, denial, since: Instant::now() });
    }
}

/// How many operations could not be told.
fn tell(reporter: &Reporter, joined: Joined) -> u64 {
    let Joined { decision, denial, .. } = joined;
    let operations = denial.operations.unwrap_or(1);
    let report = Report {
        pid: decision.pid,
        start_nanos: decision.start_nanos,
        time_nanos: decision.time_nanos,
        activity: Activity::Denial(denial),
    };
    if reporter.report(report) { 0 } else { operations }
}

#[cfg(test)]
mod tests {
    use metsuke_enforce::deny::{Mode, Subject};

    use super::{Written, list};

    fn read(text: &str) -> anyhow::Result<metsuke_enforce::deny::DenyList> {
        list(&serde_json::from_str::<Vec<Written>>(text)?)
    }

    #[test]
    fn entries_are_read_as_written() {
        let hash = "ab".repeat(32);
        let text = format!(
            r#"[{{"sha256": "{hash}", "operations": ["exec", "map"]}},
                {{"path": "/bin/x", "operations": ["open"], "observe": true}},
                {{"destination": "10.0.0.0/8", "operations": ["connect"]}},
                {{"destination": "[::1]:443", "operations": ["connect"]}},
                {{"module": "usb-storage", "operations": ["module_load"]}},
                {{"any": "memfd", "operations": ["exec"]}}]"#
        );
        let list = read(&text).expect("reads");
        let shown: Vec<String> =
            list.entries().iter().map(|entry| entry.subject.to_string()).collect();
        let expect = [hash.as_str(), "/bin/x", "10.0.0.0/8", "[::1]:443", "usb_storage", "memfd"];
        assert_eq!(shown, expect);
        assert_eq!(list.entries()[0].subject, Subject::Sha256([0xab; 32]));
        assert_eq!(list.entries()[1].mode, Mode::Observe);
    }

    #[test]
    fn a_wrong_entry_is_named() {
        for text in [
            r#"[{"operations": ["exec"]}]"#,
            r#"[{"path": "/x", "module": "y", "operations": ["exec"]}]"#,
            r#"[{"path": "/x", "operations": ["fly"]}]"#,
            r#"[{"path": "/x", "operations": ["ptrace"]}]"#,
            r#"[{"sha256": "abc", "operations": ["exec"]}]"#,
            r#"[{"destination": "10.0.0.0/x", "operations": ["connect"]}]"#,
            r#"[{"any": "thing", "operations": ["exec"]}]"#,
        ] {
            let error = read(text).expect_err(text);
            assert!(format!("{error:#}").contains("entry 1"), "{error:#}");
        }
    }
}
