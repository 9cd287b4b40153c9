//! Groups of endpoints, for which detections can be tuned and exceptions made. An endpoint is in one.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metsuke_catalog::{DEFAULT_GROUP, EndpointRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Account, Admin};
use crate::body::{self, Body};
use crate::problem::Problem;

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many endpoints are in it.
    pub endpoints: u64,
    /// What its hosts are worth: points of models are multiplied by it.
    pub importance: f64,
}

/// The groups.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GroupList {
    /// By name; `default` holds every endpoint that was not put into another.
    pub items: Vec<Group>,
}

/// Puts an endpoint into a group.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct GroupRequest {
    /// The group's name: letters, digits, `.`, `_` and `-`.
    pub name: String,
}

/// Says what the hosts of a group are worth.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub struct ImportanceRequest {
    /// 0.25 to 4; 1 is what hosts are worth that no group says anything of.
    pub importance: f64,
}

/// The groups of endpoints.
#[utoipa::path(get, path = "/api/v1/groups", operation_id = "list_groups", tag = "endpoints",
    responses((status = 200, body = GroupList), (status = 401, body = Problem)))]
async fn list_groups(
    State(app): State<App>,
    _account: Account,
) -> Result<Json<GroupList>, Problem> {
    let force = app.library.in_force();
    let mut groups = BTreeMap::from([(DEFAULT_GROUP.to_owned(), 0)]);
    // Recorded hosts are nobody's to tune for.
    let recorded = app.catalog.recorded_endpoints().await?;
    let live = |endpoint: &EndpointRecord| !recorded.contains_key(&endpoint.id);
    for endpoint in app.catalog.endpoints().await?.into_iter().filter(live) {
        *groups.entry(force.group_of(endpoint.id).to_owned()).or_default() += 1;
    }
    let items = groups.into_iter().map(|(name, endpoints)| {
        let importance = force.importance.get(&name).copied().unwrap_or(1.0);
        Group { name, endpoints, importance }
    });
    Ok(Json(GroupList { items: items.collect() }))
}

/// Puts an endpoint into a group; the group need not be there before.
#[utoipa::path(put, path = "/api/v1/endpoints/{id}/group", operation_id = "set_group", tag = "endpoints",
    params(("id" = String, Path, description = "Endpoint id")), request_body = GroupRequest,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn set_group(
    State(app): State<App>,
    Admin(account): Admin,
    Path(id): Path<String>,
    Body(request): Body<GroupRequest>,
) -> Result<StatusCode, Problem> {
    let id = body::id(&id, "endpoint")?;
    app.library.set_group(account.name(), id, request.name.trim()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says what the hosts of a group are worth. It weighs in scores at once.
#[utoipa::path(put, path = "/api/v1/groups/{name}/importance", operation_id = "set_importance", tag = "endpoints",
    params(("name" = String, Path, description = "The group's name")), request_body = ImportanceRequest,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn set_importance(
    State(app): State<App>,
    Admin(account): Admin,
    Path(name): Path<String>,
    Body(request): Body<ImportanceRequest>,
) -> Result<StatusCode, Problem> {
    app.library.set_importance(account.name(), &name, request.importance).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_groups))
        .routes(routes!(set_group))
        .routes(routes!(set_importance))
}
