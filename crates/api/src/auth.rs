//! Who asks.
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::App;
use crate::problem::Problem;

/// The account behind a request.
#[derive(Clone, Debug)]
pub struct Account {}

impl FromRequestParts<App> for Account {
    type Rejection = Problem;
    async fn from_request_parts(_parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Err(Problem::unauthenticated())
    }
}
