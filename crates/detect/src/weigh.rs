//! The model layer: hits on one storyline weighed together, the score kept in its parts.
//!
//! A storyline's highlights are held once; each model weighs those it counts. A detection gives
//! its points once, however often it strikes: repetition is shown, not scored. Invariant: at most
//! [`bounds::STORYLINES`] storylines and [`bounds::HIGHLIGHTS`] highlights of each; storylines
//! that are dropped are counted.

mod factor;
mod model;
mod suppress;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use metsuke_event::finding::{Alert, Highlight, Hit, Level};
use metsuke_event::{AlertId, EndpointId, EventId, TenantId, Timestamp};
use sha2::{Digest, Sha256};

use crate::bounds;
use crate::overlay::Tuned;
use crate::ruleset::RuleSet;
use crate::yaml::{SEED, mix};

pub use factor::Judged;
pub(crate) use factor::{Factor, Factors};
pub(crate) use model::Model;
pub(crate) use suppress::{Like, Raised, Suppressed};

/// A hit on its way into the models.
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) endpoint: EndpointId,
    pub(crate) storyline: String,
    /// Filter or rule, counted together.
    pub(crate) detection: usize,
    /// Models that exceptions keep it from.
    pub(crate) withheld: Vec<usize>,
    pub(crate) highlight: Highlight,
    /// The time that state goes by.
    pub(crate) time: Timestamp,
}

impl Found {
    /// A hit of filter or rule number `detection`, at `time` as state goes by it, that stands on
    /// these events, with the models it is kept from.
    pub(crate) fn of(
        hit: &Hit,
        detection: usize,
        time: Timestamp,
        (withheld, events): (Vec<usize>, Vec<EventId>),
    ) -> Self {
        Self {
            tenant: hit.event.tenant,
            endpoint: hit.event.endpoint,
            storyline: hit.storyline.clone(),
            detection,
            withheld,
            time,
            highlight: Highlight {
                detection: hit.detection.clone(),
                events,
                time: hit.time,
                process: hit.process.clone(),
                matched: hit.matched.clone(),
                count: 1,
            },
        }
    }
}

/// A highlight with what it is of.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) detection: usize,
    /// Models that exceptions keep it from, in rising order.
    pub(crate) withheld: Vec<usize>,
    /// Its detection's level is the one with which it struck.
    pub(crate) highlight: Highlight,
    /// When it struck first and last, as state goes by it.
    pub(crate) first: Timestamp,
    pub(crate) newest: Timestamp,
    /// When it struck last, by the host's clock.
    pub(crate) last: Timestamp,
}

/// A hit that makes alerts grow: detection, level, models it is kept from.
type Grown = (usize, Level, Vec<usize>);

/// What a site says that models take into account.
pub(crate) struct Said<'s> {
    /// Per model what is tuned on the endpoint; empty, nothing is.
    pub(crate) tuned: &'s [Tuned],
    /// What the points of these detections are multiplied by.
    pub(crate) factors: &'s mut dyn FnMut(&BTreeSet<usize>) -> Factors,
}

/// What struck on one storyline.
#[derive(Debug, Default)]
pub(crate) struct Storyline {
    pub(crate) held: Vec<Held>,
    /// Revision of the alert of each model that has one.
    pub(crate) revisions: BTreeMap<usize, u32>,
    /// Per model how many storylines like this one its alert stands for.
    pub(crate) stands_for: BTreeMap<usize, u32>,
    /// Models by which another storyline's alert stands for this one.
    pub(crate) suppressed: BTreeSet<usize>,
    pub(crate) newest: Timestamp,
}

type StorylineKey = (TenantId, EndpointId, String);

/// The state of all models.
#[derive(Debug, Default)]
pub(crate) struct Weigher {
    pub(crate) storylines: HashMap<StorylineKey, Storyline>,
    pub(crate) suppressed: Suppressed,
    /// Storylines dropped since the beginning.
    pub(crate) evicted: u64,
}

