//! A restart in the middle changes nothing: the same findings, the same state.

use std::sync::Arc;

use metsuke_detect::{Document, Engine, RestoreError, RuleSet, compile};
use metsuke_event::{BootId, EndpointId, Event, Kind, Process, TenantId, Timestamp, ValueRef};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

const FILTERS: &str = r"
title: A
id: a
level: low
tags: [attack.execution]
logsource: {product: linux, category: process_creation}
detection: {s: {Image: a}, condition: s}
---
title: B
id: b
level: medium
tags: [attack.discovery]
logsource: {product: linux, category: process_creation}
detection: {s: {Image: b}, condition: s}
---
title: C
id: c
level: high
tags: [attack.impact]
logsource: {product: linux, category: process_creation}
detection: {s: {Image: c}, condition: s}
";

const RULES: &str = r"
title: Count
id: count
correlation: {type: event_count, rules: [a, b], group-by: [process.storyline], timespan: 8s, condition: {gte: 3}}
---
title: Sum
id: sum
correlation: {type: value_sum, rules: [a], timespan: 8s, condition: {field: V, gte: 6}}
---
title: Chained
id: chained
correlation: {type: temporal_ordered, rules: [count, c], group-by: [process.storyline], timespan: 20s}
---
title: Steps
id: steps
sequence: {by: host, within: 10s, steps: [{detections: [a]}, {absent: [b]}, {detections: [c], process: descendant}]}
---
title: Silence
id: silence
sequence: {by: storyline, within: 5s, steps: [{detections: [a]}, {absent: [c], within: 3s}]}
---
title: New
id: new
first-seen: {detections: [a, b, c], value: [V, Image], within: 12s, learning: 3s}
---
title: Much
id: much
threshold: {detections: [a, b, c], by: user, within: 6s, count: 4, distinct: {V: 2}}
";

const MODEL: &str = "
title: Model
id: model
level: high
model: {timespan: 30s, threshold: 20, weights: {low: 3, medium: 8, high: 15}, detections: {steps: 9}, levels: {critical: 40}, half-life: 20s, suppress: 15s}
";

fn rules(parts: &[&str]) -> Arc<RuleSet> {
    let text = parts.join("\n---\n");
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{}", refused[0]);
    rules
}

fn all() -> Arc<RuleSet> {
    rules(&[FILTERS, RULES, MODEL])
}

/// Events about in order, on two hosts and three storylines, of processes that are each other's
/// children.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (0_usize..4, 0_i64..4, 0_u64..6, 1_u128..3, 0_u32..3, prop::option::of(0_u8..4));
    prop::collection::vec(one, 0..60).prop_map(|all| {
        let events =
            all.into_iter().enumerate().map(|(index, (image, late, pid, host, story, value))| {
                let mut event = Event::empty(Kind::ProcessExec);
                event.id.seq = index as u64;
                event.id.endpoint = EndpointId::from_u128(host << 100 | host);
                event.id.boot = BootId::from_u128(u128::MAX - host);
                event.id.tenant = TenantId(u32::try_from(host).expect("small"));
                let second = 1_000 + i64::try_from(index).expect("few") - late;
                event.time = Timestamp::from_millis(second * 1_000);
                event.process = Arc::new(Process {
                    uid: Some(format!("{host}-{pid}").into()),
                    parent_uid: (pid > 0).then(|| format!("{host}-{}", pid / 2).into()),
                    exe: Some(["a", "b", "c", "d"][image].into()),
                    user_name: Some(["root", "www"][usize::from(pid > 3)].into()),
                    storyline: (story > 0).then(|| format!("story {story}").into()),
                    ..Process::default()
                });
                if let Some(value) = value {
                    event.unmapped.push("V", ValueRef::Text(&value.to_string()));
                }
                event
            });
        events.collect()
    })
}

