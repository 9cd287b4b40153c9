//! Sigma's searches on single events: what each notation matches, and what is refused and why.

use metsuke_detect::{Document, Engine, Options, compile_with};
use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, ValueRef};

const SOURCE: LogSource<'static> =
    LogSource { product: Some("test"), category: None, service: None };

fn options() -> Options {
    let values = ["dc1", "srv*"].map(str::to_owned).to_vec();
    Options { placeholders: [("Servers".to_owned(), values)].into() }
}

fn rule(detection: &str, more: &str) -> Document {
    let text = format!(
        "title: T\nid: t\nlogsource: {{product: test}}\n{more}detection: {{{detection}}}\n"
    );
    Document { path: "t.yml".to_owned(), text }
}

/// Whether the searches (`condition` and all) match an event of these fields.
fn fires(detection: &str, fields: &[(&str, &str)]) -> bool {
    let (rules, refused) = compile_with([rule(detection, "")], options());
    assert!(refused.is_empty(), "{detection}: {}", refused[0]);
    let mut event = Event::empty(Kind::SensorHealth);
    for (name, value) in fields {
        event.unmapped.push(name, ValueRef::Text(value));
    }
    let hits = Engine::new(rules).filters_only_as(&event, &[SOURCE]);
    hits.len() == 1
}

/// Checks one search `s`, with the condition `s`, against one event.
fn check(search: &str, fields: &[(&str, &str)], expected: bool) {
    let found = fires(&format!("s: {search}, condition: s"), fields);
    assert_eq!(found, expected, "{search} on {fields:?}");
}

/// Code and place of the refusal.
fn refusal(detection: &str) -> (&'static str, String) {
    let (rules, refused) = compile_with([rule(detection, "")], options());
    assert_eq!((rules.filters().len(), refused.len()), (0, 1), "{detection}");
    let at = refused[0].position.map(|at| at.to_string()).unwrap_or_default();
    (refused[0].reason.code(), at)
}

#[test]
fn null_empty_and_existence() {
    let (unset, empty, set) = (&[("G", "x")][..], &[("F", "")][..], &[("F", "x")][..]);
    for (search, on) in [
        ("{F: null}", [true, false, false]),
        ("{F: ''}", [false, true, false]),
        ("{F|exists: true}", [false, true, true]),
        ("{F|exists: false}", [true, false, false]),
        ("{F|neq|exists: true}", [true, false, false]),
        ("{F|neq: null}", [false, true, true]),
        ("{F|neq: x}", [true, true, false]),
        ("{F: [null, x]}", [true, false, true]),
        ("{F: '*'}", [false, true, true]),
    ] {
        for (fields, expected) in [unset, empty, set].into_iter().zip(on) {
            check(search, fields, expected);
        }
    }
}

#[test]
fn lists_maps_and_all() {
    let event = &[("F", "alpha beta"), ("N", "7")][..];
    check("{F|contains: [alpha, gamma]}", event, true);
    check("{F|contains|all: [alpha, gamma]}", event, false);
    check("{F|contains|all: [alpha, beta]}", event, true);
    check("{F|re|all: ['^alpha', 'beta$']}", event, true);
    check("{N|gt|all: [3, 9]}", event, false);
    check("{N|gte|all: [3, 7]}", event, true);
    check("{F|startswith|all: [al, alpha]}", event, true);
    check("{F|contains|neq: [gamma, delta]}", event, true);
    check("{F|contains|neq: [gamma, beta]}", event, false);
    check("{F|contains|all|neq: [gamma, beta]}", event, true);
    check("{N|lt|neq: 5}", event, true);
    check("{N|cidr|neq: 10.0.0.0/8}", event, true);
    check("[{F: nothing}, {N: 7}]", event, true);
    check("[{F: nothing, N: 7}]", event, false);
    check("[nothing, 'beta']", event, true);
    check("[{F: nothing}, 'beta']", event, true);
    check("{'|all': [alpha, beta]}", event, true);
    check("{'|all': [alpha, gamma]}", event, false);
    check("{'|re': 'a.*b'}", event, true);
}

