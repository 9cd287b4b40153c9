//! Completes the probe's report: what is stopped on this host, and which detections can fire.

use metsuke_detect::RuleSet;
use metsuke_enforce::deny::Guard;
use metsuke_event::Kind;
use metsuke_event::coverage::{Coverage, DetectionReach, Outcome, Tier};

/// The tier is what is attached; the hooks of a trial are told with the others.
pub(crate) fn in_force(coverage: &mut Coverage, guard: &Guard) {
    if guard.tier() == Some(Tier::Lsm) && coverage.tier == Tier::Tracing {
        coverage.tier = Tier::Lsm;
    }
    // The probe only tried what is attached for good here.
    let attached = |hook: &str| guard.trials().iter().any(|trial| trial.hook == hook);
    coverage.hooks.retain(|known| known.tier != Tier::Lsm || !attached(&known.hook));
    coverage.hooks.extend(guard.trials().iter().cloned());
    coverage.hooks.push(crate::gate::trial());
    coverage.hooks.sort_by_key(|trial| trial.tier);
    let sees = metsuke_event::Kind::Denial.name();
    let works = guard.trials().iter().any(|trial| trial.outcome == Outcome::Works);
    if works && !coverage.sees.iter().any(|kind| kind == sees) {
        coverage.sees.push(sees.to_owned());
    }
}

/// Whether each detection of the content can fire, by what is seen.
pub(crate) fn detections(coverage: &mut Coverage, rules: &RuleSet) {
    let seen: Vec<Kind> = coverage.sees.iter().filter_map(|name| Kind::from_name(name)).collect();
    let reach = rules.reach(&|kind| seen.contains(&kind));
    coverage.detections = reach
        .into_iter()
        .map(|one| DetectionReach {
            id: one.detection.id,
            title: one.detection.title,
            can_fire: one.can_fire,
            why: one.why,
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use metsuke_event::Kind;
    use metsuke_event::coverage::{Coverage, Tier};

    use super::detections;
    use crate::edge::Content;

    fn fire(sees: &[Kind]) -> (usize, usize) {
        let mut coverage = Coverage {
            tier: Tier::Tracing,
            hooks: Vec::new(),
            blind: Vec::new(),
            facts: Vec::new(),
            sees: sees.iter().map(|kind| kind.name().to_owned()).collect(),
            detections: Vec::new(),
        };
        detections(&mut coverage, &Content::built_in().rules);
        let able = coverage.detections.iter().filter(|one| one.can_fire).count();
        (able, coverage.detections.len())
    }

    #[test]
    fn all_that_ships_fires_where_everything_is_seen_and_none_where_nothing_is() {
        let (able, all) = fire(Kind::ALL);
        assert!(all > 0);
        assert_eq!(able, all);
        assert_eq!(fire(&[]).0, 0);
        assert!(fire(&[Kind::DnsQuery]).0 < all);
    }
}
