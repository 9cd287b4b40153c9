//! State that goes on when an engine is given other content: as a checkpoint would carry it, without
//! the bytes.

use std::sync::Arc;

use super::{Names, Restored, ids};
use crate::awaited::Awaited;
use crate::correlate::{Correlator, Key};
use crate::engine::Engine;
use crate::fleet::Fleet;
use crate::kin::Kin;
use crate::ruleset::RuleSet;
use crate::weigh::{Like, Raised, Storyline, Suppressed, Weigher};

impl Engine {
    /// Takes over what an engine with the rules `old` held.
    pub(crate) fn inherit(
        &mut self,
        old: &RuleSet,
        (correlator, awaited): (Correlator, Awaited),
        (kin, fleet): (Kin, Fleet),
        weigher: Weigher,
    ) -> Restored {
        let rules = Arc::clone(self.rules());
        let detections: Vec<String> = ids(old).cloned().collect();
        let models: Vec<String> = old.models.iter().map(|meta| meta.detection.id.clone()).collect();
        let digests: Vec<u64> = old.correlations.iter().map(|rule| rule.digest).collect();
        let names = Names::of(&rules, &detections, &models, &digests);
        let mut restored = Restored::default();
        self.awaited = still_awaited(&names, awaited, &mut restored);
        self.correlator = correlated(&names, correlator, &mut restored);
        self.weigher = weighed(&names, weigher, &mut restored);
        self.fleet = moved_fleet(&names, fleet, &mut restored);
        let processes = kin.entries().len() as u64;
        if rules.asks_kinship {
            self.kin = kin;
            restored.taken += processes;
        } else {
            self.kin.evicted = kin.evicted;
            restored.dropped += processes;
        }
        restored
    }
}

fn correlated(names: &Names<'_>, old: Correlator, restored: &mut Restored) -> Correlator {
    let mut moved = |key: Key| {
        let rule = names.same.get(key.0).copied().flatten();
        match rule {
            Some(_) => restored.taken += 1,
            None => restored.dropped += 1,
        }
        Some((rule?, key.1, key.2))
    };
    let mut correlator = Correlator {
        evicted: old.evicted,
        evicted_hits: old.evicted_hits,
        ..Correlator::default()
    };
    for (key, window) in old.windows {
        if let Some(key) = moved(key) {
            correlator.windows.insert(key, window);
        }
    }
    correlator.learned.evicted = old.learned.evicted;
    for (key, known) in old.learned.keys {
        if let Some(key) = moved(key) {
            correlator.learned.values += known.values.len();
            correlator.learned.keys.insert(key, known);
        }
    }
    correlator
}

fn still_awaited(names: &Names<'_>, old: Awaited, restored: &mut Restored) -> Awaited {
    let mut awaited = Awaited::default();
    awaited.evicted = old.evicted;
    for ((endpoint, time, key), mut pending) in old.into_all() {
        let Some(rule) = names.same.get(key.0).copied().flatten() else {
            restored.dropped += 1;
            continue;
        };
        restored.taken += 1;
        let level = pending.hit.detection.level;
        pending.hit.detection = names.rules.rules[rule].detection.clone();
        pending.hit.detection.level = level;
        let model = |model: usize| names.models.get(model).copied().flatten();
        pending.withheld = pending.withheld.into_iter().filter_map(model).collect();
        awaited.arm((endpoint, time, (rule, key.1, key.2)), pending);
    }
    awaited
}

fn weighed(names: &Names<'_>, old: Weigher, restored: &mut Restored) -> Weigher {
    let model = |model: usize| names.models.get(model).copied().flatten();
    let mut weigher = Weigher { evicted: old.evicted, ..Weigher::default() };
    let Suppressed { raised, count, evicted } = old.suppressed;
    let moved =
        |(like, raised): (Like, Raised)| Some(((like.0, like.1, model(like.2)?, like.3), raised));
    let raised = raised.into_iter().filter_map(moved).collect();
    weigher.suppressed = Suppressed { raised, count, evicted };
    for (key, storyline) in old.storylines {
        let mut moved = Storyline { newest: storyline.newest, ..Storyline::default() };
        let numbered = |(number, value)| Some((model(number)?, value));
        for mut alert in storyline.standing {
            alert.models = alert.models.into_iter().filter_map(model).collect();
            if !alert.models.is_empty() {
                moved.standing.push(alert);
            }
        }
        moved.stands_for = storyline.stands_for.into_iter().filter_map(numbered).collect();
        moved.suppressed = storyline.suppressed.into_iter().filter_map(model).collect();
        for mut held in storyline.held {
            let Some(detection) = names.detections.get(held.detection).copied().flatten() else {
                restored.dropped += 1;
                continue;
            };
            restored.taken += 1;
            held.detection = detection;
            let level = held.highlight.detection.level;
            held.highlight.detection = names.rules.hit_meta(detection).detection.clone();
            held.highlight.detection.level = level;
            held.withheld = held.withheld.into_iter().filter_map(model).collect();
            held.withheld.sort_unstable();
            moved.held.push(held);
        }
        weigher.storylines.insert(key, moved);
    }
    weigher
}

fn moved_fleet(names: &Names<'_>, old: Fleet, restored: &mut Restored) -> Fleet {
    let mut fleet = Fleet::default();
    (fleet.hosts, fleet.evicted) = (old.hosts, old.evicted);
    for ((tenant, detection), hosts) in old.shown {
        match names.detections.get(detection).copied().flatten() {
            Some(detection) => {
                restored.taken += hosts.len() as u64;
                fleet.pairs += hosts.len();
                fleet.shown.insert((tenant, detection), hosts);
            }
            None => restored.dropped += hosts.len() as u64,
        }
    }
    fleet
}
