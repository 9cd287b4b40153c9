//! Where the overlay takes effect: hits marked or left out, detections that are off, what models
//! are not given, and the change of overlay or content while an engine runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metsuke_event::finding::{Alert, Hit};
use metsuke_event::{EndpointId, Event, TenantId, Timestamp};

use super::{Engine, Strike};
use crate::checkpoint::Restored;
use crate::clock::believed;
use crate::overlay::{Laid, Overlay, Tuned};
use crate::ruleset::RuleSet;
use crate::weigh::{Factor, Factors, Found, Said};

impl Engine {
    /// Lays `overlay` over the content, from the next activity on; what is held stays. Numbers of
    /// [`Engine::hidden`] go on.
    pub fn lay(&mut self, overlay: Arc<Overlay>) {
        let hidden = std::mem::take(&mut self.laid.hidden);
        self.laid = Laid::over(&self.rules, overlay);
        self.laid.hidden = hidden;
    }

    /// What is laid over the content.
    pub const fn overlay(&self) -> &Arc<Overlay> {
        self.laid.overlay()
    }

    /// The same engine with other content: state of rules that say the same and of detections and
    /// models that are still there goes on, the rest is dropped and counted. Counters and overlay
    /// stay.
    #[must_use]
    pub fn with_rules(self, rules: Arc<RuleSet>) -> (Self, Restored) {
        let mut engine = Self::new(rules);
        let counters = self.counters;
        let (laid, old) = (self.laid, Arc::clone(&self.rules));
        let held = (self.correlator, self.awaited);
        let restored = engine.inherit(&old, held, (self.kin, self.fleet), self.weigher);
        engine.counters = counters;
        engine.laid = Laid::over(&engine.rules, Arc::clone(laid.overlay()));
        engine.laid.hidden = laid.hidden;
        engine.meter = self.meter.map(|meter| Box::new(meter.anew(&engine.rules)));
        (engine, restored)
    }

    /// By exception id how many hits it hid since the engine was made.
    pub const fn hidden(&self) -> &BTreeMap<String, u64> {
        &self.laid.hidden
    }

    /// The exception that would hide a hit of `detection` (its id) on `event`: for a preview, over
    /// hits that are stored. Nothing is counted. A rule's hit is judged by the activity it struck
    /// at.
    pub fn exception_for(&mut self, event: &Event, detection: &str) -> Option<String> {
        let rules = Arc::clone(&self.rules);
        let number = rules.all().position(|meta| meta.detection.id == detection)?;
        self.laid.next();
        // A rule strikes at a hit of a filter; of several, the first says what fields mean.
        let filter = rules.first_filter(number);
        self.laid.hides(&rules, event, number, filter)
    }

    /// Levels as tuned, and marks of exceptions, on strikes of detections that are not off.
    pub(super) fn overlay_each(&mut self, event: &Event, strikes: &mut [Strike]) {
        if self.laid.is_empty() {
            return;
        }
        for strike in strikes {
            self.mark(event, strike);
            if let Some(id) = &strike.hit.excepted {
                self.counters.excepted += 1;
                self.laid.count(id);
            }
        }
    }

    /// The level as tuned, and the mark of an exception.
    pub(super) fn mark(&mut self, event: &Event, strike: &mut Strike) {
        let rules = Arc::clone(&self.rules);
        let Strike { detection, filter, hit, .. } = strike;
        if let Some(level) = self.laid.tuned(*detection, event.id.endpoint).level {
            hit.detection.level = level;
        }
        hit.excepted = self.laid.hides(&rules, event, *detection, *filter);
    }

    /// Whether `detection` is switched off on `endpoint`.
    pub(super) fn is_off(&self, detection: usize, endpoint: EndpointId) -> bool {
        !self.laid.is_empty() && self.laid.tuned(detection, endpoint).off
    }

    /// Gives the strikes that nothing hides to the models.
    pub(super) fn weigh(&mut self, event: &Event, strikes: &[Strike]) -> Vec<Alert> {
        if self.rules.weighings.is_empty() {
            return Vec::new();
        }
        let time = believed(event);
        let mut found = Vec::new();
        for strike in strikes {
            if strike.hit.storyline.is_empty() || strike.hit.excepted.is_some() {
                continue;
            }
            let withheld = self.withheld(event, strike);
            let events = strike.events.clone();
            found.push(Found::of(&strike.hit, strike.detection, time, (withheld, events)));
        }
        self.weigh_found((event.id.tenant, event.id.endpoint, time), found)
    }

    /// Gives what was found on one endpoint, by `time`, to the models.
    pub(super) fn weigh_found(
        &mut self,
        (tenant, endpoint, time): (TenantId, EndpointId, Timestamp),
        found: Vec<Found>,
    ) -> Vec<Alert> {
        let tuned = self.models_tuned(endpoint);
        let Self { rules, laid, fleet, weigher, .. } = self;
        if !rules.weighings.is_empty() {
            for one in &found {
                fleet.learn((tenant, endpoint), one.detection, one.time);
            }
        }
        let factors = &mut |detections: &BTreeSet<usize>| Factors {
            judged: detections.iter().filter_map(|one| Some((*one, laid.judged(*one)?))).collect(),
            reach: detections
                .iter()
                .filter_map(|one| {
                    let (by, hosts, of) = fleet.weight(tenant, *one, time)?;
                    let why = format!("{hosts} of {of} hosts have long shown it");
                    Some((*one, Factor { by, why }))
                })
                .collect(),
            importance: laid.importance(endpoint),
        };
        weigher.take(rules, found, &mut Said { tuned: &tuned, factors })
    }

    /// Per model what is tuned on `endpoint`; nothing when nothing is.
    fn models_tuned(&self, endpoint: EndpointId) -> Vec<Tuned> {
        if self.laid.is_empty() {
            return Vec::new();
        }
        let hits = self.rules.filters.len() + self.rules.rules.len();
        let models = 0..self.rules.models.len();
        models.map(|model| self.laid.tuned(hits + model, endpoint)).collect()
    }

    /// The models that exceptions keep `strike` from.
    pub(super) fn withheld(&mut self, event: &Event, strike: &Strike) -> Vec<usize> {
        if self.laid.is_empty() {
            return Vec::new();
        }
        let rules = Arc::clone(&self.rules);
        let hits = rules.filters.len() + rules.rules.len();
        let mut withheld = Vec::new();
        for model in 0..rules.models.len() {
            if let Some(id) = self.laid.hides(&rules, event, hits + model, strike.filter) {
                self.laid.count(&id);
                withheld.push(model);
                let detection = rules.models[model].detection.clone();
                let hit = Hit { detection, excepted: Some(id), ..strike.hit.clone() };
                self.laid.withheld.push(Hit { matched: Vec::new(), ..hit });
            }
        }
        withheld
    }
}
