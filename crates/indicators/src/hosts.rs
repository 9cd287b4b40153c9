//! Files of hosts, page by page, and a host's own message met with the indicators in force.
//!
//! Invariant: every row of a value is met, however many hosts have it; where a bound ends that, what was
//! left out is counted and told.

use std::collections::BTreeSet;

use metsuke_catalog::clock::now;
use metsuke_catalog::{
    Catalog, CatalogError, FILES_ASKED, FilesAsked, FilesCursor, InventoryRecord,
};
use metsuke_event::EndpointId;
use metsuke_event::inventory::{Delta, Item};
use metsuke_intel::{Kind, Matcher};

use crate::live::Indicators;
use crate::met::{Met, STORE_CHUNK};

/// Rows read at once: some megabytes. Fewer than sightings are held at once, so that one page of one
/// indicator never drops any.
pub(crate) const PAGE: u64 = if cfg!(test) { 7 } else { 5_000 };

/// Goes through the files that are asked for, those first seen last first.
pub(crate) struct Pages<'a> {
    asked: FilesAsked<'a>,
    after: Option<FilesCursor>,
    /// Rows that may still be read.
    left: u64,
    ended: bool,
}

impl<'a> Pages<'a> {
    /// At most `bound` of the files that are asked for.
    pub(crate) fn new(asked: FilesAsked<'a>, bound: u64) -> Self {
        Self { asked, after: None, left: bound, ended: false }
    }

    /// The next page; empty at the end.
    pub(crate) async fn next(
        &mut self,
        catalog: &Catalog,
    ) -> Result<Vec<InventoryRecord>, CatalogError> {
        let limit = PAGE.min(self.left);
        if self.ended || limit == 0 {
            return Ok(Vec::new());
        }
        let page = catalog.inventory_with(&self.asked, self.after.as_ref(), limit).await?;
        let count = page.len() as u64;
        self.left -= count.min(self.left);
        self.ended = count < limit;
        self.after = page.last().map(FilesCursor::behind).or(self.after.take());
        Ok(page)
    }

    /// How many there are beyond what was read.
    pub(crate) async fn left_out(&self, catalog: &Catalog) -> Result<u64, CatalogError> {
        if self.ended {
            return Ok(0);
        }
        catalog.inventory_count_with(&self.asked, self.after.as_ref()).await
    }
}

impl Indicators {
    /// Meets what a sensor says of its host's files with the indicators in force.
    ///
    /// # Errors
    /// When the catalog fails; the inventory itself is stored by then.
    pub async fn see_inventory(
        &self,
        endpoint: EndpointId,
        delta: &Delta,
    ) -> Result<(), CatalogError> {
        let set = self.set();
        if set.is_empty() {
            return Ok(());
        }
        let matcher = Matcher::new(&set, now());
        // One content may lie at many paths.
        let (mut hashes, mut paths) = (BTreeSet::new(), BTreeSet::new());
        for item in &delta.set {
            let Item::Executable(file) = item else { continue };
            let hash = file.sha256.as_deref();
            hashes.extend(hash.filter(|hash| matcher.action(Kind::Sha256, hash).is_some()));
            paths.extend(matcher.action(Kind::Path, &file.path).map(|_| file.path.as_str()));
        }
        let (hashes, paths): (Vec<_>, Vec<_>) =
            (hashes.into_iter().collect(), paths.into_iter().collect());
        let (mut hashes, mut paths) = (hashes.chunks(FILES_ASKED), paths.chunks(FILES_ASKED));
        loop {
            let (some, at) = (hashes.next(), paths.next());
            if some.is_none() && at.is_none() {
                return Ok(());
            }
            let asked = FilesAsked {
                hashes: some.unwrap_or_default(),
                paths: at.unwrap_or_default(),
                endpoint: Some(endpoint),
            };
            self.see_files(asked).await?;
        }
    }

    /// Meets one host's files. There are no more of them than the catalog keeps of a host. When they
    /// were first seen stands in their rows: a file told of again is no new sighting.
    async fn see_files(&self, asked: FilesAsked<'_>) -> Result<(), CatalogError> {
        let mut pages = Pages::new(asked, u64::MAX);
        loop {
            let page = pages.next(self.catalog()).await?;
            if page.is_empty() {
                return Ok(());
            }
            // What changed meanwhile holds from this page on.
            let (set, now) = (self.set(), now());
            let (matcher, mut met) = (Matcher::new(&set, now), Met::default());
            for row in &page {
                met.see_item(row, &matcher, |_, _, _| true);
            }
            let (sightings, dropped) = met.take();
            self.count_met(sightings.len() as u64, dropped);
            for chunk in sightings.chunks(STORE_CHUNK) {
                self.catalog().store_sightings(now, chunk).await?;
            }
        }
    }
}
