//! A small world for the API: a real catalog in a temporary folder, activities in memory, plans
//! stored but sent to nobody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use metsuke_api::ports::{
    Action, Answer, Facts, Question, Range, RecordingError, RecordingStep, Recordings,
    ResponseError, ResponseOrder, Responses, Status, Story, Telemetry, TelemetryError,
};
use metsuke_api::status::Storage;
use metsuke_api::stream::Stats;
use metsuke_api::{Parts, Transport, router};
use metsuke_catalog::clock::now;
use metsuke_catalog::{
    AlertContext, Catalog, Detected, PasswordKind, PlanRecord, ProcessBrief, Role,
};
use metsuke_control::Library;
use metsuke_control::library::{Sample, Shipped};
use metsuke_control::trials::{History as Past, HistoryPage, Trials};
use metsuke_event::activity::ProcessActivity;
use metsuke_event::finding::{Alert, DetectionRef, Highlight, Hit, Layer, Level};
use metsuke_event::id::PlanId;
use metsuke_event::{
    Activity, AlertId, EndpointId, Event, EventId, FieldId, Kind, LossInterval, Process, Timestamp,
};
use metsuke_indicators::{Events, History, HistoryError, Indicators, Wanted};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const HOST: &str = "127.0.0.1:7680";
pub const PASSWORD: &str = "correct horse battery";

#[derive(Default)]
pub struct Memory {
    pub events: Mutex<Vec<Event>>,
    pub loss: Mutex<Vec<LossInterval>>,
    pub truncated: Mutex<bool>,
    page: Mutex<Option<usize>>,
}

#[async_trait]
impl Telemetry for Memory {
    async fn search(&self, question: Question) -> Result<Answer, TelemetryError> {
        if question.query == "broken:(" {
            return Err(TelemetryError::Query {
                message: "a bracket is not closed".into(),
                span: [7, 8],
                hint: Some("close it".into()),
            });
        }
        let events = self.events.lock().unwrap().clone();
        Ok(Answer {
            scanned_rows: events.len() as u64,
            events: events.into_iter().take(question.limit).collect(),
            loss: self.loss.lock().unwrap().clone(),
            complete: true,
            facets: BTreeMap::new(),
            ..Answer::default()
        })
    }

    async fn story(&self, _: EndpointId, uid: &str, _: Range) -> Result<Story, TelemetryError> {
        let events = self.events.lock().unwrap().clone();
        let of = |event: &Event| {
            let process = &event.process;
            [&process.uid, &process.parent_uid, &process.storyline]
                .iter()
                .any(|text| text.as_deref() == Some(uid))
        };
        let events = events.into_iter().filter(of).collect();
        let truncated = *self.truncated.lock().unwrap();
        Ok(Story { events, truncated, loss: self.loss.lock().unwrap().clone() })
    }

    fn loss(&self, _: Range) -> Vec<LossInterval> {
        self.loss.lock().unwrap().clone()
    }

    async fn values(
        &self,
        _: FieldId,
        prefix: &str,
        _: usize,
    ) -> Result<Vec<(String, u64)>, TelemetryError> {
        Ok(vec![(format!("{prefix}!"), 1)])
    }
}

#[async_trait]
impl History for Memory {
    fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        let events = self.events.lock().unwrap();
        let times = || events.iter().map(|event| event.time);
        Some((times().min()?, times().max()?))
    }

    async fn scan(
        &self,
        wanted: &Wanted,
        (from, to): (Timestamp, Timestamp),
        each: Events<'_>,
    ) -> Result<bool, HistoryError> {
        let mut events = self.events.lock().unwrap().clone();
        events.retain(|event| {
            let is_wanted = match wanted {
                Wanted::Matching(predicate) => predicate.matches(event),
                Wanted::Unmapped => !event.unmapped.is_empty(),
            };
            is_wanted && from <= event.time && event.time < to
        });
        each(events);
        Ok(true)
    }
}

#[async_trait]
impl Past for Memory {
    /// Three at a time, when nothing else is said.
    async fn page(
        &self,
        (from, to): (Timestamp, Timestamp),
        cursor: Option<String>,
    ) -> Result<HistoryPage, String> {
        let events = self.events.lock().unwrap().clone().into_iter();
        let events: Vec<Event> = events.filter(|one| from <= one.time && one.time < to).collect();
        let begin: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let end = events.len().min(begin + (*self.page.lock().unwrap()).unwrap_or(3));
        let next = (end < events.len()).then(|| end.to_string());
        Ok(HistoryPage { events: events[begin..end].to_vec(), next, complete: true })
    }

    async fn event(&self, id: EventId, _: Timestamp) -> Result<Option<Event>, String> {
        let events = self.events.lock().unwrap();
        Ok(events.iter().find(|event| event.id == id).cloned())
    }

    fn is_busy(&self) -> bool {
        false
    }
}

impl Memory {
    /// Gives so many activities at a time.
    pub fn pages_of(&self, count: usize) {
        *self.page.lock().unwrap() = Some(count);
    }
}

struct Stored(Catalog);

