//! The catalog on a real SQLite file: each test has its own folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use metsuke_catalog::{
    AlertContext, AlertFilter, AlertOrder, BOOTSTRAP_TOKEN, Catalog, CatalogError, Detected,
    HitFilter, PasswordKind, PlanChange, PlanFilter, PlanRecord, PlanUpdate, ProcessBrief, Role,
    Status, TokenRefused, TriageChange, Watermark,
};
use metsuke_event::finding::{Alert, DetectionRef, Highlight, Hit, Layer, Level};
use metsuke_event::id::PlanId;
use metsuke_event::{AlertId, BootId, EndpointId, EventId, Timestamp};
use sea_orm::ConnectionTrait;

struct World {
    folder: tempfile::TempDir,
    catalog: Catalog,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    World { folder, catalog }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + second * 1_000)
}

fn detection(id: &str, layer: Layer, level: Level) -> DetectionRef {
    DetectionRef {
        id: id.to_owned(),
        title: format!("title of {id}"),
        layer,
        level,
        techniques: vec!["T1059.004".to_owned()],
        tactics: vec!["execution".to_owned()],
    }
}

fn hit(seq: u64) -> Hit {
    Hit {
        detection: detection("filter-1", Layer::Filter, Level::Low),
        event: EventId { endpoint: EndpointId::from_u128(7), seq, ..EventId::default() },
        time: at(1),
        process: "p".to_owned(),
        storyline: "s".to_owned(),
        matched: Vec::new(),
        excepted: None,
    }
}

fn alert(steps: usize, score: u8) -> (Alert, AlertContext) {
    let step = |n: usize| Highlight {
        detection: detection("filter-1", Layer::Filter, Level::Low),
        events: vec![hit(n as u64).event],
        time: at(i64::try_from(n).unwrap()),
        process: "p".to_owned(),
        matched: Vec::new(),
        count: 1,
    };
    let alert = Alert {
        id: AlertId::from_u128(1),
        revision: 1,
        detection: detection("model-1", Layer::Model, Level::High),
        also: Vec::new(),
        endpoint: EndpointId::from_u128(7),
        storyline: "s".to_owned(),
        score,
        parts: Vec::new(),
        highlights: (0..steps).map(step).collect(),
        first: at(0),
        last: at(i64::try_from(steps).unwrap()),
    };
    let process = ProcessBrief { name: Some("sh".into()), exe: None, user: Some("u".into()) };
    let context = AlertContext {
        host: Some("h1".into()),
        processes: [("p".to_owned(), process)].into(),
        ..AlertContext::default()
    };
    (alert, context)
}

#[tokio::test]
async fn an_enrolment_token_enrols_once() {
    let world = world().await;
    let catalog = &world.catalog;
    let token = catalog.create_enrolment_token(at(0), "admin", 10_000_000_000).await.unwrap();
    let endpoint = catalog.enrol(at(1), &token.secret, "h1").await.unwrap().unwrap();
    assert_eq!(catalog.endpoint(endpoint).await.unwrap().unwrap().host, "h1");
    let again = catalog.enrol(at(2), &token.secret, "h2").await.unwrap();
    assert_eq!(again, Err(TokenRefused::Used));
    assert_eq!(catalog.enrol(at(2), "guess", "h2").await.unwrap(), Err(TokenRefused::Unknown));
    let late = catalog.create_enrolment_token(at(0), "admin", 1).await.unwrap();
    let refused = catalog.enrol(at(2), &late.secret, "h2").await.unwrap();
    assert_eq!(refused, Err(TokenRefused::Expired));
    assert_eq!(catalog.endpoints().await.unwrap().len(), 1);
}

