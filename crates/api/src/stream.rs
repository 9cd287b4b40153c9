//! One stream of what changes: server-sent events `alert`, `endpoint`, `plan`, `stats`, `resync`.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;

/// Data of a `stats` event: how the server is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stats {
    /// Activities taken in since the server started.
    pub events_total: u64,
    /// Resent activities that were recognised and passed over.
    pub duplicates_total: u64,
    /// Activities stored that detection has not yet seen.
    pub detect_lag: u64,
    /// Hits since the server started.
    pub hits_total: u64,
    /// New alerts since the server started.
    pub alerts_total: u64,
    /// Sensors connected now.
    pub connected: u64,
}

/// What changes, as server-sent events. `alert` carries an AlertSummary, `endpoint` an
/// Endpoint, `plan` a Plan, `stats` a Stats; `resync` says that events were missed: load anew.
#[utoipa::path(get, path = "/api/v1/stream", operation_id = "stream", tag = "stream",
    responses((status = 200, body = Stats, content_type = "text/event-stream"), (status = 401, body = Problem)))]
async fn stream(State(app): State<App>, account: Account) -> Result<String, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream))
}
