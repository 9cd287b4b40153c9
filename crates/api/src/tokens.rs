//! API tokens: made by a signed-in account, or by the CLI with name and password; listed and revoked
//! by their account and by administrators.
//!
//! Invariant: a token makes no token, so one that was stolen ends when it is revoked or expires.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use metsuke_catalog as catalog;
use metsuke_catalog::clock::now;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::alerts::PageQuery;
use crate::auth::{Account, check_own_password};
use crate::body::{Body, Params};
use crate::paging::{At, Page};
use crate::problem::Problem;
use crate::session::{SignInRequest, prove};
use crate::shape::Time;

/// Longest name of a token.
const MAX_NAME_BYTES: usize = 100;
/// How long a token is good: 30 days.
const TOKEN_NANOS: i64 = 30 * 24 * 3_600 * 1_000_000_000;

/// A new token's name.
#[derive(Clone, Deserialize, ToSchema)]
pub struct TokenRequest {
    /// What it is for, for people.
    pub name: String,
}

/// Name and password of an account, and the new token's name.
#[derive(Clone, Deserialize, ToSchema)]
pub struct TokenLoginRequest {
    /// Whose.
    #[serde(flatten)]
    pub account: SignInRequest,
    /// What the token is for, for people.
    pub name: String,
}

/// A new token: shown once, kept hashed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Token {
    /// Its identity, for revoking it.
    pub id: String,
    /// The token, for `Authorization: Bearer`.
    pub token: String,
    /// Its name.
    pub name: String,
    /// When it ends.
    pub expires: Time,
}

/// One token as it is known: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenInfo {
    /// Its identity, for revoking it.
    pub id: String,
    /// The account it speaks for.
    pub account: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created: Time,
    /// When it ends.
    pub expires: Time,
}

/// A page of the tokens that are good now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenList {
    /// Newest first.
    pub items: Vec<TokenInfo>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Makes an API token with the role of the account; asks for a session, not a token.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "create_token", tag = "session",
    request_body = TokenRequest,
    responses((status = 200, body = Token), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn create_token(
    State(app): State<App>,
    account: Account,
    Body(request): Body<TokenRequest>,
) -> Result<Json<Token>, Problem> {
    if account.session.is_none() {
        return Err(Problem::forbidden(
            "session",
            "a token makes no token; sign in, or use /api/v1/tokens/login with the password",
        ));
    }
    make(&app, &account.who, request.name).await
}

/// Makes an API token from name and password, without a session.
#[utoipa::path(post, path = "/api/v1/tokens/login", operation_id = "login_token", tag = "session",
    request_body = TokenLoginRequest,
    responses((status = 200, body = Token), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
async fn login_token(
    State(app): State<App>,
    headers: HeaderMap,
    Body(request): Body<TokenLoginRequest>,
) -> Result<Json<Token>, Problem> {
    let account = prove(&app, &headers, request.account).await?;
    check_own_password(&account)?;
    make(&app, &account, request.name).await
}

/// Whose tokens the account may see and revoke: its own; an administrator everybody's.
fn whose(account: &Account) -> Option<&str> {
    match account.who.role {
        catalog::Role::Admin => None,
        catalog::Role::Analyst => Some(account.name()),
    }
}

/// The own API tokens that are good now; for administrators everybody's.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "list_tokens", tag = "session",
    params(PageQuery),
    responses((status = 200, body = TokenList), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list_tokens(
    State(app): State<App>,
    account: Account,
    Params(page): Params<PageQuery>,
) -> Result<Json<TokenList>, Problem> {
    let page: Page<At<String>> =
        Page::read("tokens", page.cursor.as_deref(), page.limit, (100, 500))?;
    let after = page.after.clone().map(|At(created, id)| (created, id));
    let slice = (after.as_ref(), page.fetch());
    let tokens = app.catalog.api_tokens(now(), whose(&account), slice).await?;
    let (tokens, next) = page.cut(tokens, |token| At(token.created, token.id.clone()));
    let info = |token: catalog::TokenRecord| TokenInfo {
        id: token.id,
        account: token.account,
        name: token.name,
        created: token.created.into(),
        expires: token.expires.into(),
    };
    Ok(Json(TokenList { items: tokens.into_iter().map(info).collect(), next }))
}

/// Ends one of the own API tokens at once; administrators end anybody's.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "revoke_token", tag = "session",
    params(("id" = String, Path, description = "Token id, as the list shows it")),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn revoke_token(
    State(app): State<App>,
    account: Account,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.catalog.revoke_api_token(now(), account.name(), &id, whose(&account)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn make(app: &App, account: &catalog::Account, name: String) -> Result<Json<Token>, Problem> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Problem::invalid(format!("a token's name has 1 to {MAX_NAME_BYTES} bytes")));
    }
    if name == catalog::BOOTSTRAP_TOKEN {
        return Err(Problem::invalid(format!(
            "`{name}` is the server's own token; take another name"
        )));
    }
    let made = app.catalog.create_api_token(now(), account, &name, TOKEN_NANOS).await?;
    Ok(Json(Token { id: made.id, token: made.secret, name, expires: made.expires.into() }))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_token, list_tokens))
        .routes(routes!(revoke_token))
        .routes(routes!(login_token))
}
