//! What a rule asks of the hits it was given, and the answer for one window of them.
//!
//! A window is judged at every hit, over what lies within the timespan before its last hit. Upper
//! bounds are judged then too, not when time has passed: `lt: 3` holds at the first hit.

use std::collections::HashSet;

use metsuke_event::EventId;

use crate::correlate::Seen;
use crate::indicator::Asked;
use crate::sequence::Sequence;
use crate::sigma::condition::Condition;

/// What a rule asks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Question {
    /// How many events.
    Count(Range),
    /// How many values of the first measure.
    Values(Range),
    /// What the numbers of the first measure come to.
    Number(Reckoned, Range),
    /// Which of the references struck, in any order.
    Temporal(Condition),
    /// How many of the references struck.
    Several(Range),
    /// All references struck, in the order they are listed.
    Ordered,
    /// At least so many events, and of each measure at least so many values.
    Threshold(usize, Vec<usize>),
    /// Steps in order.
    Sequence(Sequence),
    /// A value of the first measure that is new.
    FirstSeen(FirstSeen),
    /// A sighting of an indicator; not asked of hits.
    Indicator(Asked),
}

/// How numbers become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reckoned {
    Sum,
    Average,
    /// The smallest number that so many per cent of all do not exceed (nearest rank).
    Percentile(f64),
}

/// When a value is new, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstSeen {
    /// Not seen for longer than this.
    pub(crate) within_nanos: i64,
    /// Nothing is new before so much has passed since the first hit.
    pub(crate) learning_nanos: i64,
}

/// Comparisons that hold together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Range(pub(crate) Vec<(Bound, f64)>);

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Other,
}

impl Range {
    /// Whether `value` meets all of them.
    pub(crate) fn holds(&self, value: f64) -> bool {
        self.0.iter().all(|(bound, limit)| match bound {
            Bound::Below => value < *limit,
            Bound::AtMost => value <= *limit,
            Bound::Above => value > *limit,
            Bound::AtLeast => value >= *limit,
            Bound::Equal => value.total_cmp(limit).is_eq(),
            Bound::Other => value.total_cmp(limit).is_ne(),
        })
    }

    /// Whether the number `count` meets all of them.
    pub(crate) fn holds_count(&self, count: usize) -> bool {
        self.holds(f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
    }
}

impl Question {
    /// The hits that answer it, by time, if these of one window do.
    pub(crate) fn answer(&self, references: usize, hits: &[&Seen]) -> Option<Vec<Seen>> {
        let all = || hits.iter().map(|hit| (*hit).clone()).collect::<Vec<_>>();
        match self {
            Self::Count(range) => range.holds_count(events(hits)).then(all),
            Self::Values(range) => {
                let firsts = firsts(hits, 0);
                range.holds_count(firsts.len()).then_some(firsts)
            }
            Self::Number(reckoned, range) => {
                let numbers = hits.iter().filter_map(|hit| hit.value(0)?.trim().parse().ok());
                let value = reckoned.of(numbers.filter(|one: &f64| one.is_finite()).collect())?;
                range.holds(value).then(all)
            }
            Self::Threshold(least, distinct) => {
                let values = distinct.iter().enumerate();
                let enough = events(hits) >= *least
                    && values
                        .into_iter()
                        .all(|(measure, least)| firsts(hits, measure).len() >= *least);
                enough.then(all)
            }
            Self::Temporal(condition) => {
                let found = of_references(references, hits);
                let there = |index: usize| found[index].is_some();
                holds(condition, &there).then(|| by_time(&found))
            }
            Self::Several(range) => {
                let found = of_references(references, hits);
                range.holds_count(found.iter().flatten().count()).then(|| by_time(&found))
            }
            Self::Ordered => {
                let mut found = Vec::new();
                for hit in hits {
                    if hit.reference == found.len() {
                        found.push((*hit).clone());
                    }
                }
                (found.len() == references).then_some(found)
            }
            // Neither looks at windows.
            Self::Sequence(_) | Self::FirstSeen(_) | Self::Indicator(_) => None,
        }
    }
}

impl Reckoned {
    fn of(self, mut numbers: Vec<f64>) -> Option<f64> {
        if numbers.is_empty() {
            return None;
        }
        let count = f64::from(u32::try_from(numbers.len()).unwrap_or(u32::MAX));
        let sum: f64 = numbers.iter().sum();
        match self {
            Self::Sum => Some(sum),
            Self::Average => Some(sum / count),
            Self::Percentile(percent) => {
                numbers.sort_by(f64::total_cmp);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 100 per cent of a small count"
                )]
                let rank = (percent / 100.0 * count).ceil() as usize;
                numbers.get(rank.clamp(1, numbers.len()) - 1).copied()
            }
        }
    }
}

/// How many events the hits are of: one event may strike for several references.
fn events(hits: &[&Seen]) -> usize {
    hits.iter().map(|hit| &hit.event).collect::<HashSet<&EventId>>().len()
}

/// For each value of a measure the first hit that has it.
fn firsts(hits: &[&Seen], measure: usize) -> Vec<Seen> {
    let mut values = HashSet::new();
    hits.iter()
        .filter(|hit| hit.value(measure).is_some_and(|value| values.insert(value)))
        .map(|hit| (*hit).clone())
        .collect()
}

/// The first hit of each reference.
fn of_references<'h>(references: usize, hits: &[&'h Seen]) -> Vec<Option<&'h Seen>> {
    let mut firsts: Vec<Option<&Seen>> = vec![None; references];
    for hit in hits {
        firsts[hit.reference].get_or_insert(hit);
    }
    firsts
}

fn by_time(found: &[Option<&Seen>]) -> Vec<Seen> {
    let mut found: Vec<Seen> = found.iter().copied().flatten().cloned().collect();
    found.sort_by_key(|hit| hit.time);
    found
}

fn holds(condition: &Condition, there: &impl Fn(usize) -> bool) -> bool {
    match condition {
        Condition::Search(index) => there(*index),
        Condition::Not(inner) => !holds(inner, there),
        Condition::All(parts) => parts.iter().all(|part| holds(part, there)),
        Condition::Some(number, parts) => {
            parts.iter().filter(|part| holds(part, there)).count() >= *number
        }
    }
}
