//! Witnesses: literals without one of which a filter cannot match.
//!
//! Only witnesses stand in tables and automata; a filter is looked at when one of its witnesses is
//! seen. A witness of `all` is a witness of one of its parts; of `any` those of all parts together;
//! a negation has none. A filter without witness is looked at for every activity of its class.
//! Which of the possible ones are taken is [`crate::planner`]'s business.

use crate::predicate::{ANY_TEXT, FieldIx, Op, PredIx, Predicates, Test};
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

/// What a predicate cannot hold without: sets of literals, of each of which one must be seen.
pub(crate) fn of(index: PredIx, predicates: &Predicates) -> Vec<Vec<Literal>> {
    let predicate = predicates.get(index);
    let literal = |anchor, text: &str| {
        // All text of an activity is many values in one.
        let anchor = if predicate.field == ANY_TEXT { Anchor::Anywhere } else { anchor };
        let text = lower(text);
        (!text.is_empty() || anchor == Anchor::Whole)
            .then(|| vec![Literal { field: predicate.field, anchor, text }])
    };
    let test = match &predicate.op {
        Op::Text(test) | Op::Cased(test) => test,
        Op::Regex(regex) => {
            let Some(texts) = &regex.literals else { return Vec::new() };
            let all = texts.iter().filter_map(|text| literal(Anchor::Anywhere, text)).flatten();
            return vec![all.collect()];
        }
        _ => return Vec::new(),
    };
    let found = match test {
        Test::Equal(text) => literal(Anchor::Whole, text),
        Test::Prefix(text) => literal(Anchor::Start, text),
        Test::Suffix(text) => literal(Anchor::End, text),
        Test::Contains(finder) => std::str::from_utf8(finder.needle())
            .ok()
            .and_then(|text| literal(Anchor::Anywhere, text)),
        Test::Glob(pattern) => {
            let last = pattern.0.len().saturating_sub(1);
            let texts = pattern.0.iter().enumerate().filter_map(|(index, part)| match part {
                Part::Text(text) if index == 0 => literal(Anchor::Start, text),
                Part::Text(text) if index == last => literal(Anchor::End, text),
                Part::Text(text) => literal(Anchor::Anywhere, text),
                _ => None,
            });
            return texts.collect();
        }
    };
    found.into_iter().collect()
}

/// The literal that stands in a value exactly where the predicate holds, if there is one.
pub(crate) fn exact(index: PredIx, predicates: &Predicates) -> Option<Literal> {
    let predicate = predicates.get(index);
    let Op::Text(test) = &predicate.op else { return None };
    let (anchor, text) = match test {
        Test::Contains(finder) => (Anchor::Anywhere, std::str::from_utf8(finder.needle()).ok()?),
        // All text of an activity is many values in one.
        _ if predicate.field == ANY_TEXT => return None,
        Test::Equal(text) => (Anchor::Whole, &**text),
        Test::Prefix(text) => (Anchor::Start, &**text),
        Test::Suffix(text) => (Anchor::End, &**text),
        Test::Glob(_) => return None,
    };
    let is_one = lower(text) == text && (!text.is_empty() || anchor == Anchor::Whole);
    is_one.then(|| Literal { field: predicate.field, anchor, text: text.to_owned() })
}
