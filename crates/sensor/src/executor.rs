//! Carries plans out, one after another, each once.
//!
//! Order of notes on disk: delivered → running → (whom) → done or failed. What was running when the
//! sensor was killed is not begun again; what came of it is looked up and told.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use metsuke_enforce::host::Seen;
use metsuke_enforce::{PocPlace, Terminator};
use metsuke_event::{ProcessKey, Timestamp};
use metsuke_respond::plan::{Plan, Scope, Verb};
use metsuke_respond::{Outcome, PlanId, Spared, State};

use crate::delegate::Shared;
use crate::facts;
use crate::live::{Live, Membership};
use crate::plans::Record;
use crate::progress;

/// How often expiry and old exercises are looked after when nothing else happens.
const ROUND: Duration = Duration::from_secs(1);

/// Where and how plans act.
pub(crate) struct Means {
    /// `Err`: why this sensor never acts.
    pub(crate) terminator: Result<Terminator, String>,
    pub(crate) poc: PocPlace,
    pub(crate) live: Arc<Live>,
}

pub(crate) struct Executor {
    shared: Arc<Shared>,
    means: Means,
}

/// A plan that was not carried out, or not whole.
struct Failure {
    detail: String,
    outcome: Option<Outcome>,
}

type Verdict = Result<(String, Outcome), Box<Failure>>;

fn failure(detail: String, outcome: Option<Outcome>) -> Box<Failure> {
    Box::new(Failure { detail, outcome })
}

impl Executor {
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

    /// Plans in `state` that are carried out here; evidence is taken elsewhere.
    fn mine(&self, state: State) -> Vec<Record> {
        let mut records = self.shared.plans().in_state(state);
        records.retain(|record| !record.plan.as_ref().is_some_and(|plan| plan.verb.is_evidence()));
        records
    }

    /// Tells the truth about what was interrupted.
    fn take_up(&self) {
        for record in self.mine(State::Running) {
            let (state, detail, outcome) = self.after_interruption(&record);
            self.end(record.id, state, detail, outcome);
        }
    }

    fn after_interruption(&self, record: &Record) -> (State, String, Option<Outcome>) {
        match record.plan.as_ref().map(|plan| &plan.verb) {
            Some(Verb::Terminate { target, .. }) => {
                let mut members = record.members.clone();
                if members.is_empty() {
                    members.push(*target);
                }
                let alive: Vec<Spared> = members
                    .iter()
                    .filter(|key| is_alive(**key, self.shared.setup.boot))
                    .map(|key| Spared {
                        process: *key,
                        reason: "it still runs after the sensor was restarted".to_owned(),
                    })
                    .collect();
                self.let_go(&members);
                let outcome = Outcome::Terminated { ended: Vec::new(), spared: alive.clone() };
                if alive.is_empty() && !record.members.is_empty() {
                    let detail = format!(
                        "the sensor was killed while it carried this out; of the {} processes it \
                         had set out to end none runs any more",
                        members.len()
                    );
                    return (State::Done, detail, Some(outcome));
                }
                let detail = "the sensor was killed while it carried this out; it is not begun \
                              again: look at what still runs and send a new plan";
                (State::Failed, detail.to_owned(), Some(outcome))
            }
            Some(Verb::Poc { .. }) => {
                let detail = match self.means.poc.clean(record.id) {
                    Ok(_) => "the sensor was killed during the exercise; its files were removed"
                        .to_owned(),
                    Err(error) => format!("the sensor was killed during the exercise; {error}"),
                };
                (State::Failed, detail, None)
            }
            Some(Verb::PocCleanup { poc }) => match self.means.poc.clean(*poc) {
                Ok(removed) => (State::Done, String::new(), Some(Outcome::PocCleaned { removed })),
                Err(error) => (State::Failed, error.to_string(), None),
            },
            Some(
                Verb::Dump { .. }
                | Verb::Collect { .. }
                | Verb::Scan { .. }
                | Verb::ListLive { .. }
                | Verb::Crossview,
            )
            | None => (State::Failed, "the plan is not known".to_owned(), None),
        }
    }

    /// An interrupted plan may have left processes held still.
    fn let_go(&self, members: &[ProcessKey]) {
        if let Ok(terminator) = &self.means.terminator {
            terminator.release(members);
        }
    }

    fn round(&self) {
        for record in self.mine(State::Delivered) {
            if let Some(plan) = record.plan {
                self.carry_out(&plan);
            }
        }
        self.clean_old_exercises();
    }

    fn carry_out(&self, plan: &Plan) {
        if !progress::begin(&self.shared, plan, self.may(plan)) {
            return;
        }
        match self.act(plan) {
            Ok((detail, outcome)) => self.end(plan.id, State::Done, detail, Some(outcome)),
            Err(failed) => self.end(plan.id, State::Failed, failed.detail, failed.outcome),
        }
    }

    fn may(&self, plan: &Plan) -> Result<(), String> {
        match (&plan.verb, &self.means.terminator) {
            (Verb::Terminate { .. }, Err(reason)) => Err(reason.clone()),
            _ => Ok(()),
        }
    }

