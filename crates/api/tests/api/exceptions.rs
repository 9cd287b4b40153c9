//! Exceptions with their preview, and back-tests, over activities that the stream detected on.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use metsuke_catalog::Detected;
use metsuke_catalog::clock::now;
use metsuke_detect::Engine;
use metsuke_event::Event;
use serde_json::{Value, json};

use crate::world::{Browser, World, exec};

/// Ten execs of which four are of shells, stored with what the engine in force finds on them.
async fn history(world: &World) -> usize {
    let events: Vec<Event> = (1..=10)
        .map(|seq| {
            let mut event = exec(world.endpoint, seq);
            let mut process = (*event.process).clone();
            process.exe = Some(if seq % 3 == 1 { "/bin/sh" } else { "/bin/true" }.into());
            process.cmd_line = Some(format!("run {seq}").into());
            event.process = Arc::new(process);
            event
        })
        .collect();
    let force = world.library.in_force();
    let mut engine = Engine::new(Arc::clone(&force.rules));
    let hits: Vec<_> = events.iter().flat_map(|event| engine.observe(event).hits).collect();
    let count = hits.len();
    let found = Detected { hits, ..Detected::default() };
    world.catalog.store_detected(now(), found).await.unwrap();
    *world.memory.events.lock().unwrap() = events;
    count
}

