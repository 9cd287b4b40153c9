//! A plan: which filters an activity of one log-source class can match, by which literals, and in
//! which order they are decided.
//!
//! Invariant: a filter that matches is always woken (the tests compare with evaluation of every
//! filter).

use std::collections::BTreeMap;

use metsuke_event::logsource::LogSource;

use crate::census::Samples;
use crate::filter::{Expr, Filter};
use crate::later::Later;
use crate::planner::{Choice, Planner};
use crate::predicate::{FieldIx, PredIx, Predicates};
use crate::program::Programs;
use crate::watch::{Sought, Watch};
use crate::witness::{Anchor, Literal};

/// Index of a filter in the rule set.
pub(crate) type FilterIx = u32;

/// Filters that are woken more often than this have what they ask told by the watches, where these
/// look already.
const OFTEN: f64 = 0.02;

/// A literal that stands anywhere is looked for, only to be told, when it is in fewer activities:
/// what is seen often, in many places of a value, costs more than a question.
const SELDOM: f64 = 0.05;

/// What to look for in an activity of one class.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The filters of the class; in what follows each has its place here as number.
    pub(crate) filters: Vec<FilterIx>,
    /// Filters without witness.
    pub(crate) always: Vec<u32>,
    pub(crate) watches: Vec<Watch>,
    /// How the filters are decided.
    pub(crate) programs: Programs,
    /// Substrings that they ask for.
    pub(crate) later: Later,
    /// The fields in which witnesses could stand, taken or not.
    pub(crate) fields: Vec<FieldIx>,
}

/// What is watched, by field.
type Watched = BTreeMap<FieldIx, BTreeMap<Literal, Sought>>;

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
        let choice = planner.choose(samples);
        let mut watched = plan.watch(&planner, &choice);
        tell(&planner, &choice, &mut watched);
        let told = |index| {
            let literal = planner.literal_of(index).map(|number| planner.literal(number));
            literal.is_some_and(|literal| {
                let sought = watched.get(&literal.field).and_then(|set| set.get(literal));
                sought.is_some_and(|sought| sought.tells == Some(index))
            })
        };
        let mut asked: BTreeMap<FieldIx, BTreeMap<PredIx, String>> = BTreeMap::new();
        for (_, expr) in planner.filters() {
            each(expr, &mut |index| {
                let predicate = predicates.get(index);
                if let Some(substring) = predicate.op.substring()
                    && !told(index)
                {
                    let of_field = asked.entry(predicate.field).or_default();
                    of_field.insert(index, substring.to_owned());
                }
            });
            plan.programs.add(expr, &|index| planner.known(index, &choice, told(index)));
        }
        plan.later = Later::build(asked, |field| samples.grams(field));
        plan.programs.seal();
        let build = |(field, set)| Watch::build(field, set, &samples.grams(field));
        plan.watches = watched.into_iter().map(build).collect();
        plan
    }

    /// The witnesses that were chosen, with what they wake.
    fn watch(&mut self, planner: &Planner<'_>, choice: &Choice) -> Watched {
        let mut watched = Watched::new();
        for ((number, (index, _)), witness) in
            (0_u32..).zip(planner.filters()).zip(&choice.witnesses)
        {
            self.filters.push(*index);
            let Some(literals) = witness else {
                self.always.push(number);
                continue;
            };
            for literal in literals.iter().map(|literal| planner.literal(*literal)) {
                let of_field = watched.entry(literal.field).or_default();
                let sought = of_field.entry(literal.clone()).or_default();
                if sought.wakes.last() != Some(&number) {
                    sought.wakes.push(number);
                }
            }
        }
        watched
    }
}

/// Notes which predicates the watches tell, and has them look also for what filters ask that are
/// woken often, in fields and ways in which they look anyhow.
fn tell(planner: &Planner<'_>, choice: &Choice, watched: &mut Watched) {
    let places: u128 = choice
        .witnesses
        .iter()
        .flatten()
        .flatten()
        .fold(0, |places, literal| places | 1 << planner.place(*literal));
    for ((_, expr), witness) in planner.filters().iter().zip(&choice.witnesses) {
        let wakes = witness.as_ref().map_or(1.0, |literals| {
            literals.iter().map(|literal| choice.rates[*literal as usize]).sum()
        });
        each(expr, &mut |index| {
            let Some(number) = planner.literal_of(index) else { return };
            let literal = planner.literal(number);
            let of_field = watched.entry(literal.field).or_default();
            if let Some(sought) = of_field.get_mut(literal) {
                sought.tells = Some(index);
            } else if wakes > OFTEN
                && places >> planner.place(number) & 1 == 1
                && (literal.anchor != Anchor::Anywhere || choice.rates[number as usize] < SELDOM)
            {
                let sought = Sought { wakes: Vec::new(), tells: Some(index) };
                of_field.insert(literal.clone(), sought);
            }
        });
    }
    watched.retain(|_, set| !set.is_empty());
}

/// Calls `visit` for every predicate in `expr`.
fn each(expr: &Expr, visit: &mut impl FnMut(PredIx)) {
    match expr {
        Expr::Pred(index, _) => visit(*index),
        Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            for part in parts {
                each(part, visit);
            }
        }
        Expr::Not(inner) => each(inner, visit),
    }
}
