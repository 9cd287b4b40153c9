//! The rule layer: hits counted and joined per key in a window of event time.
//!
//! Windows slide and are judged at every hit, late ones too: a hit may come out of order as long as
//! what it belongs with is still held. A rule strikes at most once per key and timespan.
//! Invariant: at most [`bounds::CORRELATION_KEYS`] keys, at most [`bounds::CORRELATION_HITS`] hits
//! per key; when keys are dropped the count says so.

use std::collections::{HashMap, HashSet, VecDeque};

use metsuke_event::finding::Layer;
use metsuke_event::{EventId, Timestamp};

use crate::bounds;
use crate::predicate::FieldIx;
use crate::sigma::condition::Condition;

/// A compiled correlation.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) question: Question,
    /// How many detections it refers to.
    pub(crate) references: usize,
    /// Per reference the fields that make the key.
    pub(crate) group_by: Vec<Vec<FieldIx>>,
    pub(crate) timespan_nanos: i64,
    /// How it was written, for people.
    pub(crate) shown: String,
    /// Per reference the filter or rule it means.
    pub(crate) stands_on: Vec<(Layer, usize)>,
}

/// What a correlation asks of the hits in its window.
#[derive(Debug)]
pub(crate) enum Question {
    EventCount(usize),
    ValueCount(usize, FieldIx),
    Temporal(Condition),
    Ordered,
}

/// A hit on its way into a rule.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) time: Timestamp,
    pub(crate) event: EventId,
    /// Which of the rule's references it is.
    pub(crate) reference: usize,
    /// The value that is counted, for a count of values.
    pub(crate) value: Option<String>,
}

/// What a rule found: the hits it stands on, by time.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    pub(crate) hits: Vec<Seen>,
}

/// Identity of a window: rule, tenant, values of the key.
pub(crate) type Key = (usize, u32, Vec<String>);

#[derive(Debug, Default)]
struct Window {
    hits: VecDeque<Seen>,
    struck: Option<Timestamp>,
    newest: Timestamp,
}

/// The state of all rules.
#[derive(Debug, Default)]
pub(crate) struct Correlator {
    windows: HashMap<Key, Window>,
    /// Keys dropped since the beginning.
    pub(crate) evicted: u64,
}

impl Correlator {
    /// Takes a hit; what the rule makes of it.
    pub(crate) fn take(&mut self, rule: &Rule, key: Key, seen: Seen) -> Option<Struck> {
        if !self.windows.contains_key(&key) {
            self.make_room();
        }
        let window = self.windows.entry(key).or_default();
        let at = window.insert(rule, seen)?;
        let hits = window.judge(rule, at)?;
        let time = hits.last()?.time;
        if let Some(struck) = window.struck
            && time.nanos_since(struck).abs() < rule.timespan_nanos
        {
            return None;
        }
        window.struck = Some(time);
        Some(Struck { hits })
    }

    /// Drops the eighth of the keys that were touched longest ago, when there are too many.
    fn make_room(&mut self) {
        if self.windows.len() < bounds::CORRELATION_KEYS {
            return;
        }
        let mut times: Vec<Timestamp> = self.windows.values().map(|window| window.newest).collect();
        let (_, edge, _) = times.select_nth_unstable(bounds::CORRELATION_KEYS / 8);
        let edge = *edge;
        let before = self.windows.len();
        self.windows.retain(|_, window| window.newest > edge);
        self.evicted += (before - self.windows.len()) as u64;
    }
}

impl Window {
    /// Puts `seen` in its place by time; its index, or nothing when it is known or too old.
    fn insert(&mut self, rule: &Rule, seen: Seen) -> Option<usize> {
        let oldest = self.newest.plus_nanos(-rule.timespan_nanos.saturating_mul(2));
        if !self.hits.is_empty() && seen.time < oldest {
            return None;
        }
        let at = self.hits.partition_point(|hit| hit.time <= seen.time);
        let twin = |hit: &&Seen| hit.event == seen.event && hit.reference == seen.reference;
        if self
            .hits
            .iter()
            .take(at)
            .rev()
            .take_while(|hit| hit.time == seen.time)
            .any(|hit| twin(&hit))
        {
            return None;
        }
        self.newest = self.newest.max(seen.time);
        self.hits.insert(at, seen);
        let oldest = self.newest.plus_nanos(-rule.timespan_nanos.saturating_mul(2));
        let mut dropped = self.hits.partition_point(|hit| hit.time < oldest);
        self.hits.drain(..dropped);
        if self.hits.len() > bounds::CORRELATION_HITS {
            self.hits.remove(self.least_needed(rule));
            dropped += 1;
        }
        at.checked_sub(dropped)
    }

    /// The oldest hit of the reference that has the most: a flood of one cannot push out others.
    fn least_needed(&self, rule: &Rule) -> usize {
        let mut counts = vec![0_usize; rule.references];
        for hit in &self.hits {
            if let Some(count) = counts.get_mut(hit.reference) {
                *count += 1;
            }
        }
        let most = (0..counts.len()).max_by_key(|reference| counts[*reference]).unwrap_or(0);
        self.hits.iter().position(|hit| hit.reference == most).unwrap_or(0)
    }

    /// The hits of the first window that holds the one at `at` and answers the question.
    fn judge(&self, rule: &Rule, at: usize) -> Option<Vec<Seen>> {
        let time = self.hits.get(at)?.time;
        for end in at..self.hits.len() {
            let begin = self.hits[end].time.plus_nanos(-rule.timespan_nanos);
            if begin > time {
                break;
            }
            let from = self.hits.partition_point(|hit| hit.time < begin);
            let hits: Vec<&Seen> = self.hits.range(from..=end).collect();
            if let Some(found) = rule.question.answer(rule.references, &hits) {
                return Some(found);
            }
        }
        None
    }
}

impl Question {
    /// The hits that answer it, if these do.
    fn answer(&self, references: usize, hits: &[&Seen]) -> Option<Vec<Seen>> {
        match self {
            Self::EventCount(least) => {
                let events: HashSet<&EventId> = hits.iter().map(|hit| &hit.event).collect();
                (events.len() >= *least).then(|| hits.iter().map(|hit| (*hit).clone()).collect())
            }
            Self::ValueCount(least, _) => {
                let mut values = HashSet::new();
                let firsts: Vec<Seen> = hits
                    .iter()
                    .filter(|hit| hit.value.as_ref().is_some_and(|value| values.insert(value)))
                    .map(|hit| (*hit).clone())
                    .collect();
                (firsts.len() >= *least).then_some(firsts)
            }
            Self::Temporal(condition) => {
                let mut firsts: Vec<Option<&Seen>> = vec![None; references];
                for hit in hits {
                    firsts[hit.reference].get_or_insert(hit);
                }
                let there = |index: usize| firsts[index].is_some();
                holds(condition, &there).then(|| {
                    let mut found: Vec<Seen> = firsts.iter().copied().flatten().cloned().collect();
                    found.sort_by_key(|hit| hit.time);
                    found
                })
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
        }
    }
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
