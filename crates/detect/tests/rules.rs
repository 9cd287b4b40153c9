//! Correlations and rules of our own on small histories: what strikes, and when.

use std::sync::Arc;

use metsuke_detect::{Document, Engine, compile};
use metsuke_event::finding::Layer;
use metsuke_event::{EndpointId, Event, Kind, Process, Timestamp, ValueRef};

/// One filter for each letter, and `ab`, which strikes for `a` and for `b`.
fn filters() -> String {
    let one = |id: &str, images: &str| {
        format!(
            "title: {id} ran\nid: id-{id}\nname: {id}\nlevel: low\n\
             logsource: {{product: linux, category: process_creation}}\n\
             detection: {{s: {{Image: [{images}]}}, condition: s}}\n---\n"
        )
    };
    let letters = ["a", "b", "c", "d", "x"];
    letters.iter().map(|id| one(id, id)).chain([one("ab", "a, b")]).collect()
}

/// An event: `letter@second` and then any of `/storyline`, `=value` (field `V`), `%host`,
/// `#process`, `^parent`, `!` (the event before once more).
fn event(word: &str, seq: &mut u64) -> Event {
    let signs = ['/', '=', '%', '#', '^', '!'];
    let part = |sign: char| {
        let rest = &word[word.find(sign)? + 1..];
        Some(&rest[..rest.find(signs).unwrap_or(rest.len())])
    };
    let (letter, rest) = word.split_once('@').expect("letter@second");
    let second: i64 = rest[..rest.find(signs).unwrap_or(rest.len())].parse().expect("second");
    let mut event = Event::empty(Kind::ProcessExec);
    *seq += u64::from(part('!').is_none());
    event.id.seq = *seq;
    event.id.endpoint =
        EndpointId::from_u128(part('%').map_or(1, |host| host.parse().expect("host")));
    event.time = Timestamp::from_millis(1_000_000_000 + second * 1_000);
    event.process = Arc::new(Process {
        uid: Some(part('#').map_or_else(|| format!("p{seq}"), str::to_owned).into()),
        parent_uid: part('^').map(Into::into),
        exe: Some(letter.into()),
        user_name: Some("root".into()),
        storyline: Some(part('/').unwrap_or("one").into()),
        ..Process::default()
    });
    if let Some(value) = part('=') {
        event.unmapped.push("V", ValueRef::Text(value));
        event.unmapped.push("W", ValueRef::Text(&value.to_uppercase()));
    }
    event
}

/// At which events (counted from 1) the rule struck.
fn check(rule: &str, events: &str, expected: &[usize]) {
    let text = format!("{}title: Rule\nid: rule\nlevel: high\n{rule}", filters());
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{rule}: {}", refused[0]);
    let mut engine = Engine::new(rules);
    let mut seq = 0;
    let mut struck = Vec::new();
    for (index, word) in (1..).zip(events.split_whitespace()) {
        let found = engine.observe(&event(word, &mut seq));
        for hit in found.hits.iter().filter(|hit| hit.detection.layer == Layer::Rule) {
            assert!(!hit.matched.is_empty() && !hit.matched[0].clause.is_empty());
            struck.push(index);
        }
    }
    assert_eq!(struck, expected, "{rule} on {events}");
}

fn correlation(body: &str) -> String {
    format!("correlation: {{timespan: 10s, group-by: [process.storyline], {body}}}")
}

#[test]
fn ranges_of_counts() {
    let count =
        |range: &str| correlation(&format!("type: event_count, rules: [a], condition: {range}"));
    check(&count("{gt: 1, lte: 3}"), "a@0 a@1 a@2 a@3", &[2]);
    check(&count("{eq: 2}"), "a@0 a@1 a@2", &[2]);
    check(&count("{gte: 2, neq: 2}"), "a@0 a@1 a@2", &[3]);
    check(&count("{lt: 3}"), "a@0 a@1 a@2 a@15", &[1, 4]);
    check(&count("{gte: 2}"), "a@0 a@0! a@1", &[3]);
}

#[test]
fn one_event_of_two_rules_counts_once() {
    let rule = correlation("type: event_count, rules: [a, ab], condition: {gte: 2}");
    check(&rule, "a@0 a@1", &[2]);
    check(&rule, "a@0 b@20", &[]);
}

