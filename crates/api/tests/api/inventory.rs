//! Inventories: what is on a host, who has a file, and for whom nobody can say.

use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use metsuke_event::inventory::{
    Delta, Executable, Format, Integrity, Item, ItemKind, LeftOut, Package, Password, Stage,
    Survey, User,
};
use metsuke_event::{EndpointId, Timestamp};
use serde_json::{Value, json};

use crate::world::World;

fn file(path: &str, hash: char) -> Item {
    Item::Executable(Executable {
        path: path.to_owned(),
        sha256: Some(hash.to_string().repeat(64)),
        hash_missing: None,
        format: Format::Elf,
        size: 7,
        mode: 0o755,
        uid: 0,
        modified: Timestamp::from_millis(1_790_000_000_000),
        package: Some("coreutils".to_owned()),
        integrity: Some(Integrity::Modified),
    })
}

fn survey(taken: Option<Timestamp>, left_out: Vec<LeftOut>) -> Survey {
    let places = vec!["/usr/bin".to_owned()];
    Survey { kind: ItemKind::Executable, taken, items: 1, places, left_out, missing: None }
}

async fn take(world: &World, id: EndpointId, stage: Stage, surveys: Vec<Survey>, set: Vec<Item>) {
    let held = world.catalog.take_inventory(now(), id, &delta(0, stage, vec![], vec![])).await;
    let base = held.unwrap();
    let delta = Delta { surveys, ..delta(base, Stage::Change, set, vec![]) };
    assert_eq!(world.catalog.take_inventory(now(), id, &delta).await.unwrap(), base + 1);
}

fn delta(base: u64, stage: Stage, set: Vec<Item>, removed: Vec<(ItemKind, String)>) -> Delta {
    Delta { base, generation: base + 1, stage, surveys: Vec::new(), set, removed }
}

