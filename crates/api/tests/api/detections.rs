//! Detections: the list and how each does, documents put and refused, tuning, groups.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Browser, Reply, World};

const OWN: &str = "title: Mine\nid: mine/1\nlevel: low\ntags: [attack.t1059]\nlogsource: {product: \
                   linux}\ndetection:\n  s:\n    Image|endswith: /x\n  condition: s\n";
/// Its id in a path.
const MINE: &str = "/api/v1/detections/mine%2F1";

async fn send(
    world: &World,
    browser: &Browser,
    (method, path): (&str, &str),
    body: Value,
) -> Reply {
    world.send(browser.request(method, path, &body)).await
}

#[tokio::test]
async fn the_list_says_how_each_does() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    world.raise(1, 60).await;
    let patch = json!({ "finding": "false_positive", "expected_version": 1 });
    let reply = world.send(browser.request("PATCH", &alert(1), &patch)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(world.library.in_force().findings["filter-1"].wrong, 1, "it weighs at once");
    let list = world.get(&browser, "/api/v1/detections").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let filter = &list["items"][0];
    assert_eq!((&filter["id"], &filter["origin"]), (&json!("filter-1"), &json!("shipped")));
    assert_eq!((&filter["enabled"], &filter["level_in_force"]), (&json!(true), &json!("medium")));
    let stats = json!({
        "hits_24h": 2, "hits_7d": 2, "hosts_7d": 1, "excepted_7d": 0, "alerts_7d": 1,
        "findings": { "true": 0, "benign": 0, "false": 1 }, "noisy": false, "noisy_why": null,
    });
    assert_eq!(filter["stats"], stats);
    let one = world.get(&browser, "/api/v1/detections/filter-1").await.json();
    assert!(one["document"].as_str().unwrap().contains("id: filter-1"));
    assert_eq!(one["tests"], json!([{ "name": "seen.json", "kind": "fires" }]));
    assert_eq!(one["per_day"].as_array().unwrap().len(), 30);
    assert_eq!(one["stats"], stats);
    world
        .get(&browser, "/api/v1/detections/gone")
        .await
        .problem(StatusCode::NOT_FOUND, "not_found");
}

fn alert(number: u128) -> String {
    format!("/api/v1/alerts/{}", metsuke_event::AlertId::from_u128(number))
}

#[tokio::test]
async fn a_document_is_checked_put_and_removed() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let wrong = json!({ "text": OWN.replace("endswith", "sideways") });
    let check = ("POST", "/api/v1/detections/check");
    let answer = send(&world, &browser, check, wrong.clone()).await.json();
    assert_eq!(answer["ok"], false);
    let problem = &answer["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["column"], &problem["length"]),
        (&json!(8), &json!(11), &json!(8))
    );
    assert_eq!(problem["severity"], "error");
    let refused = send(&world, &browser, ("PUT", MINE), wrong).await;
    let refused = refused.problem(StatusCode::BAD_REQUEST, "invalid");
    assert!(refused["detail"].as_str().unwrap().starts_with("8:11: "), "{refused}");

    let good = json!({ "text": OWN });
    let answer = send(&world, &browser, check, good.clone()).await.json();
    assert_eq!((&answer["ok"], &answer["detection"]["id"]), (&json!(true), &json!("mine/1")));
    let version = world.get(&browser, "/api/v1/detections").await.json()["content_version"].clone();
    let put = send(&world, &browser, ("PUT", MINE), good).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    assert_eq!(put.json()["origin"], "own");
    let after = world.get(&browser, "/api/v1/detections").await.json();
    assert_ne!(after["content_version"], version);
    assert_eq!(after["items"].as_array().unwrap().len(), 3);
    let shipped = json!({ "text": OWN.replace("mine/1", "filter-1") });
    let refused = send(&world, &browser, ("PUT", "/api/v1/detections/filter-1"), shipped).await;
    refused.problem(StatusCode::CONFLICT, "conflict");
    let refused =
        send(&world, &browser, ("DELETE", "/api/v1/detections/filter-1"), Value::Null).await;
    refused.problem(StatusCode::CONFLICT, "conflict");
    let gone = send(&world, &browser, ("DELETE", MINE), Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let gone = send(&world, &browser, ("DELETE", MINE), Value::Null).await;
    gone.problem(StatusCode::NOT_FOUND, "not_found");
    let audit = world.catalog.audit_entries(None, 10).await.unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].actor.as_str()), ("detection.remove", "admin"));
}

