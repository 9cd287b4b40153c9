//! Programs: filters' expressions as tests and jumps, in the order that traffic makes cheapest.
//!
//! A test is either *told*, when what it asks for is watched, or asked. Invariant: a program says
//! what [`Expr::holds`] says.

use crate::filter::Expr;
use crate::predicate::PredIx;

/// Where a test leads when the filter matches.
const MATCHES: u32 = u32::MAX;
/// The same when it does not.
const FAILS: u32 = u32::MAX - 1;
/// Instead of a start: the expression itself is to be asked.
const TREE: u32 = u32::MAX - 2;
/// Marks a predicate whose answer the watches tell.
const TOLD: u32 = 1 << 31;
/// Steps of one filter; a larger one (a count of many parts) stays a tree.
const STEPS: usize = 8_192;

/// What is known of a predicate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// In which part of the activities it holds.
    pub(crate) rate: f64,
    /// What it costs to ask, in about nanoseconds.
    pub(crate) cost: f64,
    /// Whether the watches tell it.
    pub(crate) told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    predicate: u32,
    yes: u32,
    no: u32,
}

/// The programs of a plan, by their number in it.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    steps: Vec<Step>,
    starts: Vec<u32>,
}

/// An expression with its chances.
struct Weighed<'e> {
    expr: &'e Expr,
    /// Of a predicate: whether the watches tell it.
    told: bool,
    /// Of what it stands on; cheapest way first.
    parts: Vec<Weighed<'e>>,
    rate: f64,
    cost: f64,
}

impl Programs {
    /// Adds the program of `expr`.
    pub(crate) fn add(&mut self, expr: &Expr, known: &impl Fn(PredIx) -> Known) {
        let before = self.steps.len();
        let weighed = weigh(expr, known);
        let start = self.emit(&weighed, MATCHES, FAILS, before + STEPS);
        self.starts.push(start.unwrap_or_else(|| {
            self.steps.truncate(before);
            TREE
        }));
    }

    /// So many expressions that are asked as they are written.
    #[cfg(test)]
    pub(crate) fn trees(count: usize) -> Self {
        Self { steps: Vec::new(), starts: vec![TREE; count] }
    }

