//! Indicators on the parts a server is made of: catalog, lake, detection, the HTTP interface.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use metsuke_catalog::clock::now;
use metsuke_event::inventory::{Delta, Executable, Format, Item, Stage};
use metsuke_event::{
    Activity, BootId, EndpointId, Event, EventId, Kind, Process, Timestamp,
    activity::ProcessActivity,
};
use metsuke_ingest::{Detector, Metrics, Store};
use metsuke_link::server::Handler as _;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::run::{LakeHistory, Opened, close, handler, open, parts, task};
use crate::status::ServerStatus;
use crate::store::LakeStore;

const ADDRESS: &str = "127.0.0.1:7680";
const DAY: i64 = 24 * 3_600 * 1_000_000_000;

/// A document that strikes at what a block list names.
const RULE: &str = "title: On a block list\nid: on-a-block-list\nlevel: high\n\
                    indicator-match:\n  lists: [block]\n";

/// A server without its sockets.
struct Server {
    opened: Opened,
    router: Router,
    token: String,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    worker: JoinHandle<()>,
}

impl Server {
    async fn start(folder: &Path) -> Self {
        let (opened, worker) = open(folder).await.unwrap();
        let stop = CancellationToken::new();
        let address = ADDRESS.parse().unwrap();
        let status = ServerStatus {
            metrics: Arc::default(),
            link: Arc::default(),
            lake: opened.lake.clone(),
            control: opened.control.clone(),
            indicators: opened.indicators.clone(),
            folder: folder.to_owned(),
        };
        let router = metsuke_api::router(parts(&opened, status, (address, address), &stop));
        crate::admin::first(&opened.catalog).await.unwrap();
        let (_, token) = crate::admin::bootstrap(&opened.catalog).await.unwrap();
        let history = Arc::new(LakeHistory(opened.lake.clone()));
        let worker = task(worker.run(history, stop.clone()));
        let store: Arc<dyn Store> = Arc::new(LakeStore(opened.lake.clone()));
        Self { opened, router, token, store, stop, worker }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.worker.await.unwrap();
        drop((self.router, self.store));
        close(self.opened).await.unwrap();
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let kind = if body.starts_with('{') && !path.contains("import") {
            "application/json"
        } else {
            "application/octet-stream"
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, ADDRESS)
            .header(header::CONTENT_TYPE, kind)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Takes a document in, and waits until it has been looked back for.
    async fn import(&self, query: &str, document: &str) -> Value {
        let (status, import) =
            self.ask("POST", &format!("/indicators/import?{query}"), document).await;
        assert_eq!(status, StatusCode::OK, "{import}");
        let path = format!("/indicators/retro/{}", import["retro"]["id"].as_str().unwrap());
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let (_, retro) = self.ask("GET", &path, "").await;
            if retro["state"] != "running" {
                assert_eq!(retro["state"], "done", "{retro}");
                return retro;
            }
            assert!(Instant::now() < deadline, "the look back goes on: {retro}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn detail(&self, value: &str) -> Value {
        let (_, list) = self.ask("GET", &format!("/indicators?q={value}&source=feed"), "").await;
        let id = list["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
        self.ask("GET", &format!("/indicators/{id}"), "").await.1
    }

    /// Lets detection see what the store holds, as at a start.
    async fn detect(&self) {
        let (metrics, never) = (Arc::<Metrics>::default(), CancellationToken::new());
        let (library, catalog) = (&self.opened.library, self.opened.catalog.clone());
        let detector = Detector::new(library, catalog, metrics, never);
        let mut detector = detector.watching(self.opened.indicators.lookout());
        metsuke_ingest::replay(&mut detector, &self.store).await.unwrap();
    }

    async fn endpoint(&self, host: &str) -> EndpointId {
        let catalog = &self.opened.catalog;
        let token = catalog.create_enrolment_token(now(), "server", DAY).await.unwrap();
        catalog.enrol(now(), &token.secret, host).await.unwrap().unwrap()
    }
}

fn ran(endpoint: EndpointId, seq: u64, (time, hash): (Timestamp, &str)) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id = EventId { endpoint, boot: BootId::from_u128(9), seq, ..EventId::default() };
    event.time = time;
    event.received = Some(time);
    event.activity = Activity::Process(ProcessActivity::Exec);
    event.process = Arc::new(Process {
        uid: Some(format!("p{seq}").into()),
        exe: Some("/usr/bin/tool".into()),
        sha256: Some(hash.into()),
        ..Process::default()
    });
    event
}

fn file(hash: &str) -> Delta {
    let file = Executable {
        path: "/opt/never-run".to_owned(),
        sha256: Some(hash.to_owned()),
        hash_missing: None,
        format: Format::Elf,
        size: 7,
        mode: 0o755,
        uid: 0,
        modified: now(),
        package: None,
        integrity: None,
    };
    Delta {
        base: 0,
        generation: 1,
        stage: Stage::Whole,
        surveys: Vec::new(),
        set: vec![Item::Executable(file)],
        removed: Vec::new(),
    }
}

fn bundle(hashes: &[&str]) -> String {
    let one = |(n, hash): (usize, &&str)| {
        json!({
            "type": "indicator", "spec_version": "2.1",
            "id": format!("indicator--00000000-0000-4000-8000-{n:012}"),
            "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z",
            "pattern": format!("[file:hashes.'SHA-256' = '{hash}']"), "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
        })
    };
    let objects: Vec<_> = hashes.iter().enumerate().map(one).collect();
    let id = "bundle--00000000-0000-4000-8000-000000000001";
    json!({ "type": "bundle", "id": id, "objects": objects }).to_string()
}

#[tokio::test]
async fn yesterdays_run_and_a_file_of_a_host_that_is_off_are_found_and_a_restart_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let put = server.opened.library.put("admin", "on-a-block-list", RULE.to_owned());
    put.await.unwrap();
    let (on, off) = (server.endpoint("on").await, server.endpoint("off").await);
    let (ran_hash, lies, good) = ("5a".repeat(32), "6b".repeat(32), "7c".repeat(32));
    let yesterday = now().plus_nanos(-DAY);
    let events = vec![
        ran(on, 1, (yesterday, &ran_hash)),
        ran(on, 2, (yesterday.plus_nanos(5), &good)),
        ran(on, 3, (now().plus_nanos(-DAY / 2), &ran_hash)),
    ];
    server.store.append(events).await.unwrap();
    // In a file, not only in the tail.
    server.opened.lake.flush().await.unwrap();
    server.detect().await;
    // This host said what it has, and is heard of no more.
    server.opened.catalog.take_inventory(now(), off, &file(&lies)).await.unwrap();

    let allow = json!({ "value": good, "list": "allow", "source": "ours" }).to_string();
    assert_eq!(server.ask("POST", "/indicators", &allow).await.0, StatusCode::CREATED);
    let document = bundle(&[&ran_hash, &lies, &good]);
    let retro = server.import("source=feed&list=block", &document).await;
    assert_eq!((&retro["sightings"], &retro["hosts"]), (&json!(3), &json!(2)), "{retro}");
    let detail = server.detail(&ran_hash).await;
    let earliest = &detail["earliest_seen"];
    assert_eq!((&earliest["where"], &earliest["host"]), (&json!("history"), &json!("on")));
    assert_eq!(earliest["time"], json!(yesterday), "{detail}");
    assert_eq!(detail["sightings"], 2, "an hour of yesterday, and one of today");
    let detail = server.detail(&lies).await;
    let earliest = &detail["earliest_seen"];
    assert_eq!((&earliest["where"], &earliest["host"]), (&json!("inventory"), &json!("off")));
    assert_eq!(detail["sighted"][0]["path"], "/opt/never-run");
    assert_eq!(server.detail(&good).await["sightings"], 0, "allow wins");
    server.stop().await;

    // The snapshot spares the start; what comes now is met as it comes, once an hour.
    let server = Server::start(folder.path()).await;
    let set = std::fs::read_dir(folder.path().join("indicators")).unwrap().count();
    assert_eq!((set, server.opened.indicators.set().len()), (1, 4));
    let today = now();
    let more = [(4, &ran_hash), (5, &ran_hash), (6, &good)]
        .map(|(seq, hash)| ran(on, seq, (today.plus_nanos(i64::try_from(seq).unwrap()), hash)));
    server.store.append(more.to_vec()).await.unwrap();
    server.detect().await;
    // Detection starts anew: nothing is told twice.
    server.detect().await;
    let detail = server.detail(&ran_hash).await;
    assert_eq!(detail["sightings"], 3, "{detail}");
    let newest = &detail["sighted"][0];
    assert_eq!((&newest["where"], &newest["count"]), (&json!("stream"), &json!(2)));
    assert_eq!(newest["event"]["process"], "p4");
    let filter = metsuke_catalog::HitFilter::default();
    let hits = server.opened.catalog.hits(&filter, 100).await.unwrap();
    let plain: Vec<_> =
        hits.iter().filter(|one| one.hit.detection.id == "indicator-match/sha256").collect();
    assert_eq!(plain.len(), 1, "once an hour: {hits:?}");
    assert_eq!(plain[0].hit.detection.level, metsuke_event::finding::Level::High);
    assert!(plain[0].hit.matched[0].clause.contains("of feed (list block)"), "{hits:?}");
    let rule = hits.iter().filter(|one| one.hit.detection.id == "on-a-block-list").count();
    assert_eq!(rule, 2, "documents are told of each: {hits:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_expired_or_was_removed_is_met_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let host = server.endpoint("h").await;
    let (short, removed, kept) = ("5a".repeat(32), "6b".repeat(32), "7c".repeat(32));
    // Ends are held to the second.
    let soon = Timestamp::from_millis((now().as_millis() / 1_000 + 3) * 1_000);
    server.import(&format!("source=feed&format=text&expires={soon}"), &short).await;
    server.import("source=feed&format=text", &format!("{removed}\n{kept}")).await;
    let gone = server.detail(&removed).await;
    let path = format!("/indicators/{}", gone["id"].as_str().unwrap());
    assert_eq!(server.ask("DELETE", &path, "").await.0, StatusCode::NO_CONTENT);
    while now() < soon {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let events =
        [(1, &short), (2, &removed), (3, &kept)].map(|(n, hash)| ran(host, n, (now(), hash)));
    server.store.append(events.to_vec()).await.unwrap();
    server.detect().await;
    let (_, sightings) = server.ask("GET", "/sightings", "").await;
    let seen: Vec<_> =
        sightings["items"].as_array().unwrap().iter().map(|one| one["value"].clone()).collect();
    assert_eq!(seen, [json!(kept)], "{sightings}");
    // A host's files are met as it tells of them.
    let (sender, _receiver) = Detector::queue();
    let handler = handler(&server.opened, Arc::clone(&server.store), (sender, Arc::default()));
    let other = server.endpoint("other").await;
    handler.inventory(other, file(&kept)).await.unwrap();
    let detail = server.detail(&kept).await;
    assert_eq!(detail["sightings"], 2, "{detail}");
    assert_eq!(detail["sighted"][0]["where"], "inventory");
    drop(handler);
    server.stop().await;
}
