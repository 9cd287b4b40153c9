//! The sensor's side of a session: connects, sends what the spool holds, sends it again until the
//! server says it has it, and passes on what the server orders.
//!
//! Invariant: a place in the spool is committed only when an acknowledgement covers it, or the
//! server refused the batch for good (then the delegate is told, to count it). Invariant: nothing
//! the server says is passed on before its signature was checked.

use std::sync::Arc;
use std::time::Duration;

use metsuke_event::id::PlanId;
use metsuke_event::inventory::Delta;
use metsuke_event::{BootId, GivenUp, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::dial::{DialError, dial};
use crate::identity::Identity;
use crate::inventory::Seen;
use crate::message::{Downstream, Heartbeat, Hello, PlanUpdate};
use crate::sealed::Sealed;
use crate::spool::SharedSpool;
use crate::tls::TlsError;

mod session;
mod upload;
mod window;

pub use upload::Outbox;

/// How fast a lost connection is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most. With a thousand sensors and half of it as jitter, a returning server sees some
    /// hundred connections a second.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), max: Duration::from_secs(10) }
    }
}

/// A batch the server will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedBatch {
    /// Its boot.
    pub boot: BootId,
    /// How many activities.
    pub count: u64,
    /// What they were, by kind; nothing when the spool had given them up meanwhile, which tells it.
    pub lost: GivenUp,
    /// Time of its earliest activity.
    pub from: Timestamp,
    /// Time of its latest activity.
    pub to: Timestamp,
    /// The server's reason.
    pub reason: String,
}

/// Whether there is a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The server has welcomed us.
    Connected {
        /// Its clock when it did.
        server: Timestamp,
    },
    /// Not connected, and why.
    Away(String),
}

/// What the session needs of the sensor. Calls come from the session's task and must not block
/// longer than a small file operation.
pub trait Delegate: Send + Sync + 'static {
    /// What to say first.
    fn hello(&self) -> Hello;
    /// How the sensor is.
    fn heartbeat(&self) -> Heartbeat;
    /// Plan updates the server has not confirmed, in order.
    fn plan_updates(&self) -> Vec<PlanUpdate>;
    /// The server has this update.
    fn plan_seen(&self, plan: PlanId, revision: u32);
    /// What to say next of the inventory, if anything. Asked again after each answer to it, and
    /// when [`Delegate::inventory_news`] is woken; one is on its way at a time.
    fn inventory(&self) -> Option<Delta> {
        None
    }
    /// The server's answer to what [`Delegate::inventory`] gave last.
    fn inventory_seen(&self, _seen: Seen) {}
    /// Woken when [`Delegate::inventory`] has something new; asked for once per session.
    fn inventory_news(&self) -> Arc<Notify> {
        Arc::default()
    }
    /// An order of the server, its signature checked.
    fn order(&self, order: Downstream);
    /// The same with its signature, for who keeps it; passed to [`Delegate::order`] unless
    /// implemented.
    fn sealed_order(&self, order: Downstream, _sealed: &Sealed) {
        self.order(order);
    }
    /// A batch was refused for good.
    fn refused(&self, batch: RefusedBatch);
    /// The link came up or went down.
    fn state(&self, state: LinkState);
    /// Artifacts that wait for the server, if there can be any.
    fn outbox(&self) -> Option<&dyn Outbox> {
        None
    }
}

/// How a session is run.
#[derive(Clone, Debug)]
pub struct Client {
    /// Who we are, and the server we obey.
    pub identity: Identity,
    /// How fast to try again.
    pub backoff: Backoff,
    /// Woken when [`Delegate::plan_updates`] or [`Delegate::outbox`] has something new.
    pub plan_news: Arc<Notify>,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server ended it.
    #[error("the server ended the session: {} ({})", .0.message(), .0.code())]
    Status(#[from] Box<Status>),
    /// The server said something else than the protocol has.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
}

impl From<Status> for SessionError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Client {
    /// Runs sessions, one after another, until `stop` is cancelled. Then what is in the spool is
    /// left there.
    pub async fn run(
        &self,
        spool: SharedSpool,
        delegate: Arc<dyn Delegate>,
        stop: CancellationToken,
    ) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let session = session::Session::new(self, spool.clone(), Arc::clone(&delegate));
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.once(session, &mut failures) => ended,
            };
            tracing::info!(error = %ended, "the link is down");
            delegate.state(LinkState::Away(ended.to_string()));
            let pause = self.pause(failures, &ended);
            failures = failures.saturating_add(1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn once(&self, session: session::Session, failures: &mut u32) -> SessionError {
        let channel = match self.identity.tls() {
            Ok(tls) => dial(&self.identity.server, tls).await,
            Err(error) => return error.into(),
        };
        match channel {
            Ok(channel) => session.run(channel, failures).await,
            Err(error) => error.into(),
        }
    }

    /// Doubles with each failure; half of it is chance, so that sensors do not come all at once.
    fn pause(&self, failures: u32, ended: &SessionError) -> Duration {
        let doubled = self.backoff.first.saturating_mul(1 << failures.min(16));
        let mut pause = doubled.min(self.backoff.max);
        if let SessionError::Status(status) = ended
            && status.code() == Code::PermissionDenied
        {
            // Revoked: no use in hurrying.
            pause = self.backoff.max;
        }
        pause.mul_f64(rand::random_range(0.5..=1.0))
    }
}
