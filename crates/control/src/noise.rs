//! Which detections are noisy, and why.

use metsuke_catalog::{DetectionStats, Findings};
use metsuke_event::finding::Level;

/// Hits per host and day from which a detection of this level costs more than it tells. Weak signs
/// are meant for rules and models, not for people, so they may strike often.
const fn most_per_host_day(level: Level) -> u64 {
    match level {
        Level::Informational => 1_000,
        Level::Low => 200,
        Level::Medium => 20,
        Level::High | Level::Critical => 5,
    }
}

/// Alerts found wrong or benign from which that says something of the detection.
const FEW: u64 = 3;

/// Why a detection of `level` is noisy; `None` when it is not.
pub fn noisy(level: Level, stats: &DetectionStats) -> Option<String> {
    let Findings { real, benign, wrong } = stats.findings;
    let judged = real + benign + wrong;
    if wrong + benign >= FEW && real * 4 <= judged {
        return Some(format!(
            "{wrong} of {judged} alerts that stand on it were found false and {benign} benign"
        ));
    }
    let host_days = stats.hosts_7d.max(1) * 7;
    let rate = stats.hits_7d / host_days;
    (rate >= most_per_host_day(level)).then(|| {
        format!("{rate} hits per host and day over the last week, on {} hosts", stats.hosts_7d)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detection_is_noisy_by_what_people_found_or_by_its_rate() {
        let check = |level, hits_7d, (real, benign, wrong), expected: &str| {
            let findings = Findings { real, benign, wrong };
            let stats = DetectionStats { hits_7d, hosts_7d: 2, findings, ..Default::default() };
            assert_eq!(noisy(level, &stats).unwrap_or_default(), expected);
        };
        check(Level::High, 0, (0, 0, 0), "");
        check(Level::High, 69, (0, 0, 0), "");
        check(Level::High, 70, (0, 0, 0), "5 hits per host and day over the last week, on 2 hosts");
        check(Level::Low, 70, (0, 0, 0), "");
        check(Level::Low, 0, (0, 0, 2), "");
        check(
            Level::Low,
            0,
            (1, 1, 2),
            "2 of 4 alerts that stand on it were found false and 1 benign",
        );
        check(Level::Low, 0, (3, 1, 2), "");
    }
}
