//! API tokens: made by a signed-in account, or by the CLI with name and password.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::problem::Problem;
use crate::shape::Time;

/// A new token's name.
#[derive(Clone, Deserialize, ToSchema)]
pub struct TokenRequest {
    /// What it is for, for people.
    pub name: String,
}

/// Name and password of an account, and the new token's name.
#[derive(Clone, Deserialize, ToSchema)]
pub struct TokenLoginRequest {
    /// Account name.
    pub user: String,
    /// Password.
    pub password: String,
    /// What the token is for, for people.
    pub name: String,
}

/// A new token: shown once, kept hashed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Token {
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// Its name.
    pub name: String,
    /// When it ends.
    pub expires: Time,
}

/// Makes an API token with the role of the account.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "create_token", tag = "session",
    request_body = TokenRequest,
    responses((status = 200, body = Token), (status = 401, body = Problem)))]
async fn create_token(
    State(app): State<App>,
    account: Account,
    Json(request): Json<TokenRequest>,
) -> Result<Json<Token>, Problem> {
    Err(Problem::unavailable("not ready"))
}

/// Makes an API token from name and password, without a session.
#[utoipa::path(post, path = "/api/v1/tokens/login", operation_id = "login_token", tag = "session",
    request_body = TokenLoginRequest,
    responses((status = 200, body = Token), (status = 401, body = Problem), (status = 429, body = Problem)))]
async fn login_token(
    State(app): State<App>,
    Json(request): Json<TokenLoginRequest>,
) -> Result<Json<Token>, Problem> {
    Err(Problem::unavailable("not ready"))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_token)).routes(routes!(login_token))
}
