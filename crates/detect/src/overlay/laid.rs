//! An overlay and a rule set together: who is meant by ids, conditions in one set of predicates.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use metsuke_event::finding::{Hit, Level};
use metsuke_event::{EndpointId, Event, field};

use super::{Closeness, Compiled, Overlay, compiled};
use crate::bounds;
use crate::matcher::{Matcher, Wanted};
use crate::ruleset::{Names, RuleSet};
use crate::weigh::Factor;

/// Categories in which a field's name can mean something of its own.
static CATEGORIES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let names = field::FIELDS.iter().flat_map(|spec| spec.sigma.iter());
    names.filter_map(|name| Some(name.split_once('@')?.1)).collect()
});

/// What tuning says of one detection on one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tuned {
    pub(crate) off: bool,
    pub(crate) level: Option<Level>,
}

/// An overlay laid over a rule set. Detections are numbered filters, rules, models.
#[derive(Debug, Default)]
pub(crate) struct Laid {
    overlay: Arc<Overlay>,
    /// Conditions, compiled as if they were filters.
    conditions: RuleSet,
    /// By detection the exceptions that may hide its hits, in their order.
    exceptions: HashMap<usize, Vec<usize>>,
    /// Those of every filter and rule.
    of_all: Vec<usize>,
    /// By exception and category the number of its condition.
    numbers: HashMap<(usize, Option<&'static str>), usize>,
    /// By detection its tunings.
    tunings: HashMap<usize, Vec<usize>>,
    /// By detection what past findings multiply its points by.
    judged: HashMap<usize, Factor>,
    /// Filters and rules.
    hits: usize,
    matcher: Matcher,
    /// Whether the matcher holds the activity at hand.
    begun: bool,
    /// By exception id how many hits it hid.
    pub(crate) hidden: BTreeMap<String, u64>,
    /// What exceptions kept from models at the activity at hand.
    pub(crate) withheld: Vec<Hit>,
}

impl Laid {
    /// `overlay` over `rules`; what it names and `rules` has not is not in force.
    pub(crate) fn over(rules: &RuleSet, overlay: Arc<Overlay>) -> Self {
        let ids: HashMap<&str, usize> =
            rules.all().map(|meta| meta.detection.id.as_str()).zip(0..).collect();
        let mut laid = Self { hits: rules.filters.len() + rules.rules.len(), ..Self::default() };
        for (number, tuning) in overlay.tunings.iter().enumerate() {
            if let Some(detection) = ids.get(tuning.detection.as_str()) {
                laid.tunings.entry(*detection).or_default().push(number);
            }
        }
        for (id, judged) in &overlay.findings {
            if let (Some(detection), Some(factor)) = (ids.get(id.as_str()), judged.factor()) {
                laid.judged.insert(*detection, factor);
            }
        }
        let mut categories: HashSet<Option<&'static str>> = rules
            .compiled
            .iter()
            .map(|filter| category(filter.source.category.as_deref()))
            .collect();
        // Of hits that no filter led to.
        categories.insert(None);
        for (number, exception) in overlay.exceptions.iter().enumerate() {
            if exception.written.detections.is_empty() {
                laid.of_all.push(number);
            }
            for id in &exception.written.detections {
                if let Some(detection) = ids.get(id.as_str()) {
                    laid.exceptions.entry(*detection).or_default().push(number);
                }
            }
            laid.compile(&overlay, number, exception, &categories);
        }
        laid.conditions.names = Names::of(&laid.conditions.predicates.fields);
        laid.conditions.predicates.seal();
        laid.overlay = overlay;
        laid
    }

    fn compile(
        &mut self,
        overlay: &Overlay,
        number: usize,
        exception: &Compiled,
        categories: &HashSet<Option<&'static str>>,
    ) {
        let Some(node) = &exception.condition else { return };
        for category in categories {
            let owned = category.map(str::to_owned);
            let filter = compiled(node, owned, &mut self.conditions.predicates, &overlay.options);
            // It did compile once, and names of fields make no difference to that.
            let Ok(mut filter) = filter else { continue };
            filter.expr.order(&self.conditions.predicates);
            self.numbers.insert((number, *category), self.conditions.compiled.len());
            self.conditions.compiled.push(filter);
        }
    }

