//! Plans between their three shapes: an order from a person, `respond`'s plan, the catalog's row.

use metsuke_catalog::{CatalogError, PlanRecord, PlanUpdate};
use metsuke_event::id::PlanId;
use metsuke_event::{AlertId, EndpointId, ProcessKey, Timestamp};
use metsuke_respond::{Draft, Plan, PlanError, ScanTarget, Scope, State, Verb};

/// How long the files of a proof-of-coverage exercise stay when no clean-up comes, in seconds.
const POC_FILES_TTL_S: u32 = 3_600;

/// What a person asks for.
#[derive(Clone, Debug)]
pub enum Target {
    /// End a process, or its storyline.
    Terminate {
        /// Which process.
        process: ProcessKey,
        /// How far.
        scope: Scope,
    },
    /// The proof-of-coverage exercise.
    Poc,
    /// Remove what an exercise left.
    PocCleanup {
        /// The exercise.
        poc: PlanId,
    },
    /// Take evidence: a verb of which `is_evidence` holds.
    Take(Verb),
}

/// An order: what, where, why, by whom, how long it may wait.
#[derive(Clone, Debug)]
pub struct Order {
    /// What.
    pub target: Target,
    /// Where.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// The alert it answers.
    pub alert: Option<AlertId>,
    /// How long it may wait for the endpoint, in seconds.
    pub ttl_s: u32,
}

/// Why an order was not taken, or a plan not changed.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The endpoint is not enrolled.
    #[error("there is no such endpoint")]
    UnknownEndpoint,
    /// There is no such plan.
    #[error("there is no such plan")]
    UnknownPlan,
    /// It is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The state does not permit it.
    #[error("{0}")]
    State(String),
    /// The stored plan cannot be read.
    #[error("the stored plan cannot be read; restore the catalog from a backup")]
    Corrupt(#[source] serde_json::Error),
    /// The catalog failed.
    #[error("the plan cannot be stored")]
    Catalog(#[source] CatalogError),
}

impl From<CatalogError> for OrderError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotFound(_) => Self::UnknownPlan,
            CatalogError::Conflict(why) => Self::State(why),
            other => Self::Catalog(other),
        }
    }
}

/// The plan of an order, made `now` under identity `id`.
pub(crate) fn plan(order: Order, id: PlanId, now: Timestamp) -> Result<Plan, OrderError> {
    let verb = match order.target {
        Target::Terminate { process, scope } => Verb::Terminate { target: process, scope },
        Target::Poc => Verb::Poc { ttl_s: POC_FILES_TTL_S },
        Target::PocCleanup { poc } => Verb::PocCleanup { poc },
        Target::Take(verb) => verb,
    };
    Ok(Plan::new(Draft {
        id,
        verb,
        endpoint: order.endpoint,
        reason: order.reason,
        actor: order.actor,
        alert: order.alert,
        created: now,
        expires: now.plus_nanos(i64::from(order.ttl_s).saturating_mul(1_000_000_000)),
    })?)
}

/// The row of a plan that was just made.
pub(crate) fn record(plan: &Plan) -> Result<PlanRecord, OrderError> {
    let (target, scope) = match &plan.verb {
        Verb::Terminate { target, scope } => {
            let scope = match scope {
                Scope::Process => "process",
                Scope::Storyline => "storyline",
            };
            (Some(target.to_string()), Some(scope.to_owned()))
        }
        Verb::PocCleanup { poc } => (Some(poc.to_string()), None),
        Verb::Dump { target, .. } | Verb::Scan { what: ScanTarget::Process { target }, .. } => {
            (Some(target.to_string()), None)
        }
        Verb::Collect { path, .. } | Verb::Scan { what: ScanTarget::Path { path }, .. } => {
            (Some(path.clone()), None)
        }
        Verb::ListLive { what } => (Some(what.name().to_owned()), None),
        Verb::Poc { .. } | Verb::Crossview => (None, None),
    };
    let update = |update: &metsuke_respond::Update| PlanUpdate {
        time: update.time,
        state: update.state.name().to_owned(),
        detail: update.detail.clone(),
    };
    Ok(PlanRecord {
        id: plan.id,
        endpoint: plan.endpoint,
        verb: plan.verb.name().to_owned(),
        target,
        scope,
        alert: plan.alert,
        reason: plan.reason.clone(),
        actor: plan.actor.clone(),
        state: plan.state.name().to_owned(),
        created: plan.created,
        expires: plan.expires,
        updates: plan.updates.iter().map(update).collect(),
        result: None,
        sent: false,
        body: serde_json::to_value(plan).map_err(OrderError::Corrupt)?,
    })
}

/// The plan of a row, with the state and steps the row has.
///
/// # Errors
/// When the row cannot be read.
pub fn read(record: &PlanRecord) -> Result<Plan, OrderError> {
    let mut plan: Plan =
        serde_json::from_value(record.body.clone()).map_err(OrderError::Corrupt)?;
    let state =
        |text: &str| text.parse::<State>().map_err(|error| OrderError::State(error.to_string()));
    plan.state = state(&record.state)?;
    plan.updates = record
        .updates
        .iter()
        .map(|update| {
            Ok(metsuke_respond::Update {
                time: update.time,
                state: state(&update.state)?,
                detail: update.detail.clone(),
            })
        })
        .collect::<Result<_, OrderError>>()?;
    if let Some(result) = &record.result {
        plan.outcome = serde_json::from_value(result.clone()).map_err(OrderError::Corrupt)?;
    }
    Ok(plan)
}