impl Weigher {
    /// Takes the hits of one activity (of one storyline); the alerts that came to be or grew.
    pub(crate) fn take(
        &mut self,
        rules: &RuleSet,
        found: Vec<Found>,
        site: &mut Said<'_>,
    ) -> Vec<Alert> {
        let Some(first) = found.first() else { return Vec::new() };
        if rules.weighings.is_empty() {
            return Vec::new();
        }
        let key = (first.tenant, first.endpoint, first.storyline.clone());
        let time = first.time;
        if !self.storylines.contains_key(&key) {
            self.make_room();
        }
        let storyline = self.storylines.entry(key.clone()).or_default();
        let grown: Vec<Grown> =
            found.into_iter().filter_map(|found| storyline.hold(rules, found)).collect();
        let mut alerts = Vec::new();
        let mut factors = None;
        for (index, model) in rules.weighings.iter().enumerate() {
            let tuned = site.tuned.get(index).copied().unwrap_or_default();
            let counts = |(detection, level, withheld): &Grown| {
                model.counts(*detection, *level) && !withheld.contains(&index)
            };
            if tuned.off || !grown.iter().any(counts) {
                continue;
            }
            let Some(storyline) = self.storylines.get_mut(&key) else { continue };
            let factors = factors.get_or_insert_with(|| (site.factors)(&storyline.detections()));
            let alert = storyline.weigh(rules, index, &key, factors);
            let alert =
                alert.and_then(|alert| self.once(rules, index, (alert, time), site.factors));
            alerts.extend(alert.map(|mut alert| {
                alert.detection.level = tuned.level.unwrap_or(alert.detection.level);
                alert
            }));
        }
        alerts
    }

    /// `alert` itself, or, where the model asks to alert once and another storyline's alert stands
    /// for it, perhaps that one, grown.
    fn once(
        &mut self,
        rules: &RuleSet,
        index: usize,
        (alert, time): (Alert, Timestamp),
        factors: &mut dyn FnMut(&BTreeSet<usize>) -> Factors,
    ) -> Option<Alert> {
        let Some(nanos) = rules.weighings[index].suppress_nanos.filter(|_| alert.revision == 1)
        else {
            return Some(alert);
        };
        let ids: BTreeSet<&str> =
            alert.highlights.iter().map(|one| one.detection.id.as_str()).collect();
        let digest = ids.iter().fold(SEED, |digest, id| mix(digest, id.as_bytes()));
        let tenant = alert.highlights.first()?.events.first()?.tenant;
        let like = (tenant, alert.endpoint, index, digest);
        let other = self.suppressed.stands_for(&like, time, nanos);
        let other = other.map(|other| (tenant, alert.endpoint, other.to_owned()));
        let Some(other) = other.filter(|other| {
            let held = self.storylines.get(other);
            other.2 != alert.storyline
                && held.is_some_and(|held| held.revisions.contains_key(&index))
        }) else {
            self.suppressed.remember(like, time, &alert.storyline);
            return Some(alert);
        };
        let own = self.storylines.get_mut(&(tenant, alert.endpoint, alert.storyline))?;
        own.revisions.remove(&index);
        if !own.suppressed.insert(index) {
            return None;
        }
        self.suppressed.count += 1;
        let storyline = self.storylines.get_mut(&other)?;
        let more = storyline.stands_for.entry(index).or_default();
        *more += 1;
        // As for hits: told when the count reaches a power of two.
        if !more.is_power_of_two() {
            return None;
        }
        let factors = factors(&storyline.detections());
        storyline.weigh(rules, index, &other, &factors)
    }

    /// Drops the eighth of the storylines that were touched longest ago, when there are too many.
    fn make_room(&mut self) {
        if self.storylines.len() < bounds::STORYLINES {
            return;
        }
        let mut times: Vec<Timestamp> = self.storylines.values().map(|one| one.newest).collect();
        let (_, edge, _) = times.select_nth_unstable(bounds::STORYLINES / 8);
        let edge = *edge;
        let before = self.storylines.len();
        self.storylines.retain(|_, storyline| storyline.newest > edge);
        self.evicted += (before - self.storylines.len()) as u64;
    }
}

impl Storyline {
    /// What struck on it.
    fn detections(&self) -> BTreeSet<usize> {
        self.held.iter().map(|held| held.detection).collect()
    }

