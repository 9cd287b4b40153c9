//! What every text that an expression matches has in it, to be looked for before the expression is
//! asked: literals one behind the other, and a row of bytes of one class.
//!
//! Invariant: a text without them is not matched.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::sigma::necessary::few_letters;

/// Literals that are looked for at most; a text that has all of them is for the expression.
const LITERALS: usize = 24;
/// Copies of a repeated part that are looked for.
const COPIES: u32 = 24;
/// Bytes of a row that is worth looking for.
const ROW: u32 = 16;

/// What is looked for before an expression is asked.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// Lower-case literals that follow each other in every match, without overlapping.
    ordered: Box<[Finder<'static>]>,
    /// The longest row that is in every match, for ASCII text.
    row: Option<Row>,
}

/// So many bytes in a row, all of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    /// Bit `n` for the ASCII byte `n`.
    class: u128,
    length: usize,
    /// Whether a text with such a row is matched, whatever else is in it.
    enough: bool,
}

impl Guard {
    /// What the expression `hir` needs.
    pub(crate) fn of(hir: &Hir) -> Self {
        let mut found = Ordered::default();
        found.read(hir);
        found.end();
        let ordered = found.literals.iter().map(|text| Finder::new(text).into_owned()).collect();
        let row = longest(hir).filter(|row| row.length >= ROW as usize);
        Self { ordered, row }
    }

    /// Whether a text with the lower-case form `lowered` can be matched.
    pub(crate) fn passes(&self, lowered: &str) -> bool {
        let mut left = lowered.as_bytes();
        self.ordered.iter().all(|literal| {
            let Some(at) = literal.find(left) else { return false };
            left = &left[at + literal.needle().len()..];
            true
        })
    }

    /// Whether the ASCII `text` is matched, where its rows alone say so.
    pub(crate) fn decides(&self, text: &[u8]) -> Option<bool> {
        let row = self.row?;
        let stands = row.stands(text);
        (row.enough || !stands).then_some(stands)
    }
}

impl Row {
    /// Whether it stands in the ASCII `text`. Looks at a row's end first: what is not of the class
    /// rules out all rows across it.
    fn stands(self, text: &[u8]) -> bool {
        let is_in = |byte: u8| byte.is_ascii() && self.class >> byte & 1 == 1;
        // All bytes from `start` to `known` are of the class.
        let (mut start, mut known) = (0, 0);
        while let Some(row) = text.get(known..start + self.length) {
            let Some(last) = row.iter().rposition(|byte| !is_in(*byte)) else { return true };
            (start, known) = (known + last + 1, start + self.length);
        }
        false
    }
}

/// Literals that follow each other.
#[derive(Default)]
struct Ordered {
    literals: Vec<String>,
    /// The one at hand: what comes next may continue it.
    open: String,
}

impl Ordered {
    /// Ends the literal at hand.
    fn end(&mut self) {
        let literal = std::mem::take(&mut self.open);
        if !literal.is_empty() && self.literals.len() < LITERALS {
            self.literals.push(literal);
        }
    }

    /// Depth is bounded by the parser's own nest limit (250).
    fn read(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) if text.is_ascii() => self.open.push_str(&text.to_ascii_lowercase()),
                _ => self.end(),
            },
            HirKind::Class(class) => match few_letters(class).as_deref() {
                Some([letter]) => self.open.push_str(letter),
                _ => self.end(),
            },
            HirKind::Capture(capture) => self.read(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.read(part)),
            HirKind::Repetition(repetition) => {
                let copies = repetition.min.min(COPIES);
                for _ in 0..copies {
                    if self.literals.len() < LITERALS {
                        self.read(&repetition.sub);
                    }
                }
                if repetition.max != Some(copies) {
                    self.end();
                }
            }
            HirKind::Alternation(_) => self.end(),
        }
    }
}

/// The longest row in every match of `hir`.
fn longest(hir: &Hir) -> Option<Row> {
    match hir.kind() {
        HirKind::Capture(capture) => longest(&capture.sub),
        HirKind::Concat(parts) => {
            let rows = parts.iter().filter_map(longest).map(|row| Row { enough: false, ..row });
            rows.max_by_key(|row| row.length)
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            let HirKind::Class(class) = repetition.sub.kind() else {
                return longest(&repetition.sub).map(|row| Row { enough: false, ..row });
            };
            let length = usize::try_from(repetition.min).ok()?;
            Some(Row { class: ascii(class), length, enough: true })
        }
        _ => None,
    }
}

/// The ASCII bytes of a class.
fn ascii(class: &Class) -> u128 {
    let is_in = |byte: u8| match class {
        Class::Unicode(class) => {
            let letter = char::from(byte);
            class.iter().any(|range| (range.start()..=range.end()).contains(&letter))
        }
        Class::Bytes(class) => {
            class.iter().any(|range| (range.start()..=range.end()).contains(&byte))
        }
    };
    (0..128).filter(|byte| is_in(*byte)).fold(0, |found, byte| found | 1 << byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_syntax::Parser;

    use super::{Finder, Guard, Row};

    fn guard(pattern: &str) -> Guard {
        Guard::of(&Parser::new().parse(pattern).unwrap())
    }

    #[test]
    fn literals_in_their_order() {
        let table: [(&str, &[&str]); 8] = [
            (r"(?i)ipconfig\s+/all", &["ipconfig", "/all"]),
            // A long s is an s.
            (r"(?i)net\s+use", &["net", "u", "e"]),
            (r"\+.*\+.*\+", &["+", "+", "+"]),
            (r"(\{\d\}){3}x", &["{", "}{", "}{", "}x"]),
            (r"ab{2}c+d", &["abbc", "d"]),
            (r"a(b|cd)e", &["a", "e"]),
            (r"a?b", &["b"]),
            (r"[ab]|c", &[]),
        ];
        for (pattern, expected) in table {
            let guard = guard(pattern);
            let found: Vec<&[u8]> = guard.ordered.iter().map(Finder::needle).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(found, expected, "{pattern}");
        }
        assert!(guard(r"b.*a").passes("bca") && !guard(r"b.*a").passes("acb"));
    }

    #[test]
    fn rows_decide() {
        assert_eq!(guard(".{20,}").decides(&[b'a'; 20]), Some(true));
        assert_eq!(guard(".{20,}").decides(b"0123456789\n0123456789"), Some(false));
        assert_eq!(guard(r"\s[a-f0-9]{64}\s").decides(&[b'a'; 64]), None);
        assert_eq!(guard(r"\s[a-f0-9]{64}\s").decides(&[b'a'; 63]), Some(false));
        assert_eq!(guard("a{3}").decides(b"b"), None);
    }

    proptest! {
        #[test]
        fn a_row_stands_where_it_stands(text in "[ab]{0,40}", length in 1_usize..9) {
            let row = Row { class: 1 << b'a', length, enough: true };
            prop_assert_eq!(row.stands(text.as_bytes()), text.contains(&"a".repeat(length)));
        }
    }
}
