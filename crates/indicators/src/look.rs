//! Looking back: what came is looked for in every host's inventory and in all of history.
//!
//! An import that is not done yet is found in the catalog, so a stop or a kill only makes it begin anew.
//! It reads history slice by slice and lets others work in between.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metsuke_catalog::clock::now;
use metsuke_catalog::{
    Catalog, CatalogError, FILES_ASKED, FilesAsked, ImportRecord, ImportState, IndicatorFilter,
    LookBack, NewSighting, Place,
};
use metsuke_event::{EndpointId, Event, Timestamp, field};
use metsuke_intel::observe::Said;
use metsuke_intel::{Action, Kind, Matcher, Set};
use tokio_util::sync::CancellationToken;

use crate::history::{History, HistoryError, Wanted};
use crate::hosts::Pages;
use crate::live::Indicators;
use crate::met::{Met, STORE_CHUNK};
use crate::order::holds;
use crate::wanted::Question;

/// Rows of an import read at once; as many values as an inventory is asked for.
const ROWS: u64 = FILES_ASKED as u64;
/// Files of hosts met for one page of an import, those first seen last first: a minute's work. What is
/// beyond it is counted and told.
const FILES_MET: u64 = if cfg!(test) { 20 } else { 100_000 };
/// Shortest slice of history, and most slices.
const SLICE_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
const MAX_SLICES: i64 = 200;
/// How much of the progress the inventories are, in thousandths.
const INVENTORY_PART: u16 = 100;
/// How long after a failure of the catalog it is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Why a look back did not end.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the server stopped")]
    Stopped,
}

/// Looks back for every import that is not done, as they come, until `stop`.
pub(crate) async fn until(
    indicators: &Indicators,
    history: &dyn History,
    stop: &CancellationToken,
) {
    let catalog = indicators.catalog();
    if let Err(error) = give_up_half_taken(catalog).await {
        tracing::error!(%error, "imports that broke off cannot be noted");
    }
    loop {
        let wait = match open(catalog).await {
            Ok(Some(import)) => match look(indicators, history, &import, stop).await {
                Ok(()) => continue,
                Err(LookError::Stopped) => return,
                Err(error @ LookError::Catalog(_)) => {
                    tracing::error!(%error, import = import.id, "looking back waits");
                    Some(RETRY)
                }
                Err(error @ LookError::History(_)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        import = import.id,
                        "looking back failed"
                    );
                    let look = LookBack::default();
                    let why = Err(error.to_string());
                    match catalog.import_looked(import.id, look, Some(why)).await {
                        Ok(()) => continue,
                        Err(_) => Some(RETRY),
                    }
                }
            },
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, "imports cannot be read");
                Some(RETRY)
            }
        };
        let told = indicators.looks().notified();
        tokio::select! {
            () = stop.cancelled() => return,
            () = told, if wait.is_none() => {}
            () = tokio::time::sleep(wait.unwrap_or(RETRY)), if wait.is_some() => {}
        }
    }
}

/// What was being taken when the server stopped: nobody waits for it any more.
async fn give_up_half_taken(catalog: &Catalog) -> Result<(), CatalogError> {
    for import in catalog.open_imports().await? {
        if import.state == ImportState::Taking {
            let why = "the server stopped while it was taken; import the document again";
            catalog.import_failed(import.id, why).await?;
        }
    }
    Ok(())
}

async fn open(catalog: &Catalog) -> Result<Option<ImportRecord>, CatalogError> {
    let open = catalog.open_imports().await?;
    Ok(open.into_iter().find(|import| import.state == ImportState::Looking))
}

/// Why the answer of a look back is not whole.
#[derive(Debug, Default)]
struct Gaps {
    dropped: u64,
    files: u64,
    damaged: bool,
}