async fn ended(world: &World, browser: &Browser, id: &Value) -> Value {
    let path = format!("/api/v1/backtests/{}", id.as_str().unwrap());
    let told = async {
        loop {
            let told = world.get(browser, &path).await.json();
            if told["state"] != "running" {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("it ends")
}

/// A time to come.
fn in_days(days: i64) -> String {
    now().plus_nanos(days * 86_400_000_000_000).to_string()
}

#[tokio::test]
async fn what_an_exception_hides_from_a_model_is_previewed() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    world.raise(7, 80).await;
    let preview = async |condition: &str| {
        let scope = json!({ "detections": ["model-1"], "condition": condition });
        world.send(browser.request("POST", "/api/v1/exceptions/preview", &scope)).await.json()
    };
    let told = preview("").await;
    assert_eq!((&told["hits_hidden"], &told["hits_looked_at"]), (&json!(2), &json!(2)), "{told}");
    let touched = &told["alerts_touched"][0];
    assert_eq!((&touched["score_before"], &touched["score_after"]), (&json!(80), &json!(0)));
    assert_eq!((&told["hosts"][0]["count"], &told["share"]), (&json!(2), &Value::Null));
    let told = preview("CommandLine: something else").await;
    assert_eq!((&told["hits_hidden"], &told["hits_looked_at"]), (&json!(0), &json!(2)), "{told}");
    assert_eq!(told["alerts_touched"], json!([]));
}

#[tokio::test]
async fn an_exception_that_meets_nearly_everything_has_to_be_meant() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let scope = |condition: &str| json!({ "detections": [], "condition": condition });
    let preview = async |condition: &str| {
        let request = browser.request("POST", "/api/v1/exceptions/preview", &scope(condition));
        let told = world.send(request).await.json();
        (told["share"].clone(), told["broad"].clone())
    };
    let make = async |condition: &str, confirmed: bool| {
        let mut request = scope(condition);
        for (field, value) in [("title", "t"), ("reason", "r"), ("expires", &in_days(1))] {
            request[field] = json!(value);
        }
        request["confirmed"] = json!(confirmed);
        world.send(browser.request("POST", "/api/v1/exceptions", &request)).await
    };
    // Without history.
    assert_eq!(preview("Image: '*'").await, (json!(1.0), json!(true)));
    assert_eq!(preview("Image|contains: '/'").await, (json!(1.0), json!(true)));
    assert_eq!(preview("Image: /bin/sh").await, (json!(0.0), json!(false)));
    make("Image: '*'", false).await.problem(StatusCode::CONFLICT, "too_broad");
    assert!(world.library.in_force().exceptions.is_empty());
    // With it: a server where nearly all there is comes from one program.
    let mut events: Vec<Event> = (1..=200).map(|seq| exec(world.endpoint, seq)).collect();
    for (event, number) in events.iter_mut().zip(0..) {
        let mut process = (*event.process).clone();
        process.exe = Some(if number % 4 == 0 { "/bin/rare" } else { "/bin/often" }.into());
        event.process = Arc::new(process);
        // Oldest first, within each of the hours that are looked at.
        event.time = now().plus_nanos(-60_000_000_000 - (200 - number) * 1_000_000);
    }
    *world.memory.events.lock().unwrap() = events;
    world.memory.pages_of(100);
    assert_eq!(preview("Image: /bin/often").await, (json!(0.75), json!(true)));
    assert_eq!(preview("Image: /bin/sh").await, (json!(0.0), json!(false)));
    let refused = make("Image: /bin/often", false).await;
    let problem = refused.problem(StatusCode::CONFLICT, "too_broad");
    assert!(problem["detail"].as_str().unwrap().contains("75 of 100"), "{problem}");
    assert_eq!(make("Image: /bin/sh", false).await.status, StatusCode::CREATED);
    assert_eq!(make("Image: /bin/often", true).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn no_more_is_tried_than_may_be_at_once() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let mut turns = Vec::new();
    for _ in 0..metsuke_control::library::TRIALS_AT_ONCE {
        turns.push(world.library.turn().await.unwrap());
    }
    let check = json!({ "text": "title: t" });
    let preview = json!({ "detections": ["filter-1"] });
    let backtest = json!({ "id": "filter-1", "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-02T00:00:00Z" });
    let asked = [
        ("/api/v1/detections/check", check),
        ("/api/v1/exceptions/preview", preview),
        ("/api/v1/backtests", backtest),
    ];
    for (path, body) in &asked {
        let answer = world.send(browser.request("POST", path, body)).await;
        answer.problem(StatusCode::SERVICE_UNAVAILABLE, "busy");
    }
    turns.pop();
    for (path, body) in &asked {
        let answer = world.send(browser.request("POST", path, body)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_preview_hides_what_the_engine_would_hide_and_the_exception_is_kept() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    assert_eq!(history(&world).await, 4);
    let mut scope = json!({
        "detections": ["filter-1"], "groups": [], "endpoints": [], "condition": "CommandLine: run 4",
    });
    let preview = async |scope: &Value| {
        world.send(browser.request("POST", "/api/v1/exceptions/preview", scope)).await.json()
    };
    let told = preview(&scope).await;
    assert_eq!((&told["hits_hidden"], &told["hits_looked_at"]), (&json!(1), &json!(4)), "{told}");
    assert_eq!((&told["complete"], &told["hosts"][0]["host"]), (&json!(true), &json!("h1")));
    assert_eq!(told["examples"].as_array().unwrap().len(), 1);
    scope["detections"] = json!(["filter-1", "filter-1"]);
    assert_eq!(preview(&scope).await["hits_looked_at"], 4, "said twice, it is the same");
    scope["detections"] = json!(["filter-1"]);
    scope["groups"] = json!(["elsewhere"]);
    assert!(preview(&scope).await["problems"][0]["message"].to_string().contains("elsewhere"));
    scope["groups"] = json!(["default"]);
    assert_eq!(preview(&scope).await["hits_hidden"], 1);
    scope["groups"] = json!([]);
    scope["condition"] = json!("CommandLine|sideways: x");
    let told = preview(&scope).await;
    assert_eq!((&told["problems"][0]["line"], &told["hits_looked_at"]), (&json!(1), &json!(0)));

    let mut request = json!({
        "title": "The nightly run", "detections": ["filter-1"], "groups": [], "endpoints": [],
        "condition": "CommandLine: run 4", "reason": "known", "expires": in_days(30),
    });
    let post = async |request: &Value| {
        world.send(browser.request("POST", "/api/v1/exceptions", request)).await
    };
    let made = post(&request).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    assert_eq!(
        (&made["owner"], &made["expired"], &made["hidden"]["total"]),
        (&json!("admin"), &json!(false), &json!(0))
    );
    assert_eq!(world.library.in_force().exceptions.len(), 1, "in force at once");
    for (field, value) in [
        ("reason", ""),
        ("title", " "),
        ("expires", "2001-01-01T00:00:00Z"),
        ("expires", &in_days(400)),
    ] {
        let good = std::mem::replace(&mut request[field], json!(value));
        post(&request).await.problem(StatusCode::BAD_REQUEST, "invalid");
        request[field] = good;
    }
    let list = world.get(&browser, "/api/v1/exceptions").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["hidden"]["per_day"].as_array().unwrap().len(), 14);
    let path = format!("/api/v1/exceptions/{}", made["id"].as_str().unwrap());
    let gone = world.send(browser.request("DELETE", &path, &Value::Null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert!(world.library.in_force().exceptions.is_empty());
    let gone = world.send(browser.request("DELETE", &path, &Value::Null)).await;
    gone.problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn a_back_test_finds_the_hits_that_the_stream_found() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let found = history(&world).await;
    let begin = async |what: Value| {
        let mut request = json!({ "from": now().plus_nanos(-3_600_000_000_000).to_string(),
            "to": now().plus_nanos(1_000_000_000).to_string() });
        request.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        world.send(browser.request("POST", "/api/v1/backtests", &request)).await
    };
    let begun = begin(json!({ "id": "filter-1" })).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.text);
    let told = ended(&world, &browser, &begun.json()["id"]).await;
    assert_eq!(
        (&told["state"], &told["progress"], &told["error"]),
        (&json!("done"), &json!(1.0), &Value::Null)
    );
    assert_eq!((&told["events"], &told["hits"]), (&json!(10), &json!(found)), "{told}");
    let stored = world.get(&browser, "/api/v1/techniques/T1059.004/hits").await.json();
    let events = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        let mut events: Vec<_> = list.map(|hit| hit["event"].to_string()).collect();
        events.sort_unstable();
        events
    };
    assert_eq!(events(&told["examples"]), events(&stored["items"]), "the very same");
    assert_eq!(told["hosts"][0]["count"], found);
    // Ten activities of one host within a second; an hour is the least.
    assert_eq!(
        told["noise_per_host_day"],
        json!(24.0 * f64::from(u32::try_from(found).unwrap())),
        "{told}"
    );
    assert!(told["first"].as_str() < told["last"].as_str(), "{told}");

    let text = "title: t\nid: tried\nlevel: low\nlogsource: {product: linux}\ndetection:\n  s:\n    \
                Image|endswith: /true\n  condition: s\n";
    let begun = begin(json!({ "text": text })).await.json();
    let told = ended(&world, &browser, &begun["id"]).await;
    assert_eq!(told["hits"], 10 - found, "of a document that is not in force");
    assert!(world.library.in_force().meta("tried").is_none(), "nothing is changed");
    begin(json!({ "id": "gone" })).await.problem(StatusCode::NOT_FOUND, "not_found");
    let on_indicators = "title: t\nid: i\nlevel: low\nindicator-match: {}\n";
    let refused = begin(json!({ "text": on_indicators })).await;
    let problem = refused.problem(StatusCode::BAD_REQUEST, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("sightings"), "{problem}");
    begin(json!({ "text": "title: t" })).await.problem(StatusCode::BAD_REQUEST, "invalid");
    begin(json!({})).await.problem(StatusCode::BAD_REQUEST, "invalid");
    let path = format!("/api/v1/backtests/{}", begun["id"].as_str().unwrap());
    let gone = world.send(browser.request("DELETE", &path, &Value::Null)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    world.get(&browser, &path).await.problem(StatusCode::NOT_FOUND, "not_found");
    let audit = world.catalog.audit_entries(None, 10).await.unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].actor.as_str()), ("backtest.cancel", "ann"));
    assert_eq!(audit[1].action, "backtest.begin");
}

#[tokio::test]
async fn a_back_test_is_ended_by_who_began_it_or_an_administrator() {
    let world = World::new().await;
    let (ann, admin) = (world.sign_in("ann").await, world.sign_in("admin").await);
    history(&world).await;
    let request = json!({ "id": "filter-1", "from": now().plus_nanos(-3_600_000_000_000).to_string(),
        "to": now().plus_nanos(1_000_000_000).to_string() });
    let begin = async |browser: &Browser| {
        let begun = world.send(browser.request("POST", "/api/v1/backtests", &request)).await.json();
        ended(&world, browser, &begun["id"]).await;
        format!("/api/v1/backtests/{}", begun["id"].as_str().unwrap())
    };
    let cancel = async |browser: &Browser, path: &str| {
        world.send(browser.request("DELETE", path, &Value::Null)).await
    };
    let path = begin(&admin).await;
    cancel(&ann, &path).await.problem(StatusCode::FORBIDDEN, "role");
    assert_eq!(world.get(&ann, &path).await.status, StatusCode::OK, "it is still there");
    let path = begin(&ann).await;
    assert_eq!(cancel(&admin, &path).await.status, StatusCode::NO_CONTENT);
}
