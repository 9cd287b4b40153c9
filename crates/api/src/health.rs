//! How an endpoint's sensor did over time.

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::HealthPoint as Record;
use metsuke_catalog::clock::now;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::body::{self, Params};
use crate::paging;
use crate::problem::Problem;
use crate::shape::Time;

/// Most points of one answer: as many as a chart on a page can show.
const MAX_POINTS: usize = 500;

/// How the sensor did in one minute, or in several taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthPoint {
    /// The beginning of the minute, of the last one when several are taken together.
    pub time: Time,
    /// CPU time used since the sensor started, in milliseconds; of several minutes the last.
    pub cpu_ms: Option<u64>,
    /// Resident memory in bytes; of several minutes the most.
    pub rss_bytes: Option<u64>,
    /// Age of the oldest activity not yet acknowledged, in milliseconds; of several minutes the
    /// most.
    pub lag_ms: Option<u64>,
    /// Bytes waiting on its disk; of several minutes the most.
    pub spool_bytes: Option<u64>,
    /// Activities lost since the sensor started; of several minutes the last.
    pub lost_total: Option<u64>,
    /// Activities produced since the sensor started; of several minutes the last.
    pub events_total: Option<u64>,
    /// How many reasons it gave to look after it; of several minutes the most.
    pub degraded: u64,
}

/// How an endpoint's sensor did over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthHistory {
    /// Oldest first, at most 500. A minute in which nothing was said has no point.
    pub items: Vec<HealthPoint>,
    /// How many minutes are taken together in each point; the last may have fewer.
    pub minutes_per_point: usize,
}

/// Which time.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HealthQuery {
    /// From this time on, RFC 3339; a day before `to` by default.
    pub from: Option<String>,
    /// Before this time; now by default.
    pub to: Option<String>,
}

/// How an endpoint's sensor did, minute by minute; a week is kept.
#[utoipa::path(get, path = "/api/v1/endpoints/{id}/health", operation_id = "get_health", tag = "endpoints",
    params(("id" = String, Path, description = "Endpoint id"), HealthQuery),
    responses((status = 200, body = HealthHistory), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_health(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
    Params(query): Params<HealthQuery>,
) -> Result<Json<HealthHistory>, Problem> {
    let range = paging::range(query.from.as_deref(), query.to.as_deref())?;
    let id = body::id(&id, "endpoint")?;
    if app.catalog.endpoint(id).await?.is_none() {
        return Err(Problem::not_found("endpoint"));
    }
    let records = app.catalog.health(now(), id, (range.from, range.to)).await?;
    Ok(Json(thinned(&records)))
}

fn thinned(records: &[Record]) -> HealthHistory {
    let minutes_per_point = records.len().div_ceil(MAX_POINTS).max(1);
    let items = records.chunks(minutes_per_point).filter_map(together).collect();
    HealthHistory { items, minutes_per_point }
}

/// Several minutes as one point: the last of what only grows, the most of what goes up and down.
fn together(records: &[Record]) -> Option<HealthPoint> {
    let last = records.last()?;
    let most = |read: fn(&Record) -> Option<u64>| records.iter().filter_map(read).max();
    Some(HealthPoint {
        time: last.time.into(),
        cpu_ms: last.cpu_ms,
        rss_bytes: most(|one| one.rss_bytes),
        lag_ms: most(|one| one.lag_ms),
        spool_bytes: most(|one| one.spool_bytes),
        lost_total: last.lost_total,
        events_total: last.events_total,
        degraded: most(|one| Some(one.degraded)).unwrap_or(0),
    })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_health))
}
