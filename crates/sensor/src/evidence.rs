//! Takes evidence, one plan after another, beside the executor: a long dump keeps nobody from ending
//! a process.
//!
//! Invariant: a plan is running until the server has its artifact. What was interrupted while it was
//! taken is not begun again; what was taken is sent after a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use metsuke_evidence::collect::{Reading, collect};
use metsuke_evidence::memory::Walk;
use metsuke_evidence::scan::{Cost, Scanned, Scanner};
use metsuke_evidence::{Reach, dump, live};
use metsuke_respond::plan::{Plan, Verb};
use metsuke_respond::{Evidence, ScanTarget, State};
use serde_json::{Value, json};

use crate::delegate::Shared;
use crate::facts;
use crate::health::Note;
use crate::progress::{begin, end};

mod crossview;
mod outbox;

pub(crate) use outbox::Store;

/// How often plans are looked at when nobody wakes us.
const ROUND: Duration = Duration::from_secs(1);
/// Longest that taking one piece of evidence may last.
const TAKE_MAX: Duration = Duration::from_secs(1_800);
/// Share of a CPU while taking evidence, in percent, when the configuration says nothing.
pub(crate) const CPU_PERCENT: u32 = 25;
/// Private memory of the YARA scanner: its compiled rules, a file of 64 MiB, and room.
const SCANNER_MEMORY_BYTES: u64 = 512 << 20;

/// What is needed to take evidence.
pub(crate) struct Means {
    /// What may be read.
    pub(crate) reach: Reach,
    /// `metsuke-yara`.
    pub(crate) yara: PathBuf,
    /// Share of a CPU, in percent.
    pub(crate) cpu_percent: u32,
}

pub(crate) struct Taker {
    shared: Arc<Shared>,
    means: Means,
}

type Taken = Result<(Evidence, Value), String>;

fn said(error: &dyn std::fmt::Display) -> String {
    error.to_string()
}

impl Taker {
    pub(crate) fn new(shared: Arc<Shared>, means: Means) -> Self {
        Self { shared, means }
    }

