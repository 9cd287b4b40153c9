//! Text patterns: literal pieces, `?` (one character) and `*` (any number), letter case apart.
//!
//! A pattern covers the whole value. It is compiled once to a regular expression that runs in
//! linear time, so a hostile pattern or value cannot make it slow.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

/// Bound on a compiled pattern, in bytes; a query of the permitted length stays far below.
const COMPILED_LIMIT: usize = 8 << 20;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Literal(String),
    /// One character.
    One,
    /// Any number of characters.
    Many,
}

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern {
    pieces: Vec<Piece>,
    regex: Arc<Regex>,
}

impl Pattern {
    /// Compiles `pieces`; `None` when the result would be larger than the bound.
    pub fn new(pieces: Vec<Piece>) -> Option<Self> {
        let mut source = String::from(r"(?s)\A");
        for piece in &pieces {
            match piece {
                Piece::Literal(text) => source.push_str(&regex::escape(text)),
                Piece::One => source.push('.'),
                Piece::Many => source.push_str(".*"),
            }
        }
        source.push_str(r"\z");
        // `.*x.*` as a search for `x`: the same answer, and the engine can use its literal search.
        let source = source.replace(r"(?s)\A.*", "(?s)");
        let source = source.strip_suffix(r".*\z").unwrap_or(&source);
        let regex = RegexBuilder::new(source)
            .case_insensitive(true)
            .size_limit(COMPILED_LIMIT)
            .build()
            .ok()?;
        Some(Self { pieces, regex: Arc::new(regex) })
    }

    /// The pattern that `text` as a whole fulfils.
    pub fn whole(text: &str) -> Option<Self> {
        Self::new(vec![Piece::Literal(text.to_owned())])
    }

    /// The pattern of values that hold `text` somewhere.
    pub fn containing(text: &str) -> Option<Self> {
        Self::new(vec![Piece::Many, Piece::Literal(text.to_owned()), Piece::Many])
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether `text` fulfils it.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Debug for Pattern {
    /// The pattern as it would be written in a query, with `\` before literal wildcards.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("~")?;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => {
                    f.write_str(&text.replace('*', "\\*").replace('?', "\\?"))?;
                }
                Piece::One => f.write_str("?")?,
                Piece::Many => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}
