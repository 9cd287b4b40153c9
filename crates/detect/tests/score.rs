//! What a score is multiplied by: findings, reach, importance, time; and alerts that stand for others.

use std::sync::Arc;

use metsuke_detect::{Document, Engine, Judged, Overlay, Site, compile};
use metsuke_event::finding::Alert;
use metsuke_event::{EndpointId, Event, Kind, Process, Timestamp};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn engine(model: &str, site: Site) -> Engine {
    let filter = |id: &str, level: &str, tactic: &str| {
        format!(
            "title: {id} ran\nid: {id}\nlevel: {level}\ntags: [attack.{tactic}]\n\
             logsource: {{product: linux, category: process_creation}}\n\
             detection: {{s: {{Image: {id}}}, condition: s}}\n---\n"
        )
    };
    let text = format!(
        "{}{}title: M\nid: m\nmodel: {{timespan: 7d, threshold: 10, {model}}}",
        filter("a", "high", "execution"),
        filter("b", "medium", "impact")
    );
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{}", refused[0]);
    let mut engine = Engine::new(rules);
    engine.lay(Overlay::compile(site).0);
    engine
}

fn ran(image: &str, host: u128, second: i64, storyline: &str) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id.seq = u64::try_from(second).expect("positive");
    event.id.endpoint = EndpointId::from_u128(host);
    event.time = Timestamp::from_millis(second * 1_000);
    event.process = Arc::new(Process {
        uid: Some(format!("p{second}").into()),
        exe: Some(image.into()),
        storyline: Some(storyline.into()),
        ..Process::default()
    });
    event
}

/// The alert that the last of these events (image, second, storyline) on host 1 raised or grew.
fn last(engine: &mut Engine, events: &[(&str, i64, &str)]) -> Option<Alert> {
    let mut alerts = Vec::new();
    for (image, second, storyline) in events {
        alerts = engine.observe(&ran(image, 1, *second, storyline)).alerts;
    }
    for alert in &alerts {
        let sum: f64 = alert.parts.iter().map(|part| part.points).sum();
        assert!((sum.clamp(0.0, 99.0) - f64::from(alert.score)).abs() <= 0.5, "{alert:?}");
    }
    alerts.pop()
}

fn findings(true_positive: u32, benign: u32, false_positive: u32) -> Site {
    let judged = Judged { true_positive, benign, false_positive };
    Site { findings: [("a".to_owned(), judged)].into(), ..Site::default() }
}

#[test]
fn past_findings_weigh() {
    let score = |site: Site| {
        let alert = last(&mut engine("levels: {}", site), &[("b", 1, "s"), ("a", 2, "s")]);
        let alert = alert.expect("an alert");
        let part = alert.parts.iter().find(|part| part.detection.as_deref() == Some("a"));
        let part = part.expect("a part");
        (alert.score, part.points, part.why.clone())
    };
    assert_eq!(score(Site::default()), (37, 25.0, "25 for level high".to_owned()));
    assert_eq!(score(findings(9, 0, 0)).0, 37, "right as expected");
    let why = "25 for level high × 0.5 (1 true, 0 benign, 5 false findings)";
    assert_eq!(score(findings(1, 0, 5)), (25, 12.5, why.to_owned()));
    assert_eq!(score(findings(0, 4, 0)).1.to_string(), "18.75");
    assert_eq!(score(findings(0, 0, 4_000)).1.to_string(), "2.5", "never nothing");
    let mut known = Vec::new();
    for wrong in 0..50 {
        known.push(Judged { false_positive: wrong, ..Judged::default() }.confidence());
    }
    assert!(known.is_sorted_by(|left, right| left >= right) && known[0].total_cmp(&1.0).is_eq());
}

#[test]
fn a_host_is_worth_what_the_site_says_within_bounds() {
    let score = |importance: f64| {
        let site =
            Site { importance: [(EndpointId::from_u128(1), importance)].into(), ..Site::default() };
        let breadth = "breadth: {from: 2, points: 6, limit: 30}";
        last(&mut engine(breadth, site), &[("b", 1, "s"), ("a", 2, "s")]).map(|alert| alert.score)
    };
    assert_eq!(score(1.0), Some(43));
    assert_eq!(score(2.0), Some(86));
    assert_eq!(score(900.0), Some(99));
    assert_eq!(score(0.5), Some(22), "half of 43, rounded");
    assert_eq!(score(0.0), Some(11), "a quarter at least");
    assert_eq!(score(f64::NAN), Some(43));
}

