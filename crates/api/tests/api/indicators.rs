//! Indicators through the door: previewed, taken in, looked back for, changed, removed; each change
//! logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use metsuke_catalog::clock::now;
use metsuke_event::inventory::{Delta, Executable, Format, Item, Stage};
use metsuke_event::{Event, Process};
use serde_json::{Value, json};

use crate::world::{Browser, Reply, World, exec};

/// Asks until it is so; a look back on a busy machine takes its time.
async fn wait_for<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn post(world: &World, browser: &Browser, path: &str, document: &str) -> Reply {
    let mut request = browser.request("POST", path, &Value::Null);
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(header::CONTENT_TYPE, "application/octet-stream".parse().unwrap());
    *request.body_mut() = Body::from(document.to_owned());
    world.send(request).await
}

async fn looked(world: &World, browser: &Browser, import: &Value) -> Value {
    let path = format!("/api/v1/indicators/retro/{}", import["retro"]["id"].as_str().unwrap());
    wait_for(async || {
        let retro = world.get(browser, &path).await.json();
        (retro["state"] != "running").then_some(retro)
    })
    .await
}

fn ran(world: &World, seq: u64, hash: &str) -> Event {
    let mut event = exec(world.endpoint, seq);
    let process = Process { sha256: Some(hash.into()), ..Process::clone(&event.process) };
    event.process = Arc::new(process);
    event
}

fn file(path: &str, hash: &str) -> Item {
    Item::Executable(Executable {
        path: path.to_owned(),
        sha256: Some(hash.to_owned()),
        hash_missing: None,
        format: Format::Elf,
        size: 7,
        mode: 0o755,
        uid: 0,
        modified: now(),
        package: None,
        integrity: None,
    })
}

fn bundle(hashes: &[&str]) -> String {
    let objects: Vec<_> = hashes
        .iter()
        .enumerate()
        .map(|(n, hash)| {
            json!({
                "type": "indicator",
                "spec_version": "2.1",
                "id": format!("indicator--00000000-0000-4000-8000-{n:012}"),
                "created": "2026-01-01T00:00:00Z",
                "modified": "2026-01-01T00:00:00Z",
                "pattern": format!("[file:hashes.'SHA-256' = '{hash}']"),
                "pattern_type": "stix",
                "valid_from": "2026-01-01T00:00:00Z",
                "confidence": 85,
            })
        })
        .collect();
    json!({ "type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000001", "objects": objects })
        .to_string()
}

#[tokio::test]
async fn what_ran_and_what_only_lies_there_is_found_when_its_hash_comes() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let (seen, lies, good) = ("5a".repeat(32), "6b".repeat(32), "7c".repeat(32));
    *world.memory.events.lock().unwrap() =
        vec![ran(&world, 3, &seen), ran(&world, 2, &seen), ran(&world, 1, &good)];
    let delta = Delta {
        base: 0,
        generation: 1,
        stage: Stage::Whole,
        surveys: Vec::new(),
        set: vec![file("/opt/tool", &lies)],
        removed: Vec::new(),
    };
    world.catalog.take_inventory(now(), world.endpoint, &delta).await.unwrap();

    let allow = json!({ "value": good, "list": "allow", "source": "ours" });
    let made = world.send(ann.request("POST", "/api/v1/indicators", &allow)).await;
    assert_eq!((made.status, &made.json()["kind"]), (StatusCode::CREATED, &json!("sha256")));

    let bundle = bundle(&[&seen, &lies, &good]);
    let preview = post(&world, &ann, "/api/v1/indicators/preview", &bundle).await.json();
    assert_eq!((&preview["format"], &preview["total"]), (&json!("stix"), &json!(3)), "{preview}");
    assert_eq!((&preview["new"], &preview["known"]), (&json!(2), &json!(1)));
    assert_eq!((&preview["allowed"], &preview["conflicts"][0]["value"]), (&json!(1), &json!(good)));
    assert_eq!(preview["conflicts"][0]["code"], "known-good", "a name, for other languages");
    assert!(preview["conflicts"][0]["by"].is_string(), "{preview}");
    let path = "/api/v1/indicators/import?source=feed&list=block&document=june";
    let import = post(&world, &ann, path, &bundle).await;
    assert_eq!(import.status, StatusCode::OK, "{}", import.text);
    assert_eq!(import.json()["imported"], 3);
    let retro = looked(&world, &ann, &import.json()).await;
    assert_eq!((&retro["state"], &retro["sightings"]), (&json!("done"), &json!(2)), "{retro}");
    assert_eq!((&retro["progress"], &retro["hosts"]), (&json!(1.0), &json!(1)));

    let of = |hash: &str| format!("/api/v1/indicators?q={hash}&source=feed");
    let detail = async |hash: &str| {
        let list = world.get(&ann, &of(hash)).await.json();
        let id = list["items"][0]["id"].as_str().unwrap().to_owned();
        world.get(&ann, &format!("/api/v1/indicators/{id}")).await.json()
    };
    let ran = detail(&seen).await;
    assert_eq!(ran["earliest_seen"]["where"], "history", "{ran}");
    let earliest = world.memory.events.lock().unwrap()[..2].iter().map(|event| event.time).min();
    assert_eq!(ran["earliest_seen"]["time"], json!(earliest), "the earlier of the two");
    assert_eq!(
        (&ran["sighted"][0]["count"], &ran["sighted"][0]["host"]),
        (&json!(2), &json!("h1"))
    );
    assert!(ran["sighted"][0]["event"]["id"].is_string());
    assert_eq!((&ran["confidence"], &ran["list"]), (&json!(85), &json!("block")));
    assert_eq!(ran["provenance"][0]["document"], "june");
    assert_eq!(ran["provenance"][0]["actor"], "ann");
    let lay = detail(&lies).await;
    assert_eq!(lay["earliest_seen"]["where"], "inventory", "{lay}");
    assert_eq!(lay["sighted"][0]["path"], "/opt/tool");
    assert_eq!(detail(&good).await["sighted"], json!([]), "allow wins");
    let sightings = world.get(&ann, "/api/v1/sightings?limit=1").await.json();
    assert_eq!(sightings["items"].as_array().unwrap().len(), 1);
    assert!(sightings["next"].is_string());
    world.stop.cancel();
}

