//! The gRPC service: who is calling, and where the call goes.

use std::pin::Pin;
use std::sync::Arc;

use metsuke_event::EndpointId;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::seats::Seats;
use super::session::{self, Context};
use super::{Counters, EnrolError, Handler, ServerConfig};
use crate::ca::Authority;
use crate::limits::DOWNSTREAM_QUEUE;
use crate::proto::link_server::Link;
use crate::proto::{self, EnrolRequest, EnrolResponse, Upstream};
use crate::{tls, wire};

/// Longest token looked at, in bytes.
const TOKEN_MAX: usize = 256;

/// How sessions are told to stop and waited for.
pub(super) struct Stop {
    pub(super) token: CancellationToken,
    pub(super) sessions: TaskTracker,
}

pub(super) struct Service<H> {
    authority: Arc<Authority>,
    handler: Arc<H>,
    config: ServerConfig,
    stop: Stop,
    seats: Arc<Seats>,
}

impl<H> Service<H> {
    pub(super) fn new(
        authority: Arc<Authority>,
        handler: Arc<H>,
        config: ServerConfig,
        stop: Stop,
    ) -> Self {
        Self { authority, handler, config, stop, seats: Arc::default() }
    }
}

/// The endpoint whose certificate the peer presented.
fn peer<T>(request: &Request<T>) -> Result<EndpointId, Status> {
    let certificates = request.peer_certs();
    let leaf = certificates.as_ref().and_then(|chain| chain.first());
    leaf.and_then(tls::endpoint_of).ok_or_else(|| {
        Status::unauthenticated("a session needs this server's certificate; enrol the sensor first")
    })
}

#[tonic::async_trait]
impl<H: Handler> Link for Service<H> {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        let from = request.remote_addr();
        let request = request.into_inner();
        let counters = &self.config.counters;
        let refuse = |reason: &dyn std::fmt::Display| {
            Counters::add(&counters.enrolments_refused);
            tracing::warn!(?from, host = %request.host.escape_debug(), %reason, "an enrolment was refused");
        };
        let facts = wire::enrol_facts(&request).map_err(|error| {
            refuse(&error);
            Status::invalid_argument(error.to_string())
        })?;
        if request.token.len() > TOKEN_MAX {
            refuse(&"the token is too long");
            return Err(Status::permission_denied(TOKEN_REFUSED));
        }
        // The request is looked at before the token is used up.
        self.authority.sign_request(&request.csr, EndpointId::default()).map_err(|error| {
            refuse(&error);
            Status::invalid_argument(error.to_string())
        })?;
        let endpoint = self.handler.enrol(&request.token, facts).await.map_err(|error| {
            refuse(&error);
            match error {
                EnrolError::Unavailable(_) => Status::unavailable(error.to_string()),
                _ => Status::permission_denied(TOKEN_REFUSED),
            }
        })?;
        let certificate = self
            .authority
            .sign_request(&request.csr, endpoint)
            .map_err(|error| Status::internal(error.to_string()))?;
        tracing::info!(%endpoint, host = %request.host.escape_debug(), "a sensor enrolled");
        Ok(Response::new(EnrolResponse {
            endpoint: endpoint.to_string(),
            certificate: certificate.to_vec().into(),
            authority: self.authority.certificate().to_vec().into(),
            signing_key: self.authority.signing().public().to_vec().into(),
        }))
    }

    type SessionStream =
        Pin<Box<dyn Stream<Item = Result<proto::Downstream, Status>> + Send + 'static>>;

    async fn session(
        &self,
        request: Request<Streaming<Upstream>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let endpoint = peer(&request)?;
        let (down, stream) = mpsc::channel(DOWNSTREAM_QUEUE);
        let context = Context {
            endpoint,
            authority: Arc::clone(&self.authority),
            handler: Arc::clone(&self.handler),
            config: self.config.clone(),
            seats: Arc::clone(&self.seats),
            stop: self.stop.token.clone(),
            down,
        };
        self.stop.sessions.spawn(session::run(context, request.into_inner()));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

const TOKEN_REFUSED: &str =
    "the enrolment token is wrong, was used, or has expired; make a new one on the server";
