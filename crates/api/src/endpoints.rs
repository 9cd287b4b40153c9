//! Endpoints: where sensors stand, what they can see, what they lost.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metsuke_catalog::EndpointRecord;
use metsuke_catalog::clock::now;
use metsuke_event::coverage as event;
use metsuke_event::{LossInterval, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Account, Admin};
use crate::body;
use crate::hosts::loss_of;
use crate::paging;
use crate::problem::Problem;
use crate::shape::{Loss, Time};

/// Heard of within this: online. Sensors speak every five seconds.
const ONLINE_NANOS: i64 = 30 * 1_000_000_000;
/// Heard of within this: stale.
const STALE_NANOS: i64 = 15 * 60 * 1_000_000_000;
/// A clock that differs by more is worth a look, in milliseconds.
const SKEW_MS: i64 = 30_000;
/// Activities that wait longer to be sent are worth a look, in milliseconds.
const LAG_MS: u64 = 30_000;
/// Loss intervals shown of one endpoint; the newest.
const MAX_LOSS: usize = 100;

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

/// A detection that cannot fire there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnableDetection {
    /// The document's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it needs and has not.
    pub why: String,
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
    /// How many detections of the content in force the sensor judged; 0 when it does not tell.
    pub judged: usize,
    /// Those of them that cannot fire there.
    pub cannot_fire: Vec<UnableDetection>,
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
    _account: Account,
) -> Result<Json<EndpointList>, Problem> {
    let records = app.catalog.endpoints().await?;
    let loss = app.telemetry.loss(paging::last_day());
    let items = records.into_iter().map(|record| shape(&app, record, &loss)).collect();
    Ok(Json(EndpointList { items }))
}

