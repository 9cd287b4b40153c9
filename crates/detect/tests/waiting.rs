//! Sequences that end with what must not come, and rules that strike at sightings of indicators.

use std::sync::Arc;

use metsuke_detect::{
    Document, Ends, Engine, Exception, Overlay, Response, RuleSet, Sighted, Site, compile,
};
use metsuke_event::finding::Layer;
use metsuke_event::{EndpointId, Event, Kind, Process, Timestamp};

fn content(more: &str) -> (Arc<RuleSet>, Vec<&'static str>) {
    let one = |id: &str| {
        format!(
            "title: {id} ran\nid: {id}\nlevel: low\n\
             logsource: {{product: linux, category: process_creation}}\n\
             detection: {{s: {{Image: {id}}}, condition: s}}\n---\n"
        )
    };
    let text = ["a", "b", "c", "x"].iter().map(|id| one(id)).collect::<String>() + more;
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    (rules, refused.iter().map(|one| one.reason.code()).collect())
}

fn engine(more: &str) -> Engine {
    let (rules, refused) = content(more);
    assert!(refused.is_empty(), "{refused:?}");
    Engine::new(rules)
}

fn sequence(body: &str) -> String {
    format!("title: S\nid: s\nlevel: high\nsequence: {{{body}}}")
}

/// `letter@second`, with `%host` and `/storyline` after it.
fn event(word: &str, seq: u64) -> Event {
    let (word, storyline) = word.split_once('/').unwrap_or((word, "one"));
    let (word, host) = word.split_once('%').unwrap_or((word, "1"));
    let (letter, second) = word.split_once('@').expect("letter@second");
    let mut event = Event::empty(Kind::ProcessExec);
    event.id.seq = seq;
    event.id.endpoint = EndpointId::from_u128(host.parse().expect("host"));
    event.time = at(second.parse().expect("second"));
    event.process = Arc::new(Process {
        uid: Some(format!("p{seq}").into()),
        exe: Some(letter.into()),
        user_name: Some("root".into()),
        storyline: Some(storyline.into()),
        ..Process::default()
    });
    event
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + second * 1_000)
}

/// At which words the rule struck and for which second; a number is a time told to the engine.
fn strikes(engine: &mut Engine, words: &str) -> Vec<(String, i64)> {
    let mut struck = Vec::new();
    for (seq, word) in (1..).zip(words.split_whitespace()) {
        let found = match word.parse() {
            Ok(second) => engine.advance(at(second)),
            Err(_) => engine.observe(&event(word, seq)),
        };
        let rules = found.hits.iter().filter(|hit| hit.detection.layer == Layer::Rule);
        struck.extend(rules.map(|hit| {
            let second = hit.time.nanos_since(at(0)) / 1_000_000_000;
            (word.to_owned(), second)
        }));
    }
    struck
}

const SILENT: &str = "within: 1m, steps: [{detections: [a]}, {detections: [b]}, \
                      {absent: [c], within: 10s}]";

#[test]
fn what_does_not_come_strikes_when_its_time_is_over() {
    let check = |words: &str, expected: &[(&str, i64)]| {
        let struck = strikes(&mut engine(&sequence(SILENT)), words);
        let expected: Vec<_> =
            expected.iter().map(|(word, second)| ((*word).to_owned(), *second)).collect();
        assert_eq!(struck, expected, "{words}");
    };
    check("a@0 b@5 x@74 x@75 x@76", &[("x@76", 15)]);
    check("a@0 b@5 75 76 77", &[("76", 15)]);
    check("a@0 b@5 c@15 99", &[]);
    check("a@0 b@5 c@16 99", &[("99", 15)]);
    // Late, but before it is judged; and before the step, where it ends nothing.
    check("a@0 b@5 x@60 c@14 99", &[]);
    check("a@0 c@3 b@5 99", &[("99", 15)]);
    check("a@0 b@5 c@9/other 99", &[("99", 15)]);
    // What must not come was there when the last step came, late.
    check("a@0 c@8 b@5 99", &[]);
    // Only what the endpoint itself says lets its time pass.
    check("a@0 b@5 x@99%2", &[]);
    // Once in the timespan; what was ended may be armed again.
    check("a@0 b@5 a@6 b@7 99", &[("99", 15)]);
    check("a@0 b@5 c@6 a@10 b@11 99", &[("99", 21)]);
    check("a@0 b@5 c@6", &[]);
}

