//! Regular expressions, made cheap for the text that is mostly met: ASCII of any length.
//!
//! On ASCII text an expression means the same with and without Unicode's classes and cases, and
//! without them it is a smaller automaton. The one with them is made when other text comes.

use std::sync::OnceLock;

use regex::{Error, Regex, RegexBuilder, bytes};

use crate::sigma::guard::Guard;
use crate::sigma::necessary;

/// How an expression is to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    pub(crate) multi_line: bool,
    pub(crate) dot_all: bool,
}

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Expression {
    text: Box<str>,
    flags: Flags,
    /// Bytes the compiled form may take.
    limit: usize,
    /// For ASCII text; nothing where it might mean something else.
    ascii: Option<bytes::Regex>,
    /// For any text.
    any: OnceLock<Option<Regex>>,
    /// Bytes of the shortest text it matches.
    shortest: usize,
    guard: Guard,
    /// Lower-case literals of which one is in every match.
    pub(crate) literals: Option<Vec<String>>,
}

impl Expression {
    /// `text`, compiled to at most `limit` bytes.
    ///
    /// # Errors
    /// Those of the `regex` crate.
    pub(crate) fn new(text: &str, flags: Flags, limit: usize) -> Result<Self, Error> {
        let any = build(text, flags, limit)?;
        let known = necessary::of(text, |builder| {
            builder
                .case_insensitive(flags.ignore_case)
                .multi_line(flags.multi_line)
                .dot_matches_new_line(flags.dot_all);
        });
        let ascii = is_same_without_unicode(text).then(|| {
            bytes::RegexBuilder::new(text)
                .case_insensitive(flags.ignore_case)
                .multi_line(flags.multi_line)
                .dot_matches_new_line(flags.dot_all)
                .unicode(false)
                .size_limit(limit)
                .build()
        });
        let ascii = ascii.and_then(Result::ok);
        Ok(Self {
            text: text.into(),
            flags,
            limit,
            any: if ascii.is_some() { OnceLock::new() } else { OnceLock::from(Some(any)) },
            ascii,
            shortest: known.shortest,
            guard: known.guard,
            literals: known.literals,
        })
    }

    /// Whether it can match somewhere in a text with the lower-case form `lowered`: says no to
    /// most that it does not match, at a fraction of what the whole expression costs.
    pub(crate) fn may_match(&self, lowered: &str) -> bool {
        self.guard.passes(lowered)
    }

    /// Whether it matches somewhere in `text`.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        if text.len() < self.shortest {
            return false;
        }
        if let Some(ascii) = &self.ascii
            && text.is_ascii()
        {
            let decided = self.guard.decides(text.as_bytes());
            return decided.unwrap_or_else(|| ascii.is_match(text.as_bytes()));
        }
        // It was built once before, so it can be built.
        let any = self.any.get_or_init(|| build(&self.text, self.flags, self.limit).ok());
        any.as_ref().is_some_and(|any| any.is_match(text))
    }
}

fn build(text: &str, flags: Flags, limit: usize) -> Result<Regex, Error> {
    RegexBuilder::new(text)
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all)
        .size_limit(limit)
        .build()
}

/// Whether `pattern` surely means the same for ASCII text with and without Unicode: letters beyond
/// ASCII may be other cases of ASCII's (`ſ` of `s`), however they are written.
fn is_same_without_unicode(pattern: &str) -> bool {
    let written = ["\\x", "\\u", "\\U", "\\p", "\\P", "(?"];
    pattern.is_ascii()
        && !written.iter().any(|escape| {
            // Groups without a name, and flags that have nothing to do with it, are harmless.
            pattern.match_indices(escape).any(|(at, _)| {
                *escape != "(?"
                    || !["(?:", "(?i)", "(?s)", "(?m)"]
                        .iter()
                        .any(|plain| pattern[at..].starts_with(plain))
            })
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Expression, Flags, build};
    use crate::sigma::pattern::lower;

    const FLAGS: Flags = Flags { ignore_case: true, multi_line: false, dot_all: false };

    #[test]
    fn letters_that_are_cases_of_ascii_ones_count() {
        let long_s = Expression::new("mi\u{17f}\u{212a}", FLAGS, 1 << 20).unwrap();
        assert!(long_s.is_match("MISK"));
        let plain = Expression::new("misk", FLAGS, 1 << 20).unwrap();
        assert!(plain.is_match("xmi\u{17f}\u{212a}"));
        assert!(!plain.is_match("mis"));
    }

    proptest! {
        #[test]
        fn it_matches_what_the_plain_one_matches(
            pattern in r"([abs]|\\w|\\s|\\b|\[\^a\]|\.|\(\?:a\|k\)|a\{2,3\}|S\?|\\d\+|é|\\x\{17f\}|\(ab\)\{2\}|\.\*|[ab]\{16,\}){1,6}",
            text in "[abskKS 1\u{17f}\u{212a}é]{0,12}|[ab]{0,40}[ k]?[ab]{0,30}",
            ignore_case in any::<bool>(),
        ) {
            let flags = Flags { ignore_case, ..FLAGS };
            let Ok(plain) = build(&pattern, flags, 1 << 20) else { return Ok(()) };
            let found = Expression::new(&pattern, flags, 1 << 20).unwrap();
            let expected = plain.is_match(&text);
            prop_assert_eq!(found.is_match(&text), expected, "{} in {}", pattern, text);
            prop_assert!(found.may_match(&lower(&text)) || !expected, "{} in {}", pattern, text);
        }
    }
}
