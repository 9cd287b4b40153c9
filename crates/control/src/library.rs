//! The content in force: what ships, what the site wrote or imported, and what it says about them.
//!
//! Every change makes a whole new [`InForce`] beside the one in force, and only when all of it
//! compiles is it stored and takes the other's place; detection and sensors hear of it at once.
//!
//! Invariant: a change that does not compile, or keeps other documents from compiling, changes
//! nothing and says why. Invariant: changes come one after another, and each goes to its end when
//! whoever asked for it goes away: what is stored is in force.

mod change;
mod check;
mod force;
mod import;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use metsuke_catalog::{
    Catalog, CatalogError, DocumentRecord, ExceptionRecord, Findings, TuningRecord,
};
use metsuke_event::EndpointId;
use metsuke_event::finding::Level;
use metsuke_link::limits::BUNDLE_DECOMPRESSED_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::content::{ContentError, numbered};

pub use check::{Checked, Fault, Severity};
pub(crate) use force::overlay;
pub use force::{InForce, Known, Origin, Sample, Shipped};
pub use import::{Import, Imported, Intent, Left, Taken};

/// Largest document that a person may put, in bytes; the engine's own bound.
pub const DOCUMENT_MAX: usize = metsuke_detect::bounds::DOCUMENT_BYTES;
/// Most bytes of documents, half of what a bundle may have: JSON makes text longer.
const BYTES_MAX: usize = BUNDLE_DECOMPRESSED_MAX / 2;

/// Checks, previews and back-tests at once: each compiles the whole content or keeps an engine, and
/// what is live needs the processor too.
pub const TRIALS_AT_ONCE: usize = 3;
/// How long one waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(2);

/// Why the content was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It is not the site's to change.
    #[error("{0}")]
    NotOwn(String),
    /// It is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// It, or others with it, would not compile.
    #[error("{}", told(.0))]
    Refused(Vec<Fault>),
    /// As much is tried as may be at once.
    #[error(
        "{TRIALS_AT_ONCE} checks, previews or back-tests are under way; wait until one has ended, or \
         cancel a back-test, and try again"
    )]
    Busy,
    /// It could not be made ready.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl From<CatalogError> for ChangeError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::NotFound(what) => Self::NotFound(what),
            CatalogError::Invalid(why) => Self::Invalid(why),
            other => Self::Content(other.into()),
        }
    }
}

fn told(faults: &[Fault]) -> String {
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    told.join("\n")
}

/// What is to be said of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish<T> {
    /// What was said of it stays.
    #[default]
    Leave,
    /// Nothing any more.
    Nothing,
    /// This.
    Say(T),
}

impl<T> Wish<T> {
    fn over(self, said: Option<T>) -> Option<T> {
        match self {
            Self::Leave => said,
            Self::Nothing => None,
            Self::Say(value) => Some(value),
        }
    }
}

/// What is to be said of a detection, everywhere or for one group.
#[derive(Clone, Debug)]
pub struct TuningChange {
    /// The detection.
    pub detection: String,
    /// For which group; `None`: everywhere.
    pub group: Option<String>,
    /// Whether it is in force.
    pub enabled: Wish<bool>,
    /// Its level.
    pub level: Wish<Level>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
}

impl From<TuningRecord> for TuningChange {
    fn from(record: TuningRecord) -> Self {
        Self {
            detection: record.detection,
            group: record.group,
            enabled: record.enabled.map_or(Wish::Nothing, Wish::Say),
            level: record.level.map_or(Wish::Nothing, Wish::Say),
            reason: record.reason,
            actor: record.actor,
        }
    }
}

/// The content, and the only door to changing it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Library {
    shared: Arc<Shared>,
    /// Changes under way: they go on when whoever asked for them no longer waits.
    tasks: TaskTracker,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    shipped: Arc<[Shipped]>,
    /// Held while something is changed.
    changing: tokio::sync::Mutex<()>,
    feed: watch::Sender<Arc<InForce>>,
}

