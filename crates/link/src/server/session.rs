//! One sensor's session: hello, then batches, heartbeats and plan updates up; acknowledgements,
//! content, policies and plans down.
//!
//! Invariant: an acknowledgement is sent only after the handler returned. Invariant: messages of
//! one session are handled one after another, so batches stay in order. Invariant: a message whose
//! handling began is handled to its end; a session ends only between messages.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use metsuke_event::{EndpointId, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::seats::Seats;
use super::{Counters, Handler, HandlerError, ServerConfig};
use crate::artifact::ArtifactPart;
use crate::ca::Authority;
use crate::codec::{self, boot_bytes};
use crate::limits::SILENCE_MAX;
use crate::message::{Downstream, Heartbeat, Hello, PlanUpdate};
use crate::proto::downstream::Kind as Down;
use crate::proto::upstream::Kind as Up;
use crate::proto::{self, Upstream};

/// What a session works with.
pub(super) struct Context<H> {
    pub(super) endpoint: EndpointId,
    pub(super) authority: Arc<Authority>,
    pub(super) handler: Arc<H>,
    pub(super) config: ServerConfig,
    pub(super) seats: Arc<Seats>,
    pub(super) stop: CancellationToken,
    pub(super) down: mpsc::Sender<Result<proto::Downstream, Status>>,
}

/// Runs a session to its end; the last word, if any, is a status for the sensor.
pub(super) async fn run<H: Handler>(context: Context<H>, mut upstream: Streaming<Upstream>) {
    let seat = context.seats.take(context.endpoint).await;
    let opened = whole(&context, open(&context, &mut upstream)).await.and_then(|opened| opened);
    if let Err(status) = opened {
        tracing::info!(endpoint = %context.endpoint, %status, "a session was refused");
        // The sensor may be gone already.
        let _ = context.down.send(Err(status)).await;
        return;
    }
    context.config.counters.sessions.fetch_add(1, Ordering::Relaxed);
    let talk = talk(&context, &mut upstream, &seat.leave);
    let status = whole(&context, talk).await.unwrap_or_else(|status| status);
    tracing::info!(endpoint = %context.endpoint, %status, "a session ended");
    context.handler.gone(context.endpoint).await;
    context.config.counters.sessions.fetch_sub(1, Ordering::Relaxed);
    // Not waited for: a full queue belongs to a sensor that no longer reads.
    let _ = context.down.try_send(Err(status));
}

/// A panic in `part` ends this session, is counted, and nothing else is left undone.
async fn whole<H, T>(context: &Context<H>, part: impl Future<Output = T>) -> Result<T, Status> {
    AssertUnwindSafe(part).catch_unwind().await.map_err(|_| {
        Counters::add(&context.config.counters.sessions_failed);
        tracing::error!(endpoint = %context.endpoint, "a session broke down; please report it");
        Status::internal("the session broke down on the server; come again")
    })
}

async fn next(upstream: &mut Streaming<Upstream>) -> Result<Up, Status> {
    match tokio::time::timeout(SILENCE_MAX, upstream.message()).await {
        Err(_) => Err(Status::deadline_exceeded("nothing was heard of the sensor for too long")),
        Ok(Err(status)) => Err(status),
        Ok(Ok(None)) => Err(Status::ok("the sensor closed the session")),
        Ok(Ok(Some(message))) => {
            message.kind.ok_or_else(|| Status::invalid_argument("an empty message"))
        }
    }
}

async fn open<H: Handler>(
    context: &Context<H>,
    upstream: &mut Streaming<Upstream>,
) -> Result<(), Status> {
    let Up::Hello(hello) = next(upstream).await? else {
        return Err(Status::failed_precondition("a session begins with Hello"));
    };
    let hello = Hello::from_proto(hello).map_err(|error| invalid(&error))?;
    context.handler.hello(context.endpoint, hello).await.map_err(|error| refusal(&error))?;
    let welcome = proto::Welcome {
        heartbeat_ms: u32::try_from(context.config.heartbeat.as_millis()).unwrap_or(u32::MAX),
        server_ns: now().as_nanos(),
    };
    send(context, Down::Welcome(welcome)).await
}

/// Talks until somebody has had enough; returns why.
async fn talk<H: Handler>(
    context: &Context<H>,
    upstream: &mut Streaming<Upstream>,
    leave: &CancellationToken,
) -> Status {
    let mut orders = Some(context.handler.downstream(context.endpoint).await);
    loop {
        let done = tokio::select! {
            biased;
            () = context.stop.cancelled() => {
                Err(Status::unavailable("the server is stopping; come again"))
            }
            () = leave.cancelled() => {
                Counters::add(&context.config.counters.sessions_replaced);
                Err(Status::aborted("this endpoint opened another session"))
            }
            () = context.down.closed() => Err(Status::cancelled("the sensor is gone")),
            order = order(orders.as_mut()) => if let Some(order) = order {
                pass_down(context, &order).await
            } else {
                orders = None;
                Ok(())
            },
            message = next(upstream) => match message {
                Ok(message) => take(context, message).await,
                Err(status) => Err(status),
            },
        };
        if let Err(status) = done {
            return status;
        }
    }
}

