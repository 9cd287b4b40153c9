//! The book against everything it was ever told.

use metsuke_event::{EndpointId, LossInterval, Timestamp};
use proptest::prelude::*;

use super::book::{LABEL_BYTES, LossBook, SEVERAL};
use crate::request::TimeRange;

fn loss(endpoint: u128, reason: &str, from: i64, length: i64) -> LossInterval {
    LossInterval {
        endpoint: EndpointId::from_u128(endpoint),
        from: Timestamp::from_nanos(from),
        to: Timestamp::from_nanos(from + length),
        part: "spool".to_owned(),
        reason: reason.to_owned(),
        lost: Some(1),
    }
}

fn told() -> impl Strategy<Value = LossInterval> {
    (1_u128..4, 0_usize..12, 0_i64..500, 0_i64..30, prop::option::weighted(0.9, 0_u64..9)).prop_map(
        |(endpoint, reason, from, length, lost)| LossInterval {
            lost,
            ..loss(endpoint, &format!("reason-{reason}"), from, length)
        },
    )
}

/// The answer's reason without what is said about joining.
fn reason(loss: &LossInterval) -> &str {
    loss.reason.split(" (").next().unwrap_or_default()
}

fn joined_from(loss: &LossInterval) -> u64 {
    let said = loss.reason.split(" (").nth(1).and_then(|rest| rest.split(' ').next());
    said.map_or(1, |count| count.parse().unwrap())
}

/// Every instant of `wanted` is in an interval of its endpoint, of its reason or of "several".
fn covered(answer: &[LossInterval], wanted: &LossInterval) -> bool {
    let end = wanted.to.max(wanted.from.plus_nanos(1)).as_nanos();
    (wanted.from.as_nanos()..end).all(|instant| {
        let instant = Timestamp::from_nanos(instant);
        answer.iter().any(|loss| {
            loss.endpoint == wanted.endpoint
                && (reason(loss) == wanted.reason || reason(loss) == SEVERAL)
                && loss.overlaps(instant, instant.plus_nanos(1))
        })
    })
}

proptest! {
    #[test]
    fn nothing_told_is_ever_forgotten(
        most in 1_usize..20,
        split in 0_usize..60,
        told in prop::collection::vec(told(), 1..120),
    ) {
        let (first, second) = told.split_at(split.min(told.len()));
        let mut book = LossBook::new(most);
        for loss in first {
            book.add(loss.clone());
        }
        let mut other = LossBook::new(most);
        for loss in second {
            other.add(loss.clone());
        }
        book.absorb(other);
        let answer = book.overlapping(TimeRange::ALL);
        prop_assert_eq!(answer.len(), book.len());
        for wanted in &told {
            prop_assert!(covered(&answer, wanted), "{wanted:?} in {answer:?}");
        }
        for endpoint in (1..4).map(EndpointId::from_u128) {
            let of = |all: &[LossInterval]| -> Vec<LossInterval> {
                all.iter().filter(|loss| loss.endpoint == endpoint).cloned().collect()
            };
            let (kept, mut wanted) = (of(&answer), of(&told));
            prop_assert!(kept.len() <= most);
            prop_assert_eq!(kept.iter().map(joined_from).sum::<u64>(), wanted.len() as u64);
            // Unknown stays unknown, known counts add up.
            let known = |all: &[LossInterval]| all.iter().filter_map(|loss| loss.lost).sum::<u64>();
            if wanted.iter().all(|loss| loss.lost.is_some()) {
                prop_assert_eq!(known(&kept), known(&wanted));
            } else {
                prop_assert!(kept.iter().any(|loss| loss.lost.is_none()));
            }
            if wanted.len() <= most {
                wanted.sort_by_key(|loss| (loss.from, loss.to));
                prop_assert_eq!(kept.len(), wanted.len(), "joined without need");
            }
        }
        prop_assert_eq!(book.joined() + book.len() as u64, told.len() as u64);
    }
}

#[test]
fn one_endpoint_with_many_costs_the_others_nothing() {
    let mut book = LossBook::default();
    book.add(loss(1, "sensor_down", 5, 10));
    for number in 0..100_000 {
        book.add(loss(2, "queue_full", number * 100, 10));
        // Also where all gaps are alike, no more are joined than must be.
        assert!(number < 256 || book.len() > 190, "{number}: {}", book.len());
    }
    let answer = book.overlapping(TimeRange::ALL);
    let of_one: Vec<_> =
        answer.iter().filter(|loss| loss.endpoint == EndpointId::from_u128(1)).collect();
    assert_eq!(of_one, [&loss(1, "sensor_down", 5, 10)]);
    assert!(answer.len() <= 257, "{}", answer.len());
    let newest: Vec<_> = answer.iter().rev().take(100).map(|loss| loss.reason.as_str()).collect();
    assert_eq!(newest, ["queue_full"; 100], "what is recent stays as it was told");
    assert!(book.joined() > 99_000, "{}", book.joined());
    let lost: u64 = answer.iter().filter_map(|loss| loss.lost).sum();
    assert_eq!(lost, 100_001);
}

#[test]
fn what_touches_is_joined_before_what_does_not() {
    let mut book = LossBook::new(4);
    for (from, length) in [(0, 10), (10, 10), (15, 20), (1_000, 1), (50_000, 1)] {
        book.add(loss(1, "queue_full", from, length));
    }
    let answer = book.overlapping(TimeRange::ALL);
    let spans: Vec<_> =
        answer.iter().map(|loss| (loss.from.as_nanos(), loss.to.as_nanos())).collect();
    assert_eq!(spans, [(0, 35), (1_000, 1_001), (50_000, 50_001)]);
    assert_eq!(answer[0].reason, "queue_full (3 intervals joined)");
    assert_eq!(answer[1].reason, "queue_full");
}

#[test]
fn labels_of_any_length_and_number_are_bounded() {
    let mut book = LossBook::new(8);
    for number in 0..50 {
        book.add(loss(1, &format!("{number}{}", "実".repeat(9_000)), number * 1_000, 1));
    }
    let answer = book.overlapping(TimeRange::ALL);
    assert!(answer.len() <= 8);
    assert!(answer.iter().all(|loss| loss.reason.len() <= LABEL_BYTES + 40), "{answer:?}");
    assert!(answer.iter().any(|loss| reason(loss) == SEVERAL));
}
