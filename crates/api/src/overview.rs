//! What needs me now: counts, the alerts on top, what runs, what is degraded, what was lost.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use metsuke_catalog::{AlertFilter, AlertOrder, OpenCounts, PlanFilter, Status};
use metsuke_event::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::{AlertSummary, LEVELS, summary};
use crate::auth::Account;
use crate::endpoints::{Endpoint, EndpointStatus};
use crate::hosts::Hosts;
use crate::paging;
use crate::problem::Problem;
use crate::responses::Plan;
use crate::shape::{Loss, Time};
use crate::techniques::{Technique, by_technique};

/// Alerts shown as needing attention.
const ATTENTION: u64 = 10;
/// Techniques shown.
const TECHNIQUES: usize = 10;
/// Running responses shown.
const RUNNING: u64 = 20;
const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;

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
    let hosts = Hosts::load(&app).await?;
    let day = paging::last_day();
    let open =
        AlertFilter { status: vec![Status::New, Status::InProgress], ..AlertFilter::default() };
    let attention = app.catalog.alerts(&open, AlertOrder::Score, (None, ATTENTION)).await?;
    let incidents = app.catalog.incidents().await?;
    let counts = app.catalog.open_alerts(account.name()).await?;
    let hours = app.catalog.alerts_per_hour(day.from, day.to).await?;
    let techniques = by_technique(app.catalog.hit_groups(day.from, day.to).await?);
    let running = PlanFilter {
        states: ["queued", "delivered", "running"].map(str::to_owned).to_vec(),
        ..PlanFilter::default()
    };
    let running = app.catalog.plans(&running, RUNNING).await?.into_iter();
    let running = running.map(|plan| crate::responses::shape(plan, &hosts));
    let loss = app.telemetry.loss(day);
    let endpoints: Vec<Endpoint> = app
        .catalog
        .endpoints()
        .await?
        .into_iter()
        .filter(|record| !crate::endpoints::is_recorded(record))
        .map(|record| crate::endpoints::shape(&app, record, &loss))
        .collect();
    Ok(Json(Overview {
        alerts: alert_counts(&counts),
        endpoints: endpoint_counts(&endpoints),
        attention: attention.items.iter().map(|record| summary(record, &incidents)).collect(),
        alerts_per_hour: fill(&hours, day.from, day.to),
        techniques: techniques.into_iter().take(TECHNIQUES).map(technique).collect(),
        running: running.collect::<Result<_, _>>()?,
        degraded: endpoints.into_iter().filter_map(degraded).collect(),
        loss: hosts.loss(loss),
    }))
}

fn alert_counts(counts: &OpenCounts) -> AlertCounts {
    let by_level = LEVELS.iter().zip(counts.by_level);
    AlertCounts {
        open: counts.open,
        by_level: by_level.map(|(name, count)| ((*name).to_owned(), count)).collect(),
        mine: counts.mine,
        unassigned: counts.unassigned,
    }
}

fn endpoint_counts(endpoints: &[Endpoint]) -> EndpointCounts {
    let count = |keep: &dyn Fn(&Endpoint) -> bool| {
        endpoints.iter().filter(|endpoint| keep(endpoint)).count() as u64
    };
    EndpointCounts {
        total: endpoints.len() as u64,
        online: count(&|endpoint| endpoint.status == EndpointStatus::Online),
        stale: count(&|endpoint| endpoint.status == EndpointStatus::Stale),
        degraded: count(&|endpoint| !endpoint.degraded.is_empty()),
    }
}

/// Every hour of the range, also those without an alert.
fn fill(hours: &BTreeMap<Timestamp, u64>, from: Timestamp, to: Timestamp) -> Vec<HourCount> {
    let first = from.as_nanos().div_euclid(HOUR_NANOS);
    let last = to.as_nanos().div_euclid(HOUR_NANOS);
    (first..=last)
        .map(|hour| {
            let time = Timestamp::from_nanos(hour * HOUR_NANOS);
            HourCount { time: time.into(), count: hours.get(&time).copied().unwrap_or(0) }
        })
        .collect()
}

fn technique(technique: Technique) -> TechniqueCount {
    TechniqueCount {
        id: technique.id,
        name: technique.name,
        tactic: technique.tactics.into_iter().next(),
        count: technique.count,
    }
}

fn degraded(endpoint: Endpoint) -> Option<Degraded> {
    let reasons = endpoint.degraded;
    (!reasons.is_empty()).then_some(Degraded {
        endpoint: endpoint.id,
        host: endpoint.host,
        reasons,
    })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_overview))
}
