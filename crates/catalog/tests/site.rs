//! Documents, tuning, groups, exceptions and the counters of what struck, on a real SQLite file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use metsuke_catalog::{
    AlertContext, Catalog, CatalogError, Detected, DetectionStats, DocumentOrigin, DocumentRecord,
    ExceptionRecord, Finding, Findings, TriageChange, TuningRecord, Watermark,
};
use metsuke_event::finding::{Alert, DetectionRef, Highlight, Hit, Layer, Level};
use metsuke_event::{AlertId, BootId, EndpointId, EventId, Timestamp};
use sea_orm::{ConnectionTrait, Database};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + second * 1_000)
}

async fn open(folder: &tempfile::TempDir) -> Catalog {
    Catalog::open(&folder.path().join("catalog.db")).await.unwrap()
}

fn detection(id: &str) -> DetectionRef {
    DetectionRef {
        id: id.to_owned(),
        title: id.to_owned(),
        layer: Layer::Filter,
        level: Level::Low,
        techniques: vec!["T1059.004".to_owned()],
        tactics: Vec::new(),
    }
}

fn hit(endpoint: u128, seq: u64, second: i64, excepted: Option<&str>) -> Hit {
    Hit {
        detection: detection("f"),
        event: EventId {
            endpoint: EndpointId::from_u128(endpoint),
            boot: BootId::from_u128(1),
            seq,
            ..EventId::default()
        },
        time: at(second),
        process: "p".to_owned(),
        storyline: "s".to_owned(),
        matched: Vec::new(),
        excepted: excepted.map(str::to_owned),
    }
}

fn alert(step: &Hit) -> (Alert, AlertContext) {
    let highlight = Highlight {
        detection: step.detection.clone(),
        events: vec![step.event],
        time: step.time,
        process: "p".to_owned(),
        matched: Vec::new(),
        count: 1,
    };
    let alert = Alert {
        id: AlertId::from_u128(9),
        revision: 1,
        detection: DetectionRef { layer: Layer::Model, ..detection("m") },
        also: Vec::new(),
        endpoint: step.event.endpoint,
        storyline: "s".to_owned(),
        score: 50,
        parts: Vec::new(),
        highlights: vec![highlight],
        first: step.time,
        last: step.time,
    };
    (alert, AlertContext::default())
}

/// What was found on boot 1 of the hits' endpoint, seen up to the last of them.
fn found(hits: Vec<Hit>) -> Detected {
    let last = hits.last().unwrap().clone();
    let mark = Watermark {
        endpoint: last.event.endpoint,
        boot: last.event.boot,
        seq: last.event.seq,
        received: last.time,
    };
    Detected { hits, watermarks: vec![mark], ..Detected::default() }
}

fn exception(id: &str) -> ExceptionRecord {
    ExceptionRecord {
        id: id.to_owned(),
        title: "the backup".to_owned(),
        detections: vec!["f".to_owned()],
        groups: vec!["servers".to_owned()],
        endpoints: vec![EndpointId::from_u128(7)],
        condition: "User: root".to_owned(),
        reason: "it does that every night".to_owned(),
        owner: "ann".to_owned(),
        created: at(0),
        expires: at(DAY_S),
        hidden: 0,
        last: None,
    }
}

#[tokio::test]
async fn hits_are_counted_once_per_hour_host_and_exception() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    catalog.create_exception(&exception("e")).await.unwrap();
    let now = at(0);
    let old = found(vec![hit(7, 1, -20 * DAY_S, None)]);
    let first = found(vec![
        hit(7, 2, -3 * DAY_S, None),
        hit(7, 3, -HOUR_S, None),
        hit(7, 4, -HOUR_S + 1, Some("e")),
    ]);
    let mut other = found(vec![hit(8, 1, -10, None)]);
    other.alerts = vec![alert(&other.hits[0])];
    for found in [old, first.clone(), first, other.clone(), other] {
        catalog.store_detected(now, found).await.unwrap();
    }
    let stats = catalog.detection_stats(now).await.unwrap();
    let expected = DetectionStats {
        hits_24h: 2,
        hits_7d: 3,
        hosts_7d: 2,
        excepted_7d: 1,
        alerts_7d: 1,
        findings: Findings::default(),
    };
    assert_eq!(stats["f"], expected);
    assert_eq!((stats["m"].hits_7d, stats["m"].alerts_7d), (0, 1));
    let days = catalog.hits_per_day(now, "f", 30).await.unwrap();
    assert_eq!(days.len(), 30);
    assert_eq!(days.iter().map(|day| day.hits).sum::<u64>(), 4, "also the old one");
    assert_eq!(days.iter().map(|day| day.excepted).sum::<u64>(), 1);
    let hidden = catalog.hidden_by_exception(now, 14).await.unwrap();
    assert_eq!(hidden["e"].iter().map(|day| day.excepted).sum::<u64>(), 1);
    let exceptions = catalog.exceptions().await.unwrap();
    assert_eq!((exceptions[0].hidden, exceptions[0].last), (1, Some(at(-HOUR_S + 1))));

    catalog.prune_counts(at(15 * DAY_S)).await.unwrap();
    let days = catalog.hits_per_day(now, "f", 30).await.unwrap();
    assert_eq!(days.iter().map(|day| day.hits).sum::<u64>(), 3, "the old one is forgotten");
}

