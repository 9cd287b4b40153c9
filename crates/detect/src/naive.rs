//! Test: windows, sequences and first-seen rules against models that keep everything and try all.

use std::collections::BTreeSet;

use metsuke_event::{EventId, Timestamp};
use proptest::prelude::*;

use crate::correlate::{Correlator, Rule, Scope, Seen};
use crate::question::{Bound, FirstSeen, Question, Range, Reckoned};
use crate::ruleset::RuleSet;
use crate::sequence::{Kinship, Sequence, Step};
use crate::sigma::condition::Condition;

const SPAN: i64 = 10;
const REFERENCES: usize = 3;

fn hit() -> impl Strategy<Value = Seen> {
    let value = prop::option::of(0_i32..6);
    (0_i64..45, 0_u64..40, 0..REFERENCES, value, 0_usize..4).prop_map(
        |(time, seq, reference, value, process)| Seen {
            time: Timestamp::from_nanos(time),
            event: EventId { seq, ..EventId::default() },
            reference,
            values: vec![value.map(|value| value.to_string())],
            // Four processes, each the parent of the next.
            line: (0..=process).rev().map(|one| format!("p{one}")).collect(),
        },
    )
}

/// Hits in some order; one event has one time.
fn hits() -> impl Strategy<Value = Vec<Seen>> {
    prop::collection::vec(hit(), 0..30).prop_map(|mut hits| {
        for index in 0..hits.len() {
            let first = hits.iter().find(|hit| hit.event == hits[index].event);
            let (time, line) = first.map(|first| (first.time, first.line.clone())).expect("itself");
            (hits[index].time, hits[index].line) = (time, line);
        }
        hits
    })
}

fn range() -> impl Strategy<Value = Range> {
    let bound = prop::sample::select(vec![
        Bound::Below,
        Bound::AtMost,
        Bound::Above,
        Bound::AtLeast,
        Bound::Equal,
        Bound::Other,
    ]);
    prop::collection::vec((bound, (0_i32..7).prop_map(f64::from)), 1..3).prop_map(Range)
}

fn windowed() -> impl Strategy<Value = Question> {
    let reckoned = prop::sample::select(vec![
        Reckoned::Sum,
        Reckoned::Average,
        Reckoned::Percentile(50.0),
        Reckoned::Percentile(95.0),
    ]);
    let either = || Condition::Some(1, vec![Condition::Search(1), Condition::Search(2)]);
    prop_oneof![
        range().prop_map(Question::Count),
        range().prop_map(Question::Values),
        (reckoned, range()).prop_map(|(reckoned, range)| Question::Number(reckoned, range)),
        range().prop_map(Question::Several),
        Just(Question::Ordered),
        Just(Question::Temporal(Condition::All(vec![Condition::Search(0), either()]))),
        (1_usize..5, 1_usize..4).prop_map(|(hits, values)| Question::Threshold(hits, vec![values])),
    ]
}

fn sequence() -> impl Strategy<Value = Question> {
    let marks = || prop::collection::vec(prop::bool::weighted(0.3), REFERENCES);
    let one = (0..REFERENCES).prop_map(|one| (0..REFERENCES).map(|is| is == one).collect());
    let is = prop_oneof![3 => one, 1 => marks()];
    let kinship = prop::option::weighted(
        0.4,
        prop::sample::select(vec![
            Kinship::Same,
            Kinship::Child,
            Kinship::Descendant,
            Kinship::Parent,
            Kinship::Ancestor,
        ]),
    );
    let within = prop::option::weighted(0.3, 1_i64..8);
    let step = (is, marks(), within, kinship).prop_map(|(is, without, within_nanos, kinship)| {
        Step { is, without, within_nanos, kinship }
    });
    (
        prop::collection::vec(step, 2..4),
        prop::collection::vec(prop::bool::weighted(0.15), REFERENCES),
    )
        .prop_map(|(steps, until)| {
            Question::Sequence(Sequence { steps, span_nanos: SPAN, until, trailing: None })
        })
}

fn rules(question: Question) -> RuleSet {
    let rule = Rule {
        question,
        references: REFERENCES,
        scope: Scope::Fleet,
        measures: Vec::new(),
        timespan_nanos: SPAN,
        shown: String::new(),
        stands_on: Vec::new(),
        digest: 0,
    };
    RuleSet { correlations: vec![rule], ..RuleSet::default() }
}

/// Which of the hits made the real thing strike, and the hits it stood on.
fn real(question: &Question, hits: &[Seen]) -> Vec<(usize, Vec<Seen>)> {
    let rules = rules(question.clone());
    let mut correlator = Correlator::default();
    let found = hits.iter().enumerate().filter_map(|(index, hit)| {
        let struck = correlator.take(&rules, (0, 0, Vec::new()), hit.clone())?;
        Some((index, struck.hits))
    });
    found.collect()
}

