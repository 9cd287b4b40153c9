//! Exceptions and tuning: what is hidden, where and until when, and that nothing else changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use metsuke_detect::{Document, Engine, Exception, Overlay, Scope, Site, Tuning, compile};
use metsuke_event::finding::{Alert, Level};
use metsuke_event::{EndpointId, Event, Kind, Process, Timestamp};

const CONTENT: &str = r"
title: A ran
id: a
level: low
logsource: {product: linux, category: process_creation}
detection: {s: {Image: a}, condition: s}
---
title: B ran
id: b
level: medium
logsource: {product: linux, category: process_creation}
detection: {s: {Image: b}, condition: s}
---
title: A file
id: file
level: low
logsource: {product: linux, category: file_event}
detection: {s: {TargetFilename: f}, condition: s}
---
title: Twice
id: twice
level: high
correlation: {type: event_count, rules: [a, b], group-by: [process.storyline], timespan: 1h, condition: {gte: 2}}
---
title: Weighed
id: weighed
level: medium
model: {timespan: 1h, threshold: 10, weights: {low: 4, medium: 12, high: 25}}
---
title: Other
id: other
level: low
model: {timespan: 1h, threshold: 10, counts: {level: medium}}
";

fn engine(site: Site) -> Engine {
    let (rules, refused) =
        compile([Document { path: "t.yml".to_owned(), text: CONTENT.to_owned() }]);
    assert!(refused.is_empty(), "{}", refused[0]);
    let (overlay, refused) = Overlay::compile(site);
    assert!(refused.is_empty(), "{}", refused[0]);
    let mut engine = Engine::new(rules);
    engine.lay(overlay);
    engine
}

fn host(number: u128) -> EndpointId {
    EndpointId::from_u128(number)
}

/// `image` on `host` at `second`, run by `user`.
fn ran(image: &str, on: u128, second: i64, user: &str) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id.seq = u64::try_from(second).expect("positive");
    event.id.endpoint = host(on);
    event.time = Timestamp::from_millis(second * 1_000);
    event.process = Arc::new(Process {
        uid: Some("p".into()),
        exe: Some(image.into()),
        user_name: Some(user.into()),
        storyline: Some(format!("{on}").into()),
        ..Process::default()
    });
    event
}

fn exception(id: &str, detections: &[&str], condition: &str) -> Exception {
    Exception {
        id: id.to_owned(),
        detections: detections.iter().map(|one| (*one).to_owned()).collect(),
        condition: condition.to_owned(),
        ..Exception::default()
    }
}

fn on(endpoints: &[u128], groups: &[&str]) -> Scope {
    Scope {
        endpoints: endpoints.iter().map(|one| host(*one)).collect(),
        groups: groups.iter().map(|one| (*one).to_owned()).collect(),
    }
}

fn except(exceptions: &[Exception]) -> Site {
    Site { exceptions: exceptions.to_vec(), ..Site::default() }
}