impl Gaps {
    fn told(&self) -> Option<String> {
        let mut told = Vec::new();
        if self.files > 0 {
            told.push(format!(
                "{} files of hosts, those first seen longest ago, were not met; narrow the indicators",
                self.files
            ));
        }
        if self.dropped > 0 {
            told.push(format!(
                "{} sightings were too many at once; narrow the indicators",
                self.dropped
            ));
        }
        if self.damaged {
            let why = "a damaged file of the history was set aside; its events are missing";
            told.push(why.to_owned());
        }
        Some(told.join("; ")).filter(|told| !told.is_empty())
    }
}

/// What is in force at this moment: indicators go, and allow entries come, while history is read.
struct InForce {
    set: Arc<Set>,
    now: Timestamp,
}

impl InForce {
    fn of(indicators: &Indicators) -> Self {
        Self { set: indicators.set(), now: now() }
    }

    /// Whether the value is not known good, and what was said of it is said still.
    fn holds(&self, kind: Kind, value: &str, sought: &Said) -> bool {
        let matcher = Matcher::new(&self.set, self.now);
        matcher.said(kind, value).is_some_and(|(action, said)| {
            action != Action::Allow
                && said.iter().any(|one| {
                    one.kind == sought.kind
                        && one.indicator == sought.indicator
                        && one.context.source == sought.context.source
                        && one.context.action != Action::Allow
                })
        })
    }
}

/// A look back under way.
struct Look<'a> {
    indicators: &'a Indicators,
    import: i64,
    /// What is looked for.
    sought: Set,
    told: LookBack,
    gaps: Gaps,
    hosts: HashSet<EndpointId>,
    met: Mutex<Met>,
}

impl Look<'_> {
    fn met(&self) -> std::sync::MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Meets activities with what is sought; `unmapped` alone counts in those that come a second time.
    fn see(&self, events: &[Event], unmapped: bool) {
        let live = InForce::of(self.indicators);
        let matcher = Matcher::new(&self.sought, live.now);
        for event in events {
            for mut sighting in matcher.observe(event) {
                let in_table = field::by_name(&sighting.field).is_some();
                if in_table == unmapped {
                    continue;
                }
                let (kind, value) = (sighting.kind, &sighting.value);
                sighting.said.retain(|said| live.holds(kind, value, said));
                self.met().see(event, &sighting, Place::History);
            }
        }
    }

    /// Stores what was met, and tells how far it is.
    async fn store(&mut self, progress: u16) -> Result<(), LookError> {
        let (met, dropped) = self.met().take();
        self.indicators.count_met(met.len() as u64, dropped);
        self.hosts.extend(met.iter().map(|one| one.endpoint));
        self.told.sightings += met.len() as u64;
        self.told.hosts = self.hosts.len() as u64;
        self.told.progress = progress;
        self.gaps.dropped += dropped;
        self.told.incomplete = self.gaps.told();
        let catalog = self.indicators.catalog();
        for chunk in met.chunks(STORE_CHUNK) {
            let chunk: &[NewSighting] = chunk;
            catalog.store_sightings(now(), chunk).await?;
        }
        catalog.import_looked(self.import, self.told.clone(), None).await?;
        Ok(())
    }

    /// Meets every host's files with `rows`, and stores what was met page by page.
    async fn inventories(
        &mut self,
        rows: &[(Kind, String)],
        progress: u16,
        stop: &CancellationToken,
    ) -> Result<(), LookError> {
        let of = |wanted: Kind| {
            let rows = rows.iter().filter(move |(kind, _)| *kind == wanted);
            rows.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        let (hashes, paths) = (of(Kind::Sha256), of(Kind::Path));
        let asked = FilesAsked { hashes: &hashes, paths: &paths, endpoint: None };
        let mut pages = Pages::new(asked, FILES_MET);
        loop {
            if stop.is_cancelled() {
                return Err(LookError::Stopped);
            }
            let page = pages.next(self.indicators.catalog()).await?;
            if page.is_empty() {
                break;
            }
            let live = InForce::of(self.indicators);
            let matcher = Matcher::new(&self.sought, live.now);
            for record in &page {
                self.met()
                    .see_item(record, &matcher, |kind, value, said| live.holds(kind, value, said));
            }
            self.store(self.told.progress).await?;
        }
        self.gaps.files += pages.left_out(self.indicators.catalog()).await?;
        self.store(progress).await
    }

    async fn history(
        &mut self,
        history: &dyn History,
        question: &Question,
        stop: &CancellationToken,
    ) -> Result<(), LookError> {
        let Some((oldest, newest)) = history.bounds() else { return Ok(()) };
        let end = newest.plus_nanos(1);
        (self.told.from, self.told.to) = (Some(oldest), Some(end));
        let wanted = question.predicate().map(Wanted::Matching);
        let unmapped = question.wants_unmapped().then_some(Wanted::Unmapped);
        let span = end.nanos_since(oldest).max(1);
        let slice = SLICE_NANOS.max(span / MAX_SLICES + 1);
        let mut from = oldest;
        while from < end {
            let to = from.plus_nanos(slice).min(end);
            for wanted in [&wanted, &unmapped].into_iter().flatten() {
                if stop.is_cancelled() {
                    return Err(LookError::Stopped);
                }
                let only_unmapped = *wanted == Wanted::Unmapped;
                let each = |events: Vec<Event>| self.see(&events, only_unmapped);
                if !history.scan(wanted, (from, to), &each).await? {
                    self.gaps.damaged = true;
                }
            }
            let done = to.nanos_since(oldest) / (span / 1_000 + 1);
            let rest = i64::from(1_000 - INVENTORY_PART);
            let progress = i64::from(INVENTORY_PART) + done.min(1_000) * rest / 1_000;
            self.store(u16::try_from(progress).unwrap_or(0)).await?;
            from = to;
        }
        Ok(())
    }
}