#[async_trait]
impl Responses for Stored {
    async fn order(&self, order: ResponseOrder) -> Result<PlanRecord, ResponseError> {
        let (verb, target, body) = match order.action {
            Action::TerminateProcess(process) => ("terminate", process.to_string(), Value::Null),
            // The plan itself stands in the body, to be looked at.
            Action::Take(verb) => {
                (verb.name(), String::new(), serde_json::to_value(&verb).unwrap())
            }
            _ => return Err(ResponseError::Invalid("not in this world".into())),
        };
        let plan = PlanRecord {
            id: PlanId::from_u128(5),
            endpoint: order.endpoint,
            verb: verb.into(),
            target: Some(target),
            scope: Some("process".into()),
            alert: order.alert,
            reason: order.reason,
            actor: order.actor,
            state: "queued".into(),
            created: now(),
            expires: now().plus_nanos(i64::from(order.ttl_s) * 1_000_000_000),
            updates: Vec::new(),
            result: None,
            sent: false,
            body,
        };
        self.0.create_plan(&plan).await.map_err(|error| ResponseError::Failed(Box::new(error)))?;
        Ok(plan)
    }

    async fn cancel(&self, _: PlanId, _: &str) -> Result<PlanRecord, ResponseError> {
        Err(ResponseError::Conflict("it has begun".into()))
    }
}

struct NoRecordings;

#[async_trait]
impl Recordings for NoRecordings {
    async fn remove(&self, _: &str, _: &str) -> Result<(), RecordingError> {
        Ok(())
    }

    async fn take(
        &self,
        _: &str,
        _: &str,
        events: Vec<Event>,
    ) -> Result<(u64, u64), RecordingError> {
        if events.iter().any(|event| event.id.seq == 0) {
            return Err(RecordingError::Invalid("no number".into()));
        }
        Ok((events.len() as u64, 0))
    }

    async fn detect(
        &self,
        name: &str,
        _: &str,
        _: Option<Level>,
    ) -> Result<RecordingStep, RecordingError> {
        if name == "a third" {
            return Err(RecordingError::Busy);
        }
        Ok(RecordingStep { events: 1, total: 1, report: Some(Value::Null) })
    }
}

struct Still(Arc<Mutex<Storage>>);

impl Status for Still {
    fn stats(&self) -> Stats {
        let storage = self.0.lock().unwrap().clone();
        Stats { events_total: 7, storage, ..Stats::default() }
    }

    fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        vec![("events_total", "Activities stored.", 7)]
    }
}

pub struct World {
    pub catalog: Catalog,
    pub library: Library,
    pub memory: Arc<Memory>,
    pub endpoint: EndpointId,
    pub stop: CancellationToken,
    pub storage: Arc<Mutex<Storage>>,
    router: Router,
    /// What runs beside the requests, until the world ends.
    _tasks: JoinSet<()>,
    pub folder: tempfile::TempDir,
}

/// An answer, read whole.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Checks that this is a problem with `code`.
    #[track_caller]
    pub fn problem(&self, status: StatusCode, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.json()["code"], code, "{}", self.text);
        self.json()
    }
}

