//! Loss as data: an interval in which something was not, or may not have been, seen; and how many
//! activities of each kind.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::activity::Activity;
use crate::entity::Health;
use crate::id::EndpointId;
use crate::kind::Kind;
use crate::time::Timestamp;

/// An interval of one endpoint in which observations are missing.
///
/// It accompanies every answer whose time range it overlaps: "not found" is only as good as what
/// was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossInterval {
    /// The endpoint whose observations are missing.
    pub endpoint: EndpointId,
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Which bounded part lost it: a probe's ring, the spool, the server's intake …
    pub part: String,
    /// Why: `queue_full`, `sensor_down`, `disk_full`, `probe_failed` …
    pub reason: String,
    /// How many observations; `None` when nobody can know.
    pub lost: Option<u64>,
}

impl LossInterval {
    /// Whether it overlaps `[from, to)`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from < to && from < self.to.max(self.from.plus_nanos(1))
    }
}

/// What stands for activities whose kind the place that lost them does not know.
const OTHER: &str = "other";

/// How many activities were lost, by kind.
///
/// Its text is what `sensor.lost_kinds` holds: `file.create 12, process.exec 3, other 1`, in the
/// order of the kinds. A sum of flows counts as so many as it stands for, everything else as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    kinds: BTreeMap<Kind, u64>,
    other: u64,
}

impl Tally {
    /// So many of one kind.
    pub fn of(kind: Kind, count: u64) -> Self {
        let mut tally = Self::default();
        tally.add(Some(kind), count);
        tally
    }

    /// So many of kinds that are not known.
    pub fn unknown(count: u64) -> Self {
        Self { other: count, ..Self::default() }
    }

    /// So many more; `None` when the kind is not known.
    pub fn add(&mut self, kind: Option<Kind>, count: u64) {
        if count == 0 {
            return;
        }
        let held = kind.map_or(&mut self.other, |kind| self.kinds.entry(kind).or_default());
        *held = held.saturating_add(count);
    }

    /// One activity more, or as many flows as it stands for; of one that tells of a loss, that loss
    /// too, which nobody is told of otherwise.
    pub fn count(&mut self, activity: &Activity) {
        let mut count = 1;
        match activity {
            Activity::Network(_, network) => count = network.flows.unwrap_or(1).max(1),
            Activity::Health(health) => self.merge(&Self::told(health)),
            _ => {}
        }
        self.add(Some(activity.kind()), count);
    }

    /// What `health` says was lost; nothing when nobody knows.
    pub fn told(health: &Health) -> Self {
        let kinds = health.lost_kinds.as_deref().map(Self::parse).unwrap_or_default();
        let mut told = Self::unknown(health.lost.unwrap_or(0).saturating_sub(kinds.total()));
        told.merge(&kinds);
        told
    }

    /// Everything that `more` holds.
    pub fn merge(&mut self, more: &Self) {
        for (kind, count) in &more.kinds {
            self.add(Some(*kind), *count);
        }
        self.add(None, more.other);
    }

    /// Takes out of both what both hold.
    pub fn cancel(&mut self, other: &mut Self) {
        let cancel = |one: &mut u64, other: &mut u64| {
            let both = (*one).min(*other);
            (*one, *other) = (*one - both, *other - both);
        };
        for (kind, count) in &mut self.kinds {
            if let Some(other) = other.kinds.get_mut(kind) {
                cancel(count, other);
            }
        }
        cancel(&mut self.other, &mut other.other);
        for tally in [self, other] {
            tally.kinds.retain(|_, count| *count > 0);
        }
    }

    /// How many of `kind`.
    pub fn get(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    /// Each kind with its count, without those that are not known.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, u64)> {
        self.kinds.iter().map(|(kind, count)| (*kind, *count))
    }