#[test]
fn values_of_several_fields_and_numbers() {
    let values = correlation("type: value_count, rules: [a], condition: {field: [V, W], gte: 2}");
    check(&values, "a@0=x a@1=x a@2 a@3=y", &[4]);
    let number = |kind: &str, range: &str| {
        correlation(&format!("type: {kind}, rules: [a], condition: {{field: V, {range}}}"))
    };
    check(&number("value_sum", "gte: 10"), "a@0=4 a@1=5.5 a@2=none a@3=0.5", &[4]);
    check(&number("value_sum", "gte: 10"), "a@0=4 a@11=6 a@12=3 a@13=1", &[4]);
    check(&number("value_avg", "gt: 3, lt: 5"), "a@0=1 a@1=2 a@2=8 a@3=8", &[3]);
    check(&number("value_median", "gte: 5"), "a@0=1 a@1=9 a@2=9", &[3]);
    check(&number("value_percentile", "percentile: 90, gte: 5"), "a@0=1 a@1=2 a@2=7", &[3]);
    check(&number("value_percentile", "percentile: 10, gte: 2"), "a@0=1 a@1=2 a@2=7", &[]);
}

#[test]
fn references_counted_and_aliases() {
    let several = correlation("type: temporal, rules: [a, b, c], condition: {gte: 2, lt: 3}");
    check(&several, "a@0 a@1 c@2 b@3", &[3]);
    let alias = "correlation: {type: temporal, rules: [a, b], timespan: 10s, group-by: [who], \
                 aliases: {who: {a: V, id-b: Image}}}";
    check(alias, "a@0=b b@1", &[2]);
    check(alias, "a@0=c b@1", &[]);
    let all = "correlation: {type: event_count, rules: [a], timespan: 10s, condition: {gte: 2}}";
    check(all, "a@0/one%1 a@1/two%2", &[2]);
}

#[test]
fn rules_may_keep_what_they_stand_on() {
    let ids = |generate: &str| {
        let rule =
            correlation(&format!("type: event_count, rules: [a], condition: {{gte: 2}}{generate}"));
        let text = format!("{}title: Rule\nid: rule\n{rule}", filters());
        let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
        assert!(refused.is_empty(), "{}", refused[0]);
        let mut engine = Engine::new(rules);
        let mut seq = 0;
        let events = ["a@0", "b@1", "a@2"].map(|word| event(word, &mut seq));
        let hits = events.iter().flat_map(|event| engine.observe(event).hits);
        hits.map(|hit| hit.detection.id).filter(|id| id != "id-ab").collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(""), "id-a id-b id-a rule");
    assert_eq!(ids(", generate: true"), "id-a id-b id-a rule");
    assert_eq!(ids(", generate: false"), "id-b rule");
}

fn sequence(body: &str) -> String {
    format!("sequence: {{within: 10s, {body}}}")
}

#[test]
fn steps_in_order() {
    let two = sequence("steps: [{detections: [a]}, {detections: [b, c]}]");
    check(&two, "a@0 b@5", &[2]);
    check(&two, "a@0 c@10", &[2]);
    check(&two, "a@0 c@11", &[]);
    check(&two, "b@0 a@5", &[]);
    check(&two, "b@5 a@0", &[2]);
    check(&two, "a@0 b@1/two", &[]);
    check(&two, "a@0 b@1 b@2 b@10 a@12 b@13", &[2, 6]);
    let again = sequence("steps: [{detections: [a]}, {detections: [a]}, {detections: [a]}]");
    check(&again, "a@0 a@1 a@1! a@2", &[4]);
    let both = sequence("steps: [{detections: [a]}, {detections: [ab]}]");
    check(&both, "a@0 b@1", &[2]);
    check(&both, "a@0", &[]);
}

#[test]
fn absence_until_and_time_between() {
    let absent = sequence("steps: [{detections: [a]}, {absent: [x]}, {detections: [b]}]");
    check(&absent, "a@0 b@2", &[2]);
    check(&absent, "a@0 x@1 b@2", &[]);
    check(&absent, "a@0 x@1 a@2 b@3", &[4]);
    check(&absent, "x@0 a@1 b@2 x@3", &[3]);
    let until =
        sequence("steps: [{detections: [a]}, {detections: [b]}, {detections: [c]}], until: [x]");
    check(&until, "a@0 b@1 c@2", &[3]);
    check(&until, "a@0 x@1 b@1 c@2", &[]);
    check(&until, "a@0 b@1 x@2 c@2", &[]);
    check(&until, "a@0 x@1 a@2 b@3 c@4", &[5]);
    let soon =
        sequence("steps: [{detections: [a]}, {detections: [b], within: 2s}, {detections: [c]}]");
    check(&soon, "a@0 b@2 c@9", &[3]);
    check(&soon, "a@0 b@3 c@9", &[]);
    check(&soon, "a@0 a@2 b@3 c@9", &[4]);
}