/// A signed-in browser.
#[derive(Clone)]
pub struct Browser {
    pub cookie: String,
    pub csrf: String,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let (own, one_time) = (PasswordKind::Own, PasswordKind::OneTime);
        let accounts = [
            (("admin", Role::Admin), own),
            (("ann", Role::Analyst), own),
            (("new", Role::Admin), one_time),
        ];
        for (who, kind) in accounts {
            let password = (PASSWORD.to_owned(), kind);
            catalog.create_account(now(), "server", who, password).await.unwrap();
        }
        let token = catalog.create_enrolment_token(now(), "server", 1_000_000_000_000).await;
        let endpoint = catalog.enrol(now(), &token.unwrap().secret, "h1").await.unwrap().unwrap();
        let memory: Arc<Memory> = Arc::default();
        let library = Library::open(catalog.clone(), shipped()).await.unwrap();
        let kept = folder.path().join("indicators");
        let (indicators, worker) = Indicators::open(catalog.clone(), &kept).await.unwrap();
        let stop = CancellationToken::new();
        let storage: Arc<Mutex<Storage>> = Arc::default();
        let parts = Parts {
            catalog: catalog.clone(),
            library: library.clone(),
            trials: Trials::new(
                library.clone(),
                catalog.clone(),
                Arc::clone(&memory) as Arc<dyn Past>,
                stop.clone(),
            ),
            telemetry: Arc::clone(&memory) as Arc<dyn Telemetry>,
            responses: Arc::new(Stored(catalog.clone())),
            recordings: Arc::new(NoRecordings),
            artifacts: {
                let folder = folder.path().to_owned();
                Arc::new(move |sha256: &str| folder.join(sha256))
            },
            uninstall: Arc::new(|endpoint, expires| format!("{expires}.{endpoint}")),
            indicators,
            status: Arc::new(Still(Arc::clone(&storage))),
            facts: Facts {
                policy_version: "1".into(),
                ca_fingerprint: "ab".into(),
                link_addr: "127.0.0.1:7681".into(),
            },
            transport: Transport::PlainLoopback,
            allowed_hosts: vec![HOST.to_owned()],
            stop: stop.clone(),
        };
        let router = router(parts);
        let mut tasks = JoinSet::new();
        let history = Arc::clone(&memory) as Arc<dyn History>;
        tasks.spawn(worker.run(history, stop.clone()));
        Self { _tasks: tasks, catalog, library, memory, endpoint, stop, storage, router, folder }
    }

    pub async fn raw(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.raw(request).await;
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: head.status, headers: head.headers, text }
    }

    pub async fn sign_in(&self, user: &str) -> Browser {
        let body = serde_json::json!({ "user": user, "password": PASSWORD });
        let reply = self.send(json_request("POST", "/api/v1/session", &body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
        Browser {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: reply.json()["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    pub async fn get(&self, browser: &Browser, path: &str) -> Reply {
        self.send(browser.request("GET", path, &Value::Null)).await
    }

    /// Raises an alert of two steps and stores the activities it stands on.
    pub async fn raise(&self, number: u128, score: u8) {
        let events: Vec<Event> = (1..=3).map(|seq| exec(self.endpoint, seq)).collect();
        let step = |event: &Event| Highlight {
            detection: detection("filter-1", Layer::Filter, Level::Medium),
            events: vec![event.id],
            time: event.time,
            process: event.process.uid.as_deref().unwrap().to_owned(),
            matched: Vec::new(),
            count: 1,
        };
        let hit = |event: &Event| Hit {
            detection: detection("filter-1", Layer::Filter, Level::Medium),
            event: event.id,
            time: event.time,
            process: event.process.uid.as_deref().unwrap().to_owned(),
            storyline: "p1".into(),
            matched: Vec::new(),
            excepted: None,
        };
        let alert = Alert {
            id: AlertId::from_u128(number),
            revision: 1,
            detection: detection("model-1", Layer::Model, Level::High),
            also: Vec::new(),
            endpoint: self.endpoint,
            storyline: "p1".into(),
            score,
            parts: Vec::new(),
            highlights: events[1..].iter().map(step).collect(),
            first: events[1].time,
            last: events[2].time,
        };
        let brief = ProcessBrief { name: Some("sh".into()), exe: None, user: Some("u".into()) };
        let context = AlertContext {
            host: Some("h1".into()),
            processes: [("p2".to_owned(), brief)].into(),
            ..AlertContext::default()
        };
        let found = Detected {
            hits: events[1..].iter().map(hit).collect(),
            alerts: vec![(alert, context)],
            ..Detected::default()
        };
        *self.memory.events.lock().unwrap() = events;
        self.catalog.store_detected(now(), found).await.unwrap();
    }
}

/// A filter, and a model that raises an alert of it.
fn shipped() -> Vec<Shipped> {
    let filter = "title: Any shell\nid: filter-1\nlevel: medium\ntags: [attack.t1059.004, \
                  attack.execution]\nlogsource: {product: linux, category: \
                  process_creation}\ndetection: {s: {Image|endswith: /sh}, condition: s}\n";
    let model = "title: title of model-1\nid: model-1\nlevel: high\nmodel:\n  timespan: 24h\n  \
                 threshold: 10\n";
    let shipped = |path: &str, text: &str| Shipped {
        path: path.into(),
        text: text.into(),
        page: "# The page".into(),
        samples: vec![Sample { name: "seen.json".into(), fires: true }],
    };
    vec![shipped("content/filters/filter-1.yml", filter), shipped("content/models/m.yml", model)]
}

impl Browser {
    /// A request as the console sends it.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Request<Body> {
        let mut request = json_request(method, path, body);
        let headers = request.headers_mut();
        headers.insert(header::COOKIE, self.cookie.parse().unwrap());
        headers.insert("x-csrf", self.csrf.parse().unwrap());
        headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        request
    }
}

pub fn json_request(method: &str, path: &str, body: &Value) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST)
        .header(header::CONTENT_TYPE, "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    request.body(body).unwrap()
}

pub fn detection(id: &str, layer: Layer, level: Level) -> DetectionRef {
    DetectionRef {
        id: id.to_owned(),
        title: format!("title of {id}"),
        layer,
        level,
        techniques: vec!["T1059.004".to_owned()],
        tactics: vec!["execution".to_owned()],
    }
}

/// Process `pN`, child of `pN-1`, started a minute ago.
pub fn exec(endpoint: EndpointId, seq: u64) -> Event {
    let start: Timestamp = now().plus_nanos(-60_000_000_000 + i64::try_from(seq).unwrap());
    let mut event = Event::empty(Kind::ProcessExec);
    event.id = EventId { endpoint, seq, ..EventId::default() };
    event.time = start;
    event.host = Some("h1".into());
    event.activity = Activity::Process(ProcessActivity::Exec);
    event.process = Arc::new(Process {
        uid: Some(format!("p{seq}").into()),
        pid: Some(seq),
        start_time: Some(start),
        name: Some("sh".into()),
        exe_inode: Some(u64::MAX),
        parent_uid: Some(format!("p{}", seq - 1).into()),
        parent_name: Some("init".into()),
        storyline: Some("p1".into()),
        ..Process::default()
    });
    event
}