/// What an event brings: hits as `id` or `id=exception`, alerts as `!id:score` for each model.
fn found(engine: &mut Engine, event: &Event) -> String {
    let found = engine.observe(event);
    let hits = found.hits.iter().map(|hit| match &hit.excepted {
        Some(by) => format!("{}={by}", hit.detection.id),
        None => hit.detection.id.clone(),
    });
    let alert = |alert: &Alert| {
        let also = alert.parts.iter().filter(|part| part.label.starts_with("also: ")).map(|part| {
            let own = part.why.split(' ').next().expect("a score");
            format!("!{}:{own}", part.detection.as_deref().expect("a model"))
        });
        let led = format!("!{}:{}", alert.detection.id, alert.score);
        std::iter::once(led).chain(also).collect::<Vec<_>>().join(" ")
    };
    hits.chain(found.alerts.iter().map(alert)).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_excepted_hit_is_found_and_marked_and_goes_nowhere() {
    let mut plain = engine(Site::default());
    assert_eq!(found(&mut plain, &ran("a", 1, 1, "root")), "a");
    assert_eq!(found(&mut plain, &ran("b", 1, 2, "root")), "b twice !weighed:41 !other:37");
    let mut engine = engine(except(&[exception("e", &["a"], "User: root")]));
    assert_eq!(found(&mut engine, &ran("a", 1, 1, "root")), "a=e");
    assert_eq!(found(&mut engine, &ran("b", 1, 2, "root")), "b !weighed:12 !other:12");
    assert_eq!(found(&mut engine, &ran("a", 1, 3, "ana")), "a twice !weighed:41 !other:37");
    assert_eq!(engine.counters().excepted, 1);
    assert_eq!(engine.hidden().get("e"), Some(&1));
    assert_eq!(engine.counters().filter_hits, 3);
}

#[test]
fn an_exception_of_a_rule_leaves_its_filters() {
    let mut engine = engine(except(&[exception("e", &["twice"], "- User: root\n- User: ana")]));
    assert_eq!(found(&mut engine, &ran("a", 1, 1, "root")), "a");
    assert_eq!(found(&mut engine, &ran("b", 1, 2, "root")), "b twice=e !weighed:16 !other:12");
}

#[test]
fn an_exception_of_a_model_keeps_hits_from_it_alone() {
    let mut engine = engine(except(&[exception("e", &["weighed"], "User: root")]));
    assert_eq!(found(&mut engine, &ran("a", 1, 1, "root")), "a");
    assert_eq!(found(&mut engine, &ran("b", 1, 2, "root")), "b twice !other:37");
    assert_eq!(found(&mut engine, &ran("b", 1, 3, "ana")), "b !other:37 !weighed:12");
    assert_eq!(engine.counters().excepted, 0, "the hits themselves are not hidden");
    assert_eq!(engine.hidden().get("e"), Some(&3));
}

#[test]
fn of_no_detection_is_of_every_one_and_the_first_counts() {
    let all = exception("all", &[], "Image: a");
    let mut engine = engine(except(&[all, exception("late", &["a"], "")]));
    assert_eq!(found(&mut engine, &ran("a", 1, 1, "root")), "a=all");
    assert_eq!(found(&mut engine, &ran("b", 1, 2, "root")), "b !weighed:12 !other:12");
    assert_eq!(engine.hidden().len(), 1);
}

#[test]
fn a_field_means_what_it_means_in_the_filter() {
    // Beside a file, `sha256` is the file's; beside an execution, the program's.
    let site = except(&[exception("e", &[], "sha256|startswith: aa")]);
    let mut engine = engine(site);
    let mut file = ran("x", 1, 1, "root");
    file.activity = Event::empty(Kind::FileCreate).activity;
    let metsuke_event::Activity::File(_, facts) = &mut file.activity else {
        unreachable!("a file's activity")
    };
    facts.path = Some("f".into());
    facts.sha256 = Some("aabb".into());
    assert_eq!(found(&mut engine, &file), "file=e");
    assert_eq!(found(&mut engine, &ran("a", 1, 2, "root")), "a");
    let mut program = ran("a", 1, 3, "root");
    let process = Process { sha256: Some("aacc".into()), ..(*program.process).clone() };
    program.process = Arc::new(process);
    assert_eq!(found(&mut engine, &program), "a=e");
}

#[test]
fn scopes_and_expiry_end_what_is_hidden() {
    let mut of_host = exception("h", &["a"], "");
    of_host.scope = on(&[1], &[]);
    let mut of_group = exception("g", &["a"], "");
    of_group.scope = on(&[], &["web", "none"]);
    of_group.expires = Some(Timestamp::from_millis(5_000));
    let mut of_default = exception("d", &["b"], "");
    of_default.scope = on(&[], &["default"]);
    let site = Site {
        groups: [(host(2), BTreeSet::from(["web".to_owned()]))].into(),
        ..except(&[of_host, of_group, of_default])
    };
    let mut engine = engine(site);
    let mut at =
        |image: &str, on: u128, second: i64| found(&mut engine, &ran(image, on, second, "root"));
    assert_eq!(at("a", 1, 1), "a=h");
    assert_eq!(at("a", 2, 2), "a=g");
    assert_eq!(at("a", 3, 3), "a");
    assert_eq!(at("a", 2, 5), "a", "expired");
    assert_eq!(at("b", 1, 6), "b=d");
    assert_eq!(at("b", 2, 7), "b twice !weighed:41 !other:37");
}

#[test]
fn what_is_off_finds_nothing_and_the_closest_word_counts() {
    let off = |detection: &str, scope: Scope, enabled: bool| Tuning {
        detection: detection.to_owned(),
        scope,
        enabled: Some(enabled),
        level: None,
    };
    let tunings = vec![
        off("a", on(&[1], &[]), true),
        off("a", Scope::default(), false),
        off("twice", on(&[], &["web"]), false),
        off("weighed", on(&[2], &[]), false),
        off("gone", Scope::default(), false),
    ];
    let groups = [(host(2), BTreeSet::from(["web".to_owned()]))].into();
    let mut engine = engine(Site { tunings, groups, ..Site::default() });
    let mut at =
        |image: &str, on: u128, second: i64| found(&mut engine, &ran(image, on, second, "root"));
    assert_eq!(at("a", 1, 1), "a");
    assert_eq!(at("a", 3, 2), "");
    assert_eq!(at("b", 2, 3), "b !other:12");
    assert_eq!(at("b", 2, 4), "b !other:12");
    assert_eq!(engine.counters().switched_off, 1);
}

#[test]
fn a_tuned_level_is_what_models_weigh() {
    let level = |detection: &str, level: Level| Tuning {
        detection: detection.to_owned(),
        level: Some(level),
        ..Tuning::default()
    };
    let tunings = vec![level("a", Level::High), level("weighed", Level::Critical)];
    let mut engine = engine(Site { tunings, ..Site::default() });
    let findings = engine.observe(&ran("a", 1, 1, "root"));
    assert_eq!(findings.hits[0].detection.level, Level::High);
    let weighed = &findings.alerts[0];
    assert_eq!((weighed.score, weighed.detection.level), (25, Level::Critical));
    assert_eq!(weighed.parts[0].why, "25 for level high");
    // The other model counts from medium on; as it was written, `a` is low.
    assert_eq!(weighed.also[0].id, "other");
}

#[test]
fn a_new_overlay_keeps_what_is_held() {
    let mut engine = engine(Site::default());
    assert_eq!(found(&mut engine, &ran("a", 1, 1, "root")), "a");
    let (overlay, _) = Overlay::compile(except(&[exception("e", &["a"], "")]));
    engine.lay(overlay);
    assert_eq!(found(&mut engine, &ran("a", 1, 2, "root")), "a=e");
    assert_eq!(found(&mut engine, &ran("b", 1, 3, "root")), "b twice !weighed:41 !other:37");
    engine.lay(Arc::default());
    assert_eq!(found(&mut engine, &ran("a", 1, 4, "root")), "a !weighed:41 !other:37");
    assert_eq!(engine.hidden().get("e"), Some(&1), "the count goes on");
}

#[test]
fn a_preview_asks_of_stored_hits() {
    let mut engine = engine(except(&[exception("e", &["a", "twice"], "User: root")]));
    let (root, ana) = (ran("a", 1, 1, "root"), ran("a", 1, 2, "ana"));
    assert_eq!(engine.exception_for(&root, "a"), Some("e".to_owned()));
    assert_eq!(engine.exception_for(&ana, "a"), None);
    assert_eq!(engine.exception_for(&root, "twice"), Some("e".to_owned()));
    assert_eq!(engine.exception_for(&root, "b"), None);
    assert_eq!(engine.exception_for(&root, "gone"), None);
    assert_eq!(engine.counters().excepted, 0);
}

#[test]
fn what_does_not_compile_is_named_and_hides_nothing() {
    let site = except(&[
        exception("modifier", &["a"], "User: root\nImage|sideways: x\n"),
        exception("yaml", &[], "{"),
        exception("word", &[], "just text"),
        exception("empty", &[], "{}"),
        exception("twice", &["b"], ""),
        exception("twice", &["b"], ""),
        exception("regex", &[], "Image|re: '('"),
        exception("placeholder", &[], "Image|expand: '%x%'"),
    ]);
    let (overlay, refused) = Overlay::compile(site);
    let shown: Vec<_> =
        refused.iter().map(|one| (one.id.as_deref().unwrap_or(""), one.reason.code())).collect();
    assert_eq!(
        shown,
        [
            ("modifier", "unknown_modifier"),
            ("yaml", "yaml"),
            ("word", "wrong_type"),
            ("empty", "wrong_type"),
            ("twice", "duplicate_id"),
            ("regex", "regex"),
            ("placeholder", "placeholder"),
        ]
    );
    assert_eq!(refused[0].position.map(|at| (at.line, at.column)), Some((2, 7)));
    assert!(refused[0].to_string().starts_with("exception modifier:2:7: "), "{}", refused[0]);
    let mut engine = engine(Site::default());
    engine.lay(overlay);
    assert_eq!(found(&mut engine, &ran("a", 1, 1, "root")), "a");
    assert_eq!(found(&mut engine, &ran("b", 1, 2, "root")), "b=twice");
}