    /// The overlay.
    pub(crate) const fn overlay(&self) -> &Arc<Overlay> {
        &self.overlay
    }

    /// Whether nothing is excepted or tuned.
    pub(crate) fn is_empty(&self) -> bool {
        self.overlay.exceptions.is_empty() && self.overlay.tunings.is_empty()
    }

    /// Another activity is at hand.
    pub(crate) const fn next(&mut self) {
        self.begun = false;
    }

    /// What is tuned of `detection` on `endpoint`.
    pub(crate) fn tuned(&self, detection: usize, endpoint: EndpointId) -> Tuned {
        let mut tuned = Tuned::default();
        let Some(numbers) = self.tunings.get(&detection) else { return tuned };
        let (mut by, mut with) = (Closeness::Everywhere, Closeness::Everywhere);
        for tuning in numbers.iter().map(|number| &self.overlay.tunings[*number]) {
            let Some(close) = self.overlay.covers(&tuning.scope, endpoint) else { continue };
            if let Some(enabled) = tuning.enabled.filter(|_| close >= by) {
                (tuned.off, by) = (!enabled, close);
            }
            if let Some(level) = tuning.level.filter(|_| close >= with) {
                (tuned.level, with) = (Some(level), close);
            }
        }
        tuned
    }

    /// What past findings multiply the points of `detection` by.
    pub(crate) fn judged(&self, detection: usize) -> Option<Factor> {
        self.judged.get(&detection).cloned()
    }

    /// What `endpoint` is worth, when that is not 1.
    pub(crate) fn importance(&self, endpoint: EndpointId) -> Option<Factor> {
        let (least, most) = bounds::IMPORTANCE;
        let by = self.overlay.importance.get(&endpoint)?.clamp(least, most);
        let why = || "importance of the host".to_owned();
        (by.is_finite() && by.total_cmp(&1.0).is_ne()).then(|| Factor { by, why: why() })
    }

    /// The exception that hides a hit of `detection` on `event`, as filter number `filter` of
    /// `rules` led to it.
    pub(crate) fn hides(
        &mut self,
        rules: &RuleSet,
        event: &Event,
        detection: usize,
        filter: usize,
    ) -> Option<String> {
        if self.overlay.exceptions.is_empty() {
            return None;
        }
        let overlay = Arc::clone(&self.overlay);
        let own = self.exceptions.get(&detection).cloned().unwrap_or_default();
        let all = if detection < self.hits { self.of_all.clone() } else { Vec::new() };
        let mut numbers: Vec<usize> = own.into_iter().chain(all).collect();
        numbers.sort_unstable();
        let hides = |number: &usize| {
            let exception = &overlay.exceptions[*number];
            let written = &exception.written;
            written.expires.is_none_or(|end| event.time < end)
                && overlay.covers(&written.scope, event.id.endpoint).is_some()
                && (exception.condition.is_none() || self.holds(rules, event, *number, filter))
        };
        let number = numbers.into_iter().find(hides)?;
        Some(overlay.exceptions[number].written.id.clone())
    }

    /// Counts a hit that exception `id` hid.
    pub(crate) fn count(&mut self, id: &str) {
        match self.hidden.get_mut(id) {
            Some(count) => *count += 1,
            None => drop(self.hidden.insert(id.to_owned(), 1)),
        }
    }

    fn holds(&mut self, rules: &RuleSet, event: &Event, exception: usize, filter: usize) -> bool {
        let source = rules.compiled.get(filter).map(|filter| &filter.source);
        let category = category(source.and_then(|source| source.category.as_deref()));
        let Some(number) = self.numbers.get(&(exception, category)) else { return false };
        if !self.begun {
            self.matcher.begin(&self.conditions, event, Wanted::Asked);
            self.begun = true;
        }
        self.matcher.meets(&self.conditions, event, &self.conditions.compiled[*number])
    }
}

/// `name`, when field names can mean something of their own there.
fn category(name: Option<&str>) -> Option<&'static str> {
    CATEGORIES.get(name?).copied()
}
