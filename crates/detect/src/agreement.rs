//! Test: plans wake every filter that matches.
//!
//! What a plan finds is compared with an evaluation of every filter of the class, on made-up
//! values that are built from the filters' own literals and, where they are at hand, on the public
//! set and recorded events.

use std::sync::Arc;

use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, ValueRef};
use proptest::prelude::*;

#[path = "../tests/support/mod.rs"]
mod support;

use crate::class::Class;
use crate::matcher::Matcher;
use crate::meter::Nobody;
use crate::plan::Plan;
use crate::program::Programs;
use crate::{Document, RuleSet, compile};

/// The class, and a plan that looks at everything.
type Plans = (Arc<Class>, Plan);

/// A plan that looks at every filter of the class, as it is written.
fn everything(rules: &RuleSet, sources: &[LogSource<'_>]) -> Plan {
    let wanted = (0..).zip(&rules.compiled).filter(|(_, filter)| {
        sources.iter().any(|source| filter.source.as_log_source().accepts(source))
    });
    let filters: Vec<u32> = wanted.map(|(index, _)| index).collect();
    Plan {
        always: (0..).zip(&filters).map(|(number, _)| number).collect(),
        programs: Programs::trees(filters.len()),
        filters,
        ..Plan::default()
    }
}

fn agree(rules: &RuleSet, plans: &Plans, matcher: &mut Matcher, event: &Event) {
    let expected = matcher.run(rules, &plans.1, event, &mut Nobody);
    let found = matcher.run(rules, &plans.0.plan(), event, &mut Nobody);
    assert_eq!(found, expected, "on {event:?}");
    if plans.0.is_sample() {
        plans.0.learn(rules, |plan, samples| matcher.sample(rules, plan, event, samples));
    }
}

const FILTERS: &str = r"
title: whole
id: whole
logsource: {product: windows}
detection: {a: {F: 'Alpha'}, condition: a}
---
title: start and not
id: start
logsource: {product: windows}
detection: {a: {F|startswith: 'al'}, b: {G|endswith: ['ma', 'ta']}, condition: a and not b}
---
title: any of two fields
id: two
logsource: {product: windows}
detection: {a: {F|contains: 'pha'}, b: {G|contains|all: ['am', 'ga']}, condition: a or b}
---
title: glob
id: glob
logsource: {product: windows}
detection: {a: {F: 'al*ha?b'}, condition: a}
---
title: regular
id: regular
logsource: {product: windows}
detection: {a: {F|re: '(?i)(gam+a|b[ée]ta)x*$'}, b: {G|re: '^a.c'}, condition: a or b}
---
title: unset
id: unset
logsource: {product: windows}
detection: {a: {F: null}, b: {G: ''}, condition: a or b}
---
title: keyword
id: keyword
logsource: {product: windows}
detection: {a: ['Alpha beta', 'gamma'], b: {G|fieldref: F}, condition: a or b}
---
title: two of three
id: least
logsource: {product: windows}
detection: {s_1: {F|contains: 'a'}, s_2: {G|contains: 'b'}, s_3: {G|cased: 'Beta'}, condition: 2 of s_*}
";

fn value() -> impl Strategy<Value = Option<String>> {
    let piece = prop::sample::select(vec![
        "Alpha", "al", "pha", "Beta", "béta", "gamma", "GAMMA", "x", "am", "ga", "ta", " ", "b",
        "abc", "",
    ]);
    prop::option::of(prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat()))
}

proptest! {
    #[test]
    fn on_made_up_values(f in value(), g in value()) {
        let document = Document { path: "t".to_owned(), text: FILTERS.to_owned() };
        let (rules, refused) = compile([document]);
        prop_assert!(refused.is_empty(), "{}", refused[0]);
        let sources = [LogSource { product: Some("windows"), category: None, service: None }];
        let plans = (rules.class_of(&sources), everything(&rules, &sources));
        let mut event = Event::empty(Kind::SensorHealth);
        for (name, value) in [("F", f), ("G", g)] {
            if let Some(value) = value {
                event.unmapped.push(name, ValueRef::Text(&value));
            }
        }
        agree(&rules, &plans, &mut Matcher::default(), &event);
    }
}

#[test]
fn on_the_public_set() {
    let Some(data) = support::shared_data("on_the_public_set") else { return };
    let mut documents = Vec::new();
    support::collect(&data.join("sigma"), "yml", &mut |path| {
        let text = std::fs::read_to_string(path).expect("readable");
        documents.push(Document { path: path.display().to_string(), text });
    });
    let (rules, _) = compile(documents);
    let mut matcher = Matcher::default();
    let mut classes: Vec<(support::windows::Sources, Plans, usize)> = Vec::new();
    let mut compared = 0;
    // One folder has events of nearly every class; each class is compared on its first ones.
    let folder = data.join("security-datasets/windows/defense_evasion");
    support::windows::events(&folder, &mut |sources, event| {
        let index = classes.iter().position(|(known, ..)| *known == sources).unwrap_or_else(|| {
            let plans = (rules.class_of(&sources), everything(&rules, &sources));
            classes.push((sources, plans, 0));
            classes.len() - 1
        });
        let (_, plans, seen) = &mut classes[index];
        *seen += 1;
        if *seen <= 30 {
            agree(&rules, plans, &mut matcher, &event);
            compared += 1;
        }
    });
    assert!(compared > 300, "only {compared} events compared");
    for event in support::linux::events(500) {
        let sources = metsuke_event::logsource::of_event(&event);
        let plans = (rules.class(&event), everything(&rules, sources));
        agree(&rules, &plans, &mut matcher, &event);
    }
}
