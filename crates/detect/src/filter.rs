//! A compiled filter: an expression over shared predicates, and how each part was written.

use crate::predicate::{PredIx, Predicates};
use crate::sigma::header::Source;

/// When a filter matches.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    /// This predicate, written as clause number so-and-so of the filter.
    Pred(PredIx, usize),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    /// At least so many of these.
    AtLeast(usize, Vec<Expr>),
    Not(Box<Expr>),
}

/// How a part of a filter was written.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    /// Index of the search it stands in.
    pub(crate) search: usize,
    /// `Field|modifiers`; empty for a keyword.
    pub(crate) key: Box<str>,
    /// The value.
    pub(crate) value: Box<str>,
}

/// A compiled filter.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) source: Source,
    pub(crate) expr: Expr,
    pub(crate) clauses: Vec<Clause>,
    /// Names of the searches.
    pub(crate) names: Vec<String>,
}

impl Expr {
    /// All of `parts`.
    pub(crate) fn all(parts: Vec<Self>) -> Self {
        Self::flat(
            parts,
            |part| match part {
                Self::All(inner) => Ok(inner),
                other => Err(other),
            },
            Self::All,
        )
    }

    /// One of `parts`.
    pub(crate) fn any(parts: Vec<Self>) -> Self {
        Self::flat(
            parts,
            |part| match part {
                Self::Any(inner) => Ok(inner),
                other => Err(other),
            },
            Self::Any,
        )
    }

    fn flat(
        parts: Vec<Self>,
        open: impl Fn(Self) -> Result<Vec<Self>, Self>,
        join: impl Fn(Vec<Self>) -> Self,
    ) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match open(part) {
                Ok(inner) => flat.extend(inner),
                Err(other) => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { join(flat) }
    }

    /// Puts cheap questions before dear ones, and returns what it costs.
    pub(crate) fn order(&mut self, predicates: &Predicates) -> u32 {
        match self {
            Self::Pred(index, _) => predicates.get(*index).cost(),
            Self::All(parts) | Self::Any(parts) | Self::AtLeast(_, parts) => {
                parts.sort_by_cached_key(|part| part.clone().order(predicates));
                let costs = parts.iter_mut().map(|part| part.order(predicates));
                costs.fold(0, u32::saturating_add)
            }
            Self::Not(inner) => inner.order(predicates),
        }
    }

    /// Number of predicates it names.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Pred(..) => 1,
            Self::All(parts) | Self::Any(parts) | Self::AtLeast(_, parts) => {
                parts.iter().map(Self::size).sum()
            }
            Self::Not(inner) => inner.size(),
        }
    }

    /// Whether it holds when `holds` answers for predicates.
    pub(crate) fn holds(&self, holds: &mut impl FnMut(PredIx) -> bool) -> bool {
        match self {
            Self::Pred(predicate, _) => holds(*predicate),
            Self::All(parts) => parts.iter().all(|part| part.holds(holds)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(holds)),
            Self::AtLeast(number, parts) => {
                let mut left = *number;
                left == 0
                    || parts.iter().any(|part| {
                        left -= usize::from(left > 0 && part.holds(holds));
                        left == 0
                    })
            }
            Self::Not(inner) => !inner.holds(holds),
        }
    }

    /// The clauses that made it hold, with their predicates. Of a negation there is nothing to
    /// show: it held because nothing was there.
    pub(crate) fn why(
        &self,
        holds: &mut impl FnMut(PredIx) -> bool,
        found: &mut Vec<(PredIx, usize)>,
    ) {
        match self {
            Self::Pred(predicate, clause) => {
                if holds(*predicate) {
                    found.push((*predicate, *clause));
                }
            }
            Self::All(parts) | Self::Any(parts) | Self::AtLeast(_, parts) => {
                for part in parts {
                    if part.holds(holds) {
                        part.why(holds, found);
                    }
                }
            }
            Self::Not(_) => {}
        }
    }
}
