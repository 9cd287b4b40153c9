//! Health over time: for whom there is an account, of endpoints there are, in few points.

use axum::http::StatusCode;
use metsuke_catalog::EndpointChange;
use metsuke_catalog::clock::now;
use metsuke_event::Timestamp;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_long_time_comes_in_few_points_that_hide_no_peak() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let start = now().plus_nanos(-20 * 3_600 * 1_000_000_000);
    let minute = |n: i64| start.plus_nanos(n * 60 * 1_000_000_000);
    for n in 0..1_001 {
        let rss = if n == 500 { 900 } else { 100 };
        let health = json!({"cpu_ms": n * 10, "rss_bytes": rss, "lag_ms": 3, "lost_total": n / 2});
        let health = health.as_object().cloned();
        let change = EndpointChange { health, ..EndpointChange::default() };
        world.catalog.update_endpoint(minute(n), world.endpoint, change).await.unwrap();
    }
    let path = format!("/api/v1/endpoints/{}/health", world.endpoint);
    let answer = world.get(&ann, &path).await.json();
    let items = answer["items"].as_array().unwrap();
    assert_eq!((items.len(), &answer["minutes_per_point"]), (334, &json!(3)));
    let last = &items[333];
    assert_eq!((&last["cpu_ms"], &last["lost_total"]), (&json!(10_000), &json!(500)));
    let peaks = items.iter().filter(|one| one["rss_bytes"] == 900).count();
    assert_eq!(peaks, 1);
    let (from, to) = (minute(10), minute(20));
    let few = world.get(&ann, &format!("{path}?from={from}&to={to}")).await.json();
    assert_eq!(
        (few["items"].as_array().unwrap().len(), &few["minutes_per_point"]),
        (10, &json!(1))
    );
    let times: Vec<Timestamp> = few["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["time"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(times.is_sorted() && times[0] >= from && times[9] < to, "{times:?}");
}

#[tokio::test]
async fn nothing_for_strangers_or_of_strangers() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let path = format!("/api/v1/endpoints/{}/health", world.endpoint);
    assert_eq!(world.get(&ann, &path).await.json()["items"], json!([]));
    let other = "/api/v1/endpoints/00000000000000000000000000000bad/health";
    assert_eq!(world.get(&ann, other).await.status, StatusCode::NOT_FOUND);
    let backwards = format!("{path}?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z");
    assert_eq!(world.get(&ann, &backwards).await.status, StatusCode::BAD_REQUEST);
}
