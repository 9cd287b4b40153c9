//! What the server does with what sensors say: the link's [`Handler`].
//!
//! Invariant: a batch whose append began is marked and handed to detection, whatever becomes of the
//! connection it came over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError, EndpointChange, TokenRefused};
use metsuke_control::{Control, OrderError};
use metsuke_event::inventory::Delta;
use metsuke_event::{BootId, EndpointId, Event, Timestamp};
use metsuke_indicators::Indicators;
use metsuke_link::artifact::{ArtifactAnswer, ArtifactPart};
use metsuke_link::message::{Downstream, EnrolFacts, Heartbeat, Hello, PlanUpdate};
use metsuke_link::server::{EnrolError, Handler, HandlerError};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::artifacts::{ArtifactFolder, Artifacts, FREE_BYTES_MIN};
use crate::intake::{Intake, IntakeError};
use crate::metrics::{Metrics, add};
use crate::store::StoreError;

/// The link's handler.
pub struct SensorHandler {
    catalog: Catalog,
    control: Control,
    intake: Arc<Intake>,
    /// `None`: this server keeps no artifacts.
    artifacts: Option<Artifacts>,
    /// `None`: inventories are not met with indicators.
    indicators: Option<Indicators>,
    detect: mpsc::Sender<Vec<Event>>,
    metrics: Arc<Metrics>,
    /// Batches being taken in, each a task.
    taking: TaskTracker,
    enrolled: AtomicU64,
}

/// Tells of a batch whose taking in broke down, and shows the store as refusing until it takes one;
/// perhaps nobody waits for the batch any more.
struct Watch {
    endpoint: EndpointId,
    metrics: Arc<Metrics>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            add(&self.metrics.append_failures, 1);
            let why = "the store broke down; please report it, with the server's log";
            self.metrics.refusals.begin_or_last(now(), why.to_owned());
            tracing::error!(endpoint = %self.endpoint, "taking in a batch broke down; please report it");
        }
    }
}

impl std::fmt::Debug for SensorHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SensorHandler").finish_non_exhaustive()
    }
}

impl SensorHandler {
    /// A handler that feeds `intake` and, behind it, the detect queue.
    pub fn new(
        catalog: Catalog,
        control: Control,
        intake: Intake,
        (detect, metrics): (mpsc::Sender<Vec<Event>>, Arc<Metrics>),
    ) -> Self {
        let intake = Arc::new(intake);
        let (taking, enrolled) = (TaskTracker::new(), AtomicU64::new(0));
        let (artifacts, indicators) = (None, None);
        Self { catalog, control, intake, artifacts, indicators, detect, metrics, taking, enrolled }
    }

    /// Meets what sensors say of their hosts' files with `indicators`.
    #[must_use]
    pub fn watching(mut self, indicators: Indicators) -> Self {
        self.indicators = Some(indicators);
        self
    }

    /// Keeps artifacts in `folder`.
    #[must_use]
    pub fn keeping(self, folder: ArtifactFolder) -> Self {
        self.keeping_free(folder, FREE_BYTES_MIN)
    }

    /// As [`Self::keeping`], with so many bytes of its disk left free whatever sensors bring.
    #[must_use]
    pub fn keeping_free(mut self, folder: ArtifactFolder, free_bytes: u64) -> Self {
        self.artifacts = Some(Artifacts::new(self.catalog.clone(), folder, free_bytes));
        self
    }

    /// How many endpoints enrolled since the server started.
    pub fn enrolled(&self) -> u64 {
        self.enrolled.load(Ordering::Relaxed)
    }

