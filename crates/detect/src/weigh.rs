//! The model layer: hits on one storyline weighed together, the score kept in its parts.
//!
//! A storyline's highlights are held once; each model weighs those it counts. A detection gives
//! its points once, however often it strikes: repetition is shown, not scored. Invariant: at most
//! [`bounds::STORYLINES`] storylines and [`bounds::HIGHLIGHTS`] highlights of each; storylines
//! that are dropped are counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use metsuke_event::finding::{Alert, DetectionRef, Highlight, Layer, Level, ScorePart};
use metsuke_event::{AlertId, EndpointId, TenantId, Timestamp};
use sha2::{Digest, Sha256};

use crate::bounds;
use crate::ruleset::{Meta, RuleSet};
use crate::sigma::model::{self, Breadth, Order};

/// The highest score: certainty is for people.
const HIGHEST: f64 = 99.0;

/// A compiled model.
#[derive(Debug)]
pub(crate) struct Model {
    timespan_nanos: i64,
    threshold: f64,
    /// Per filter, then rule: its points, with why; `None` when the model does not count it.
    points: Vec<Option<(f64, String)>>,
    breadth: Option<Breadth>,
    /// Labels of what is required.
    require: Vec<String>,
    /// Per filter, then rule: which requirements it meets.
    meets: Vec<Vec<usize>>,
    in_order: Order,
    levels: Vec<(f64, Level)>,
}

impl Model {
    /// Fits `written` to the detections `metas` (filters, then rules).
    pub(crate) fn resolve<'m>(
        written: &model::Model,
        metas: impl Iterator<Item = &'m Meta>,
        names: &HashMap<String, String>,
    ) -> Self {
        let mut points = Vec::new();
        let mut meets = Vec::new();
        for meta in metas {
            let name = names.get(&meta.detection.id).map(String::as_str);
            let called = |wanted: &str| wanted == meta.detection.id || Some(wanted) == name;
            let own = written.detections.iter().find(|(wanted, _)| called(wanted));
            let counted = written.counts.as_ref().is_none_or(|select| select.means(meta, name));
            let level = meta.detection.level;
            points.push(match own {
                Some((_, points)) => Some((*points, format!("{points} set by the model"))),
                None if !counted => None,
                None => {
                    let weight = written.weights[level as usize];
                    Some((weight, format!("{weight} for level {}", level_name(level))))
                }
            });
            let required = written.require.iter().enumerate();
            meets.push(
                required.filter(|(_, select)| select.means(meta, name)).map(|(i, _)| i).collect(),
            );
        }
        Self {
            timespan_nanos: written.timespan_nanos,
            threshold: written.threshold,
            points,
            breadth: written.breadth,
            require: written.require.iter().map(|select| select.label.clone()).collect(),
            meets,
            in_order: written.in_order,
            levels: written.levels.clone(),
        }
    }

    /// Whether it can come to an alert when only the detections that are `true` fire, each once.
    pub(crate) fn reach(&self, fires: &[bool]) -> (bool, String) {
        let can = |detection: usize| fires.get(detection).copied().unwrap_or(false);
        let missing = (0..self.require.len()).find(|wanted| {
            let mut meets = self.meets.iter().enumerate();
            !meets.any(|(detection, met)| met.contains(wanted) && can(detection))
        });
        if let Some(missing) = missing {
            return (
                false,
                format!("requires {}, and nothing that meets it can fire", self.require[missing]),
            );
        }
        let counted = self.points.iter().enumerate().filter(|(_, points)| points.is_some());
        let (able, silent): (Vec<usize>, Vec<usize>) =
            counted.map(|(detection, _)| detection).partition(|detection| can(*detection));
        let most: f64 = able.iter().filter_map(|one| Some(self.points[*one].as_ref()?.0)).sum();
        // Breadth adds points of its own.
        if self.breadth.is_none() && most < self.threshold {
            return (
                false,
                format!("needs {} points, and what can fire gives {most}", self.threshold),
            );
        }
        (true, format!("{} of the {} it weighs can fire", able.len(), able.len() + silent.len()))
    }

    fn counts(&self, detection: usize) -> bool {
        self.points[detection].is_some() || !self.meets[detection].is_empty()
    }
}

/// The name of a level as documents write it.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Informational => "informational",
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
        Level::Critical => "critical",
    }
}

