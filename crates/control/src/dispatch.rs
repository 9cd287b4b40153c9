//! Who is connected, what goes down to them, and what becomes of plans.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, PlanChange, PlanFilter, PlanRecord, PlanUpdate};
use metsuke_event::id::PlanId;
use metsuke_event::{EndpointId, Timestamp};
use metsuke_link::limits::DOWNSTREAM_QUEUE;
use metsuke_link::message::{self, Downstream, PackVersions};
use metsuke_respond::{Applied, Policy, State, Update};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::library::{InForce, Library};
use crate::plans::{self, Order, OrderError};

/// Most open plans of one endpoint sent when it connects; more are sent when it connects again.
const OPEN_PLANS_MAX: u64 = 48;
/// How often plans are looked at for expiry.
const EXPIRY_TICK: Duration = Duration::from_secs(1);
/// A plan that was sent is given up this long after its time: by then its sensor, were it there,
/// would have said what became of it.
const EXPIRY_GRACE_NANOS: i64 = 60 * 1_000_000_000;
/// Most plans looked at in one tick.
const EXPIRY_BATCH: u64 = 1_000;
/// How soon content is pushed again to a sensor whose queue was full.
const PUSH_AGAIN: Duration = Duration::from_secs(1);
/// How often a plan's step is tried anew when somebody else changed the plan meanwhile.
const CHANGE_ATTEMPTS: usize = 5;

/// The control plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    catalog: Catalog,
    content: watch::Receiver<Arc<InForce>>,
    policy: Policy,
    sessions: Mutex<HashMap<EndpointId, mpsc::Sender<Downstream>>>,
    /// Packs of indicators that connected sensors hold.
    pub(crate) packs: Mutex<HashMap<EndpointId, PackVersions>>,
}

impl Control {
    /// A control plane that pushes what is in force of `library`, and `policy`.
    pub fn new(catalog: Catalog, library: &Library, policy: Policy) -> Self {
        let (sessions, packs, content) = (Mutex::default(), Mutex::default(), library.follow());
        Self { shared: Arc::new(Shared { catalog, content, policy, sessions, packs }) }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// How many sensors are connected.
    pub fn connected(&self) -> usize {
        self.sessions().len()
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<EndpointId, mpsc::Sender<Downstream>>> {
        self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn session(&self, endpoint: EndpointId) -> Option<mpsc::Sender<Downstream>> {
        self.sessions().get(&endpoint).cloned()
    }

    /// A session began: content, policy and open plans go down first, then what comes up.
    pub async fn open(&self, endpoint: EndpointId) -> mpsc::Receiver<Downstream> {
        let (sender, receiver) = mpsc::channel(DOWNSTREAM_QUEUE);
        // The queue is empty and larger than what follows, so nothing waits here.
        // Known before the content is looked at: a change from now on is pushed to it.
        self.sessions().insert(endpoint, sender.clone());
        let content = Arc::clone(&self.shared.content.borrow());
        if !self.has_content(endpoint, &content).await {
            let _ = sender.try_send(Downstream::Content(content.bundle(endpoint)));
        }
        let _ = sender.try_send(Downstream::Policy(self.shared.policy.clone()));
        let states = [State::Queued, State::Delivered].map(|state| state.name().to_owned());
        let filter = PlanFilter {
            endpoint: Some(endpoint),
            states: states.to_vec(),
            ..PlanFilter::default()
        };
        match self.shared.catalog.plans(&filter, OPEN_PLANS_MAX).await {
            Ok(open) => {
                for record in open.into_iter().rev() {
                    self.send(&sender, &record).await;
                }
            }
            Err(error) => tracing::error!(%endpoint, %error, "open plans cannot be read"),
        }
        receiver
    }

    /// Whether the sensor said that it runs the current content.
    async fn has_content(&self, endpoint: EndpointId, content: &InForce) -> bool {
        match self.shared.catalog.endpoint(endpoint).await {
            Ok(Some(record)) => record.content_version.as_ref() == Some(&content.version),
            Ok(None) | Err(_) => false,
        }
    }

    /// Pushes every change of the content to the sensors that are connected, until `stop`. One whose
    /// queue is full gets it a moment later.
    pub async fn push_until(&self, stop: CancellationToken) {
        let mut content = self.shared.content.clone();
        let mut waiting: HashSet<EndpointId> = HashSet::new();
        loop {
            let again = async {
                if waiting.is_empty() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(PUSH_AGAIN).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = content.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    waiting.extend(self.sessions().keys());
                }
                () = again => {}
            }
            let force = Arc::clone(&content.borrow_and_update());
            waiting.retain(|endpoint| {
                let Some(session) = self.session(*endpoint) else { return false };
                let bundle = Downstream::Content(force.bundle(*endpoint));
                matches!(session.try_send(bundle), Err(mpsc::error::TrySendError::Full(_)))
            });
        }
    }

    /// A session ended.
    pub fn gone(&self, endpoint: EndpointId) {
        self.sessions().remove(&endpoint);
        self.packs().remove(&endpoint);
    }

    /// Notes the plan as sent, then sends it.
    async fn send(&self, session: &mpsc::Sender<Downstream>, record: &PlanRecord) {
        if now() >= record.expires {
            return;
        }
        let plan = match plans::read(record) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(plan = %record.id, %error, "a plan cannot be sent");
                return;
            }
        };
        if let Err(error) = self.shared.catalog.plan_sent(record.id).await {
            tracing::error!(plan = %record.id, %error, "a plan cannot be noted as sent; it waits");
            return;
        }
        if session.send(Downstream::Plan(plan)).await.is_err() {
            tracing::debug!(plan = %record.id, "the session ended; the plan goes with the next");
        }
    }

