//! Recordings of incidents: events from files into history, and what detection would have said.
//!
//! A recording is opened by name, filled by chunks of lines, and detected on in slices until a report
//! comes. Each step may be repeated: what is known is passed over.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use metsuke_catalog::{self as catalog, RecordingState};
use metsuke_event::finding::Level;
use metsuke_event::{Event, ecs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Account, Admin};
use crate::body::{Body, Params};
use crate::problem::Problem;
use crate::shape::Time;

/// Bytes of one chunk: some thousand events of Windows.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Recordings there may be: each is a deliberate deed of an administrator.
const MAX_RECORDINGS: usize = 10_000;

/// A recorded host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordedHost {
    /// The endpoint made for it.
    pub endpoint: String,
    /// Host name, as recorded.
    pub host: String,
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Recording {
    /// Identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who brought it in.
    pub actor: String,
    /// When.
    pub created: Time,
    /// `open` while events come in, `detected` once detection ran over all of it.
    pub state: String,
    /// Events stored.
    pub events: u64,
    /// The recorded hosts.
    pub hosts: Vec<RecordedHost>,
    /// What detection found, as `metsuke replay` prints it; null before.
    pub report: Option<Value>,
}

/// Every recording.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RecordingList {
    /// The recordings, by name, without their reports.
    pub items: Vec<Recording>,
}

/// Which recording to open.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct RecordingRequest {
    /// Its name, 1 to 100 characters.
    pub name: String,
}

/// What became of a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordingTaken {
    /// Events stored.
    pub taken: u64,
    /// Events that were there already.
    pub known: u64,
}

/// How far detection got.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RecordingSlice {
    /// Whether it is done; ask again until it is.
    pub done: bool,
    /// Events seen.
    pub events: u64,
    /// Events in all.
    pub total: u64,
    /// What it found; null until it is done.
    pub report: Option<Value>,
}

/// What if.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DetectQuery {
    /// What if alerts and hits of this level and above ended their process: `medium`, `high`, `critical`.
    pub stop_at: Option<String>,
}

/// Every recording.
#[utoipa::path(get, path = "/api/v1/recordings", operation_id = "list_recordings", tag = "recordings",
    responses((status = 200, body = RecordingList), (status = 401, body = Problem)))]
async fn list_recordings(
    State(app): State<App>,
    _account: Account,
) -> Result<Json<RecordingList>, Problem> {
    let records = app.catalog.recordings().await?.into_iter();
    let items = records.map(|record| Recording { report: None, ..shape(record) }).collect();
    Ok(Json(RecordingList { items }))
}

/// One recording, with what detection found.
#[utoipa::path(get, path = "/api/v1/recordings/{id}", operation_id = "get_recording", tag = "recordings",
    params(("id" = String, Path, description = "Recording id")),
    responses((status = 200, body = Recording), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_recording(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Recording>, Problem> {
    Ok(Json(shape(load(&app, &id).await?)))
}

/// Opens the recording of a name; the same one when it is there.
#[utoipa::path(post, path = "/api/v1/recordings", operation_id = "open_recording", tag = "recordings",
    request_body = RecordingRequest,
    responses((status = 200, body = Recording), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn open_recording(
    State(app): State<App>,
    Admin(account): Admin,
    Body(request): Body<RecordingRequest>,
) -> Result<Json<Recording>, Problem> {
    let name = request.name.trim();
    let chars = name.chars().count();
    if chars == 0 || chars > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "`name` has 1 to {MAX_NAME_CHARS} characters, none of them a control character"
        )));
    }
    let known = app.catalog.recordings().await?;
    if known.len() >= MAX_RECORDINGS && known.iter().all(|one| one.name != name) {
        return Err(Problem::conflict(format!("there are {MAX_RECORDINGS} recordings already")));
    }
    let record = app.catalog.open_recording(now(), account.name(), name).await?;
    Ok(Json(shape(record)))
}

