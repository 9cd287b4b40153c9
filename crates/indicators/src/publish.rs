//! What goes down to sensors, made anew when something changed: what people decided within a second, the
//! filter of millions seldom, for every sensor fetches it whole.

use std::sync::Arc;
use std::time::Duration;

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, CatalogError};
use metsuke_intel::filter::Filter;
use metsuke_intel::packs::{DECIDED_MAX, Decided, Entry, PACK_MAX};
use metsuke_intel::{Action, Pack, Packs, Set};
use tokio::time::Instant;

use crate::live::Indicators;

/// How long after a change sensors are told.
const SOON: Duration = Duration::from_secs(1);
/// A filter of more indicators than this is a megabyte, and made …
const MANY: usize = 500_000;
/// … at most so often.
const SELDOM: Duration = Duration::from_mins(10);

/// How long after a failure the lists are tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// When what is to be made.
#[derive(Debug)]
pub(crate) struct Publisher {
    decided: Option<Instant>,
    filter: Option<Instant>,
    made: Option<Instant>,
}

impl Publisher {
    /// Everything at once.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { decided: Some(now), filter: Some(now), made: None }
    }

    /// The set has changed, and holds so many now.
    pub(crate) fn changed(&mut self, held: usize) {
        let soon = Instant::now() + SOON;
        self.decided.get_or_insert(soon);
        let earliest = self.made.filter(|_| held > MANY).map_or(soon, |made| made + SELDOM);
        self.filter.get_or_insert(earliest.max(soon));
    }

    /// When [`Publisher::publish`] has something to do next.
    pub(crate) fn due(&self) -> Option<Instant> {
        [self.decided, self.filter].into_iter().flatten().min()
    }

    /// Makes what is due. What fails stays as it was, and is tried again later.
    pub(crate) async fn publish(&mut self, indicators: &Indicators) {
        let now = Instant::now();
        if self.decided.take_if(|due| *due <= now).is_some() {
            match decided(indicators.catalog()).await {
                Ok(decided) => indicators.publish(|packs| packs.decided = Some(decided.pack())),
                Err(error) => {
                    tracing::error!(%error, "sensors keep the lists they have");
                    self.decided = Some(now + AGAIN);
                }
            }
        }
        if self.filter.take_if(|due| *due <= now).is_some() {
            self.made = Some(now);
            let set = indicators.set();
            let made = tokio::task::spawn_blocking(move || filter(&set)).await;
            match made.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(filter) => indicators.publish(|packs| packs.filter = Some(filter)),
                Err(error) => {
                    tracing::error!(error, "sensors keep the filter they have");
                    self.filter = Some(now + SELDOM);
                }
            }
        }
    }
}

/// What people decided. What is known good of what is to be blocked goes down too: it wins there.
async fn decided(catalog: &Catalog) -> Result<Decided, CatalogError> {
    let mut decided = Decided::default();
    for action in [Action::Allow, Action::Block] {
        let (rows, more) = catalog.indicators_decided(action, now(), DECIDED_MAX).await?;
        decided.left_out += more;
        decided.entries.extend(rows.into_iter().map(|row| Entry {
            kind: row.kind as u8,
            value: row.value,
            source: row.source,
            allow: action == Action::Allow,
            expires: row.expires,
        }));
    }
    Ok(decided)
}

fn filter(set: &Set) -> Result<Pack, String> {
    let now = now();
    let set = set.merged(now);
    if set.is_empty() {
        return Ok(Pack::default());
    }
    let bytes = Filter::of(&set, now).map_err(|error| error.to_string())?.to_bytes();
    if bytes.len() > PACK_MAX {
        let (bytes, most) = (bytes.len() >> 20, PACK_MAX >> 20);
        return Err(format!("it has {bytes} MiB, {most} are sent; remove a source"));
    }
    Ok(Pack::new(bytes.into()))
}

impl Indicators {
    /// What goes down to sensors, and each change of it.
    pub fn packs(&self) -> tokio::sync::watch::Receiver<Arc<Packs>> {
        self.sender().subscribe()
    }

    fn publish(&self, change: impl FnOnce(&mut Packs)) {
        self.sender().send_if_modified(|packs| {
            let mut changed = Packs::clone(packs);
            change(&mut changed);
            let is_new = changed != **packs;
            if is_new {
                *packs = Arc::new(changed);
            }
            is_new
        });
    }
}
