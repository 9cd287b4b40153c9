//! What needs me now: counts, the alerts on top, what runs, what is degraded, what was lost.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::AlertSummary;
use crate::auth::Account;
use crate::problem::Problem;
use crate::responses::Plan;
use crate::shape::{Loss, Time};

/// Counts of alerts that are not closed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertCounts {
    /// All.
    pub open: u64,
    /// By level; all five levels are present.
    pub by_level: BTreeMap<String, u64>,
    /// Assigned to me.
    pub mine: u64,
    /// Assigned to nobody.
    pub unassigned: u64,
}

/// Counts of endpoints.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndpointCounts {
    /// Enrolled.
    pub total: u64,
    /// Heard of within the last half minute.
    pub online: u64,
    /// Heard of within the last quarter of an hour.
    pub stale: u64,
    /// With at least one reason to look.
    pub degraded: u64,
}

/// How many alerts began in one hour.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HourCount {
    /// Start of the hour.
    pub time: Time,
    /// Alerts.
    pub count: u64,
}

/// How often a technique was observed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TechniqueCount {
    /// ATT&CK id.
    pub id: String,
    /// Name; the id where no name is known.
    pub name: String,
    /// First of its tactics.
    pub tactic: Option<String>,
    /// Hits in the last 24 hours.
    pub count: u64,
}

/// An endpoint that is not as it should be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Degraded {
    /// Endpoint.
    pub endpoint: String,
    /// Host name.
    pub host: String,
    /// Why, for people.
    pub reasons: Vec<String>,
}

/// The overview.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Open alerts.
    pub alerts: AlertCounts,
    /// Endpoints.
    pub endpoints: EndpointCounts,
    /// The ten open alerts with the highest score.
    pub attention: Vec<AlertSummary>,
    /// Alerts per hour over the last 24 hours.
    pub alerts_per_hour: Vec<HourCount>,
    /// The ten techniques observed most often in the last 24 hours.
    pub techniques: Vec<TechniqueCount>,
    /// Responses on their way.
    pub running: Vec<Plan>,
    /// Endpoints to look after.
    pub degraded: Vec<Degraded>,
    /// What was lost in the last 24 hours.
    pub loss: Vec<Loss>,
}

/// What needs me now.
#[utoipa::path(get, path = "/api/v1/overview", operation_id = "get_overview", tag = "overview",
    responses((status = 200, body = Overview), (status = 401, body = Problem)))]
async fn get_overview(State(app): State<App>, account: Account) -> Result<Json<Overview>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_overview))
}
