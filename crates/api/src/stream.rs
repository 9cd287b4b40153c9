//! One stream of what changes: server-sent events `alert`, `endpoint`, `plan`, `incidents`,
//! `stats`, `resync`.
//!
//! Events carry what is now, not what was: who missed some is told `resync` and loads anew.
//! Invariant: a stream outlives the session or token that opened it by no more than the time
//! between two `stats`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use metsuke_catalog::clock::now;
use metsuke_catalog::{Change, Proof};
use metsuke_event::Timestamp;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Account;
use crate::hosts::Hosts;
use crate::paging;
use crate::problem::Problem;
use crate::status::Storage;

/// Streams at once: each holds a connection and a place in the change feed.
pub(crate) const MAX_STREAMS: usize = 256;
/// How often `stats` goes out, and how often it is looked whether session or token are still good.
const STATS_EVERY: Duration = Duration::from_secs(2);

/// How the server is: the answer of `/api/v1/status`, and the data of a `stats` event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Stats {
    /// Activities taken in since the server started.
    pub events_total: u64,
    /// Resent activities that were recognised and passed over.
    pub duplicates_total: u64,
    /// Activities stored that detection has not yet seen.
    pub detect_lag: u64,
    /// Hits since the server started.
    pub hits_total: u64,
    /// Alerts raised or grown since the server started.
    pub alerts_total: u64,
    /// Sensors connected now.
    pub connected: u64,
    /// Whether the server stores what comes.
    pub storage: Storage,
}

/// What changes, as server-sent events. `alert` carries an `AlertSummary`, `endpoint`
/// an `Endpoint`, `plan` a `Plan`, `stats` a `Stats`; `incidents` says that they are others than they were,
/// `resync` that events were missed: load anew.
#[utoipa::path(get, path = "/api/v1/stream", operation_id = "stream", tag = "stream",
    responses((status = 200, body = Stats, content_type = "text/event-stream"), (status = 401, body = Problem), (status = 503, body = Problem)))]
async fn stream(
    State(app): State<App>,
    account: Account,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Arc::clone(&app.streams).try_acquire_owned();
    let place = place.map_err(|_| Problem::unavailable("too many streams; close some pages"))?;
    let mut stats = interval(STATS_EVERY);
    stats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        changes: app.catalog.changes(),
        resync: headers.contains_key("last-event-id").then_some(()),
        stats,
        proof: account.proof,
        expires: account.expires,
        counter: 0,
        app,
        _place: place,
    };
    let events = futures::stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Feed {
    app: App,
    changes: Receiver<Change>,
    resync: Option<()>,
    stats: Interval,
    proof: Proof,
    expires: Timestamp,
    counter: u64,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// The next event; `None` ends the stream: the server stops, or the session is over, or the
    /// token was revoked.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if now() >= self.expires {
                return None;
            }
            if self.resync.take().is_some() {
                return self.event("resync", &serde_json::json!({}));
            }
            let stop = self.app.parts.stop.clone();
            let change = tokio::select! {
                () = stop.cancelled() => return None,
                _ = self.stats.tick() => {
                    if !self.is_welcome().await {
                        return None;
                    }
                    let stats = self.app.status.stats();
                    return self.event("stats", &stats);
                }
                change = self.changes.recv() => change,
            };
            match change {
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) => self.resync = Some(()),
                Ok(change) => match self.show(change).await {
                    Ok(Some(event)) => return Some(event),
                    Ok(None) => {}
                    // Logged where it was made; the page loads anew.
                    Err(_) => self.resync = Some(()),
                },
            }
        }
    }

    /// Whether session or token are still good. When that cannot be read they are not: who asks anew
    /// is told why.
    async fn is_welcome(&self) -> bool {
        let good = self.app.catalog.still_good(now(), &self.proof).await;
        good.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a stream ends");
            false
        })
    }

    fn event(&mut self, kind: &str, data: &impl Serialize) -> Option<Event> {
        self.counter += 1;
        let event = Event::default().event(kind).id(self.counter.to_string());
        event.json_data(data).ok()
    }

    async fn show(&mut self, change: Change) -> Result<Option<Event>, Problem> {
        let app = self.app.clone();
        Ok(match change {
            Change::Alert(id) => {
                let record = app.catalog.alert(id).await?;
                let incidents = app.catalog.incidents().await?;
                record.and_then(|record| {
                    self.event("alert", &crate::alerts::summary(&record, &incidents))
                })
            }
            Change::Endpoint(id) => {
                let loss = app.telemetry.loss(paging::last_day());
                let record = app.catalog.endpoint(id).await?;
                record.and_then(|record| {
                    self.event("endpoint", &crate::endpoints::shape(&app, record, &loss))
                })
            }
            Change::Plan(id) => match app.catalog.plan(id).await? {
                Some(record) => {
                    let hosts = Hosts::load(&app).await?;
                    let plan = crate::responses::shape(record, &hosts)?;
                    self.event("plan", &plan)
                }
                None => None,
            },
            Change::Incidents => self.event("incidents", &serde_json::json!({})),
        })
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream))
}