#[tokio::test]
async fn passwords_sessions_and_tokens() {
    let world = world().await;
    let catalog = &world.catalog;
    let password = || "correct horse battery".to_owned();
    let kind = PasswordKind::OneTime;
    let who = ("ann", Role::Admin);
    let account = catalog.create_account(at(0), "server", who, (password(), kind)).await.unwrap();
    let taken = catalog.create_account(at(0), "server", who, (password(), kind)).await;
    assert!(matches!(taken, Err(CatalogError::Conflict(_))));
    assert!(catalog.verify_password("ann", "wrong".into()).await.unwrap().is_none());
    assert!(catalog.verify_password("bob", password()).await.unwrap().is_none());
    assert_eq!(catalog.verify_password("ann", password()).await.unwrap(), Some(account.clone()));

    let session = catalog.create_session(at(0), &account).await.unwrap();
    let found = catalog.session(at(60), &session.cookie).await.unwrap().unwrap();
    assert_eq!(found.csrf, session.record.csrf);
    let idle = catalog.session(at(60 + 31 * 60), &session.cookie).await.unwrap();
    assert!(idle.is_none(), "a session ends when unused");
    let made = catalog.create_api_token(at(0), &account, "cli", 1_000_000_000).await.unwrap();
    assert!(catalog.api_token(at(0), &made.secret).await.unwrap().is_some());
    assert!(catalog.api_token(at(2), &made.secret).await.unwrap().is_none());

    for name in ["server", "anonymous", "sensor:1"] {
        let who = (name, Role::Analyst);
        let refused = catalog.create_account(at(0), "ann", who, (password(), kind)).await;
        assert!(matches!(refused, Err(CatalogError::Invalid(_))), "{name}");
    }
    let day = 86_400 * 1_000_000_000;
    let cli = catalog.create_api_token(at(0), &account, "cli", day).await.unwrap();
    let server = catalog.create_api_token(at(0), &account, BOOTSTRAP_TOKEN, day).await.unwrap();
    let own = ("another long password".to_owned(), PasswordKind::Own);
    catalog.set_password(at(3), "ann", "ann", own).await.unwrap();
    assert!(catalog.session(at(4), &session.cookie).await.unwrap().is_none());
    assert!(catalog.api_token(at(4), &cli.secret).await.unwrap().is_none());
    assert!(catalog.api_token(at(4), &server.secret).await.unwrap().is_some());
    let account = catalog.account("ann").await.unwrap().unwrap();
    assert_eq!(account.password, PasswordKind::Own);
    catalog.set_password(at(5), "server", "ann", (password(), kind)).await.unwrap();
    let server = catalog.api_token(at(6), &server.secret).await.unwrap();
    assert!(server.is_none(), "a reset ends every token");
}

#[tokio::test]
async fn findings_stored_twice_change_nothing() {
    let world = world().await;
    let mark = Watermark {
        endpoint: EndpointId::from_u128(7),
        boot: BootId::default(),
        seq: 9,
        received: at(1),
    };
    let found = || Detected {
        hits: vec![hit(1), hit(2)],
        alerts: vec![alert(2, 40)],
        watermarks: vec![mark],
        ..Detected::default()
    };
    let changed = world.catalog.store_detected(at(5), found()).await.unwrap().changed;
    assert_eq!(changed.len(), 1);
    let changed = world.catalog.store_detected(at(6), found()).await.unwrap().changed;
    assert!(changed.is_empty(), "a replay raises nothing again");

    // Everything is there after the database was opened anew.
    world.catalog.close().await;
    let catalog = Catalog::open(&world.folder.path().join("catalog.db")).await.unwrap();
    assert_eq!(catalog.hits(&HitFilter::default(), 10).await.unwrap().len(), 2);
    assert_eq!(catalog.watermarks().await.unwrap(), [mark]);
    let grown = Detected { alerts: vec![alert(3, 55)], ..Detected::default() };
    let changed = catalog.store_detected(at(7), grown).await.unwrap().changed;
    assert_eq!((changed[0].alert.revision, changed[0].alert.score), (2, 55));
    let groups = catalog.hit_groups(at(0), at(10)).await.unwrap();
    assert_eq!((groups.len(), groups[0].count), (1, 2));
    assert_eq!(catalog.prune_hits(1).await.unwrap(), 1);
}

