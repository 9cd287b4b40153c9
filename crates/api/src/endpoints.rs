//! Endpoints: where sensors stand, what they can see, what they lost.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::{Loss, Time};

/// Whether an endpoint is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointStatus {
    /// Within the last half minute.
    Online,
    /// Within the last quarter of an hour.
    Stale,
    /// Not for longer, or never.
    Offline,
}

/// One hook that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HookTrial {
    /// The tier it belongs to: `lsm`, `tracing` or `interfaces`.
    pub tier: String,
    /// The kernel's name for it.
    pub hook: String,
    /// What it is for.
    pub purpose: String,
    /// `works`, `refused` or `not_tried`.
    pub outcome: String,
    /// Why not.
    pub reason: Option<String>,
}

/// Something that cannot be seen there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlindSpot {
    /// Stable code.
    pub code: String,
    /// Affected classes of activity.
    pub activities: Vec<String>,
    /// Why, and what would open the eye.
    pub reason: String,
}

/// A fact about the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostFact {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// What the sensor can see and stop there, found by trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Coverage {
    /// The tier in force: `lsm`, `tracing` or `interfaces`.
    pub tier: String,
    /// Every hook tried.
    pub hooks: Vec<HookTrial>,
    /// What stays unseen.
    pub blind: Vec<BlindSpot>,
    /// Facts about the host.
    pub facts: Vec<HostFact>,
    /// Classes of activity it delivers.
    pub sees: Vec<String>,
}

/// How the sensor is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EndpointHealth {
    /// Age of the oldest activity not yet acknowledged, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Bytes waiting on its disk.
    pub spool_bytes: Option<u64>,
    /// Activities lost since it started.
    pub lost_total: Option<u64>,
    /// CPU time used since it started, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Resident memory in bytes.
    pub rss_bytes: Option<u64>,
    /// Activities produced since it started.
    pub events_total: Option<u64>,
    /// Detections that struck on the sensor since it started.
    pub edge_hits: Option<u64>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Endpoint {
    /// Identity.
    pub id: String,
    /// Host name.
    pub host: String,
    /// Operating system.
    pub os: Option<String>,
    /// Kernel.
    pub kernel: Option<String>,
    /// Tier in force: 1, 2 or 3.
    pub tier: Option<u8>,
    /// Whether it is heard of.
    pub status: EndpointStatus,
    /// When it was enrolled.
    pub enrolled: Time,
    /// When it was last heard of.
    pub last_seen: Option<Time>,
    /// Version of the sensor.
    pub version: Option<String>,
    /// Policy in force there.
    pub policy_version: Option<String>,
    /// Content in force there.
    pub content_version: Option<String>,
    /// What the sensor watches: `host`, or a control group's path.
    pub scope: Option<String>,
    /// How much its clock is ahead of the server's, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// How the sensor is.
    pub health: EndpointHealth,
    /// What it can see; null until it said so.
    pub coverage: Option<Coverage>,
    /// What was lost there in the last 24 hours.
    pub loss: Vec<Loss>,
    /// Reasons to look after it.
    pub degraded: Vec<String>,
}

/// All endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EndpointList {
    /// By host name.
    pub items: Vec<Endpoint>,
}

/// Every endpoint.
#[utoipa::path(get, path = "/api/v1/endpoints", operation_id = "list_endpoints", tag = "endpoints",
    responses((status = 200, body = EndpointList), (status = 401, body = Problem)))]
async fn list_endpoints(
    State(app): State<App>,
    account: Account,
) -> Result<Json<EndpointList>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// One endpoint.
#[utoipa::path(get, path = "/api/v1/endpoints/{id}", operation_id = "get_endpoint", tag = "endpoints",
    params(("id" = String, Path, description = "Endpoint id")),
    responses((status = 200, body = Endpoint), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_endpoint(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<Endpoint>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_endpoints)).routes(routes!(get_endpoint))
}
