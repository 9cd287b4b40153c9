//! A compiled model: which hits it counts, and what score they come to, in parts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use metsuke_event::Timestamp;
use metsuke_event::finding::{DetectionRef, Highlight, Layer, Level, ScorePart};

use super::Held;
use super::factor::{Factor, Factors, Reckoning, rounded};
use crate::ruleset::{Meta, RuleSet};
use crate::sigma::model::{self, Breadth, Order, Reach};

/// The highest score: certainty is for people.
const HIGHEST: f64 = 99.0;

/// A compiled model.
#[derive(Debug)]
pub(crate) struct Model {
    pub(super) timespan_nanos: i64,
    pub(super) threshold: f64,
    /// Per filter, then rule: how it is counted; `None` when the model does not count it.
    points: Vec<Option<Points>>,
    /// Points by level, lowest first.
    weights: [f64; 5],
    breadth: Option<Breadth>,
    /// Labels of what is required.
    require: Vec<String>,
    /// Per filter, then rule: which requirements it meets, from which level on.
    meets: Vec<Vec<(usize, Level)>>,
    in_order: Order,
    levels: Vec<(f64, Level)>,
    /// Nanoseconds in which points halve.
    half_life_nanos: Option<i64>,
    /// Whether what is common in the fleet counts less.
    reach: Reach,
    /// Nanoseconds for which an alert stands for others like it.
    pub(super) suppress_nanos: Option<i64>,
}

/// How a detection is counted.
#[derive(Clone, Copy, Debug)]
enum Points {
    /// With points that the model sets for it.
    Own(f64),
    /// With those of its level, from this level on.
    From(Level),
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
            points.push(match (own, &written.counts) {
                (Some((_, points)), _) => Some(Points::Own(*points)),
                (None, None) => Some(Points::From(Level::Informational)),
                (None, Some(select)) => select.means(meta, name).map(Points::From),
            });
            let required = written.require.iter().enumerate();
            let met = required.filter_map(|(i, select)| Some((i, select.means(meta, name)?)));
            meets.push(met.collect());
        }
        Self {
            timespan_nanos: written.timespan_nanos,
            threshold: written.threshold,
            points,
            weights: written.weights,
            breadth: written.breadth,
            require: written.require.iter().map(|select| select.label.clone()).collect(),
            meets,
            in_order: written.in_order,
            levels: written.levels.clone(),
            half_life_nanos: written.half_life_nanos,
            reach: written.reach,
            suppress_nanos: written.suppress_nanos,
        }
    }

    /// Whether it can come to an alert when of the detections, which have these levels, only those
    /// that are `true` fire, each once.
    pub(crate) fn reach(&self, levels: &[Level], fires: &[bool]) -> (bool, String) {
        let can = |detection: usize| fires.get(detection).copied().unwrap_or(false);
        let missing = (0..self.require.len()).find(|wanted| {
            let mut all = (0..self.meets.len()).filter(|detection| can(*detection));
            !all.any(|detection| {
                self.meeting(detection, levels[detection]).any(|met| met == *wanted)
            })
        });
        if let Some(missing) = missing {
            return (
                false,
                format!("requires {}, and nothing that meets it can fire", self.require[missing]),
            );
        }
        let counted = (0..self.points.len())
            .filter_map(|one| Some((one, self.points_of(one, levels[one])?.0)));
        let (able, silent): (Vec<_>, Vec<_>) = counted.partition(|(one, _)| can(*one));
        let most: f64 = able.iter().map(|(_, points)| points).sum();
        // Breadth adds points of its own.
        if self.breadth.is_none() && most < self.threshold {
            return (
                false,
                format!("needs {} points, and what can fire gives {most}", self.threshold),
            );
        }
        (true, format!("{} of the {} it weighs can fire", able.len(), able.len() + silent.len()))
    }

    /// Whether it counts hits of `detection` that struck with `level`.
    pub(super) fn counts(&self, detection: usize, level: Level) -> bool {
        self.points_of(detection, level).is_some()
            || self.meeting(detection, level).next().is_some()
    }

    /// Whether `held` gives points.
    pub(super) fn gives_points(&self, held: &Held) -> bool {
        let points = self.points_of(held.detection, held.highlight.detection.level);
        points.is_some_and(|(points, _)| points > 0.0)
    }

    /// How many detections it may count.
    pub(super) fn counted_detections(&self) -> usize {
        self.points.iter().flatten().count()
    }

    /// Points of a hit of `detection` that struck with `level`, and why.
    fn points_of(&self, detection: usize, level: Level) -> Option<(f64, String)> {
        match self.points[detection]? {
            Points::Own(points) => Some((points, format!("{points} set by the model"))),
            Points::From(least) if level < least => None,
            Points::From(_) => {
                let weight = self.weights[level as usize];
                Some((weight, format!("{weight} for level {}", level_name(level))))
            }
        }
    }

    /// The requirements that a hit of `detection` with `level` meets.
    fn meeting(&self, detection: usize, level: Level) -> impl Iterator<Item = usize> + '_ {
        let met = self.meets[detection].iter().filter(move |(_, least)| level >= *least);
        met.map(|(requirement, _)| *requirement)
    }

    /// The requirements that `held` meets.
    fn met_by(&self, held: &Held) -> impl Iterator<Item = usize> + '_ {
        self.meeting(held.detection, held.highlight.detection.level)
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

