//! Tokens: listed without their secret, revoked by whom they belong to or an administrator.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::world::{Browser, World, json_request};

async fn make(world: &World, browser: &Browser, name: &str) -> String {
    let request = browser.request("POST", "/api/v1/tokens", &json!({ "name": name }));
    let made = world.send(request).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    made.json()["token"].as_str().unwrap().to_owned()
}

fn bearer(token: &str) -> Request<Body> {
    let mut request = json_request("GET", "/api/v1/session", &Value::Null);
    let value = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

#[tokio::test]
async fn api_tokens_are_listed_and_revoked() {
    let world = World::new().await;
    let (ann, admin) = (world.sign_in("ann").await, world.sign_in("admin").await);
    let secret = make(&world, &ann, "cli").await;
    let other = make(&world, &admin, "script").await;
    let list = async |browser: &Browser| {
        let reply = world.get(browser, "/api/v1/tokens").await;
        assert!(!reply.text.contains(&secret) && !reply.text.contains(&other), "{}", reply.text);
        reply.json()["items"].as_array().unwrap().clone()
    };
    let names = |items: &[Value]| -> Vec<String> {
        items.iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect()
    };
    let (own, all) = (list(&ann).await, list(&admin).await);
    assert_eq!(
        (names(&own), names(&all)),
        (vec!["cli".into()], vec!["script".into(), "cli".into()])
    );
    assert_eq!(own[0]["account"], "ann");

    let revoke = async |browser: &Browser, token: &Value| {
        let path = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
        world.send(browser.request("DELETE", &path, &Value::Null)).await
    };
    revoke(&ann, &all[0]).await.problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(world.send(bearer(&other)).await.status, StatusCode::OK, "another's stays");
    assert_eq!(revoke(&admin, &own[0]).await.status, StatusCode::NO_CONTENT);
    world.send(bearer(&secret)).await.problem(StatusCode::UNAUTHORIZED, "unauthenticated");
    revoke(&admin, &own[0]).await.problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(list(&ann).await, Vec::<Value>::new());
    let audit = world.get(&admin, "/api/v1/audit?limit=1").await.json();
    let entry = &audit["items"][0];
    let said = format!("of ann, id {}", own[0]["id"].as_str().unwrap());
    assert_eq!(
        (&entry["actor"], &entry["action"], &entry["target"], &entry["detail"]),
        (&json!("admin"), &json!("token.revoke"), &json!("cli"), &json!(said))
    );
}

#[tokio::test]
async fn enrolment_tokens_are_an_administrators() {
    let world = World::new().await;
    let (ann, admin) = (world.sign_in("ann").await, world.sign_in("admin").await);
    let path = "/api/v1/enrolment-tokens";
    world.get(&ann, path).await.problem(StatusCode::FORBIDDEN, "role");
    let made = world.send(admin.request("POST", path, &json!({ "ttl_s": 600 }))).await.json();
    let listed = world.get(&admin, path).await;
    assert!(!listed.text.contains(made["token"].as_str().unwrap()), "{}", listed.text);
    let listed = listed.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "the used one is not among them");
    assert_eq!(listed["items"][0]["expires"], made["expires"]);
    assert_eq!(listed["items"][0]["id"], made["id"]);
    let one = format!("{path}/{}", listed["items"][0]["id"].as_str().unwrap());
    let refused = world.send(ann.request("DELETE", &one, &Value::Null)).await;
    refused.problem(StatusCode::FORBIDDEN, "role");
    let gone = world.send(admin.request("DELETE", &one, &Value::Null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    assert_eq!(world.get(&admin, path).await.json()["items"], json!([]));
}
