//! Responses: plans that change a host, from the request to their end.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::Time;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// End a process or its storyline.
    Terminate,
    /// Make, drop, rename and copy a unique harmless file (the action is compiled into the sensor).
    Poc,
}

/// How far a termination reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseScope {
    /// The process alone.
    Process,
    /// Everything of its storyline.
    Storyline,
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// Waits for its endpoint.
    Queued,
    /// The sensor has it on disk.
    Delivered,
    /// The sensor is at it.
    Running,
    /// Done.
    Done,
    /// It could not be done; the last update says why.
    Failed,
    /// Its time ran out before it was carried out.
    Expired,
    /// Somebody took it back in time.
    Cancelled,
}

/// One step of a plan's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanUpdate {
    /// When.
    pub time: Time,
    /// The state reached.
    pub state: PlanState,
    /// For people.
    pub detail: String,
}

/// One plan.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Plan {
    /// Identity.
    pub id: String,
    /// What.
    pub verb: Verb,
    /// Where.
    pub endpoint: String,
    /// Its host name, where known.
    pub host: Option<String>,
    /// For `terminate`: the process.
    pub target: Option<String>,
    /// For `terminate`: how far.
    pub scope: Option<ResponseScope>,
    /// The alert it was made from.
    pub alert: Option<String>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Where it stands.
    pub state: PlanState,
    /// When it was made.
    pub created: Time,
    /// When it is given up if not carried out.
    pub expires: Time,
    /// Its life so far.
    pub updates: Vec<PlanUpdate>,
    /// What came of it; its shape depends on the verb, null until it is known.
    #[schema(value_type = Object)]
    pub result: Option<serde_json::Value>,
}

/// A page of plans.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlanPage {
    /// Newest first.
    pub items: Vec<Plan>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// What to do, where and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ResponseRequest {
    /// What.
    pub verb: Verb,
    /// Where; for `poc` also `all`.
    pub endpoint: String,
    /// For `terminate`: the process, BOOT-PID-TICKS.
    pub process: Option<String>,
    /// For `terminate`: how far; the process alone by default.
    pub scope: Option<ResponseScope>,
    /// Why; 1 to 500 characters.
    pub reason: String,
    /// The alert it is made from.
    pub alert: Option<String>,
    /// Seconds until it is given up if not carried out, 10 to 604800; 600 by default.
    pub ttl_s: Option<u32>,
    /// For `poc`: the plan whose files are to be removed.
    pub cleanup_of: Option<String>,
}

/// Plans made by one request: one, but for `poc` on all endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlanList {
    /// The plans.
    pub items: Vec<Plan>,
}

/// Which plans.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// Endpoint id.
    pub endpoint: Option<String>,
    /// A state, or `open` for those not ended.
    pub state: Option<String>,
    /// Alert id.
    pub alert: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 50 by default.
    pub limit: Option<u32>,
}

/// Makes a plan. For `poc` with endpoint `all` use `POST /api/v1/responses/all`.
#[utoipa::path(post, path = "/api/v1/responses", operation_id = "create_response", tag = "responses",
    request_body = ResponseRequest,
    responses((status = 201, body = Plan), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn create_response(
    State(app): State<App>,
    account: Account,
    Json(request): Json<ResponseRequest>,
) -> Result<(axum::http::StatusCode, Json<Plan>), Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Makes the same plan for every enrolled endpoint; only `poc` permits that.
#[utoipa::path(post, path = "/api/v1/responses/all", operation_id = "create_response_all", tag = "responses",
    request_body = ResponseRequest,
    responses((status = 201, body = PlanList), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn create_response_all(
    State(app): State<App>,
    account: Account,
    Json(request): Json<ResponseRequest>,
) -> Result<(axum::http::StatusCode, Json<PlanList>), Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Plans, newest first.
#[utoipa::path(get, path = "/api/v1/responses", operation_id = "list_responses", tag = "responses", params(PlanQuery),
    responses((status = 200, body = PlanPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_responses(
    State(app): State<App>,
    account: Account,
    Query(query): Query<PlanQuery>,
) -> Result<Json<PlanPage>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// One plan.
#[utoipa::path(get, path = "/api/v1/responses/{id}", operation_id = "get_response", tag = "responses",
    params(("id" = String, Path, description = "Plan id")),
    responses((status = 200, body = Plan), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_response(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<Plan>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Takes a plan back; 409 when it is too late.
#[utoipa::path(post, path = "/api/v1/responses/{id}/cancel", operation_id = "cancel_response", tag = "responses",
    params(("id" = String, Path, description = "Plan id")),
    responses((status = 200, body = Plan), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn cancel_response(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<Plan>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_response, list_responses))
        .routes(routes!(create_response_all))
        .routes(routes!(get_response))
        .routes(routes!(cancel_response))
}
