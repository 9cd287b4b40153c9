//! Every refusal, as `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! Invariant: what went wrong inside (`internal`) is logged, never sent. Codes are translation
//! keys of the console: rename none.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code says more than an address would.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Stable code, for example `query_syntax`.
    pub code: &'static str,
    /// For people: what went wrong and what to do next.
    pub detail: String,
    /// For `query_syntax`: first and last byte (exclusive) of the part that was not understood.
    pub span: Option<[u32; 2]>,
    /// For `query_syntax`: what might have been meant.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with `status`, `code` and `detail`.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            span: None,
            hint: None,
        }
    }

    /// 400: something in the request is not what it should be.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    /// 401: nobody is signed in.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "sign in first, or send `Authorization: Bearer TOKEN`",
        )
    }

    /// 403 with its own code.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// 409: somebody else was faster, or the state does not permit it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 503: a part of the server is not there now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// 500: `source` is logged under `what`; the client learns only that it failed.
    pub fn internal(what: &str, source: &dyn std::error::Error) -> Self {
        let mut chain = source.to_string();
        let mut next = source.source();
        while let Some(cause) = next {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            next = cause.source();
        }
        tracing::error!(what, error = chain, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("{what} failed; the server's log says why"),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl From<metsuke_catalog::CatalogError> for Problem {
    fn from(error: metsuke_catalog::CatalogError) -> Self {
        use metsuke_catalog::CatalogError;
        match error {
            CatalogError::NotFound(what) => Self::not_found(what),
            CatalogError::Conflict(why) => Self::conflict(why),
            CatalogError::Invalid(why) => Self::invalid(why),
            full if full.is_disk_full() => {
                tracing::error!(error = %full, "the disk is full");
                Self::new(
                    StatusCode::INSUFFICIENT_STORAGE,
                    "disk_full",
                    "the server's disk is full, so nothing can be changed; free some space there, \
                     then try again",
                )
            }
            other => Self::internal("the catalog", &other),
        }
    }
}

impl From<crate::ports::TelemetryError> for Problem {
    fn from(error: crate::ports::TelemetryError) -> Self {
        use crate::ports::TelemetryError;
        match error {
            TelemetryError::Query { message, span, hint } => {
                let mut problem = Self::new(StatusCode::BAD_REQUEST, "query_syntax", message);
                let place = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
                problem.span = Some(span.map(place));
                problem.hint = hint;
                problem
            }
            TelemetryError::Cursor => Self::invalid(error.to_string()),
            TelemetryError::TooMany(why) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_wide", why)
            }
            TelemetryError::Failed(source) => Self::internal("the event store", &*source),
        }
    }
}

impl From<crate::ports::ResponseError> for Problem {
    fn from(error: crate::ports::ResponseError) -> Self {
        use crate::ports::ResponseError;
        match error {
            ResponseError::NotFound(what) => Self::not_found(what),
            ResponseError::Invalid(why) => Self::invalid(why),
            ResponseError::Conflict(why) => Self::conflict(why),
            ResponseError::Failed(source) => Self::internal("the response", &*source),
        }
    }
}

impl From<crate::ports::RecordingError> for Problem {
    fn from(error: crate::ports::RecordingError) -> Self {
        use crate::ports::RecordingError;
        match error {
            RecordingError::Unknown => Self::not_found("recording"),
            RecordingError::Invalid(why) => Self::invalid(why),
            RecordingError::Busy => Self::new(StatusCode::CONFLICT, "detecting", error.to_string()),
            RecordingError::Later(_) => Self::unavailable(error.to_string()),
            RecordingError::Failed(source) => Self::internal("the recording", &*source),
        }
    }
}
