//! Accounts; for administrators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use metsuke_catalog::PasswordKind;
use metsuke_catalog::clock::now;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Admin;
use crate::body::Body;
use crate::problem::Problem;
use crate::session::Role;
use crate::shape::Time;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// When it was made.
    pub created: Time,
    /// Whether its password is a one-time one.
    pub must_change_password: bool,
}

impl From<metsuke_catalog::Account> for User {
    fn from(account: metsuke_catalog::Account) -> Self {
        Self {
            name: account.name,
            role: account.role.into(),
            created: account.created.into(),
            must_change_password: account.password == PasswordKind::OneTime,
        }
    }
}

/// Every account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserList {
    /// By name.
    pub items: Vec<User>,
}

/// A new account.
#[derive(Clone, Deserialize, ToSchema)]
pub struct UserRequest {
    /// Name: 1 to 64 of `a-z 0-9 . _ -`.
    pub name: String,
    /// Role.
    pub role: Role,
    /// First password, 12 to 256 characters; to be changed at the first sign-in.
    pub password: String,
}

/// Every account.
#[utoipa::path(get, path = "/api/v1/users", operation_id = "list_users", tag = "users",
    responses((status = 200, body = UserList), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn list_users(State(app): State<App>, _admin: Admin) -> Result<Json<UserList>, Problem> {
    let accounts = app.catalog.accounts().await?;
    Ok(Json(UserList { items: accounts.into_iter().map(User::from).collect() }))
}

/// Makes an account.
#[utoipa::path(post, path = "/api/v1/users", operation_id = "create_user", tag = "users", request_body = UserRequest,
    responses((status = 201, body = User), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn create_user(
    State(app): State<App>,
    Admin(admin): Admin,
    Body(request): Body<UserRequest>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let who = (request.name.as_str(), request.role.into());
    let password = (request.password, PasswordKind::OneTime);
    let made = app.catalog.create_account(now(), admin.name(), who, password).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_users, create_user))
}