/// Takes events: one a line, as ECS in the form of this product, with boot and number.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/events", operation_id = "add_recorded_events", tag = "recordings",
    params(("id" = String, Path, description = "Recording id")),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = RecordingTaken), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem)))]
async fn add_recorded_events(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<RecordingTaken>, Problem> {
    let record = load(&app, &id).await?;
    let body = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "too_large", format!("a chunk has at most {CHUNK_BYTES} bytes"))
        }
        _ => Problem::invalid(rejection.body_text()),
    })?;
    let read = tokio::task::spawn_blocking(move || read(&body)).await;
    let events = read.map_err(|error| Problem::internal("reading a chunk", &error))??;
    let (taken, known) = app.recordings.take(&record.name, account.name(), events).await?;
    Ok(Json(RecordingTaken { taken, known }))
}

/// Detects on the recording for some seconds, from where the call before ended.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/detect", operation_id = "detect_recording", tag = "recordings",
    params(("id" = String, Path, description = "Recording id"), DetectQuery),
    responses((status = 200, body = RecordingSlice), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn detect_recording(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
    Params(query): Params<DetectQuery>,
) -> Result<Json<RecordingSlice>, Problem> {
    let record = load(&app, &id).await?;
    let stop_at = match query.stop_at.as_deref().unwrap_or_default() {
        "" => None,
        "medium" => Some(Level::Medium),
        "high" => Some(Level::High),
        "critical" => Some(Level::Critical),
        _ => return Err(Problem::invalid("`stop_at` is `medium`, `high` or `critical`")),
    };
    let step = app.recordings.detect(&record.name, account.name(), stop_at).await?;
    Ok(Json(RecordingSlice {
        done: step.report.is_some(),
        events: step.events,
        total: step.total,
        report: step.report,
    }))
}

/// Takes a recording out: it, its hosts and what detection found on them. Its events stay in the store,
/// where nothing is deleted singly; opened again by its name, it has them.
#[utoipa::path(delete, path = "/api/v1/recordings/{id}", operation_id = "remove_recording", tag = "recordings",
    params(("id" = String, Path, description = "Recording id")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_recording(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let record = load(&app, &id).await?;
    app.recordings.remove(&record.name, account.name()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The events of a chunk; all of it is refused when one cannot be read, for then its sender is wrong.
fn read(body: &[u8]) -> Result<Vec<Event>, Problem> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let event = |(number, line): (usize, &[u8])| {
        let broken = |why: String| Problem::invalid(format!("line {}: {why}", number + 1));
        let json: Value =
            serde_json::from_slice(line).map_err(|error| broken(error.to_string()))?;
        ecs::from_ecs(&json).map_err(|error| broken(error.to_string()))
    };
    lines.map(event).collect()
}

async fn load(app: &App, id: &str) -> Result<catalog::RecordingRecord, Problem> {
    let records = app.catalog.recordings().await?;
    let found = records.into_iter().find(|record| record.id() == id);
    found.ok_or_else(|| Problem::not_found("recording"))
}

fn shape(record: catalog::RecordingRecord) -> Recording {
    let state = match record.state {
        RecordingState::Detected => "detected",
        // One that was removed is shown to nobody.
        RecordingState::Open | RecordingState::Removed => "open",
    };
    let hosts = record.hosts.iter();
    Recording {
        id: record.id(),
        actor: record.actor,
        created: record.created.into(),
        state: state.to_owned(),
        events: record.events,
        hosts: hosts
            .map(|(id, host)| RecordedHost { endpoint: id.to_string(), host: host.clone() })
            .collect(),
        report: record.report.and_then(|text| serde_json::from_str(&text).ok()),
        name: record.name,
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    let take = OpenApiRouter::new()
        .routes(routes!(add_recorded_events))
        .layer(DefaultBodyLimit::max(CHUNK_BYTES));
    OpenApiRouter::new()
        .merge(take)
        .routes(routes!(list_recordings, open_recording))
        .routes(routes!(get_recording, remove_recording))
        .routes(routes!(detect_recording))
}
