//! Characters to words: where a word ends, what is escaped, what is a wildcard.
//!
//! Spans are byte offsets in the text as given. Characters whose NFKC is one ASCII character act
//! as that character, so a full-width `：` separates a field from its value too.

use crate::error::QueryError;
use crate::fold::{nfkc, plain};
use crate::pattern::Piece;

/// Characters a backslash takes their meaning from; before any other it is itself.
const ESCAPABLE: &str = "*?\"\\:()[]{} ";

/// A value as written: its pieces as they are, and in NFKC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) span: [usize; 2],
    pub(crate) raw: Vec<Piece>,
    pub(crate) folded: Vec<Piece>,
    pub(crate) quoted: bool,
}

impl Word {
    fn new(span: [usize; 2], raw: Vec<Piece>, quoted: bool) -> Self {
        let fold = |piece: &Piece| match piece {
            Piece::Literal(text) if !quoted => Piece::Literal(nfkc(text).into_owned()),
            other => other.clone(),
        };
        let folded = raw.iter().map(fold).collect();
        Self { span, raw, folded, quoted }
    }

    /// The text, when it has no wildcard.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.folded.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is `*` alone.
    pub(crate) fn is_any(&self) -> bool {
        matches!(self.folded.as_slice(), [Piece::Many])
    }

    /// Whether it is this keyword, unquoted, in either case.
    pub(crate) fn is_keyword(&self, keyword: &str) -> bool {
        !self.quoted && self.literal().is_some_and(|text| text.eq_ignore_ascii_case(keyword))
    }
}

/// Reads characters; can look ahead and go back.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn raw(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// The next character, full-width ones made plain.
    pub(crate) fn peek(&self) -> Option<char> {
        self.raw().map(plain)
    }

    pub(crate) fn bump(&mut self) {
        if let Some(c) = self.raw() {
            self.at += c.len_utf8();
        }
    }

    pub(crate) fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    pub(crate) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.bump();
        }
    }

    /// Tries to read `NAME:`; gives the name and its span, and stands behind the colon.
    pub(crate) fn field_name(&mut self) -> Option<(String, [usize; 2])> {
        let mut ahead = self.clone();
        while let Some(c) = ahead.peek() {
            if c == ':' {
                break;
            }
            if !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '/')) {
                return None;
            }
            ahead.bump();
        }
        let span = [self.at, ahead.at];
        if ahead.peek() != Some(':') || span[0] == span[1] {
            return None;
        }
        ahead.bump();
        let name = nfkc(self.slice(span[0], span[1])).into_owned();
        *self = ahead;
        Some((name, span))
    }

    /// Reads a quoted or plain word that ends at a blank, a parenthesis, or one of `stops`.
    pub(crate) fn word(&mut self, stops: &str) -> Result<Option<Word>, QueryError> {
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let start = self.at;
        let mut pieces = Vec::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || matches!(c, '(' | ')' | '"') || stops.contains(c) {
                break;
            }
            let Some(raw) = self.raw() else { break };
            self.bump();
            match c {
                '\\' if self.peek().is_some_and(|next| ESCAPABLE.contains(next)) => {
                    if let Some(next) = self.raw() {
                        push(&mut pieces, next);
                    }
                    self.bump();
                }
                '*' if pieces.last() == Some(&Piece::Many) => {}
                '*' => pieces.push(Piece::Many),
                '?' => pieces.push(Piece::One),
                _ => push(&mut pieces, raw),
            }
        }
        if self.at == start {
            return Ok(None);
        }
        Ok(Some(Word::new([start, self.at], pieces, false)))
    }

    /// Inside quotation marks every sign is itself, but for `\"` and `\\`. Text opened by a plain
    /// mark ends at a plain one; text opened by a full-width mark ends at either.
    fn quoted(&mut self) -> Result<Word, QueryError> {
        let start = self.at;
        let opening = self.raw();
        self.bump();
        let closes = |c: char| c == '"' || (opening != Some('"') && plain(c) == '"');
        let mut text = String::new();
        loop {
            let Some(c) = self.raw() else {
                return Err(QueryError::new(
                    "the quotation mark is never closed",
                    [start, self.at],
                )
                .hint("add a closing \" at the end of the text"));
            };
            self.bump();
            if closes(c) {
                break;
            }
            match self.raw() {
                Some(next) if c == '\\' && (next == '\\' || closes(next)) => {
                    text.push(next);
                    self.bump();
                }
                _ => text.push(c),
            }
        }
        let pieces = if text.is_empty() { Vec::new() } else { vec![Piece::Literal(text)] };
        Ok(Word::new([start, self.at], pieces, true))
    }
}

fn push(pieces: &mut Vec<Piece>, c: char) {
    if let Some(Piece::Literal(text)) = pieces.last_mut() {
        text.push(c);
    } else {
        pieces.push(Piece::Literal(c.into()));
    }
}
