//! The engine: activities in, hits and alerts out.

mod given;
mod measured;
mod overlaid;
mod waiting;

pub use waiting::Ends;

use std::sync::Arc;

use metsuke_event::finding::{Alert, Hit};
use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, EventId};

use crate::awaited::Awaited;
use crate::bounds;
use crate::class::{self, Class};
use crate::clock::believed;
use crate::correlate::{Correlator, Rule, Scope, Seen};
use crate::fleet::Fleet;
use crate::indicator::Sighted;
use crate::kin::Kin;
use crate::matcher::Matcher;
use crate::meter::{Meter, Nobody};
use crate::overlay::Laid;
use crate::predicate::FieldIx;
use crate::question::Question;
use crate::ruleset::RuleSet;
use crate::weigh::Weigher;

/// What one activity brought to light.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Filters and rules that struck; `detection.layer` says which. Those that an exception hides
    /// are among them, with its id in `excepted`.
    pub hits: Vec<Hit>,
    /// Alerts that came to be or grew (same id, higher revision).
    pub alerts: Vec<Alert>,
    /// What an exception kept from a model: the model, the activity, and the exception in `excepted`.
    /// What struck is among the hits all the same.
    pub withheld: Vec<Hit>,
}

/// What an engine counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Activities observed.
    pub events: u64,
    /// Filter hits, excepted ones too.
    pub filter_hits: u64,
    /// Rule hits, excepted ones too.
    pub rule_hits: u64,
    /// Hits that exceptions hid; [`Engine::hidden`] says which exceptions.
    pub excepted: u64,
    /// Hits that were not given because their detection is switched off there.
    pub switched_off: u64,
    /// Alerts and revisions of alerts.
    pub alerts: u64,
    /// Storylines that raised no alert of their own, because another's stands for them.
    pub suppressed: u64,
    /// Detections put to sleep because they were too dear ([`Engine::measure`]).
    pub asleep: u64,
    /// Evaluations left out for that.
    pub passed_over: u64,
    /// What was dropped for want of room.
    pub evicted: Evicted,
}

/// What an engine dropped since it was made, or several together. Whoever passes it on takes it apart
/// field by field, so that a new kind cannot be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Correlation keys, because [`crate::bounds::CORRELATION_KEYS`] were held, and sequences that
    /// were not waited for, because [`crate::bounds::AWAITED`] were.
    pub keys: u64,
    /// Hits of correlations and sequences, because a key had
    /// [`crate::bounds::CORRELATION_HITS`] ([`crate::bounds::SEQUENCE_HITS`]).
    pub hits: u64,
    /// Values of first-seen rules, because [`crate::bounds::FIRST_SEEN_VALUES`] were held.
    pub values: u64,
    /// Processes' parents, because [`crate::bounds::KIN`] were held.
    pub kin: u64,
    /// Storylines, because [`crate::bounds::STORYLINES`] were held.
    pub storylines: u64,
    /// Hosts, pairs of host and detection, and alerts that others may be like, because
    /// [`crate::bounds::FLEET_HOSTS`], [`crate::bounds::FLEET_SHOWN`] or
    /// [`crate::bounds::RAISED`] were held.
    pub fleet: u64,
}

impl std::ops::Add for Evicted {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            hits: self.hits + other.hits,
            values: self.values + other.values,
            kin: self.kin + other.kin,
            storylines: self.storylines + other.storylines,
            fleet: self.fleet + other.fleet,
        }
    }
}

/// Classes of imported events that are found without asking the rule set.
const RECENT: usize = 64;

/// Matches activities against a [`RuleSet`] and keeps the state of its rules and models.
///
/// Activities should come in about the order of their time ([`crate::believed`] says which). The same activity given twice adds
/// nothing as long as what it belongs to is still held, so a replay after a crash is safe.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    laid: Laid,
    matcher: Matcher,
    pub(crate) correlator: Correlator,
    pub(crate) weigher: Weigher,
    pub(crate) kin: Kin,
    pub(crate) fleet: Fleet,
    pub(crate) awaited: Awaited,
    counters: Counters,
    meter: Option<Box<Meter>>,
    /// The classes that imported events had last.
    recent: Vec<Arc<Class>>,
}

/// A hit with the number of its detection (filters first, then rules) and the events it stands on.
struct Strike {
    detection: usize,
    /// The filter that led to it.
    filter: usize,
    hit: Hit,
    events: Vec<EventId>,
}

