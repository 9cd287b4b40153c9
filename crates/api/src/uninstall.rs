//! Leave to remove a sensor from its host: signed for one endpoint, until a time. The sensor checks
//! it without the server.
//!
//! Invariant: who gave leave, and why, stands in the audit log before the token goes out; the token
//! itself is kept nowhere.

use axum::Json;
use axum::extract::{Path, State};
use metsuke_catalog::clock::now;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Admin;
use crate::body::{self, Body};
use crate::problem::Problem;
use crate::shape::Time;

/// Shortest life of a token, in seconds.
const MIN_TTL_S: u32 = 60;
/// Longest life of a token, in seconds: a week. It cannot be taken back, for the sensor asks nobody.
const MAX_TTL_S: u32 = 7 * 24 * 3_600;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 500;

/// Why a sensor is removed, and how long that is allowed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct UninstallTokenRequest {
    /// Seconds, 60 to 604800.
    pub ttl_s: u32,
    /// Why, for the audit log; 1 to 500 bytes.
    pub reason: String,
}

/// Leave to remove one sensor; shown once, for `metsuke-sensor uninstall --token-file`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UninstallToken {
    /// The endpoint it is good for.
    pub endpoint: String,
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires: Time,
}

/// Gives leave to remove an endpoint's sensor; administrators only, and logged. It holds until it
/// expires: the sensor checks it without the server.
#[utoipa::path(post, path = "/api/v1/endpoints/{id}/uninstall-token", operation_id = "create_uninstall_token", tag = "endpoints",
    params(("id" = String, Path, description = "Endpoint id")), request_body = UninstallTokenRequest,
    responses((status = 200, body = UninstallToken), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn create_uninstall_token(
    State(app): State<App>,
    Admin(admin): Admin,
    Path(id): Path<String>,
    Body(request): Body<UninstallTokenRequest>,
) -> Result<Json<UninstallToken>, Problem> {
    if !(MIN_TTL_S..=MAX_TTL_S).contains(&request.ttl_s) {
        return Err(Problem::invalid(format!("`ttl_s` is {MIN_TTL_S} to {MAX_TTL_S}")));
    }
    let reason = request.reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
        return Err(Problem::invalid(format!("`reason` has 1 to {MAX_REASON_BYTES} bytes")));
    }
    let endpoint = body::id(&id, "endpoint")?;
    let record = app.catalog.endpoint(endpoint).await?;
    let record = record.ok_or_else(|| Problem::not_found("endpoint"))?;
    let time = now();
    let expires = time.plus_nanos(i64::from(request.ttl_s) * 1_000_000_000);
    let detail = format!("{}, until {expires}: {reason}", record.host);
    let deed = "endpoint.uninstall_token";
    app.catalog.audit(time, admin.name(), deed, (&endpoint.to_string(), &detail)).await?;
    let seconds = u64::try_from(expires.as_nanos() / 1_000_000_000).unwrap_or(0);
    let token = (app.uninstall)(endpoint, seconds);
    Ok(Json(UninstallToken { endpoint: endpoint.to_string(), token, expires: expires.into() }))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_uninstall_token))
}