#[test]
fn each_endpoint_has_a_time_of_its_own_and_the_end_of_all_judges_what_is_known() {
    let armed = || {
        let mut engine = engine(&sequence(SILENT));
        assert_eq!(engine.waiting(), 0);
        assert_eq!(strikes(&mut engine, "a@0 b@5 a@0%2/two b@5%2/two").len(), 0);
        assert_eq!(engine.waiting(), 2);
        engine
    };
    let of = |found: &metsuke_detect::Findings| -> Vec<u128> {
        found.hits.iter().map(|hit| hit.event.endpoint.as_u128()).collect()
    };
    let mut each = armed();
    let second = EndpointId::from_u128(2);
    let found = each.advance_each(|endpoint| (endpoint == second).then(|| at(76)));
    assert_eq!((of(&found), each.waiting()), (vec![2], 1));
    assert_eq!(of(&each.advance_each(|_| Some(at(75)))), [], "its minute is not over");
    assert_eq!((of(&each.advance_each(|_| Some(at(76)))), each.waiting()), (vec![1], 0));
    assert_eq!(of(&armed().close(at(15))), [], "what must not come may have come then");
    assert_eq!(of(&armed().close(at(16))), [1, 2]);
    // Records of the first end with its last step, those of the second go on.
    let mut ends = Ends::default();
    let mut until = armed();
    for (endpoint, second) in [(1, 5), (2, 16)] {
        ends.note(&event(&format!("x@{second}%{endpoint}"), 9));
    }
    assert_eq!(of(&until.close_each(&ends)), [2]);
    assert_eq!(until.waiting(), 1, "of the first, nobody knows");
}

#[test]
fn one_step_and_silence_and_what_else_ends_it() {
    let body = "by: host, within: 1m, until: [x], steps: [{detections: [a]}, \
                {absent: [c], within: 10s}]";
    assert_eq!(strikes(&mut engine(&sequence(body)), "a@0 99").len(), 1);
    assert_eq!(strikes(&mut engine(&sequence(body)), "a@0 x@4 99").len(), 0);
    assert_eq!(strikes(&mut engine(&sequence(body)), "a@0 c@4%2 99").len(), 1);
}

#[test]
fn models_weigh_it_and_exceptions_hide_it() {
    let model = "\n---\ntitle: M\nid: m\nmodel: {timespan: 1h, threshold: 25}";
    let text = sequence(SILENT) + model;
    let mut plain = engine(&text);
    assert_eq!(strikes(&mut plain, "a@0 b@5").len(), 0);
    let found = plain.advance(at(99));
    assert_eq!(found.alerts.len(), 1, "{found:?}");
    assert_eq!(found.alerts[0].highlights.len(), 3);
    assert_eq!((plain.counters().rule_hits, plain.counters().alerts), (1, 1));
    let mut hidden = engine(&text);
    let exception = Exception {
        id: "e".to_owned(),
        detections: vec!["s".to_owned()],
        condition: "User: root".to_owned(),
        ..Exception::default()
    };
    let site = Site { exceptions: vec![exception], ..Site::default() };
    hidden.lay(Overlay::compile(site).0);
    assert_eq!(strikes(&mut hidden, "a@0 b@5").len(), 0);
    assert_eq!(hidden.counters().excepted, 0, "not yet");
    let found = hidden.advance(at(99));
    assert_eq!(found.hits[0].excepted.as_deref(), Some("e"));
    assert!(found.alerts.is_empty() && hidden.counters().excepted == 1);
}

