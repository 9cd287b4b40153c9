//! What one model makes of a storyline: its score in parts, and what it stands on.

use std::collections::BTreeSet;

use metsuke_event::finding::{DetectionRef, Highlight, Level, ScorePart};

use super::Held;
use super::factor::Factors;
use super::model;
use super::storyline::Storyline;
use crate::overlay::Tuned;
use crate::ruleset::RuleSet;

/// What a judgement takes into account beside the storyline.
pub(super) struct Asked<'a> {
    pub(super) rules: &'a RuleSet,
    /// Per model what is tuned on the endpoint; empty, nothing is.
    pub(super) tuned: &'a [Tuned],
    pub(super) factors: &'a Factors,
}

impl Asked<'_> {
    pub(super) fn tuned(&self, model: usize) -> Tuned {
        self.tuned.get(model).copied().unwrap_or_default()
    }
}

/// What a model concludes.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) model: usize,
    /// 0 to 99.
    pub(super) score: u8,
    pub(super) parts: Vec<ScorePart>,
    /// What is held that it counts, in order.
    pub(super) counted: Vec<usize>,
    /// Those of them that it stands on: that give points, or all, when none does.
    pub(super) base: BTreeSet<usize>,
    /// The model with the level and techniques of what it counts.
    pub(super) detection: DetectionRef,
}

impl Verdict {
    /// What makes it stronger than others: its score, its level, and that it says more, because it
    /// counts fewer detections; then the order of documents, so that one is always the strongest.
    pub(super) fn strength(
        &self,
        rules: &RuleSet,
    ) -> (u8, Level, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>) {
        let counts = rules.weighings[self.model].counted_detections();
        let (counts, number) = (std::cmp::Reverse(counts), std::cmp::Reverse(self.model));
        (self.score, self.detection.level, counts, number)
    }
}

impl Storyline {
    /// What model number `index` makes of what is held; nothing when it is too little.
    pub(super) fn judge(&self, asked: &Asked<'_>, index: usize) -> Option<Verdict> {
        let model = &asked.rules.weighings[index];
        let has = self.has(index);
        let oldest = self.newest.plus_nanos(-model.timespan_nanos);
        // What an alert was raised on stays in it, whatever its age.
        let is_counted = |held: &Held| {
            model.counts(held.detection, held.highlight.detection.level)
                && !held.withheld.contains(&index)
                && (has || held.newest >= oldest)
        };
        let all = 0..self.held.len();
        let numbers: Vec<usize> = all.filter(|one| is_counted(&self.held[*one])).collect();
        let counted: Vec<&Held> = numbers.iter().map(|one| &self.held[*one]).collect();
        if !model.required(&counted) {
            return None;
        }
        let mut parts = model.parts(asked.rules, &counted, (self.newest, asked.factors));
        if let Some(more) = self.stands_for.get(&index) {
            parts.push(model::stands_for(*more));
        }
        let total: f64 = parts.iter().map(|part| part.points).sum();
        if total < model.threshold && !has {
            return None;
        }
        let gives = |one: &&usize| model.gives_points(&self.held[**one]);
        let mut base: BTreeSet<usize> = numbers.iter().filter(gives).copied().collect();
        if base.is_empty() {
            base = numbers.iter().copied().collect();
        }
        let highlights: Vec<&Highlight> = counted.iter().map(|held| &held.highlight).collect();
        let own = &asked.rules.models[index].detection;
        let mut detection = model.detection(own, &highlights, total);
        detection.level = asked.tuned(index).level.unwrap_or(detection.level);
        let score = model::whole(total);
        Some(Verdict { model: index, score, parts, counted: numbers, base, detection })
    }
}
