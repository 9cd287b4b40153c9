//! Incidents on a real SQLite file: alerts join, people split and merge, and all of it outlives a restart.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use metsuke_catalog::{
    AlertContext, Catalog, CatalogError, Detected, ProcessBrief, Status, TriageChange,
};
use metsuke_event::finding::{Alert, DetectionRef, Layer, Level};
use metsuke_event::{AlertId, EndpointId, Timestamp};
use metsuke_incident::{Observable, ObservableKind, ReasonKind};

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + second * 1_000)
}

fn id(number: u128) -> AlertId {
    AlertId::from_u128(number)
}

/// An alert of its own host and day that touched `domain`.
async fn raise(catalog: &Catalog, number: u128, domain: &str) {
    let day = i64::try_from(number).unwrap() * 86_400;
    let alert = Alert {
        id: id(number),
        revision: 1,
        detection: DetectionRef {
            id: "model-1".to_owned(),
            title: format!("alert {number}"),
            layer: Layer::Model,
            level: Level::High,
            techniques: Vec::new(),
            tactics: vec![format!("tactic-{number}")],
        },
        also: Vec::new(),
        endpoint: EndpointId::from_u128(number),
        storyline: format!("s{number}"),
        score: 50 + u8::try_from(number).unwrap(),
        parts: Vec::new(),
        highlights: Vec::new(),
        first: at(day),
        last: at(day + 5),
    };
    let process = ProcessBrief { user: Some("root".into()), ..ProcessBrief::default() };
    let observable = Observable { kind: ObservableKind::Domain, value: domain.to_owned() };
    let context = AlertContext {
        host: Some(format!("h{number}")),
        processes: [(format!("p{number}"), process)].into(),
        observables: [observable].into(),
    };
    let found = Detected { alerts: vec![(alert, context)], ..Detected::default() };
    catalog.store_detected(at(day), found).await.unwrap();
}

async fn groups(catalog: &Catalog) -> Vec<Vec<u128>> {
    let incidents = catalog.incidents().await.unwrap();
    let numbers = |ids: &[AlertId]| ids.iter().map(|id| id.as_u128()).collect();
    let mut all: Vec<Vec<u128>> = incidents.items.iter().map(|one| numbers(&one.alerts)).collect();
    all.sort();
    all
}

async fn open(folder: &Path) -> Catalog {
    Catalog::open(&folder.join("catalog.db")).await.unwrap()
}

#[tokio::test]
async fn alerts_join_and_what_people_changed_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(folder.path()).await;
    for number in 1..=3 {
        raise(&catalog, number, "evil.example").await;
    }
    raise(&catalog, 4, "other.example").await;
    assert_eq!(groups(&catalog).await, [vec![1, 2, 3], vec![4]]);
    let incidents = catalog.incidents().await.unwrap();
    let one = incidents.holding(id(2)).unwrap();
    assert_eq!((one.id, one.title.as_str(), one.score), (id(1), "alert 3", 53));
    assert_eq!(
        (one.reasons[0].kind, one.reasons[0].value.as_str()),
        (ReasonKind::Domain, "evil.example")
    );
    assert_eq!(one.reasons[0].alerts, [id(1), id(2), id(3)]);
    assert_eq!(one.hosts.len(), 3);

    let parts = catalog.split_incident(at(10), "ana", id(1), &[id(2)]).await.unwrap();
    assert_eq!(parts.len(), 2);
    // A later alert has ties with both parts; they stay apart.
    raise(&catalog, 5, "evil.example").await;
    let after = groups(&catalog).await;
    assert!(after.iter().all(|group| !(group.contains(&1) && group.contains(&2))), "{after:?}");
    catalog.close().await;
    let catalog = open(folder.path()).await;
    assert_eq!(groups(&catalog).await, after);

    let history = catalog.incidents().await.unwrap();
    let history = catalog.incident_history(history.holding(id(2)).unwrap()).await.unwrap();
    assert_eq!((history.len(), history[0].actor.as_str()), (1, "ana"));
    catalog.undo_incident(at(11), "bo", id(2)).await.unwrap();
    assert_eq!(groups(&catalog).await, [vec![1, 2, 3, 5], vec![4]]);
    let again = catalog.undo_incident(at(12), "bo", id(2)).await;
    assert!(matches!(again, Err(CatalogError::Conflict(_))), "{again:?}");

    let merged = catalog.merge_incidents(at(13), "ana", &[id(4), id(1)]).await.unwrap();
    assert_eq!((merged.id, merged.alerts.len()), (id(1), 5));
    assert_eq!(merged.reasons[0].kind, ReasonKind::Hand);
    let apart = catalog.undo_incident(at(14), "ana", id(4)).await.unwrap();
    assert_eq!(apart.len(), 2);
    let actions: Vec<String> = catalog
        .audit_entries(None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.action)
        .collect();
    for action in ["incident.split", "incident.merge", "incident.undo"] {
        assert!(actions.iter().any(|known| known == action), "{actions:?}");
    }
}

#[tokio::test]
async fn an_incident_stands_where_its_alerts_stand() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(folder.path()).await;
    raise(&catalog, 1, "evil.example").await;
    raise(&catalog, 2, "evil.example").await;
    let status = async || catalog.incidents().await.unwrap().items[0].status;
    assert_eq!(status().await, Status::New);
    for (number, expected) in [(1, Status::InProgress), (2, Status::Closed)] {
        let change = TriageChange {
            status: Some(Status::Closed),
            expected_version: 1,
            ..TriageChange::default()
        };
        catalog.triage(at(20), "ana", id(number), change).await.unwrap();
        assert_eq!(status().await, expected);
    }
    let split = catalog.split_incident(at(21), "ana", id(1), &[id(1), id(2)]).await;
    assert!(matches!(split, Err(CatalogError::Invalid(_))), "{split:?}");
    let merge = catalog.merge_incidents(at(21), "ana", &[id(1), id(2)]).await;
    assert!(matches!(merge, Err(CatalogError::Invalid(_))), "{merge:?}");
    let none = catalog.merge_incidents(at(21), "ana", &[id(1), id(77)]).await;
    assert!(matches!(none, Err(CatalogError::NotFound(_))), "{none:?}");
}
