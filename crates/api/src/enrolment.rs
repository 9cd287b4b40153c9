//! Enrolment tokens: one sensor each, once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Admin;
use crate::body::Body;
use crate::problem::Problem;
use crate::shape::Time;

/// Shortest life of a token, in seconds.
const MIN_TTL_S: u32 = 60;
/// Longest life of a token, in seconds: 30 days.
const MAX_TTL_S: u32 = 30 * 24 * 3_600;

/// How long a token is good.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub struct EnrolmentTokenRequest {
    /// Seconds, 60 to 2592000.
    pub ttl_s: u32,
}

/// A new token: shown once, kept hashed, good for one sensor.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EnrolmentToken {
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires: Time,
    /// Fingerprint of the server's authority, for the sensor to pin.
    pub ca_fingerprint: String,
    /// Where sensors connect to.
    pub link_addr: String,
}

/// Makes an enrolment token.
#[utoipa::path(post, path = "/api/v1/enrolment-tokens", operation_id = "create_enrolment_token", tag = "endpoints",
    request_body = EnrolmentTokenRequest,
    responses((status = 201, body = EnrolmentToken), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn create_enrolment_token(
    State(app): State<App>,
    Admin(account): Admin,
    Body(request): Body<EnrolmentTokenRequest>,
) -> Result<(StatusCode, Json<EnrolmentToken>), Problem> {
    if !(MIN_TTL_S..=MAX_TTL_S).contains(&request.ttl_s) {
        return Err(Problem::invalid(format!("`ttl_s` is {MIN_TTL_S} to {MAX_TTL_S}")));
    }
    let ttl_nanos = i64::from(request.ttl_s) * 1_000_000_000;
    let made = app.catalog.create_enrolment_token(now(), account.name(), ttl_nanos).await?;
    let token = EnrolmentToken {
        token: made.secret,
        expires: made.expires.into(),
        ca_fingerprint: app.facts.ca_fingerprint.clone(),
        link_addr: app.facts.link_addr.clone(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_enrolment_token))
}
