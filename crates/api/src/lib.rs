#![doc = include_str!("../README.md")]

pub mod alerts;
pub mod artifacts;
mod assets;
mod attack;
pub mod audit;
pub mod auth;
pub mod backtests;
mod body;
pub mod detections;
pub mod endpoints;
pub mod enrolment;
pub mod exceptions;
pub mod groups;
pub mod health;
mod hosts;
pub mod incidents;
pub mod indicators;
pub mod inventory;
mod metrics;
pub mod openapi;
pub mod overview;
mod paging;
pub mod ports;
pub mod problem;
pub mod recordings;
pub mod responses;
pub mod search;
mod security;
pub mod session;
pub mod shape;
mod signin;
pub mod status;
pub mod stream;
pub mod techniques;
pub mod tokens;
pub mod tree;
pub mod uninstall;
pub mod users;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use metsuke_catalog::Catalog;
use metsuke_control::Library;
use metsuke_control::trials::Trials;
use metsuke_indicators::Indicators;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::ports::{Facts, Recordings, Responses, Status, Telemetry};

/// Largest request body, also of those who are not signed in. Responses have a bound of their own.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP, on loopback only: the cookie is `sid`, without `Secure`.
    PlainLoopback,
    /// TLS: the cookie is `__Host-sid; Secure`.
    Tls,
}

/// What the API is made of.
#[derive(Clone)]
pub struct Parts {
    /// The catalog.
    pub catalog: Catalog,
    /// The content, and the door to changing it.
    pub library: Library,
    /// What content would have done.
    pub trials: Trials,
    /// The event store.
    pub telemetry: Arc<dyn Telemetry>,
    /// The control plane.
    pub responses: Arc<dyn Responses>,
    /// Recordings of incidents.
    pub recordings: Arc<dyn Recordings>,
    /// Where artifacts lie.
    pub artifacts: ports::ArtifactPath,
    /// Signs the leave to remove a sensor.
    pub uninstall: ports::UninstallSigner,
    /// The indicators in force, and the door for their changes.
    pub indicators: Indicators,
    /// Counters.
    pub status: Arc<dyn Status>,
    /// What the server runs.
    pub facts: Facts,
    /// How it is reached.
    pub transport: Transport,
    /// Host names (with port) that requests may be made to; guards against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Ends the streams when the server stops.
    pub stop: CancellationToken,
}

/// The state behind every handler. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) parts: Arc<Parts>,
    pub(crate) attempts: Arc<signin::Attempts>,
    pub(crate) streams: Arc<tokio::sync::Semaphore>,
    /// Places for documents that are read.
    pub(crate) documents: Arc<tokio::sync::Semaphore>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The whole HTTP interface: API, metrics, health, console.
pub fn router(parts: Parts) -> Router {
    let app = App {
        parts: Arc::new(parts),
        attempts: Arc::default(),
        streams: Arc::new(tokio::sync::Semaphore::new(stream::MAX_STREAMS)),
        documents: Arc::new(tokio::sync::Semaphore::new(indicators::MAX_DOCUMENTS)),
    };
    let (api, _) = OpenApiRouter::new().merge(openapi::routes()).split_for_parts();
    api.route("/metrics", get(metrics::metrics))
        .route("/healthz", get(metrics::healthz))
        .fallback(assets::serve)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), security::guard))
        .with_state(app)
}
