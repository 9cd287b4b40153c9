//! The handle: the set in force, the door for changes, the snapshot that spares the next start.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError, IndicatorFilter, IndicatorPatch, IndicatorRecord};
use metsuke_intel::{Packs, Set, read};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::lookout::Lookout;
use crate::order::{ChangeError, Imported, Job, NewIndicator, Order};
use crate::preview::{Preview, preview};
use crate::worker::Worker;

/// Changes that may wait; a document that waits lies in memory.
const MAX_JOBS: usize = 4;
/// Rows read at once when the set is made from the catalog.
const ROWS: u64 = 10_000;

/// The indicators cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The catalog failed.
    #[error("the indicators cannot be read from the catalog")]
    Catalog(#[from] CatalogError),
    /// The folder of snapshots cannot be made.
    #[error("the folder {path} cannot be made; check its permissions")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is counted since the server started.
#[derive(Debug, Default)]
struct Counters {
    met: AtomicU64,
    dropped: AtomicU64,
    allowed: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    catalog: Catalog,
    folder: PathBuf,
    set: RwLock<Arc<Set>>,
    jobs: mpsc::Sender<Job>,
    /// Told when there is something to look back for.
    looks: Notify,
    /// What goes down to sensors.
    packs: watch::Sender<Arc<Packs>>,
    counters: Counters,
}

/// The indicators in force. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Indicators {
    shared: Arc<Shared>,
}

