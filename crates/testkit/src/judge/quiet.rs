//! What a run of ordinary work may and may not have raised.

use metsuke_event::Timestamp;
use serde_json::Value;

/// What came of a quiet run.
#[derive(Clone, Debug, Default)]
pub struct Quiet {
    /// What should not have been said: one sentence each.
    pub noise: Vec<String>,
    /// Hits of informational or low level: what a quiet run may have.
    pub low: usize,
}

impl Quiet {
    pub(super) fn judge_hits(&mut self, node: &Value) {
        for hit in node["hits"].as_array().into_iter().flatten() {
            let level = hit["level"].as_str().unwrap_or_default();
            if matches!(level, "informational" | "low") {
                self.low += 1;
            } else {
                self.noise.push(format!("{level} hit {} on {}", hit["title"], node["cmd_line"]));
            }
        }
    }
}

/// Whether any moment of an alert lies from `from` to `to`. An alert without times is taken to.
pub(super) fn touches(alert: &Value, from: Timestamp, to: Timestamp) -> bool {
    let time = |name: &str| alert[name].as_str().and_then(|t| t.parse::<Timestamp>().ok());
    let (first, last) = (time("first"), time("last"));
    first.is_none_or(|first| first <= to) && last.is_none_or(|last| last >= from)
}

#[cfg(test)]
mod tests {
    use super::{Quiet, touches};
    use metsuke_event::Timestamp;
    use serde_json::json;

    #[test]
    fn a_quiet_run_answers_for_all_that_touches_it() {
        let touching =
            |alert| touches(&alert, Timestamp::from_millis(10_000), Timestamp::from_millis(11_000));
        let alert = |first: &str, last: &str| {
            let time = |second: &str| format!("1970-01-01T00:00:{second}Z");
            touching(json!({"first": time(first), "last": time(last)}))
        };
        assert!(alert("10.2", "10.4") && alert("05", "10.5") && alert("10.5", "20"));
        assert!(alert("05", "20"), "around it");
        assert!(!alert("05", "09.9") && !alert("11.1", "20"), "before and after it");
        assert!(touching(json!({})), "an alert without times is no excuse");
    }

    #[test]
    fn hits_from_medium_up_are_noise_and_the_others_counted() {
        let mut quiet = Quiet::default();
        let hit = |level: &str| json!({"level": level, "title": "t"});
        let hits = [hit("low"), hit("informational"), hit("medium"), hit("critical")];
        quiet.judge_hits(&json!({"hits": hits, "cmd_line": "ls"}));
        assert_eq!((quiet.low, quiet.noise.len()), (2, 2), "{quiet:?}");
    }
}
