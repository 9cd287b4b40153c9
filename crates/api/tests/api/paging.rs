//! Pages: what comes between two of them neither doubles an item nor hides one.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use metsuke_event::EventId;
use serde_json::Value;

use crate::world::{Browser, World, exec};

/// Every item of a list, page by page; `between` runs after each page.
async fn pages(
    world: &World,
    browser: &Browser,
    path: &str,
    mut between: impl AsyncFnMut(),
) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(browser, &format!("{path}&cursor={cursor}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let page = page.json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        next.clone_into(&mut cursor);
        between().await;
        assert!(items.len() < 100, "the list does not end");
    }
}

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn alerts_raised_between_pages_neither_double_nor_hide_one() {
    for sort in ["score", "created", "last"] {
        let world = World::new().await;
        for number in 1..=6 {
            world.raise(number, 50).await;
        }
        let browser = world.sign_in("ann").await;
        let path = format!("/api/v1/alerts?limit=2&sort={sort}");
        let mut new = 100;
        let items = pages(&world, &browser, &path, async || {
            new += 1;
            // Above all the others, whatever the order.
            world.raise(new, 99).await;
        });
        let seen = ids(&items.await);
        let mut expected: Vec<_> = (1..=6).map(|number: u128| format!("{number:032x}")).collect();
        expected.reverse();
        assert_eq!(seen, expected, "by {sort}");
        assert_eq!(new, 102, "two came between three pages");
    }
}

#[tokio::test]
async fn activities_that_come_between_pages_of_a_timeline_double_none() {
    let world = World::new().await;
    world.raise(1, 60).await;
    let browser = world.sign_in("ann").await;
    let events = &world.memory.events;
    // Two at the same time: the number decides.
    let mut twin = exec(world.endpoint, 4);
    twin.time = events.lock().unwrap()[2].time;
    events.lock().unwrap().push(twin);
    let path = format!("/api/v1/alerts/{:032x}/timeline?limit=1", 1);
    let before: Vec<_> = events.lock().unwrap().iter().map(|event| event.id.to_string()).collect();
    let mut late = 10;
    let items = pages(&world, &browser, &path, async || {
        late += 1;
        // Earlier than everything: it moves the others, as seen from the start.
        let mut event = exec(world.endpoint, late);
        event.id = EventId { seq: late, ..event.id };
        event.time = event.time.plus_nanos(-3_600_000_000_000);
        events.lock().unwrap().insert(0, event);
    });
    assert_eq!(ids(&items.await), before);
    assert_eq!(late, 13);
}

#[tokio::test]
async fn a_timeline_that_was_cut_says_so() {
    let world = World::new().await;
    world.raise(1, 60).await;
    let browser = world.sign_in("ann").await;
    let path = format!("/api/v1/alerts/{:032x}/timeline", 1);
    for cut in [false, true] {
        *world.memory.truncated.lock().unwrap() = cut;
        assert_eq!(world.get(&browser, &path).await.json()["truncated"], cut);
    }
}

#[tokio::test]
async fn hits_and_the_audit_log_page_to_their_end() {
    let world = World::new().await;
    for number in 1..=2 {
        world.raise(number, 60).await;
    }
    let browser = world.sign_in("admin").await;
    let whole = world.get(&browser, "/api/v1/audit?limit=500").await.json()["items"].clone();
    let paged = pages(&world, &browser, "/api/v1/audit?limit=1", async || ()).await;
    assert_eq!(Value::from(paged), whole);
    let path = "/api/v1/techniques/T1059.004/hits?";
    let whole = world.get(&browser, path).await.json()["items"].clone();
    let paged = pages(&world, &browser, &format!("{path}limit=1"), async || ()).await;
    assert_eq!(Value::from(paged), whole);
}

#[tokio::test]
async fn tokens_page_to_their_end() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let account = world.catalog.account("admin").await.unwrap().unwrap();
    let (now, day) = (metsuke_catalog::clock::now(), 86_400 * 1_000_000_000);
    // Some made at the same moment.
    let mut made = BTreeSet::new();
    let mut open = BTreeSet::new();
    for moment in [0, 0, 0, 1, 1] {
        let now = now.plus_nanos(moment);
        made.insert(world.catalog.create_api_token(now, &account, "x", day).await.unwrap().id);
        open.insert(world.catalog.create_enrolment_token(now, "x", day).await.unwrap().id);
    }
    for (path, made) in [("/api/v1/tokens", made), ("/api/v1/enrolment-tokens", open)] {
        let whole = world.get(&browser, path).await.json();
        assert_eq!(whole["next"], Value::Null, "{path}");
        let paged = pages(&world, &browser, &format!("{path}?limit=2"), async || ()).await;
        assert_eq!(Value::from(paged.clone()), whole["items"], "{path}");
        assert_eq!(paged.len(), made.len(), "{path}");
        assert_eq!(ids(&paged).into_iter().collect::<BTreeSet<_>>(), made, "{path}");
    }
}

#[tokio::test]
async fn a_bad_cursor_says_what_to_do() {
    let world = World::new().await;
    for number in 1..=3 {
        world.raise(number, 60).await;
    }
    let browser = world.sign_in("admin").await;
    let page = world.get(&browser, "/api/v1/alerts?limit=1&sort=score").await.json();
    let by_score = page["next"].as_str().unwrap();
    let audit = world.get(&browser, "/api/v1/audit?limit=1").await.json();
    let of_audit = audit["next"].as_str().unwrap();
    let timeline = format!("/api/v1/alerts/{:032x}/timeline", 1);
    for (path, cursor) in [
        ("/api/v1/alerts?sort=created", by_score),
        ("/api/v1/alerts?sort=score", "2"),
        ("/api/v1/alerts?sort=score", "zz"),
        ("/api/v1/alerts?sort=score", &hex::encode("alerts/score.1.2")),
        (
            "/api/v1/alerts?sort=score",
            &hex::encode("alerts/score.1.00000000000000000000000000000001"),
        ),
        (&format!("{timeline}?limit=1"), by_score),
        ("/api/v1/responses?limit=1", by_score),
        ("/api/v1/audit?limit=1", by_score),
        ("/api/v1/techniques/T1059/hits?limit=1", by_score),
        // A number too, yet a place in another list.
        ("/api/v1/techniques/T1059/hits?limit=1", of_audit),
    ] {
        let reply = world.get(&browser, &format!("{path}&cursor={cursor}")).await;
        let problem = reply.problem(StatusCode::BAD_REQUEST, "invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("leave it out to start anew"), "{path}: {detail}");
    }
}