    fn act(&self, plan: &Plan) -> Verdict {
        match &plan.verb {
            Verb::Terminate { target, scope } => self.terminate(plan.id, *target, *scope),
            Verb::Poc { .. } => match self.means.poc.run(plan.id) {
                Ok(truth) => Ok((String::new(), Outcome::Poc(truth))),
                Err(error) => Err(failure(error.to_string(), None)),
            },
            Verb::PocCleanup { poc } => match self.means.poc.clean(*poc) {
                Ok(removed) => Ok((String::new(), Outcome::PocCleaned { removed })),
                Err(error) => Err(failure(error.to_string(), None)),
            },
            Verb::Dump { .. }
            | Verb::Collect { .. }
            | Verb::Scan { .. }
            | Verb::ListLive { .. }
            | Verb::Crossview => Err(failure(
                "this plan takes evidence, and is not carried out here".to_owned(),
                None,
            )),
        }
    }

    fn terminate(&self, id: PlanId, target: ProcessKey, scope: Scope) -> Verdict {
        let terminator =
            self.means.terminator.as_ref().map_err(|reason| failure(reason.clone(), None))?;
        let refused = |reason: String| {
            let spared = vec![Spared { process: target, reason: reason.clone() }];
            failure(reason, Some(Outcome::Terminated { ended: Vec::new(), spared }))
        };
        match scope {
            Scope::Process => {
                terminator.check(target).map_err(|error| refused(error.to_string()))?;
                self.note(id, &[target])?;
                let ended =
                    terminator.terminate(target).map_err(|error| refused(error.to_string()))?;
                let outcome = Outcome::Terminated { ended: vec![ended], spared: Vec::new() };
                Ok(("1 process ended".to_owned(), outcome))
            }
            Scope::Storyline => self.terminate_storyline(id, target),
        }
    }

    fn terminate_storyline(&self, id: PlanId, target: ProcessKey) -> Verdict {
        let terminator =
            self.means.terminator.as_ref().map_err(|reason| failure(reason.clone(), None))?;
        let live = &self.means.live;
        let known = live.storyline_of(target);
        let gap = Self::gap(terminator, &known);
        // On disk before the first of each round is held: a sensor that is killed now lets exactly
        // those go on when it is back.
        let held = terminator
            .hold(&|| live.storyline_of(target).members, &mut |members| self.note(id, members))?;
        let swept = terminator.sweep(&held);
        let (ended, spared) = (swept.ended.len(), swept.spared.len());
        let detail = format!("{ended} processes ended, {spared} left alone");
        let outcome = Outcome::Terminated { ended: swept.ended, spared: swept.spared };
        match (gap, ended, spared) {
            (Some(gap), 0, 0) => Err(failure(gap, Some(outcome))),
            (Some(gap), ..) => Err(failure(format!("{detail}; {gap}"), Some(outcome))),
            (None, 0, 0) => {
                Err(failure("nothing of the storyline runs any more".to_owned(), Some(outcome)))
            }
            (None, _, 0) => Ok((detail, outcome)),
            (None, ..) => Err(failure(detail, Some(outcome))),
        }
    }

    /// Why the storyline may have more processes than will be found. While its first process runs
    /// its descendants are found through it.
    fn gap(terminator: &Terminator, known: &Membership) -> Option<String> {
        let since = known.unknown_before?;
        let root_runs = known.root.is_some_and(|root| terminator.check(root).is_ok());
        (!root_runs).then(|| {
            format!(
                "membership before {since} is not known, so others of the storyline may still \
                 run: end each such process itself"
            )
        })
    }

    fn note(&self, id: PlanId, members: &[ProcessKey]) -> Result<(), Box<Failure>> {
        self.shared.plans().note_members(id, members).map_err(|error| {
            let detail =
                format!("it cannot be noted on the endpoint's disk ({error}), so nothing was done");
            failure(detail, None)
        })
    }

    fn end(&self, id: PlanId, state: State, detail: String, outcome: Option<Outcome>) {
        progress::end(&self.shared, id, state, detail, outcome);
    }

    /// Removes what exercises left whose time is over and whom nobody cleaned up after.
    fn clean_old_exercises(&self) {
        let now = facts::now();
        let done = self.shared.plans().in_state(State::Done);
        for record in done {
            let Some(Verb::Poc { ttl_s }) = record.plan.as_ref().map(|plan| plan.verb.clone())
            else {
                continue;
            };
            if !is_over(record.since(), ttl_s, now) || !self.means.poc.exists(record.id) {
                continue;
            }
            match self.means.poc.clean(record.id) {
                Ok(removed) => {
                    tracing::info!(plan = %record.id, files = removed.len(), "an old exercise was cleaned up");
                }
                Err(error) => self.shared.trouble("poc", Some(error.to_string())),
            }
        }
    }
}

fn is_over(since: Timestamp, ttl_s: u32, now: Timestamp) -> bool {
    now.nanos_since(since) >= i64::from(ttl_s) * 1_000_000_000
}

fn is_alive(key: ProcessKey, boot: metsuke_event::BootId) -> bool {
    key.boot == boot
        && Seen::look(key.pid)
            .is_some_and(|seen| seen.start_ticks == key.start_ticks && !seen.is_dead())
}