impl Engine {
    /// An engine without state.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            rules,
            laid: Laid::default(),
            matcher: Matcher::default(),
            correlator: Correlator::default(),
            weigher: Weigher::default(),
            kin: Kin::default(),
            fleet: Fleet::default(),
            awaited: Awaited::default(),
            counters: Counters::default(),
            meter: None,
            recent: Vec::new(),
        }
    }

    /// The content it runs.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Runs filters, rules and models on `event`.
    pub fn observe(&mut self, event: &Event) -> Findings {
        let class = self.rules.class(event);
        self.observe_with(&class, event, &[])
    }

    /// Like [`Engine::observe`], with the indicators that were seen in the event; of an imported
    /// event with its log sources.
    pub fn observe_sighted(
        &mut self,
        event: &Event,
        sources: Option<&[LogSource<'_>]>,
        sightings: &[Sighted],
    ) -> Findings {
        let class = match sources {
            Some(sources) => self.class(sources),
            None => self.rules.class(event),
        };
        self.observe_with(&class, event, sightings)
    }

    /// Like [`Engine::observe`], for an imported event of other log sources than its kind's.
    pub fn observe_as(&mut self, event: &Event, sources: &[LogSource<'_>]) -> Findings {
        let class = self.class(sources);
        self.observe_with(&class, event, &[])
    }

    /// Runs the filters alone: no rule or model sees the event.
    pub fn filters_only(&mut self, event: &Event) -> Vec<Hit> {
        let class = self.rules.class(event);
        self.filters_with(&class, event).into_iter().map(|strike| strike.hit).collect()
    }

    /// Like [`Engine::filters_only`], for an imported event of other log sources than its kind's.
    pub fn filters_only_as(&mut self, event: &Event, sources: &[LogSource<'_>]) -> Vec<Hit> {
        let class = self.class(sources);
        self.filters_with(&class, event).into_iter().map(|strike| strike.hit).collect()
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        Counters {
            evicted: Evicted {
                keys: self.correlator.evicted + self.awaited.evicted,
                hits: self.correlator.evicted_hits,
                values: self.correlator.learned.evicted,
                kin: self.kin.evicted,
                storylines: self.weigher.evicted,
                fleet: self.fleet.evicted + self.weigher.suppressed.evicted,
            },
            suppressed: self.weigher.suppressed.count,
            asleep: self.meter.as_ref().map_or(0, |meter| meter.asleep()),
            passed_over: self.meter.as_ref().map_or(0, |meter| meter.passed_over()),
            ..self.counters
        }
    }

    fn class(&mut self, sources: &[LogSource<'_>]) -> Arc<Class> {
        let print = class::print(sources.iter().copied());
        let is = |class: &Arc<Class>| class.is_of(sources, print);
        if let Some(known) = self.recent.iter().position(is) {
            // The one asked for last stands first: recordings come in runs of one class.
            self.recent[..=known].rotate_right(1);
            return Arc::clone(&self.recent[0]);
        }
        let class = self.rules.class_of(sources);
        self.recent.truncate(RECENT - 1);
        self.recent.insert(0, Arc::clone(&class));
        class
    }

    fn observe_with(&mut self, class: &Class, event: &Event, sightings: &[Sighted]) -> Findings {
        self.counters.events += 1;
        if self.rules.asks_kinship {
            self.kin.learn(event);
        }
        let mut findings = self.over_by(event);
        let mut strikes = self.filters_with(class, event);
        let filters = strikes.len();
        if !sightings.is_empty() {
            self.sighted(event, sightings, &mut strikes);
        }
        if strikes.is_empty() {
            return findings;
        }
        self.counters.filter_hits += filters as u64;
        self.correlate(event, &mut strikes);
        self.counters.rule_hits += (strikes.len() - filters) as u64;
        strikes.retain(|strike| !self.rules.silent[strike.detection]);
        let begun = self.begun();
        let alerts = self.weigh(event, &strikes);
        if let Some(meter) = &mut self.meter {
            meter.weighed(begun);
        }
        self.counters.alerts += alerts.len() as u64;
        findings.hits.extend(strikes.into_iter().map(|strike| strike.hit));
        findings.alerts.extend(alerts);
        findings.withheld = std::mem::take(&mut self.laid.withheld);
        findings
    }

    fn filters_with(&mut self, class: &Class, event: &Event) -> Vec<Strike> {
        let rules = Arc::clone(&self.rules);
        let matched = match &mut self.meter {
            None => self.matcher.run(&rules, &class.plan(), event, &mut Nobody),
            Some(meter) => {
                meter.next();
                let begun = meter.now();
                let plan = class.plan();
                let matched = self.matcher.run(&rules, &plan, event, meter.as_mut());
                meter.matched(begun);
                matched
            }
        };
        if class.is_sample() {
            class.learn(&rules, |plan, samples| self.matcher.sample(&rules, plan, event, samples));
        }
        self.laid.next();
        let mut strikes = Vec::with_capacity(matched.len());
        for index in matched {
            let index = index as usize;
            self.struck_by(index);
            if self.is_off(index, event.id.endpoint) {
                self.counters.switched_off += 1;
                continue;
            }
            let matched = self.matcher.why(&rules, event, &rules.compiled[index]);
            let hit = given::hit(&rules, index, event, matched);
            strikes.push(Strike { detection: index, filter: index, hit, events: vec![event.id] });
        }
        self.overlay_each(event, &mut strikes);
        strikes
    }

    /// Gives the strikes to the rules that stand on them; rule strikes join the list and are given
    /// on in turn. A rule stands only on what was compiled before it, so this ends.
    fn correlate(&mut self, event: &Event, strikes: &mut Vec<Strike>) {
        let rules = Arc::clone(&self.rules);
        let mut next = 0;
        // A rule stands only on what comes before it, so this ends.
        while next < strikes.len() {
            if strikes[next].hit.excepted.is_some() {
                next += 1;
                continue;
            }
            let detection = strikes[next].detection;
            for (rule, reference) in &rules.listeners[detection] {
                let number = rules.filters.len() + rule;
                if self.is_off(number, event.id.endpoint) || self.sleeps(number) {
                    continue;
                }
                let begun = self.begun();
                let struck = self.ask(event, (*rule, *reference), &strikes[next]);
                self.asked(number, begun);
                if let Some(strike) = struck {
                    self.struck_by(number);
                    strikes.push(strike);
                }
            }
            next += 1;
        }
    }

    /// Gives a strike to rule number `rule` as its reference number `reference`; what it makes of it.
    fn ask(
        &mut self,
        event: &Event,
        (rule, reference): (usize, usize),
        strike: &Strike,
    ) -> Option<Strike> {
        let rules = Arc::clone(&self.rules);
        let correlation = &rules.correlations[rule];
        let key = (rule, event.id.tenant.0, self.key(&rules, correlation, reference, event)?);
        let seen = self.seen(&rules, correlation, reference, event);
        self.ends(correlation, &key, reference, believed(event));
        let struck = self.correlator.take(&rules, key.clone(), seen)?;
        let mut matched = given::explain(&rules, rule, &struck);
        matched.extend(strike.hit.matched.iter().cloned());
        matched.truncate(bounds::MATCHED_CLAUSES);
        let mut events: Vec<EventId> = struck.hits.iter().map(|hit| hit.event).collect();
        events.dedup();
        events.truncate(bounds::HIGHLIGHT_EVENTS);
        let detection = rules.filters.len() + rule;
        let hit = given::hit(&rules, detection, event, matched);
        let mut strike = [Strike { detection, filter: strike.filter, hit, events }];
        if correlation.waits() {
            let [strike] = strike;
            self.arm(correlation, key, (event, &struck), strike);
            return None;
        }
        self.overlay_each(event, &mut strike);
        let [strike] = strike;
        Some(strike)
    }

    /// Adds the strikes of indicator rules.
    fn sighted(&mut self, event: &Event, sightings: &[Sighted], strikes: &mut Vec<Strike>) {
        let mut struck = Vec::new();
        for (detection, hit) in given::sighted(&self.rules, event, sightings) {
            if self.is_off(detection, event.id.endpoint) {
                self.counters.switched_off += 1;
                continue;
            }
            // No filter led to it.
            let filter = usize::MAX;
            struck.push(Strike { detection, filter, hit, events: vec![event.id] });
        }
        self.overlay_each(event, &mut struck);
        strikes.extend(struck);
    }

    /// The values of the rule's key; nothing when one is unset, for then nothing can be joined.
    fn key(
        &self,
        rules: &RuleSet,
        rule: &Rule,
        reference: usize,
        event: &Event,
    ) -> Option<Vec<String>> {
        let endpoint = || event.id.endpoint.to_string();
        match &rule.scope {
            Scope::Fields(fields) => {
                fields[reference].iter().map(|field| self.text(rules, event, *field)).collect()
            }
            Scope::Storyline => {
                let storyline = event.process.storyline.as_deref();
                let storyline = storyline.or(event.process.uid.as_deref())?;
                Some(vec![endpoint(), storyline.to_owned()])
            }
            Scope::Host => Some(vec![endpoint()]),
            Scope::User(field) => Some(vec![endpoint(), self.text(rules, event, *field)?]),
            Scope::Fleet => Some(Vec::new()),
        }
    }

    /// What a rule keeps of the event for one of its references.
    fn seen(&self, rules: &RuleSet, rule: &Rule, reference: usize, event: &Event) -> Seen {
        let value = |fields: &Vec<FieldIx>| {
            let texts: Option<Vec<String>> =
                fields.iter().map(|field| self.text(rules, event, *field)).collect();
            texts.map(|texts| texts.join("\u{1f}"))
        };
        let asks_kinship =
            matches!(&rule.question, Question::Sequence(sequence) if sequence.asks_kinship());
        Seen {
            time: believed(event),
            event: event.id,
            reference,
            values: rule.measures.iter().map(|fields| value(&fields[reference])).collect(),
            line: if asks_kinship { self.kin.line(event) } else { Vec::new() },
        }
    }

    fn text(&self, rules: &RuleSet, event: &Event, field: FieldIx) -> Option<String> {
        self.matcher.value(rules, event, field).or_else(|| {
            let id = rules.predicates.fields[field.0 as usize].id?;
            Some(event.get_owned(id)?.as_ref().to_text().into_owned())
        })
    }
}