    /// How many together.
    pub fn total(&self) -> u64 {
        self.kinds.values().fold(self.other, |sum, count| sum.saturating_add(*count))
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Reads the text of one; a part that is none counts as nothing, a kind that is not known (of a
    /// newer sensor) as `other`.
    pub fn parse(text: &str) -> Self {
        let mut tally = Self::default();
        for part in text.split(", ") {
            if let Some((name, count)) = part.split_once(' ') {
                tally.add(Kind::from_name(name), count.parse().unwrap_or(0));
            }
        }
        tally
    }
}

/// Activities that were given up after they had been numbered, words about losses among them.
///
/// Whoever is told of `all` learns of losses for the first time whose words were lost. Who counts
/// losses as they are told, where activities are numbered, has counted `retold` before (in this run or,
/// of words that an earlier one left behind, in that).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// All that is to be told.
    pub all: Tally,
    /// Of `all`, what words told that are themselves among it.
    pub retold: Tally,
}

impl GivenUp {
    /// So many, of kinds that are not known.
    pub fn unknown(count: u64) -> Self {
        Self { all: Tally::unknown(count), ..Self::default() }
    }

    /// One activity more, as [`Tally::count`] counts it.
    pub fn count(&mut self, activity: &Activity) {
        self.all.count(activity);
        if let Activity::Health(health) = activity {
            self.retold.merge(&Tally::told(health));
        }
    }

    /// Everything that `more` holds.
    pub fn merge(&mut self, more: &Self) {
        self.all.merge(&more.all);
        self.retold.merge(&more.retold);
    }

    /// How many activities were given up, without what words among them told.
    pub fn activities(&self) -> u64 {
        self.all.total().saturating_sub(self.retold.total())
    }
}

impl FromIterator<(Option<Kind>, u64)> for Tally {
    fn from_iter<T: IntoIterator<Item = (Option<Kind>, u64)>>(counts: T) -> Self {
        let mut tally = Self::default();
        for (kind, count) in counts {
            tally.add(kind, count);
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds().map(|(kind, count)| (kind.name(), count));
        let other = (self.other > 0).then_some((OTHER, self.other));
        for (index, (name, count)) in kinds.chain(other).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{name} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GivenUp, Tally};
    use crate::activity::{Activity, NetworkActivity};
    use crate::entity::{Health, Network};
    use crate::kind::Kind;

    #[test]
    fn what_was_counted_is_read_back() {
        let mut tally = Tally::of(Kind::ProcessExec, 3);
        tally.add(None, 2);
        tally.add(Some(Kind::FileDelete), 0);
        let flows = Network { flows: Some(40), ..Network::default() };
        tally.count(&Activity::Network(NetworkActivity::Connect, flows));
        tally.count(&Activity::empty(Kind::FileCreate));
        tally.merge(&Tally::of(Kind::FileCreate, 1));
        let text = tally.to_string();
        assert_eq!(text, "process.exec 3, file.create 2, network.connect 40, other 2");
        assert_eq!((Tally::parse(&text), tally.total()), (tally, 47));
        assert_eq!(Tally::parse("of.tomorrow 4, junk, file.read x"), Tally::unknown(4));
        assert!(Tally::parse("").is_empty());
    }

    #[test]
    fn a_word_about_a_loss_that_is_lost_counts_with_what_it_told() {
        let told = |lost, kinds: Option<&str>| {
            let lost_kinds = kinds.map(Into::into);
            Activity::Health(Health { lost, lost_kinds, ..Health::default() })
        };
        let mut tally = Tally::default();
        tally.count(&told(Some(5), Some("file.create 5")));
        tally.count(&told(Some(7), None));
        tally.count(&told(None, None));
        assert_eq!(tally.to_string(), "file.create 5, sensor.health 3, other 7");

        let mut given_up = GivenUp::default();
        given_up.count(&told(Some(7), Some("file.create 5")));
        given_up.count(&Activity::empty(Kind::FileCreate));
        assert_eq!(given_up.all.to_string(), "file.create 6, sensor.health 1, other 2");
        assert_eq!(given_up.retold.to_string(), "file.create 5, other 2");
        assert_eq!(given_up.activities(), 2);
    }

    #[test]
    fn what_both_hold_is_taken_out_of_both() {
        let mut one = Tally::parse("process.exec 3, file.create 5, other 1");
        let mut other = Tally::parse("file.create 7, file.delete 2, other 1");
        one.cancel(&mut other);
        assert_eq!(
            (one.to_string(), other.to_string()),
            ("process.exec 3".into(), "file.create 2, file.delete 2".into())
        );
        assert_eq!(one, Tally::of(Kind::ProcessExec, 3), "nothing is left of what was cancelled");
    }
}