/// What the catalog holds of the site.
#[derive(Clone, Debug, Default)]
struct Site {
    documents: Vec<DocumentRecord>,
    said: Said,
}

/// What a site says over its documents.
#[derive(Clone, Debug, Default)]
struct Said {
    tunings: Vec<TuningRecord>,
    exceptions: Vec<ExceptionRecord>,
    groups: BTreeMap<EndpointId, String>,
    findings: HashMap<String, Findings>,
    importance: BTreeMap<String, f64>,
}

impl Said {
    async fn load(catalog: &Catalog) -> Result<Self, CatalogError> {
        Ok(Self {
            tunings: catalog.tunings().await?,
            exceptions: catalog.exceptions().await?,
            groups: catalog.groups().await?,
            findings: catalog.findings().await?,
            importance: catalog.importance().await?,
        })
    }
}

impl Site {
    async fn load(catalog: &Catalog) -> Result<Self, CatalogError> {
        Ok(Self { documents: catalog.documents().await?, said: Said::load(catalog).await? })
    }
}

impl Library {
    /// The content of `shipped` and of what the catalog holds. What is refused is named in it.
    ///
    /// # Errors
    /// When the catalog cannot be read or written.
    pub async fn open(catalog: Catalog, shipped: Vec<Shipped>) -> Result<Self, ContentError> {
        let shipped: Arc<[Shipped]> = shipped.into();
        let site = Site::load(&catalog).await?;
        let mut force = force::compile(Arc::clone(&shipped), site).await?;
        let (serial, version) = numbered(&catalog, force.parts().iter().map(AsRef::as_ref)).await?;
        (force.serial, force.version) = (serial, version);
        for refused in &force.refused {
            tracing::warn!(document = %refused, "a detection was refused");
        }
        let (feed, _) = watch::channel(Arc::new(force));
        let changing = tokio::sync::Mutex::default();
        let shared = Arc::new(Shared { catalog, shipped, changing, feed });
        let turns = Arc::new(Semaphore::new(TRIALS_AT_ONCE));
        Ok(Self { shared, tasks: TaskTracker::new(), turns })
    }

    /// What is in force now.
    pub fn in_force(&self) -> Arc<InForce> {
        self.shared.in_force()
    }

    /// What is in force, and every change of it.
    pub fn follow(&self) -> watch::Receiver<Arc<InForce>> {
        self.shared.feed.subscribe()
    }

