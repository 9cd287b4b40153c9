//! Password checks with a brake: failures per account name are counted, and too many make it wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use metsuke_catalog::clock::now;
use metsuke_catalog::{ANONYMOUS, Account};
use metsuke_event::Timestamp;

use crate::App;
use crate::problem::Problem;

/// Failures after which a name must wait.
const MAX_FAILURES: u32 = 10;
/// How long failures count and a name waits: 5 minutes.
const WINDOW_NANOS: i64 = 300 * 1_000_000_000;
/// Names whose failures are kept; more than that and the oldest are forgotten.
const MAX_NAMES: usize = 10_000;

/// Failed sign-ins by account name.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<String, (u32, Timestamp)>>);

impl Attempts {
    fn waits(&self, name: &str, now: Timestamp) -> bool {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.get(name).is_some_and(|(failures, last)| {
            *failures >= MAX_FAILURES && now.nanos_since(*last) < WINDOW_NANOS
        })
    }

    fn failed(&self, name: &str, now: Timestamp) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= MAX_NAMES {
            attempts.retain(|_, (_, last)| now.nanos_since(*last) < WINDOW_NANOS);
            if attempts.len() >= MAX_NAMES {
                attempts.clear();
            }
        }
        let entry = attempts.entry(name.to_owned()).or_insert((0, now));
        if now.nanos_since(entry.1) >= WINDOW_NANOS {
            entry.0 = 0;
        }
        *entry = (entry.0 + 1, now);
    }

    fn succeeded(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// The account called `name`, if `password` is its password.
pub(crate) async fn check(app: &App, name: &str, password: String) -> Result<Account, Problem> {
    let now = now();
    let name: String = name.chars().take(64).collect();
    if app.attempts.waits(&name, now) {
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "too many failed sign-ins; wait five minutes",
        ));
    }
    if let Some(account) = app.catalog.verify_password(&name, password).await? {
        app.attempts.succeeded(&name);
        return Ok(account);
    }
    app.attempts.failed(&name, now);
    // The name is a claim that was not proved: it is what was tried, not who did it.
    let target = (name.as_str(), "wrong name or password");
    app.catalog.audit(now, ANONYMOUS, "session.refuse", target).await?;
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "wrong_password",
        "the name or the password is wrong",
    ))
}
