//! What a regular expression cannot match without: literals, lower-case, of which one is in every
//! text it matches. They let a filter sleep until one is seen.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::sigma::pattern::lower;

/// Literals kept of one expression; an alternation of more is not worth looking for.
const MOST: usize = 64;
/// Bytes a literal must have to be worth looking for.
const SHORTEST: usize = 3;

/// What is known of a part of an expression.
enum Needed {
    /// It matches this text (but for case) and nothing else.
    Exactly(String),
    /// One of these is in every match.
    OneOf(Vec<String>),
    Nothing,
}

/// The literals, when there are any.
pub(crate) fn literals(
    pattern: &str,
    configure: impl FnOnce(&mut ParserBuilder),
) -> Option<Vec<String>> {
    let mut builder = ParserBuilder::new();
    configure(&mut builder);
    let hir = builder.build().parse(pattern).ok()?;
    let found = match needed(&hir) {
        Needed::Exactly(text) => vec![text],
        Needed::OneOf(texts) => texts,
        Needed::Nothing => return None,
    };
    (found.iter().all(|text| text.len() >= SHORTEST)).then_some(found)
}

/// Depth is bounded by the parser's own nest limit (250).
fn needed(hir: &Hir) -> Needed {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Needed::Exactly(String::new()),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) if text.is_ascii() => Needed::Exactly(lower(text)),
            _ => Needed::Nothing,
        },
        HirKind::Class(class) => one_letter(class).map_or(Needed::Nothing, Needed::Exactly),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) => match (repetition.min, needed(&repetition.sub)) {
            (0, _) => Needed::Nothing,
            (1, found) if repetition.max == Some(1) => found,
            (_, Needed::Exactly(text)) if !text.is_empty() => Needed::OneOf(vec![text]),
            (_, Needed::OneOf(texts)) => Needed::OneOf(texts),
            _ => Needed::Nothing,
        },
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                match needed(part) {
                    Needed::Exactly(text) if !text.is_empty() => all.push(text),
                    Needed::OneOf(texts) => all.extend(texts),
                    _ => return Needed::Nothing,
                }
                if all.len() > MOST {
                    return Needed::Nothing;
                }
            }
            Needed::OneOf(all)
        }
    }
}

/// The letter, when a class holds nothing but one letter in both cases.
fn one_letter(class: &Class) -> Option<String> {
    let Class::Unicode(class) = class else { return None };
    let mut found: Option<String> = None;
    let letters = class.iter().flat_map(|range| range.start()..=range.end());
    for letter in letters.take(4) {
        let letter = lower(&letter.to_string());
        if found.as_ref().is_some_and(|found| *found != letter) || !letter.is_ascii() {
            return None;
        }
        found = Some(letter);
    }
    let size: u64 = class
        .iter()
        .map(|range| u64::from(u32::from(range.end()) - u32::from(range.start())) + 1)
        .sum();
    if size > 3 { None } else { found }
}

fn concat(parts: &[Hir]) -> Needed {
    let mut best: Option<Vec<String>> = None;
    let mut offer = |texts: Vec<String>| {
        let shortest = |texts: &Vec<String>| texts.iter().map(String::len).min().unwrap_or(0);
        if shortest(&texts) > best.as_ref().map_or(0, shortest) {
            best = Some(texts);
        }
    };
    let mut run = String::new();
    let mut whole = true;
    for part in parts {
        match needed(part) {
            Needed::Exactly(text) => run.push_str(&text),
            other => {
                whole = false;
                offer(vec![std::mem::take(&mut run)]);
                if let Needed::OneOf(texts) = other {
                    offer(texts);
                }
            }
        }
    }
    if whole {
        return Needed::Exactly(run);
    }
    offer(vec![run]);
    best.map_or(Needed::Nothing, Needed::OneOf)
}

#[cfg(test)]
mod tests {
    use super::literals;

    #[test]
    fn what_is_needed() {
        let table: [(&str, &[&str]); 9] = [
            (r"ping\s+-n.{6,64}echo EEEE\s?>", &["echo eeee"]),
            (r"^(foo|bar)baz$", &["foo", "bar"]),
            (r"(?i)KeLim", &["kelim"]),
            (r"[0-9]{1,3}\.[0-9]", &[]),
            (r"(alpha)?", &[]),
            (r"(alpha)+x", &["alpha"]),
            (r"alpha|\d+", &[]),
            (r"net\s+user", &["user"]),
            (r"ab", &[]),
        ];
        for (pattern, expected) in table {
            let found = literals(pattern, |_| {}).unwrap_or_default();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
