//! Models that stand on the same steps share an alert and yield to the strongest: nothing is lost by
//! it, whatever comes in whatever order, and over a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metsuke_detect::{Document, Engine, RuleSet, compile};
use metsuke_event::finding::{Alert, Level};
use metsuke_event::{AlertId, EndpointId, Event, Kind, Process, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

const FILTERS: [(&str, &str, &str); 6] = [
    ("a", "high", "execution"),
    ("b", "medium", "discovery"),
    ("c", "high", "impact"),
    ("d", "medium", "collection"),
    ("e", "low", "persistence"),
    ("f", "critical", "exfiltration"),
];

/// Narrow ones, ones that overlap, and one that counts everything.
const MODELS: [(&str, &str, &str); 5] = [
    ("ab", "medium", "threshold: 30, detections: {a: 20, b: 15}, counts: {detections: [a, b]}"),
    ("cd", "critical", "threshold: 30, detections: {c: 20, d: 15}, counts: {detections: [c, d]}"),
    ("bc", "low", "threshold: 20, detections: {b: 12, c: 12}, counts: {detections: [b, c]}"),
    ("e", "high", "threshold: 5, detections: {e: 9}, counts: {detections: [e]}"),
    ("all", "high", "threshold: 60, levels: {critical: 95}, require: [{label: l, level: high}]"),
];

fn rules(models: &[usize]) -> Arc<RuleSet> {
    let filter = |(id, level, tactic): &(&str, &str, &str)| {
        format!(
            "title: {id} ran\nid: ran-{id}\nname: {id}\nlevel: {level}\ntags: [attack.{tactic}]\n\
             logsource: {{product: linux, category: process_creation}}\n\
             detection: {{s: {{Image: {id}}}, condition: s}}\n"
        )
    };
    let model = |number: &usize| {
        let (id, level, body) = MODELS[*number];
        format!("title: Model {id}\nid: {id}\nlevel: {level}\nmodel: {{timespan: 1d, {body}}}\n")
    };
    let all: Vec<String> = FILTERS.iter().map(filter).chain(models.iter().map(model)).collect();
    let text = all.join("---\n");
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{}", refused[0]);
    rules
}

fn ran(image: &str, storyline: u8, seq: u64) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id.seq = seq;
    event.id.endpoint = EndpointId::from_u128(1);
    event.time = Timestamp::from_millis(1_000 * i64::try_from(seq).expect("small"));
    event.process = Arc::new(Process {
        uid: Some(format!("p{seq}").into()),
        exe: Some(image.into()),
        storyline: Some(format!("s{storyline}").into()),
        ..Process::default()
    });
    event
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0..FILTERS.len(), 0_u8..2);
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let events = (1..).zip(all);
        events.map(|(seq, (image, storyline))| ran(FILTERS[image].0, storyline, seq)).collect()
    })
}

/// What was said last of each alert.
type Said = BTreeMap<AlertId, Alert>;

fn run(engine: &mut Engine, events: &[Event], said: &mut Said) {
    for event in events {
        let mut ids = BTreeSet::new();
        for alert in engine.observe(event).alerts {
            assert!(ids.insert(alert.id), "one activity, one version");
            let before = said.get(&alert.id).map_or(0, |known: &Alert| known.revision);
            assert_eq!(alert.revision, before + 1);
            let sum: f64 = alert.parts.iter().map(|part| part.points).sum();
            assert!((sum.clamp(0.0, 99.0) - f64::from(alert.score)).abs() <= 0.5, "{alert:?}");
            said.insert(alert.id, alert);
        }
    }
}

fn all_of(models: &[usize], events: &[Event]) -> Said {
    let mut said = Said::new();
    run(&mut Engine::new(rules(models)), events, &mut said);
    said
}

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn ids(alert: &Alert) -> BTreeSet<&str> {
    alert.models().map(|model| model.id.as_str()).collect()
}

fn steps(alert: &Alert) -> BTreeSet<(Timestamp, &str)> {
    alert.highlights.iter().map(|step| (step.time, step.detection.id.as_str())).collect()
}

/// The version said last that stands for `model` on `storyline`.
fn last_of<'s>(said: &'s Said, model: &str, storyline: &str) -> Option<&'s Alert> {
    let of = said.values().filter(|one| one.storyline == storyline && ids(one).contains(model));
    // One that goes on in another is older: it knows less.
    of.max_by_key(|one| (one.last, ids(one).len()))
}

/// What is known of each model and storyline in the end, without identities.
type Known<'s> = BTreeMap<(&'s str, &'s str), (&'s str, u8, Level, BTreeSet<&'s str>)>;

