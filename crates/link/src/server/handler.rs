//! What the server does with what sensors say. The link calls, the ingest service implements.

use async_trait::async_trait;
use metsuke_event::inventory::Delta;
use metsuke_event::{BootId, EndpointId, Event};
use tokio::sync::mpsc;

use crate::artifact::{ArtifactAnswer, ArtifactPart};
use crate::message::{Downstream, EnrolFacts, Heartbeat, Hello, PlanUpdate};

/// Why an enrolment was refused. The peer is told only that the token was refused: which of the
/// reasons it was stands in the server's log.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such token.
    #[error("the enrolment token is unknown; make a new one on the server")]
    UnknownToken,
    /// It was used before.
    #[error("the enrolment token was used before; each enrols one host: make a new one")]
    UsedToken,
    /// Its time is over.
    #[error("the enrolment token has expired; make a new one on the server")]
    ExpiredToken,
    /// The server cannot answer now.
    #[error("the server cannot enrol now: {0}; try again later")]
    Unavailable(String),
}

/// Why a message of an enrolled sensor was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The endpoint is not known, or was revoked. The session ends; the sensor keeps its spool.
    #[error("endpoint is not enrolled here (any more); enrol it again with a new token")]
    UnknownEndpoint,
    /// This message will never be taken. A batch is dropped by the sensor, which counts it as lost.
    #[error("refused for good: {0}")]
    Refused(String),
    /// Not now (disk full, shutting down). The session ends; the sensor keeps everything and comes
    /// again.
    #[error("not now: {0}")]
    Unavailable(String),
}

/// What the server does with what sensors say.
///
/// Calls for one session come one after another; calls for several sessions come at once. One
/// endpoint has at most one session: when a second one opens, the link closes the first, calls
/// [`Handler::gone`] for it, and only then [`Handler::hello`] for the second.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Takes a one-time token and gives the host an identity. The token counts as used from then
    /// on, whether or not the answer reaches the sensor.
    async fn enrol(&self, token: &str, facts: EnrolFacts) -> Result<EndpointId, EnrolError>;

    /// A sensor opened a session.
    async fn hello(&self, endpoint: EndpointId, hello: Hello) -> Result<(), HandlerError>;

    /// Activities of one boot in order of `seq`; identity is complete (`id.endpoint` is the
    /// authenticated one, whatever the sensor claimed), `received` is unset. Some or all may have
    /// come before.
    ///
    /// Returns the highest `seq` of `boot` that is on the server's disk, at the earliest when
    /// these are.
    async fn batch(
        &self,
        endpoint: EndpointId,
        boot: BootId,
        events: Vec<Event>,
    ) -> Result<u64, HandlerError>;

    /// A sensor's health.
    async fn heartbeat(
        &self,
        endpoint: EndpointId,
        heartbeat: Heartbeat,
    ) -> Result<(), HandlerError>;

    /// A plan's progress. Returning `Ok` tells the sensor not to send this update again.
    async fn plan_update(
        &self,
        endpoint: EndpointId,
        update: PlanUpdate,
    ) -> Result<(), HandlerError>;

    /// An artifact is offered, or a part of it came. The answer goes back to the sensor.
    async fn artifact(
        &self,
        endpoint: EndpointId,
        part: ArtifactPart,
    ) -> Result<ArtifactAnswer, HandlerError> {
        let _ = endpoint;
        let reason = "this server keeps no artifacts".to_owned();
        Ok(ArtifactAnswer::Refused { plan: part.plan(), reason, later: false })
    }

    /// A change of what is on the host. Returns the generation held for the endpoint from now on;
    /// another one than the delta's makes the sensor send all of it anew.
    async fn inventory(&self, _endpoint: EndpointId, _delta: Delta) -> Result<u64, HandlerError> {
        Err(HandlerError::Refused("this server keeps no inventory".to_owned()))
    }

    /// Called once per session, after [`Handler::hello`]: what is to go down to this sensor from
    /// now on, first of all current content, policy, and plans still open. The channel's closing
    /// does not end the session.
    async fn downstream(&self, endpoint: EndpointId) -> mpsc::Receiver<Downstream>;

    /// The session ended.
    async fn gone(&self, endpoint: EndpointId);
}
