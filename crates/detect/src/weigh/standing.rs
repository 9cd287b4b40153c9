//! Alerts of a storyline: models that stand on the same highlights share one, and yield to the
//! strongest of them.
//!
//! The alert is that of the model with the highest score; the others are named in it, as parts without
//! points, and what they count is among its steps. An alert keeps its identity when a stronger model
//! comes to lead it. Invariants: a model that has an alert is in exactly one; a storyline on which any
//! model raised one has one; an alert's score and level are the highest of its models.

use std::collections::BTreeSet;

use metsuke_event::AlertId;
use metsuke_event::finding::{Alert, DetectionRef, Highlight, ScorePart};
use sha2::{Digest, Sha256};

use super::StorylineKey;
use super::storyline::Storyline;
use super::verdict::{Asked, Verdict};

/// An alert that was raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) id: AlertId,
    pub(crate) revision: u32,
    /// Models it stands for.
    pub(crate) models: BTreeSet<usize>,
}

/// Models that share highlights, with their alerts, oldest first.
struct Group {
    models: BTreeSet<usize>,
    /// Numbers of what is held that they stand on.
    base: BTreeSet<usize>,
    alerts: Vec<Standing>,
}

impl Group {
    fn take(&mut self, other: Self) {
        self.models.extend(other.models);
        self.base.extend(other.base);
        self.alerts.extend(other.alerts);
    }
}

impl Storyline {
    /// The alerts of the models `moved`, each of which has come to one or whose own has grown.
    pub(super) fn alerts(
        &mut self,
        asked: &Asked<'_>,
        key: &StorylineKey,
        moved: &BTreeSet<usize>,
    ) -> Vec<Alert> {
        if moved.is_empty() {
            return Vec::new();
        }
        let raised: BTreeSet<usize> =
            self.standing.iter().flat_map(|alert| &alert.models).chain(moved).copied().collect();
        let on = raised.iter().filter(|model| !asked.tuned(**model).off);
        let verdicts: Vec<Verdict> = on.filter_map(|model| self.judge(asked, *model)).collect();
        let mut alerts = Vec::new();
        for mut group in self.groups(&verdicts, moved) {
            let of = |verdict: &&Verdict| group.models.contains(&verdict.model);
            let mut of_group: Vec<&Verdict> = verdicts.iter().filter(of).collect();
            of_group.sort_by_key(|verdict| std::cmp::Reverse(verdict.strength(asked.rules)));
            let (Some(strongest), true) = (of_group.first(), !group.models.is_disjoint(moved))
            else {
                self.standing.append(&mut group.alerts);
                continue;
            };
            let leads = |alert: &Standing| alert.models.contains(&strongest.model);
            let led = group.alerts.iter().position(leads).unwrap_or(0);
            let (id, revision) = match group.alerts.get(led) {
                Some(known) => (known.id, known.revision + 1),
                None => (alert_id(key, &asked.rules.models[strongest.model].detection.id), 1),
            };
            self.standing.push(Standing { id, revision, models: group.models });
            alerts.extend(self.alert(key, (id, revision), &of_group));
        }
        alerts
    }

    /// The models that have alerts and those that `moved`, together that share what they stand on.
    /// The alerts that stood are taken out.
    fn groups(&mut self, verdicts: &[Verdict], moved: &BTreeSet<usize>) -> Vec<Group> {
        let base = |models: &BTreeSet<usize>| {
            let of = verdicts.iter().filter(|verdict| models.contains(&verdict.model));
            of.flat_map(|verdict| &verdict.base).copied().collect::<BTreeSet<usize>>()
        };
        let new = moved.iter().filter(|model| !self.has(**model)).copied();
        let new: Vec<BTreeSet<usize>> = new.map(|model| [model].into()).collect();
        let known = std::mem::take(&mut self.standing).into_iter();
        let known = known.map(|alert| (alert.models.clone(), vec![alert]));
        let mut groups: Vec<Group> = Vec::new();
        for (models, alerts) in known.chain(new.into_iter().map(|models| (models, Vec::new()))) {
            let mut group = Group { base: base(&models), models, alerts };
            // Whatever it shares with joins it; those that are left share nothing with each other.
            let mut apart = Vec::new();
            for mut other in groups {
                if other.base.is_disjoint(&group.base) {
                    apart.push(other);
                } else {
                    other.take(group);
                    group = other;
                }
            }
            apart.push(group);
            groups = apart;
        }
        groups
    }

    /// The alert of the first of `verdicts`, with the others as reasons.
    fn alert(
        &self,
        key: &StorylineKey,
        (id, revision): (AlertId, u32),
        verdicts: &[&Verdict],
    ) -> Option<Alert> {
        let (strongest, others) = verdicts.split_first()?;
        let counted: BTreeSet<usize> =
            verdicts.iter().flat_map(|verdict| &verdict.counted).copied().collect();
        let held = || counted.iter().map(|number| &self.held[*number]);
        let highlights: Vec<Highlight> = held().map(|held| held.highlight.clone()).collect();
        let mut detection = strongest.detection.clone();
        for other in others {
            detection.level = detection.level.max(other.detection.level);
            join(&mut detection.techniques, &other.detection.techniques);
            join(&mut detection.tactics, &other.detection.tactics);
        }
        let first = highlights.iter().map(|highlight| highlight.time).min()?;
        let last = held().map(|held| held.last).max()?;
        let also: Vec<DetectionRef> = others.iter().map(|one| one.detection.clone()).collect();
        let mut parts = strongest.parts.clone();
        parts.extend(others.iter().map(|other| yielded(other)));
        Some(Alert {
            id,
            revision,
            detection,
            also,
            endpoint: key.1,
            storyline: key.2.clone(),
            score: strongest.score,
            parts,
            highlights,
            first,
            last,
        })
    }
}

/// The part, without points, of a model that yields to a stronger one.
fn yielded(verdict: &Verdict) -> ScorePart {
    let steps = verdict.base.len();
    let s = if steps == 1 { "" } else { "s" };
    ScorePart {
        label: format!("also: {}", verdict.detection.title),
        detection: Some(verdict.detection.id.clone()),
        points: 0.0,
        why: format!("{} of its own, on {steps} step{s} of these", verdict.score),
    }
}

fn join(into: &mut Vec<String>, more: &[String]) {
    into.extend_from_slice(more);
    into.sort_unstable();
    into.dedup();
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
