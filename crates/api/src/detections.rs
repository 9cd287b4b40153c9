//! Detections: the catalogue with how each does, documents of one's own, tuning.

mod import;
mod shape;

use std::sync::Arc;

use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use metsuke_catalog::DetectionStats;
use metsuke_catalog::clock::now;
use metsuke_control::library::{ChangeError, DOCUMENT_MAX, InForce, Severity, TuningChange, Wish};
use metsuke_detect::Meta;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Account, Admin};
use crate::body::Body;
use crate::problem::Problem;

pub use import::{
    ImportAnswer, ImportDocument, ImportQuery, ImportRefusal, ImportRequest, ImportTaken,
};
pub(crate) use shape::problems;
pub use shape::{
    CheckAnswer, DayHits, Detection, DetectionCost, DetectionDetail, DetectionList,
    DetectionStats as Stats, DetectionTest, DocumentRequest, FindingCounts, Origin,
    RefusedDocument, TestKind, TextProblem, TextSeverity, Tuning, TuningRequest,
};

/// Days of hits shown of one detection.
const DAYS: u16 = 30;
/// Longest reason, in characters.
pub(crate) const MAX_REASON_CHARS: usize = 1_000;
/// Largest body with a document: JSON writes some characters as six.
const MAX_BODY_BYTES: usize = 2 * DOCUMENT_MAX;

/// The detections in force on the server, and the documents that were refused with the reason.
#[utoipa::path(get, path = "/api/v1/detections", operation_id = "list_detections", tag = "detections",
    responses((status = 200, body = DetectionList), (status = 401, body = Problem)))]
async fn list_detections(
    State(app): State<App>,
    _account: Account,
) -> Result<Json<DetectionList>, Problem> {
    let force = app.library.in_force();
    let stats = app.catalog.detection_stats(now()).await?;
    let costs = app.status.costs();
    let items = force.rules.all().map(|meta| {
        let id = &meta.detection.id;
        let stats = stats.get(id).copied().unwrap_or_default();
        shape::item(&force, meta, &stats, costs.get(id).copied())
    });
    let items = items.collect();
    let refused = force.refused.iter().map(|document| RefusedDocument {
        path: document.path.clone(),
        reason: document.to_string(),
    });
    let refused = refused.collect();
    Ok(Json(DetectionList { items, refused, content_version: force.version.clone() }))
}

/// One detection with its document, its samples and its hits per day.
#[utoipa::path(get, path = "/api/v1/detections/{id}", operation_id = "get_detection", tag = "detections",
    params(("id" = String, Path, description = "Detection id")),
    responses((status = 200, body = DetectionDetail), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_detection(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<DetectionDetail>, Problem> {
    let force = app.library.in_force();
    let item = item(&app, &force, &id).await?;
    let known = force.known(&id).ok_or_else(|| Problem::not_found("detection"))?;
    let days = app.catalog.hits_per_day(now(), &id, DAYS).await?;
    Ok(Json(DetectionDetail {
        item,
        document: known.text.clone(),
        per_day: days.into_iter().map(DayHits::from).collect(),
        tests: known.samples.iter().map(DetectionTest::from).collect(),
    }))
}

async fn item(app: &App, force: &Arc<InForce>, id: &str) -> Result<Detection, Problem> {
    let meta = meta(force, id)?;
    let stats = app.catalog.detection_stats(now()).await?;
    let stats: DetectionStats = stats.get(id).copied().unwrap_or_default();
    Ok(shape::item(force, meta, &stats, app.status.costs().get(id).copied()))
}

fn meta<'f>(force: &'f InForce, id: &str) -> Result<&'f Meta, Problem> {
    force.meta(id).ok_or_else(|| Problem::not_found("detection"))
}

/// Judges a document as if it were put, without putting it.
#[utoipa::path(post, path = "/api/v1/detections/check", operation_id = "check_detection", tag = "detections",
    request_body = DocumentRequest,
    responses((status = 200, body = CheckAnswer), (status = 400, body = Problem), (status = 401, body = Problem), (status = 503, body = Problem)))]
