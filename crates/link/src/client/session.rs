//! One session, from Hello to its end.

use std::sync::Arc;
use std::time::Duration;

use metsuke_event::{EndpointId, GivenUp, Timestamp};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::upload::Upload;
use super::window::{InFlight, Window};
use super::{Client, Delegate, LinkState, RefusedBatch, SessionError};
use crate::codec::{boot_id, given_up};
use crate::inventory::Seen;
use crate::limits::{HEARTBEAT_DEFAULT, MESSAGE_MAX, SILENCE_MAX};
use crate::message::Downstream;
use crate::proto::downstream::Kind as Down;
use crate::proto::link_client::LinkClient;
use crate::proto::upstream::Kind as Up;
use crate::proto::{self, Upstream};
use crate::sealed::Sealed;
use crate::spool::{Position, SharedSpool};
use crate::wire;

/// Messages handed to gRPC and not taken by it yet. Flow control waits here.
const UPSTREAM_QUEUE: usize = 4;
/// How long the server may take to answer Hello.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(30);
/// Shortest heartbeat a server may ask for.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

/// Why no more was handed over: what to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    Drained,
    QueueFull,
    WindowFull,
}

pub(super) struct Session {
    endpoint: EndpointId,
    signing_key: Vec<u8>,
    plan_news: Arc<Notify>,
    spool: SharedSpool,
    delegate: Arc<dyn Delegate>,
    window: Window,
    upload: Upload,
    /// Where to read next.
    at: Position,
    inventory: Inventory,
    /// Whether the delegate may have something of it that was not asked for yet.
    ask_inventory: bool,
}

/// Whether something of the inventory is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inventory {
    Idle,
    OnItsWay,
    /// The server refused one; another would fare no better in this session.
    Refused,
}

impl Session {
    pub(super) fn new(client: &Client, spool: SharedSpool, delegate: Arc<dyn Delegate>) -> Self {
        let at = spool.lock().start();
        Self {
            endpoint: client.identity.endpoint,
            signing_key: client.identity.signing_key.clone(),
            plan_news: Arc::clone(&client.plan_news),
            spool,
            upload: Upload::new(),
            delegate,
            window: Window::default(),
            at,
            inventory: Inventory::Idle,
            ask_inventory: true,
        }
    }

    /// Runs it to its end, which always has a reason.
    pub(super) async fn run(mut self, channel: Channel, failures: &mut u32) -> SessionError {
        match self.talk(channel, failures).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn talk(
        &mut self,
        channel: Channel,
        failures: &mut u32,
    ) -> Result<std::convert::Infallible, SessionError> {
        let (up, upstream) = mpsc::channel(UPSTREAM_QUEUE);
        let hello = Up::Hello(self.delegate.hello().to_proto());
        send(&up, hello).await?;
        let mut client = LinkClient::new(channel)
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX);
        let opening = async {
            let answer = client.session(ReceiverStream::new(upstream)).await?;
            let mut down = answer.into_inner();
            let first = next(&mut down).await?;
            Ok::<_, SessionError>((down, first))
        };
        let (mut down, first) = tokio::time::timeout(WELCOME_TIMEOUT, opening)
            .await
            .map_err(|_| SessionError::Protocol("it did not answer Hello in time"))??;
        let Down::Welcome(welcome) = first else {
            return Err(SessionError::Protocol("its first word is not Welcome"));
        };
        *failures = 0;
        let server = Timestamp::from_nanos(welcome.server_ns);
        self.delegate.state(LinkState::Connected { server });
        tracing::info!(endpoint = %self.endpoint, "the link is up");
        let mut beat = heartbeats(welcome.heartbeat_ms);
        self.send_plan_updates(&up).await?;
        let inventory_news = self.delegate.inventory_news();
        loop {
            self.send_inventory(&up).await?;
            let filled = self.fill(&up);
            let spool = self.spool.clone();
            tokio::select! {
                message = next(&mut down) => self.take(message?)?,
                () = spool.appended(), if filled == Filled::Drained => {}
                permit = up.reserve(), if filled == Filled::QueueFull => {
                    permit.map_err(|_| SessionError::Protocol("it closed the stream"))?;
                }
                () = self.plan_news.notified() => {
                    self.send_plan_updates(&up).await?;
                    self.upload.look();
                }
                () = self.upload.due() => if let Some(kind) = self.upload.step(self.delegate.outbox()) {
                    send(&up, kind).await?;
                },
                () = inventory_news.notified() => self.ask_inventory = true,
                _ = beat.tick() => {
                    send(&up, Up::Heartbeat(self.delegate.heartbeat().to_proto())).await?;
                }
            }
        }
    }

    /// Hands over as many batches as window and queue have room for.
    fn fill(&mut self, up: &mpsc::Sender<Upstream>) -> Filled {
        while self.window.has_room() {
            let Ok(permit) = up.try_reserve() else { return Filled::QueueFull };
            let Some((batch, behind)) = self.spool.next(self.at) else { return Filled::Drained };
            self.window.push(InFlight::new(&batch, self.at, behind));
            self.at = behind;
            permit.send(Upstream { kind: Some(Up::Batch(batch.to_proto())) });
        }
        Filled::WindowFull
    }

