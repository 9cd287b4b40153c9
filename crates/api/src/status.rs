//! How the server is: what it took in, and whether it can store what comes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::Time;
use crate::stream::Stats;

/// Whether the server stores what sensors send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StorageState {
    /// The last batch was stored, or none came yet.
    #[default]
    Ok,
    /// The last batch was not stored: sensors keep what they see, as long as their own disks have
    /// room, and send it again.
    Refusing,
}

/// The server's storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Storage {
    /// Whether it takes what comes.
    pub state: StorageState,
    /// Since when it does not; null while it does.
    pub since: Option<Time>,
    /// Why it does not and what to do, for people; null while it does.
    pub reason: Option<String>,
    /// Bytes free for the server on the disk of its data folder; null when that cannot be told.
    pub free_bytes: Option<u64>,
    /// Batches not stored since the server started, each attempt counted.
    pub refused_batches: u64,
}

/// How the server is; the stream sends the same as `stats`.
#[utoipa::path(get, path = "/api/v1/status", operation_id = "get_status", tag = "overview",
    responses((status = 200, body = Stats), (status = 401, body = Problem)))]
async fn get_status(State(app): State<App>, _account: Account) -> Json<Stats> {
    Json(app.status.stats())
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_status))
}
