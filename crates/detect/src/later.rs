//! Substrings that the filters of a plan ask a field for, found all at once.
//!
//! A filter that sleeps until its witness is seen asks, once woken, for one substring after the
//! other. When a value is long and many were asked for, reading it once for all costs less.

use std::collections::BTreeMap;

use crate::grams::{Seen, Substrings};
use crate::predicate::{FieldIx, PredIx};

/// Questions about one value after which all are answered at once: by then they cost as much.
const ASKED: u32 = 12;
/// Bytes of a value for which that is worth while.
const LENGTH: usize = 128;
/// Substrings of a field for which that is worth while.
const SUBSTRINGS: usize = 24;

/// The substrings that are asked for, by field.
#[derive(Debug, Default)]
pub(crate) struct Later {
    fields: Vec<Asked>,
}

/// The substrings that one field is asked for.
#[derive(Debug)]
struct Asked {
    field: FieldIx,
    search: Substrings,
    /// By their numbers in `search`; sorted.
    predicates: Vec<PredIx>,
}

/// How often each field of a plan was asked in which round.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    round: u32,
    asked: u32,
    /// Whether the value was read for all.
    read: bool,
}

impl Later {
    /// Those of `asked` that are worth while; `seen` tells how often grams are in a field's values.
    pub(crate) fn build(
        asked: BTreeMap<FieldIx, BTreeMap<PredIx, String>>,
        seen: impl Fn(FieldIx) -> Seen,
    ) -> Self {
        let enough =
            |(_, substrings): &(FieldIx, BTreeMap<PredIx, String>)| substrings.len() >= SUBSTRINGS;
        let build = |(field, substrings): (FieldIx, BTreeMap<PredIx, String>)| {
            let predicates = substrings.keys().copied().collect();
            let literals = substrings.into_values().zip(0..).collect();
            Asked { field, search: Substrings::build(literals, &seen(field)), predicates }
        };
        Self { fields: asked.into_iter().filter(enough).map(build).collect() }
    }

    /// Answers `predicate`, a substring in `field`, whose value is the lower-case `text`, when
    /// reading it for all is worth while by now; the first time in a `round` it calls `found` with
    /// each that stands in it. Is not asked again for those; the others do not stand in it.
    pub(crate) fn answer(
        &self,
        (field, predicate): (FieldIx, PredIx),
        text: &str,
        (round, counts): (u32, &mut Counts),
        found: &mut impl FnMut(PredIx),
    ) -> Option<bool> {
        if text.len() < LENGTH {
            return None;
        }
        let number = self.fields.iter().position(|asked| asked.field == field)?;
        let asked = &self.fields[number];
        counts.0.resize(self.fields.len().max(counts.0.len()), Count::default());
        let count = &mut counts.0[number];
        if count.round != round {
            *count = Count { round, ..Count::default() };
        }
        count.asked += 1;
        if count.asked < ASKED {
            return None;
        }
        asked.predicates.binary_search(&predicate).ok()?;
        let mut stands = false;
        if !std::mem::replace(&mut count.read, true) {
            asked.search.look(text, &mut |number| {
                let other = asked.predicates[number as usize];
                stands |= other == predicate;
                found(other);
            });
        }
        Some(stands)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Counts, LENGTH, Later, SUBSTRINGS};
    use crate::grams::Seen;
    use crate::predicate::{FieldIx, PredIx};

    proptest! {
        #[test]
        fn answers_are_what_stands_in_the_text(
            substrings in prop::collection::btree_set("[ab]{1,9}", 24..60),
            text in "[ab]{120,300}",
            strange in 0..60_u32,
        ) {
            let field = FieldIx(3);
            let substrings: BTreeMap<PredIx, String> =
                (0..).map(PredIx).zip(substrings).filter(|(index, _)| index.0 != strange).collect();
            let asked = BTreeMap::from([(field, substrings.clone())]);
            let later = Later::build(asked, |_| Seen::default());
            let mut counts = Counts::default();
            let stands = |index: &PredIx| substrings.get(index).map(|part| text.contains(part));
            for round in 1..3 {
                let mut known = Vec::new();
                let mut answered = 0;
                for index in (0..60).map(PredIx) {
                    if known.contains(&index) {
                        continue;
                    }
                    let counts = (round, &mut counts);
                    let mut found = |index| known.push(index);
                    let answer = later.answer((field, index), &text, counts, &mut found);
                    prop_assert!(answer.is_none() || answer == stands(&index));
                    answered += usize::from(answer.is_some());
                }
                prop_assert!(known.iter().all(|index| stands(index) == Some(true)));
                let enough = text.len() >= LENGTH && substrings.len() >= SUBSTRINGS;
                prop_assert_eq!(answered > 0, enough);
            }
        }
    }
}