impl Model {
    /// Whether all that is required is there.
    pub(super) fn required(&self, counted: &[&Held]) -> bool {
        let mut firsts: Vec<Option<Timestamp>> = vec![None; self.require.len()];
        for held in counted {
            for requirement in self.met_by(held) {
                let first = &mut firsts[requirement];
                let time = held.first;
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
                .filter(|held| self.met_by(held).any(|met| met == requirement))
                .flat_map(|held| [held.first, held.newest])
                .filter(|time| after.is_none_or(|after| *time >= after));
            match times.min() {
                Some(time) => after = Some(time),
                None => return false,
            }
        }
        true
    }

    /// What the score is made of: each detection's points times what is known of it, of the host
    /// and of how long ago, by `now`, it struck.
    pub(super) fn parts(
        &self,
        rules: &RuleSet,
        counted: &[&Held],
        (now, factors): (Timestamp, &Factors),
    ) -> Vec<ScorePart> {
        let mut seen: BTreeMap<usize, Struck> = BTreeMap::new();
        let mut tactics = BTreeSet::new();
        for held in counted {
            let level = held.highlight.detection.level;
            let struck = seen.entry(held.detection).or_default();
            struck.count += held.highlight.count;
            struck.level = level.max(struck.level);
            struck.last = struck.last.max(Some(held.newest));
            if self.points_of(held.detection, level).is_some_and(|(points, _)| points > 0.0) {
                tactics.extend(held.highlight.detection.tactics.iter());
            }
        }
        let part = |(detection, struck): (usize, Struck)| {
            let (points, why) = self.points_of(detection, struck.level)?;
            let reach = factors.reach.get(&detection).filter(|_| self.reach == Reach::Weighed);
            let age = struck.last.map_or(0, |last| now.nanos_since(last));
            let reckoned = Reckoning { points, why }
                .times(factors.judged.get(&detection))
                .times(reach)
                .times(factors.importance.as_ref())
                .times(self.decay(age).as_ref());
            let meta = rules.hit_meta(detection);
            let times = match struck.count {
                0 | 1 => String::new(),
                count => format!("; struck {count} times"),
            };
            (points > 0.0).then(|| ScorePart {
                label: meta.detection.title.clone(),
                detection: Some(meta.detection.id.clone()),
                points: rounded(reckoned.points),
                why: format!("{}{times}", reckoned.why),
            })
        };
        let mut parts: Vec<ScorePart> = seen.into_iter().filter_map(part).collect();
        parts.sort_by(|left, right| {
            right.points.total_cmp(&left.points).then_with(|| left.label.cmp(&right.label))
        });
        parts.extend(self.breadth_part(&tactics, factors));
        parts
    }

    /// The points for many tactics.
    fn breadth_part(&self, tactics: &BTreeSet<&String>, factors: &Factors) -> Option<ScorePart> {
        let breadth = self.breadth.filter(|breadth| tactics.len() >= breadth.from)?;
        let many = u32::try_from(tactics.len() + 1 - breadth.from.max(1)).unwrap_or(u32::MAX);
        let names: Vec<&str> = tactics.iter().map(|tactic| tactic.as_str()).collect();
        let points = (f64::from(many) * breadth.points).min(breadth.limit);
        let why = format!(
            "{} for each tactic from number {} on, at most {}: {}",
            breadth.points,
            breadth.from,
            breadth.limit,
            names.join(", ")
        );
        let reckoned = Reckoning { points, why }.times(factors.importance.as_ref());
        Some(ScorePart {
            label: format!("{} tactics on one storyline", tactics.len()),
            detection: None,
            points: rounded(reckoned.points),
            why: reckoned.why,
        })
    }

    /// What is left of points after so many nanoseconds.
    fn decay(&self, age_nanos: i64) -> Option<Factor> {
        let half = self.half_life_nanos?;
        let minutes = |nanos: i64| Duration::from_nanos(nanos.max(0).unsigned_abs()).as_secs() / 60;
        let lives = Duration::from_nanos(age_nanos.max(0).unsigned_abs())
            .div_duration_f64(Duration::from_nanos(half.unsigned_abs()));
        let why = format!("{} min ago, half in {} min", minutes(age_nanos), minutes(half));
        (minutes(age_nanos) > 0).then(|| Factor { by: (-lives).exp2(), why })
    }

    /// The model's identity with the techniques and tactics of what it was raised on, and the
    /// level the score gives.
    pub(super) fn detection(
        &self,
        own: &DetectionRef,
        highlights: &[&Highlight],
        total: f64,
    ) -> DetectionRef {
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

/// Hits of one detection.
#[derive(Debug, Default)]
struct Struck {
    count: u32,
    level: Level,
    last: Option<Timestamp>,
}

/// The part, without points, that tells of other storylines.
pub(super) fn stands_for(more: u32) -> ScorePart {
    let s = if more == 1 { "" } else { "s" };
    ScorePart {
        label: format!("{more} more storyline{s} like this on the host"),
        detection: None,
        points: 0.0,
        why: "the model alerts once for the same detections, then counts".to_owned(),
    }
}

/// The score of so many points.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=99")]
pub(super) fn whole(total: f64) -> u8 {
    total.clamp(0.0, HIGHEST).round() as u8
}
