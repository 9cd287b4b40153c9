//! The live stream: what it tells, and that it ends when what opened it is good no longer.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::{timeout, timeout_at};

use crate::world::{World, json_request};

/// Far longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn open(world: &World, request: Request<Body>) -> BodyDataStream {
    let response = world.raw(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body().into_data_stream();
    let first = timeout(PATIENCE, body.next()).await.expect("in time");
    assert!(first.is_some(), "it is open");
    body
}

async fn ends(mut stream: BodyDataStream) {
    let end = async { while stream.next().await.is_some() {} };
    timeout(PATIENCE, end).await.expect("it ends");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let world = World::new().await;
    let (ann, other) = (world.sign_in("ann").await, world.sign_in("ann").await);
    let made = ann.request("POST", "/api/v1/tokens", &json!({ "name": "cli" }));
    let made = world.send(made).await.json();
    let mut request = json_request("GET", "/api/v1/stream", &Value::Null);
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    request.headers_mut().insert(header::AUTHORIZATION, bearer.parse().unwrap());
    let by_token = open(&world, request).await;
    let mut by_session = open(&world, other.request("GET", "/api/v1/stream", &Value::Null)).await;

    let id = world.get(&ann, "/api/v1/tokens").await.json()["items"][0]["id"].clone();
    let path = format!("/api/v1/tokens/{}", id.as_str().unwrap());
    let gone = world.send(ann.request("DELETE", &path, &Value::Null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    ends(by_token).await;
    let more = timeout(PATIENCE, by_session.next()).await.expect("in time");
    assert!(more.is_some(), "one that a session opened goes on");
}

#[tokio::test]
async fn a_stream_ends_when_its_session_does() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let stream = open(&world, ann.request("GET", "/api/v1/stream", &Value::Null)).await;
    let out = world.send(ann.request("DELETE", "/api/v1/session", &Value::Null)).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    ends(stream).await;
}

#[tokio::test]
async fn the_stream_tells_of_changes_and_of_missed_ones() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let mut request = browser.request("GET", "/api/v1/stream", &Value::Null);
    request.headers_mut().insert("last-event-id", "7".parse().unwrap());
    let response = world.raw(request).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    world.raise(1, 60).await;
    let mut text = String::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // In which order the two come is not promised.
    while !(text.contains("event: alert") && text.contains("event: stats")) {
        let more = timeout_at(deadline, body.next()).await.expect("in time");
        text.push_str(&String::from_utf8_lossy(&more.unwrap().unwrap()));
    }
    assert!(text.starts_with("event: resync"), "{text}");
    // The stream ends with the server.
    world.stop.cancel();
    while timeout_at(deadline, body.next()).await.expect("in time").is_some() {}
}
