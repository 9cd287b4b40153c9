//! The life of plans between people, server and sensor.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, EndpointChange, PlanRecord};
use metsuke_control::{Control, Library, Order, OrderError, Target};
use metsuke_event::id::PlanId;
use metsuke_event::{EndpointId, ProcessKey};
use metsuke_link::message::{Downstream, PlanUpdate};
use metsuke_respond::{Outcome, Policy, Scope, State, Update};
use tokio::sync::mpsc::Receiver;

struct World {
    catalog: Catalog,
    control: Control,
    endpoint: EndpointId,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let token = catalog.create_enrolment_token(now(), "x", 1_000_000_000_000).await.unwrap();
    let endpoint = catalog.enrol(now(), &token.secret, "h").await.unwrap().unwrap();
    let library = Library::open(catalog.clone(), Vec::new()).await.unwrap();
    let control = Control::new(catalog.clone(), &library, Policy::default());
    World { catalog, control, endpoint, _folder: folder }
}

impl World {
    fn order(&self) -> Order {
        Order {
            target: Target::Terminate { process: ProcessKey::default(), scope: Scope::Process },
            endpoint: self.endpoint,
            reason: "because".into(),
            actor: "ann".into(),
            alert: None,
            ttl_s: 600,
        }
    }

    async fn plan(&self, id: PlanId) -> PlanRecord {
        self.catalog.plan(id).await.unwrap().unwrap()
    }

    async fn report(&self, id: PlanId, state: State) -> Result<(), OrderError> {
        let outcome =
            state.is_end().then(|| Outcome::Terminated { ended: Vec::new(), spared: Vec::new() });
        let update = Update { time: now(), state, detail: "told".into() };
        let told = PlanUpdate { plan: id, revision: 1, update, outcome };
        self.control.report(self.endpoint, told).await
    }
}

/// What has come down so far.
fn down(session: &mut Receiver<Downstream>) -> Vec<Downstream> {
    std::iter::from_fn(|| session.try_recv().ok()).collect()
}

fn plans(messages: &[Downstream]) -> Vec<PlanId> {
    let id = |message: &Downstream| match message {
        Downstream::Plan(plan) => Some(plan.id),
        _ => None,
    };
    messages.iter().filter_map(id).collect()
}

#[tokio::test]
async fn a_session_begins_with_content_policy_and_open_plans() {
    let world = world().await;
    let waiting = world.control.order(world.order()).await.unwrap();
    assert!(!world.plan(waiting.id).await.sent);
    let mut session = world.control.open(world.endpoint).await;
    let first = down(&mut session);
    assert!(matches!(first[0], Downstream::Content(_)), "{first:?}");
    assert!(matches!(first[1], Downstream::Policy(_)), "{first:?}");
    assert_eq!(plans(&first), [waiting.id]);
    assert!(world.plan(waiting.id).await.sent);
    let later = world.control.order(world.order()).await.unwrap();
    assert_eq!(plans(&down(&mut session)), [later.id]);

    // What has ended or begun is not sent again; content the sensor runs already neither.
    world.report(later.id, State::Running).await.unwrap();
    world.control.gone(world.endpoint);
    let Downstream::Content(content) = &first[0] else { unreachable!() };
    let version = Some(content.version.clone());
    let runs = EndpointChange { content_version: version, ..Default::default() };
    world.catalog.update_endpoint(now(), world.endpoint, runs).await.unwrap();
    let again = down(&mut world.control.open(world.endpoint).await);
    assert!(matches!(again[0], Downstream::Policy(_)), "{again:?}");
    assert_eq!(plans(&again), [waiting.id]);
}

#[tokio::test]
async fn what_the_sensor_says_is_stored_once_and_in_order() {
    let world = world().await;
    let plan = world.control.order(world.order()).await.unwrap();
    for state in [State::Delivered, State::Running, State::Running, State::Done, State::Done] {
        world.report(plan.id, state).await.unwrap();
    }
    let stored = world.plan(plan.id).await;
    let states: Vec<_> = stored.updates.iter().map(|update| update.state.as_str()).collect();
    assert_eq!(states, ["queued", "delivered", "running", "done"]);
    assert!(stored.result.is_some());
    let wrong = world.report(plan.id, State::Failed).await;
    assert!(wrong.is_err(), "what is done cannot fail any more");
    let update = Update { time: now(), state: State::Done, detail: String::new() };
    let told = PlanUpdate { plan: plan.id, revision: 1, update, outcome: None };
    let foreign = world.control.report(EndpointId::from_u128(1), told).await;
    assert!(matches!(foreign, Err(OrderError::UnknownPlan)), "nobody speaks for another endpoint");
}

#[tokio::test]
async fn a_plan_never_sent_is_cancelled_here_and_a_sent_one_by_its_sensor() {
    let world = world().await;
    let plan = world.control.order(world.order()).await.unwrap();
    let cancelled = world.control.cancel(plan.id, "ann").await.unwrap();
    assert_eq!(cancelled.state, "cancelled");
    let twice = world.control.cancel(plan.id, "ann").await;
    assert!(matches!(twice, Err(OrderError::State(_))));

    let mut session = world.control.open(world.endpoint).await;
    let sent = world.control.order(world.order()).await.unwrap();
    let asked = world.control.cancel(sent.id, "ann").await.unwrap();
    assert_eq!(asked.state, "queued", "the sensor's answer decides");
    assert!(down(&mut session).contains(&Downstream::Cancel(sent.id)));
    world.control.gone(world.endpoint);
    let away = world.control.cancel(sent.id, "ann").await;
    assert!(matches!(away, Err(OrderError::State(_))), "nobody can say whether it began");
}

#[tokio::test]
async fn plans_expire_and_the_sensors_word_wins() {
    let world = world().await;
    let waiting = world.control.order(world.order()).await.unwrap();
    let mut session = world.control.open(world.endpoint).await;
    assert_eq!(plans(&down(&mut session)), [waiting.id]);
    world.control.gone(world.endpoint);
    let unsent = world.control.order(world.order()).await.unwrap();
    let seconds = |s: i64| now().plus_nanos(s * 1_000_000_000);
    assert_eq!(world.control.expire(seconds(590)).await.unwrap(), 0);
    assert_eq!(world.control.expire(seconds(610)).await.unwrap(), 1);
    assert_eq!(world.plan(unsent.id).await.state, "expired");
    assert_eq!(world.control.expire(seconds(700)).await.unwrap(), 1, "the sent one, after a grace");
    // A late word that nothing was done yet, or that it was taken back, does not wake it again.
    for late in [State::Delivered, State::Cancelled] {
        assert!(world.report(waiting.id, late).await.is_err(), "{late}");
        assert_eq!(world.plan(waiting.id).await.state, "expired");
    }
    // It was carried out in time all the same; the sensor could not say so before.
    world.report(waiting.id, State::Done).await.unwrap();
    let stored = world.plan(waiting.id).await;
    assert_eq!(stored.state, "done");
    let last = stored.updates.last().unwrap();
    assert!(last.detail.contains("assumed it expired"), "{}", last.detail);
}

#[tokio::test]
async fn orders_that_are_no_plans_are_refused() {
    let world = world().await;
    let nowhere = Order { endpoint: EndpointId::from_u128(1), ..world.order() };
    let refused = world.control.order(nowhere).await;
    assert!(matches!(refused, Err(OrderError::UnknownEndpoint)));
    let silent = Order { reason: "  ".into(), ..world.order() };
    assert!(matches!(world.control.order(silent).await, Err(OrderError::Plan(_))));
}
