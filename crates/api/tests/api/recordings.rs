//! Recordings over HTTP: opened by name, filled by lines, detected on; for administrators.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use metsuke_event::{BootId, EndpointId, Event, Kind, Timestamp, ecs};
use serde_json::{Value, json};

use crate::world::{Browser, World};

fn line(seq: u64) -> String {
    let mut event = Event::empty(Kind::Imported);
    event.id.boot = BootId::from_u128(1);
    event.id.seq = seq;
    event.time = Timestamp::from_millis(1_600_000_000_000);
    event.host = Some("pc7".into());
    ecs::to_ecs(&event).to_string()
}

fn lines(browser: &Browser, id: &str, body: String) -> Request<Body> {
    let path = format!("/api/v1/recordings/{id}/events");
    let mut request = browser.request("POST", &path, &Value::Null);
    request.headers_mut().insert(header::CONTENT_TYPE, "application/x-ndjson".parse().unwrap());
    *request.body_mut() = Body::from(body);
    request
}

#[tokio::test]
async fn a_recording_is_opened_filled_and_detected_on() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let open = async |name: &str| {
        world.send(browser.request("POST", "/api/v1/recordings", &json!({ "name": name }))).await
    };
    let record = open("march, again").await.json();
    let id = record["id"].as_str().unwrap().to_owned();
    assert_eq!((&record["state"], &record["events"]), (&json!("open"), &json!(0)));
    assert_eq!(open(" march, again ").await.json()["id"], id.as_str(), "the same one");
    for name in ["", " ", "a\u{7}b", &"x".repeat(101)] {
        open(name).await.problem(StatusCode::BAD_REQUEST, "invalid");
    }
    let sent = world.send(lines(&browser, &id, format!("{}\n\n{}\n", line(1), line(2)))).await;
    assert_eq!(sent.json()["taken"], 2, "{}", sent.text);
    let broken = world.send(lines(&browser, &id, format!("{}\n{{\n", line(3)))).await;
    let problem = broken.problem(StatusCode::BAD_REQUEST, "invalid");
    assert!(problem["detail"].as_str().unwrap().starts_with("line 2: "), "{problem}");
    let huge = world.send(lines(&browser, &id, " ".repeat(9 * 1024 * 1024))).await;
    huge.problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    let detect = format!("/api/v1/recordings/{id}/detect?stop_at=high");
    let slice = world.send(browser.request("POST", &detect, &Value::Null)).await;
    assert_eq!(slice.json()["done"], true, "{}", slice.text);
    let odd = format!("/api/v1/recordings/{id}/detect?stop_at=low");
    let odd = world.send(browser.request("POST", &odd, &Value::Null)).await;
    odd.problem(StatusCode::BAD_REQUEST, "invalid");
    let third = open("a third").await.json()["id"].as_str().unwrap().to_owned();
    let third = format!("/api/v1/recordings/{third}");
    let busy = browser.request("POST", &format!("{third}/detect"), &Value::Null);
    world.send(busy).await.problem(StatusCode::CONFLICT, "detecting");
    let list = world.get(&browser, "/api/v1/recordings").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    world.get(&browser, "/api/v1/recordings/5").await.problem(StatusCode::NOT_FOUND, "not_found");
    let gone = browser.request("DELETE", "/api/v1/recordings/5", &Value::Null);
    world.send(gone).await.problem(StatusCode::NOT_FOUND, "not_found");
    let gone = browser.request("DELETE", &format!("/api/v1/recordings/{id}"), &Value::Null);
    assert_eq!(world.send(gone).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn recorded_hosts_are_in_no_group() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let groups = async || world.get(&browser, "/api/v1/groups").await.json();
    let before = groups().await;
    assert_eq!(before["items"][0]["endpoints"], 1, "{before}");
    let now = Timestamp::from_millis(1);
    world.catalog.open_recording(now, "ana", "old").await.unwrap();
    let host = (EndpointId::from_u128(77), "pc7".to_owned());
    world.catalog.add_recorded_hosts(now, "old", &[host]).await.unwrap();
    assert_eq!(world.catalog.endpoints().await.unwrap().len(), 2);
    assert_eq!(groups().await, before);
}

#[tokio::test]
async fn analysts_look_at_recordings_and_make_none() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    assert_eq!(world.get(&browser, "/api/v1/recordings").await.status, StatusCode::OK);
    let open = browser.request("POST", "/api/v1/recordings", &json!({ "name": "x" }));
    world.send(open).await.problem(StatusCode::FORBIDDEN, "role");
    world.send(lines(&browser, "5", line(1))).await.problem(StatusCode::FORBIDDEN, "role");
    let gone = browser.request("DELETE", "/api/v1/recordings/5", &Value::Null);
    world.send(gone).await.problem(StatusCode::FORBIDDEN, "role");
}