async fn enrol(world: &World, host: &str) -> EndpointId {
    let token = world.catalog.create_enrolment_token(now(), "server", 1_000_000_000_000).await;
    world.catalog.enrol(now(), &token.unwrap().secret, host).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_hosts_inventory_by_kind_over_pages() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let path = format!("/api/v1/endpoints/{}/inventory", world.endpoint);
    let nothing = world.get(&ann, &path).await.json();
    assert_eq!((&nothing["updated"], &nothing["complete"]), (&Value::Null, &json!(false)));
    let package = |name: &str| {
        Item::Package(Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            arch: "amd64".to_owned(),
            manager: "dpkg".to_owned(),
        })
    };
    let user = Item::User(User {
        name: "ann".to_owned(),
        uid: 5,
        gid: 5,
        home: "/".to_owned(),
        shell: "/bin/sh".to_owned(),
        groups: vec!["ann".to_owned(), "sudo".to_owned()],
        password: Password::Locked,
    });
    let set = vec![package("a"), package("b"), package("c"), user, file("/usr/bin/ls", 'a')];
    take(&world, world.endpoint, Stage::Whole, vec![survey(Some(now()), vec![])], set).await;
    let first = world.get(&ann, &format!("{path}?kind=package&limit=2")).await.json();
    assert_eq!(first["complete"], true);
    let cursor = first["next"].as_str().unwrap();
    let second =
        world.get(&ann, &format!("{path}?kind=package&limit=2&cursor={cursor}")).await.json();
    let names: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|item| item["fields"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(second["next"], Value::Null);
    let users = world.get(&ann, &format!("{path}?kind=user")).await.json();
    let fields = &users["items"][0]["fields"];
    assert_eq!((&fields["groups"], &fields["password"]), (&json!("ann, sudo"), &json!("locked")));
    let files = world.get(&ann, &format!("{path}?q=LS")).await.json();
    assert_eq!(files["items"][0]["sha256"], "a".repeat(64));
    assert_eq!(files["items"][0]["fields"]["integrity"], "modified");
    assert_eq!(files["surveys"][0]["items"], 1);
    let none = world.get(&ann, &format!("{path}?q=100%25")).await.json();
    assert_eq!(none["items"], json!([]), "a percent sign is one");
    let wrong = world.get(&ann, &format!("{path}?kind=files")).await;
    wrong.problem(StatusCode::BAD_REQUEST, "invalid");
    let nobody = format!("/api/v1/endpoints/{}/inventory", EndpointId::from_u128(9));
    world.get(&ann, &nobody).await.problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn who_has_a_file_and_who_cannot_be_asked() {
    let world = World::new().await;
    let ann = world.sign_in("ann").await;
    let (good, stale) = (enrol(&world, "good").await, enrol(&world, "stale").await);
    let (partial, begun) = (enrol(&world, "partial").await, enrol(&world, "begun").await);
    let long_ago = now().plus_nanos(-24 * 3_600 * 1_000_000_000);
    let left = LeftOut { reason: "limit".to_owned(), count: 3, example: "/opt/x".to_owned() };
    let owners = LeftOut { reason: "owners_of_rpm".to_owned(), ..left.clone() };
    let surveys = [
        (good, survey(Some(now()), vec![owners])),
        (stale, survey(Some(long_ago), vec![])),
        (partial, survey(Some(now()), vec![left])),
        (begun, survey(None, vec![])),
    ];
    for (id, survey) in surveys {
        take(&world, id, Stage::Whole, vec![survey], vec![file("/usr/bin/ls", 'a')]).await;
    }
    let ask = async |question: &str| {
        let reply = world.get(&ann, &format!("/api/v1/inventory/files?{question}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.json()
    };
    let reasons = |answer: &Value| -> Vec<(String, String)> {
        let mut reasons: Vec<(String, String)> = answer["not_looked_at"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["host"].to_string(), one["reason"].to_string()))
            .collect();
        reasons.sort();
        reasons
    };
    let quoted = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(host, why)| (json!(host).to_string(), json!(why).to_string())).collect()
    };
    let found = ask(&format!("sha256={}", "A".repeat(64))).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 4, "in capitals too");
    assert_eq!(found["items"][0]["path"], "/usr/bin/ls");
    assert_eq!((&found["endpoints"], &found["looked_at"]), (&json!(5), &json!(1)));
    let expected = quoted(&[
        ("begun", "incomplete"),
        ("h1", "none"),
        ("partial", "partial"),
        ("stale", "stale"),
    ]);
    assert_eq!(reasons(&found), expected);
    let nothing = ask(&format!("sha256={}", "0".repeat(64))).await;
    assert_eq!(nothing["items"], json!([]));
    assert_eq!(reasons(&nothing), expected, "what was not looked at stands by an empty answer");
    let elsewhere = ask("path=/srv/tool").await;
    assert!(reasons(&elsewhere).contains(&quoted(&[("good", "outside")])[0]), "{elsewhere:#}");
    let inside = ask("path=/usr/bin/ls").await;
    assert_eq!(inside["looked_at"], 1);
    // What went is still told, with when.
    let held = world.catalog.inventory_state(good).await.unwrap().unwrap();
    assert!(held.whole);
    let gone = delta(2, Stage::Change, vec![], vec![(ItemKind::Executable, "/usr/bin/ls".into())]);
    assert_eq!(world.catalog.take_inventory(now(), good, &gone).await.unwrap(), 3);
    let found = ask("path=/usr/*").await;
    let gone = found["items"].as_array().unwrap().iter().filter(|one| !one["gone"].is_null());
    assert_eq!(gone.count(), 1);
    for wrong in ["", "sha256=abc", &format!("path=/a&sha256={}", "0".repeat(64))] {
        let reply = world.get(&ann, &format!("/api/v1/inventory/files?{wrong}")).await;
        reply.problem(StatusCode::BAD_REQUEST, "invalid");
    }
}
