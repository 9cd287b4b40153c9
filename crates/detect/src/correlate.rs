//! The rule layer: hits counted and joined per key in a window of event time.
//!
//! Windows slide and are judged at every hit, late ones too: a hit may come out of order as long as
//! what it belongs with is still held, that is for twice the timespan, by the clock of its own host and
//! what two hosts agree on. A rule strikes at most once
//! per key and timespan. Invariant: at most [`bounds::CORRELATION_KEYS`] keys, at most
//! [`bounds::CORRELATION_HITS`] hits per key ([`bounds::SEQUENCE_HITS`] of a sequence); what is
//! dropped is counted.

use std::collections::{HashMap, VecDeque};

use metsuke_event::finding::Layer;
use metsuke_event::{EventId, Timestamp};

use crate::bounds;
use crate::first_seen::Learned;
use crate::predicate::FieldIx;
use crate::question::Question;
use crate::ruleset::RuleSet;

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) question: Question,
    /// How many detections it refers to.
    pub(crate) references: usize,
    pub(crate) scope: Scope,
    /// Per measure and reference the fields whose values, put together, are counted.
    pub(crate) measures: Vec<Vec<Vec<FieldIx>>>,
    pub(crate) timespan_nanos: i64,
    /// How it was written, for people.
    pub(crate) shown: String,
    /// Per reference the filter or rule it means.
    pub(crate) stands_on: Vec<(Layer, usize)>,
    /// Tells whether state kept for it still means the same.
    pub(crate) digest: u64,
}

/// What hits must share to be joined; beside it, always, the tenant.
#[derive(Debug)]
pub(crate) enum Scope {
    /// Per reference the fields.
    Fields(Vec<Vec<FieldIx>>),
    Storyline,
    Host,
    /// One user of one host, by this field.
    User(FieldIx),
    Fleet,
}

/// A hit on its way into a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) time: Timestamp,
    pub(crate) event: EventId,
    /// Which of the rule's references it is.
    pub(crate) reference: usize,
    /// Per measure the value.
    pub(crate) values: Vec<Option<String>>,
    /// Its process, the parent and so on, when the rule asks for kinship.
    pub(crate) line: Vec<String>,
}

impl Seen {
    /// The value of a measure.
    pub(crate) fn value(&self, measure: usize) -> Option<&str> {
        self.values.get(measure)?.as_deref()
    }
}

/// What a rule found: the hits it stands on, by time.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    pub(crate) hits: Vec<Seen>,
}

/// Identity of a window: rule, tenant, values of the key.
pub(crate) type Key = (usize, u32, Vec<String>);

/// The hits of one key.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Window {
    pub(crate) hits: VecDeque<Seen>,
    pub(crate) struck: Option<Timestamp>,
    pub(crate) newest: Timestamp,
}

/// The state of all rules.
#[derive(Debug, Default)]
pub(crate) struct Correlator {
    pub(crate) windows: HashMap<Key, Window>,
    pub(crate) learned: Learned,
    /// Keys dropped since the beginning.
    pub(crate) evicted: u64,
    /// Hits dropped out of windows that were full.
    pub(crate) evicted_hits: u64,
}