#[tokio::test]
async fn triage_notices_conflicts_and_lists_filter() {
    let world = world().await;
    let catalog = &world.catalog;
    let found = Detected { alerts: vec![alert(2, 40)], ..Detected::default() };
    catalog.store_detected(at(5), found).await.unwrap();
    let id = AlertId::from_u128(1);
    let change = || TriageChange {
        status: Some(Status::InProgress),
        assignee: Some(Some("ann".into())),
        expected_version: 1,
        ..TriageChange::default()
    };
    let record = catalog.triage(at(6), "ann", id, change()).await.unwrap();
    assert_eq!((record.triage.version, record.triage.status), (2, Status::InProgress));
    let late = catalog.triage(at(6), "bob", id, change()).await;
    assert!(matches!(late, Err(CatalogError::Conflict(_))));
    assert_eq!(catalog.alert_history(id).await.unwrap().len(), 2);

    let count = async |filter: AlertFilter| {
        catalog.alerts(&filter, AlertOrder::Score, (None, 10)).await.unwrap().total
    };
    let technique =
        |text: &str| AlertFilter { technique: Some(text.to_owned()), ..AlertFilter::default() };
    assert_eq!(count(technique("T1059")).await, 1, "a technique includes its sub-techniques");
    assert_eq!(count(technique("T105")).await, 0);
    let words = |word: &str| AlertFilter { words: vec![word.to_owned()], ..AlertFilter::default() };
    assert_eq!(count(words("H1")).await, 1);
    assert_eq!(count(words("%")).await, 0, "wildcards of SQL are plain characters");
    let mine = AlertFilter { assignee: Some(Some("ann".into())), ..AlertFilter::default() };
    assert_eq!(count(mine).await, 1);
    let counts = catalog.open_alerts("ann").await.unwrap();
    assert_eq!((counts.open, counts.mine, counts.by_level[3]), (1, 1, 1));
    let facets = catalog.alert_facets(&AlertFilter::default()).await.unwrap();
    assert_eq!(facets["tactic"]["execution"], 1);
}

#[tokio::test]
async fn a_plan_changes_by_compare_and_set() {
    let world = world().await;
    let catalog = &world.catalog;
    let plan = PlanRecord {
        id: PlanId::from_u128(3),
        endpoint: EndpointId::from_u128(7),
        verb: "terminate".into(),
        target: Some("p".into()),
        scope: Some("process".into()),
        alert: None,
        reason: "because".into(),
        actor: "ann".into(),
        state: "queued".into(),
        created: at(0),
        expires: at(600),
        updates: Vec::new(),
        result: None,
        sent: false,
        body: serde_json::json!({}),
    };
    catalog.create_plan(&plan).await.unwrap();
    let change = |from: &str, state: &str| PlanChange {
        from: from.into(),
        update: PlanUpdate { time: at(1), state: state.into(), detail: String::new() },
        result: None,
        actor: "sensor".into(),
    };
    let record = catalog.change_plan(plan.id, change("queued", "delivered")).await.unwrap();
    assert_eq!((record.state.as_str(), record.updates.len()), ("delivered", 1));
    let late = catalog.change_plan(plan.id, change("queued", "cancelled")).await;
    assert!(matches!(late, Err(CatalogError::Conflict(_))));
}

#[tokio::test]
async fn the_audit_chain_shows_a_change() {
    let world = world().await;
    for n in 0..5 {
        let about = ("thing", "detail");
        world.catalog.audit(at(n), "ann", "test.deed", about).await.unwrap();
    }
    assert_eq!(world.catalog.verify_audit().await.unwrap(), Ok(5));
    assert_eq!(world.catalog.audit_entries(Some(4), 2).await.unwrap()[0].seq, 3);

    // An intruder with the database file: the trigger stops the plain way, the chain shows the other.
    let path = world.folder.path().join("catalog.db");
    let db = sea_orm::Database::connect(format!("sqlite://{}", path.display())).await.unwrap();
    let forge = "UPDATE audit SET detail = 'forged' WHERE seq = 3";
    assert!(db.execute_unprepared(forge).await.is_err(), "append-only");
    db.execute_unprepared("DROP TRIGGER audit_no_update").await.unwrap();
    db.execute_unprepared(forge).await.unwrap();
    assert_eq!(world.catalog.verify_audit().await.unwrap().unwrap_err().seq, 3);
}

