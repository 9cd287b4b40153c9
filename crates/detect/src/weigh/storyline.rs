//! What struck on one storyline, held once for all models.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::Timestamp;
use metsuke_event::finding::Level;

use super::standing::Standing;
use super::{Found, Grown, Held};
use crate::bounds;
use crate::ruleset::RuleSet;

/// What struck on one storyline.
#[derive(Debug, Default)]
pub(crate) struct Storyline {
    pub(crate) held: Vec<Held>,
    /// Its alerts, in the order they were raised in.
    pub(crate) standing: Vec<Standing>,
    /// Per model how many storylines like this one its alert stands for.
    pub(crate) stands_for: BTreeMap<usize, u32>,
    /// Models by which another storyline's alert stands for this one.
    pub(crate) suppressed: BTreeSet<usize>,
    pub(crate) newest: Timestamp,
}

impl Storyline {
    /// What struck on it.
    pub(super) fn detections(&self) -> BTreeSet<usize> {
        self.held.iter().map(|held| held.detection).collect()
    }

    /// Holds a hit; what it is when that makes an alert grow: a new highlight, or one whose
    /// count reached a power of two.
    pub(super) fn hold(&mut self, rules: &RuleSet, found: Found) -> Option<Grown> {
        let (time, shown) = (found.time, found.highlight.time);
        let level = found.highlight.detection.level;
        self.newest = self.newest.max(time);
        if self.standing.is_empty() {
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

    /// Whether `model` has an alert, its own or one that stands for it.
    pub(super) fn has(&self, model: usize) -> bool {
        self.standing.iter().any(|alert| alert.models.contains(&model))
    }

    /// Before there is an alert, what is older than any model looks back is let go.
    fn forget(&mut self, rules: &RuleSet) {
        let longest = rules.weighings.iter().map(|model| model.timespan_nanos).max().unwrap_or(0);
        let oldest = self.newest.plus_nanos(-longest);
        self.held.retain(|held| held.newest >= oldest);
    }
}