impl Correlator {
    /// Takes a hit; what the rule makes of it.
    pub(crate) fn take(&mut self, rules: &RuleSet, key: Key, seen: Seen) -> Option<Struck> {
        let rule = &rules.correlations[key.0];
        if let Question::FirstSeen(asked) = rule.question {
            let value = seen.value(0)?;
            let new = self.learned.take(asked, key, value, seen.time);
            return new.then(|| Struck { hits: vec![seen] });
        }
        if !self.windows.contains_key(&key) {
            self.make_room();
        }
        let window = self.windows.entry(key).or_default();
        let at = window.insert(rule, seen, &mut self.evicted_hits)?;
        let (hits, time) = window.judge(rule, at)?;
        if !rule.waits() {
            window.struck = Some(time);
        }
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
    fn insert(&mut self, rule: &Rule, seen: Seen, evicted: &mut u64) -> Option<usize> {
        let held = rule.timespan_nanos.saturating_mul(2);
        if self.past(held)(&seen) {
            return None;
        }
        let at = self.hits.partition_point(|hit| hit.time <= seen.time);
        let twin = |hit: &Seen| hit.event == seen.event && hit.reference == seen.reference;
        let mut same_time = self.hits.range(..at).rev().take_while(|hit| hit.time == seen.time);
        if same_time.any(twin) {
            return None;
        }
        self.newest = if self.hits.is_empty() { seen.time } else { self.newest.max(seen.time) };
        self.hits.insert(at, seen);
        let mut dropped = self.let_go(held, at);
        if self.hits.len() > rule.room() {
            let least = self.least_needed(rule);
            self.hits.remove(least);
            *evicted += 1;
            if least + dropped == at {
                return None;
            }
            dropped += usize::from(least + dropped < at);
        }
        at.checked_sub(dropped)
    }

    /// What is too old to be held for so long: of the host whose hit is the newest by that one, of
    /// others by the newest of theirs, so that no clock that is ahead ends what others do.
    fn past(&self, held: i64) -> impl Fn(&Seen) -> bool + use<> {
        let edge = |hit: &Seen| hit.time.plus_nanos(-held);
        let newest = self.hits.back().map(|hit| (hit.event.endpoint, edge(hit)));
        let other = |hit: &&Seen| newest.is_some_and(|(host, _)| hit.event.endpoint != host);
        let others = self.hits.iter().rev().find(other).map(edge);
        move |hit| {
            let own = newest.filter(|(host, _)| hit.event.endpoint == *host);
            own.map(|(_, edge)| edge).or(others).is_some_and(|edge| hit.time < edge)
        }
    }

    /// Drops what is too old; how many before the hit at `at`.
    fn let_go(&mut self, held: i64, at: usize) -> usize {
        let oldest = self.newest.plus_nanos(-held);
        if self.hits.front().is_none_or(|hit| hit.time >= oldest) {
            return 0;
        }
        let past = self.past(held);
        let (mut index, mut before) = (0, 0);
        self.hits.retain(|hit| {
            let past = past(hit);
            before += usize::from(past && index < at);
            index += 1;
            !past
        });
        before
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

    /// The hits of the first window that holds the one at `at` and answers the question, and the
    /// time of its last; nothing when the rule struck within the timespan of it.
    fn judge(&self, rule: &Rule, at: usize) -> Option<(Vec<Seen>, Timestamp)> {
        if let Question::Sequence(sequence) = &rule.question {
            let chain = sequence.find(&self.hits, at)?;
            let hits: Vec<Seen> = chain.iter().map(|index| self.hits[*index].clone()).collect();
            let time = hits.last()?.time;
            return self.rested(rule, time).then_some((hits, time));
        }
        let time = self.hits.get(at)?.time;
        for end in at..self.hits.len() {
            let last = self.hits[end].time;
            let begin = last.plus_nanos(-rule.timespan_nanos);
            if begin > time {
                break;
            }
            if !self.rested(rule, last) {
                continue;
            }
            let from = self.hits.partition_point(|hit| hit.time < begin);
            let hits: Vec<&Seen> = self.hits.range(from..=end).collect();
            if let Some(found) = rule.question.answer(rule.references, &hits) {
                return Some((found, last));
            }
        }
        None
    }

    /// Whether it did not strike within the timespan of `time`.
    pub(crate) fn rested(&self, rule: &Rule, time: Timestamp) -> bool {
        self.struck
            .is_none_or(|struck| time.nanos_since(struck).saturating_abs() >= rule.timespan_nanos)
    }
}

impl Rule {
    /// Whether it strikes only when something has not come.
    pub(crate) fn waits(&self) -> bool {
        matches!(&self.question, Question::Sequence(sequence) if sequence.trailing.is_some())
    }

    /// Hits that a window of it holds.
    fn room(&self) -> usize {
        match self.question {
            Question::Sequence(_) => bounds::SEQUENCE_HITS,
            _ => bounds::CORRELATION_HITS,
        }
    }
}
