//! The steps that every plan takes, whoever carries it out: begun once, ended with its truth.

use metsuke_respond::plan::Plan;
use metsuke_respond::{Outcome, PlanId, State};

use crate::delegate::Shared;
use crate::facts;
use crate::plans::update;

/// Notes the plan as running, unless its time is over, `may` says no, or it was withdrawn. Only
/// when this returns true may it be carried out.
pub(crate) fn begin(shared: &Shared, plan: &Plan, may: Result<(), String>) -> bool {
    if shared.server_now() >= plan.expires {
        let detail = "its time was over before it began".to_owned();
        end(shared, plan.id, State::Expired, detail, None);
        return false;
    }
    if let Err(reason) = shared.policy().permits(plan).and(may) {
        end(shared, plan.id, State::Failed, reason, None);
        return false;
    }
    let running = update(State::Running, facts::now(), String::new());
    let begun = shared.plans().step(plan.id, running, None);
    if let Err(error) = begun {
        let detail = format!(
            "it cannot be noted on the endpoint's disk ({error}), so it is not begun; make room and send it again"
        );
        end(shared, plan.id, State::Failed, detail, None);
        return false;
    }
    // A cancel may have come between looking and beginning.
    let state = shared.plans().get(plan.id).map(|record| record.state);
    shared.plan_news.notify_one();
    state == Some(State::Running)
}

/// Notes how it ended.
pub(crate) fn end(
    shared: &Shared,
    id: PlanId,
    state: State,
    detail: String,
    outcome: Option<Outcome>,
) {
    tracing::info!(plan = %id, %state, detail, "a plan ended");
    let step = update(state, facts::now(), detail);
    if let Err(error) = shared.plans().step(id, step, outcome) {
        tracing::error!(%error, plan = %id, "a plan's end is not noted on disk");
    }
    shared.plan_news.notify_one();
}