#[tokio::test]
async fn alerts_and_plans_page_behind_a_place_whatever_comes_before_it() {
    let world = world().await;
    let catalog = &world.catalog;
    let store = async |number: u128, score: u8| {
        let (mut alert, context) = alert(1, score);
        alert.id = AlertId::from_u128(number);
        let found = Detected { alerts: vec![(alert, context)], ..Detected::default() };
        catalog.store_detected(at(i64::try_from(number).unwrap()), found).await.unwrap();
    };
    for (number, score) in [(1, 50), (2, 70), (3, 50), (4, 50), (5, 10)] {
        store(number, score).await;
    }
    for (order, expected) in [
        (AlertOrder::Score, [2, 1, 3, 4, 5]),
        (AlertOrder::Created, [5, 4, 3, 2, 1]),
        // All end at the same time: the identity decides.
        (AlertOrder::Last, [1, 2, 3, 4, 5]),
    ] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let filter = AlertFilter::default();
            let slice = catalog.alerts(&filter, order, (after.as_ref(), 2)).await.unwrap();
            let Some(last) = slice.items.last() else { break };
            after = Some(last.place(order));
            seen.extend(slice.items.iter().map(|record| record.alert.id.as_u128()));
        }
        assert_eq!(seen, expected, "{order:?}");
    }

    let plan = |number: u128| PlanRecord {
        id: PlanId::from_u128(number),
        endpoint: EndpointId::from_u128(7),
        verb: "poc".into(),
        target: None,
        scope: None,
        alert: None,
        reason: "a drill".into(),
        actor: "ann".into(),
        state: "queued".into(),
        created: at(1),
        expires: at(100),
        updates: Vec::new(),
        result: None,
        sent: false,
        body: serde_json::Value::Null,
    };
    // Made in one go, so at the same time.
    for number in 1..=3 {
        catalog.create_plan(&plan(number)).await.unwrap();
    }
    let first = catalog.plans(&PlanFilter::default(), 2).await.unwrap();
    let after = first.last().map(|plan| (plan.created, plan.id));
    let rest = catalog.plans(&PlanFilter { after, ..PlanFilter::default() }, 2).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|plan| plan.id.as_u128()).collect();
    assert_eq!(ids, [1, 2, 3]);
}

/// A first page that holds all there are.
const FIRST: (Option<&(Timestamp, String)>, u64) = (None, 100);