#[test]
fn silence_that_cannot_be_known_is_refused() {
    let code = |body: &str| content(&sequence(body)).1;
    let steps = |last: &str| code(&format!("within: 1m, steps: [{{detections: [a]}}, {last}]"));
    assert_eq!(steps("{absent: [c]}"), ["condition"]);
    assert_eq!(steps("{absent: [c], within: soon}"), ["duration"]);
    assert_eq!(
        code(
            "within: 1m, steps: [{detections: [a]}, {absent: [c], within: 1s}, {detections: [b]}]"
        ),
        ["unknown_key"]
    );
    let on_it = format!(
        "{}\n---\ntitle: On\nid: on\nthreshold: {{detections: [s], within: 1h, count: 2}}",
        sequence(SILENT)
    );
    assert_eq!(content(&on_it).1, ["waits"]);
}

fn sighted(kind: &str, list: &str, confidence: u8) -> Sighted {
    Sighted {
        kind: kind.to_owned(),
        value: "bad.example".to_owned(),
        field: "query.hostname".to_owned(),
        list: list.to_owned(),
        source: "ours".to_owned(),
        confidence,
    }
}

#[test]
fn a_sighting_that_is_asked_for_strikes() {
    let rule = "title: I\nid: i\nlevel: high\nindicator-match: {kinds: [domain], lists: block, \
                confidence: 70}\n---\ntitle: T\nid: t\nlevel: high\n\
                sequence: {within: 1m, steps: [{detections: [i]}, {detections: [a]}]}\n---\n\
                title: M\nid: m\nmodel: {timespan: 1h, threshold: 25}";
    let mut engine = engine(rule);
    let mut hits = |sightings: &[Sighted]| {
        let found = engine.observe_sighted(&event("z@1", 1), None, sightings);
        (found.hits.len(), found.alerts.len())
    };
    assert_eq!(hits(&[]), (0, 0));
    assert_eq!(hits(&[sighted("sha256", "block", 90)]), (0, 0));
    assert_eq!(hits(&[sighted("domain", "watch", 90)]), (0, 0));
    assert_eq!(hits(&[sighted("domain", "allow", 90)]), (0, 0));
    assert_eq!(hits(&[sighted("domain", "block", 69)]), (0, 0));
    assert_eq!(hits(&[sighted("sha256", "block", 90), sighted("domain", "block", 70)]), (1, 1));
    let second = engine.observe(&event("a@2", 2));
    let ids: Vec<&str> = second.hits.iter().map(|hit| hit.detection.id.as_str()).collect();
    assert_eq!(ids, ["a", "t"], "rules stand on it");
    let found = engine.observe_sighted(&event("z@3", 3), None, &[sighted("domain", "block", 99)]);
    let why = &found.hits[0].matched[0];
    assert_eq!((why.field.as_str(), why.value.as_str()), ("query.hostname", "bad.example"));
    assert_eq!(why.clause, "indicator-match: domain of list block, ours, confidence 99");
}

#[test]
fn what_a_detection_calls_for_and_needs_is_said() {
    let with = |more: &str| {
        content(&format!("{more}\ntitle: I\nid: i\nlevel: high\nindicator-match: {{}}"))
    };
    let (rules, refused) = with(
        "needs: [process.exec, dns.query]\nresponses: {detect: [dump], block: [terminate, isolate]}",
    );
    assert!(refused.is_empty(), "{refused:?}");
    let meta = rules.rules().next().expect("a rule");
    assert_eq!(meta.needs, [Kind::ProcessExec, Kind::DnsQuery]);
    assert_eq!(meta.responses.detect, [Response::Dump]);
    assert_eq!(meta.responses.block, [Response::Terminate, Response::Isolate]);
    let reach = |sees: &[Kind]| {
        let reach = rules.reach(&|kind| sees.contains(&kind));
        let of_rule = reach.into_iter().find(|one| one.detection.id == "i").expect("reach");
        (of_rule.can_fire, of_rule.why)
    };
    assert!(reach(&[Kind::ProcessExec, Kind::DnsQuery]).0);
    assert_eq!(reach(&[Kind::ProcessExec]), (false, "needs dns.query, not seen here".to_owned()));
    assert_eq!(with("needs: [telepathy]").1, ["unknown_key"]);
    assert_eq!(with("responses: {detect: [terminate]}").1, ["wrong_type"]);
    assert_eq!(with("responses: {block: [explode]}").1, ["unknown_key"]);
    assert_eq!(with("responses: {always: [dump]}").1, ["unknown_key"]);
}