    /// Works until the other end of `work` is gone.
    pub(crate) fn run(self, work: &Receiver<()>) {
        self.take_up();
        loop {
            self.round();
            match work.recv_timeout(ROUND) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn in_state(&self, state: State) -> Vec<Plan> {
        let records = self.shared.plans().in_state(state);
        let plans = records.into_iter().filter_map(|record| record.plan);
        plans.filter(|plan| plan.verb.is_evidence()).collect()
    }

    /// Tells the truth about what was interrupted.
    fn take_up(&self) {
        let running: Vec<_> = self.in_state(State::Running).iter().map(|plan| plan.id).collect();
        self.shared.evidence.keep_only(&running);
        for id in running {
            if !self.shared.evidence.holds(id) {
                let detail = "the sensor was stopped while it took this; nothing was changed on \
                              the host: send a new plan";
                end(&self.shared, id, State::Failed, detail.to_owned(), None);
            }
        }
    }

    fn round(&self) {
        for plan in self.in_state(State::Delivered) {
            self.carry_out(&plan);
        }
        for (id, evidence) in self.shared.evidence.give_up_old(facts::now()) {
            let detail = "the server did not take it for a week; it was thrown away".to_owned();
            let outcome = metsuke_respond::Outcome::Evidence(evidence);
            end(&self.shared, id, State::Failed, detail, Some(outcome));
        }
    }

    fn carry_out(&self, plan: &Plan) {
        if !begin(&self.shared, plan, Ok(())) {
            return;
        }
        let taken = self.shared.evidence.room(&plan.verb).and_then(|path| {
            let path = path.join(format!("{}.bin", plan.id));
            self.take(&plan.verb, &path).inspect_err(|_| {
                // Readers leave nothing behind; a half-written file would only take room.
                let _ = std::fs::remove_file(&path);
            })
        });
        let kept = taken.and_then(|(evidence, meta)| {
            self.shared.evidence.add(plan.id, evidence, meta, facts::now()).map_err(|error| {
                format!("it was taken and cannot be kept ({error}); make room and send a new plan")
            })
        });
        match kept {
            // The link's task offers it to the server.
            Ok(()) => self.shared.plan_news.notify_one(),
            Err(reason) => end(&self.shared, plan.id, State::Failed, reason, None),
        }
    }

    fn take(&self, verb: &Verb, to: &Path) -> Taken {
        let reach = &self.means.reach;
        let (now, cpu_percent, limit) = (facts::now(), self.means.cpu_percent, TAKE_MAX);
        match verb {
            Verb::Dump { target, regions, max_bytes } => {
                let subject = reach.process(*target).map_err(|error| said(&error))?;
                let (regions, max_bytes) = (*regions, *max_bytes);
                let walk = Walk { regions, max_bytes, cpu_percent, limit };
                let evidence = dump::dump(&subject, to, walk, now).map_err(|error| said(&error))?;
                Ok((evidence, json!({ "regions": regions, "max_bytes": max_bytes })))
            }
            Verb::Collect { path, max_bytes } => {
                let reading = Reading { max_bytes: *max_bytes, cpu_percent, limit };
                let (evidence, facts) = collect(reach, Path::new(path), to, reading, now)
                    .map_err(|error| said(&error))?;
                Ok((evidence, serde_json::to_value(facts).map_err(|error| said(&error))?))
            }
            Verb::Scan { what, rules } => {
                let Scanned { evidence, cost } = self.scan(reach, what, rules, to)?;
                self.tell_cost(&evidence, cost);
                let cost = cost.map(|cost| [cost.cpu_ms, cost.peak_bytes]);
                let meta = json!({
                    "rules_bytes": rules.len(),
                    "memory_budget_bytes": SCANNER_MEMORY_BYTES,
                    "cpu_ms": cost.map(|[cpu_ms, _]| cpu_ms),
                    "peak_bytes": cost.map(|[_, peak_bytes]| peak_bytes),
                });
                Ok((evidence, meta))
            }
            Verb::ListLive { what } => {
                let evidence = live::list(reach, *what, to, now).map_err(|error| said(&error))?;
                Ok((evidence, json!({})))
            }
            Verb::Crossview => crossview::take(&self.shared.crossview, to),
            Verb::Terminate { .. } | Verb::Poc { .. } | Verb::PocCleanup { .. } => {
                Err("this plan takes no evidence".to_owned())
            }
        }
    }

    /// The scanner is a process of its own, with a budget of its own: what it used is told, too.
    fn tell_cost(&self, evidence: &Evidence, cost: Option<Cost>) {
        let now = facts::now();
        let budget =
            format!("{} % of a CPU and {} MiB", self.means.cpu_percent, SCANNER_MEMORY_BYTES >> 20);
        let used = cost.map_or_else(
            || "it did not come to its end".to_owned(),
            |cost| format!("{} ms of CPU, at most {} MiB", cost.cpu_ms, cost.peak_bytes >> 20),
        );
        let detail = format!("a scan of {}: {used}; it may use {budget}", evidence.artifact.name);
        let (part, reason) = ("scanner", "scanned");
        self.shared.note(Note { part, reason, lost: None, from: now, to: now, detail });
    }

    fn scan(
        &self,
        reach: &Reach,
        what: &ScanTarget,
        rules: &str,
        to: &Path,
    ) -> Result<Scanned, String> {
        let scanner = Scanner {
            program: self.means.yara.clone(),
            cpu_percent: self.means.cpu_percent,
            memory_bytes: SCANNER_MEMORY_BYTES,
            limit: TAKE_MAX,
        };
        let scanned = match what {
            ScanTarget::Process { target } => {
                let subject = reach.process(*target).map_err(|error| said(&error))?;
                scanner.process(&subject, rules, to)
            }
            ScanTarget::Path { path } => scanner.path(reach, Path::new(path), rules, to),
        };
        scanned.map_err(|error| said(&error))
    }
}
