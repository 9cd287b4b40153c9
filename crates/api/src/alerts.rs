//! Alerts: the list by score with facets, one alert explained, triage with conflict notice.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::{EventRow, FacetValue, Highlight, Level, Loss, ProcessRef, ScorePart, Time};

/// Where an alert stands in triage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// Nobody looked yet.
    New,
    /// Somebody is at it.
    InProgress,
    /// Done.
    Closed,
}

/// What it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertFinding {
    /// A real attack.
    TruePositive,
    /// It happened as described, and was allowed.
    Benign,
    /// The detection was wrong.
    FalsePositive,
}

/// What the list and the page of an alert have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertCore {
    /// Identity.
    pub id: String,
    /// Title of the model.
    pub title: String,
    /// The model's id.
    pub detection_id: String,
    /// 0 to 99.
    pub score: u8,
    /// Level.
    pub level: Level,
    /// Where it stands.
    pub status: AlertStatus,
    /// What it turned out to be; null while open.
    pub finding: Option<AlertFinding>,
    /// Who is at it.
    pub assignee: Option<String>,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// User, where known.
    pub user: Option<String>,
    /// ATT&CK techniques of all steps.
    pub techniques: Vec<String>,
    /// ATT&CK tactics of all steps.
    pub tactics: Vec<String>,
    /// Time of the first step.
    pub first: Time,
    /// Time of the last step.
    pub last: Time,
    /// When it was first raised.
    pub created: Time,
    /// Identity of the storyline's root process.
    pub storyline: String,
    /// Version of what was detected; grows while the storyline goes on.
    pub revision: u32,
    /// Version of the triage state, for `expected_version`.
    pub version: u32,
    /// The process that matters most.
    pub process: Option<ProcessRef>,
}

/// One alert in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertSummary {
    /// What it is.
    #[serde(flatten)]
    pub core: AlertCore,
    /// How many steps.
    pub highlights: u32,
}

/// One entry of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertHistory {
    /// When.
    pub time: Time,
    /// Who; `server` for the server itself.
    pub actor: String,
    /// What, for people.
    pub what: String,
}

/// One alert, explained.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Alert {
    /// What it is.
    #[serde(flatten)]
    pub core: AlertCore,
    /// What the score is made of.
    pub parts: Vec<ScorePart>,
    /// The steps, by time.
    pub highlights: Vec<Highlight>,
    /// The detection's page, as markdown.
    pub page: String,
    /// What was lost on this endpoint around the alert.
    pub loss: Vec<Loss>,
    /// Who did what with it.
    pub history: Vec<AlertHistory>,
}

/// Facets over the filtered alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertFacets {
    /// By status.
    pub status: Vec<FacetValue>,
    /// By level.
    pub level: Vec<FacetValue>,
    /// By host.
    pub host: Vec<FacetValue>,
    /// By tactic.
    pub tactic: Vec<FacetValue>,
    /// By detection id.
    pub detection: Vec<FacetValue>,
    /// By assignee; the empty value stands for nobody.
    pub assignee: Vec<FacetValue>,
}

/// A page of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertPage {
    /// The alerts.
    pub items: Vec<AlertSummary>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many match.
    pub total: u64,
    /// Facets over all that match.
    pub facets: AlertFacets,
}

/// What to list. Lists are comma-separated.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// `new`, `in_progress`, `closed`, or several.
    pub status: Option<String>,
    /// Levels.
    pub level: Option<String>,
    /// Endpoint id.
    pub endpoint: Option<String>,
    /// Host name.
    pub host: Option<String>,
    /// ATT&CK technique; a technique includes its sub-techniques.
    pub technique: Option<String>,
    /// ATT&CK tactic.
    pub tactic: Option<String>,
    /// Detection id.
    pub detection: Option<String>,
    /// Account; `none` for unassigned, `me` for the own.
    pub assignee: Option<String>,
    /// Words that title, host, user or process must hold.
    pub q: Option<String>,
    /// Lowest score.
    pub min_score: Option<u8>,
    /// `score` (default), `created`, `last`.
    pub sort: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 50 by default.
    pub limit: Option<u32>,
}

/// A change in triage. What is left out stays as it is; an empty text clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct AlertPatch {
    /// New status.
    pub status: Option<AlertStatus>,
    /// New finding: `true_positive`, `benign`, `false_positive`, or empty to clear.
    pub finding: Option<String>,
    /// New assignee: an account, `me`, or empty to clear.
    pub assignee: Option<String>,
    /// A note for the history.
    pub note: Option<String>,
    /// The `version` the change is based on.
    pub expected_version: u32,
}

/// Activities around an alert, by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Timeline {
    /// The activities.
    pub items: Vec<EventRow>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// What was lost meanwhile.
    pub loss: Vec<Loss>,
}

/// Where to go on in a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many.
    pub limit: Option<u32>,
}

/// Alerts that match, highest score first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "list_alerts", tag = "alerts",
    params(AlertQuery),
    responses((status = 200, body = AlertPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_alerts(
    State(app): State<App>,
    account: Account,
    Query(query): Query<AlertQuery>,
) -> Result<Json<AlertPage>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// One alert, explained.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", operation_id = "get_alert", tag = "alerts",
    params(("id" = String, Path, description = "Alert id")),
    responses((status = 200, body = Alert), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_alert(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<Alert>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Changes status, finding, assignee, or adds a note; 409 when somebody else changed it meanwhile.
#[utoipa::path(patch, path = "/api/v1/alerts/{id}", operation_id = "patch_alert", tag = "alerts",
    params(("id" = String, Path, description = "Alert id")), request_body = AlertPatch,
    responses((status = 200, body = AlertSummary), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn patch_alert(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
    Json(patch): Json<AlertPatch>,
) -> Result<Json<AlertSummary>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Activities of the alert's storyline, by time.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/timeline", operation_id = "get_alert_timeline", tag = "alerts",
    params(("id" = String, Path, description = "Alert id"), PageQuery),
    responses((status = 200, body = Timeline), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_alert_timeline(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Timeline>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_alerts))
        .routes(routes!(get_alert, patch_alert))
        .routes(routes!(get_alert_timeline))
}
