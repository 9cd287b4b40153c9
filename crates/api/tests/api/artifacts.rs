//! Evidence is asked for, listed, and handed out as an attachment to administrators alone.

use axum::http::{StatusCode, header};
use metsuke_catalog::ArtifactRecord;
use metsuke_catalog::clock::now;
use metsuke_event::id::PlanId;
use serde_json::json;

use crate::world::World;

/// What a host might try to have a browser run.
const BYTES: &str = "<script>alert(1)</script>";

async fn keep(world: &World, plan: u128) -> ArtifactRecord {
    let sha256 = format!("{plan:064x}");
    std::fs::write(world.folder.path().join(&sha256), BYTES).unwrap();
    let record = ArtifactRecord {
        plan: PlanId::from_u128(plan),
        endpoint: world.endpoint,
        kind: "file".to_owned(),
        name: "/tmp/x\"; filename=evil.html\r\nX-Evil: 1".to_owned(),
        size: BYTES.len() as u64,
        sha256,
        taken: now(),
        stored: now(),
        meta: json!({ "mode": 420 }),
    };
    world.catalog.store_artifact(&record).await.unwrap();
    record
}

#[tokio::test]
async fn an_artifact_is_an_attachment_for_administrators_and_its_download_is_logged() {
    let world = World::new().await;
    let (ann, admin) = (world.sign_in("ann").await, world.sign_in("admin").await);
    let record = keep(&world, 7).await;
    let list = format!("/api/v1/artifacts?endpoint={}", world.endpoint);
    let listed = world.get(&ann, &list).await.json();
    assert_eq!(listed["items"][0]["sha256"], record.sha256.as_str(), "{listed}");
    assert_eq!(listed["items"][0]["meta"]["mode"], 420);
    let one = format!("/api/v1/artifacts/{}", record.plan);
    assert_eq!(world.get(&ann, &one).await.json()["name"], record.name.as_str());

    let content = format!("{one}/content");
    world.get(&ann, &content).await.problem(StatusCode::FORBIDDEN, "role");
    let audit = world.get(&admin, "/api/v1/audit").await;
    assert!(!audit.text.contains("artifact.download"), "a refusal is no download");
    let reply = world.get(&admin, &content).await;
    assert_eq!((reply.status, reply.text.as_str()), (StatusCode::OK, BYTES));
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/octet-stream");
    assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let disposition = reply.headers[header::CONTENT_DISPOSITION].to_str().unwrap();
    let expected = format!("attachment; filename=\"metsuke-file-{}.bin\"", record.plan);
    assert_eq!(disposition, expected, "nothing of the host's in it");
    let audit = world.get(&admin, "/api/v1/audit").await.json();
    assert_eq!(audit["items"][0]["action"], "artifact.download", "{audit}");
    assert_eq!(audit["items"][0]["actor"], "admin");

    for path in ["/api/v1/artifacts/x", "/api/v1/artifacts/..%2f..%2fcatalog.db/content"] {
        world.get(&admin, path).await.problem(StatusCode::NOT_FOUND, "not_found");
    }
}

#[tokio::test]
async fn artifacts_are_listed_page_by_page() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    for plan in 1..=3 {
        keep(&world, plan).await;
    }
    let first = world.get(&ann, "/api/v1/artifacts?limit=2").await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = format!("/api/v1/artifacts?limit=2&cursor={}", first["next"].as_str().unwrap());
    let second = world.get(&ann, &next).await.json();
    assert_eq!(second["items"].as_array().unwrap().len(), 1, "{second}");
    assert!(second["next"].is_null());
    let one = world.get(&ann, &format!("/api/v1/artifacts?plan={}", PlanId::from_u128(2))).await;
    assert_eq!(one.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn evidence_is_asked_for_with_what_it_needs() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let process = format!("{}-7-9", "0".repeat(32));
    let ask = async |mut asked: serde_json::Value| {
        asked["endpoint"] = json!(world.endpoint.to_string());
        asked["reason"] = json!("why");
        world.send(ann.request("POST", "/api/v1/responses", &asked)).await
    };
    for (asked, field) in [
        (json!({ "verb": "dump" }), "process"),
        (json!({ "verb": "collect" }), "path"),
        (json!({ "verb": "scan", "path": "/tmp" }), "rules"),
        (json!({ "verb": "scan", "rules": "x" }), "process"),
        (json!({ "verb": "scan", "rules": "x", "path": "/a", "process": process }), "path"),
        (json!({ "verb": "list_live" }), "list"),
    ] {
        let refused = ask(asked).await.problem(StatusCode::BAD_REQUEST, "invalid");
        assert!(refused["detail"].as_str().unwrap().contains(field), "{refused}");
    }
    let made = ask(json!({ "verb": "dump", "process": process, "regions": "stack_heap" })).await;
    assert_eq!((made.status, &made.json()["verb"]), (StatusCode::CREATED, &json!("dump")));
    let plan = world.catalog.plan(PlanId::from_u128(5)).await.unwrap().unwrap();
    assert_eq!(
        (&plan.body["regions"], &plan.body["max_bytes"]),
        (&json!("stack_heap"), &json!(268_435_456))
    );
}