async fn check_detection(
    State(app): State<App>,
    _account: Account,
    Body(request): Body<DocumentRequest>,
) -> Result<Json<CheckAnswer>, Problem> {
    if request.text.len() > DOCUMENT_MAX {
        return Err(Problem::invalid(format!("a document has at most {DOCUMENT_MAX} bytes")));
    }
    let checked = app.library.check(request.text).await?;
    Ok(Json(CheckAnswer {
        ok: checked.faults.iter().all(|fault| fault.severity == Severity::Warning),
        problems: problems(checked.faults),
        detection: checked.detection.map(Into::into),
    }))
}

/// Puts a document of the site's own, new or in place of the one it had; 409 for one that ships or
/// was imported. It is in force at once, here and on sensors.
#[utoipa::path(put, path = "/api/v1/detections/{id}", operation_id = "put_detection", tag = "detections",
    params(("id" = String, Path, description = "Detection id, the document's own")), request_body = DocumentRequest,
    responses((status = 200, body = Detection), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn put_detection(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
    Body(request): Body<DocumentRequest>,
) -> Result<Json<Detection>, Problem> {
    app.library.put(account.name(), &id, request.text).await?;
    Ok(Json(item(&app, &app.library.in_force(), &id).await?))
}

/// Removes a document that is the site's own or was imported.
#[utoipa::path(delete, path = "/api/v1/detections/{id}", operation_id = "remove_detection", tag = "detections",
    params(("id" = String, Path, description = "Detection id")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn remove_detection(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.library.remove(account.name(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enables, disables or re-levels a detection, everywhere or for a group. What is left out stays as
/// it is; `null` takes back what was said.
#[utoipa::path(put, path = "/api/v1/detections/{id}/tuning", operation_id = "tune_detection", tag = "detections",
    params(("id" = String, Path, description = "Detection id")), request_body = TuningRequest,
    responses((status = 200, body = Detection), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn tune_detection(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
    Body(request): Body<TuningRequest>,
) -> Result<Json<Detection>, Problem> {
    let reason = reason(&request.reason)?;
    let change = TuningChange {
        detection: id.clone(),
        group: request.group.filter(|name| !name.is_empty()),
        enabled: wish(request.enabled),
        level: wish(request.level.map(|level| level.map(Into::into))),
        reason,
        actor: account.name().to_owned(),
    };
    app.library.tune(change).await?;
    Ok(Json(item(&app, &app.library.in_force(), &id).await?))
}

#[expect(clippy::option_option, reason = "null and left out are different wishes")]
fn wish<T>(asked: Option<Option<T>>) -> Wish<T> {
    match asked {
        None => Wish::Leave,
        Some(None) => Wish::Nothing,
        Some(Some(value)) => Wish::Say(value),
    }
}

/// A reason, which every change that hides something has.
pub(crate) fn reason(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_REASON_CHARS {
        return Err(Problem::invalid(format!(
            "`reason` has 1 to {MAX_REASON_CHARS} characters: say why"
        )));
    }
    Ok(text.to_owned())
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound(what) => Self::not_found(what),
            ChangeError::NotOwn(why) => Self::conflict(why),
            refused @ (ChangeError::Invalid(_) | ChangeError::Refused(_)) => {
                Self::invalid(refused.to_string())
            }
            busy @ ChangeError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", busy.to_string())
            }
            ChangeError::Content(metsuke_control::ContentError::Catalog(error)) => error.into(),
            ChangeError::Content(error) => Self::internal("the content", &error),
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    let documents = OpenApiRouter::new()
        .routes(routes!(get_detection, put_detection, remove_detection))
        .routes(routes!(check_detection));
    OpenApiRouter::new()
        .routes(routes!(list_detections))
        .routes(routes!(tune_detection))
        .merge(documents.layer(DefaultBodyLimit::max(MAX_BODY_BYTES)))
        .merge(import::routes())
}
