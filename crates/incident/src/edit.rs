//! What people changed by hand, and what of it still holds.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::AlertId;
use serde::{Deserialize, Serialize};

use crate::bounds;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EditKind {
    /// `apart` were taken out of the incident; `rest` is what stayed.
    Split {
        /// Taken out.
        apart: Vec<AlertId>,
        /// What stayed.
        rest: Vec<AlertId>,
    },
    /// All of these were made one incident.
    Merge {
        /// The alerts.
        alerts: Vec<AlertId>,
    },
}

/// One change made by hand, in the order of `number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Grows with every change.
    pub number: i64,
    /// What was done.
    pub kind: EditKind,
}

impl EditKind {
    /// Every alert it names.
    pub fn alerts(&self) -> impl Iterator<Item = AlertId> + '_ {
        let (one, other): (&[AlertId], &[AlertId]) = match self {
            Self::Split { apart, rest } => (apart, rest),
            Self::Merge { alerts } => (alerts, &[]),
        };
        one.iter().chain(other).copied()
    }
}

/// On which side of a split an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Apart,
    Rest,
}

/// The sides that alerts stand on, by the number of the split.
pub(crate) type Sides = BTreeMap<i64, Side>;

/// What holds of all edits together: later ones win.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// Sets that belong together.
    pub(crate) together: Vec<BTreeSet<AlertId>>,
    /// Of each alert the sides it stands on.
    pub(crate) sides: BTreeMap<AlertId, Sides>,
}

impl Holding {
    pub(crate) fn of(edits: &[Edit]) -> Self {
        let mut edits: Vec<&Edit> = edits.iter().collect();
        edits.sort_by_key(|edit| edit.number);
        let old = edits.len().saturating_sub(bounds::EDITS);
        let mut holding = Self::default();
        for edit in &edits[old..] {
            match &edit.kind {
                EditKind::Split { apart, rest } => holding.split(edit.number, apart, rest),
                EditKind::Merge { alerts } => holding.merge(alerts),
            }
        }
        holding
    }

    fn split(&mut self, number: i64, apart: &[AlertId], rest: &[AlertId]) {
        let taken: BTreeSet<AlertId> = apart.iter().take(bounds::EDIT_ALERTS).copied().collect();
        // What was merged before falls into two.
        let sets = std::mem::take(&mut self.together);
        for set in sets {
            let (out, stays): (BTreeSet<_>, BTreeSet<_>) =
                set.into_iter().partition(|alert| taken.contains(alert));
            self.together.extend([out, stays].into_iter().filter(|set| set.len() > 1));
        }
        let stays = rest.iter().take(bounds::EDIT_ALERTS).filter(|alert| !taken.contains(alert));
        let sides = stays.map(|alert| (*alert, Side::Rest));
        for (alert, side) in taken.iter().map(|alert| (*alert, Side::Apart)).chain(sides) {
            self.sides.entry(alert).or_default().insert(number, side);
        }
    }

    fn merge(&mut self, alerts: &[AlertId]) {
        let mut whole: BTreeSet<AlertId> =
            alerts.iter().take(bounds::EDIT_ALERTS).copied().collect();
        // What was merged with one of them before comes with it.
        let mut sets = std::mem::take(&mut self.together);
        while let Some(place) = sets.iter().position(|other| !whole.is_disjoint(other)) {
            whole.append(&mut sets.swap_remove(place));
        }
        // A split that stood between them holds no longer, for none of those it had apart.
        let mut seen: BTreeMap<i64, BTreeSet<Side>> = BTreeMap::new();
        for (split, side) in whole.iter().filter_map(|alert| self.sides.get(alert)).flatten() {
            seen.entry(*split).or_default().insert(*side);
        }
        let over = |split: &i64| seen.get(split).is_some_and(|sides| sides.len() > 1);
        for sides in self.sides.values_mut() {
            sides.retain(|split, _| !over(split));
        }
        sets.push(whole);
        self.together = sets;
    }
}
