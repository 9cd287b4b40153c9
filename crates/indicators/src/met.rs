//! Sightings put together: those of one indicator, endpoint, value and hour are one.

use std::collections::HashMap;

use metsuke_catalog::{InventoryRecord, NewSighting, Place};
use metsuke_event::inventory::Item;
use metsuke_event::{EndpointId, Event, Text};
use metsuke_intel::observe::Said;
use metsuke_intel::{Action, Kind, Matcher, Sighting};

/// Most different ones held at once; about 300 bytes each. Beyond it they are counted.
const MAX_HELD: usize = 20_000;
/// Sightings stored in one transaction.
pub(crate) const STORE_CHUNK: usize = 500;

type Key = (Kind, Text, Text, EndpointId, Text, i64);

/// Sightings, put together.
#[derive(Debug, Default)]
pub(crate) struct Met {
    held: HashMap<Key, NewSighting>,
    dropped: u64,
}

impl Met {
    fn add(&mut self, new: NewSighting) {
        let key = (
            new.kind,
            Text::clone(&new.indicator),
            Text::clone(&new.source),
            new.endpoint,
            Text::clone(&new.seen),
            new.hour(),
        );
        if let Some(held) = self.held.get_mut(&key) {
            held.count = held.count.saturating_add(new.count);
            held.last = held.last.max(new.last);
            if new.first < held.first {
                let (count, last) = (held.count, held.last);
                *held = NewSighting { count, last, ..new };
            }
        } else if self.held.len() < MAX_HELD {
            self.held.insert(key, new);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds what was seen in `event`.
    pub(crate) fn see(&mut self, event: &Event, sighting: &Sighting, place: Place) {
        for said in bad(&sighting.said) {
            self.add(NewSighting {
                kind: said.kind,
                indicator: said.indicator.as_str().into(),
                source: Text::clone(&said.context.source),
                seen: Text::clone(&sighting.value),
                field: Text::clone(&sighting.field),
                place,
                endpoint: event.id.endpoint,
                event: Some(event.id),
                process: event.process.uid.clone(),
                first: event.time,
                last: event.time,
                count: 1,
            });
        }
    }

    /// Adds what `matcher` says of a thing on a host, where `holds` says of kind, value and what is
    /// said that it is still so.
    pub(crate) fn see_item(
        &mut self,
        record: &InventoryRecord,
        matcher: &Matcher<'_>,
        holds: impl Fn(Kind, &str, &Said) -> bool,
    ) {
        let Item::Executable(file) = &record.item else { return };
        let hash = file.sha256.as_deref().map(|hash| (Kind::Sha256, "file.hash.sha256", hash));
        let path = Some((Kind::Path, "file.path", file.path.as_str()));
        for (kind, field, value) in [hash, path].into_iter().flatten() {
            let Some((action, said)) = matcher.said(kind, value) else { continue };
            if action == Action::Allow {
                continue;
            }
            for said in bad(&said).filter(|said| holds(kind, value, said)) {
                self.add(NewSighting {
                    kind: said.kind,
                    indicator: said.indicator.as_str().into(),
                    source: Text::clone(&said.context.source),
                    seen: value.into(),
                    field: field.into(),
                    place: Place::Inventory,
                    endpoint: record.endpoint,
                    event: None,
                    process: Some(file.path.as_str().into()),
                    first: record.first_seen,
                    last: record.gone.unwrap_or(record.updated).max(record.first_seen),
                    count: 1,
                });
            }
        }
    }

    /// What is held, and how many were too many since this was last asked.
    pub(crate) fn take(&mut self) -> (Vec<NewSighting>, u64) {
        let held = std::mem::take(&mut self.held).into_values().collect();
        (held, std::mem::take(&mut self.dropped))
    }
}

/// What says that the value is bad.
pub(crate) fn bad(said: &[Said]) -> impl Iterator<Item = &Said> {
    said.iter().filter(|said| said.context.action != Action::Allow)
}
