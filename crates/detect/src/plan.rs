//! A plan: which filters an activity of one log-source class can match, and by which literals.
//!
//! Invariant: a filter that matches is always woken (the tests compare with evaluation of every
//! filter).

use std::collections::BTreeMap;

use metsuke_event::logsource::LogSource;

use crate::census::Samples;
use crate::filter::Filter;
use crate::planner::Planner;
use crate::predicate::{FieldIx, Predicates};
use crate::watch::Watch;
use crate::witness::Literal;

/// Index of a filter in the rule set.
pub(crate) type FilterIx = u32;

/// What to look for in an activity of one class.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Filters without witness.
    pub(crate) always: Vec<FilterIx>,
    pub(crate) watches: Vec<Watch>,
    /// The fields in which witnesses could stand, taken or not.
    pub(crate) fields: Vec<FieldIx>,
}

impl Plan {
    /// The plan for activities of `sources` that look like `samples`.
    pub(crate) fn build(
        filters: &[Filter],
        predicates: &Predicates,
        sources: &[LogSource<'_>],
        samples: &Samples,
    ) -> Self {
        let of_class = (0..).zip(filters).filter(|(_, filter)| {
            let wanted = filter.source.as_log_source();
            sources.iter().any(|source| wanted.accepts(source))
        });
        let planner = Planner::new(of_class, predicates);
        let mut plan = Self { fields: planner.fields(), ..Self::default() };
        let mut watched: BTreeMap<FieldIx, BTreeMap<Literal, Vec<FilterIx>>> = BTreeMap::new();
        for (index, witness) in planner.choose(samples) {
            let Some(literals) = witness else {
                plan.always.push(index);
                continue;
            };
            for literal in literals {
                let of_field = watched.entry(literal.field).or_default();
                let woken = of_field.entry(literal.clone()).or_default();
                if woken.last() != Some(&index) {
                    woken.push(index);
                }
            }
        }
        let build = |(field, set)| Watch::build(field, set, &samples.grams(field));
        plan.watches = watched.into_iter().map(build).collect();
        plan
    }
}
