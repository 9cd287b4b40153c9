//! `/metrics` for Prometheus (text format 0.0.4) and `/healthz`.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::App;
use crate::auth::Account;

/// Every counter of the server. Needs an account: figures tell an outsider much.
pub(crate) async fn metrics(State(app): State<App>, _account: Account) -> impl IntoResponse {
    let mut text = String::new();
    for (name, help, value) in app.status.counters() {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP metsuke_{name} {help}");
        let _ = writeln!(text, "# TYPE metsuke_{name} {kind}");
        let _ = writeln!(text, "metsuke_{name} {value}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// Whether the server answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}