#[test]
fn what_has_long_been_common_counts_less() {
    let points = |hosts: u128, days: i64, model: &str| {
        let mut engine = engine(model, Site::default());
        for host in 1..=40 {
            // Every host shows something; so many of them show `a`.
            engine.observe(&ran("b", host, 1, "old"));
            if host <= hosts {
                engine.observe(&ran("a", host, 1, "old"));
            }
        }
        let alert = last(&mut engine, &[("a", days * DAY, "new")]).expect("an alert");
        (alert.parts[0].points, alert.parts[0].why.clone())
    };
    let full = (25.0, "25 for level high".to_owned());
    assert_eq!(points(4, 5, "levels: {}"), full);
    assert_eq!(points(40, 2, "levels: {}"), full, "an outbreak is not common");
    assert_eq!(points(40, 60, "levels: {}"), full, "long ago");
    assert_eq!(points(40, 5, "reach: ignored"), full);
    assert_eq!(points(12, 5, "levels: {}").0.to_string(), "18.75");
    let why = "25 for level high × 0.5 (40 of 40 hosts have long shown it)";
    assert_eq!(points(40, 5, "levels: {}"), (12.5, why.to_owned()));
}

#[test]
fn points_decay_when_the_model_says_so() {
    let why = |model: &str| {
        let mut engine = engine(model, Site::default());
        let alert = last(&mut engine, &[("a", 1, "s"), ("b", 1 + 6 * HOUR, "s")]);
        let alert = alert.expect("an alert");
        (alert.score, alert.parts.iter().map(|part| part.why.clone()).collect::<Vec<_>>())
    };
    assert_eq!(why("levels: {}").0, 37);
    let (score, parts) = why("half-life: 6h");
    assert_eq!(score, 25);
    assert_eq!(
        parts,
        ["25 for level high × 0.5 (360 min ago, half in 360 min)", "12 for level medium"]
    );
}

#[test]
fn an_alert_stands_for_others_like_it() {
    let mut engine = engine("suppress: 24h", Site::default());
    let first = last(&mut engine, &[("a", 1, "s")]).expect("an alert");
    let second = last(&mut engine, &[("a", HOUR, "t")]).expect("the first alert, grown");
    assert_eq!((second.id, second.revision, second.score), (first.id, 2, 25));
    assert_eq!(second.parts[1].label, "1 more storyline like this on the host");
    assert_eq!(last(&mut engine, &[("a", 2 * HOUR, "t")]), None, "a storyline counts once");
    assert_eq!(last(&mut engine, &[("a", 2 * HOUR, "u")]).map(|one| one.id), Some(first.id));
    assert_eq!(last(&mut engine, &[("a", 2 * HOUR, "v")]), None, "told at powers of two");
    assert_eq!(engine.counters().suppressed, 3);
    // More than the first had raises an alert of its own; so does another host, and the next day.
    let more = last(&mut engine, &[("b", 3 * HOUR, "t")]).expect("an alert");
    assert_eq!((more.storyline.as_str(), more.revision, more.score), ("t", 1, 37));
    let other = engine.observe(&ran("a", 2, 3 * HOUR, "w")).alerts;
    assert_eq!(other[0].revision, 1);
    let next_day = last(&mut engine, &[("a", DAY + HOUR, "x")]).expect("an alert");
    assert_eq!((next_day.storyline.as_str(), next_day.revision), ("x", 1));
    // After a restart it still stands for them.
    let rules = Arc::clone(engine.rules());
    let (mut engine, _) = Engine::restore(&rules, &engine.checkpoint()).expect("whole");
    let again = last(&mut engine, &[("a", DAY + 2 * HOUR, "y")]).expect("grown");
    assert_eq!((again.id, again.revision), (next_day.id, 2));
}