    /// Takes an order: stores its plan and sends it when the endpoint is connected.
    pub async fn order(&self, order: Order) -> Result<PlanRecord, OrderError> {
        let endpoint = order.endpoint;
        if self.shared.catalog.endpoint(endpoint).await?.is_none() {
            return Err(OrderError::UnknownEndpoint);
        }
        let plan = plans::plan(order, PlanId::from_u128(rand::random()), now())?;
        let record = plans::record(&plan)?;
        self.shared.catalog.create_plan(&record).await?;
        if let Some(session) = self.session(endpoint) {
            self.send(&session, &record).await;
        }
        Ok(record)
    }

    /// Takes a plan back. A plan never sent is cancelled at once; for one that was sent the sensor
    /// is asked, and its answer decides.
    pub async fn cancel(&self, id: PlanId, actor: &str) -> Result<PlanRecord, OrderError> {
        let catalog = &self.shared.catalog;
        let record = catalog.plan(id).await?.ok_or(OrderError::UnknownPlan)?;
        let state = plans::read(&record)?.state;
        if !state.may_become(State::Cancelled) {
            return Err(OrderError::State(format!(
                "the plan is {state}; what has begun or ended cannot be taken back"
            )));
        }
        if !record.sent {
            let update = Update { time: now(), state: State::Cancelled, detail: String::new() };
            return Ok(catalog.change_plan(id, change(state, &update, None, actor)).await?);
        }
        let session = self.session(record.endpoint).ok_or_else(|| {
            OrderError::State(
                "the plan is with its endpoint, which is not connected: it may have begun. Try \
                 again when the endpoint is back, or let the plan expire"
                    .to_owned(),
            )
        })?;
        catalog
            .audit(now(), actor, "response.cancel", (&id.to_string(), "asked the sensor"))
            .await?;
        if session.send(Downstream::Cancel(id)).await.is_err() {
            return Err(OrderError::State("the endpoint has just gone; try again".to_owned()));
        }
        Ok(record)
    }

    /// What a sensor says of a plan of its own. `Ok` when it is stored, or was before.
    pub async fn report(
        &self,
        endpoint: EndpointId,
        told: message::PlanUpdate,
    ) -> Result<(), OrderError> {
        let catalog = &self.shared.catalog;
        let mut failure = OrderError::UnknownPlan;
        for _ in 0..CHANGE_ATTEMPTS {
            let record = catalog.plan(told.plan).await?.ok_or(OrderError::UnknownPlan)?;
            if record.endpoint != endpoint {
                return Err(OrderError::UnknownPlan);
            }
            let mut plan = plans::read(&record)?;
            let from = plan.state;
            let mut update = told.update.clone();
            match plan.apply(update.clone(), told.outcome.clone()) {
                Ok(Applied::Known) => return Ok(()),
                Ok(Applied::Changed) => {}
                // The server had given it up, the sensor did it all the same: the sensor knows.
                Err(_) if given_up(from) && tells_of_deeds(update.state) => {
                    update.detail = format!("{} (the server had assumed it {from})", update.detail);
                }
                Err(error) => return Err(error.into()),
            }
            let outcome = told.outcome.as_ref().map(serde_json::to_value).transpose();
            let outcome = outcome.map_err(OrderError::Corrupt)?;
            let actor = format!("sensor:{endpoint}");
            match catalog.change_plan(told.plan, change(from, &update, outcome, &actor)).await {
                Ok(_) => return Ok(()),
                Err(error @ metsuke_catalog::CatalogError::Conflict(_)) => failure = error.into(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(failure)
    }

    /// Gives up plans whose time ran out, until `stop`.
    pub async fn expire_until(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EXPIRY_TICK)).await.is_some() {
            if let Err(error) = self.expire(now()).await {
                tracing::error!(%error, "plans cannot be looked at for expiry");
            }
        }
    }

    /// Gives up plans whose time ran out by `now`; returns how many.
    pub async fn expire(&self, now: Timestamp) -> Result<usize, OrderError> {
        let states = [State::Queued, State::Delivered].map(|state| state.name().to_owned());
        let filter = PlanFilter { states: states.to_vec(), ..PlanFilter::default() };
        let mut count = 0;
        for record in self.shared.catalog.plans(&filter, EXPIRY_BATCH).await? {
            let grace = if record.sent { EXPIRY_GRACE_NANOS } else { 0 };
            if now < record.expires.plus_nanos(grace) {
                continue;
            }
            let from = plans::read(&record)?.state;
            let detail = "its time ran out before the endpoint began it".to_owned();
            let update = Update { time: now, state: State::Expired, detail };
            match self
                .shared
                .catalog
                .change_plan(record.id, change(from, &update, None, "server"))
                .await
            {
                Ok(_) => count += 1,
                Err(metsuke_catalog::CatalogError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(count)
    }
}

/// Whether the server may have been wrong to end a plan so: nobody had heard from the sensor.
const fn given_up(state: State) -> bool {
    matches!(state, State::Expired | State::Cancelled)
}

/// Whether a sensor that says so did something, or tried to.
const fn tells_of_deeds(state: State) -> bool {
    matches!(state, State::Running | State::Done | State::Failed)
}

fn change(
    from: State,
    update: &Update,
    result: Option<serde_json::Value>,
    actor: &str,
) -> PlanChange {
    PlanChange {
        from: from.name().to_owned(),
        update: PlanUpdate {
            time: update.time,
            state: update.state.name().to_owned(),
            detail: update.detail.clone(),
        },
        result,
        actor: actor.to_owned(),
    }
}