#[tokio::test]
async fn indicators_are_changed_and_removed_and_that_is_logged() {
    let world = World::new().await;
    let (ann, admin) = (world.sign_in("ann").await, world.sign_in("admin").await);
    let report = "It spoke to hxxps://evil[.]example/gate and 10.1.2.3.\n";
    let preview = post(&world, &ann, "/api/v1/indicators/preview?format=report", report).await;
    let preview = preview.json();
    let sample = preview["sample"].as_array().unwrap();
    assert!(
        sample.iter().any(|one| one["defanged_from"] == "hxxps://evil[.]example/gate"),
        "{preview}"
    );
    let conflict = &preview["conflicts"][0];
    assert_eq!(conflict["value"], "10.1.2.3", "a private address");
    assert_eq!((&conflict["code"], &conflict["by"]), (&json!("caution"), &json!("private")));

    let path = "/api/v1/indicators/import?format=text&source=feed&expires=2020-01-01T00:00:00Z";
    let import = post(&world, &ann, path, "a.example\nno value\nb.example\n").await.json();
    assert_eq!(
        (&import["imported"], &import["refused"][0]["place"]),
        (&json!(2), &json!("line 2"))
    );
    let refused = &import["refused"][0];
    assert_eq!((&refused["code"], &refused["values"]), (&json!("unknown"), &json!(["no value"])));
    let retro = looked(&world, &ann, &import).await;
    assert_eq!(retro["looked_from"], Value::Null, "what has expired is not looked for");
    let expired = world.get(&ann, "/api/v1/indicators?state=expired&kind=domain").await.json();
    let items = expired["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["expired"]), (2, &json!(true)));
    let one = format!("/api/v1/indicators/{}", items[0]["id"].as_str().unwrap());
    let patch = json!({ "expires": null, "list": "block", "note": "ours now", "confidence": 12 });
    let changed = world.send(ann.request("PATCH", &one, &patch)).await.json();
    assert_eq!(
        (&changed["expired"], &changed["list"]),
        (&json!(false), &json!("block")),
        "{changed}"
    );
    assert_eq!((&changed["note"], &changed["confidence"]), (&json!("ours now"), &json!(12)));
    let sources = world.get(&ann, "/api/v1/indicators/sources").await.json();
    assert_eq!(
        (&sources["items"][0]["count"], &sources["items"][0]["active"]),
        (&json!(2), &json!(1))
    );
    let gone = world.send(ann.request("DELETE", &one, &Value::Null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let path = "/api/v1/indicators/sources/feed";
    assert_eq!(world.send(ann.request("DELETE", path, &Value::Null)).await.status, 204);
    world
        .send(ann.request("DELETE", path, &Value::Null))
        .await
        .problem(StatusCode::NOT_FOUND, "not_found");
    let audit = world.get(&admin, "/api/v1/audit").await.json();
    let deeds: Vec<_> =
        audit["items"].as_array().unwrap().iter().take(4).map(|e| e["action"].clone()).collect();
    let expected =
        ["indicators.source_remove", "indicator.remove", "indicator.change", "indicators.import"];
    assert_eq!(deeds, expected);
    world.stop.cancel();
}

#[tokio::test]
async fn what_is_no_document_is_refused_with_the_reason() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let import = "/api/v1/indicators/import";
    for (path, document, why) in [
        (import.to_owned(), "a.example", "source"),
        (format!("{import}?source=f&format=pdf"), "a.example", "format"),
        (format!("{import}?source=f&confidence=101"), "a.example", "confidence"),
        (format!("{import}?source=f"), "", "empty"),
        (format!("{import}?source=f&format=text"), "nothing here", "no indicator"),
    ] {
        let refused = post(&world, &ann, &path, document).await;
        let refused = refused.problem(StatusCode::BAD_REQUEST, "invalid");
        assert!(refused["detail"].as_str().unwrap().contains(why), "{refused}");
    }
    let none = json!({ "value": "neither this nor that", "list": "watch", "source": "ours" });
    let refused = world.send(ann.request("POST", "/api/v1/indicators", &none)).await;
    refused.problem(StatusCode::BAD_REQUEST, "invalid");
    world.get(&ann, "/api/v1/indicators/77").await.problem(StatusCode::NOT_FOUND, "not_found");
    let nobody = world.send(crate::world::json_request("GET", "/api/v1/indicators", &Value::Null));
    assert_eq!(nobody.await.status, StatusCode::UNAUTHORIZED);
    world.stop.cancel();
}
