//! Against a server that gives prepared answers.

use clap::Parser;
use metsuke_respond::{Draft, Permission, Plan, Policy, Verb};
use serde_json::{Value, json};

use super::exercise::{Exercise, State, outcome};
use super::{Measured, carry_out, report};
use crate::arguments::{Arguments, Command};
use crate::client::Client;
use crate::client::tests::{lines, server};
use crate::failure::Failure;
use crate::interrupt::Interrupt;

fn poc(client: &Client, interrupt: &Interrupt) -> Result<std::process::ExitCode, Failure> {
    let arguments = Arguments::parse_from(["metsuke", "--json", "poc", "--wait", "0"]);
    let Command::Poc(poc) = &arguments.command else { unreachable!("it was typed") };
    carry_out(&arguments, client, poc, interrupt)
}

fn endpoints() -> (u16, Value) {
    (200, json!({ "items": [{ "id": "e", "host": "h", "status": "online" }] }))
}

fn done() -> (u16, Value) {
    (200, json!({ "state": "done", "result": { "sha256": "00", "paths": ["/x"] } }))
}

#[test]
fn what_was_made_is_cleaned_up_also_when_the_search_fails() {
    let (client, asked) = server(vec![
        endpoints(),
        (201, json!({ "id": "made" })),
        done(),
        (500, json!({ "detail": "the lake is away" })),
        (201, json!({ "id": "cleaned" })),
        (200, json!({ "state": "done" })),
    ]);
    let failure = poc(&client, &Interrupt::default()).expect_err("no search");
    assert!(failure.to_string().contains("the lake is away"), "{failure}");
    let asked = asked.join().expect("the server ends");
    let body = asked[4].split("\r\n\r\n").nth(1).expect("a body");
    let order: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(order["verb"], "poc_cleanup");
    assert_eq!(order["cleanup_of"], "made");
}

/// The time of what is found must not hold the time that another endpoint was waited for.
#[test]
fn what_is_done_is_searched_for_while_others_are_still_at_it() {
    let online = |id: &str| json!({ "id": id, "host": id, "status": "online" });
    let row = json!({ "endpoint": "e", "fields": { "file.path": "/x" } });
    let (client, asked) = server(vec![
        (200, json!({ "items": [online("e"), online("f")] })),
        (201, json!({ "id": "p" })),
        (201, json!({ "id": "q" })),
        done(),
        (200, json!({ "state": "running" })),
        (200, json!({ "items": [row] })),
        (200, json!({ "state": "failed", "updates": [{ "detail": "no space left" }] })),
        (200, json!({ "items": [] })),
        (201, json!({ "id": "c" })),
        (409, json!({ "detail": "it has ended" })),
        (201, json!({ "id": "d" })),
        (200, json!({ "state": "done" })),
        (200, json!({ "state": "done" })),
    ]);
    let code = poc(&client, &Interrupt::default()).expect("a report");
    assert_eq!(code, std::process::ExitCode::from(super::BAD_NEWS), "f has failed");
    let asked = lines(asked);
    assert_eq!(asked[5], "GET /api/v1/search?q=sha256%3A00&limit=1000", "{asked:?}");
}

#[test]
fn a_plan_that_nobody_has_begun_is_taken_back_at_a_ctrl_c() {
    let (client, asked) = server(vec![endpoints()]);
    let failure = poc(&client, &Interrupt::noted()).expect_err("interrupted");
    assert!(matches!(failure, Failure::Interrupted), "{failure}");
    assert_eq!(lines(asked), ["GET /api/v1/endpoints"], "nothing was made, nothing is removed");

    let (client, asked) = server(vec![(200, json!({ "state": "cancelled" }))]);
    let mut waiting = [Exercise::of(&json!({ "id": "e", "status": "online" }))];
    waiting[0].plan = Some("p".to_owned());
    super::exercise::clean_up(&client, &mut waiting, &Interrupt::default());
    assert_eq!(lines(asked), ["POST /api/v1/responses/p/cancel"]);
    assert_eq!(waiting[0].trouble, None);
}