#[test]
fn fields_are_compared_with_fields() {
    let event = &[("A", "Root"), ("B", "root"), ("C", "Rooted"), ("X", "9"), ("Y", "10")][..];
    check("{A|fieldref: B}", event, true);
    check("{A|fieldref|cased: B}", event, false);
    check("{A|fieldref|neq: B}", event, false);
    check("{A|fieldref|neq: C}", event, true);
    check("{C|fieldref|startswith: B}", event, true);
    check("{C|startswith|cased|fieldref: B}", event, false);
    check("{C|cased|startswith|fieldref: A}", event, true);
    check("{C|endswith|fieldref: A}", event, false);
    check("{C|contains|fieldref: [A, X]}", event, true);
    check("{C|contains|all|fieldref: [A, X]}", event, false);
    check("{X|lt|fieldref: Y}", event, true);
    check("{X|fieldref|gte: Y}", event, false);
    check("{X|lt|fieldref: A}", event, false);
    check("{A|fieldref: Nowhere}", event, false);
}

#[test]
fn regular_expressions_and_their_flags() {
    let event = &[("F", "one\nTWO")][..];
    for (key, pattern, expected) in [
        ("F|re", "^two$", false),
        ("F|re|m", "^two$", false),
        ("F|re|i", "^two$", false),
        ("F|re|i|m", "^two$", true),
        ("F|re|m|i", "^two$", true),
        ("F|re", "one.TWO", false),
        ("F|re|s", "one.TWO", true),
        ("F|re|s|i|m", "^ONE.two$", true),
        ("F|re|neq", "one.TWO", true),
        ("F|re|cased", "TWO", true),
    ] {
        if key.contains("cased") {
            assert_eq!(
                refusal(&format!("s: {{{key}: '{pattern}'}}, condition: s")).0,
                "bad_modifier"
            );
        } else {
            check(&format!("{{{key}: '{pattern}'}}"), event, expected);
        }
    }
}

#[test]
fn times_and_placeholders() {
    let event = &[("T", "2026-11-22T03:04:05Z"), ("H", "srv12")][..];
    check("{T|hour|lt: 6}", event, true);
    check("{T|hour: [3, 4]}", event, true);
    check("{T|hour|neq: 3}", event, false);
    check("{T|minute|gt|all: [3, 4]}", event, false);
    check("{T|week: 47, T|month: 11, T|day: 22, T|year: 2026}", event, true);
    check("{H|hour: 3}", event, false);
    check("{H|expand: '%Servers%'}", event, true);
    check("{H|expand|neq: '%Servers%'}", event, false);
    check("{H|expand: '%Servers%2'}", event, true);
    check("{H|expand|contains: 'x%Servers%'}", event, false);
    assert_eq!(refusal("s: {H|expand: '%Workstations%'}, condition: s").0, "placeholder");
}

#[test]
fn what_means_nothing_is_refused() {
    for (search, code) in [
        ("{}", "wrong_type"),
        ("[]", "wrong_type"),
        ("null", "wrong_type"),
        ("{F: []}", "wrong_type"),
        ("{F: [[a]]}", "wrong_type"),
        ("{F: {a: b}}", "wrong_type"),
        ("[[a]]", "wrong_type"),
        ("{F|contains: [a, null]}", "wrong_type"),
        ("{'|exists': true}", "bad_modifier"),
        ("{'|gt': 5}", "bad_modifier"),
        ("{'|fieldref': F}", "bad_modifier"),
        ("{'|hour': 5}", "bad_modifier"),
    ] {
        assert_eq!(refusal(&format!("s: {search}, condition: s")).0, code, "{search}");
    }
}

