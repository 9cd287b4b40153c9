//! Sign-in, sign-out, the own password.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use metsuke_catalog as catalog;
use metsuke_catalog::clock::now;
use metsuke_event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Newcomer, check_sign_in_origin};
use crate::body::Body;
use crate::problem::Problem;
use crate::shape::Time;
use crate::{App, Transport};

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, accounts and enrolment included.
    Admin,
    /// See, triage, respond.
    Analyst,
}

impl From<catalog::Role> for Role {
    fn from(role: catalog::Role) -> Self {
        match role {
            catalog::Role::Admin => Self::Admin,
            catalog::Role::Analyst => Self::Analyst,
        }
    }
}

impl From<Role> for catalog::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Analyst => Self::Analyst,
        }
    }
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
    headers: HeaderMap,
    Body(request): Body<SignInRequest>,
) -> Result<(HeaderMap, Json<Session>), Problem> {
    let account = prove(&app, &headers, request).await?;
    start(&app, &account).await
}

/// The account whose name and password these are; not when another site's page sends them.
pub(crate) async fn prove(
    app: &App,
    headers: &HeaderMap,
    request: SignInRequest,
) -> Result<catalog::Account, Problem> {
    check_sign_in_origin(headers)?;
    crate::signin::check(app, &request.user, request.password).await
}

/// The session of this request.
#[utoipa::path(get, path = "/api/v1/session", operation_id = "get_session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = Problem)))]
async fn get_session(Newcomer(account): Newcomer) -> Json<Session> {
    Json(shape(&account.who, account.session.as_ref(), account.expires))
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", operation_id = "sign_out", tag = "session",
    responses((status = 204), (status = 401, body = Problem)))]
async fn sign_out(
    State(app): State<App>,
    Newcomer(account): Newcomer,
) -> Result<(StatusCode, HeaderMap), Problem> {
    if let Some(session) = &account.session {
        app.catalog.end_session(now(), session).await?;
    }
    let cookie = format!("{}; Max-Age=0", cookie(&app, ""));
    Ok((StatusCode::NO_CONTENT, set_cookie(&cookie)?))
}

/// Changes the own password; every other session and every API token of the account ends.
#[utoipa::path(post, path = "/api/v1/session/password", operation_id = "change_password", tag = "session",
    request_body = PasswordRequest,
    responses((status = 200, body = Session), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn change_password(
    State(app): State<App>,
    Newcomer(account): Newcomer,
    Body(request): Body<PasswordRequest>,
) -> Result<(HeaderMap, Json<Session>), Problem> {
    let account = crate::signin::check(&app, account.name(), request.old).await?;
    let password = (request.new, catalog::PasswordKind::Own);
    app.catalog.set_password(now(), &account.name, &account.name, password).await?;
    let account = app.catalog.account(&account.name).await?;
    start(&app, &account.ok_or_else(Problem::unauthenticated)?).await
}

/// Starts a session and sets its cookie.
async fn start(
    app: &App,
    account: &catalog::Account,
) -> Result<(HeaderMap, Json<Session>), Problem> {
    let new = app.catalog.create_session(now(), account).await?;
    let headers = set_cookie(&cookie(app, &new.cookie))?;
    Ok((headers, Json(shape(account, Some(&new.record), new.record.expires))))
}

fn cookie(app: &App, value: &str) -> String {
    let name = app.transport.cookie_name();
    let secure = match app.transport {
        Transport::PlainLoopback => "",
        Transport::Tls => "; Secure",
    };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

fn set_cookie(cookie: &str) -> Result<HeaderMap, Problem> {
    let value = HeaderValue::from_str(cookie).map_err(|e| Problem::internal("the cookie", &e))?;
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, value)]))
}

fn shape(
    account: &catalog::Account,
    session: Option<&catalog::SessionRecord>,
    expires: Timestamp,
) -> Session {
    Session {
        user: SessionUser {
            name: account.name.clone(),
            role: account.role.into(),
            must_change_password: account.password == catalog::PasswordKind::OneTime,
        },
        csrf_token: session.map(|session| session.csrf.clone()).unwrap_or_default(),
        expires: expires.into(),
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in, get_session, sign_out))
        .routes(routes!(change_password))
}