#[test]
fn a_server_that_is_away_is_waited_for_by_the_clean_up() {
    let (client, asked) = server(vec![
        (409, json!({ "detail": "it has begun" })),
        (503, json!({})),
        (409, json!({ "detail": "it has begun" })),
        (201, json!({ "id": "c" })),
        (200, json!({ "state": "running" })),
        (200, json!({ "state": "failed", "updates": [{ "detail": "busy" }] })),
    ]);
    let mut begun = [Exercise::of(&json!({ "id": "e", "status": "online" }))];
    begun[0].plan = Some("p".to_owned());
    super::exercise::clean_up(&client, &mut begun, &Interrupt::default());
    assert_eq!(lines(asked).len(), 6);
    assert_eq!(begun[0].state, State::Failed);
    let trouble = begun[0].trouble.as_deref().unwrap_or_default();
    assert!(trouble.starts_with("clean-up: failed: busy"), "{trouble}");
}

#[test]
fn every_enrolled_endpoint_is_told_of() {
    let mut all: Vec<_> = [("a", "online"), ("b", "offline"), ("c", "stale")]
        .map(|(id, status)| Exercise::of(&json!({ "id": id, "host": id, "status": status })))
        .into();
    all[0].truth.insert("/x".to_owned());
    all[0].found.insert("/x".to_owned());
    let measured = Measured { control: json!({ "items": [] }), ..Measured::default() };
    let told = report::of(&all, &measured, None);
    assert_eq!(told["recall"], 1.0);
    let states: Vec<_> = all.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Asked, State::Offline, State::Offline]);
    assert_eq!(told["endpoints"][2]["trouble"], "not asked: it is stale");
    assert!(report::summary(&told).starts_with("recall 1.0 over 1 of 3 endpoints"), "{told}");
    assert!(report::nobody(&all[1..]).to_string().contains("b (b)  not asked: it is offline"));
    let broken = report::of(&all, &measured, Some(&Failure::Interrupted));
    assert_eq!(broken["recall"], Value::Null, "half a measurement is none");
}

#[test]
fn a_named_endpoint_is_asked_once_whatever_the_server_thinks_of_it() {
    let page = || (200, json!({ "items": [{ "id": "e", "host": "h", "status": "stale" }] }));
    let (client, _asked) = server(vec![page(), page()]);
    let named = ["e", "h"].map(str::to_owned);
    let found = super::exercise::enrolled(&client, &named).expect("there");
    let states: Vec<_> = found.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Asked]);
}

#[test]
fn what_was_not_done_has_its_reason() {
    let check = |state: &str, detail: &str, expect: State| {
        let plan = json!({ "state": state, "updates": [{ "detail": detail }] });
        let (found, said) = outcome(&plan);
        assert_eq!(found, expect, "{said}");
        assert!(said.contains(state) && said.contains(detail), "{said}");
    };
    check("failed", &denial(), State::Denied);
    check("failed", "no space left", State::Failed);
    check("queued", "", State::Offline);
    check("expired", "", State::Offline);
    check("running", "", State::Failed);
    let fetched = json!({ "state": "expired", "updates": [{ "state": "delivered" }, {}] });
    assert_eq!(outcome(&fetched).0, State::Failed, "somebody fetched it");
}

/// The sensor's own words.
fn denial() -> String {
    let draft = Draft {
        id: metsuke_respond::PlanId::default(),
        verb: Verb::Poc { ttl_s: 1 },
        endpoint: metsuke_event::EndpointId::default(),
        reason: "r".to_owned(),
        actor: "a".to_owned(),
        alert: None,
        created: metsuke_event::Timestamp::from_nanos(0),
        expires: metsuke_event::Timestamp::from_nanos(1),
    };
    let plan = Plan::new(draft).expect("a plan");
    let policy = Policy { poc: Permission::Deny, ..Policy::default() };
    policy.permits(&plan).expect_err("denied")
}