#[test]
fn headers_say_more_than_is_asked() {
    let more = "status: test\nscope: [server]\nrelated: [{id: a, type: derived}]\nours: {x: 1}\n\
                taxonomy: sigma\n";
    let document = rule("s: {F: a}, condition: s", more);
    let text =
        document.text.replace("{product: test}", "{product: test, definition: d, ours: [x]}");
    let (_, refused) = compile_with([Document { text, ..document }], options());
    assert!(refused.is_empty(), "{}", refused[0]);
    let document = rule("s: {F: a}, condition: s", "taxonomy: house\n");
    let (_, refused) = compile_with([document], options());
    assert_eq!(refused[0].reason.code(), "taxonomy");
    let document = rule("s: {F: a}, condition: s", "");
    let text = document.text.replace("id: t\n", "");
    let (rules, refused) = compile_with([Document { text, ..document }], options());
    assert!(refused.is_empty(), "{}", refused[0]);
    assert_eq!(rules.filters().next().expect("one").detection.id, "T", "the title stands for it");
}

#[test]
fn conditions_join_searches() {
    let searches = "s_1: {F: a}, s_2: {G: b}, s_3: {H: c}, _own: {I: d}, ";
    let two = &[("F", "a"), ("G", "b")][..];
    let three = &[("F", "a"), ("G", "b"), ("H", "c")][..];
    for (condition, on_two, on_three) in [
        ("1 of them", true, true),
        ("all of them", false, true),
        ("2 of s_*", true, true),
        ("3 of s_*", false, true),
        ("not 1 of s_3", true, false),
        ("not all of s_*", true, false),
        ("s_1 and (s_3 or not _own)", true, true),
        ("s_1 and not (s_2 and not s_3)", false, true),
        ("s_3 or s_1 and not s_2", false, true),
        ("[s_3, _own]", false, true),
        ("[_own, s_1 and s_2]", true, true),
        ("any of _*", false, false),
    ] {
        let text = format!("{searches}condition: {condition}");
        assert_eq!(fires(&text, two), on_two, "{condition} on two");
        assert_eq!(fires(&text, three), on_three, "{condition} on three");
    }
}

#[test]
fn refusals_point_at_the_very_word() {
    let check = |text: &str, code: &str, at: &str| {
        let document = Document { path: "t.yml".to_owned(), text: text.to_owned() };
        let (_, refused) = compile_with([document], options());
        assert_eq!(refused.len(), 1, "{text}");
        let found = refused[0].position.map(|at| at.to_string()).unwrap_or_default();
        assert_eq!((refused[0].reason.code(), found.as_str()), (code, at), "{text}");
    };
    let rule = |searches: &str| {
        format!("title: T\nid: t\nlogsource:\n  product: test\ndetection:\n{searches}")
    };
    let with = |condition: &str| rule(&format!("  sel:\n    F: a\n  condition: {condition}\n"));
    check(&with("sel and nothing"), "condition", "8:22");
    check(&with("'sel and nothing'"), "condition", "8:23");
    check(&with("\n    - sel\n    - 2 of sel*"), "condition", "10:7");
    check(&with("sel | count() > 5"), "aggregation", "8:18");
    check(&rule("  sel:\n    F|contains|gt: 5\n  condition: sel\n"), "bad_modifier", "7:16");
    check(&rule("  sel:\n    'F|nonsense': 5\n  condition: sel\n"), "unknown_modifier", "7:8");
    check(&rule("  sel:\n    F|re:\n      - a\n      - '('\n  condition: sel\n"), "regex", "9:9");
    check(&rule("  sel:\n    F: a\n"), "missing", "5:1");
    check(&rule("  sel:\n  condition: sel\n"), "wrong_type", "6:3");
    check("title: T\nid: t\nlevel: awful\ndetection: {}\n", "wrong_type", "3:8");
    check("title: T\nid: t\nlogsource: {ours: x}\ndetection: {}\n", "missing", "3:1");
    check("title: T\nid: t\n\tx: y\n", "yaml", "2:5");
    check("title: T\nid: t\n", "unknown_kind", "1:1");
}
