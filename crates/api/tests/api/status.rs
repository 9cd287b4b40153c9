//! What is told of a server that cannot store.

use axum::http::StatusCode;
use metsuke_api::status::{Storage, StorageState};
use metsuke_event::Timestamp;
use serde_json::{Value, json};

use crate::world::{World, json_request};

#[tokio::test]
async fn a_server_that_cannot_store_says_so_and_why() {
    let world = World::new().await;
    let reply = world.send(json_request("GET", "/api/v1/status", &Value::Null)).await;
    reply.problem(StatusCode::UNAUTHORIZED, "unauthenticated");
    let browser = world.sign_in("ann").await;
    let status = async || world.get(&browser, "/api/v1/status").await.json();
    let fine = status().await;
    assert_eq!(fine["events_total"], 7);
    assert_eq!(
        fine["storage"],
        json!({ "state": "ok", "since": null, "reason": null, "free_bytes": null, "refused_batches": 0 })
    );

    let since = Timestamp::from_millis(1_790_000_000_000);
    *world.storage.lock().unwrap() = Storage {
        state: StorageState::Refusing,
        since: Some(since.into()),
        reason: Some("no space left".into()),
        free_bytes: Some(0),
        refused_batches: 3,
    };
    let full = status().await;
    assert_eq!(
        full["storage"],
        json!({
            "state": "refusing", "since": since.to_string(), "reason": "no space left",
            "free_bytes": 0, "refused_batches": 3,
        })
    );
}

#[tokio::test]
async fn the_stream_says_how_the_server_is() {
    use futures::StreamExt;
    let world = World::new().await;
    world.storage.lock().unwrap().state = StorageState::Refusing;
    let browser = world.sign_in("ann").await;
    let response = world.raw(browser.request("GET", "/api/v1/stream", &Value::Null)).await;
    let mut body = response.into_body().into_data_stream();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut text = String::new();
    while !text.contains("event: stats") {
        let more = tokio::time::timeout_at(deadline, body.next()).await.expect("in time");
        text.push_str(&String::from_utf8_lossy(&more.unwrap().unwrap()));
    }
    assert!(text.contains(r#""state":"refusing""#), "{text}");
}
