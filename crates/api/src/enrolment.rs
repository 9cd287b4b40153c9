//! Enrolment tokens: one sensor each, once.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::PageQuery;
use crate::auth::Admin;
use crate::body::{Body, Params};
use crate::paging::{At, Page};
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
    /// Its identity, for revoking it.
    pub id: String,
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires: Time,
    /// Fingerprint of the server's authority, for the sensor to pin.
    pub ca_fingerprint: String,
    /// Where sensors connect to.
    pub link_addr: String,
}

/// One enrolment token as it is known: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EnrolmentTokenInfo {
    /// Its identity, for revoking it.
    pub id: String,
    /// When it was made.
    pub created: Time,
    /// When it ends.
    pub expires: Time,
}

/// A page of the enrolment tokens that were not used yet and have not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EnrolmentTokenList {
    /// Newest first.
    pub items: Vec<EnrolmentTokenInfo>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// The enrolment tokens that still enrol a sensor.
#[utoipa::path(get, path = "/api/v1/enrolment-tokens", operation_id = "list_enrolment_tokens", tag = "endpoints",
    params(PageQuery),
    responses((status = 200, body = EnrolmentTokenList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn list_enrolment_tokens(
    State(app): State<App>,
    _admin: Admin,
    Params(page): Params<PageQuery>,
) -> Result<Json<EnrolmentTokenList>, Problem> {
    let page: Page<At<String>> =
        Page::read("enrolment-tokens", page.cursor.as_deref(), page.limit, (100, 500))?;
    let after = page.after.clone().map(|At(created, id)| (created, id));
    let tokens = app.catalog.enrolment_tokens(now(), (after.as_ref(), page.fetch())).await?;
    let (tokens, next) = page.cut(tokens, |token| At(token.created, token.id.clone()));
    let info = |token: metsuke_catalog::EnrolmentRecord| EnrolmentTokenInfo {
        id: token.id,
        created: token.created.into(),
        expires: token.expires.into(),
    };
    Ok(Json(EnrolmentTokenList { items: tokens.into_iter().map(info).collect(), next }))
}

/// Ends an enrolment token before it was used.
#[utoipa::path(delete, path = "/api/v1/enrolment-tokens/{id}", operation_id = "revoke_enrolment_token", tag = "endpoints",
    params(("id" = String, Path, description = "Token id, as the list shows it")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn revoke_enrolment_token(
    State(app): State<App>,
    Admin(admin): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.catalog.revoke_enrolment_token(now(), admin.name(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
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
        id: made.id,
        token: made.secret,
        expires: made.expires.into(),
        ca_fingerprint: app.facts.ca_fingerprint.clone(),
        link_addr: app.facts.link_addr.clone(),
    };
    Ok((StatusCode::CREATED, Json(token)))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_enrolment_token, list_enrolment_tokens))
        .routes(routes!(revoke_enrolment_token))
}
