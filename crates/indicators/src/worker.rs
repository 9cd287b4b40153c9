//! The worker: makes changes one after the other, looks back for what is new, writes the snapshot.
//!
//! Invariant: catalog first, then the set, then the look back. When the catalog breaks off half-way the
//! set is made from it anew.

use std::sync::Arc;
use std::time::Duration;

use metsuke_catalog::clock::now;
use metsuke_catalog::{Added, CatalogError, IndicatorRecord, NewImport};
use metsuke_intel::{Context, Indicator, Set, read};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::history::History;
use crate::live::Indicators;
use crate::look;
use crate::order::{ChangeError, Imported, Job, NewIndicator, Order};
use crate::publish::Publisher;

/// A document of more indicators than this is stored in the order of its values.
const MANY: usize = 20_000;
/// Indicators stored between two looks whether the server is stopping.
const CHUNK: usize = 5_000;
/// How long after a change the snapshot is written, unless another change comes.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(30);

/// The one who changes indicators. Made by [`Indicators::open`].
#[derive(Debug)]
pub struct Worker {
    indicators: Indicators,
    jobs: mpsc::Receiver<Job>,
    /// The set has changed since the last snapshot.
    dirty: bool,
    /// The catalog has changed and the set has not: it is not to be kept under the catalog's serial.
    stale: bool,
    publisher: Publisher,
}

impl Worker {
    pub(crate) fn new(indicators: Indicators, jobs: mpsc::Receiver<Job>) -> Self {
        // What was made from the catalog at the start has none yet.
        Self { indicators, jobs, dirty: true, stale: false, publisher: Publisher::new() }
    }

    /// Works until `stop`; a document that is being taken breaks off then, and says so.
    pub async fn run(mut self, history: Arc<dyn History>, stop: CancellationToken) {
        let indicators = self.indicators.clone();
        tokio::join!(self.changes(&stop), look::until(&indicators, &*history, &stop));
        self.write_snapshot().await;
    }

    async fn changes(&mut self, stop: &CancellationToken) {
        loop {
            let job = tokio::select! {
                () = stop.cancelled() => break,
                job = self.jobs.recv() => job,
                () = until(self.publisher.due()) => {
                    self.publisher.publish(&self.indicators).await;
                    continue;
                }
                () = tokio::time::sleep(SNAPSHOT_AFTER), if self.dirty => {
                    self.write_snapshot().await;
                    continue;
                }
            };
            // The handle that this worker holds keeps the channel open.
            let Some(job) = job else { break };
            self.dirty = true;
            self.work(job, stop).await;
            self.publisher.changed(self.indicators.set().len());
        }
        // Whoever waits hears that nothing comes.
        self.jobs.close();
        while self.jobs.try_recv().is_ok() {}
    }

    /// Does one job. An answer that nobody waits for any more is dropped.
    async fn work(&mut self, job: Job, stop: &CancellationToken) {
        let catalog = self.indicators.catalog().clone();
        match job {
            Job::Import(order, reply) => drop(reply.send(self.import(*order, stop).await)),
            Job::Add(new, reply) => drop(reply.send(self.add(*new).await)),
            Job::Change { id, patch, actor, reply } => {
                let changed = catalog.change_indicator(now(), &actor, id, &patch).await;
                if let Ok(row) = &changed {
                    let row = row.clone();
                    self.change_set(move |set| put(set, &row.indicator(), Said::Before)).await;
                }
                drop(reply.send(changed.map_err(ChangeError::from)));
            }
            Job::Remove { id, actor, reply } => {
                let removed = catalog.remove_indicator(now(), &actor, id).await;
                if let Ok(row) = &removed {
                    let row = row.clone();
                    self.change_set(move |set| {
                        // The row was canonical, or the set has none of it.
                        let _ = set.remove(row.kind, &row.value, &row.source);
                    })
                    .await;
                }
                drop(reply.send(removed.map_err(ChangeError::from)));
            }
            Job::RemoveSource { source, actor, reply } => {
                let removed = catalog.remove_indicator_source(now(), &actor, &source).await;
                match &removed {
                    Ok(_) => self.change_set(move |set| set.remove_source(&source)).await,
                    Err(CatalogError::NotFound(_)) => {}
                    Err(_) => self.rebuild().await,
                }
                drop(reply.send(removed.map_err(ChangeError::from)));
            }
        }
    }

    pub(crate) async fn import(
        &mut self,
        order: Order,
        stop: &CancellationToken,
    ) -> Result<Imported, ChangeError> {
        let Order { bytes, format, origin, actor } = order;
        let read_as = origin.clone();
        let read = tokio::task::spawn_blocking(move || {
            let format = format.unwrap_or_else(|| read::Format::guess(&bytes));
            let (mut indicators, problems) = format.read(&bytes, &read_as);
            // Side by side in the catalog's index: in the order of most feeds, which is none, each
            // would bring a page of its own in and out.
            if indicators.len() > MANY {
                indicators.sort_by(|one, other| one.value.cmp(&other.value));
            }
            (format, indicators, problems)
        });
        let (format, indicators, problems) =
            read.await.map_err(|error| ChangeError::Empty(error.to_string()))?;
        if indicators.is_empty() {
            let why = problems.first().map_or("nothing was recognised".to_owned(), |problem| {
                format!("{}: {}", problem.place, problem.reason)
            });
            return Err(ChangeError::Empty(why));
        }
        let refused =
            problems.iter().filter(|one| one.weight == metsuke_intel::problem::Weight::Refused);
        let name = read::Format::ALL.iter().find(|(_, known)| *known == format);
        let new = NewImport {
            source: origin.source.to_string(),
            document: Some(origin.document.as_deref().unwrap_or("a document").to_owned()),
            format: name.map_or("", |(name, _)| name).to_owned(),
            action: origin.action,
            actor,
            total: indicators.len() as u64,
            refused: refused.count() as u64,
        };
        let (import, added) = self.take(&new, (indicators, None), stop).await?;
        Ok(Imported { import, fresh: added.fresh, known: added.known, problems })
    }

