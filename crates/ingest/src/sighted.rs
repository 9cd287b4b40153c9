//! Indicators beside detection: activities are met with them, rules are told of it, sightings are
//! stored with the findings.
//!
//! Invariant: what was met before a restart is not noted again: sightings count.

use std::collections::HashMap;

use metsuke_catalog::Detected;
use metsuke_detect::Sighted;
use metsuke_event::{BootId, EndpointId, Event};
use metsuke_indicators::Lookout;
use metsuke_intel::{Action, Sighting};

/// How sure a source counts that does not say.
const CONFIDENCE_UNSAID: u8 = 50;

/// The lookout, where there is one.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) lookout: Option<Lookout>,
    /// Up to where each boot had been met when the server started.
    pub(crate) met: HashMap<(EndpointId, BootId), u64>,
}

impl Watch {
    /// Some activities begin.
    pub(crate) fn begin(&mut self) {
        if let Some(lookout) = &mut self.lookout {
            lookout.begin();
        }
    }

    /// What is seen in `event`, noted in `found`, as the engine's documents ask for it.
    pub(crate) fn see(&mut self, event: &Event, found: &mut Detected) -> Vec<Sighted> {
        let Some(lookout) = &mut self.lookout else { return Vec::new() };
        let sightings = lookout.see(event);
        let boot = (event.id.endpoint, event.id.boot);
        if self.met.get(&boot).is_none_or(|met| event.id.seq > *met) {
            found.hits.extend(lookout.note(event, &sightings));
        }
        sightings.iter().flat_map(told).collect()
    }

    /// The sightings of the activities since [`Watch::begin`] are stored with `found`.
    pub(crate) fn end(&mut self, found: &mut Detected) {
        if let Some(lookout) = &mut self.lookout {
            found.sightings = lookout.take();
        }
    }
}

fn told(sighting: &Sighting) -> impl Iterator<Item = Sighted> {
    let bad = sighting.said.iter().filter(|said| said.context.action != Action::Allow);
    bad.map(|said| Sighted {
        kind: said.kind.name().to_owned(),
        value: sighting.value.to_string(),
        field: sighting.field.to_string(),
        list: said.context.action.list().to_owned(),
        source: said.context.source.to_string(),
        confidence: said.context.confidence.unwrap_or(CONFIDENCE_UNSAID),
    })
}