    async fn change(
        &self,
        endpoint: EndpointId,
        change: EndpointChange,
    ) -> Result<(), HandlerError> {
        match self.catalog.update_endpoint(now(), endpoint, change).await {
            Ok(_) => Ok(()),
            Err(CatalogError::NotFound(_)) => Err(HandlerError::UnknownEndpoint),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

fn unavailable(error: &dyn std::error::Error) -> HandlerError {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    tracing::error!(error = text, "a sensor's message cannot be taken now");
    HandlerError::Unavailable(text)
}

/// `None` for what the sensor left empty.
fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Positive when the sensor's clock is ahead.
fn skew_ms(sent: Timestamp) -> i64 {
    sent.nanos_since(now()) / 1_000_000
}

#[async_trait]
impl Handler for SensorHandler {
    async fn enrol(&self, token: &str, facts: EnrolFacts) -> Result<EndpointId, EnrolError> {
        let unavailable = |error: CatalogError| {
            tracing::error!(error = &error as &dyn std::error::Error, "enrolment");
            EnrolError::Unavailable(error.to_string())
        };
        let enrolled = self.catalog.enrol(now(), token, &facts.host).await.map_err(unavailable)?;
        let endpoint = match enrolled {
            Ok(endpoint) => endpoint,
            Err(refused) => {
                tracing::warn!(host = facts.host, %refused, "enrolment refused");
                return Err(match refused {
                    TokenRefused::Unknown => EnrolError::UnknownToken,
                    TokenRefused::Used => EnrolError::UsedToken,
                    TokenRefused::Expired => EnrolError::ExpiredToken,
                });
            }
        };
        let change = EndpointChange {
            os: said(facts.os),
            kernel: said(facts.kernel),
            version: said(facts.version),
            ..EndpointChange::default()
        };
        self.catalog.update_endpoint(now(), endpoint, change).await.map_err(unavailable)?;
        self.enrolled.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%endpoint, host = facts.host, "enrolled");
        Ok(endpoint)
    }

    async fn hello(&self, endpoint: EndpointId, hello: Hello) -> Result<(), HandlerError> {
        tracing::info!(%endpoint, host = hello.host, version = hello.version, "sensor connected");
        self.control.holds_packs(endpoint, hello.packs);
        let change = EndpointChange {
            host: said(hello.host),
            os: said(hello.os),
            kernel: said(hello.kernel),
            version: said(hello.version),
            scope: said(hello.scope),
            policy_version: Some(hello.policy_version.to_string()),
            content_version: said(hello.content_version),
            clock_skew_ms: Some(skew_ms(hello.sent)),
            addresses: Some(hello.addresses),
            health: None,
            coverage: hello.coverage,
        };
        self.change(endpoint, change).await
    }

    async fn batch(
        &self,
        endpoint: EndpointId,
        boot: BootId,
        events: Vec<Event>,
    ) -> Result<u64, HandlerError> {
        // A place in the queue is taken before the append: what is stored is always detected on.
        if self.detect.capacity() == 0 {
            add(&self.metrics.waits, 1);
        }
        let stopping = || HandlerError::Unavailable("the server is shutting down".to_owned());
        let place = self.detect.clone().reserve_owned().await.map_err(|_| stopping())?;
        let (intake, metrics) = (Arc::clone(&self.intake), Arc::clone(&self.metrics));
        let hand_on = move |new: Vec<Event>| {
            add(&metrics.detect_waiting, new.len());
            place.send(new);
        };
        // A task of its own, for this future is dropped when the connection goes. It is owned by
        // the detect queue: its place there bounds how many there are, and keeps the queue open, so
        // that the detector waits for it when the server stops.
        let watch = Watch { endpoint, metrics: Arc::clone(&self.metrics) };
        let taking = self.taking.spawn(async move {
            let _watch = watch;
            intake.take(endpoint, boot, events, hand_on).await
        });
        let taken = taking.await.map_err(|error| unavailable(&error))?;
        taken.map_err(|error| match error {
            IntakeError::Disorder(_) => HandlerError::Refused(error.to_string()),
            IntakeError::TooManyBoots
            | IntakeError::Store(StoreError::Later(_) | StoreError::Failed(_)) => {
                unavailable(&error)
            }
        })
    }

    async fn heartbeat(
        &self,
        endpoint: EndpointId,
        heartbeat: Heartbeat,
    ) -> Result<(), HandlerError> {
        let change = EndpointChange {
            policy_version: Some(heartbeat.policy_version.to_string()),
            content_version: said(heartbeat.content_version.clone()),
            clock_skew_ms: Some(skew_ms(heartbeat.sent)),
            health: Some(health(&heartbeat)),
            coverage: heartbeat.coverage,
            ..EndpointChange::default()
        };
        self.change(endpoint, change).await?;
        self.metrics.let_go(endpoint, heartbeat.evictions);
        Ok(())
    }

    async fn plan_update(
        &self,
        endpoint: EndpointId,
        update: PlanUpdate,
    ) -> Result<(), HandlerError> {
        match self.control.report(endpoint, update).await {
            Ok(()) => Ok(()),
            Err(error @ OrderError::Catalog(_)) => Err(unavailable(&error)),
            // Sent again it would be refused again: say it once in the log, and let it rest.
            Err(error) => {
                tracing::warn!(%endpoint, %error, "a plan's update was passed over");
                Ok(())
            }
        }
    }

    async fn artifact(
        &self,
        endpoint: EndpointId,
        part: ArtifactPart,
    ) -> Result<ArtifactAnswer, HandlerError> {
        Ok(match &self.artifacts {
            Some(artifacts) => artifacts.take(endpoint, part).await,
            None => ArtifactAnswer::Refused {
                plan: part.plan(),
                reason: "this server keeps no artifacts".to_owned(),
                later: false,
            },
        })
    }

    async fn inventory(&self, endpoint: EndpointId, delta: Delta) -> Result<u64, HandlerError> {
        match self.catalog.take_inventory(now(), endpoint, &delta).await {
            Ok(generation) => {
                if let Some(indicators) = &self.indicators
                    && let Err(error) = indicators.see_inventory(endpoint, &delta).await
                {
                    // The inventory is stored: a look back would find it.
                    tracing::error!(%endpoint, %error, "files of a host were not met with indicators");
                }
                Ok(generation)
            }
            Err(CatalogError::NotFound(_)) => Err(HandlerError::UnknownEndpoint),
            Err(CatalogError::Conflict(why)) => Err(HandlerError::Refused(why)),
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn downstream(&self, endpoint: EndpointId) -> mpsc::Receiver<Downstream> {
        self.control.open(endpoint).await
    }

    async fn gone(&self, endpoint: EndpointId) {
        tracing::info!(%endpoint, "sensor gone");
        self.control.gone(endpoint);
        if let Some(artifacts) = &self.artifacts {
            artifacts.gone(endpoint);
        }
    }
}

fn health(heartbeat: &Heartbeat) -> Map<String, Value> {
    let health = json!({
        "lag_ms": heartbeat.lag_ms,
        "spool_bytes": heartbeat.spool_bytes,
        "spool_events": heartbeat.spool_events,
        "lost_total": heartbeat.lost_total,
        "events_total": heartbeat.events_total,
        "cpu_ms": heartbeat.cpu_ms,
        "rss_bytes": heartbeat.rss_bytes,
        "edge_hits": heartbeat.edge_hits,
        "degraded": heartbeat.degraded,
        "evictions": heartbeat.evictions,
        "indicator_candidates": heartbeat.indicator_candidates,
        "indicator_blocked": heartbeat.indicator_blocked,
    });
    match health {
        Value::Object(health) => health,
        _ => Map::new(),
    }
}
