//! Observed techniques: ATT&CK techniques by real hits.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::PageQuery;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::{DetectionRef, Level, Matched, Time};

/// A detection and how often it struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DetectionCount {
    /// Detection id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Hits.
    pub count: u64,
}

/// One observed technique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Technique {
    /// ATT&CK id.
    pub id: String,
    /// Name; the id where no name is known.
    pub name: String,
    /// Tactics it was seen under.
    pub tactics: Vec<String>,
    /// Hits in the range.
    pub count: u64,
    /// Endpoints with at least one hit.
    pub endpoints: u64,
    /// The last hit.
    pub last: Time,
    /// Highest level among the hits.
    pub level: Level,
    /// The detections that struck.
    pub detections: Vec<DetectionCount>,
}

/// Observed techniques.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TechniqueList {
    /// Most frequent first.
    pub items: Vec<Technique>,
}

/// One hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hit {
    /// What struck.
    pub detection: DetectionRef,
    /// Identity of the activity.
    pub event: String,
    /// Time of the activity.
    pub time: Time,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// Process that acted.
    pub process: String,
    /// Root of its storyline.
    pub storyline: String,
    /// Why.
    pub matched: Vec<Matched>,
}

/// A page of hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HitPage {
    /// Newest first.
    pub items: Vec<Hit>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Which range.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    /// From when (RFC 3339); a day before `to` by default.
    pub from: Option<String>,
    /// Until when (RFC 3339); now by default.
    pub to: Option<String>,
}

/// Techniques observed in a range.
#[utoipa::path(get, path = "/api/v1/techniques", operation_id = "list_techniques", tag = "techniques", params(RangeQuery),
    responses((status = 200, body = TechniqueList), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_techniques(
    State(app): State<App>,
    account: Account,
    Query(range): Query<RangeQuery>,
) -> Result<Json<TechniqueList>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// The hits of one technique, its sub-techniques included.
#[utoipa::path(get, path = "/api/v1/techniques/{id}/hits", operation_id = "list_technique_hits", tag = "techniques",
    params(("id" = String, Path, description = "ATT&CK technique id"), PageQuery),
    responses((status = 200, body = HitPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_technique_hits(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<HitPage>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_techniques)).routes(routes!(list_technique_hits))
}