proptest! {
    #[test]
    fn a_restart_changes_nothing(events in events(), cut in 0_usize..60) {
        let rules = all();
        let cut = cut.min(events.len());
        let mut straight = Engine::new(Arc::clone(&rules));
        let mut before = Engine::new(Arc::clone(&rules));
        for event in &events[..cut] {
            straight.observe(event);
            before.observe(event);
        }
        let bytes = before.checkpoint();
        drop(before);
        let (mut after, restored) = Engine::restore(&rules, &bytes).expect("whole");
        prop_assert_eq!(restored.dropped, 0);
        prop_assert_eq!(after.checkpoint(), bytes);
        for event in &events[cut..] {
            prop_assert_eq!(straight.observe(event), after.observe(event));
        }
        let later = Timestamp::from_millis(2_000_000);
        prop_assert_eq!(straight.advance(later), after.advance(later));
        prop_assert_eq!(straight.checkpoint(), after.checkpoint());
    }

    #[test]
    fn other_content_changes_nothing_of_what_stays(events in events(), cut in 0_usize..60) {
        let cut = cut.min(events.len());
        let mut straight = Engine::new(all());
        let mut swapped = Engine::new(all());
        for event in &events[..cut] {
            straight.observe(event);
            swapped.observe(event);
        }
        // The same documents in another order, and one more that nothing meets.
        let more = "title: N\nid: n\nlogsource: {product: windows}\ndetection: {s: {F: 1}, condition: s}";
        let (mut swapped, restored) = swapped.with_rules(rules(&[MODEL, more, RULES, FILTERS]));
        prop_assert_eq!(restored.dropped, 0);
        for event in &events[cut..] {
            let (mut straight, mut swapped) = (straight.observe(event), swapped.observe(event));
            for found in [&mut straight, &mut swapped] {
                found.hits.sort_by(|left, right| left.detection.cmp(&right.detection));
            }
            prop_assert_eq!(straight, swapped);
        }
        let later = Timestamp::from_millis(2_000_000);
        prop_assert_eq!(straight.advance(later), swapped.advance(later));
        let counters = swapped.counters();
        prop_assert_eq!(counters, straight.counters());
        // And back: equal bytes, so nothing was lost on the way.
        let (back, restored) = swapped.with_rules(all());
        prop_assert_eq!(restored.dropped, 0);
        prop_assert_eq!(back.checkpoint(), straight.checkpoint());
    }

    #[test]
    fn damaged_bytes_are_refused(events in events(), at: prop::sample::Index, change in 1_u8..) {
        let mut engine = Engine::new(all());
        for event in &events {
            engine.observe(event);
        }
        let mut bytes = engine.checkpoint();
        let at = at.index(bytes.len());
        prop_assert!(Engine::restore(&all(), &bytes[..at]).is_err());
        bytes[at] ^= change;
        prop_assert!(Engine::restore(&all(), &bytes).is_err());
    }
}

/// A history in which every kind of state is held, and its checkpoint under all rules.
fn filled() -> Vec<u8> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut engine = Engine::new(all());
    for _ in 0..20 {
        let events = events().new_tree(&mut runner).expect("events").current();
        for event in &events {
            engine.observe(event);
        }
    }
    let counters = engine.counters();
    assert!(counters.rule_hits > 10 && counters.alerts > 5, "{counters:?}");
    engine.checkpoint()
}

#[test]
fn what_still_fits_is_taken_and_the_rest_counted() {
    let bytes = filled();
    let (_, whole) = Engine::restore(&all(), &bytes).expect("whole");
    assert!(whole.taken > 20 && whole.dropped == 0, "{whole:?}");
    let changed = RULES.replace("gte: 6", "gte: 7");
    let (engine, other) =
        Engine::restore(&rules(&[FILTERS, &changed, MODEL]), &bytes).expect("fits");
    assert!(other.dropped > 0 && other.taken + other.dropped == whole.taken, "{other:?}");
    assert!(engine.checkpoint().len() < bytes.len());
    // A document that stands elsewhere says the same.
    let moved = rules(&[MODEL, &RULES.replace("timespan: 8s", "timespan:   8s"), FILTERS]);
    assert_eq!(Engine::restore(&moved, &bytes).expect("fits").1, whole);
    let (_, none) = Engine::restore(
        &rules(&[
            "title: T\nid: t\nlogsource: {product: linux}\ndetection: {s: {F: 1}, condition: s}",
        ]),
        &bytes,
    )
    .expect("readable");
    assert_eq!((none.taken, none.dropped), (0, whole.taken));
}

#[test]
fn what_is_foreign_is_refused_by_name() {
    let refusal = |bytes: &[u8]| Engine::restore(&all(), bytes).expect_err("refused");
    assert_eq!(refusal(b""), RestoreError::Foreign);
    assert_eq!(refusal(b"something else entirely"), RestoreError::Foreign);
    let mut bytes = Engine::new(all()).checkpoint();
    assert_eq!(refusal(&bytes[..bytes.len() - 1]), RestoreError::Damaged);
    bytes[9] += 1;
    assert_eq!(refusal(&bytes), RestoreError::Version(4));
}