/// The same by keeping every hit and looking at all of them each time.
fn model(question: &Question, hits: &[Seen]) -> Vec<(usize, Vec<Seen>)> {
    let mut kept: Vec<Seen> = Vec::new();
    let mut struck: Option<i64> = None;
    let mut found = Vec::new();
    for (index, hit) in hits.iter().enumerate() {
        let newest = kept.iter().map(|hit| hit.time).max().unwrap_or(hit.time);
        let twin = kept.iter().any(|one| one.event == hit.event && one.reference == hit.reference);
        if twin || hit.time.nanos_since(newest) < -2 * SPAN {
            continue;
        }
        let at = kept.iter().filter(|one| one.time <= hit.time).count();
        kept.insert(at, hit.clone());
        let newest = newest.max(hit.time);
        let held: Vec<usize> = (0..kept.len())
            .filter(|index| newest.nanos_since(kept[*index].time) <= 2 * SPAN)
            .collect();
        let rested =
            |time: Timestamp| struck.is_none_or(|struck| (time.as_nanos() - struck).abs() >= SPAN);
        let answer = match question {
            Question::Sequence(sequence) => chains(sequence, &kept, &held, at)
                .into_iter()
                .min_by_key(|chain| chain.last().copied())
                .map(|chain| chain.iter().map(|index| kept[*index].clone()).collect::<Vec<_>>())
                .filter(|chain| chain.last().is_some_and(|last| rested(last.time)))
                .map(|chain| (chain[chain.len() - 1].time, chain)),
            _ => held.iter().filter(|end| **end >= at).find_map(|end| {
                let last = kept[*end].time;
                let inside = |hit: &&Seen| hit.time <= last && last.nanos_since(hit.time) <= SPAN;
                let upto = held.iter().filter(|index| **index <= *end);
                let window: Vec<&Seen> = upto.map(|index| &kept[*index]).filter(inside).collect();
                let near = last.nanos_since(hit.time) <= SPAN && rested(last);
                (near && asked(question, &window))
                    .then(|| (last, window.into_iter().cloned().collect()))
            }),
        };
        if let Some((time, hits)) = answer {
            struck = Some(time.as_nanos());
            found.push((index, hits));
        }
    }
    found
}

/// Every chain of held hits that holds the one at `at`.
fn chains(sequence: &Sequence, kept: &[Seen], held: &[usize], at: usize) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = vec![Vec::new()];
    for step in &sequence.steps {
        let mut longer = Vec::new();
        for chain in chains {
            for index in held.iter().copied().filter(|index| step.is[kept[*index].reference]) {
                let Some(before) = chain.last().copied() else {
                    longer.push(vec![index]);
                    continue;
                };
                let (here, past, first) = (&kept[index], &kept[before], &kept[chain[0]]);
                let line = |one: &Seen| one.line.clone();
                let right = index > before
                    && here.event != past.event
                    && here.time.nanos_since(first.time) <= sequence.span_nanos
                    && step
                        .within_nanos
                        .is_none_or(|most| here.time.nanos_since(past.time) <= most)
                    && !(before + 1..index).any(|one| step.without[kept[one].reference])
                    && !(chain[0] + 1..index).any(|one| sequence.until[kept[one].reference])
                    && match step.kinship {
                        None => true,
                        Some(Kinship::Same) => line(here)[0] == line(past)[0],
                        Some(Kinship::Child) => line(here).get(1) == line(past).first(),
                        Some(Kinship::Parent) => line(past).get(1) == line(here).first(),
                        Some(Kinship::Descendant) => line(here)[1..].contains(&line(past)[0]),
                        Some(Kinship::Ancestor) => line(past)[1..].contains(&line(here)[0]),
                    };
                if right {
                    longer.push(chain.iter().copied().chain([index]).collect());
                }
            }
        }
        chains = longer;
    }
    chains.retain(|chain| chain.contains(&at));
    chains
}