async fn order(orders: Option<&mut mpsc::Receiver<Downstream>>) -> Option<Downstream> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

async fn pass_down<H>(context: &Context<H>, order: &Downstream) -> Result<(), Status> {
    match order.to_proto(context.authority.signing(), context.endpoint) {
        Ok(kind) => send(context, kind).await,
        Err(error) => {
            tracing::error!(endpoint = %context.endpoint, %error, "not sent to a sensor");
            Ok(())
        }
    }
}

async fn take<H: Handler>(context: &Context<H>, message: Up) -> Result<(), Status> {
    let (endpoint, handler) = (context.endpoint, &context.handler);
    match message {
        Up::Hello(_) => Err(Status::failed_precondition("Hello came twice")),
        Up::Batch(batch) => take_batch(context, batch).await,
        Up::Heartbeat(heartbeat) => {
            let heartbeat = Heartbeat::from_proto(heartbeat).map_err(|error| invalid(&error))?;
            handler.heartbeat(endpoint, heartbeat).await.map_err(|error| refusal(&error))
        }
        Up::PlanUpdate(update) => {
            let update = PlanUpdate::from_proto(update).map_err(|error| invalid(&error))?;
            let seen = proto::PlanSeen { plan: update.plan.to_string(), revision: update.revision };
            match handler.plan_update(endpoint, update).await {
                // A refused update would be refused for ever; the sensor need not repeat it.
                Ok(()) | Err(HandlerError::Refused(_)) => send(context, Down::PlanSeen(seen)).await,
                Err(error) => Err(refusal(&error)),
            }
        }
        Up::Inventory(inventory) => take_inventory(context, &inventory).await,
        Up::ArtifactOffer(offer) => take_artifact(context, ArtifactPart::from_offer(offer)).await,
        Up::ArtifactChunk(chunk) => take_artifact(context, ArtifactPart::from_chunk(chunk)).await,
    }
}

async fn take_artifact<H: Handler>(
    context: &Context<H>,
    part: Result<ArtifactPart, crate::wire::WireError>,
) -> Result<(), Status> {
    let part = part.map_err(|error| invalid(&error))?;
    let answer = context.handler.artifact(context.endpoint, part).await;
    send(context, answer.map_err(|error| refusal(&error))?.to_proto()).await
}

/// A refused one does not end the session: activities must still arrive.
async fn take_inventory<H: Handler>(
    context: &Context<H>,
    inventory: &proto::Inventory,
) -> Result<(), Status> {
    let taken = match crate::inventory::unpack(inventory) {
        Ok(delta) => match context.handler.inventory(context.endpoint, delta).await {
            Ok(generation) => Ok(generation),
            Err(HandlerError::Refused(reason)) => Err(reason),
            Err(error) => return Err(refusal(&error)),
        },
        Err(error) => Err(error.to_string()),
    };
    let seen = match taken {
        Ok(generation) => proto::InventorySeen { generation, refused: String::new() },
        Err(refused) => {
            Counters::add(&context.config.counters.inventories_refused);
            tracing::warn!(endpoint = %context.endpoint, refused, "an inventory message was refused");
            proto::InventorySeen { generation: 0, refused }
        }
    };
    send(context, Down::InventorySeen(seen)).await
}

async fn take_batch<H: Handler>(context: &Context<H>, batch: proto::Batch) -> Result<(), Status> {
    let decoded = codec::decode(&batch).map_err(|error| error.to_string());
    let taken = match decoded {
        Ok((boot, mut events)) => {
            for event in &mut events {
                event.id.endpoint = context.endpoint;
            }
            match context.handler.batch(context.endpoint, boot, events).await {
                Ok(seq) => Ok((boot, seq)),
                Err(HandlerError::Refused(reason)) => Err(reason),
                Err(error) => return Err(refusal(&error)),
            }
        }
        Err(reason) => Err(reason),
    };
    match taken {
        Ok((boot, seq)) => {
            Counters::add(&context.config.counters.batches);
            send(context, Down::Ack(proto::Ack { boot: boot_bytes(boot), seq })).await
        }
        Err(reason) => {
            Counters::add(&context.config.counters.batches_refused);
            tracing::warn!(endpoint = %context.endpoint, reason, "a batch was refused for good");
            let refused = proto::Refused {
                boot: batch.boot,
                last_seq: batch.last_seq,
                count: batch.count,
                reason,
            };
            send(context, Down::Refused(refused)).await
        }
    }
}

async fn send<H>(context: &Context<H>, kind: Down) -> Result<(), Status> {
    let message = proto::Downstream { kind: Some(kind) };
    context.down.send(Ok(message)).await.map_err(|_| Status::cancelled("the sensor is gone"))
}

fn invalid(error: &crate::wire::WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn refusal(error: &HandlerError) -> Status {
    match error {
        HandlerError::UnknownEndpoint => Status::permission_denied(error.to_string()),
        HandlerError::Refused(_) => Status::invalid_argument(error.to_string()),
        HandlerError::Unavailable(_) => Status::unavailable(error.to_string()),
    }
}

/// The server's clock: an adapter may read it.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    Timestamp::from_nanos(nanos)
}
