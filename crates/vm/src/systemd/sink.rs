//! A server that takes everything and keeps nothing: for what is about the sensor alone.
//!
//! The link is the product's own; behind it nothing is stored, so an acknowledgement here says only
//! that a batch has arrived.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use async_trait::async_trait;
use metsuke_event::inventory::Delta;
use metsuke_event::{BootId, EndpointId, Event};
use metsuke_link::ca::Authority;
use metsuke_link::message::{Downstream, EnrolFacts, Heartbeat, Hello, PlanUpdate};
use metsuke_link::server::{EnrolError, Handler, HandlerError, ServerConfig, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a leave to uninstall holds: longer than the emulated machine takes to follow it.
const LEAVE: Duration = Duration::from_secs(3_600);
/// Who enrols.
const ENDPOINT: EndpointId = EndpointId::from_u128(1);

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) events: AtomicU64,
    pub(crate) hellos: AtomicU64,
}

struct Taker(Arc<Came>);

#[async_trait]
impl Handler for Taker {
    async fn enrol(&self, _token: &str, _facts: EnrolFacts) -> Result<EndpointId, EnrolError> {
        Ok(ENDPOINT)
    }

    async fn hello(&self, _endpoint: EndpointId, _hello: Hello) -> Result<(), HandlerError> {
        self.0.hellos.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn batch(
        &self,
        _endpoint: EndpointId,
        _boot: BootId,
        events: Vec<Event>,
    ) -> Result<u64, HandlerError> {
        self.0.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        Ok(events.iter().map(|event| event.id.seq).max().unwrap_or(0))
    }

    async fn heartbeat(&self, _: EndpointId, _: Heartbeat) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn plan_update(&self, _: EndpointId, _: PlanUpdate) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn inventory(&self, _: EndpointId, delta: Delta) -> Result<u64, HandlerError> {
        Ok(delta.generation)
    }

    async fn downstream(&self, _: EndpointId) -> mpsc::Receiver<Downstream> {
        mpsc::channel(1).1
    }

    async fn gone(&self, _: EndpointId) {}
}

/// A running one; it ends with its value.
pub(crate) struct Sink {
    pub(crate) came: Arc<Came>,
    pub(crate) address: String,
    pub(crate) fingerprint: String,
    authority: Arc<Authority>,
    _runtime: Runtime,
}

impl Sink {
    /// Listens on loopback, with an authority of its own in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let authority = Arc::new(Authority::open(folder)?);
        let fingerprint = authority.fingerprint();
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?.to_string();
        let came = Arc::new(Came::default());
        let handler = Arc::new(Taker(Arc::clone(&came)));
        let stop = CancellationToken::new();
        // It ends with the runtime, which this value owns.
        let serving =
            serve(listener, Arc::clone(&authority), handler, ServerConfig::default(), stop);
        runtime.spawn(async move {
            if let Err(error) = serving.await {
                println!("vm: the sink: {error}");
            }
        });
        Ok(Self { came, address, fingerprint, authority, _runtime: runtime })
    }

    /// The server's leave to uninstall the sensor that enrolled here, for an hour.
    pub(crate) fn leave(&self) -> Result<String> {
        let until = SystemTime::now().duration_since(UNIX_EPOCH)? + LEAVE;
        Ok(self.authority.signing().uninstall_token(ENDPOINT, until.as_secs()))
    }
}
