//! Witnesses: literals without one of which a filter cannot match.
//!
//! Only witnesses stand in automata and tables; a filter is looked at when one of its witnesses is
//! seen. A witness of `all` is the rarest of its parts' witnesses; of `any` all of them together;
//! a negation has none. A filter without witness is looked at for every activity of its class.

use crate::filter::Expr;
use crate::predicate::{FieldIx, Op, PredIx, Predicates, Test};
use crate::sigma::pattern::{Part, lower};

/// Where a literal stands in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Anchor {
    Whole,
    Start,
    End,
    Anywhere,
}

/// One literal, lower-case, of one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Literal {
    pub(crate) field: FieldIx,
    pub(crate) anchor: Anchor,
    pub(crate) text: String,
}

/// The cheapest set of literals of which one must be seen for `expr` to hold.
pub(crate) fn of(expr: &Expr, predicates: &Predicates) -> Option<Vec<Literal>> {
    cheapest(expr, predicates).map(|(_, literals)| literals)
}

fn cheapest(expr: &Expr, predicates: &Predicates) -> Option<(f64, Vec<Literal>)> {
    match expr {
        Expr::Pred(index, _) => {
            let literals = literals(*index, predicates)?;
            Some((literals.iter().map(cost).sum(), literals))
        }
        Expr::All(parts) => parts
            .iter()
            .filter_map(|part| cheapest(part, predicates))
            .min_by(|(left, _), (right, _)| left.total_cmp(right)),
        Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            let mut total = 0.0;
            let mut all = Vec::new();
            for part in parts {
                let (cost, literals) = cheapest(part, predicates)?;
                total += cost;
                all.extend(literals);
            }
            Some((total, all))
        }
        Expr::Not(_) => None,
    }
}

/// How often a literal will be seen, and what looking for it costs, as a guess: longer is rarer,
/// and a substring has to be looked for everywhere.
fn cost(literal: &Literal) -> f64 {
    const COMMON: [&str; 10] = [
        "\\cmd.exe",
        "\\powershell.exe",
        "\\svchost.exe",
        "\\explorer.exe",
        ".exe",
        ".dll",
        "\\windows\\system32\\",
        "c:\\windows\\",
        "/usr/bin/",
        "http",
    ];
    let length = f64::from(u32::try_from(literal.text.len().min(40)).unwrap_or(40));
    let scarcity = if COMMON.contains(&literal.text.as_str()) { 1.0 } else { 0.8_f64.powf(length) };
    let search = match literal.anchor {
        Anchor::Whole => 0.02,
        Anchor::Start | Anchor::End => 0.03,
        Anchor::Anywhere => 0.10,
    };
    // A number that has to be equal (an event id) tells much with few characters.
    let number = literal.anchor == Anchor::Whole
        && !literal.text.is_empty()
        && literal.text.bytes().all(|byte| byte.is_ascii_digit());
    if number { 0.08 } else { scarcity + search }
}

/// The literals of one predicate, of which one must be seen; `None` when there are none to see.
fn literals(index: PredIx, predicates: &Predicates) -> Option<Vec<Literal>> {
    let predicate = predicates.get(index);
    let of = |anchor, text: &str| Literal { field: predicate.field, anchor, text: lower(text) };
    let compared = match &predicate.op {
        Op::Text(test) | Op::Cased(test) => test,
        Op::Regex(_, Some(texts)) => {
            return Some(texts.iter().map(|text| of(Anchor::Anywhere, text)).collect());
        }
        _ => return None,
    };
    let literal = match compared {
        Test::Equal(text) => of(Anchor::Whole, text),
        Test::Prefix(text) => of(Anchor::Start, text),
        Test::Suffix(text) => of(Anchor::End, text),
        Test::Contains(finder) => of(Anchor::Anywhere, std::str::from_utf8(finder.needle()).ok()?),
        Test::Glob(pattern) => {
            let texts = pattern.0.iter().filter_map(|part| match part {
                Part::Text(text) => Some(text),
                _ => None,
            });
            of(Anchor::Anywhere, texts.max_by_key(|text| text.len())?)
        }
    };
    (!literal.text.is_empty() || literal.anchor == Anchor::Whole).then(|| vec![literal])
}
