//! The model layer: hits on one storyline weighed together, the score kept in its parts.
//!
//! A storyline's highlights are held once; each model weighs those it counts. A detection gives
//! its points once, however often it strikes: repetition is shown, not scored. Models that stand on
//! the same highlights share an alert (`standing`). Invariant: at most
//! [`bounds::STORYLINES`] storylines and [`bounds::HIGHLIGHTS`] highlights of each; storylines
//! that are dropped are counted.

mod factor;
mod model;
mod standing;
mod storyline;
mod suppress;
mod verdict;

use std::collections::{BTreeSet, HashMap};

use metsuke_event::finding::{Alert, Highlight, Hit, Level};
use metsuke_event::{EndpointId, EventId, TenantId, Timestamp};

use crate::bounds;
use crate::overlay::Tuned;
use crate::ruleset::RuleSet;
use crate::yaml::{SEED, mix};

pub use factor::Judged;
pub(crate) use factor::{Factor, Factors};
pub(crate) use model::Model;
pub(crate) use standing::Standing;
pub(crate) use storyline::Storyline;
pub(crate) use suppress::{Like, Raised, Suppressed};
use verdict::{Asked, Verdict};

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

pub(crate) type StorylineKey = (TenantId, EndpointId, String);

/// Whose alert is raised.
enum Stand {
    Own,
    /// Another storyline's stands for it; that one, when it is to be told.
    ByOther(Option<StorylineKey>),
}

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
        let counts = |index: usize| {
            !site.tuned.get(index).is_some_and(|tuned| tuned.off)
                && grown.iter().any(|(detection, level, withheld)| {
                    rules.weighings[index].counts(*detection, *level) && !withheld.contains(&index)
                })
        };
        let touched: Vec<usize> = (0..rules.weighings.len()).filter(|one| counts(*one)).collect();
        if touched.is_empty() {
            return Vec::new();
        }
        let factors = (site.factors)(&storyline.detections());
        let asked = Asked { rules, tuned: site.tuned, factors: &factors };
        let (mut moved, mut others) = (BTreeSet::new(), Vec::new());
        for index in touched {
            let Some(storyline) = self.storylines.get(&key) else { continue };
            let Some(verdict) = storyline.judge(&asked, index) else { continue };
            match (!storyline.has(index)).then(|| self.other(&asked, &key, (&verdict, time))) {
                Some(Stand::ByOther(other)) => others.extend(other.map(|other| (other, index))),
                Some(Stand::Own) | None => {
                    moved.insert(index);
                }
            }
        }
        let mut alerts = Vec::new();
        if let Some(storyline) = self.storylines.get_mut(&key) {
            alerts = storyline.alerts(&asked, &key, &moved);
        }
        for (other, index) in others {
            let Some(storyline) = self.storylines.get_mut(&other) else { continue };
            let factors = (site.factors)(&storyline.detections());
            let asked = Asked { rules, tuned: site.tuned, factors: &factors };
            alerts.extend(storyline.alerts(&asked, &other, &[index].into()));
        }
        alerts
    }

    /// Whose alert is to stand for a storyline that a model is about to raise one on: its own, or,
    /// where the model asks to alert once, that of another, which grows when it is to be told.
    fn other(
        &mut self,
        asked: &Asked<'_>,
        key: &StorylineKey,
        (verdict, time): (&Verdict, Timestamp),
    ) -> Stand {
        let index = verdict.model;
        let Some(nanos) = asked.rules.weighings[index].suppress_nanos else { return Stand::Own };
        let Some(own) = self.storylines.get(key) else { return Stand::Own };
        let ids: BTreeSet<&str> = verdict
            .counted
            .iter()
            .map(|held| own.held[*held].highlight.detection.id.as_str())
            .collect();
        let digest = ids.iter().fold(SEED, |digest, id| mix(digest, id.as_bytes()));
        let like = (key.0, key.1, index, digest);
        let other = self.suppressed.stands_for(&like, time, nanos);
        let other = other.map(|other| (key.0, key.1, other.to_owned()));
        let Some(other) = other.filter(|other| {
            other != key && self.storylines.get(other).is_some_and(|held| held.has(index))
        }) else {
            self.suppressed.remember(like, time, &key.2);
            return Stand::Own;
        };
        let is_new = self.storylines.get_mut(key).is_some_and(|own| own.suppressed.insert(index));
        if !is_new {
            return Stand::ByOther(None);
        }
        self.suppressed.count += 1;
        let Some(storyline) = self.storylines.get_mut(&other) else { return Stand::Own };
        let more = storyline.stands_for.entry(index).or_default();
        *more += 1;
        // As for hits: told when the count reaches a power of two.
        Stand::ByOther(more.is_power_of_two().then_some(other))
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
