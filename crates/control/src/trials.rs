//! What content would have done: back-tests of a document over history, previews of an exception over
//! stored hits. Both ask the engine that the stream runs; neither changes anything.
//!
//! Invariant: one back-test runs at a time, within [`EVENTS_MAX`] and [`TIME_MAX`], and waits while
//! detection of what is live is behind.

mod backtest;
mod breadth;
mod preview;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use metsuke_catalog::Catalog;
use metsuke_catalog::clock::now;
use metsuke_event::{Event, EventId, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::library::{ChangeError, Library};
use backtest::Job;

pub use backtest::{Backtest, BacktestState};
pub use breadth::Breadth;
pub use preview::{Preview, TouchedAlert};

/// Most activities of one back-test: minutes of work.
const EVENTS_MAX: u64 = 20_000_000;
/// Longest that one takes.
const TIME_MAX: Duration = Duration::from_mins(30);
/// Back-tests whose results are kept; the oldest go.
const KEPT: usize = 16;
/// Hits and hosts shown as examples.
const EXAMPLES: usize = 20;

/// History, as far as trials need it.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// Activities that happened from the first time on and before the second, oldest first, behind
    /// `cursor`, as many as the store gives at once.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    async fn page(
        &self,
        range: (Timestamp, Timestamp),
        cursor: Option<String>,
    ) -> Result<HistoryPage, String>;

    /// One activity, of which is known when it happened; `None` when it is no longer there.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    async fn event(&self, id: EventId, time: Timestamp) -> Result<Option<Event>, String>;

    /// Whether detection of what is live is behind, so that others should wait.
    fn is_busy(&self) -> bool;
}

/// Some of history.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    /// The activities.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
    /// Whether all that is stored could be read.
    pub complete: bool,
}

/// The content to try.
#[derive(Clone, Debug)]
pub enum Tried {
    /// A detection in force.
    Id(String),
    /// A document; one in force with its id is left out.
    Text(String),
}

/// The place where content is tried. Cheap to clone.
#[derive(Clone)]
pub struct Trials {
    library: Library,
    catalog: Catalog,
    history: Arc<dyn History>,
    jobs: Arc<Mutex<VecDeque<Arc<Job>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Trials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trials").finish_non_exhaustive()
    }
}

impl Trials {
    /// A place to try content of `library` over `history`; `stop` ends what runs.
    pub fn new(
        library: Library,
        catalog: Catalog,
        history: Arc<dyn History>,
        stop: CancellationToken,
    ) -> Self {
        Self { library, catalog, history, jobs: Arc::default(), tasks: TaskTracker::new(), stop }
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a back-test of `actor` over the activities of `range`; returns its id.
    ///
    /// # Errors
    /// When there is no such detection, the document does not compile, or another back-test runs.
    pub async fn start(
        &self,
        tried: Tried,
        range: (Timestamp, Timestamp),
        actor: &str,
    ) -> Result<String, ChangeError> {
        let (trials, actor) = (self.clone(), actor.to_owned());
        // To its end also when the caller goes away: what is noted as running runs, and can be found.
        self.library.whole(async move { trials.begin(tried, range, &actor).await }).await
    }

    async fn begin(
        &self,
        tried: Tried,
        range: (Timestamp, Timestamp),
        actor: &str,
    ) -> Result<String, ChangeError> {
        let turn = self.library.turn().await?;
        let content = backtest::content(&self.library, tried).await?;
        let recorded = self.catalog.recorded_endpoints().await?;
        let job = Arc::new(Job::new(range, actor, self.stop.child_token()));
        {
            let mut jobs = self.jobs();
            if jobs.iter().any(|job| job.is_running()) {
                return Err(ChangeError::NotOwn(
                    "another back-test runs; wait for it, or cancel it".to_owned(),
                ));
            }
            jobs.push_back(Arc::clone(&job));
            let over = jobs.len().saturating_sub(KEPT);
            jobs.drain(..over);
        }
        let id = job.id.clone();
        // Nothing is tried that the audit log does not know of.
        if let Err(error) = self.catalog.audit(now(), actor, "backtest.begin", (&id, "")).await {
            self.cancel(&id);
            return Err(error.into());
        }
        let history = Arc::clone(&self.history);
        self.tasks.spawn(async move {
            job.run(content, history, recorded).await;
            drop(turn);
        });
        Ok(id)
    }

    /// How the back-test `id` stands; `None` when there is none.
    pub fn backtest(&self, id: &str) -> Option<Backtest> {
        self.jobs().iter().find(|job| job.id == id).map(|job| job.told())
    }

    /// Ends the back-test `id` and forgets it; false when there is none.
    pub fn cancel(&self, id: &str) -> bool {
        let mut jobs = self.jobs();
        let Some(place) = jobs.iter().position(|job| job.id == id) else { return false };
        if let Some(job) = jobs.remove(place) {
            job.cancel();
        }
        true
    }
}
