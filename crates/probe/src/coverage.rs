//! The report of what was tried, what works and what stays unseen.

use metsuke_event::coverage::{BlindSpot, Coverage, HookTrial, Outcome, Tier};

use crate::host;

/// The outcome of trying one hook.
pub(crate) fn hook(tier: Tier, hook: &str, purpose: &str, outcome: Outcome) -> HookTrial {
    HookTrial { tier, hook: hook.to_owned(), purpose: purpose.to_owned(), outcome }
}

/// The whole report.
pub(crate) fn report(tier: Tier, hooks: Vec<HookTrial>, sees: &[&str]) -> Coverage {
    Coverage {
        tier,
        blind: blind(tier, sees),
        hooks,
        facts: host::facts(),
        sees: sees.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn spot(code: &str, activities: &[&str], reason: &str) -> BlindSpot {
    BlindSpot {
        code: code.to_owned(),
        activities: activities.iter().map(|name| (*name).to_owned()).collect(),
        reason: reason.to_owned(),
    }
}

fn blind(_tier: Tier, sees: &[&str]) -> Vec<BlindSpot> {
    let mut spots = Vec::new();
    if !sees.contains(&"process.fork") {
        spots.push(spot(
            "short_lived_processes",
            &["process.exec", "process.exit"],
            "processes are found by reading /proc in rounds: what lives shorter than a round is missed",
        ));
    }
    spots
}