    /// Holds a hit; what it is when that makes an alert grow: a new highlight, or one whose
    /// count reached a power of two.
    fn hold(&mut self, rules: &RuleSet, found: Found) -> Option<Grown> {
        let (time, shown) = (found.time, found.highlight.time);
        let level = found.highlight.detection.level;
        self.newest = self.newest.max(time);
        if self.revisions.is_empty() {
            self.forget(rules);
        }
        let same = |held: &&mut Held| {
            held.detection == found.detection
                && held.highlight.process == found.highlight.process
                && held.withheld == found.withheld
        };
        if let Some(held) = self.held.iter_mut().find(same) {
            if found.highlight.events.iter().all(|event| held.highlight.events.contains(event)) {
                return None;
            }
            held.first = held.first.min(time);
            held.newest = held.newest.max(time);
            held.last = held.last.max(shown);
            held.highlight.time = held.highlight.time.min(shown);
            held.highlight.count = held.highlight.count.saturating_add(1);
            held.highlight.detection.level = level;
            for event in found.highlight.events {
                if held.highlight.events.len() < bounds::HIGHLIGHT_EVENTS
                    && !held.highlight.events.contains(&event)
                {
                    held.highlight.events.push(event);
                }
            }
            let grown = (found.detection, level, found.withheld);
            return held.highlight.count.is_power_of_two().then_some(grown);
        }
        if self.held.len() >= bounds::HIGHLIGHTS && !self.give_way(level) {
            return None;
        }
        let place = self.held.partition_point(|held| held.first <= time);
        let Found { detection, withheld, highlight, .. } = found;
        let grown = (detection, level, withheld.clone());
        let held = Held { detection, withheld, highlight, first: time, newest: time, last: shown };
        self.held.insert(place, held);
        Some(grown)
    }

    /// Lets the first highlight of the lowest level go, when that is below `level`: a flood of
    /// ordinary hits keeps nothing of note out.
    fn give_way(&mut self, level: Level) -> bool {
        let level_of = |held: &Held| held.highlight.detection.level;
        let lowest = (0..self.held.len()).min_by_key(|index| level_of(&self.held[*index]));
        match lowest {
            Some(index) if level_of(&self.held[index]) < level => {
                self.held.remove(index);
                true
            }
            _ => false,
        }
    }

    /// Before there is an alert, what is older than any model looks back is let go.
    fn forget(&mut self, rules: &RuleSet) {
        let longest = rules.weighings.iter().map(|model| model.timespan_nanos).max().unwrap_or(0);
        let oldest = self.newest.plus_nanos(-longest);
        self.held.retain(|held| held.newest >= oldest);
    }

    fn weigh(
        &mut self,
        rules: &RuleSet,
        index: usize,
        key: &StorylineKey,
        factors: &Factors,
    ) -> Option<Alert> {
        let model = &rules.weighings[index];
        let had = self.revisions.get(&index).copied();
        let oldest = self.newest.plus_nanos(-model.timespan_nanos);
        // What an alert was raised on stays in it, whatever its age.
        let counted: Vec<&Held> = self
            .held
            .iter()
            .filter(|held| model.counts(held.detection, held.highlight.detection.level))
            .filter(|held| !held.withheld.contains(&index))
            .filter(|held| had.is_some() || held.newest >= oldest)
            .collect();
        if !model.required(&counted) {
            return None;
        }
        let mut parts = model.parts(rules, &counted, (self.newest, factors));
        if let Some(more) = self.stands_for.get(&index) {
            parts.push(model::stands_for(*more));
        }
        let total: f64 = parts.iter().map(|part| part.points).sum();
        if total < model.threshold && had.is_none() {
            return None;
        }
        let revision = had.unwrap_or(0) + 1;
        let highlights: Vec<Highlight> =
            counted.iter().map(|held| held.highlight.clone()).collect();
        let first = highlights.iter().map(|highlight| highlight.time).min()?;
        let last = counted.iter().map(|held| held.last).max()?;
        let alert = Alert {
            id: alert_id(key, &rules.models[index].detection.id),
            revision,
            detection: model.detection(&rules.models[index].detection, &highlights, total),
            endpoint: key.1,
            storyline: key.2.clone(),
            score: model::whole(total),
            parts,
            highlights,
            first,
            last,
        };
        self.revisions.insert(index, revision);
        Some(alert)
    }
}

/// The alert's identity: the same storyline and model give the same alert, also in a replay.
fn alert_id(key: &StorylineKey, model: &str) -> AlertId {
    let (tenant, endpoint, storyline) = key;
    let mut hash = Sha256::new();
    hash.update(tenant.0.to_be_bytes());
    hash.update(endpoint.as_u128().to_be_bytes());
    for part in [storyline.as_str(), model] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let high: [u8; 16] = std::array::from_fn(|index| digest[index]);
    AlertId::from_u128(u128::from_be_bytes(high))
}