/// A hit on its way into the models.
pub(crate) struct Found {
    pub(crate) tenant: TenantId,
    pub(crate) endpoint: EndpointId,
    pub(crate) storyline: String,
    /// Filter or rule, counted together.
    pub(crate) detection: usize,
    pub(crate) highlight: Highlight,
}

/// A highlight with what it is of.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) detection: usize,
    pub(crate) highlight: Highlight,
    pub(crate) newest: Timestamp,
}

/// What struck on one storyline.
#[derive(Debug, Default)]
pub(crate) struct Storyline {
    pub(crate) held: Vec<Held>,
    /// Revision of the alert of each model that has one.
    pub(crate) revisions: BTreeMap<usize, u32>,
    pub(crate) newest: Timestamp,
}

type StorylineKey = (TenantId, EndpointId, String);

/// The state of all models.
#[derive(Debug, Default)]
pub(crate) struct Weigher {
    pub(crate) storylines: HashMap<StorylineKey, Storyline>,
    /// Storylines dropped since the beginning.
    pub(crate) evicted: u64,
}

impl Weigher {
    /// Takes the hits of one activity (of one storyline); the alerts that came to be or grew.
    pub(crate) fn take(&mut self, rules: &RuleSet, found: Vec<Found>) -> Vec<Alert> {
        let Some(first) = found.first() else { return Vec::new() };
        if rules.weighings.is_empty() {
            return Vec::new();
        }
        let key = (first.tenant, first.endpoint, first.storyline.clone());
        if !self.storylines.contains_key(&key) {
            self.make_room();
        }
        let storyline = self.storylines.entry(key.clone()).or_default();
        let grown: Vec<usize> =
            found.into_iter().filter_map(|found| storyline.hold(rules, found)).collect();
        let mut alerts = Vec::new();
        for (index, model) in rules.weighings.iter().enumerate() {
            if grown.iter().any(|detection| model.counts(*detection)) {
                alerts.extend(storyline.weigh(rules, index, &key));
            }
        }
        alerts
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
    /// Holds a hit; its detection when that makes an alert grow: a new highlight, or one whose
    /// count reached a power of two.
    fn hold(&mut self, rules: &RuleSet, found: Found) -> Option<usize> {
        let time = found.highlight.time;
        self.newest = self.newest.max(time);
        if self.revisions.is_empty() {
            self.forget(rules);
        }
        let same = |held: &&mut Held| {
            held.detection == found.detection && held.highlight.process == found.highlight.process
        };
        if let Some(held) = self.held.iter_mut().find(same) {
            if found.highlight.events.iter().all(|event| held.highlight.events.contains(event)) {
                return None;
            }
            held.newest = held.newest.max(time);
            held.highlight.time = held.highlight.time.min(time);
            held.highlight.count = held.highlight.count.saturating_add(1);
            for event in found.highlight.events {
                if held.highlight.events.len() < bounds::HIGHLIGHT_EVENTS
                    && !held.highlight.events.contains(&event)
                {
                    held.highlight.events.push(event);
                }
            }
            return held.highlight.count.is_power_of_two().then_some(found.detection);
        }
        if self.held.len() >= bounds::HIGHLIGHTS && !self.give_way(found.highlight.detection.level)
        {
            return None;
        }
        let place = self.held.partition_point(|held| held.highlight.time <= time);
        let held = Held { detection: found.detection, highlight: found.highlight, newest: time };
        self.held.insert(place, held);
        Some(found.detection)
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

    fn weigh(&mut self, rules: &RuleSet, index: usize, key: &StorylineKey) -> Option<Alert> {
        let model = &rules.weighings[index];
        let had = self.revisions.get(&index).copied();
        let oldest = self.newest.plus_nanos(-model.timespan_nanos);
        // What an alert was raised on stays in it, whatever its age.
        let counted: Vec<&Held> = self
            .held
            .iter()
            .filter(|held| model.counts(held.detection) && (had.is_some() || held.newest >= oldest))
            .collect();
        if !model.required(&counted) {
            return None;
        }
        let parts = model.parts(rules, &counted);
        let total: f64 = parts.iter().map(|part| part.points).sum();
        if total < model.threshold && had.is_none() {
            return None;
        }
        let revision = had.unwrap_or(0) + 1;
        let highlights: Vec<Highlight> =
            counted.iter().map(|held| held.highlight.clone()).collect();
        let first = highlights.iter().map(|highlight| highlight.time).min()?;
        let last = counted.iter().map(|held| held.newest).max()?;
        let alert = Alert {
            id: alert_id(key, &rules.models[index].detection.id),
            revision,
            detection: model.detection(&rules.models[index].detection, &highlights, total),
            endpoint: key.1,
            storyline: key.2.clone(),
            score: whole(total),
            parts,
            highlights,
            first,
            last,
        };
        self.revisions.insert(index, revision);
        Some(alert)
    }
}

impl Model {
    fn required(&self, counted: &[&Held]) -> bool {
        let mut firsts: Vec<Option<Timestamp>> = vec![None; self.require.len()];
        for held in counted {
            for requirement in &self.meets[held.detection] {
                let first = &mut firsts[*requirement];
                let time = held.highlight.time;
                *first = Some(first.map_or(time, |known| known.min(time)));
            }
        }
        if firsts.contains(&None) {
            return false;
        }
        if self.in_order == Order::Any {
            return true;
        }
        // In order: for each step some hit at or after the first possible one of the step before.
        let mut after = None;
        for requirement in 0..self.require.len() {
            let times = counted
                .iter()
                .filter(|held| self.meets[held.detection].contains(&requirement))
                .flat_map(|held| [held.highlight.time, held.newest])
                .filter(|time| after.is_none_or(|after| *time >= after));
            match times.min() {
                Some(time) => after = Some(time),
                None => return false,
            }
        }
        true
    }

    fn parts(&self, rules: &RuleSet, counted: &[&Held]) -> Vec<ScorePart> {
        let mut seen: BTreeMap<usize, u32> = BTreeMap::new();
        let mut tactics = BTreeSet::new();
        for held in counted {
            *seen.entry(held.detection).or_default() += held.highlight.count;
            if self.points[held.detection].as_ref().is_some_and(|(points, _)| *points > 0.0) {
                tactics.extend(held.highlight.detection.tactics.iter());
            }
        }
        let mut parts: Vec<ScorePart> = seen
            .into_iter()
            .filter_map(|(detection, count)| {
                let (points, why) = self.points[detection].as_ref()?;
                let meta = rules.hit_meta(detection);
                let times =
                    if count > 1 { format!("; struck {count} times") } else { String::new() };
                (*points > 0.0).then(|| ScorePart {
                    label: meta.detection.title.clone(),
                    detection: Some(meta.detection.id.clone()),
                    points: *points,
                    why: format!("{why}{times}"),
                })
            })
            .collect();
        parts.sort_by(|left, right| {
            right.points.total_cmp(&left.points).then_with(|| left.label.cmp(&right.label))
        });
        if let Some(breadth) = self.breadth
            && tactics.len() >= breadth.from
        {
            let many = u32::try_from(tactics.len() + 1 - breadth.from.max(1)).unwrap_or(u32::MAX);
            let names: Vec<&str> = tactics.iter().map(|tactic| tactic.as_str()).collect();
            parts.push(ScorePart {
                label: format!("{} tactics on one storyline", tactics.len()),
                detection: None,
                points: (f64::from(many) * breadth.points).min(breadth.limit),
                why: format!(
                    "{} for each tactic from number {} on, at most {}: {}",
                    breadth.points,
                    breadth.from,
                    breadth.limit,
                    names.join(", ")
                ),
            });
        }
        parts
    }

    /// The model's identity with the techniques and tactics of what it was raised on, and the
    /// level the score gives.
    fn detection(&self, own: &DetectionRef, highlights: &[Highlight], total: f64) -> DetectionRef {
        let gather = |of: fn(&DetectionRef) -> &Vec<String>| {
            let all: BTreeSet<&String> = std::iter::once(own)
                .chain(highlights.iter().map(|highlight| &highlight.detection))
                .flat_map(of)
                .collect();
            all.into_iter().cloned().collect()
        };
        let raised = self.levels.iter().rev().find(|(from, _)| total >= *from);
        DetectionRef {
            id: own.id.clone(),
            title: own.title.clone(),
            layer: Layer::Model,
            level: raised.map_or(own.level, |(_, level)| *level),
            techniques: gather(|detection| &detection.techniques),
            tactics: gather(|detection| &detection.tactics),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=99")]
fn whole(total: f64) -> u8 {
    total.clamp(0.0, HIGHEST).round() as u8
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