    async fn add(&mut self, new: NewIndicator) -> Result<IndicatorRecord, ChangeError> {
        let NewIndicator { kind, value, origin, note, actor } = new;
        let (kind, value) = match kind {
            Some(kind) => (kind, kind.normalise(&value)?),
            None => read::guess(&value)?,
        };
        let context = Context {
            source: origin.source.clone(),
            document: None,
            confidence: origin.confidence,
            severity: origin.severity,
            labels: origin.labels.clone(),
            action: origin.action,
            owner: None,
        };
        let indicator = Indicator {
            kind,
            value: value.as_str().into(),
            context: Arc::new(context),
            object: None,
            first_seen: None,
            last_seen: None,
            expires: origin.expires,
        };
        let import = NewImport {
            source: origin.source.to_string(),
            document: None,
            format: kind.name().to_owned(),
            action: origin.action,
            actor,
            total: 1,
            refused: 0,
        };
        let never = CancellationToken::new();
        self.take(&import, (vec![indicator], note.as_deref()), &never).await?;
        let rows = self.indicators.catalog().indicators_of(kind, &value).await?;
        let row = rows.into_iter().find(|row| row.source == *origin.source);
        row.ok_or(ChangeError::Catalog(CatalogError::NotFound("indicator")))
    }

    /// Catalog, set, look back.
    async fn take(
        &mut self,
        new: &NewImport,
        (indicators, note): (Vec<Indicator>, Option<&str>),
        stop: &CancellationToken,
    ) -> Result<(i64, Added), ChangeError> {
        let catalog = self.indicators.catalog().clone();
        let import = catalog.begin_import(now(), new).await?;
        let mut added = Added::default();
        for chunk in indicators.chunks(CHUNK) {
            let stored = if stop.is_cancelled() {
                Err(ChangeError::Stopping)
            } else {
                let stored = catalog.add_indicators(now(), import, chunk, note).await;
                stored.map_err(ChangeError::from)
            };
            match stored {
                Ok(more) => {
                    added.fresh += more.fresh;
                    added.known += more.known;
                }
                Err(error) => {
                    let why = format!("{error}; import the document again");
                    if let Err(error) = catalog.import_failed(import, &why).await {
                        tracing::error!(%error, import, "a broken import cannot be noted");
                    }
                    // Chunks before this one are in the catalog and not in the set.
                    self.stale = true;
                    if !stop.is_cancelled() {
                        self.rebuild().await;
                    }
                    return Err(error);
                }
            }
        }
        let said = if added.known > 0 { Said::Before } else { Said::Never };
        self.change_set(move |set| {
            for indicator in &indicators {
                put(set, indicator, said);
            }
        })
        .await;
        catalog.import_taken(import, added).await?;
        self.indicators.looks().notify_one();
        Ok((import, added))
    }

    /// Changes the set beside, then swaps it. One that is full of changes is merged.
    async fn change_set(&mut self, change: impl FnOnce(&mut Set) + Send + 'static) {
        let set = self.indicators.set();
        let changed = tokio::task::spawn_blocking(move || {
            let mut set = Set::clone(&set);
            change(&mut set);
            if set.is_due() { set.merged(now()) } else { set }
        });
        match changed.await {
            Ok(set) => self.indicators.swap(set),
            Err(error) => {
                tracing::error!(%error, "changing the set of indicators broke down; it is made anew");
                self.rebuild().await;
            }
        }
    }

    async fn rebuild(&mut self) {
        let rebuilt = self.indicators.rebuild().await;
        self.stale = rebuilt.is_err();
        if let Err(error) = rebuilt {
            tracing::error!(
                %error,
                "the set of indicators is not what the catalog says; start the server anew"
            );
        }
    }

    pub(crate) async fn write_snapshot(&mut self) {
        // Without a snapshot of its serial the next start makes the set from the catalog.
        if self.stale || !std::mem::take(&mut self.dirty) {
            return;
        }
        let serial = match self.indicators.catalog().indicator_serial().await {
            Ok(serial) => serial,
            Err(error) => {
                tracing::warn!(%error, "no snapshot of the indicators: the next start takes longer");
                return;
            }
        };
        let indicators = self.indicators.clone();
        let written = tokio::task::spawn_blocking(move || {
            // The overlay is not in a snapshot.
            let set = indicators.set().merged(now());
            let written = indicators.write_snapshot(&set, serial);
            indicators.swap(set);
            written
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the indicators' snapshot was not written"),
            Err(error) => tracing::error!(%error, "writing the indicators' snapshot broke down"),
        }
    }
}

/// Waits until then; without end for never.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Whether the source said something of the value before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Never,
    Before,
}

fn put(set: &mut Set, indicator: &Indicator, said: Said) {
    // Documents bring canonical values only; what is none is in the catalog and never met.
    if said == Said::Before {
        let _ = set.remove(indicator.kind, &indicator.value, &indicator.context.source);
    }
    let _ = set.insert(indicator);
}
