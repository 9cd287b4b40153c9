//! Sigma filter documents: what they narrow, which way round, and what is refused.

use metsuke_detect::{Document, Engine, compile};
use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, ValueRef};

const RULES: &str = "
title: One
id: one
name: first
logsource: {product: test, category: process_creation}
detection: {s: {F: a}, condition: s}
---
title: Two
id: two
logsource: {product: test}
detection: {s: {F: a}, condition: s}
---
title: Counted
id: counted
correlation: {type: event_count, rules: [one], timespan: 1m, condition: {gte: 2}}
";

fn document(text: String) -> Document {
    Document { path: "f.yml".to_owned(), text }
}

/// The ids that strike on an event with `F: a` and these fields.
fn struck(filter: &str, fields: &[(&str, &str)]) -> Vec<String> {
    let (rules, refused) = compile([document(RULES.to_owned()), document(filter.to_owned())]);
    assert!(refused.is_empty(), "{filter}: {}", refused[0]);
    assert_eq!(rules.narrowings(), 1);
    let mut event = Event::empty(Kind::SensorHealth);
    for (name, value) in fields.iter().chain(&[("F", "a")]) {
        event.unmapped.push(name, ValueRef::Text(value));
    }
    let category = Some("process_creation");
    let source = LogSource { product: Some("test"), category, service: None };
    let hits = Engine::new(rules).filters_only_as(&event, &[source]);
    hits.into_iter().map(|hit| hit.detection.id).collect()
}

fn filter(source: &str, body: &str) -> String {
    format!("title: Admins\nid: admins\nlogsource: {{{source}}}\nfilter: {{{body}}}\n")
}

#[test]
fn both_ways_of_writing_suppress() {
    let (admin, other) = (&[("User", "adm_x")][..], &[("User", "mallory")][..]);
    for condition in ["selection", "not selection", "not 1 of sel*", "not selection and not more"] {
        let body = format!(
            "rules: [first], selection: {{User|startswith: adm_}}, more: {{G: g}}, condition: {condition}"
        );
        let text = filter("product: test, category: process_creation", &body);
        assert_eq!(struck(&text, admin), ["two"], "{condition}");
        assert_eq!(struck(&text, other), ["one", "two"], "{condition}");
    }
    let unless = "rules: [one], s: {User|startswith: adm_}, m: {G: g}, condition: s and not m";
    let text = filter("product: test", unless);
    assert_eq!(struck(&text, admin), ["two"]);
    assert_eq!(struck(&text, &[("User", "adm_x"), ("G", "g")]), ["one", "two"]);
}

#[test]
fn any_is_every_filter_of_the_log_source() {
    let body = "rules: any, selection: {User: x}, condition: selection";
    let user = &[("User", "x")][..];
    assert!(struck(&filter("product: test", body), user).is_empty());
    let narrow = filter("product: test, category: process_creation", body);
    assert_eq!(struck(&narrow, user), ["two"], "two asks for any category");
    assert_eq!(struck(&filter("product: other", body), user), ["one", "two"]);
    let (rules, _) = compile([document(RULES.to_owned()), document(narrow)]);
    let by: Vec<_> = rules.filters().map(|meta| meta.narrowed_by.join(",")).collect();
    assert_eq!(by, ["admins", ""]);
}

#[test]
fn what_cannot_narrow_is_refused_whole() {
    let check = |source: &str, body: &str, code: &str| {
        let text = filter(source, body);
        let (rules, refused) = compile([document(RULES.to_owned()), document(text)]);
        assert_eq!(refused.len(), 1, "{body}");
        assert_eq!(refused[0].reason.code(), code, "{}", refused[0]);
        assert!(refused[0].position.is_some());
        assert!(rules.filters().all(|meta| meta.narrowed_by.is_empty()));
    };
    let test = "product: test";
    check(test, "rules: [one, nowhere], s: {F: a}, condition: s", "unknown_reference");
    check(test, "rules: [one, counted], s: {F: a}, condition: s", "not_a_filter");
    let process = "product: test, category: process_creation";
    check(process, "rules: [one, two], s: {F: a}, condition: s", "other_source");
    check(test, "s: {F: a}, condition: s", "missing");
    check(test, "rules: [], s: {F: a}, condition: s", "missing");
    check(test, "rules: [one], s: {F: a}", "missing");
    check(test, "rules: [one], s: {F|nonsense: a}, condition: s", "unknown_modifier");
    check("product: other", "rules: any, s: {F: a}, condition: t", "condition");
}
