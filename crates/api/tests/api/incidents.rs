//! Incidents over HTTP: alerts say which they are in; people split, merge and take it back.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn alerts_of_one_storyline_are_one_incident_until_people_split_them() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    world.raise(1, 60).await;
    world.raise(2, 80).await;
    let page = world.get(&browser, "/api/v1/incidents").await.json();
    assert_eq!((page["total"].as_u64(), page["items"][0]["alerts"].as_u64()), (Some(1), Some(2)));
    let incident = page["items"][0].clone();
    let id = incident["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&incident["score"], &incident["level"], &incident["status"]),
        (&json!(80), &json!("high"), &json!("new"))
    );
    assert_eq!(incident["why"][0]["kind"], "storyline");
    assert_eq!(incident["why"][0]["alerts"].as_array().unwrap().len(), 2);
    let alerts = world.get(&browser, "/api/v1/alerts").await.json();
    for alert in alerts["items"].as_array().unwrap() {
        assert_eq!(alert["incident"], id.as_str());
    }

    let other =
        alerts["items"].as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap());
    let other = other.filter(|alert| *alert != id).collect::<Vec<_>>();
    let post =
        async |path: String, body: Value| world.send(browser.request("POST", &path, &body)).await;
    let split = post(format!("/api/v1/incidents/{id}/split"), json!({ "alerts": other })).await;
    assert_eq!(split.status, StatusCode::OK, "{}", split.text);
    assert_eq!(split.json()["items"].as_array().unwrap().len(), 2);
    let detail = world.get(&browser, &format!("/api/v1/incidents/{id}")).await.json();
    assert_eq!(detail["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(detail["history"][0]["actor"], "admin");
    let merged =
        post("/api/v1/incidents/merge".into(), json!({ "incidents": [id, other[0]] })).await;
    assert_eq!(merged.json()["alerts"], 2, "{}", merged.text);
    let undone = post(format!("/api/v1/incidents/{id}/undo"), Value::Null).await;
    assert_eq!(undone.json()["items"].as_array().unwrap().len(), 2, "{}", undone.text);
    let undone = post(format!("/api/v1/incidents/{id}/undo"), Value::Null).await;
    assert_eq!(undone.json()["items"].as_array().unwrap().len(), 1, "{}", undone.text);
    let nothing = post(format!("/api/v1/incidents/{id}/undo"), Value::Null).await;
    nothing.problem(StatusCode::CONFLICT, "conflict");
    // Who asks for the alert's own id finds the incident, too.
    let found = world.get(&browser, &format!("/api/v1/incidents/{}", other[0])).await.json();
    assert_eq!(found["id"], id.as_str());
}

#[tokio::test]
async fn incidents_page_and_filter_and_refuse_what_is_none() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    world.raise(1, 60).await;
    world.raise(2, 80).await;
    let all = ["1", "2"].map(|number| format!("{number:0>32}"));
    let split = format!("/api/v1/incidents/{}/split", all[0]);
    let whole = world.send(browser.request("POST", &split, &json!({ "alerts": all }))).await;
    assert_eq!(whole.status, StatusCode::BAD_REQUEST, "{}", whole.text);
    world.send(browser.request("POST", &split, &json!({ "alerts": [all[1]] }))).await;
    let first = world.get(&browser, "/api/v1/incidents?limit=1").await.json();
    let next = first["next"].as_str().unwrap();
    let second =
        world.get(&browser, &format!("/api/v1/incidents?limit=1&cursor={next}")).await.json();
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    assert!(second["next"].is_null());
    let closed = world.get(&browser, "/api/v1/incidents?status=closed").await.json();
    assert_eq!(closed["total"], 0);
    world
        .get(&browser, "/api/v1/incidents?status=odd")
        .await
        .problem(StatusCode::BAD_REQUEST, "invalid");
    world.get(&browser, "/api/v1/incidents/5").await.problem(StatusCode::NOT_FOUND, "not_found");
}