#[tokio::test]
async fn what_people_find_counts_for_what_an_alert_stands_on() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let mut raised = found(vec![hit(7, 1, 0, None)]);
    raised.alerts = vec![alert(&raised.hits[0])];
    catalog.store_detected(at(0), raised).await.unwrap();
    assert!(catalog.findings().await.unwrap().is_empty());
    let triage = async |version, finding| {
        let change = TriageChange {
            finding: Some(finding),
            expected_version: version,
            ..TriageChange::default()
        };
        catalog.triage(at(1), "ann", AlertId::from_u128(9), change).await.unwrap();
        catalog.findings().await.unwrap()
    };
    let findings = triage(1, Some(Finding::FalsePositive)).await;
    let wrong = Findings { wrong: 1, ..Findings::default() };
    assert_eq!((findings["f"], findings["m"]), (wrong, wrong));
    let findings = triage(2, Some(Finding::TruePositive)).await;
    assert_eq!(findings["f"], Findings { real: 1, ..Findings::default() }, "it was changed");
    assert!(triage(3, None).await.is_empty(), "it was taken back");
}

#[tokio::test]
async fn documents_tuning_groups_and_exceptions_are_kept_and_audited() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let record = DocumentRecord {
        id: "own-1".to_owned(),
        origin: DocumentOrigin::Own,
        path: "own/own-1.yml".to_owned(),
        text: "title: x".to_owned(),
        author: None,
        licence: None,
        actor: "ann".to_owned(),
        created: at(0),
        updated: at(0),
    };
    let changed = DocumentRecord { text: "title: y".to_owned(), updated: at(5), ..record.clone() };
    catalog.put_documents("ann", std::slice::from_ref(&record)).await.unwrap();
    catalog.put_documents("ann", std::slice::from_ref(&changed)).await.unwrap();
    assert_eq!(catalog.documents().await.unwrap(), [changed]);
    catalog.remove_document(at(6), "ann", "own-1").await.unwrap();
    let gone = catalog.remove_document(at(6), "ann", "own-1").await;
    assert!(matches!(gone, Err(CatalogError::NotFound(_))), "{gone:?}");

    let tuning = TuningRecord {
        detection: "f".to_owned(),
        group: Some("servers".to_owned()),
        enabled: Some(false),
        level: Some(Level::High),
        reason: "too loud".to_owned(),
        actor: "ann".to_owned(),
        time: at(7),
    };
    let everywhere = TuningRecord { group: None, level: None, ..tuning.clone() };
    catalog.tune(&tuning).await.unwrap();
    catalog.tune(&everywhere).await.unwrap();
    assert_eq!(catalog.tunings().await.unwrap(), [everywhere, tuning.clone()]);
    let unsaid = TuningRecord { enabled: None, level: None, ..tuning };
    catalog.tune(&unsaid).await.unwrap();
    assert_eq!(catalog.tunings().await.unwrap().len(), 1);

    let token = catalog.create_enrolment_token(at(0), "server", 1 << 50).await.unwrap();
    let endpoint = catalog.enrol(at(1), &token.secret, "h1").await.unwrap().unwrap();
    catalog.set_group(at(2), "ann", endpoint, "servers").await.unwrap();
    assert_eq!(catalog.groups().await.unwrap()[&endpoint], "servers");
    let stranger = catalog.set_group(at(2), "ann", EndpointId::from_u128(1), "servers").await;
    assert!(matches!(stranger, Err(CatalogError::NotFound(_))), "{stranger:?}");
    let nameless = catalog.set_group(at(2), "ann", endpoint, "two words").await;
    assert!(matches!(nameless, Err(CatalogError::Invalid(_))), "{nameless:?}");

    catalog.create_exception(&exception("e")).await.unwrap();
    assert_eq!(catalog.exceptions().await.unwrap(), [exception("e")]);
    catalog.remove_exception(at(9), "ann", "e").await.unwrap();
    assert!(catalog.exceptions().await.unwrap().is_empty());
    let audit = catalog.audit_entries(None, 100).await.unwrap();
    let mut deeds: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
    deeds.dedup();
    for deed in ["detection.put", "detection.remove", "detection.tune", "endpoint.group"] {
        assert!(deeds.contains(&deed), "{deeds:?}");
    }
    let removed = &audit[0];
    assert_eq!(removed.action, "exception.remove");
    assert!(removed.detail.contains("User: root"), "{}", removed.detail);
}

#[tokio::test]
async fn a_catalog_of_version_4_is_taken_over_with_what_it_counted() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder).await;
    let mut raised = found(vec![hit(7, 1, -HOUR_S, None), hit(7, 2, -60, None)]);
    raised.alerts = vec![alert(&raised.hits[0])];
    catalog.store_detected(at(0), raised).await.unwrap();
    catalog.close().await;
    let path = folder.path().join("catalog.db");
    let raw = Database::connect(format!("sqlite://{}", path.display())).await.unwrap();
    let tables = [
        "documents",
        "detection_tuning",
        "endpoint_groups",
        "exceptions",
        "hit_counts",
        "hit_hosts",
        "alert_detections",
    ];
    let drops = tables.iter().map(|table| format!("DROP TABLE {table}"));
    let back = [
        "DROP INDEX hits_by_exception".to_owned(),
        "ALTER TABLE hits DROP COLUMN excepted".to_owned(),
        "UPDATE settings SET value = '4' WHERE name = 'schema_version'".to_owned(),
    ];
    for statement in drops.chain(back) {
        raw.execute_unprepared(&statement).await.unwrap();
    }
    raw.close().await.unwrap();

    let catalog = open(&folder).await;
    let stats = catalog.detection_stats(at(0)).await.unwrap();
    assert_eq!((stats["f"].hits_24h, stats["f"].hosts_7d, stats["f"].alerts_7d), (2, 1, 1));
    let hits = catalog.hits(&metsuke_catalog::HitFilter::default(), 10).await.unwrap();
    assert_eq!(hits.len(), 2);
    assert_eq!(hits[0].hit.excepted, None);
    assert_eq!(catalog.setting("schema_version").await.unwrap().as_deref(), Some("6"));
    assert!(catalog.documents().await.unwrap().is_empty());
}
