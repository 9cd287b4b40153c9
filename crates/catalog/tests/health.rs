//! How sensors did, on a real SQLite file: a row a minute, a week of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use metsuke_catalog::{Catalog, EndpointChange};
use metsuke_event::{EndpointId, Timestamp};
use serde_json::{Value, json};

const MINUTE: i64 = 60;
const WEEK: i64 = 7 * 24 * 60 * MINUTE;

/// 1.8 · 10⁹ seconds are whole minutes.
fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((1_800_000_000 + second) * 1_000)
}

async fn beat(catalog: &Catalog, id: EndpointId, second: i64, health: Value) {
    let health = health.as_object().cloned();
    let change = EndpointChange { health, ..EndpointChange::default() };
    catalog.update_endpoint(at(second), id, change).await.unwrap();
}

async fn enrol(catalog: &Catalog, host: &str) -> EndpointId {
    let token = catalog.create_enrolment_token(at(0), "admin", 10_000_000_000).await.unwrap();
    catalog.enrol(at(0), &token.secret, host).await.unwrap().unwrap()
}

/// Minutes after the start, with the CPU time said there.
async fn told(catalog: &Catalog, id: EndpointId, now: i64) -> Vec<(i64, Option<u64>)> {
    let points = catalog.health(at(now), id, (at(-WEEK), at(2 * WEEK))).await.unwrap();
    let minute = |time: Timestamp| time.nanos_since(at(0)) / (MINUTE * 1_000_000_000);
    points.iter().map(|point| (minute(point.time), point.cpu_ms)).collect()
}

#[tokio::test]
async fn the_first_word_of_each_minute_is_kept_for_each_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let (one, other) = (enrol(&catalog, "one").await, enrol(&catalog, "other").await);
    for second in (0..125).step_by(5) {
        beat(&catalog, one, second, json!({"cpu_ms": second, "degraded": ["a", "b"]})).await;
    }
    beat(&catalog, other, 7, json!({"cpu_ms": -1, "rss_bytes": 9})).await;
    assert_eq!(told(&catalog, one, 130).await, [(0, Some(0)), (1, Some(60)), (2, Some(120))]);
    assert_eq!(told(&catalog, other, 130).await, [(0, None)]);
    let points = catalog.health(at(130), one, (at(1), at(120))).await.unwrap();
    assert_eq!(points.len(), 1, "only the minute that begins in the range");
    assert_eq!((points[0].time, points[0].degraded), (at(60), 2));
    catalog.remove_endpoint(at(131), "admin", one).await.unwrap();
    assert_eq!(told(&catalog, one, 132).await, []);
    assert_eq!(told(&catalog, other, 132).await, [(0, None)]);
}

#[tokio::test]
async fn a_week_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let id = enrol(&catalog, "host").await;
    for minute in [0, 1, 2] {
        beat(&catalog, id, minute * MINUTE, json!({"cpu_ms": minute})).await;
    }
    assert_eq!(catalog.prune_health(at(WEEK)).await.unwrap(), 0);
    let later = WEEK + 2 * MINUTE;
    assert_eq!(told(&catalog, id, later).await, [(2, Some(2))], "older is not told");
    assert_eq!(catalog.prune_health(at(later)).await.unwrap(), 2);
    assert_eq!(catalog.prune_health(at(later)).await.unwrap(), 0);
    assert_eq!(told(&catalog, id, 0).await, [(2, Some(2))]);
}
