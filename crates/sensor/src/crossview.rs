//! Cross-view looks of a running sensor: on a schedule, on demand, and when the sensor itself alerts;
//! what they find becomes activities, and the report is kept in the state folder.
//!
//! Invariant: a discrepancy is told once for as long as it lasts; the kept report has all of them.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use metsuke_crossview::{Config, Found, Report};

use crate::delegate::Shared;
use crate::{facts, plans};

/// Minutes between looks unless the configuration says otherwise.
const MINUTES: u64 = 15;
/// How long after its start the sensor looks first: a host that boots has other work.
const FIRST: Duration = Duration::from_secs(60);
/// Those who wait for a report at most.
const MAX_WAITING: usize = 16;
/// Alerts ask for a look this often at most: an attack brings many.
const BETWEEN_ALERTS: Duration = Duration::from_secs(300);
/// The report's name in the state folder.
const FILE: &str = "crossview.json";

/// Where looks are asked for.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    waiting: Mutex<Vec<SyncSender<Report>>>,
    bell: Condvar,
    /// When an alert last asked.
    alerted: Mutex<Option<Instant>>,
}

impl Desk {
    /// Asks for a look now; the report comes when it is done. `None` when too many wait already.
    pub(crate) fn ask(&self) -> Option<Receiver<Report>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return None;
        }
        let (sender, receiver) = sync_channel(1);
        waiting.push(sender);
        self.bell.notify_one();
        Some(receiver)
    }

    /// An alert came to be on the sensor itself: looks soon, unless it did a short while ago.
    pub(crate) fn alerted(&self) {
        let mut last = self.alerted.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.elapsed() < BETWEEN_ALERTS) {
            return;
        }
        *last = Some(Instant::now());
        // The report is kept and told by the looker; nobody here waits for it.
        drop(self.ask());
    }

    /// Waits until somebody asks, at most until `due`; those who asked.
    fn wait(&self, due: Option<Instant>) -> Vec<SyncSender<Report>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if !waiting.is_empty() || left == Some(Duration::ZERO) {
                return std::mem::take(&mut *waiting);
            }
            waiting = match left {
                Some(left) => {
                    let woken = self.bell.wait_timeout(waiting, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Starts the thread that looks; it ends with the process, and its failures are a trouble.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start(
    shared: &Arc<Shared>,
    scope: metsuke_probe::Scope,
    minutes: Option<u64>,
) -> anyhow::Result<()> {
    use metsuke_crossview::Scope;
    let scope = match scope {
        metsuke_probe::Scope::Host => Scope::Host,
        metsuke_probe::Scope::Cgroup(path) => Scope::Cgroup(path),
    };
    let looker = Looker::new(Arc::clone(shared), Config::new(scope), minutes.unwrap_or(MINUTES));
    std::thread::Builder::new()
        .name("metsuke-crossview".to_owned())
        .spawn(move || looker.run())
        .context("the thread metsuke-crossview cannot be started")?;
    Ok(())
}

/// Looks for as long as the sensor runs. One thread.
pub(crate) struct Looker {
    shared: Arc<Shared>,
    config: Config,
    /// Between looks; `None` for on demand only.
    every: Option<Duration>,
    told: BTreeSet<String>,
    worked: BTreeSet<String>,
}

impl Looker {
    /// One that looks every `minutes`; never by itself when that is 0.
    pub(crate) fn new(shared: Arc<Shared>, config: Config, minutes: u64) -> Self {
        let every = (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)));
        Self { shared, config, every, told: BTreeSet::new(), worked: BTreeSet::new() }
    }

    /// Does not return; the thread ends with the process.
    pub(crate) fn run(mut self) {
        let mut due = self.every.map(|every| Instant::now() + jittered(FIRST.min(every)));
        loop {
            let asked = self.shared.crossview.wait(due);
            match catch_unwind(AssertUnwindSafe(|| metsuke_crossview::run(&self.config))) {
                Ok(Ok(report)) => {
                    self.take(&report);
                    for one in asked {
                        // Who asked may have gone.
                        let _ = one.try_send(report.clone());
                    }
                }
                Ok(Err(error)) => self.fail(&format!("{error}")),
                Err(_) => self.fail("the look broke down; the log says where"),
            }
            due = self.every.map(|every| Instant::now() + jittered(every));
        }
    }

    fn fail(&self, why: &str) {
        tracing::warn!("no cross-view: {why}");
        self.shared.trouble("crossview", Some(format!("nothing is compared: {why}")));
    }

    /// Tells what is new, keeps the report, and says which views were lost.
    fn take(&mut self, report: &Report) {
        let boot = self.shared.setup.boot;
        let key = |found: &Found| {
            let process = found.process.as_ref().and_then(|process| process.start_ticks);
            format!("{:?} {} {process:?} {}", found.of, found.subject, found.technique)
        };
        let found = &report.discrepancies;
        let news = found.iter().filter(|found| !self.told.contains(&key(found)));
        let events: Vec<_> = news.map(|found| found.event(boot, report.taken)).collect();
        tracing::info!(
            discrepancies = found.len(),
            new = events.len(),
            cpu_ms = report.cpu_ms,
            "cross-view"
        );
        self.shared.observe(events);
        self.told = found.iter().map(key).collect();
        let lost = self.lost(report);
        self.shared.trouble("crossview", lost);
        keep(&self.shared.setup.state, report);
    }

    /// Views that could look before and cannot any more.
    fn lost(&mut self, report: &Report) -> Option<String> {
        let works = report.views.iter().filter(|view| view.refused.is_none());
        let works: BTreeSet<String> = works.map(|view| view.name.clone()).collect();
        self.worked.extend(works.iter().cloned());
        let lost: Vec<_> = self.worked.difference(&works).map(String::as_str).collect();
        (!lost.is_empty()).then(|| {
            format!(
                "the cross-view cannot look any more by {}; its report says why",
                lost.join(", ")
            )
        })
    }
}

/// A time up to a tenth longer, so that the looks of many hosts do not fall together.
fn jittered(time: Duration) -> Duration {
    let part = u32::try_from(facts::now().as_nanos().rem_euclid(1_000)).unwrap_or(0);
    time + time / 10 * part / 1_000
}

fn keep(state: &Path, report: &Report) {
    let kept = serde_json::to_vec(report)
        .map_err(std::io::Error::from)
        .and_then(|text| plans::replace(&state.join(FILE), &text));
    if let Err(error) = kept {
        tracing::warn!(%error, "the cross-view's report is not kept");
    }
}

#[cfg(test)]
mod tests {
    use metsuke_crossview::{Config, Found, Report, Scope, SubjectType, ViewReport};
    use metsuke_event::{Kind, Timestamp};

    use std::time::Instant;

    use super::{Desk, FILE, Looker};

    #[test]
    fn many_alerts_ask_for_one_look() {
        let desk = Desk::default();
        desk.alerted();
        desk.alerted();
        assert_eq!(desk.wait(Some(Instant::now())).len(), 1);
        assert!(desk.ask().is_some(), "a plan may ask all the same");
        assert_eq!(desk.wait(Some(Instant::now())).len(), 1);
    }

    fn found(subject: &str) -> Found {
        Found {
            of: SubjectType::Process,
            subject: subject.to_owned(),
            seen_by: vec!["bpf_iter_task".to_owned()],
            missing_from: vec!["ps".to_owned()],
            technique: "preload".to_owned(),
            detail: String::new(),
            passes: 2,
            process: None,
        }
    }

    fn report(subjects: &[&str], refused: Option<&str>) -> Report {
        let view = ViewReport {
            name: "ps".to_owned(),
            of: SubjectType::Process,
            refused: refused.map(str::to_owned),
            count: 1,
            cut: 0,
        };
        Report {
            taken: Timestamp::from_nanos(7),
            scope: "host".to_owned(),
            views: vec![view],
            discrepancies: subjects.iter().map(|subject| found(subject)).collect(),
            left_out: 0,
            duration_ms: 1,
            cpu_ms: 1,
        }
    }

    #[test]
    fn a_discrepancy_is_told_once_while_it_lasts_and_a_lost_view_is_said() {
        let state = tempfile::tempdir().expect("a folder");
        let (shared, _notes) = crate::pipeline::tests::shared(state.path());
        let mut looker = Looker::new(shared.clone(), Config::new(Scope::Host), 15);
        let told = |looker: &mut Looker, report: &Report| {
            looker.take(report);
            shared.take_observed().len()
        };
        assert_eq!(told(&mut looker, &report(&["1 a", "2 b"], None)), 2);
        assert_eq!(told(&mut looker, &report(&["1 a", "2 b"], None)), 0);
        assert_eq!(told(&mut looker, &report(&["2 b"], None)), 0);
        assert_eq!(told(&mut looker, &report(&["1 a", "2 b"], None)), 1, "it came back");
        assert_eq!(shared.health().degraded, [] as [&str; 0]);
        looker.take(&report(&["9 c"], Some("not here")));
        let degraded = shared.health().degraded;
        assert!(degraded.iter().any(|what| what.contains("ps")), "{degraded:?}");
        let events = shared.take_observed();
        assert_eq!(events[0].activity.kind(), Kind::Discrepancy);
        let kept = std::fs::read(state.path().join(FILE)).expect("kept");
        let kept: Report = serde_json::from_slice(&kept).expect("a report");
        assert_eq!(kept, report(&["9 c"], Some("not here")));
    }
}
