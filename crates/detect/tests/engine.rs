//! Rules and models on small histories: what strikes, when, and why.

use std::sync::Arc;

use metsuke_detect::{Document, Engine, RuleSet, compile};
use metsuke_event::finding::{Alert, Layer, Level};
use metsuke_event::{Event, Kind, Process, Timestamp};

const FILTERS: &str = r"
title: A ran
id: a
level: low
tags: [attack.execution, attack.t1059.004]
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: '/a'}, condition: s}
---
title: B ran
id: b
name: bee
level: medium
tags: [attack.discovery]
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: '/b'}, condition: s}
---
title: C ran
id: c
level: high
tags: [attack.impact]
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: '/c'}, condition: s}
";

fn rules(more: &str) -> Arc<RuleSet> {
    let text = format!("{FILTERS}\n---\n{more}");
    let (rules, refused) = compile([Document { path: "test.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{}", refused[0]);
    rules
}

fn refusal(more: &str) -> &'static str {
    let text = format!("{FILTERS}\n---\n{more}");
    let (_, refused) = compile([Document { path: "test.yml".to_owned(), text }]);
    refused.first().map_or("compiled", |one| one.reason.code())
}

/// `letter@second`, with `/story` after it for another storyline and `!` for an event seen before.
fn history(text: &str) -> Vec<Event> {
    let mut last = 0;
    text.split_whitespace()
        .map(|word| {
            let (word, again) = word.strip_suffix('!').map_or((word, 0), |word| (word, 1));
            let (word, story) = word.split_once('/').unwrap_or((word, "one"));
            let (letter, second) = word.split_once('@').expect("letter@second");
            let mut event = Event::empty(Kind::ProcessExec);
            last += 1 - again;
            event.id.seq = last;
            let seconds: i64 = second.parse().expect("seconds");
            event.time = Timestamp::from_millis(1_000_000_000 + seconds * 1_000);
            event.process = Arc::new(Process {
                uid: Some(format!("p{last}").into()),
                exe: Some(format!("/opt/{letter}").into()),
                cmd_line: Some(format!("{letter} {second}").into()),
                storyline: (story != "none").then(|| story.into()),
                ..Process::default()
            });
            event
        })
        .collect()
}

/// At which events (counted from 1) the rule of the document struck.
fn check_rule(correlation: &str, events: &str, expected: &[usize]) {
    let rule = format!("title: Rule\nid: rule\nlevel: high\ncorrelation: {correlation}");
    let mut engine = Engine::new(rules(&rule));
    let mut struck = Vec::new();
    for (index, event) in (1..).zip(history(events)) {
        for hit in engine.observe(&event).hits {
            assert!(!hit.matched.is_empty());
            if hit.detection.layer == Layer::Rule {
                assert_eq!(hit.matched[0].field, "correlation");
                struck.push(index);
            }
        }
    }
    assert_eq!(struck, expected, "{correlation} on {events}");
}

#[test]
fn counts_events() {
    let rule = "{type: event_count, rules: [a], group-by: [process.storyline], timespan: 10s, condition: {gte: 3}}";
    check_rule(rule, "a@0 a@1 a@2", &[3]);
    check_rule(rule, "a@0 a@1 b@2 c@3", &[]);
    check_rule(rule, "a@0 a@6 a@12 a@13", &[4]);
    check_rule(rule, "a@0 a@1 a@2/two", &[]);
    // One strike per timespan, however long the flood.
    check_rule(rule, "a@0 a@1 a@2 a@3 a@4 a@5 a@9", &[3]);
    check_rule(rule, "a@0 a@1 a@2 a@3 a@4 a@5 a@13", &[3, 7]);
    check_rule(rule, "a@0 a@1 a@2 a@20 a@21 a@22", &[3, 6]);
    // Out of order is found, the same event twice is not counted twice.
    check_rule(rule, "a@5 a@7 a@1", &[3]);
    check_rule(rule, "a@0 a@0! a@0! a@1", &[]);
    // Without a value to group by nothing can be joined.
    check_rule(rule, "a@0/none a@1/none a@2/none", &[]);
}

#[test]
fn counts_values() {
    let rule = "{type: value_count, rules: [a, b], group-by: [process.storyline], timespan: 10s, condition: {field: Image, gte: 2}}";
    check_rule(rule, "a@0 a@1 a@2", &[]);
    check_rule(rule, "a@0 a@1 b@2", &[3]);
}

#[test]
fn joins_in_time() {
    let any = "{type: temporal, rules: [a, bee], group-by: [process.storyline], timespan: 10s}";
    check_rule(any, "a@0 b@5", &[2]);
    check_rule(any, "b@0 a@5", &[2]);
    check_rule(any, "a@0 b@11", &[]);
    check_rule(any, "a@0 b@1/two", &[]);
    let ordered =
        "{type: temporal_ordered, rules: [a, bee], group-by: [process.storyline], timespan: 10s}";
    check_rule(ordered, "a@0 b@5", &[2]);
    check_rule(ordered, "b@0 a@5", &[]);
    check_rule(ordered, "b@5 a@0", &[2]);
    let condition = "{type: temporal, rules: [a, bee, c], group-by: [process.storyline], timespan: 10s, condition: a and (bee or c)}";
    check_rule(condition, "b@0 c@1", &[]);
    check_rule(condition, "c@0 a@1", &[2]);
}

#[test]
fn rules_stand_on_rules() {
    let text = "title: First\nid: first\ncorrelation: {type: event_count, rules: [a], group-by: [process.storyline], timespan: 10s, condition: {gte: 2}}
---
title: Second\nid: second\ncorrelation: {type: temporal, rules: [first, c], group-by: [process.storyline], timespan: 1m}";
    let mut engine = Engine::new(rules(text));
    let mut struck = Vec::new();
    for event in history("a@0 a@1 c@2") {
        struck.extend(engine.observe(&event).hits.into_iter().map(|hit| hit.detection.id));
    }
    assert_eq!(struck, ["a", "a", "first", "c", "second"]);
    assert_eq!(engine.counters().rule_hits, 2);
}

#[test]
fn broken_rules_are_refused() {
    let rule = |correlation: &str| refusal(&format!("title: R\nid: r\ncorrelation: {correlation}"));
    assert_eq!(rule("{type: temporal, rules: [nowhere], timespan: 1m}"), "unknown_reference");
    assert_eq!(rule("{type: temporal, rules: [r], timespan: 1m}"), "cycle");
    assert_eq!(rule("{type: dream, rules: [a], timespan: 1m}"), "correlation_type");
    assert_eq!(rule("{type: temporal, rules: [a], timespan: soon}"), "duration");
    assert_eq!(
        rule("{type: event_count, rules: [a], timespan: 1m, condition: {lt: 1}}"),
        "condition"
    );
    assert_eq!(
        rule("{type: event_count, rules: [a], timespan: 1m, condition: {gte: 99999}}"),
        "too_large"
    );
    assert_eq!(rule("{type: temporal, rules: [a], timespan: 1m, until: b}"), "unknown_key");
    assert_eq!(
        refusal(
            "title: R\nid: a\nlogsource: {product: linux}\ndetection: {s: {F: 1}, condition: s}"
        ),
        "duplicate_id"
    );
    assert_eq!(refusal("title: R\nid: r"), "unknown_kind");
    assert_eq!(
        refusal("title: R\nid: r\nmodel: {timespan: 1h, threshold: 5, detections: {nowhere: 3}}"),
        "unknown_reference"
    );
}

fn alerts(model: &str, events: &str) -> Vec<Alert> {
    let text = format!("title: Model\nid: m\nlevel: high\nmodel: {model}");
    let mut engine = Engine::new(rules(&text));
    history(events).iter().flat_map(|event| engine.observe(event).alerts).collect()
}

#[test]
fn a_model_weighs_a_storyline_and_shows_the_parts() {
    let model = "{timespan: 1h, threshold: 30, weights: {low: 4, medium: 10, high: 22}, breadth: {from: 2, points: 5, limit: 20}, levels: {critical: 40}}";
    assert!(alerts(model, "a@0 b@1").is_empty(), "4 + 10 + 5 is below 30");
    assert!(alerts(model, "a@0 c@1/two").is_empty(), "storylines are apart");
    let found = alerts(model, "a@0 c@1 b@2 b@3/two");
    assert_eq!(found.len(), 2);
    let scores: Vec<_> = found.iter().map(|alert| (alert.revision, alert.score)).collect();
    assert_eq!(scores, [(1, 31), (2, 46)], "22+4+5, then 22+10+4+10");
    assert_eq!(found[0].id, found[1].id);
    assert_eq!(found[0].detection.level, Level::High);
    assert_eq!(found[1].detection.level, Level::Critical);
    let last = &found[1];
    assert_eq!(last.storyline, "one");
    assert_eq!(last.highlights.len(), 3);
    assert!(last.highlights.iter().all(|highlight| !highlight.matched.is_empty()));
    assert_eq!(last.detection.techniques, ["T1059.004"]);
    assert_eq!(last.detection.tactics, ["discovery", "execution", "impact"]);
    let total: f64 = last.parts.iter().map(|part| part.points).sum();
    assert!((total - 46.0).abs() < 1e-9, "{:?}", last.parts);
    assert!(last.parts.iter().all(|part| !part.why.is_empty()));
}

#[test]
fn repetition_is_counted_but_not_scored() {
    let found = alerts("{timespan: 1h, threshold: 20}", "c@0 c@1 c@1! c@2");
    assert_eq!(found.len(), 3, "each process is a highlight of its own");
    assert!(found.iter().all(|alert| alert.score == 25));
}

#[test]
fn what_is_required_must_come_and_in_order() {
    let model = "{timespan: 1h, threshold: 5, require: [{label: b first, detections: [bee]}, {label: then c, tactics: [impact]}], in-order: required}";
    assert!(alerts(model, "b@0 b@1").is_empty());
    assert!(alerts(model, "c@0 b@1").is_empty());
    assert_eq!(alerts(model, "b@0 c@1").len(), 1);
    assert_eq!(alerts(model, "c@0 b@1 c@2").len(), 1);
}

#[test]
fn old_hits_are_let_go_before_an_alert_and_kept_in_one() {
    let model = "{timespan: 1m, threshold: 30}";
    assert!(alerts(model, "c@0 b@100").is_empty(), "too far apart");
    let found = alerts(model, "c@0 b@10 a@500");
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].highlights.len(), 3);
}

#[test]
fn a_flood_of_low_hits_keeps_nothing_of_note_out() {
    let mut words: Vec<String> = (0..300).map(|second| format!("a@{second}")).collect();
    words.push("c@301".to_owned());
    let found = alerts("{timespan: 1h, threshold: 20}", &words.join(" "));
    let last = found.last().expect("an alert");
    assert_eq!(last.highlights.len(), metsuke_detect::bounds::HIGHLIGHTS);
    assert!(last.highlights.iter().any(|one| one.detection.id == "c"));
}

#[test]
fn a_replay_gives_the_same_alerts() {
    let model = "title: Model\nid: m\nlevel: high\nmodel: {timespan: 1h, threshold: 20}";
    let rules = rules(model);
    let events = history("a@0 b@1 c@2 a@3");
    let mut engine = Engine::new(Arc::clone(&rules));
    let first: Vec<_> = events.iter().flat_map(|event| engine.observe(event).alerts).collect();
    assert!(!first.is_empty());
    assert!(events.iter().all(|event| engine.observe(event).alerts.is_empty()), "nothing is new");
    let mut other = Engine::new(rules);
    let again: Vec<_> = events.iter().flat_map(|event| other.observe(event).alerts).collect();
    assert_eq!(first, again);
}
