//! Enrolment tokens: one sensor each, once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::Time;

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
    account: Account,
    Json(request): Json<EnrolmentTokenRequest>,
) -> Result<(StatusCode, Json<EnrolmentToken>), Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_enrolment_token))
}
