//! From ties to groups.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::AlertId;

use crate::edit::{Edit, Holding, Sides};
use crate::fleet::Fleet;
use crate::link::{Reason, ReasonKind, Shared, joining, shown, ties};
use crate::{Facts, bounds};

/// Alerts that belong to one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The incident's identity: the alert of it that was raised first.
    pub id: AlertId,
    /// Its alerts, by first step.
    pub alerts: Vec<AlertId>,
    /// Why they are together, the strongest reasons first; none for a single alert.
    pub reasons: Vec<Reason>,
}

/// `alerts`, each once, in one order whatever order they came in: by first step.
pub(crate) fn in_order(alerts: &[Facts]) -> Vec<&Facts> {
    let mut unique: BTreeMap<AlertId, &Facts> = BTreeMap::new();
    for alert in alerts {
        unique.entry(alert.id).or_insert(alert);
    }
    let mut alerts: Vec<&Facts> = unique.into_values().collect();
    alerts.sort_by_key(|alert| (alert.first, alert.id));
    alerts
}

/// Puts `alerts` into groups, as their ties, what is common in the `fleet`, and what people changed by
/// hand want it. Every alert is in exactly one group; groups are ordered by identity. An alert that is
/// given twice counts once.
pub fn join(alerts: &[Facts], edits: &[Edit], fleet: &Fleet) -> Vec<Group> {
    let alerts = in_order(alerts);
    let places: BTreeMap<AlertId, usize> =
        alerts.iter().enumerate().map(|(place, alert)| (alert.id, place)).collect();
    let holding = Holding::of(edits);
    let shared = joining(&alerts, fleet);
    let mut forest = Forest::of(&alerts, &holding);
    for set in &holding.together {
        let known: Vec<usize> = set.iter().filter_map(|id| places.get(id).copied()).collect();
        for pair in known.windows(2) {
            forest.unite(pair[0], pair[1]);
        }
    }
    for (_, earlier, later) in tied(&alerts, &shared) {
        forest.unite(earlier, later);
    }
    groups(&alerts, &mut forest, &shared, &holding)
}

/// Every tie, the strongest kind first, then by time: the one order in which they are made, so that
/// what may not be joined is kept apart in the same way whatever order alerts came in.
fn tied(alerts: &[&Facts], all: &[Shared]) -> BTreeSet<(ReasonKind, usize, usize)> {
    let mut ties_of = BTreeSet::new();
    for Shared { kind, places, .. } in all {
        for (index, later) in places.iter().enumerate() {
            for earlier in places[..index].iter().rev().take(bounds::TIES) {
                if ties(*kind, alerts[*earlier], alerts[*later]) {
                    ties_of.insert((*kind, *earlier, *later));
                }
            }
        }
    }
    ties_of
}

/// Groups that grow, each with the sides of hand-made splits that its alerts stand on.
struct Forest {
    parents: Vec<usize>,
    sides: Vec<Sides>,
}

impl Forest {
    fn of(alerts: &[&Facts], holding: &Holding) -> Self {
        let sides = |alert: &&Facts| holding.sides.get(&alert.id).cloned().unwrap_or_default();
        Self { parents: (0..alerts.len()).collect(), sides: alerts.iter().map(sides).collect() }
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.parents[place] != place {
            self.parents[place] = self.parents[self.parents[place]];
            place = self.parents[place];
        }
        place
    }

    /// Makes one group of two, unless people split them.
    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let apart = self.sides[a]
            .iter()
            .any(|(split, side)| self.sides[b].get(split).is_some_and(|other| other != side));
        if apart {
            return;
        }
        let (top, below) = (a.min(b), a.max(b));
        self.parents[below] = top;
        let sides = std::mem::take(&mut self.sides[below]);
        self.sides[top].extend(sides);
    }
}

fn groups(alerts: &[&Facts], forest: &mut Forest, all: &[Shared], holding: &Holding) -> Vec<Group> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for place in 0..alerts.len() {
        members.entry(forest.root(place)).or_default().push(place);
    }
    let mut reasons = reasons(alerts, forest, all, holding);
    let group = |(root, places): (usize, Vec<usize>)| {
        let first = places.iter().map(|place| alerts[*place]);
        let first = first.min_by_key(|alert| (alert.created, alert.id))?;
        Some(Group {
            id: first.id,
            alerts: places.iter().map(|place| alerts[*place].id).collect(),
            reasons: reasons.remove(&root).unwrap_or_default(),
        })
    };
    let mut groups: Vec<Group> = members.into_iter().filter_map(group).collect();
    groups.sort_by_key(|group| group.id);
    groups
}

/// What the alerts of each group share.
fn reasons(
    alerts: &[&Facts],
    forest: &mut Forest,
    all: &[Shared],
    holding: &Holding,
) -> BTreeMap<usize, Vec<Reason>> {
    let mut found: BTreeMap<usize, BTreeMap<(ReasonKind, String), BTreeSet<usize>>> =
        BTreeMap::new();
    let mut add = |root: usize, kind, value: String, places: [usize; 2]| {
        found.entry(root).or_default().entry((kind, value)).or_default().extend(places);
    };
    for Shared { kind, value, places, .. } in all {
        for (index, later) in places.iter().enumerate() {
            for earlier in places[..index].iter().rev().take(bounds::TIES) {
                let root = forest.root(*later);
                if root == forest.root(*earlier) && ties(*kind, alerts[*earlier], alerts[*later]) {
                    add(root, *kind, shown(*kind, value), [*earlier, *later]);
                }
            }
        }
    }
    for set in &holding.together {
        let known: Vec<usize> =
            (0..alerts.len()).filter(|place| set.contains(&alerts[*place].id)).collect();
        for pair in known.windows(2) {
            let root = forest.root(pair[0]);
            if root == forest.root(pair[1]) {
                add(root, ReasonKind::Hand, String::new(), [pair[0], pair[1]]);
            }
        }
    }
    let told = |all: BTreeMap<(ReasonKind, String), BTreeSet<usize>>| -> Vec<Reason> {
        // A process that is the storyline's root says the same once more.
        let storylines: BTreeSet<String> = all
            .keys()
            .filter(|(kind, _)| *kind == ReasonKind::Storyline)
            .map(|(_, value)| value.clone())
            .collect();
        all.into_iter()
            .filter(|((kind, value), _)| {
                *kind != ReasonKind::Process || !storylines.contains(value)
            })
            .take(bounds::REASONS)
            .map(|((kind, value), places)| Reason {
                kind,
                value,
                alerts: places
                    .into_iter()
                    .take(bounds::REASON_ALERTS)
                    .map(|place| alerts[place].id)
                    .collect(),
            })
            .collect()
    };
    found.into_iter().map(|(root, all)| (root, told(all))).collect()
}