#[tokio::test]
async fn a_large_document_is_taken_and_one_too_large_is_not() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let filled = |bytes: usize| json!({ "text": format!("{OWN}# {}\n", "x".repeat(bytes)) });
    let put = send(&world, &browser, ("PUT", MINE), filled(200_000)).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    let put = send(&world, &browser, ("PUT", MINE), filled(600_000)).await;
    put.problem(StatusCode::BAD_REQUEST, "invalid");
}

#[tokio::test]
async fn tuning_holds_everywhere_or_for_a_group_and_needs_a_reason() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let tune = ("PUT", "/api/v1/detections/filter-1/tuning");
    let silent = json!({ "group": null, "enabled": false, "reason": " " });
    send(&world, &browser, tune, silent).await.problem(StatusCode::BAD_REQUEST, "invalid");
    let off = json!({ "group": null, "enabled": false, "reason": "too loud" });
    let item = send(&world, &browser, tune, off).await.json();
    assert_eq!(
        (&item["enabled"], &item["tuning"][0]["reason"]),
        (&json!(false), &json!("too loud"))
    );
    let level = json!({ "group": null, "level": "high", "reason": "here it is rare" });
    let item = send(&world, &browser, tune, level).await.json();
    assert_eq!(item["enabled"], false, "what is left out stays");
    assert_eq!((&item["level"], &item["level_in_force"]), (&json!("medium"), &json!("high")));
    let back = json!({ "group": null, "enabled": null, "level": null, "reason": "as it was" });
    let item = send(&world, &browser, tune, back).await.json();
    assert_eq!((&item["enabled"], &item["tuning"]), (&json!(true), &json!([])));

    let endpoint = format!("/api/v1/endpoints/{}/group", world.endpoint);
    let moved = send(&world, &browser, ("PUT", &endpoint), json!({ "name": "servers" })).await;
    assert_eq!(moved.status, StatusCode::NO_CONTENT, "{}", moved.text);
    let groups = world.get(&browser, "/api/v1/groups").await.json();
    let expected = json!([
        { "name": "default", "endpoints": 0, "importance": 1.0 },
        { "name": "servers", "endpoints": 1, "importance": 1.0 },
    ]);
    assert_eq!(groups["items"], expected);
    let nameless = send(&world, &browser, ("PUT", &endpoint), json!({ "name": "" })).await;
    nameless.problem(StatusCode::BAD_REQUEST, "invalid");
    let gone = ("PUT", "/api/v1/detections/gone/tuning");
    let reply = send(&world, &browser, gone, json!({ "group": null, "reason": "r" })).await;
    reply.problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn a_collection_is_imported_as_far_as_it_compiles_after_a_preview() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let other = OWN.replace("id: mine/1", "id: theirs") + "author: A. N.\n";
    let wrong = other.replace("theirs", "wrong").replace("endswith", "sideways");
    let mut request = json!({
        "documents": [
            { "path": "rules/a.yml", "text": other },
            { "path": "rules/b.yml", "text": wrong },
            { "path": "rules/c.yml", "text": OWN.replace("id: mine/1", "id: filter-1") },
        ],
        "licence": "DRL 1.1",
        "preview": true,
    });
    let import = ("POST", "/api/v1/detections/import");
    let before = world.library.in_force();
    let preview = send(&world, &browser, import, request.clone()).await.json();
    assert!(std::sync::Arc::ptr_eq(&before, &world.library.in_force()), "nothing is changed");
    request["preview"] = json!(false);
    let done = send(&world, &browser, import, request.clone()).await.json();
    assert_eq!((&done["taken"], &done["refused"]), (&preview["taken"], &preview["refused"]));
    let taken = &done["taken"][0];
    assert_eq!((&taken["id"], &taken["path"]), (&json!("theirs"), &json!("rules/a.yml")), "{done}");
    assert_eq!((&taken["author"], &taken["licence"]), (&json!("A. N."), &json!("DRL 1.1")));
    let places: Vec<_> =
        done["refused"].as_array().unwrap().iter().map(|one| &one["path"]).collect();
    assert_eq!(places, ["rules/c.yml", "rules/b.yml"], "{done}");
    let problem = &done["refused"][1]["problem"];
    assert!(problem["message"].as_str().unwrap().contains("sideways"), "{problem}");
    assert!(problem["line"].as_u64() > Some(1), "{problem}");
    let detail = world.get(&browser, "/api/v1/detections/theirs").await.json();
    assert_eq!((&detail["origin"], &detail["licence"]), (&json!("imported"), &json!("DRL 1.1")));
    request["documents"] = json!([]);
    send(&world, &browser, import, request).await.problem(StatusCode::BAD_REQUEST, "invalid");

    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (path, text) in
        [("rules/a.yaml", other.replace("theirs", "zipped")), ("LICENSE", "x".into())]
    {
        zip.start_file(path, options).unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let zipped = async |bytes: Vec<u8>| {
        let path = "/api/v1/detections/import/zip?licence=MIT";
        let mut request = browser.request("POST", path, &Value::Null);
        request.headers_mut().insert("content-type", "application/zip".parse().unwrap());
        *request.body_mut() = axum::body::Body::from(bytes);
        world.send(request).await
    };
    let done = zipped(bytes.clone()).await.json();
    assert_eq!(
        (&done["taken"][0]["id"], &done["taken"][0]["licence"]),
        (&json!("zipped"), &json!("MIT"))
    );
    assert_eq!(done["refused"], json!([]));
    let cut = bytes[..bytes.len() / 2].to_vec();
    zipped(cut).await.problem(StatusCode::BAD_REQUEST, "invalid");
}

