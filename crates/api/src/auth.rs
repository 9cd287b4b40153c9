//! Who asks: a session cookie or an API token, and what the account may do.
//!
//! Invariant: a request with `Authorization` is judged by it alone, its cookie is not looked at.
//! Invariant: a request that changes something by cookie comes from the same origin and carries
//! the session's CSRF token.
//! Invariant: a session of an account whose password is a one-time one may look at itself, end
//! itself and change that password, nothing else.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use metsuke_catalog::clock::now;
use metsuke_catalog::{self as catalog, PasswordKind, Proof, SessionRecord};
use metsuke_event::Timestamp;

use crate::problem::Problem;
use crate::{App, Transport};

/// The account behind a request.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account.
    pub(crate) who: catalog::Account,
    /// Its session; `None` for API tokens.
    pub(crate) session: Option<SessionRecord>,
    /// What it was proved with, to be looked at again where an answer lasts.
    pub(crate) proof: Proof,
    /// When session or token end.
    pub(crate) expires: Timestamp,
}

/// An account whose password may still be the one-time one.
#[derive(Clone, Debug)]
pub struct Newcomer(pub(crate) Account);

/// An account that is an administrator's.
#[derive(Clone, Debug)]
pub struct Admin(pub(crate) Account);

impl Account {
    pub(crate) fn name(&self) -> &str {
        &self.who.name
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.who.role == catalog::Role::Admin
    }
}

impl Transport {
    pub(crate) const fn cookie_name(self) -> &'static str {
        match self {
            Self::PlainLoopback => "sid",
            Self::Tls => "__Host-sid",
        }
    }
}

fn header(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = header(headers, header::COOKIE)?;
    cookies.split(';').find_map(|part| {
        let (found, value) = part.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

/// Whether the browser says that the request comes from our own pages. `None`: it says nothing.
fn same_origin(headers: &HeaderMap) -> Option<bool> {
    if let Some(site) = header(headers, "sec-fetch-site") {
        return Some(site == "same-origin");
    }
    let origin = header(headers, header::ORIGIN)?;
    let (_, authority) = origin.split_once("://")?;
    Some(header(headers, header::HOST) == Some(authority))
}

/// Refuses a sign-in that another site's page makes.
pub(crate) fn check_sign_in_origin(headers: &HeaderMap) -> Result<(), Problem> {
    if same_origin(headers) == Some(false) {
        return Err(Problem::forbidden("csrf", "sign in from this server's own page"));
    }
    Ok(())
}

fn check_csrf(headers: &HeaderMap, session: &SessionRecord) -> Result<(), Problem> {
    if same_origin(headers) != Some(true) {
        return Err(Problem::forbidden(
            "csrf",
            "requests that change something must come from this server's own page",
        ));
    }
    let sent = header(headers, "x-csrf").unwrap_or_default();
    if !same_bytes(sent.as_bytes(), session.csrf.as_bytes()) {
        return Err(Problem::forbidden(
            "csrf",
            "the `X-CSRF` header is missing or stale; load `/api/v1/session` anew",
        ));
    }
    Ok(())
}

/// Compares without telling by its time where the first difference is.
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Refuses an account whose password is a one-time one.
pub(crate) fn check_own_password(account: &catalog::Account) -> Result<(), Problem> {
    match account.password {
        PasswordKind::Own => Ok(()),
        PasswordKind::OneTime => Err(Problem::forbidden(
            "must_change_password",
            "the password is a one-time one; sign in on the console and choose your own first",
        )),
    }
}

impl FromRequestParts<App> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            let token = token.ok_or_else(Problem::unauthenticated)?;
            let (token, session) = (token.trim(), None);
            let found = app.catalog.api_token(now(), token).await?;
            let (who, expires) = found.ok_or_else(Problem::unauthenticated)?;
            return Ok(Self(Account { who, session, proof: Proof::token(token), expires }));
        }
        let cookie = cookie(&parts.headers, app.transport.cookie_name());
        let cookie = cookie.ok_or_else(Problem::unauthenticated)?;
        let session = app.catalog.session(now(), cookie).await?;
        let session = session.ok_or_else(Problem::unauthenticated)?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            check_csrf(&parts.headers, &session)?;
        }
        let (who, expires) = (session.account.clone(), session.expires);
        let proof = Proof::session(&session);
        Ok(Self(Account { who, session: Some(session), proof, expires }))
    }
}

impl FromRequestParts<App> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Newcomer(account) = Newcomer::from_request_parts(parts, app).await?;
        // Tokens are exempt: an account with a one-time password has none but the server's own.
        if account.session.is_some() {
            check_own_password(&account.who)?;
        }
        Ok(account)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let account = Account::from_request_parts(parts, app).await?;
        if account.is_admin() {
            Ok(Self(account))
        } else {
            Err(Problem::forbidden("role", "only administrators may do this"))
        }
    }
}
