//! The engine with what has to be known beside it, as they move into the computing thread and back.

use std::collections::HashMap;
use std::sync::Arc;

use metsuke_catalog::{Detected, Watermark};
use metsuke_control::library::InForce;
use metsuke_detect::{Engine, Findings, Restored};
use metsuke_event::{BootId, EndpointId, Event, EventId};

use crate::checkpoint::Marks;
use crate::lull::Lull;
use crate::names::Names;
use crate::replay::received;
use crate::sighted::Watch;

/// All that detection knows.
pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) names: Names,
    /// Up to where each boot was seen, of those the catalog has a watermark of.
    pub(super) seen: Marks,
    pub(super) watch: Watch,
    pub(super) lull: Lull,
}

impl State {
    /// The same state under other content.
    pub(super) fn with(self, force: &InForce) -> Self {
        let Self { engine, names, seen, watch, lull } = self;
        let (mut engine, restored) = if Arc::ptr_eq(engine.rules(), &force.rules) {
            (engine, Restored::default())
        } else {
            engine.with_rules(Arc::clone(&force.rules))
        };
        engine.lay(Arc::clone(&force.overlay));
        let version = &force.version;
        tracing::info!(version, dropped = restored.dropped, "detection runs the changed content");
        Self { engine, names, seen, watch, lull }
    }

    pub(super) fn observe(&mut self, events: &[Event]) -> Detected {
        let mut found = Detected::default();
        let mut marks: HashMap<(EndpointId, BootId), Watermark> = HashMap::new();
        self.watch.begin();
        for event in events {
            let (endpoint, boot, seq) = (event.id.endpoint, event.id.boot, event.id.seq);
            // Also of what was seen before a restart: names are not part of a checkpoint.
            self.names.see(event);
            let seen = self.seen.entry((endpoint, boot)).or_default();
            if seq <= *seen {
                continue;
            }
            *seen = seq;
            let sighted = self.watch.see(event, &mut found);
            let findings = self.engine.observe_sighted(event, None, &sighted);
            if !findings.hits.is_empty() {
                self.names.struck(event);
            }
            self.found(findings, Some(event.id), &mut found);
            let mark = Watermark { endpoint, boot, seq, received: received(event) };
            marks.insert((endpoint, boot), mark);
        }
        self.lull.see(events);
        self.watch.end(&mut found);
        found.watermarks = marks.into_values().collect();
        found
    }

    /// What strikes because time went by on endpoints that said nothing.
    pub(super) fn wait(&mut self) -> Detected {
        let mut found = Detected::default();
        let findings = self.engine.advance_each(self.lull.times());
        self.found(findings, None, &mut found);
        found
    }

    /// Adds what the engine found, at activity `at` or without one.
    fn found(&self, findings: Findings, at: Option<EventId>, found: &mut Detected) {
        let (hits, late): (Vec<_>, Vec<_>) =
            findings.hits.into_iter().partition(|hit| Some(hit.event) == at);
        found.hits.extend(hits);
        found.late.extend(late);
        found.withheld.extend(findings.withheld);
        for alert in findings.alerts {
            let context = self.names.context(&alert);
            // Only the last version within a chunk is stored.
            found.alerts.retain(|(known, _)| known.id != alert.id);
            found.alerts.push((alert, context));
        }
    }
}
