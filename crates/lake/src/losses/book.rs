//! The loss intervals at hand, so many for each endpoint.
//!
//! Invariant: every instant that was ever in an interval of an endpoint stays in one of that
//! endpoint's intervals. Over the bound neighbours are joined, which widens; nothing is forgotten,
//! and one endpoint's intervals never cost another's. From how many an interval was joined is said
//! in its reason. (The health events and `losses.jsonl` keep the intervals as they were told.)

use std::collections::{BTreeSet, HashMap};

use metsuke_event::{EndpointId, LossInterval, Timestamp};

use crate::request::TimeRange;

/// Most intervals of one endpoint: what a person can look through, and with the labels' bound
/// under 100 kB of memory. The number of endpoints is bounded by enrolment.
const PER_ENDPOINT: usize = 256;
/// Longest part or reason kept, in bytes: they come from sensors, and ours are far shorter.
pub(super) const LABEL_BYTES: usize = 128;
/// Part and reason of intervals joined although their parts or reasons differ.
pub(super) const SEVERAL: &str = "several";

/// One interval, perhaps joined from several.
#[derive(Clone, Debug)]
struct Kept {
    told: LossInterval,
    /// How many intervals it stands for.
    of: u64,
}

impl Kept {
    /// Exclusive; an interval without length is a moment.
    fn end(&self) -> Timestamp {
        self.told.to.max(self.told.from.plus_nanos(1))
    }

    fn same_label(&self, other: &Self) -> bool {
        self.told.part == other.told.part && self.told.reason == other.told.reason
    }

    /// Nanoseconds without loss between this and a later one; 0 when they touch.
    fn gap(&self, later: &Self) -> i64 {
        later.told.from.nanos_since(self.end()).max(0)
    }

    fn join(&mut self, later: &Self) {
        self.told.to = self.end().max(later.end());
        self.told.from = self.told.from.min(later.told.from);
        self.told.lost = self.told.lost.zip(later.told.lost).map(|(a, b)| a.saturating_add(b));
        self.of += later.of;
    }

    fn answer(&self) -> LossInterval {
        let mut answer = self.told.clone();
        if self.of > 1 {
            answer.reason = format!("{} ({} intervals joined)", answer.reason, self.of);
        }
        answer
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LossBook {
    endpoints: HashMap<EndpointId, Vec<Kept>>,
    most: usize,
    joined: u64,
}

impl Default for LossBook {
    fn default() -> Self {
        Self::new(PER_ENDPOINT)
    }
}

impl LossBook {
    /// A book that keeps `most` intervals of an endpoint, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { endpoints: HashMap::new(), most: most.max(1), joined: 0 }
    }

    /// Takes up one more.
    pub(crate) fn add(&mut self, loss: LossInterval) {
        self.keep(Kept { told: shortened(loss), of: 1 });
    }

    /// Takes up all of another book.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.joined += other.joined;
        for kept in other.endpoints.into_values().flatten() {
            self.keep(kept);
        }
    }

    fn keep(&mut self, new: Kept) {
        let kept = self.endpoints.entry(new.told.endpoint).or_default();
        kept.push(new);
        if kept.len() > self.most {
            let before = kept.len();
            // Some room is made at once, so that not every interval to come sorts them again.
            shrink(kept, (self.most - self.most / 4).max(1));
            self.joined += (before - kept.len()) as u64;
        }
    }

    /// Those that overlap `range`, by time.
    pub(crate) fn overlapping(&self, range: TimeRange) -> Vec<LossInterval> {
        let all = self.endpoints.values().flatten();
        let mut found: Vec<LossInterval> =
            all.filter(|kept| kept.told.overlaps(range.from, range.to)).map(Kept::answer).collect();
        found.sort_by_key(|loss| (loss.from, loss.to, loss.endpoint));
        found
    }

    /// How many are at hand.
    pub(crate) fn len(&self) -> usize {
        self.endpoints.values().map(Vec::len).sum()
    }

    /// How many were joined into another one.
    pub(crate) const fn joined(&self) -> u64 {
        self.joined
    }
}

fn shortened(mut loss: LossInterval) -> LossInterval {
    for label in [&mut loss.part, &mut loss.reason] {
        label.truncate(label.floor_char_boundary(LABEL_BYTES));
    }
    loss
}

/// Joins until at most `most` are left: first those of one part and reason that touch, then those
/// with the shortest time between them, last whatever their part and reason.
fn shrink(kept: &mut Vec<Kept>, most: usize) {
    join_near(kept, most);
    if kept.len() > most {
        for one in kept.iter_mut() {
            SEVERAL.clone_into(&mut one.told.part);
            SEVERAL.clone_into(&mut one.told.reason);
        }
        join_near(kept, most);
    }
}

fn join_near(kept: &mut Vec<Kept>, most: usize) {
    kept.sort_by(|a, b| {
        let (a, b) = (&a.told, &b.told);
        (&a.part, &a.reason, a.from, a.to).cmp(&(&b.part, &b.reason, b.from, b.to))
    });
    join_where(kept, |_, last, next| last.same_label(next) && last.gap(next) == 0);
    let Some(excess) = kept.len().checked_sub(most).filter(|excess| *excess > 0) else { return };
    // None of one label overlap any more, so joining some changes no gap between others.
    let neighbours = kept.iter().zip(kept.iter().skip(1)).zip(1..);
    let mut gaps: Vec<(i64, usize)> = neighbours
        .filter(|((one, next), _)| one.same_label(next))
        .map(|((one, next), index)| (one.gap(next), index))
        .collect();
    // Of gaps alike the earlier ones go: what is recent stays as it was told.
    gaps.sort_unstable();
    let chosen: BTreeSet<usize> = gaps.into_iter().take(excess).map(|(_, index)| index).collect();
    join_where(kept, |index, _, _| chosen.contains(&index));
}

/// Joins each that `near` names, by its index and with the one before it, into that one.
fn join_where(kept: &mut Vec<Kept>, near: impl Fn(usize, &Kept, &Kept) -> bool) {
    let mut index = 0;
    kept.dedup_by(|next, last| {
        index += 1;
        let near = near(index, last, next);
        if near {
            last.join(next);
        }
        near
    });
}