    async fn send_plan_updates(&self, up: &mpsc::Sender<Upstream>) -> Result<(), SessionError> {
        for update in self.delegate.plan_updates() {
            send(up, Up::PlanUpdate(update.to_proto())).await?;
        }
        Ok(())
    }

    /// The next of the inventory, when there is one and none is on its way.
    async fn send_inventory(&mut self, up: &mpsc::Sender<Upstream>) -> Result<(), SessionError> {
        if self.inventory != Inventory::Idle || !std::mem::take(&mut self.ask_inventory) {
            return Ok(());
        }
        let Some(delta) = self.delegate.inventory() else { return Ok(()) };
        match crate::inventory::pack(&delta) {
            Ok(message) => {
                self.inventory = Inventory::OnItsWay;
                send(up, Up::Inventory(message)).await
            }
            Err(error) => {
                tracing::error!(%error, "the inventory is not sent");
                self.inventory_answer(Seen { generation: 0, refused: Some(error.to_string()) });
                Ok(())
            }
        }
    }

    fn inventory_answer(&mut self, seen: Seen) {
        self.inventory = if seen.refused.is_some() { Inventory::Refused } else { Inventory::Idle };
        self.ask_inventory = true;
        self.delegate.inventory_seen(seen);
    }

    fn take(&mut self, message: Down) -> Result<(), SessionError> {
        let unreadable = |_| SessionError::Protocol("a boot id has 16 bytes");
        match message {
            Down::Welcome(_) => Err(SessionError::Protocol("Welcome came twice")),
            Down::Ack(ack) => {
                let boot = boot_id(&ack.boot).map_err(unreadable)?;
                if let Some(position) = self.window.acknowledge(boot, ack.seq) {
                    self.spool.commit(position);
                }
                Ok(())
            }
            Down::Refused(refused) => {
                let boot = boot_id(&refused.boot).map_err(unreadable)?;
                if let Some(batch) = self.window.refuse(boot, refused.last_seq) {
                    self.give_up(&batch, refused.reason);
                }
                Ok(())
            }
            Down::PlanSeen(seen) => {
                if let Some((plan, revision)) = wire::plan_seen(&seen) {
                    self.delegate.plan_seen(plan, revision);
                }
                Ok(())
            }
            Down::ArtifactWanted(wanted) => {
                self.upload.wanted(&wanted);
                Ok(())
            }
            Down::ArtifactStored(stored) => {
                self.upload.stored(&stored, self.delegate.outbox());
                Ok(())
            }
            Down::ArtifactRefused(refused) => {
                self.upload.refused(&refused, self.delegate.outbox());
                Ok(())
            }
            Down::InventorySeen(seen) => {
                if self.inventory == Inventory::OnItsWay {
                    self.inventory_answer(Seen::from_proto(seen));
                }
                Ok(())
            }
            order => {
                let sealed = Sealed::of(&order);
                match Downstream::from_proto(order, &self.signing_key, self.endpoint) {
                    Ok(Some(order)) => match sealed {
                        Some(sealed) => self.delegate.sealed_order(order, &sealed),
                        None => self.delegate.order(order),
                    },
                    Ok(None) => {}
                    // Not a reason to leave: activities must still arrive.
                    Err(error) => tracing::error!(%error, "an order is not followed"),
                }
                Ok(())
            }
        }
    }

    fn give_up(&self, batch: &InFlight, reason: String) {
        tracing::error!(reason, count = batch.count, "the server refused a batch for good");
        let held = {
            // In one go: between the two the spool might give it up, and it would be lost twice.
            let mut spool = self.spool.lock();
            let held = spool.next(batch.at).filter(|(_, behind)| *behind == batch.behind);
            spool.commit(batch.behind);
            held
        };
        // Else the spool was full meanwhile, and gave it up.
        let lost = held.map_or_else(GivenUp::default, |(held, _)| given_up(&held));
        self.delegate.refused(RefusedBatch {
            boot: batch.boot,
            count: batch.count,
            lost,
            from: batch.from,
            to: batch.to,
            reason,
        });
    }
}

async fn next(down: &mut Streaming<proto::Downstream>) -> Result<Down, SessionError> {
    let message = down.message().await?;
    let message = message.ok_or(SessionError::Protocol("it closed the stream"))?;
    message.kind.ok_or(SessionError::Protocol("an empty message"))
}

async fn send(up: &mpsc::Sender<Upstream>, kind: Up) -> Result<(), SessionError> {
    up.send(Upstream { kind: Some(kind) })
        .await
        .map_err(|_| SessionError::Protocol("it closed the stream"))
}

fn heartbeats(asked_ms: u32) -> Interval {
    let asked = Duration::from_millis(u64::from(asked_ms));
    let period = if asked.is_zero() {
        HEARTBEAT_DEFAULT
    } else {
        asked.clamp(HEARTBEAT_MIN, SILENCE_MAX / 3)
    };
    let mut interval = tokio::time::interval_at(Instant::now(), period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
