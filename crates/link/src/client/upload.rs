//! The sensor's side of artifacts: one at a time, one chunk unanswered, at a bounded rate.

use std::io;
use std::time::Duration;

use metsuke_event::id::PlanId;
use tokio::time::Instant;

use crate::artifact::Offer;
use crate::limits::{ARTIFACT_BYTES_PER_S, ARTIFACT_CHUNK_MAX, ARTIFACT_RETRY};
use crate::proto;
use crate::proto::upstream::Kind as Up;

/// Artifacts that wait for the server. Calls come from the session's task.
pub trait Outbox {
    /// The next one that is to be offered now.
    fn next(&self) -> Option<Offer>;
    /// At most `length` bytes of it from `offset`.
    ///
    /// # Errors
    /// When they cannot be read; then it is given up.
    fn read(&self, plan: PlanId, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// The server has it.
    fn stored(&self, plan: PlanId);
    /// The server does not take it; with `later` it shall be offered again after some time.
    fn refused(&self, plan: PlanId, reason: &str, later: bool);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing waits, as far as is known.
    Idle,
    /// The outbox is to be looked at then.
    Look(Instant),
    /// The server's answer is waited for.
    Asked(PlanId),
    /// The server wants bytes; they may go then.
    Wanted { plan: PlanId, offset: u64, at: Instant },
}

/// What is on its way.
pub(super) struct Upload {
    state: State,
    /// When the next chunk may go at the earliest.
    free_at: Instant,
}

impl Upload {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { state: State::Look(now), free_at: now }
    }

    /// Something new may wait.
    pub(super) fn look(&mut self) {
        if matches!(self.state, State::Idle | State::Look(_)) {
            self.state = State::Look(Instant::now());
        }
    }

    /// Until there is something to do.
    pub(super) async fn due(&self) {
        match self.state {
            State::Look(at) | State::Wanted { at, .. } => tokio::time::sleep_until(at).await,
            State::Idle | State::Asked(_) => std::future::pending().await,
        }
    }

    /// What is to be sent now.
    pub(super) fn step(&mut self, outbox: Option<&dyn Outbox>) -> Option<Up> {
        let Some(outbox) = outbox else {
            self.state = State::Idle;
            return None;
        };
        match self.state {
            State::Idle | State::Asked(_) => None,
            State::Look(_) => {
                let Some(offer) = outbox.next() else {
                    // What was refused for now is offered again some time.
                    self.state = State::Look(Instant::now() + ARTIFACT_RETRY);
                    return None;
                };
                self.state = State::Asked(offer.plan);
                Some(offer.to_proto())
            }
            State::Wanted { plan, offset, .. } => {
                match outbox.read(plan, offset, ARTIFACT_CHUNK_MAX) {
                    Ok(data) if !data.is_empty() => {
                        let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
                        let pause = Duration::from_secs(1).mul_f64(share(bytes));
                        self.free_at = Instant::now() + pause;
                        self.state = State::Asked(plan);
                        let plan = plan.to_string();
                        {
                            let data = data.into();
                            Some(Up::ArtifactChunk(proto::ArtifactChunk { plan, offset, data }))
                        }
                    }
                    read => {
                        let why = read.err().map_or_else(
                            || "it is shorter than it was when it was offered".to_owned(),
                            |error| error.to_string(),
                        );
                        tracing::error!(%plan, why, "an artifact cannot be read again");
                        outbox.refused(plan, &why, false);
                        self.state = State::Look(Instant::now());
                        None
                    }
                }
            }
        }
    }

    pub(super) fn wanted(&mut self, wanted: &proto::ArtifactWanted) {
        if let Some(plan) = self.asked(&wanted.plan) {
            self.state = State::Wanted { plan, offset: wanted.offset, at: self.free_at };
        }
    }

    pub(super) fn stored(&mut self, stored: &proto::ArtifactStored, outbox: Option<&dyn Outbox>) {
        if let (Some(plan), Some(outbox)) = (self.asked(&stored.plan), outbox) {
            outbox.stored(plan);
            self.state = State::Look(Instant::now());
        }
    }

    pub(super) fn refused(
        &mut self,
        refused: &proto::ArtifactRefused,
        outbox: Option<&dyn Outbox>,
    ) {
        if let (Some(plan), Some(outbox)) = (self.asked(&refused.plan), outbox) {
            let proto::ArtifactRefused { reason, later, .. } = refused;
            tracing::warn!(%plan, reason, later, "the server does not take an artifact");
            outbox.refused(plan, reason, *later);
            self.state = State::Look(Instant::now());
        }
    }

    /// The plan of an answer, when it was waited for; others are passed over.
    fn asked(&self, plan: &str) -> Option<PlanId> {
        match self.state {
            State::Asked(asked) if asked.to_string() == plan => Some(asked),
            _ => None,
        }
    }
}

/// Seconds that `bytes` take at the bounded rate.
#[expect(clippy::cast_precision_loss, reason = "a chunk is far below 2^52 bytes")]
fn share(bytes: u64) -> f64 {
    bytes as f64 / ARTIFACT_BYTES_PER_S as f64
}