/// One endpoint.
#[utoipa::path(get, path = "/api/v1/endpoints/{id}", operation_id = "get_endpoint", tag = "endpoints",
    params(("id" = String, Path, description = "Endpoint id")),
    responses((status = 200, body = Endpoint), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_endpoint(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<Endpoint>, Problem> {
    let id = body::id(&id, "endpoint")?;
    let record = app.catalog.endpoint(id).await?;
    let record = record.ok_or_else(|| Problem::not_found("endpoint"))?;
    let loss = app.telemetry.loss(paging::last_day());
    Ok(Json(shape(&app, record, &loss)))
}

/// Removes an endpoint: its certificate is refused from now on. What it reported stays.
#[utoipa::path(delete, path = "/api/v1/endpoints/{id}", operation_id = "remove_endpoint", tag = "endpoints",
    params(("id" = String, Path, description = "Endpoint id")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_endpoint(
    State(app): State<App>,
    Admin(admin): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = body::id(&id, "endpoint")?;
    app.catalog.remove_endpoint(now(), admin.name(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<event::Coverage> for Coverage {
    fn from(coverage: event::Coverage) -> Self {
        let tier = |tier: event::Tier| match tier {
            event::Tier::Lsm => "lsm".to_owned(),
            event::Tier::Tracing => "tracing".to_owned(),
            event::Tier::Interfaces => "interfaces".to_owned(),
        };
        let trial = |trial: event::HookTrial| {
            let (outcome, reason) = match trial.outcome {
                event::Outcome::Works => ("works", None),
                event::Outcome::Refused { reason } => ("refused", Some(reason)),
                event::Outcome::NotTried { reason } => ("not_tried", Some(reason)),
            };
            HookTrial {
                tier: tier(trial.tier),
                hook: trial.hook,
                purpose: trial.purpose,
                outcome: outcome.to_owned(),
                reason,
            }
        };
        let blind = |blind: event::BlindSpot| BlindSpot {
            code: blind.code,
            activities: blind.activities,
            reason: blind.reason,
        };
        let fact = |fact: event::HostFact| HostFact { name: fact.name, value: fact.value };
        Self {
            tier: tier(coverage.tier),
            hooks: coverage.hooks.into_iter().map(trial).collect(),
            blind: coverage.blind.into_iter().map(blind).collect(),
            facts: coverage.facts.into_iter().map(fact).collect(),
            sees: coverage.sees,
            judged: coverage.detections.len(),
            cannot_fire: coverage
                .detections
                .into_iter()
                .filter(|one| !one.can_fire)
                .map(|one| UnableDetection { id: one.id, title: one.title, why: one.why })
                .collect(),
        }
    }
}

pub(crate) fn status(last_seen: Option<Timestamp>) -> EndpointStatus {
    match last_seen.map(|last| now().nanos_since(last)) {
        Some(age) if age < ONLINE_NANOS => EndpointStatus::Online,
        Some(age) if age < STALE_NANOS => EndpointStatus::Stale,
        _ => EndpointStatus::Offline,
    }
}

fn health(record: &EndpointRecord) -> EndpointHealth {
    let number = |name: &str| record.health.get(name).and_then(serde_json::Value::as_u64);
    EndpointHealth {
        lag_ms: number("lag_ms"),
        spool_bytes: number("spool_bytes"),
        lost_total: number("lost_total"),
        cpu_ms: number("cpu_ms"),
        rss_bytes: number("rss_bytes"),
        events_total: number("events_total"),
        edge_hits: number("edge_hits"),
    }
}

/// Reasons to look after an endpoint.
fn degraded(app: &App, record: &EndpointRecord, loss: &[LossInterval]) -> Vec<String> {
    if is_recorded(record) {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    match (status(record.last_seen), record.last_seen) {
        (EndpointStatus::Online, _) => {}
        (_, Some(last)) => reasons.push(format!("not heard of since {last}")),
        (_, None) => reasons.push("enrolled, never heard of".to_owned()),
    }
    let told = record.health.get("degraded").and_then(serde_json::Value::as_array);
    let told = told.into_iter().flatten().filter_map(serde_json::Value::as_str);
    reasons.extend(told.map(str::to_owned));
    if !loss.is_empty() {
        reasons.push(format!("{} intervals of loss in the last 24 hours", loss.len()));
    }
    if let Some(skew) = record.clock_skew_ms.filter(|skew| skew.abs() > SKEW_MS) {
        reasons.push(format!("its clock differs by {skew} ms"));
    }
    if let Some(lag) = health(record).lag_ms.filter(|lag| *lag > LAG_MS) {
        reasons.push(format!("its activities come {lag} ms late"));
    }
    let current = &app.library.in_force().version;
    if let Some(content) = record.content_version.as_ref().filter(|content| *content != current) {
        reasons.push(format!("it runs content {content}, current is {current}"));
    }
    reasons
}

/// Whether it was made for the host of a recording: no sensor runs there.
pub(crate) fn is_recorded(record: &EndpointRecord) -> bool {
    record.scope.as_deref().is_some_and(|scope| scope.starts_with(metsuke_catalog::RECORDED))
}

pub(crate) fn shape(app: &App, record: EndpointRecord, loss: &[LossInterval]) -> Endpoint {
    let mut loss = loss_of(loss.to_vec(), record.id);
    loss.sort_by_key(|interval| std::cmp::Reverse(interval.to));
    let degraded = degraded(app, &record, &loss);
    loss.truncate(MAX_LOSS);
    let health = health(&record);
    let host = record.host.clone();
    Endpoint {
        id: record.id.to_string(),
        status: status(record.last_seen),
        tier: record.coverage.as_ref().map(|coverage| coverage.tier.number()),
        os: record.os,
        kernel: record.kernel,
        enrolled: record.enrolled.into(),
        last_seen: record.last_seen.map(Time),
        version: record.version,
        policy_version: record.policy_version,
        content_version: record.content_version,
        scope: record.scope,
        clock_skew_ms: record.clock_skew_ms,
        addresses: record.addresses,
        health,
        coverage: record.coverage.map(Coverage::from),
        loss: loss.into_iter().map(|interval| Loss::new(interval, Some(host.clone()))).collect(),
        degraded,
        host,
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_endpoints))
        .routes(routes!(get_endpoint, remove_endpoint))
}