    /// Drops what was reserved and not used.
    pub(crate) fn seal(&mut self) {
        self.steps.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// Whether program number `index` matches, when `ask` answers and `told` knows the answer.
    /// Nothing when its expression itself is to be asked.
    pub(crate) fn holds<M>(
        &self,
        index: u32,
        matcher: &mut M,
        told: impl Fn(&M, PredIx) -> bool,
        ask: impl Fn(&mut M, PredIx) -> bool,
    ) -> Option<bool> {
        let mut at = self.starts[index as usize];
        if at == TREE {
            return None;
        }
        while let Some(step) = self.steps.get(at as usize) {
            let answer = if step.predicate & TOLD == 0 {
                ask(matcher, PredIx(step.predicate))
            } else {
                told(matcher, PredIx(step.predicate & !TOLD))
            };
            at = if answer { step.yes } else { step.no };
        }
        Some(at == MATCHES)
    }

    /// Writes `weighed` so that it leads to `yes` or `no`; where it begins. Nothing when there is
    /// no room up to `limit`.
    fn emit(&mut self, weighed: &Weighed<'_>, yes: u32, no: u32, limit: usize) -> Option<u32> {
        let backwards = || weighed.parts.iter().rev();
        match weighed.expr {
            Expr::Pred(index, _) => {
                let at = u32::try_from(self.steps.len()).ok().filter(|at| *at < TREE)?;
                let told = if weighed.told { TOLD } else { 0 };
                self.steps.push(Step { predicate: index.0 | told, yes, no });
                (self.steps.len() <= limit).then_some(at)
            }
            Expr::All(_) => {
                backwards().try_fold(yes, |next, part| self.emit(part, next, no, limit))
            }
            Expr::Any(_) => {
                backwards().try_fold(no, |next, part| self.emit(part, yes, next, limit))
            }
            Expr::Not(_) => self.emit(weighed.parts.first()?, no, yes, limit),
            Expr::AtLeast(number, _) => {
                // What is left of the number, after the parts behind the one at hand.
                let mut after = vec![no; *number + 1];
                after[0] = yes;
                for part in backwards() {
                    let mut before = after.clone();
                    for left in 1..=*number {
                        before[left] = self.emit(part, after[left - 1], after[left], limit)?;
                    }
                    after = before;
                }
                Some(after[*number])
            }
        }
    }
}

/// Weighs `expr` and puts its parts into the order in which it is decided soonest.
fn weigh<'e>(expr: &'e Expr, known: &impl Fn(PredIx) -> Known) -> Weighed<'e> {
    let mut found = Weighed { expr, told: false, parts: Vec::new(), rate: 0.0, cost: 0.0 };
    // Price of a decision: cost by chance that it is one.
    let decided = |chance: f64, cost: f64| cost / chance.max(1e-9);
    match expr {
        Expr::Pred(index, _) => {
            let Known { rate, cost, told } = known(*index);
            (found.rate, found.cost, found.told) = (rate.clamp(0.0, 1.0), cost, told);
        }
        Expr::Not(inner) => {
            let inner = weigh(inner, known);
            (found.rate, found.cost) = (1.0 - inner.rate, inner.cost);
            found.parts.push(inner);
        }
        Expr::All(parts) => {
            found.parts = parts.iter().map(|part| weigh(part, known)).collect();
            found.parts.sort_by(|left, right| {
                decided(1.0 - left.rate, left.cost)
                    .total_cmp(&decided(1.0 - right.rate, right.cost))
            });
            found.rate = 1.0;
            for part in &found.parts {
                found.cost += found.rate * part.cost;
                found.rate *= part.rate;
            }
        }
        Expr::Any(parts) => {
            found.parts = parts.iter().map(|part| weigh(part, known)).collect();
            found.parts.sort_by(|left, right| {
                decided(left.rate, left.cost).total_cmp(&decided(right.rate, right.cost))
            });
            let mut missed = 1.0;
            for part in &found.parts {
                found.cost += missed * part.cost;
                missed *= 1.0 - part.rate;
            }
            found.rate = 1.0 - missed;
        }
        Expr::AtLeast(number, parts) => {
            found.parts = parts.iter().map(|part| weigh(part, known)).collect();
            found.cost = found.parts.iter().map(|part| part.cost).sum();
            let expected: f64 = found.parts.iter().map(|part| part.rate).sum();
            found.rate = (expected / crate::census::number((*number).max(1))).min(1.0);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Known, Programs};
    use crate::filter::Expr;
    use crate::predicate::PredIx;

    fn expr() -> impl Strategy<Value = Expr> {
        let leaf = (0_u32..12).prop_map(|index| Expr::Pred(PredIx(index), 0));
        leaf.prop_recursive(4, 40, 5, |inner| {
            let parts = || prop::collection::vec(inner.clone(), 0..5);
            prop_oneof![
                parts().prop_map(Expr::All),
                parts().prop_map(Expr::Any),
                (0_usize..5, parts()).prop_map(|(number, parts)| Expr::AtLeast(number, parts)),
                inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_program_says_what_its_expression_says(
            exprs in prop::collection::vec(expr(), 1..6),
            answers in any::<u32>(),
            told in any::<u32>(),
            rates in prop::collection::vec(0.0_f64..1.0, 12),
        ) {
            let mut programs = Programs::default();
            for expr in &exprs {
                programs.add(expr, &|index| Known {
                    rate: rates[index.0 as usize],
                    cost: f64::from(index.0),
                    told: told >> index.0 & 1 == 1,
                });
            }
            let answer = |index: PredIx| answers >> index.0 & 1 == 1;
            for (number, expr) in (0..).zip(&exprs) {
                let found = programs.holds(
                    number,
                    &mut (),
                    |(), index| answer(index) && told >> index.0 & 1 == 1,
                    |(), index| answer(index),
                );
                prop_assert_eq!(found, Some(expr.holds(&mut |index| answer(index))));
            }
        }
    }
}
