//! A clock that is far ahead blinds nothing: for every kind of window, one activity a year ahead and
//! then a normal stream, which strikes as it does without.

use std::sync::Arc;

use metsuke_detect::{Document, Engine, compile};
use metsuke_event::finding::Layer;
use metsuke_event::{EndpointId, Event, Kind, Process, Timestamp, ValueRef};

const YEAR: i64 = 365 * 24 * 3_600;

fn engine(more: &str) -> Engine {
    let one = |id: &str| {
        format!(
            "title: {id} ran\nid: {id}\nlevel: high\n\
             logsource: {{product: linux, category: process_creation}}\n\
             detection: {{s: {{Image: {id}}}, condition: s}}\n---\n"
        )
    };
    let text = ["a", "b", "c"].iter().map(|id| one(id)).collect::<String>() + more;
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{more}: {}", refused[0]);
    Engine::new(rules)
}

/// What ran on which host, at which second by its clock and by the server's, if one received it.
#[derive(Clone, Copy)]
struct Ran {
    image: &'static str,
    host: u128,
    second: i64,
    received: Option<i64>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + second * 1_000)
}

fn event(ran: Ran, seq: u64) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id.seq = seq;
    event.id.endpoint = EndpointId::from_u128(ran.host);
    event.time = at(ran.second);
    event.received = ran.received.map(at);
    event.process = Arc::new(Process {
        uid: Some(format!("p{seq}").into()),
        exe: Some(ran.image.into()),
        user_name: Some("root".into()),
        storyline: Some("one".into()),
        ..Process::default()
    });
    event.unmapped.push("V", ValueRef::Text(&format!("{}", seq % 3 + 4)));
    event
}

/// When rules and models struck, by the number of the activity; what `extra` brought about left out.
fn struck(content: &str, stream: &[Ran], extra: Option<(usize, Ran)>) -> Vec<(usize, String)> {
    let mut engine = engine(content);
    let mut struck = Vec::new();
    for (number, ran) in stream.iter().enumerate() {
        if let Some((place, extra)) = extra
            && place == number
        {
            engine.observe(&event(extra, 999));
        }
        let found = engine.observe(&event(*ran, number as u64 + 1));
        let rules = found.hits.iter().filter(|hit| hit.detection.layer == Layer::Rule);
        struck.extend(rules.map(|hit| (number, hit.detection.id.clone())));
        struck.extend(found.alerts.iter().map(|alert| (number, alert.detection.id.clone())));
    }
    struck
}

/// A stream of two hosts as a server receives it, two seconds late.
fn stream(received: bool) -> Vec<Ran> {
    let images = ["a", "b", "a", "a", "c", "b"];
    let one = |number: usize| {
        let second = i64::try_from(number).expect("small") * 3;
        Ran {
            image: images[number % images.len()],
            host: 1 + (number as u128 / 2) % 2,
            second,
            received: received.then_some(second + 2),
        }
    };
    (0..60).map(one).collect()
}

const FLEET: [&str; 9] = [
    "correlation: {type: event_count, rules: [a], timespan: 20s, condition: {gte: 3}}",
    "correlation: {type: value_count, rules: [a, b], timespan: 20s, condition: {field: V, gte: 3}}",
    "correlation: {type: value_sum, rules: [a], timespan: 20s, condition: {field: V, gte: 13}}",
    "correlation: {type: value_avg, rules: [a, b], timespan: 20s, condition: {field: V, gte: 5}}",
    "correlation: {type: value_percentile, rules: [a], timespan: 20s, \
     condition: {field: V, percentile: 50, gte: 5}}",
    "correlation: {type: temporal, rules: [a, c], timespan: 20s}",
    "correlation: {type: temporal_ordered, rules: [a, b, c], timespan: 20s}",
    "correlation: {type: temporal, rules: [a, b, c], timespan: 20s, condition: {gte: 2}}",
    "threshold: {detections: [a, b, c], by: fleet, within: 20s, count: 5, distinct: {V: 2}}",
];

const OF_HOST: [&str; 5] = [
    "threshold: {detections: [a, b, c], by: host, within: 20s, count: 3}",
    "sequence: {by: user, within: 20s, steps: [{detections: [a]}, {detections: [c]}]}",
    "sequence: {by: host, within: 5s, steps: [{detections: [a]}, {absent: [c], within: 20s}]}",
    "first-seen: {detections: [a, b, c], value: [V, Image], within: 10s, learning: 5s}",
    "model: {timespan: 20s, threshold: 60, suppress: 10s}",
];

fn content(body: &str) -> String {
    format!("title: R\nid: rule\nlevel: high\n{body}")
}

#[test]
fn windows_of_all_kinds_outlast_a_clock_that_is_a_year_ahead() {
    let stream = stream(true);
    for body in FLEET.iter().chain(&OF_HOST) {
        let content = content(body);
        let without = struck(&content, &stream, None);
        assert!(without.iter().any(|(number, _)| *number > 10), "{body}: {without:?}");
        // On a host of its own, on one of the two, of what strikes and of what does not.
        for (image, host) in [("a", 3), ("c", 3), ("a", 1), ("b", 1)] {
            let ahead = |second| {
                let extra = Ran { image, host, second, received: Some(14) };
                struck(&content, &stream, Some((5, extra)))
            };
            let with = ahead(YEAR);
            assert_eq!(with, ahead(14 + 60), "{body}, {image} on {host}");
            let late = |all: &[(usize, String)]| all.iter().any(|(number, _)| *number > 45);
            assert_eq!(late(&with), late(&without), "{body}, {image} on {host}: {with:?}");
        }
    }
}

#[test]
fn without_a_server_one_host_does_not_end_what_others_do() {
    let stream = stream(false);
    for body in FLEET {
        let content = content(body);
        let without = struck(&content, &stream, None);
        for image in ["a", "b", "c"] {
            let extra = Ran { image, host: 3, second: YEAR, received: None };
            assert_eq!(struck(&content, &stream, Some((5, extra))), without, "{body}, {image}");
        }
    }
}

#[test]
fn a_host_that_is_always_ahead_takes_part() {
    let rule = content("correlation: {type: temporal_ordered, rules: [a, b], timespan: 20s}");
    let ran = |image, host, second, received| Ran { image, host, second, received };
    let stream = [ran("a", 1, 0, Some(1)), ran("b", 2, 7_200, Some(3))];
    assert!(struck(&rule, &stream, None).is_empty(), "by a minute at most, which is more than 20s");
    let rule = content("correlation: {type: temporal_ordered, rules: [a, b], timespan: 2m}");
    assert_eq!(struck(&rule, &stream, None).len(), 1);
    // Its hit says its own time, for there its activity is found.
    let mut engine = engine(&rule);
    let hits = engine.observe(&event(stream[1], 1)).hits;
    assert_eq!(hits[0].time, at(7_200));
}
