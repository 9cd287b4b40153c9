//! The HTTP interface against a small world: what it answers, and what it refuses.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::similar_names,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking; its support is not an interface"
)]

mod artifacts;
mod detections;
mod exceptions;
mod health;
mod incidents;
mod indicators;
mod inventory;
mod paging;
mod recordings;
mod status;
mod stream;
mod tokens;
mod uninstall;
mod world;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use metsuke_event::{EndpointId, LossInterval};
use serde_json::{Value, json};
use world::{Browser, HOST, PASSWORD, World, json_request};

#[tokio::test]
async fn sign_in_gives_a_session_and_sign_out_ends_it() {
    let world = World::new().await;
    let wrong = json!({ "user": "admin", "password": "wrong" });
    let reply = world.send(json_request("POST", "/api/v1/session", &wrong)).await;
    reply.problem(StatusCode::UNAUTHORIZED, "wrong_password");

    let browser = world.sign_in("admin").await;
    let session = world.get(&browser, "/api/v1/session").await.json();
    assert_eq!(session["user"]["role"], "admin");
    assert_eq!(session["user"]["must_change_password"], false);
    assert_eq!(session["csrf_token"], browser.csrf);
    let reply = world.send(browser.request("DELETE", "/api/v1/session", &Value::Null)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let reply = world.get(&browser, "/api/v1/session").await;
    reply.problem(StatusCode::UNAUTHORIZED, "unauthenticated");
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let world = World::new().await;
    let body = json!({ "user": "admin", "password": PASSWORD });
    let reply = world.send(json_request("POST", "/api/v1/session", &body)).await;
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["sid=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let mut foreign = json_request("POST", "/api/v1/session", &body);
    foreign.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    world.send(foreign).await.problem(StatusCode::FORBIDDEN, "csrf");
}

#[tokio::test]
async fn a_change_needs_the_same_origin_and_the_token() {
    let world = World::new().await;
    let browser = world.sign_in("admin").await;
    let body = json!({ "name": "x" });
    let attempt = async |change: &dyn Fn(&mut Request<Body>)| {
        let mut request = browser.request("POST", "/api/v1/tokens", &body);
        change(&mut request);
        world.send(request).await
    };
    let fine = attempt(&|_| {}).await;
    assert_eq!(fine.status, StatusCode::OK, "{}", fine.text);
    let without = attempt(&|request| drop(request.headers_mut().remove("x-csrf"))).await;
    without.problem(StatusCode::FORBIDDEN, "csrf");
    let set = |name: &'static str, value: &'static str| {
        move |request: &mut Request<Body>| {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    };
    attempt(&set("x-csrf", "00")).await.problem(StatusCode::FORBIDDEN, "csrf");
    for site in ["cross-site", "same-site", "none"] {
        let foreign = attempt(&set("sec-fetch-site", site)).await;
        foreign.problem(StatusCode::FORBIDDEN, "csrf");
    }
    // A browser that does not say where a request comes from says its origin.
    let origin = |value: &'static str| {
        move |request: &mut Request<Body>| {
            request.headers_mut().remove("sec-fetch-site");
            request.headers_mut().insert(header::ORIGIN, value.parse().unwrap());
        }
    };
    let own = attempt(&origin("http://127.0.0.1:7680")).await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.text);
    attempt(&origin("http://evil.example")).await.problem(StatusCode::FORBIDDEN, "csrf");
    let silent = attempt(&|request| drop(request.headers_mut().remove("sec-fetch-site"))).await;
    silent.problem(StatusCode::FORBIDDEN, "csrf");
}

#[tokio::test]
async fn a_token_works_alone_and_the_cookie_beside_it_is_ignored() {
    let world = World::new().await;
    let body = json!({ "user": "ann", "password": PASSWORD, "name": "cli" });
    let made = world.send(json_request("POST", "/api/v1/tokens/login", &body)).await.json();
    let token = made["token"].as_str().unwrap();
    let bearer = |value: &str| {
        let mut request = json_request("GET", "/api/v1/session", &Value::Null);
        request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
        request
    };
    let session = world.send(bearer(&format!("Bearer {token}"))).await.json();
    assert_eq!(session["user"]["name"], "ann");
    let mut another = json_request("POST", "/api/v1/tokens", &json!({ "name": "second" }));
    let value = format!("Bearer {token}").parse().unwrap();
    another.headers_mut().insert(header::AUTHORIZATION, value);
    world.send(another).await.problem(StatusCode::FORBIDDEN, "session");

    let browser = world.sign_in("admin").await;
    let mut both = bearer("Bearer wrong");
    both.headers_mut().insert(header::COOKIE, browser.cookie.parse().unwrap());
    world.send(both).await.problem(StatusCode::UNAUTHORIZED, "unauthenticated");
}

#[tokio::test]
async fn an_analyst_may_not_administer() {
    let world = World::new().await;
    let analyst = world.sign_in("ann").await;
    for path in ["/api/v1/users", "/api/v1/audit"] {
        world.get(&analyst, path).await.problem(StatusCode::FORBIDDEN, "role");
    }
    let body = json!({ "ttl_s": 600 });
    let request = |browser: &Browser| browser.request("POST", "/api/v1/enrolment-tokens", &body);
    world.send(request(&analyst)).await.problem(StatusCode::FORBIDDEN, "role");
    let admin = world.sign_in("admin").await;
    let made = world.send(request(&admin)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["ca_fingerprint"], "ab");

    let user = json!({ "name": "bob", "role": "analyst", "password": "a long enough one" });
    let request = || admin.request("POST", "/api/v1/users", &user);
    assert_eq!(world.send(request()).await.status, StatusCode::CREATED);
    world.send(request()).await.problem(StatusCode::CONFLICT, "conflict");
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let world = World::new().await;
    let (here, there) = (world.sign_in("ann").await, world.sign_in("ann").await);
    let body = json!({ "old": PASSWORD, "new": "another long password" });
    let reply = world.send(here.request("POST", "/api/v1/session/password", &body)).await;
    assert_eq!(reply.json()["user"]["must_change_password"], false);
    let other = world.get(&there, "/api/v1/session").await;
    other.problem(StatusCode::UNAUTHORIZED, "unauthenticated");
    let weak = json!({ "old": "another long password", "new": "short" });
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    let fresh = Browser {
        cookie: cookie.split(';').next().unwrap().to_owned(),
        csrf: reply.json()["csrf_token"].as_str().unwrap().to_owned(),
    };
    let reply = world.send(fresh.request("POST", "/api/v1/session/password", &weak)).await;
    reply.problem(StatusCode::BAD_REQUEST, "invalid");
}

#[tokio::test]
async fn too_many_failures_make_a_name_wait() {
    let world = World::new().await;
    let body = json!({ "user": "nobody", "password": "wrong" });
    for _ in 0..10 {
        let reply = world.send(json_request("POST", "/api/v1/session", &body)).await;
        reply.problem(StatusCode::UNAUTHORIZED, "wrong_password");
    }
    let reply = world.send(json_request("POST", "/api/v1/session", &body)).await;
    reply.problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited");
    let admin = world.sign_in("admin").await;
    let audit = world.get(&admin, "/api/v1/audit?limit=500").await.json();
    let refused = |entry: &&Value| entry["action"] == "session.refuse";
    let entry = audit["items"].as_array().unwrap().iter().find(refused).unwrap();
    assert_eq!((&entry["actor"], &entry["target"]), (&json!("anonymous"), &json!("nobody")));
}

#[tokio::test]
async fn a_one_time_password_opens_nothing_but_its_own_change() {
    let world = World::new().await;
    let browser = world.sign_in("new").await;
    let session = world.get(&browser, "/api/v1/session").await.json();
    assert_eq!(session["user"]["must_change_password"], true);
    let code = "must_change_password";
    for path in ["/api/v1/overview", "/api/v1/users", "/api/v1/stream", "/metrics"] {
        world.get(&browser, path).await.problem(StatusCode::FORBIDDEN, code);
    }
    let token = json!({ "name": "x" });
    let reply = world.send(browser.request("POST", "/api/v1/tokens", &token)).await;
    reply.problem(StatusCode::FORBIDDEN, code);
    let login = json!({ "user": "new", "password": PASSWORD, "name": "cli" });
    let reply = world.send(json_request("POST", "/api/v1/tokens/login", &login)).await;
    reply.problem(StatusCode::FORBIDDEN, code);

    // The server's own token works before and after the change, and nobody else makes one so named.
    let account = world.catalog.account("new").await.unwrap().unwrap();
    let (now, name) = (metsuke_catalog::clock::now(), metsuke_catalog::BOOTSTRAP_TOKEN);
    let made = world.catalog.create_api_token(now, &account, name, 1_000_000_000_000).await;
    let value = format!("Bearer {}", made.unwrap().secret);
    let overview = async || {
        let mut request = json_request("GET", "/api/v1/overview", &Value::Null);
        request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
        world.send(request).await.status
    };
    assert_eq!(overview().await, StatusCode::OK);
    let body = json!({ "old": PASSWORD, "new": "another long password" });
    let reply = world.send(browser.request("POST", "/api/v1/session/password", &body)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(overview().await, StatusCode::OK);
    let login = json!({ "user": "new", "password": "another long password", "name": name });
    let reply = world.send(json_request("POST", "/api/v1/tokens/login", &login)).await;
    reply.problem(StatusCode::BAD_REQUEST, "invalid");
}

#[tokio::test]
async fn alerts_page_and_filter() {
    let world = World::new().await;
    for number in 1..=5 {
        world.raise(number, 40 + u8::try_from(number).unwrap()).await;
    }
    let browser = world.sign_in("ann").await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for _ in 0..3 {
        let path = format!("/api/v1/alerts?limit=2&cursor={cursor}");
        let page = world.get(&browser, &path).await.json();
        assert_eq!(page["total"], 5);
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|alert| alert["score"].as_u64().unwrap()));
        cursor = page["next"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!(seen, [45, 44, 43, 42, 41], "highest score first, none twice");
    assert!(cursor.is_empty());
    let total = async |query: &str| {
        world.get(&browser, &format!("/api/v1/alerts?{query}")).await.json()["total"].clone()
    };
    assert_eq!(total("level=high&status=new&tactic=execution&technique=T1059").await, 5);
    assert_eq!(total("min_score=44").await, 2);
    assert_eq!(total("q=nowhere").await, 0);
    assert_eq!(total("assignee=me").await, 0);
    let reply = world.get(&browser, "/api/v1/alerts?level=loud").await;
    reply.problem(StatusCode::BAD_REQUEST, "invalid");
    let reply = world.get(&browser, "/api/v1/alerts?limit=0").await;
    reply.problem(StatusCode::BAD_REQUEST, "invalid");
}

#[tokio::test]
async fn an_alert_is_explained_and_triaged() {
    let world = World::new().await;
    world.raise(1, 60).await;
    let browser = world.sign_in("ann").await;
    let path = format!("/api/v1/alerts/{:032x}", 1);
    let alert = world.get(&browser, &path).await.json();
    assert_eq!(alert["page"], "# The page");
    assert_eq!(alert["highlights"].as_array().unwrap().len(), 2);
    assert_eq!(alert["highlights"][0]["process_name"], "sh");
    assert_eq!(alert["user"], "u");
    assert_eq!(alert["technique_names"], json!({ "T1059.004": "Unix Shell" }));

    let patch = |version: u32| json!({ "status": "in_progress", "assignee": "me", "note": "mine", "expected_version": version });
    let changed = world.send(browser.request("PATCH", &path, &patch(1))).await.json();
    assert_eq!((&changed["assignee"], &changed["version"]), (&json!("ann"), &json!(2)));
    let late = world.send(browser.request("PATCH", &path, &patch(1))).await;
    late.problem(StatusCode::CONFLICT, "conflict");
    let history = world.get(&browser, &path).await.json()["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 2);
    let reply = world.get(&browser, "/api/v1/alerts/zz").await;
    reply.problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn the_tree_holds_every_process_with_its_parent() {
    let world = World::new().await;
    world.raise(1, 60).await;
    let browser = world.sign_in("ann").await;
    let tree = world.get(&browser, &format!("/api/v1/alerts/{:032x}/tree", 1)).await.json();
    let nodes = tree["nodes"].as_array().unwrap();
    let node = |uid: &str| nodes.iter().find(|node| node["uid"] == uid).unwrap();
    assert_eq!(nodes.len(), 4, "three processes and the parent of the first");
    assert_eq!(tree["root"], "p0");
    assert_eq!((&node("p0")["in_scope"], &node("p0")["name"]), (&json!(false), &json!("init")));
    assert_eq!(node("p3")["parent_uid"], "p2");
    assert_eq!(node("p2")["hits"][0]["detection_id"], "filter-1");
    // Asked for any of its processes, the answer is the whole storyline.
    let path = format!("/api/v1/tree?endpoint={}&process=p3", world.endpoint);
    let same = world.get(&browser, &path).await.json();
    assert_eq!(same["nodes"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn search_answers_with_loss_and_says_where_a_query_is_wrong() {
    let world = World::new().await;
    world.raise(1, 60).await;
    let time = metsuke_catalog::clock::now();
    world.memory.loss.lock().unwrap().push(LossInterval {
        endpoint: world.endpoint,
        from: time.plus_nanos(-1_000),
        to: time,
        part: "spool".into(),
        reason: "disk_full".into(),
        lost: Some(3),
    });
    let browser = world.sign_in("ann").await;
    let found = world.get(&browser, "/api/v1/search?q=&limit=2").await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    assert_eq!(found["items"][0]["fields"]["process.pid"], 1);
    let inode = &found["items"][0]["fields"]["process.file.inode"];
    assert_eq!(*inode, json!(u64::MAX.to_string()), "beyond 2^53 numbers travel as text");
    assert_eq!(found["loss"][0]["host"], "h1");
    let reply = world.get(&browser, "/api/v1/search?q=broken:(").await;
    let problem = reply.problem(StatusCode::BAD_REQUEST, "query_syntax");
    assert_eq!(problem["span"], json!([7, 8]));
    let reply = world.get(&browser, "/api/v1/search?facets=nonsense").await;
    reply.problem(StatusCode::BAD_REQUEST, "invalid");
    let fields = world.get(&browser, "/api/v1/search/fields").await.json();
    assert!(fields.as_array().unwrap().iter().any(|field| field["name"] == "process.cmd_line"));
}

#[tokio::test]
async fn overview_techniques_and_endpoints_agree() {
    let world = World::new().await;
    world.raise(1, 60).await;
    let browser = world.sign_in("ann").await;
    let overview = world.get(&browser, "/api/v1/overview").await.json();
    assert_eq!(overview["alerts"]["by_level"]["high"], 1);
    assert_eq!(overview["attention"].as_array().unwrap().len(), 1);
    assert_eq!(overview["endpoints"], json!({"total": 1, "online": 0, "stale": 0, "degraded": 1}));
    let hours = overview["alerts_per_hour"].as_array().unwrap();
    assert_eq!(hours.iter().filter(|hour| hour["count"] == 1).count(), 1);
    assert_eq!(overview["techniques"][0]["name"], "Unix Shell");
    let hits = world.get(&browser, "/api/v1/techniques/T1059/hits?limit=1").await.json();
    assert_eq!(hits["items"][0]["host"], "h1");
    let next = hits["next"].as_str().unwrap();
    let path = format!("/api/v1/techniques/T1059/hits?limit=1&cursor={next}");
    let rest = world.get(&browser, &path).await.json();
    assert_ne!(rest["items"][0]["event"], hits["items"][0]["event"]);
    let endpoints = world.get(&browser, "/api/v1/endpoints").await.json();
    assert_eq!(endpoints["items"][0]["degraded"][0], "enrolled, never heard of");
}

#[tokio::test]
async fn a_response_needs_a_reason_and_is_audited() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let order = |reason: &str| {
        json!({
            "verb": "terminate", "endpoint": world.endpoint.to_string(), "reason": reason,
            "process": format!("{:032x}-42-1000", 9),
        })
    };
    let post =
        async |body: &Value| world.send(browser.request("POST", "/api/v1/responses", body)).await;
    post(&order(" ")).await.problem(StatusCode::BAD_REQUEST, "invalid");
    let made = post(&order("it mines")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!((&made.json()["state"], &made.json()["actor"]), (&json!("queued"), &json!("ann")));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let open = world.get(&browser, "/api/v1/responses?state=open").await.json();
    assert_eq!(open["items"][0]["id"], json!(id));
    let path = format!("/api/v1/responses/{id}/cancel");
    let late = world.send(browser.request("POST", &path, &Value::Null)).await;
    late.problem(StatusCode::CONFLICT, "conflict");
    let admin = world.sign_in("admin").await;
    let audit = world.get(&admin, "/api/v1/audit?limit=500").await.json();
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().collect();
    assert!(actions.iter().any(|e| e["action"] == "response.create" && e["target"] == json!(id)));
    let walked = world.catalog.verify_audit().await.unwrap().unwrap();
    assert_eq!(walked, actions.len() as u64, "the chain holds and every entry is shown");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let world = World::new().await;
    let page = world.send(json_request("GET", "/alerts/1", &Value::Null)).await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    let again = world.send(json_request("GET", "/", &Value::Null)).await;
    let other = again.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert_ne!(policy, other, "a nonce is used once");
    for path in ["/api/v1/overview", "/healthz", "/assets/none.js", "/api/v1/none"] {
        let reply = world.send(json_request("GET", path, &Value::Null)).await;
        for name in ["x-content-type-options", "referrer-policy", "content-security-policy"] {
            assert!(reply.headers.contains_key(name), "{path} lacks {name}");
        }
    }
}

#[tokio::test]
async fn a_foreign_host_name_and_odd_bodies_are_refused() {
    let world = World::new().await;
    let mut request = json_request("GET", "/healthz", &Value::Null);
    request.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
    world.send(request).await.problem(StatusCode::MISDIRECTED_REQUEST, "host");

    let form = Request::post("/api/v1/session")
        .header(header::HOST, HOST)
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    world.send(form).await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type");
    let large = json!({ "user": "x".repeat(300_000), "password": "" });
    let reply = world.send(json_request("POST", "/api/v1/session", &large)).await;
    reply.problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    let reply = world.send(json_request("POST", "/api/v1/session", &json!({}))).await;
    reply.problem(StatusCode::BAD_REQUEST, "invalid");
}

#[tokio::test]
async fn metrics_need_an_account() {
    let world = World::new().await;
    let reply = world.send(json_request("GET", "/metrics", &Value::Null)).await;
    reply.problem(StatusCode::UNAUTHORIZED, "unauthenticated");
    let browser = world.sign_in("ann").await;
    let reply = world.get(&browser, "/metrics").await;
    assert!(reply.text.contains("metsuke_events_total 7"), "{}", reply.text);
}

#[tokio::test]
async fn an_unknown_endpoint_is_not_found() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let path = format!("/api/v1/endpoints/{}", EndpointId::from_u128(1));
    world.get(&browser, &path).await.problem(StatusCode::NOT_FOUND, "not_found");
}

#[tokio::test]
async fn a_poc_on_all_endpoints_is_answered_for_each() {
    let world = World::new().await;
    let browser = world.sign_in("ann").await;
    let path = "/api/v1/responses/all";
    let body = |verb: &str| json!({ "verb": verb, "endpoint": "all", "reason": "a drill" });
    // This world's control refuses every `poc`: the refusal stands at its endpoint.
    let reply = world.send(browser.request("POST", path, &body("poc"))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let items = reply.json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(items[0]["endpoint"], json!(world.endpoint.to_string()));
    assert_eq!(
        (&items[0]["plan"], &items[0]["problem"]["code"]),
        (&Value::Null, &json!("invalid"))
    );

    for verb in ["terminate", "poc_cleanup"] {
        let reply = world.send(browser.request("POST", path, &body(verb))).await;
        reply.problem(StatusCode::BAD_REQUEST, "invalid");
    }
    let mut both = body("poc");
    both["cleanup_of"] = json!(format!("{:032x}", 5));
    let reply = world.send(browser.request("POST", path, &both)).await;
    let problem = reply.problem(StatusCode::BAD_REQUEST, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("cleanup_of"), "{problem}");
}

#[tokio::test]
async fn an_administrator_removes_an_endpoint() {
    let world = World::new().await;
    let path = format!("/api/v1/endpoints/{}", world.endpoint);
    let analyst = world.sign_in("ann").await;
    let refused = world.send(analyst.request("DELETE", &path, &Value::Null)).await;
    refused.problem(StatusCode::FORBIDDEN, "role");
    let admin = world.sign_in("admin").await;
    let removed = world.send(admin.request("DELETE", &path, &Value::Null)).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text);
    world.get(&analyst, &path).await.problem(StatusCode::NOT_FOUND, "not_found");
    let said = world.catalog.update_endpoint(
        metsuke_catalog::clock::now(),
        world.endpoint,
        metsuke_catalog::EndpointChange::default(),
    );
    assert!(matches!(said.await, Err(metsuke_catalog::CatalogError::NotFound(_))));
    let audit = world.get(&admin, "/api/v1/audit?limit=500").await.json();
    let entries = audit["items"].as_array().unwrap().clone();
    assert!(entries.iter().any(|e| e["action"] == "endpoint.remove" && e["actor"] == "admin"));
}
