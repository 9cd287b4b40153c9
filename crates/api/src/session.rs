//! Sign-in, sign-out, the own password.

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

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, accounts and enrolment included.
    Admin,
    /// See, triage, respond.
    Analyst,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SessionUser {
    /// Account name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Whether the password is a one-time one.
    pub must_change_password: bool,
}

/// A signed-in session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// Who.
    pub user: SessionUser,
    /// To be sent as `X-CSRF` with every request that changes something. Empty for API tokens.
    pub csrf_token: String,
    /// When it ends without further use.
    pub expires: Time,
}

/// Name and password.
#[derive(Clone, Deserialize, ToSchema)]
pub struct SignInRequest {
    /// Account name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// Change of the own password.
#[derive(Clone, Deserialize, ToSchema)]
pub struct PasswordRequest {
    /// The password so far.
    pub old: String,
    /// The new one, 12 to 256 characters.
    pub new: String,
}

/// Signs in and sets the session cookie.
#[utoipa::path(post, path = "/api/v1/session", operation_id = "sign_in", tag = "session",
    request_body = SignInRequest,
    responses((status = 200, body = Session), (status = 401, body = Problem), (status = 429, body = Problem)))]
async fn sign_in(
    State(app): State<App>,
    Json(request): Json<SignInRequest>,
) -> Result<Json<Session>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// The session of this request.
#[utoipa::path(get, path = "/api/v1/session", operation_id = "get_session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
async fn get_session(account: Account) -> Result<Json<Session>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", operation_id = "sign_out", tag = "session",
    responses((status = 204), (status = 401, body = Problem)))]
async fn sign_out(State(app): State<App>, account: Account) -> Result<StatusCode, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Changes the own password; every other session of the account ends.
#[utoipa::path(post, path = "/api/v1/session/password", operation_id = "change_password", tag = "session",
    request_body = PasswordRequest,
    responses((status = 200, body = Session), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn change_password(
    State(app): State<App>,
    account: Account,
    Json(request): Json<PasswordRequest>,
) -> Result<Json<Session>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in, get_session, sign_out))
        .routes(routes!(change_password))
}
