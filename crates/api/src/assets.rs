//! The console's files, embedded at build time; every path that is no file is the console's page.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::problem::Problem;
use crate::security::page_policy;

/// What the page holds in place of the nonce of its style elements; another one for each answer.
const NONCE_PLACE: &str = "__CSP_NONCE__";

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/console"]
struct Console;

/// Serves a file of the console, or its page.
pub(crate) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found("resource").into_response();
    }
    if path == "index.html" || path.is_empty() {
        return page();
    }
    match Console::get(path) {
        Some(file) => {
            let cache = if path.starts_with("assets/") {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            let headers = [
                (header::CONTENT_TYPE, content_type(path)),
                (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
            ];
            (headers, Body::from(file.data)).into_response()
        }
        // A missing file is missing; any other path is a place within the console.
        None if path.starts_with("assets/") => Problem::not_found("file").into_response(),
        None => page(),
    }
}

fn page() -> Response {
    let Some(file) = Console::get("index.html") else {
        return Problem::unavailable("the console was not built into this server").into_response();
    };
    let nonce = hex::encode(rand::random::<[u8; 16]>());
    let text = String::from_utf8_lossy(&file.data).replace(NONCE_PLACE, &nonce);
    let Ok(policy) = HeaderValue::from_str(&page_policy(&nonce)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, text).into_response()
}

fn content_type(path: &str) -> HeaderValue {
    let name = match path.rsplit('.').next() {
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    HeaderValue::from_static(name)
}