#[tokio::test]
async fn a_groups_importance_is_said_and_shown() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let path = "/api/v1/groups/servers/importance";
    let say = async |importance: f64| {
        send(&world, &browser, ("PUT", path), json!({ "importance": importance })).await
    };
    say(2.0).await.problem(StatusCode::NOT_FOUND, "not_found");
    world.library.set_group("admin", world.endpoint, "servers").await.unwrap();
    for wrong in [0.0, -1.0, 100.0] {
        say(wrong).await.problem(StatusCode::BAD_REQUEST, "invalid");
    }
    assert_eq!(say(2.0).await.status, StatusCode::NO_CONTENT);
    let groups = world.get(&browser, "/api/v1/groups").await.json();
    let worth =
        |group: usize| (&groups["items"][group]["name"], &groups["items"][group]["importance"]);
    assert_eq!(worth(0), (&json!("default"), &json!(1.0)));
    assert_eq!(worth(1), (&json!("servers"), &json!(2.0)));
}

#[tokio::test]
async fn analysts_change_nothing_of_what_is_detected() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let before = world.library.in_force();
    let group = format!("/api/v1/endpoints/{}/group", world.endpoint);
    let off = json!({ "group": null, "enabled": false, "reason": "too loud" });
    let exception = json!({
        "title": "t", "detections": ["filter-1"], "reason": "r", "expires": "2099-01-01T00:00:00Z",
    });
    for (place, body) in [
        (("PUT", MINE), json!({ "text": OWN })),
        (("DELETE", "/api/v1/detections/filter-1"), Value::Null),
        (("PUT", "/api/v1/detections/filter-1/tuning"), off),
        (("PUT", group.as_str()), json!({ "name": "servers" })),
        (("POST", "/api/v1/exceptions"), exception),
        (("DELETE", "/api/v1/exceptions/e1"), Value::Null),
        (("PUT", "/api/v1/groups/servers/importance"), json!({ "importance": 2.0 })),
        (("POST", "/api/v1/detections/import"), json!({ "documents": [], "preview": true })),
    ] {
        send(&world, &browser, place, body).await.problem(StatusCode::FORBIDDEN, "role");
    }
    let after = world.library.in_force();
    assert!(std::sync::Arc::ptr_eq(&before, &after), "nothing is changed");
    let check = ("POST", "/api/v1/detections/check");
    let answer = send(&world, &browser, check, json!({ "text": OWN })).await;
    assert_eq!(answer.status, StatusCode::OK, "looking stays free: {}", answer.text);
}