/// Whether these hits answer the question, put as plainly as it can be.
fn asked(question: &Question, hits: &[&Seen]) -> bool {
    let distinct = |of: &dyn Fn(&Seen) -> Option<String>| {
        hits.iter().filter_map(|hit| of(hit)).collect::<BTreeSet<_>>().len()
    };
    let events = distinct(&|hit| Some(hit.event.seq.to_string()));
    let values = distinct(&|hit| hit.values[0].clone());
    let there = |reference: usize| hits.iter().any(|hit| hit.reference == reference);
    match question {
        Question::Count(range) => range.holds_count(events),
        Question::Values(range) => range.holds_count(values),
        Question::Several(range) => {
            range.holds_count((0..REFERENCES).filter(|one| there(*one)).count())
        }
        Question::Threshold(least, distinct) => events >= *least && values >= distinct[0],
        Question::Temporal(_) => there(0) && (there(1) || there(2)),
        Question::Ordered => {
            let first = |reference: usize, after: usize| {
                (after..hits.len()).find(|index| hits[*index].reference == reference)
            };
            let second = first(0, 0).and_then(|at| first(1, at + 1));
            second.and_then(|at| first(2, at + 1)).is_some()
        }
        Question::Number(reckoned, range) => {
            let numbers = hits.iter().filter_map(|hit| hit.values[0].as_ref()?.parse().ok());
            let mut numbers: Vec<f64> = numbers.collect();
            numbers.sort_by(f64::total_cmp);
            let below = |limit: f64| numbers.iter().filter(|one| **one <= limit).count();
            let of = |share: usize| {
                numbers.iter().copied().find(|one| below(*one) * 100 >= share * numbers.len())
            };
            let value = match reckoned {
                Reckoned::Sum => (!numbers.is_empty()).then(|| numbers.iter().sum()),
                Reckoned::Average => {
                    let count = f64::from(u8::try_from(numbers.len()).expect("few"));
                    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / count)
                }
                Reckoned::Percentile(percent) => of(if *percent < 60.0 { 50 } else { 95 }),
            };
            value.is_some_and(|value| range.holds(value))
        }
        Question::Sequence(_) | Question::FirstSeen(_) | Question::Indicator(_) => {
            unreachable!("no window")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn windows_strike_as_the_model_says(question in windowed(), hits in hits()) {
        let when = |found: Vec<(usize, Vec<Seen>)>| {
            found.into_iter().map(|(index, _)| index).collect::<Vec<_>>()
        };
        prop_assert_eq!(when(real(&question, &hits)), when(model(&question, &hits)));
    }

    #[test]
    fn sequences_strike_as_the_model_says(question in sequence(), hits in hits()) {
        let real = real(&question, &hits);
        let when = |found: &[(usize, Vec<Seen>)]| {
            found.iter().map(|(index, hits)| (*index, hits.last().cloned())).collect::<Vec<_>>()
        };
        prop_assert_eq!(when(&real), when(&model(&question, &hits)));
    }

    #[test]
    fn what_is_new_is_new_to_the_model(
        hits in hits(),
        within_nanos in 1_i64..20,
        learning_nanos in 0_i64..20,
    ) {
        let question = Question::FirstSeen(FirstSeen { within_nanos, learning_nanos });
        let mut expected = Vec::new();
        for (index, hit) in hits.iter().enumerate() {
            let Some(value) = &hit.values[0] else { continue };
            let past = |all: bool| {
                let hits = hits[..index].iter().filter(|one| one.values[0].is_some());
                hits.filter(move |one| all || one.values[0].as_ref() == Some(value))
            };
            let since = past(true).map(|one| one.time).min().unwrap_or(hit.time).min(hit.time);
            let last = past(false).map(|one| one.time).max();
            let new = last.is_none_or(|last| hit.time.nanos_since(last) > within_nanos);
            if new && hit.time.nanos_since(since) >= learning_nanos {
                expected.push(index);
            }
        }
        let found: Vec<usize> = real(&question, &hits).into_iter().map(|(index, _)| index).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_full_window_keeps_what_is_rare_and_counts_what_it_drops() {
    let rules =
        rules(Question::Temporal(Condition::All(vec![Condition::Search(0), Condition::Search(1)])));
    let mut correlator = Correlator::default();
    let seen = |seq: u64, reference: usize| Seen {
        time: Timestamp::from_nanos(0),
        event: EventId { seq, ..EventId::default() },
        reference,
        values: Vec::new(),
        line: Vec::new(),
    };
    let mut take =
        |seq, reference| correlator.take(&rules, (0, 0, Vec::new()), seen(seq, reference));
    assert!(take(0, 1).is_none());
    let many = crate::bounds::CORRELATION_HITS as u64 + 10;
    let struck: Vec<u64> = (1..=many).filter(|seq| take(*seq, 0).is_some()).collect();
    assert_eq!(struck, [1], "strikes once");
    assert_eq!(correlator.evicted_hits, 11);
    let window = correlator.windows.values().next().expect("one");
    assert!(window.hits.iter().any(|hit| hit.reference == 1), "the rare one is kept");
}