#[test]
fn kinship_of_processes() {
    let kin = |what: &str| {
        sequence(&format!(
            "by: host, steps: [{{detections: [a]}}, {{detections: [b], process: {what}}}]"
        ))
    };
    for (what, own, child, grandchild, stranger) in [
        ("same", true, false, false, false),
        ("child", false, true, false, false),
        ("descendant", false, true, true, false),
    ] {
        let on = |second: &str, found: bool| {
            // d is no step; it tells who is whose parent.
            let events = format!("a@0#p d@1#q^p {second}");
            check(&kin(what), &events, if found { &[3] } else { &[] });
        };
        on("b@2#p", own);
        on("b@2#q^p", child);
        on("b@2#r^q", grandchild);
        on("b@2#s^t", stranger);
    }
    check(&kin("parent"), "a@0#q^p b@1#p", &[2]);
    check(&kin("ancestor"), "d@0#q^p a@1#r^q b@2#p", &[3]);
    check(&kin("ancestor"), "d@0#q^p a@1#r^q b@2#t", &[]);
}

#[test]
fn what_is_new() {
    let new = "first-seen: {detections: [a], value: V, within: 100s, learning: 10s}";
    check(new, "a@0=x a@9=y a@10=z a@11=z a@12=y", &[3]);
    check(new, "a@0=x a@20=x a@120=x a@221=x", &[4]);
    check(new, "a@0=x a@20=x%2 a@30=y%2 a@31=x", &[3]);
    check(new, "a@0=x a@20 a@21", &[]);
    let fleet =
        "first-seen: {detections: [a], value: [V, W], by: fleet, within: 100s, learning: 0s}";
    check(fleet, "a@0=x a@1=x%2 a@2=y%2 a@3=Y", &[1, 3, 4]);
}

#[test]
fn hits_and_values_together() {
    let rule = "threshold: {detections: [a, b], by: host, within: 10s, count: 3, distinct: {V: 2}}";
    check(rule, "a@0=x a@1=x a@2=x b@3=y", &[4]);
    check(rule, "a@0=x b@1=y", &[]);
    check(rule, "a@0=x/one b@1=y/two a@2/three", &[3]);
    check(rule, "a@0=x%2 b@1=y a@2=z", &[]);
}

#[test]
fn broken_rules_are_refused_at_the_word() {
    // The place is that of the last `word` in the rule.
    let refusal = |rule: &str, code: &str, word: &str| {
        let text = format!("{}title: R\nid: r\n{rule}\n", filters());
        let line = text.matches('\n').count();
        let column = rule.rfind(word).expect("the word stands in the rule") + 1;
        let (_, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
        assert_eq!(refused.len(), 1, "{rule}");
        let place = refused[0].position.map(|at| (at.line, at.column));
        assert_eq!((refused[0].reason.code(), place), (code, Some((line, column))), "{rule}");
    };
    let correlation = |body: &str| format!("correlation: {{timespan: 1m, {body}}}");
    refusal(&correlation("rules: [a], type: dream"), "correlation_type", "dream");
    refusal(&correlation("rules: [a, no], type: temporal"), "unknown_reference", "no");
    refusal(&correlation("rules: [r], type: temporal"), "cycle", "r]");
    refusal(&correlation("rules: [a], type: temporal, until: b"), "unknown_key", "until");
    refusal(&correlation("rules: [a], type: event_count"), "missing", "correlation");
    let count = |range: &str| {
        correlation(&format!("rules: [a], type: event_count, condition: {{{range}}}"))
    };
    refusal(&count("gte: 0"), "condition", "condition");
    refusal(&count("gt: 3, lt: 4"), "condition", "condition");
    refusal(&count("gte: 9999"), "too_large", "condition");
    refusal(&count("gte: many"), "wrong_type", "many");
    refusal(&count("gte: 1.5"), "wrong_type", "1.5");
    refusal(&correlation("rules: [a, b], type: temporal, condition: a and no"), "condition", "no");
    let alias = "rules: [a, b], type: temporal, group-by: [w], aliases: {w: {a: V}}";
    refusal(&correlation(alias), "alias", "a, b");
    let sequence = |steps: &str| format!("sequence: {{within: 1m, steps: {steps}}}");
    refusal(&sequence("[{detections: [a]}]"), "condition", "[{");
    refusal(&sequence("[{absent: [x]}, {detections: [a]}]"), "condition", "{absent");
    refusal(&sequence("[{detections: [a]}, {absent: [x]}]"), "condition", "{absent");
    refusal(
        &sequence("[{detections: [a], within: 1s}, {detections: [b]}]"),
        "condition",
        "{detections: [a]",
    );
    refusal(
        &sequence("[{detections: [a]}, {detections: [b], process: aunt}]"),
        "wrong_type",
        "aunt",
    );
    refusal("sequence: {steps: []}", "missing", "sequence");
    refusal("first-seen: {detections: [a], value: V}", "missing", "first-seen");
    refusal("first-seen: {detections: [a], within: 1d, value: []}", "wrong_type", "value");
    refusal("first-seen: {detections: [a], within: soon, value: V}", "duration", "soon");
    refusal("threshold: {detections: [a], within: 1d}", "missing", "threshold");
    refusal("threshold: {detections: [a], within: 1d, by: zoo, count: 3}", "wrong_type", "zoo");
}
