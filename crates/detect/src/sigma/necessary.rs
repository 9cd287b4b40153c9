//! What a regular expression cannot match without: literals, lower-case, of which one is in every
//! text it matches. They let a filter sleep until one is seen.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::sigma::guard::Guard;
use crate::sigma::pattern::lower;

/// Literals kept of one expression; an alternation of more is not worth looking for.
const MOST: usize = 64;
/// Texts that a part may stand for exactly: few letters of a class, an optional part.
const VARIANTS: usize = 16;

/// What is known of a part of an expression.
enum Needed {
    /// It matches one of these texts (but for case) and nothing else.
    Exactly(Vec<String>),
    /// One of these is in every match.
    OneOf(Vec<String>),
    Nothing,
}

/// What an expression cannot match without.
#[derive(Debug, Default)]
pub(crate) struct Necessary {
    /// Literals, lower-case, of which one is in every match.
    pub(crate) literals: Option<Vec<String>>,
    /// Bytes of the shortest text that it matches.
    pub(crate) shortest: usize,
    pub(crate) guard: Guard,
}

/// What `pattern` cannot match without.
pub(crate) fn of(pattern: &str, configure: impl FnOnce(&mut ParserBuilder)) -> Necessary {
    let mut builder = ParserBuilder::new();
    configure(&mut builder);
    let Ok(hir) = builder.build().parse(pattern) else { return Necessary::default() };
    let literals = match needed(&hir) {
        Needed::Exactly(texts) | Needed::OneOf(texts) => Some(texts),
        Needed::Nothing => None,
    };
    let literals = literals.filter(|texts| !texts.is_empty() && !has_empty(texts));
    let shortest = hir.properties().minimum_len().unwrap_or(0);
    Necessary { literals, shortest, guard: Guard::of(&hir) }
}

/// Depth is bounded by the parser's own nest limit (250).
fn needed(hir: &Hir) -> Needed {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Needed::Exactly(vec![String::new()]),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) if text.is_ascii() => Needed::Exactly(vec![lower(text)]),
            _ => Needed::Nothing,
        },
        HirKind::Class(class) => few_letters(class).map_or(Needed::Nothing, Needed::Exactly),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) => match (repetition.min, needed(&repetition.sub)) {
            (1, found) if repetition.max == Some(1) => found,
            (0, Needed::Exactly(mut texts)) if repetition.max == Some(1) => {
                if !texts.contains(&String::new()) {
                    texts.push(String::new());
                }
                Needed::Exactly(texts)
            }
            (0, _) => Needed::Nothing,
            (_, Needed::Exactly(texts) | Needed::OneOf(texts)) if !has_empty(&texts) => {
                Needed::OneOf(texts)
            }
            _ => Needed::Nothing,
        },
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => alternation(parts),
    }
}

fn has_empty(texts: &[String]) -> bool {
    texts.iter().any(String::is_empty)
}

fn alternation(parts: &[Hir]) -> Needed {
    let mut all = Vec::new();
    let mut exact = true;
    for part in parts {
        match needed(part) {
            Needed::Exactly(texts) => all.extend(texts),
            Needed::OneOf(texts) => {
                exact = false;
                all.extend(texts);
            }
            Needed::Nothing => return Needed::Nothing,
        }
        if all.len() > MOST {
            return Needed::Nothing;
        }
    }
    all.sort_unstable();
    all.dedup();
    match exact && all.len() <= VARIANTS {
        true => Needed::Exactly(all),
        false if has_empty(&all) => Needed::Nothing,
        false => Needed::OneOf(all),
    }
}

/// The letters of a class of few, lower-case, each once.
pub(crate) fn few_letters(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let mut found: Vec<String> = Vec::new();
    let letters = class.iter().flat_map(|range| range.start()..=range.end());
    for letter in letters.take(2 * VARIANTS + 1) {
        let letter = lower(&letter.to_string());
        if !letter.is_ascii() || found.len() > VARIANTS {
            return None;
        }
        if !found.contains(&letter) {
            found.push(letter);
        }
    }
    (found.len() <= VARIANTS).then_some(found)
}

/// The best set of texts so far: the one whose shortest is longest, then the smaller.
#[derive(Default)]
struct Best(Vec<String>);

impl Best {
    fn offer(&mut self, texts: Vec<String>) {
        let shortest = |texts: &[String]| texts.iter().map(String::len).min().unwrap_or(0);
        let (new, old) = (shortest(&texts), shortest(&self.0));
        if new > old || (new == old && new > 0 && texts.len() < self.0.len()) {
            self.0 = texts;
        }
    }
}

fn concat(parts: &[Hir]) -> Needed {
    let empty = || vec![String::new()];
    let mut best = Best::default();
    let mut run = empty();
    let mut whole = true;
    for part in parts {
        match needed(part) {
            Needed::Exactly(texts) if run.len() * texts.len() <= VARIANTS => {
                let joined = |start: &String| -> Vec<String> {
                    texts.iter().map(|text| format!("{start}{text}")).collect()
                };
                run = run.iter().flat_map(joined).collect();
            }
            Needed::Exactly(texts) => {
                whole = false;
                best.offer(std::mem::replace(&mut run, texts));
            }
            other => {
                whole = false;
                best.offer(std::mem::replace(&mut run, empty()));
                if let Needed::OneOf(texts) = other {
                    best.offer(texts);
                }
            }
        }
    }
    if whole {
        return Needed::Exactly(run);
    }
    best.offer(run);
    if best.0.is_empty() { Needed::Nothing } else { Needed::OneOf(best.0) }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_is_needed() {
        let table: [(&str, &[&str]); 13] = [
            (r"ping\s+-n.{6,64}echo EEEE\s?>", &["echo eeee"]),
            (r"^(foo|bar)baz$", &["barbaz", "foobaz"]),
            (r"a[xy]?b[0-9]", &["axb", "ayb", "ab"]),
            (r"\w+`\w+", &["`"]),
            (r"\.[a-z]{1,6}\.[ x]", &[". ", ".x"]),
            // A long s is an s, but for its lower case.
            (r"(?i)sk", &["k"]),
            (r"(?i)KeLim", &["kelim"]),
            (r"[0-9]{1,3}\.[01]", &[".0", ".1"]),
            (r"(alpha)?", &[]),
            (r"(alpha)+x", &["alpha"]),
            (r"alpha|\d+", &[]),
            (r"net\s+user", &["user"]),
            (r"ab", &["ab"]),
        ];
        for (pattern, expected) in table {
            let found = of(pattern, |_| {}).literals.unwrap_or_default();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
