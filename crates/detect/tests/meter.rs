//! What detections cost is measured, and one that is too dear is put to sleep.

use std::fmt::Write as _;
use std::sync::Arc;

use metsuke_detect::{Cost, Document, Engine, compile};
use metsuke_event::{Event, Kind, Process, Timestamp};

/// CPU time of this thread.
fn clock() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("positive");
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).expect("positive")
}

/// Ordinary filters, and one whose automaton has 2¹³ states, which every event makes anew.
fn engine() -> Engine {
    let mut text = String::new();
    for id in ["a", "b", "c"] {
        let _ = write!(
            text,
            "title: {id} ran\nid: {id}\nlogsource: {{product: linux, category: process_creation}}\n\
             detection: {{s: {{Image: {id}}}, condition: s}}\n---\n"
        );
    }
    text.push_str(
        "title: Hostile\nid: hostile\nlogsource: {product: linux, category: process_creation}\n\
         detection: {s: {CommandLine|re: '[ab]*a[ab]{13}[A-Z0-9]'}, condition: s}\n---\n\
         title: Twice\nid: twice\ncorrelation: {type: event_count, rules: [a], timespan: 1h, \
         condition: {gte: 2}}\n",
    );
    let (rules, refused) = compile([Document { path: "t.yml".to_owned(), text }]);
    assert!(refused.is_empty(), "{}", refused[0]);
    Engine::new(rules)
}

/// Runs of `a` with long command lines of a's and b's in no order.
fn events(number: u64) -> Vec<Event> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut letter = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        if seed.is_multiple_of(2) { 'a' } else { 'b' }
    };
    let one = |seq: u64| {
        let mut event = Event::empty(Kind::ProcessExec);
        event.id.seq = seq;
        event.time = Timestamp::from_millis(i64::try_from(seq).expect("small"));
        let line: String = (0..1_500).map(|_| letter()).collect();
        event.process = Arc::new(Process {
            exe: Some("a".into()),
            cmd_line: Some(line.as_str().into()),
            uid: Some("p".into()),
            ..Process::default()
        });
        event
    };
    (1..=number).map(one).collect()
}

fn cost(engine: &Engine, id: &str) -> Cost {
    let costs = engine.profile().expect("measured").costs;
    costs.into_iter().find(|cost| cost.detection.id == id).expect("a cost")
}

#[test]
fn costs_and_hits_are_told_of_each() {
    let mut engine = engine();
    assert_eq!(engine.profile(), None);
    engine.measure(clock, 4, None);
    for event in &events(200) {
        engine.observe(event);
    }
    let profile = engine.profile().expect("measured");
    assert_eq!(profile.events, 200);
    assert!((20..=100).contains(&profile.measured), "{}", profile.measured);
    assert_eq!(profile.costs[0].detection.id, "hostile", "the dearest first");
    assert_eq!((profile.costs[0].hits, profile.costs[0].tries), (0, profile.measured));
    assert!(profile.costs[0].nanos > cost(&engine, "a").nanos * 10, "{:?}", profile.costs);
    assert_eq!((cost(&engine, "a").hits, cost(&engine, "a").tries), (200, profile.measured));
    assert_eq!((cost(&engine, "b").hits, cost(&engine, "b").tries), (0, 0), "never woken");
    assert_eq!(cost(&engine, "twice").tries, profile.measured);
    assert!(cost(&engine, "twice").hits > 0);
    assert_eq!((engine.counters().asleep, engine.counters().passed_over), (0, 0));
}

#[test]
fn a_hostile_rule_is_put_to_sleep_and_the_others_go_on() {
    let mut engine = engine();
    let events = events(120);
    // What an ordinary filter costs here, times a hundred.
    engine.measure(clock, 1, None);
    for event in &events[..40] {
        engine.observe(event);
    }
    let ordinary = cost(&engine, "a");
    let bound = (ordinary.nanos / ordinary.tries).max(100) * 100;
    let hostile = cost(&engine, "hostile");
    assert!(hostile.nanos / hostile.tries > bound, "{hostile:?} {ordinary:?}");
    engine.measure(clock, 1, Some(bound));
    let hits: usize = events[40..].iter().map(|event| engine.observe(event).hits.len()).sum();
    assert!(hits >= 80, "the filter `a` still strikes: {hits}");
    let hostile = cost(&engine, "hostile");
    assert!(hostile.asleep && hostile.tries == 32, "{hostile:?}");
    assert!(!cost(&engine, "a").asleep && !cost(&engine, "twice").asleep);
    let counters = engine.counters();
    assert_eq!((counters.asleep, counters.passed_over), (1, 48));
    // Other content is asked anew.
    let rules = Arc::clone(engine.rules());
    let (engine, _) = engine.with_rules(rules);
    assert_eq!(engine.counters().asleep, 0);
    assert_eq!(engine.profile().expect("measured on").measured, 0);
}