impl Indicators {
    /// The indicators of `catalog`, with their snapshot in `folder`; and the worker that makes changes
    /// while it runs.
    ///
    /// # Errors
    /// When the catalog or the folder fails. A snapshot that is damaged or old is no error: the set is
    /// made anew.
    pub async fn open(catalog: Catalog, folder: &Path) -> Result<(Self, Worker), OpenError> {
        let made = fs::create_dir_all(folder);
        made.map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        let (jobs, receiver) = mpsc::channel(MAX_JOBS);
        let shared = Shared {
            catalog,
            folder: folder.to_owned(),
            set: RwLock::default(),
            jobs,
            looks: Notify::new(),
            packs: watch::Sender::default(),
            counters: Counters::default(),
        };
        let indicators = Self { shared: Arc::new(shared) };
        let serial = indicators.catalog().indicator_serial().await?;
        match indicators.snapshot(serial) {
            Some(set) => indicators.swap(set),
            None => indicators.rebuild().await?,
        }
        Ok((indicators.clone(), Worker::new(indicators, receiver)))
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    pub(crate) fn looks(&self) -> &Notify {
        &self.shared.looks
    }

    pub(crate) fn sender(&self) -> &watch::Sender<Arc<Packs>> {
        &self.shared.packs
    }

    /// The set in force.
    pub fn set(&self) -> Arc<Set> {
        Arc::clone(&self.shared.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn swap(&self, set: Set) {
        *self.shared.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }

    /// One that looks activities' values up as they come.
    pub fn lookout(&self) -> Lookout {
        Lookout::new(self.clone())
    }

    /// Makes the set from the catalog.
    pub(crate) async fn rebuild(&self) -> Result<(), CatalogError> {
        let now = now();
        let hold = IndicatorFilter { expired: Some((now, false)), ..IndicatorFilter::default() };
        let mut builder = Set::builder(rand::random());
        let (mut after, mut refused) = (0, 0_u64);
        loop {
            let rows = self.catalog().indicators_after(&hold, after, ROWS).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in &rows {
                refused += u64::from(builder.add(&row.indicator()).is_err());
            }
        }
        let set = tokio::task::spawn_blocking(move || builder.build()).await.unwrap_or_default();
        if refused > 0 {
            tracing::warn!(
                refused,
                "indicators of an older form are not in force; import them anew"
            );
        }
        tracing::info!(indicators = set.len(), "the set of indicators was made");
        self.swap(set);
        Ok(())
    }

    fn path(&self, serial: u64) -> PathBuf {
        self.shared.folder.join(format!("set-{serial}"))
    }

    fn snapshot(&self, serial: u64) -> Option<Set> {
        let path = self.path(serial);
        let bytes = fs::read(&path).ok()?;
        match Set::load(&bytes.into()) {
            Ok(set) => {
                tracing::info!(indicators = set.len(), "the snapshot of indicators was loaded");
                Some(set)
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the snapshot is passed over");
                None
            }
        }
    }

    /// Writes the snapshot of `set` as the catalog's state `serial`, and removes older ones.
    pub(crate) fn write_snapshot(&self, set: &Set, serial: u64) -> io::Result<()> {
        let (path, beside) = (self.path(serial), self.shared.folder.join("new"));
        let mut file = BufWriter::new(fs::File::create(&beside)?);
        let mut outcome = Ok(());
        set.snapshot(&mut |part| {
            if outcome.is_ok() {
                outcome = file.write_all(part);
            }
        });
        outcome?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside, &path)?;
        for entry in fs::read_dir(&self.shared.folder)?.flatten() {
            if entry.path() != path && entry.file_name().to_string_lossy().starts_with("set-") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What a document would bring. Takes as long as reading it: call it where blocking is allowed.
    pub fn preview(
        &self,
        bytes: &[u8],
        format: Option<read::Format>,
        origin: &read::Origin,
    ) -> Preview {
        preview((bytes, format), origin, (&self.set(), now()))
    }

    pub(crate) fn count_met(&self, met: u64, dropped: u64) {
        self.shared.counters.met.fetch_add(met, Ordering::Relaxed);
        self.shared.counters.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    pub(crate) fn count_allowed(&self) {
        self.shared.counters.allowed.fetch_add(1, Ordering::Relaxed);
    }

    /// Every counter with its name and one line of help, in the manner of Prometheus.
    pub fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        let set = self.set();
        let packs = Arc::clone(&self.shared.packs.borrow());
        let filter = packs.filter.as_ref().map_or(0, |pack| pack.bytes.len() as u64);
        vec![
            ("indicators", "Indicators looked up.", set.len() as u64),
            ("indicators_bytes", "Memory of their set.", set.memory().total() as u64),
            ("indicators_filter_bytes", "The filter sensors get.", filter),
            ("indicator_sightings_total", "Sightings told.", read(&counters.met)),
            (
                "indicator_sightings_dropped_total",
                "Sightings that were too many at once.",
                read(&counters.dropped),
            ),
            ("indicator_allowed_total", "Met, and known good.", read(&counters.allowed)),
        ]
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, ChangeError>>) -> Job,
    ) -> Result<T, ChangeError> {
        let (reply, answer) = oneshot::channel();
        self.shared.jobs.send(job(reply)).await.map_err(|_| ChangeError::Stopping)?;
        answer.await.map_err(|_| ChangeError::Stopping)?
    }

    /// Takes a document in. It is taken whole also when the caller goes away meanwhile.
    ///
    /// # Errors
    /// When nothing is in it, or the catalog fails.
    pub async fn import(&self, order: Order) -> Result<Imported, ChangeError> {
        self.ask(|reply| Job::Import(Box::new(order), reply)).await
    }

    /// Enters one indicator.
    ///
    /// # Errors
    /// When the value is none, or the catalog fails.
    pub async fn add(&self, new: NewIndicator) -> Result<IndicatorRecord, ChangeError> {
        self.ask(|reply| Job::Add(Box::new(new), reply)).await
    }

    /// Changes an indicator.
    ///
    /// # Errors
    /// When there is no such indicator, or the catalog fails.
    pub async fn change(
        &self,
        id: i64,
        patch: IndicatorPatch,
        actor: &str,
    ) -> Result<IndicatorRecord, ChangeError> {
        let actor = actor.to_owned();
        self.ask(|reply| Job::Change { id, patch, actor, reply }).await
    }

    /// Removes an indicator; what it was comes back.
    ///
    /// # Errors
    /// When there is no such indicator, or the catalog fails.
    pub async fn remove(&self, id: i64, actor: &str) -> Result<IndicatorRecord, ChangeError> {
        let actor = actor.to_owned();
        self.ask(|reply| Job::Remove { id, actor, reply }).await
    }

    /// Removes everything a source says; how many they were comes back.
    ///
    /// # Errors
    /// When it says nothing, or the catalog fails.
    pub async fn remove_source(&self, source: &str, actor: &str) -> Result<u64, ChangeError> {
        let (source, actor) = (source.to_owned(), actor.to_owned());
        self.ask(|reply| Job::RemoveSource { source, actor, reply }).await
    }
}
