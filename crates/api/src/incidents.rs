//! Incidents: alerts that belong together, why, and what people change about it by hand.

mod shape;

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::clock::now;
use metsuke_catalog::{self as catalog, Incidents, Status};
use metsuke_event::AlertId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::summary;
use crate::auth::Account;
use crate::body::{self, Body, Params};
use crate::paging::{self, At, Page};
use crate::problem::Problem;

pub use shape::{
    Incident, IncidentCore, IncidentDetail, IncidentList, IncidentMergeRequest, IncidentPage,
    IncidentQuery, IncidentReason, IncidentSplitRequest,
};

/// Alerts of an incident that are shown; the first ones.
const MAX_ALERTS: usize = 500;

/// Incidents, the one with the newest step first.
#[utoipa::path(get, path = "/api/v1/incidents", operation_id = "list_incidents", tag = "incidents",
    params(IncidentQuery),
    responses((status = 200, body = IncidentPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_incidents(
    State(app): State<App>,
    _account: Account,
    Params(query): Params<IncidentQuery>,
) -> Result<Json<IncidentPage>, Problem> {
    let page: Page<At<AlertId>> =
        Page::read("incidents", query.cursor.as_deref(), query.limit, (50, 500))?;
    let status = paging::list(query.status.as_deref()).map(|name| {
        Status::from_name(name)
            .ok_or_else(|| Problem::invalid("`status` is `new`, `in_progress` or `closed`"))
    });
    let status: Vec<Status> = status.collect::<Result<_, _>>()?;
    let incidents = app.catalog.incidents().await?;
    let wanted = incidents.items.iter().filter(|one| {
        (status.is_empty() || status.contains(&one.status))
            && query.host.as_ref().is_none_or(|host| host.is_empty() || one.hosts.contains(host))
    });
    let wanted: Vec<&catalog::Incident> = wanted.collect();
    let total = wanted.len() as u64;
    // The newest first, among equals the smaller identity.
    let behind = wanted.into_iter().filter(|one| {
        page.after.is_none_or(|At(last, id)| one.last < last || (one.last == last && one.id > id))
    });
    let rows = behind.take(usize::try_from(page.fetch()).unwrap_or(usize::MAX)).collect();
    let (items, next) = page.cut(rows, |one| At(one.last, one.id));
    let items = items.into_iter().map(Incident::from).collect();
    Ok(Json(IncidentPage { items, next, total, left_out: incidents.left_out }))
}

/// One incident with its alerts. Any of its alerts' ids finds it.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", operation_id = "get_incident", tag = "incidents",
    params(("id" = String, Path, description = "Incident id")),
    responses((status = 200, body = IncidentDetail), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn get_incident(
    State(app): State<App>,
    _account: Account,
    Path(id): Path<String>,
) -> Result<Json<IncidentDetail>, Problem> {
    let id = parse(&id)?;
    let incidents = app.catalog.incidents().await?;
    let incident = incidents.holding(id).ok_or_else(|| Problem::not_found("incident"))?;
    let mut alerts = Vec::new();
    for id in incident.alerts.iter().take(MAX_ALERTS) {
        if let Some(record) = app.catalog.alert(*id).await? {
            alerts.push(summary(&record, &incidents));
        }
    }
    let history = app.catalog.incident_history(incident).await?;
    Ok(Json(IncidentDetail {
        core: incident.into(),
        alerts,
        history: history.into_iter().map(Into::into).collect(),
    }))
}

/// Takes alerts out of an incident; later ones do not bring them together again. Gives the parts.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/split", operation_id = "split_incident", tag = "incidents",
    params(("id" = String, Path, description = "Incident id")), request_body = IncidentSplitRequest,
    responses((status = 200, body = IncidentList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn split_incident(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
    Body(request): Body<IncidentSplitRequest>,
) -> Result<Json<IncidentList>, Problem> {
    let alerts = parse_all(&request.alerts)?;
    let parts = app.catalog.split_incident(now(), account.name(), parse(&id)?, &alerts).await?;
    Ok(Json(list(&parts)))
}

/// Makes one incident of several.
#[utoipa::path(post, path = "/api/v1/incidents/merge", operation_id = "merge_incidents", tag = "incidents",
    request_body = IncidentMergeRequest,
    responses((status = 200, body = Incident), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn merge_incidents(
    State(app): State<App>,
    account: Account,
    Body(request): Body<IncidentMergeRequest>,
) -> Result<Json<Incident>, Problem> {
    let ids = parse_all(&request.incidents)?;
    let merged = app.catalog.merge_incidents(now(), account.name(), &ids).await?;
    Ok(Json((&merged).into()))
}

/// Takes the last change back that was made by hand. Gives the incidents as they are then.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/undo", operation_id = "undo_incident", tag = "incidents",
    params(("id" = String, Path, description = "Incident id")),
    responses((status = 200, body = IncidentList), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn undo_incident(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<Json<IncidentList>, Problem> {
    let parts = app.catalog.undo_incident(now(), account.name(), parse(&id)?).await?;
    Ok(Json(list(&parts)))
}

fn list(incidents: &[catalog::Incident]) -> IncidentList {
    IncidentList { items: incidents.iter().map(Incident::from).collect() }
}

fn parse(id: &str) -> Result<AlertId, Problem> {
    body::id(id, "incident")
}

fn parse_all(ids: &[String]) -> Result<Vec<AlertId>, Problem> {
    let parse = |id: &String| {
        id.parse()
            .map_err(|_| Problem::invalid("a list holds what is no id of an alert or incident"))
    };
    ids.iter().map(parse).collect()
}

/// The incident that holds an alert.
pub(crate) fn of(incidents: &Incidents, alert: AlertId) -> Option<String> {
    incidents.holding(alert).map(|incident| incident.id.to_string())
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_incidents))
        .routes(routes!(get_incident))
        .routes(routes!(split_incident))
        .routes(routes!(merge_incidents))
        .routes(routes!(undo_incident))
}
