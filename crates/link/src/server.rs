//! The server's side of the link: accepts connections, enrols, and runs one session per endpoint.
//!
//! Invariant: nothing but `Enrol` answers a peer without a certificate of this server's authority.
//! Invariant: what is not TLS, or never finishes its handshake, costs one connection slot for at
//! most `HANDSHAKE_TIMEOUT`, and is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::ca::Authority;
use crate::limits::{
    CALLS_MAX, CONNECTIONS_MAX, HANDSHAKE_TIMEOUT, HEARTBEAT_DEFAULT, STREAMS_MAX,
};
use crate::tls::{TlsError, server_config};

mod accept;
mod gate;
mod handler;
mod seats;
mod service;
mod session;

pub use handler::{EnrolError, Handler, HandlerError};

/// How long sessions get to finish what they are at when the server stops.
const DRAIN: Duration = Duration::from_secs(10);
/// A dead peer is noticed after interval + timeout without any bytes.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why the link could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// gRPC gave up.
    #[error("the link stopped serving; see the cause, then start the server again")]
    Transport(#[from] tonic::transport::Error),
}

/// What the link counts, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Connections whose handshake failed: no TLS, a foreign certificate, too slow.
    pub handshakes_failed: AtomicU64,
    /// Connections turned away because too many were open.
    pub connections_refused: AtomicU64,
    /// Sessions open now.
    pub sessions: AtomicU64,
    /// Sessions ended because their endpoint opened another one.
    pub sessions_replaced: AtomicU64,
    /// Sessions ended by a fault of this server's own.
    pub sessions_failed: AtomicU64,
    /// Batches taken.
    pub batches: AtomicU64,
    /// Batches refused for good.
    pub batches_refused: AtomicU64,
    /// Inventory messages refused for good.
    pub inventories_refused: AtomicU64,
    /// Enrolments refused.
    pub enrolments_refused: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How the link is served.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// How often sensors shall send a heartbeat.
    pub heartbeat: Duration,
    /// Most connections held at once; more are closed at once, and counted.
    pub connections_max: usize,
    /// How long a peer may take for its TLS handshake; then it is cut off, and counted.
    pub handshake_timeout: Duration,
    /// Where it counts.
    pub counters: Arc<Counters>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT_DEFAULT,
            connections_max: CONNECTIONS_MAX,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            counters: Arc::default(),
        }
    }
}

/// Serves the link on `listener` until `stop` is cancelled; then no more is taken in, sessions
/// finish the batch they are at, and the call returns.
///
/// # Errors
/// When TLS cannot be set up, or gRPC gives up.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    authority: Arc<Authority>,
    handler: Arc<H>,
    config: ServerConfig,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let tls = server_config(&authority)?;
    let (incoming, accepting) = accept::incoming(listener, tls, &config);
    let sessions = tokio_util::task::TaskTracker::new();
    let service = service::Service::new(
        authority,
        handler,
        config,
        service::Stop { token: stop.clone(), sessions: sessions.clone() },
    );
    let stopped = stop.clone().cancelled_owned();
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_MAX)
        .concurrency_limit_per_connection(CALLS_MAX)
        .add_service(gate::Gate::new(service))
        .serve_with_incoming_shutdown(incoming, stopped);
    // Not a task of its own: a panic in it is one of whoever serves, and it ends with the call.
    let accepting = async {
        stop.run_until_cancelled(accepting).await;
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = serving => result,
        () = accepting => Ok(()),
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("connections were still open when the link stopped; they are cut off");
            Ok(())
        }
    };
    sessions.close();
    if tokio::time::timeout(DRAIN, sessions.wait()).await.is_err() {
        tracing::warn!("a session did not finish in time; its sensor will send again");
    }
    Ok(result?)
}
