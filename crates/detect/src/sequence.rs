//! Sequences: steps in the order of their time, with what must not come between.
//!
//! A sequence is found when one of its hits comes in, late or not, with the others held: of the
//! chains that hold this hit the one that ends first, begun as late as possible. Steps are
//! different events; hits of one time stand in the order they came in.

use std::collections::VecDeque;

use crate::correlate::Seen;

/// What is looked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sequence {
    pub(crate) steps: Vec<Step>,
    /// Nanoseconds from the first step to the last at most.
    pub(crate) span_nanos: i64,
    /// Per reference whether it ends a sequence that has begun.
    pub(crate) until: Vec<bool>,
    /// What must not come after the last step.
    pub(crate) trailing: Option<Trailing>,
}

/// What must not come after the last step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trailing {
    /// Per reference whether it is that.
    pub(crate) without: Vec<bool>,
    /// Nanoseconds since the last step.
    pub(crate) within_nanos: i64,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Per reference whether it is this step.
    pub(crate) is: Vec<bool>,
    /// Per reference whether it must not strike between the step before and this.
    pub(crate) without: Vec<bool>,
    /// Nanoseconds since the step before at most.
    pub(crate) within_nanos: Option<i64>,
    /// What its process is to that of the step before.
    pub(crate) kinship: Option<Kinship>,
}

/// What one process is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    Same,
    Child,
    Descendant,
    Parent,
    Ancestor,
}

impl Kinship {
    /// The kinship of that name in a document.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "same" => Self::Same,
            "child" => Self::Child,
            "descendant" => Self::Descendant,
            "parent" => Self::Parent,
            "ancestor" => Self::Ancestor,
            _ => return None,
        })
    }

    /// Whether the process of `line` (itself, parent, grandparent …) is that to the one of `other`.
    fn holds(self, line: &[String], other: &[String]) -> bool {
        let (Some(own), Some(others)) = (line.first(), other.first()) else { return false };
        match self {
            Self::Same => own == others,
            Self::Child => line.get(1) == Some(others),
            Self::Descendant => line[1..].contains(others),
            Self::Parent => other.get(1) == Some(own),
            Self::Ancestor => other[1..].contains(own),
        }
    }
}

/// The best way to a step at a hit: where the chain begins, and the hit before.
type Way = Option<(usize, usize)>;

impl Sequence {
    /// Whether its steps ask for a process's line.
    pub(crate) fn asks_kinship(&self) -> bool {
        self.steps.iter().any(|step| step.kinship.is_some())
    }

    /// The first chain that holds the hit at `at`: indexes of its hits.
    pub(crate) fn find(&self, hits: &VecDeque<Seen>, at: usize) -> Option<Vec<usize>> {
        let reference = hits.get(at)?.reference;
        let forced = (0..self.steps.len()).filter(|step| self.steps[*step].is[reference]);
        forced
            .filter_map(|step| self.through(hits, (step, at)))
            .min_by_key(|chain| chain.last().copied())
    }

    /// The first chain whose step `forced.0` is the hit at `forced.1`.
    fn through(&self, hits: &VecDeque<Seen>, forced: (usize, usize)) -> Option<Vec<usize>> {
        let allowed = |step: usize, at: usize| {
            self.steps[step].is[hits[at].reference] && (step != forced.0 || at == forced.1)
        };
        let first = |at: usize| allowed(0, at).then_some((at, at));
        let mut ways: Vec<Vec<Way>> = vec![(0..hits.len()).map(first).collect()];
        for (index, step) in self.steps.iter().enumerate().skip(1) {
            let before = &ways[index - 1];
            let way = |at: usize| {
                if allowed(index, at) { self.way(hits, step, before, at) } else { None }
            };
            ways.push((0..hits.len()).map(way).collect());
        }
        let last = self.steps.len() - 1;
        let end = (forced.1..hits.len()).find(|at| ways[last][*at].is_some())?;
        let mut chain = vec![end];
        for step in (1..=last).rev() {
            let (_, before) = ways[step][chain[chain.len() - 1]]?;
            chain.push(before);
        }
        chain.reverse();
        Some(chain)
    }

    /// The best way to `step` at the hit `at`: the one that began last, for it is the freest.
    fn way(&self, hits: &VecDeque<Seen>, step: &Step, before: &[Way], at: usize) -> Way {
        let hit = &hits[at];
        let mut best: Way = None;
        for from in (0..at).rev() {
            let near = hit.time.nanos_since(hits[from].time);
            if near > self.span_nanos {
                break;
            }
            if let Some((start, _)) = before[from]
                && best.is_none_or(|(known, _)| start > known)
                && hit.time.nanos_since(hits[start].time) <= self.span_nanos
                && step.within_nanos.is_none_or(|within| near <= within)
                && hits[from].event != hit.event
                && step.kinship.is_none_or(|kin| kin.holds(&hit.line, &hits[from].line))
                && !hits.range(start + 1..at).any(|between| self.until[between.reference])
            {
                best = Some((start, from));
            }
            if step.without[hits[from].reference] {
                break;
            }
        }
        best
    }
}