#[tokio::test]
async fn tokens_are_listed_and_revoked_without_their_secret() {
    let world = world().await;
    let catalog = &world.catalog;
    let password = || ("correct horse battery".to_owned(), PasswordKind::Own);
    let ann = catalog.create_account(at(0), "x", ("ann", Role::Analyst), password()).await.unwrap();
    let bob = catalog.create_account(at(0), "x", ("bob", Role::Admin), password()).await.unwrap();
    let made = catalog.create_api_token(at(1), &ann, "cli", 10_000_000_000).await.unwrap();
    catalog.create_api_token(at(2), &bob, "script", 99_000_000_000).await.unwrap();
    let all = catalog.api_tokens(at(3), None, FIRST).await.unwrap();
    assert_eq!(all.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["script", "cli"]);
    let own = catalog.api_tokens(at(3), Some("ann"), FIRST).await.unwrap();
    assert_eq!(own, all[1..]);
    assert_eq!(own[0].id, made.id);
    assert!(!format!("{all:?}").contains(&made.secret));

    let foreign = catalog.revoke_api_token(at(3), "ann", &all[0].id, Some("ann")).await;
    assert!(matches!(foreign, Err(CatalogError::NotFound(_))));
    for odd in ["", "%", &"%".repeat(32), &all[1].id[..31]] {
        let odd = catalog.revoke_api_token(at(3), "bob", odd, None).await;
        assert!(matches!(odd, Err(CatalogError::NotFound(_))));
    }
    assert!(catalog.api_token(at(3), &made.secret).await.unwrap().is_some());
    catalog.revoke_api_token(at(3), "bob", &own[0].id, None).await.unwrap();
    assert!(catalog.api_token(at(3), &made.secret).await.unwrap().is_none());
    let entry = catalog.audit_entries(None, 1).await.unwrap().remove(0);
    let said = (&*entry.actor, &*entry.action, &*entry.target, &*entry.detail);
    let detail = format!("of ann, id {}", made.id);
    assert_eq!(said, ("bob", "token.revoke", "cli", &*detail));
    let late = catalog.api_tokens(at(200), None, FIRST).await.unwrap();
    assert_eq!(late, [], "the other one has ended");

    let open = catalog.create_enrolment_token(at(1), "bob", 10_000_000_000).await.unwrap();
    let used = catalog.create_enrolment_token(at(1), "bob", 10_000_000_000).await.unwrap();
    catalog.enrol(at(2), &used.secret, "h").await.unwrap().unwrap();
    let listed = catalog.enrolment_tokens(at(3), FIRST).await.unwrap();
    assert_eq!(listed.len(), 1, "the used one enrols nobody any more");
    catalog.revoke_enrolment_token(at(3), "bob", &listed[0].id).await.unwrap();
    let late = catalog.enrol(at(4), &open.secret, "h").await.unwrap();
    assert_eq!(late, Err(TokenRefused::Unknown));
}

#[tokio::test]
async fn a_server_that_is_started_often_has_one_token_of_its_own() {
    let world = world().await;
    let catalog = &world.catalog;
    let password = ("correct horse battery".to_owned(), PasswordKind::Own);
    let ann = catalog.create_account(at(0), "x", ("ann", Role::Admin), password).await.unwrap();
    let day = 86_400 * 1_000_000_000;
    let own = catalog.create_api_token(at(0), &ann, "cli", day).await.unwrap();
    let first = catalog.create_api_token(at(1), &ann, BOOTSTRAP_TOKEN, day).await.unwrap();
    let last = catalog.create_api_token(at(2), &ann, BOOTSTRAP_TOKEN, day).await.unwrap();
    assert!(catalog.api_token(at(3), &first.secret).await.unwrap().is_none());
    for good in [&own, &last] {
        assert!(catalog.api_token(at(3), &good.secret).await.unwrap().is_some());
    }
    let entry = catalog.audit_entries(None, 1).await.unwrap().remove(0);
    let detail = format!("id {}, in place of 1 so called", last.id);
    assert_eq!((&*entry.target, &*entry.detail), (BOOTSTRAP_TOKEN, &*detail));
}

#[tokio::test]
async fn who_leads_an_alert_goes_with_its_score_also_after_a_partial_replay() {
    let world = world().await;
    let (mut whole, context) = alert(2, 80);
    whole.also = vec![detection("model-2", Layer::Model, Level::Medium)];
    let stored = Detected { alerts: vec![(whole, context)], ..Detected::default() };
    world.catalog.store_detected(at(5), stored).await.unwrap();
    // An engine that began anew saw the end only, of which another model makes less.
    let (mut part, context) = alert(3, 60);
    part.detection = detection("model-2", Layer::Model, Level::Medium);
    part.also = vec![detection("model-3", Layer::Model, Level::Low)];
    let replayed = Detected { alerts: vec![(part, context)], ..Detected::default() };
    let changed = world.catalog.store_detected(at(6), replayed).await.unwrap().changed;
    let found = &changed[0].alert;
    let models: Vec<&str> = found.models().map(|model| model.id.as_str()).collect();
    assert_eq!((models, found.score), (vec!["model-1", "model-2", "model-3"], 80));
}
