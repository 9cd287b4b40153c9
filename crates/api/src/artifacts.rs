//! Artifacts: what plans brought from endpoints, and its bytes.
//!
//! Invariant: the bytes are only ever handed out as an attachment of no particular type: what came
//! from an endpoint is never shown by a browser. Invariant: who takes them stands in the audit log
//! before the first byte goes out.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metsuke_catalog::clock::now;
use metsuke_catalog::{ArtifactFilter, ArtifactRecord};
use metsuke_event::id::PlanId;
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Account, Admin};
use crate::body::{self, Params};
use crate::hosts::Hosts;
use crate::paging::{At, Page};
use crate::problem::Problem;
use crate::responses::id;
use crate::shape::Time;

/// Bytes read at once for a download.
const BLOCK: usize = 128 << 10;

/// One artifact.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Artifact {
    /// The plan that brought it, and its identity.
    pub plan: String,
    /// Where it was taken.
    pub endpoint: String,
    /// Its host name, where known.
    pub host: Option<String>,
    /// What it is: `dump`, `file`, `matches`, `list`, `crossview`.
    pub kind: String,
    /// Of what: a process, a path, the name of a list.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes, lower-case hexadecimal.
    pub sha256: String,
    /// When it was taken, by the sensor's clock.
    pub taken: Time,
    /// When it was stored here.
    pub stored: Time,
    /// What else is known of it; its shape depends on the kind.
    #[schema(value_type = Object)]
    pub meta: serde_json::Value,
}

/// A page of artifacts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ArtifactPage {
    /// Newest first.
    pub items: Vec<Artifact>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Which artifacts.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArtifactQuery {
    /// Endpoint id.
    pub endpoint: Option<String>,
    /// Plan id.
    pub plan: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 50 by default.
    pub limit: Option<u32>,
}

fn shape(record: ArtifactRecord, hosts: &Hosts) -> Artifact {
    Artifact {
        plan: record.plan.to_string(),
        endpoint: record.endpoint.to_string(),
        host: hosts.of(record.endpoint),
        kind: record.kind,
        name: record.name,
        size: record.size,
        sha256: record.sha256,
        taken: record.taken.into(),
        stored: record.stored.into(),
        meta: record.meta,
    }
}

/// Artifacts, newest first.
#[utoipa::path(get, path = "/api/v1/artifacts", operation_id = "list_artifacts", tag = "responses", params(ArtifactQuery),
    responses((status = 200, body = ArtifactPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_artifacts(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<ArtifactQuery>,
) -> Result<Json<ArtifactPage>, Problem> {
    let page: Page<At<PlanId>> =
        Page::read("artifacts", query.cursor.as_deref(), query.limit, (50, 500))?;
    let filter = ArtifactFilter {
        endpoint: id(query.endpoint.as_deref(), "endpoint")?,
        plan: id(query.plan.as_deref(), "plan")?,
        after: page.after.map(|At(stored, plan)| (stored, plan)),
    };
    let records = app.catalog.artifacts(&filter, page.fetch()).await?;
    let (records, next) = page.cut(records, |record| At(record.stored, record.plan));
    let hosts = Hosts::load(&app).await?;
    let items = records.into_iter().map(|record| shape(record, &hosts)).collect();
    Ok(Json(ArtifactPage { items, next }))
}

async fn record(app: &App, plan: &str) -> Result<ArtifactRecord, Problem> {
    let plan = body::id(plan, "artifact")?;
    app.catalog.artifact(plan).await?.ok_or_else(|| Problem::not_found("artifact"))
}

/// What is known of the artifact that a plan brought.
#[utoipa::path(get, path = "/api/v1/artifacts/{plan}", operation_id = "get_artifact", tag = "responses",
    params(("plan" = String, Path, description = "Plan id")),
    responses((status = 200, body = Artifact), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_artifact(
    State(app): State<App>,
    _account: Account,
    Path(plan): Path<String>,
) -> Result<Json<Artifact>, Problem> {
    let record = record(&app, &plan).await?;
    Ok(Json(shape(record, &Hosts::load(&app).await?)))
}

/// The bytes of an artifact, as an attachment; administrators only, and logged. They may hold
/// secrets of the host, or harm whoever opens them.
#[utoipa::path(get, path = "/api/v1/artifacts/{plan}/content", operation_id = "download_artifact", tag = "responses",
    params(("plan" = String, Path, description = "Plan id")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn download_artifact(
    State(app): State<App>,
    Admin(account): Admin,
    Path(plan): Path<String>,
) -> Result<Response, Problem> {
    let record = record(&app, &plan).await?;
    let failed = |error: std::io::Error| Problem::internal("reading an artifact", &error);
    let file = File::open((app.artifacts)(&record.sha256)).await.map_err(failed)?;
    if file.metadata().await.map_err(failed)?.len() != record.size {
        let error = std::io::Error::other("it is not as long as it was");
        return Err(failed(error));
    }
    let detail = format!("{} {}, sha256 {}", record.kind, record.name, record.sha256);
    let target = record.plan.to_string();
    app.catalog.audit(now(), account.name(), "artifact.download", (&target, &detail)).await?;
    // Kind and plan are words of ours; the name, which is the host's, stands in no header.
    let kind: String = record.kind.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("attachment; filename=\"metsuke-{kind}-{target}.bin\"");
    let value = |text: String| {
        HeaderValue::try_from(text).map_err(|error| Problem::internal("a header", &error))
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, value(name)?),
        (header::CONTENT_LENGTH, record.size.into()),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::ETAG, value(format!("\"{}\"", record.sha256))?),
    ];
    Ok((headers, Body::from_stream(blocks(file))).into_response())
}

/// The file, block by block.
fn blocks(file: File) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures::stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let mut block = vec![0; BLOCK];
        match file.read(&mut block).await {
            Ok(0) => None,
            Ok(count) => {
                block.truncate(count);
                Some((Ok(Bytes::from(block)), Some(file)))
            }
            // Cut off: the client sees fewer bytes than were announced.
            Err(error) => Some((Err(error), None)),
        }
    })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_artifacts))
        .routes(routes!(get_artifact))
        .routes(routes!(download_artifact))
}
