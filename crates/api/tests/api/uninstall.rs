//! Leave to remove a sensor: administrators give it for one endpoint, and it is logged.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn an_administrator_gives_leave_for_one_endpoint_and_it_is_logged() {
    let world = World::new().await;
    let (ann, admin) = (world.sign_in("ann").await, world.sign_in("admin").await);
    let path = format!("/api/v1/endpoints/{}/uninstall-token", world.endpoint);
    let ask = |ttl_s: u32, reason: &str| json!({ "ttl_s": ttl_s, "reason": reason });
    let good = ask(3_600, "the host is retired");
    let refused = world.send(ann.request("POST", &path, &good)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    for wrong in [ask(59, "x"), ask(604_801, "x"), ask(3_600, " "), ask(3_600, &"x".repeat(501))] {
        let refused = world.send(admin.request("POST", &path, &wrong)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    }
    let nowhere = "/api/v1/endpoints/00000000000000000000000000/uninstall-token";
    let unknown = world.send(admin.request("POST", nowhere, &good)).await;
    unknown.problem(StatusCode::NOT_FOUND, "not_found");
    let audit =
        async || world.get(&admin, "/api/v1/audit?limit=1").await.json()["items"][0].clone();
    let before = audit().await;
    assert_ne!(before["action"], "endpoint.uninstall_token", "nothing was given yet");

    let given = world.send(admin.request("POST", &path, &good)).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    let given = given.json();
    let (expires, signed) = given["token"].as_str().unwrap().split_once('.').unwrap();
    assert_eq!(signed, world.endpoint.to_string(), "signed for this endpoint");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let expires: u64 = expires.parse().unwrap();
    assert!(expires > now && expires <= now + 3_600, "{expires} {now}");
    let entry = audit().await;
    assert_eq!(entry["action"], "endpoint.uninstall_token");
    assert_eq!((&entry["actor"], &entry["target"]), (&json!("admin"), &given["endpoint"]));
    let detail = entry["detail"].as_str().unwrap();
    assert!(detail.contains("the host is retired") && !detail.contains(signed), "{detail}");
    assert_ne!(entry["detail"], Value::Null);
}