    /// Ends when the changes under way have come to their end.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Does `change` to its end, also when the caller goes away meanwhile.
    pub(crate) async fn whole<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ChangeError>> + Send + 'static,
    ) -> Result<T, ChangeError> {
        self.tasks.spawn(change).await.map_err(ContentError::from)?
    }

    /// A turn to try content, held while it is tried.
    ///
    /// # Errors
    /// [`ChangeError::Busy`] when none is free for a while.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, ChangeError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        match tokio::time::timeout(TURN_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ChangeError::Busy),
        }
    }

    /// Judges `text` as if it were put, without putting it.
    ///
    /// # Errors
    /// When too much is tried already, or compiling breaks down.
    pub async fn check(&self, text: String) -> Result<Checked, ChangeError> {
        let (turn, library) = (self.turn().await?, self.clone());
        self.whole(async move {
            let checked = library.checked(text).await;
            drop(turn);
            Ok(checked?)
        })
        .await
    }

    /// [`Library::check`] for who has a turn.
    pub(crate) async fn checked(&self, text: String) -> Result<Checked, ContentError> {
        let (force, shipped) = (self.in_force(), Arc::clone(&self.shared.shipped));
        Ok(tokio::task::spawn_blocking(move || check::check(&force, &shipped, text)).await?)
    }

    /// Puts the site's own document of detection `id`, new or in place of the one it had.
    ///
    /// # Errors
    /// When `id` is not the document's or not the site's own, or something would not compile; then
    /// nothing is changed.
    pub async fn put(&self, actor: &str, id: &str, text: String) -> Result<(), ChangeError> {
        let (shared, actor, id) = (Arc::clone(&self.shared), actor.to_owned(), id.to_owned());
        self.whole(async move { shared.put(&actor, &id, text).await }).await
    }

    /// Imports documents of others, or says what importing them would do. What is refused is named and
    /// left out, the rest is put.
    ///
    /// # Errors
    /// When other documents would not compile with them; then nothing is changed.
    pub async fn import(
        &self,
        actor: &str,
        documents: Vec<Import>,
        intent: Intent,
    ) -> Result<Imported, ChangeError> {
        let turn = self.turn().await?;
        let (shared, actor) = (Arc::clone(&self.shared), actor.to_owned());
        self.whole(async move {
            let imported = shared.import(&actor, documents, intent).await;
            drop(turn);
            imported
        })
        .await
    }

    /// Removes a document of the site.
    ///
    /// # Errors
    /// When it ships, is not there, or others stand on it; then nothing is changed.
    pub async fn remove(&self, actor: &str, id: &str) -> Result<(), ChangeError> {
        let (shared, actor, id) = (Arc::clone(&self.shared), actor.to_owned(), id.to_owned());
        self.whole(async move { shared.remove(&actor, &id).await }).await
    }

    /// Says something about a detection, over what was said of it before.
    ///
    /// # Errors
    /// When there is no such detection, or no such group.
    pub async fn tune(&self, change: impl Into<TuningChange>) -> Result<(), ChangeError> {
        let (shared, change) = (Arc::clone(&self.shared), change.into());
        self.whole(async move { shared.tune(change).await }).await
    }

    /// Puts an endpoint into a group.
    ///
    /// # Errors
    /// When the endpoint is not enrolled, or the name is none.
    pub async fn set_group(
        &self,
        actor: &str,
        endpoint: EndpointId,
        name: &str,
    ) -> Result<(), ChangeError> {
        let (shared, actor, name) = (Arc::clone(&self.shared), actor.to_owned(), name.to_owned());
        self.whole(async move { shared.set_group(&actor, endpoint, &name).await }).await
    }

    /// Says what the hosts of a group are worth: points of models are multiplied by it.
    ///
    /// # Errors
    /// When there is no such group, or the worth is none.
    pub async fn set_importance(
        &self,
        actor: &str,
        group: &str,
        importance: f64,
    ) -> Result<(), ChangeError> {
        let (shared, actor, group) = (Arc::clone(&self.shared), actor.to_owned(), group.to_owned());
        self.whole(async move { shared.set_importance(&actor, &group, importance).await }).await
    }

    /// Adds an exception.
    ///
    /// # Errors
    /// When its condition does not compile, or it speaks of detections or groups that are not there;
    /// then nothing is changed.
    pub async fn except(&self, record: ExceptionRecord) -> Result<(), ChangeError> {
        let shared = Arc::clone(&self.shared);
        self.whole(async move { shared.except(record).await }).await
    }

    /// What is wrong with an exception: nothing when it may be added.
    pub fn judge(&self, record: &ExceptionRecord) -> Vec<Fault> {
        check::exception(&self.in_force(), record)
    }

    /// Removes an exception.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn unexcept(&self, actor: &str, id: &str) -> Result<(), ChangeError> {
        let (shared, actor, id) = (Arc::clone(&self.shared), actor.to_owned(), id.to_owned());
        self.whole(async move { shared.unexcept(&actor, &id).await }).await
    }

    /// Takes over what people found alerts to be since: it weighs in scores.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn weigh_anew(&self) -> Result<(), ChangeError> {
        let shared = Arc::clone(&self.shared);
        self.whole(async move { shared.weigh_anew().await }).await
    }
}