fn known(said: &Said) -> Known<'_> {
    let mut known = Known::new();
    for storyline in ["s0", "s1"] {
        for (model, ..) in MODELS {
            if let Some(alert) = last_of(said, model, storyline) {
                let led = alert.detection.id.as_str();
                let told = (led, alert.score, alert.detection.level, ids(alert));
                known.insert((model, storyline), told);
            }
        }
    }
    known
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Against engines that have one model each, where nothing yields.
    #[test]
    fn what_any_model_says_alone_is_in_an_alert(events in events()) {
        let together = all_of(&ALL, &events);
        let mut alone = 0;
        for model in ALL {
            for of_one in all_of(&[model], &events).values() {
                alone += 1;
                let id = of_one.detection.id.as_str();
                let alert = last_of(&together, id, &of_one.storyline).expect("an alert");
                prop_assert!(alert.score >= of_one.score);
                prop_assert!(alert.detection.level >= of_one.detection.level);
                prop_assert!(steps(alert).is_superset(&steps(of_one)));
                let part = alert.parts.iter().find(|part| part.detection.as_deref() == Some(id));
                let own = format!("{} of its own", of_one.score);
                let is_told = part.is_some_and(|part| part.why.starts_with(&own));
                prop_assert!(is_told || alert.detection.id == id, "{alert:?}");
            }
        }
        prop_assert!(together.len() <= alone);
    }

    #[test]
    fn order_does_not_matter(events in events(), seed in any::<[u8; 32]>()) {
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(
            ProptestConfig::default(),
            prop::test_runner::TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &seed),
        );
        let shuffled = Just(events.clone()).prop_shuffle().new_tree(&mut runner).expect("a tree");
        let (said, other) = (all_of(&ALL, &events), all_of(&ALL, &shuffled.current()));
        prop_assert_eq!(known(&said), known(&other));
    }

    #[test]
    fn a_restart_and_other_content_change_nothing(events in events(), cut in 0_usize..14) {
        let whole = all_of(&ALL, &events);
        let (first, rest) = events.split_at(cut.min(events.len()));
        for restart in [true, false] {
            let (rules, mut said) = (rules(&ALL), Said::new());
            let mut engine = Engine::new(Arc::clone(&rules));
            run(&mut engine, first, &mut said);
            let mut engine = if restart {
                Engine::restore(&rules, &engine.checkpoint()).expect("whole").0
            } else {
                engine.with_rules(self::rules(&ALL)).0
            };
            run(&mut engine, rest, &mut said);
            prop_assert_eq!(&said, &whole);
        }
    }
}

/// The alerts that these activities (letters, in one storyline) leave: who leads, the score, the
/// others; in the order they were raised in.
fn check(letters: &str, expected: &[(&str, u8, &[&str])]) -> Said {
    let events: Vec<Event> =
        (1..).zip(letters.split(' ')).map(|(seq, letter)| ran(letter, 0, seq)).collect();
    let said = all_of(&ALL, &events);
    let mut told: Vec<_> = said
        .values()
        .map(|alert| {
            let also: Vec<&str> = alert.also.iter().map(|model| model.id.as_str()).collect();
            (alert.first, (alert.detection.id.as_str(), alert.score, also))
        })
        .collect();
    told.sort();
    let told: Vec<_> = told.into_iter().map(|(_, told)| told).collect();
    let expected: Vec<_> =
        expected.iter().map(|(led, score, also)| (*led, *score, also.to_vec())).collect();
    assert_eq!(told, expected, "{letters}");
    said
}

#[test]
fn the_strongest_leads_and_keeps_the_alerts_name() {
    let first = check("a b", &[("ab", 35, &[])]);
    // Of another kind altogether: an alert of its own.
    check("a b e", &[("ab", 35, &[]), ("e", 9, &[])]);
    // A model that shares a step joins, weaker or stronger, and the alert stays the same one.
    let more = check("a b c", &[("all", 62, &["ab", "bc"])]);
    assert_eq!(first.keys().collect::<Vec<_>>(), more.keys().collect::<Vec<_>>());
    let alert = more.values().next().expect("an alert");
    assert_eq!(
        (alert.revision, alert.detection.level, alert.highlights.len()),
        (2, Level::High, 3)
    );
    let part = alert.parts.last().expect("parts");
    assert_eq!((part.label.as_str(), part.points.to_string().as_str()), ("also: Model bc", "0"));
    assert_eq!(part.why, "24 of its own, on 2 steps of these");
    // What yields lends its level.
    let more = check("a b c d", &[("all", 74, &["cd", "ab", "bc"])]);
    assert_eq!(more.values().next().map(|alert| alert.detection.level), Some(Level::Critical));
}