async fn look(
    indicators: &Indicators,
    history: &dyn History,
    import: &ImportRecord,
    stop: &CancellationToken,
) -> Result<(), LookError> {
    let catalog = indicators.catalog();
    let now = now();
    let mut question = Question::default();
    let mut sought = Set::builder(rand::random());
    let mut files = Vec::new();
    let filter = IndicatorFilter { import: Some(import.id), ..IndicatorFilter::default() };
    let mut after = 0;
    loop {
        if stop.is_cancelled() {
            return Err(LookError::Stopped);
        }
        let rows = catalog.indicators_after(&filter, after, ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for row in rows {
            if row.action == Action::Allow || !holds(row.expires, now) {
                continue;
            }
            let indicator = row.indicator();
            if sought.add(&indicator).is_err() {
                continue;
            }
            question.add(&indicator);
            if matches!(row.kind, Kind::Sha256 | Kind::Path) {
                files.push((row.kind, row.value));
            }
        }
    }
    let sought = tokio::task::spawn_blocking(move || sought.build()).await.unwrap_or_default();
    let mut look = Look {
        indicators,
        import: import.id,
        sought,
        told: LookBack::default(),
        gaps: Gaps::default(),
        hosts: HashSet::new(),
        met: Mutex::default(),
    };
    if !look.sought.is_empty() {
        let chunks = files.len().div_ceil(FILES_ASKED).max(1);
        for (done, chunk) in files.chunks(FILES_ASKED).enumerate() {
            let part = (done + 1) * usize::from(INVENTORY_PART) / chunks;
            let part = u16::try_from(part).unwrap_or(INVENTORY_PART);
            look.inventories(chunk, part, stop).await?;
        }
        look.history(history, &question, stop).await?;
    }
    look.told.progress = 1_000;
    let told = look.told.clone();
    tracing::info!(
        import = import.id,
        sightings = told.sightings,
        hosts = told.hosts,
        "looked back for new indicators"
    );
    catalog.import_looked(import.id, told, Some(Ok(()))).await?;
    Ok(())
}
