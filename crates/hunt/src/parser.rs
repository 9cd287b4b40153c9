//! Words to a predicate tree. The grammar stands in the crate's README.
//!
//! Every size that the asker controls is bounded: the text, the depth, the number of tests.

use crate::error::QueryError;
use crate::lexer::{Cursor, Word};
use crate::names::{resolve, suggest_fields};
use crate::plan::{End, Predicate, Query};
use crate::tests_of::{range_tests, value_tests, word_tests};

/// Longest query, in bytes: room for a list of a few hundred hashes.
pub const MAX_QUERY_BYTES: usize = 64 << 10;
/// Deepest nesting of parentheses and NOT: recursion stays within any thread's stack.
pub const MAX_DEPTH: usize = 64;
/// Most tests a query may become; a bare word becomes about a dozen.
pub const MAX_TESTS: usize = 4_096;

/// Reads a query. Blank text means every activity.
///
/// # Errors
/// [`QueryError`] with the place and, where one can be guessed, what to write instead.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError::new(
            format!("the query is longer than {MAX_QUERY_BYTES} bytes"),
            [0, text.len()],
        )
        .hint("split it, or search for a list of values in several queries"));
    }
    let mut parser = Parser { cursor: Cursor::new(text), depth: 0, tests: 0 };
    parser.cursor.skip_blanks();
    if parser.cursor.peek().is_none() {
        return Ok(Query { text: text.to_owned(), predicate: Predicate::All });
    }
    let predicate = parser.any_of()?;
    if parser.cursor.peek().is_some() {
        let at = parser.cursor.at();
        return Err(QueryError::new("this parenthesis was never opened", [at, at + 1])
            .hint("remove it, or write \\) or \"…\" to search for the sign"));
    }
    Ok(Query { text: text.to_owned(), predicate })
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    depth: usize,
    tests: usize,
}

enum Joint {
    And,
    Or,
    None,
}

impl Parser<'_> {
    fn any_of(&mut self) -> Result<Predicate, QueryError> {
        let mut parts = vec![self.all_of()?];
        while let Joint::Or = self.joint()? {
            parts.push(self.all_of()?);
        }
        Ok(joined(parts, Predicate::Or))
    }

    fn all_of(&mut self) -> Result<Predicate, QueryError> {
        let mut parts = vec![self.one()?];
        loop {
            let before = self.cursor.clone();
            match self.joint()? {
                Joint::And => parts.push(self.one()?),
                Joint::Or => {
                    self.cursor = before;
                    break;
                }
                Joint::None => match self.cursor.peek() {
                    None | Some(')') => break,
                    Some(_) => parts.push(self.one()?),
                },
            }
        }
        Ok(joined(parts, Predicate::And))
    }

    /// Takes AND or OR if it comes next, and says which.
    fn joint(&mut self) -> Result<Joint, QueryError> {
        self.cursor.skip_blanks();
        let before = self.cursor.clone();
        if self.cursor.peek() != Some('"')
            && let Some(word) = self.cursor.word("")?
        {
            if word.is_keyword("and") {
                self.cursor.skip_blanks();
                return Ok(Joint::And);
            }
            if word.is_keyword("or") {
                self.cursor.skip_blanks();
                return Ok(Joint::Or);
            }
        }
        self.cursor = before;
        Ok(Joint::None)
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if self.depth == MAX_DEPTH {
            let at = self.cursor.at();
            return Err(QueryError::new(
                format!("the query is nested deeper than {MAX_DEPTH} levels"),
                [at, at],
            ));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn one(&mut self) -> Result<Predicate, QueryError> {
        self.cursor.skip_blanks();
        let start = self.cursor.at();
        if self.cursor.eat('(') {
            let inner = self.deeper(Self::any_of)?;
            self.close(start)?;
            return Ok(inner);
        }
        if let Some((name, span)) = self.cursor.field_name() {
            return self.field(&name, span);
        }
        let Some(word) = self.cursor.word("")? else {
            return Err(self.missing(start));
        };
        if word.is_keyword("not") {
            let inner = self.deeper(Self::one)?;
            return Ok(Predicate::Not(Box::new(inner)));
        }
        if word.is_keyword("and") || word.is_keyword("or") {
            return Err(QueryError::new("there is nothing before this operator", word.span)
                .hint("write a condition on both sides, or \"and\" in quotes to search the word"));
        }
        let predicate = word_tests(&word)?;
        self.counted(predicate, word.span)
    }

    fn missing(&self, start: usize) -> QueryError {
        match self.cursor.peek() {
            Some(')') => QueryError::new("there is no condition here", [start, start + 1])
                .hint("write a condition, for example cmd:curl"),
            _ => QueryError::new("the query ends where a condition should follow", [start, start])
                .hint("write a condition, for example cmd:curl"),
        }
    }

    fn close(&mut self, opened: usize) -> Result<(), QueryError> {
        self.cursor.skip_blanks();
        if self.cursor.eat(')') {
            return Ok(());
        }
        Err(QueryError::new("this parenthesis is never closed", [opened, opened + 1])
            .hint("add a closing parenthesis"))
    }

    fn field(&mut self, name: &str, span: [usize; 2]) -> Result<Predicate, QueryError> {
        let fields = resolve(name);
        if fields.is_empty() {
            let error = QueryError::new(format!("there is no field `{name}`"), span);
            let near = suggest_fields(name, 3);
            return Err(if near.is_empty() {
                error.hint("put the text in quotes to search for it as it stands")
            } else {
                error.hint(format!("did you mean {}?", near.join(", ")))
            });
        }
        self.cursor.skip_blanks();
        let start = self.cursor.at();
        match self.cursor.peek() {
            Some('(') => {
                self.cursor.bump();
                let inner = self.deeper(|parser| parser.values(&fields))?;
                self.close(start)?;
                Ok(inner)
            }
            Some('[' | '{') => self.range(&fields),
            Some('>' | '<') => self.comparison(&fields),
            _ => self.value(&fields),
        }
    }

    /// Values in parentheses: joined by OR, which may be left out, AND, or NOT.
    fn values(&mut self, fields: &Fields) -> Result<Predicate, QueryError> {
        let mut any = Vec::new();
        let mut all = vec![self.list_value(fields)?];
        loop {
            let joint = self.joint()?;
            let next = match joint {
                Joint::None if matches!(self.cursor.peek(), None | Some(')')) => break,
                _ => self.list_value(fields)?,
            };
            if !matches!(joint, Joint::And) {
                any.push(joined(std::mem::take(&mut all), Predicate::And));
            }
            all.push(next);
        }
        any.push(joined(all, Predicate::And));
        Ok(joined(any, Predicate::Or))
    }

    fn list_value(&mut self, fields: &Fields) -> Result<Predicate, QueryError> {
        self.cursor.skip_blanks();
        let before = self.cursor.clone();
        match self.cursor.peek() {
            Some('[' | '{') => return self.range(fields),
            Some('>' | '<') => return self.comparison(fields),
            _ => {}
        }
        if let Some(word) = self.cursor.word("")?
            && word.is_keyword("not")
        {
            let inner = self.deeper(|parser| parser.list_value(fields))?;
            return Ok(Predicate::Not(Box::new(inner)));
        }
        self.cursor = before;
        self.value(fields)
    }

    fn value(&mut self, fields: &Fields) -> Result<Predicate, QueryError> {
        let word = self.needed_word("")?;
        let tests =
            fields.iter().map(|spec| value_tests(spec, &word)).collect::<Result<Vec<_>, _>>()?;
        self.counted(joined(tests, Predicate::Or), word.span)
    }

    fn needed_word(&mut self, stops: &str) -> Result<Word, QueryError> {
        self.cursor.skip_blanks();
        let at = self.cursor.at();
        self.cursor.word(stops)?.ok_or_else(|| {
            QueryError::new("a value is missing here", [at, at])
                .hint("write a value, \"text in quotes\", or * for any value")
        })
    }

    fn comparison(&mut self, fields: &Fields) -> Result<Predicate, QueryError> {
        let start = self.cursor.at();
        let upwards = self.cursor.eat('>') || !self.cursor.eat('<');
        let end = if self.cursor.eat('=') { End::Included } else { End::Excluded };
        let word = self.needed_word("")?;
        let span = [start, word.span[1]];
        let bound = Some((word, end));
        let (low, high) = if upwards { (bound, None) } else { (None, bound) };
        self.ranged(fields, [low, high], span)
    }

    fn range(&mut self, fields: &Fields) -> Result<Predicate, QueryError> {
        let start = self.cursor.at();
        let low_end = if self.cursor.eat('[') { End::Included } else { End::Excluded };
        if low_end == End::Excluded {
            self.cursor.bump();
        }
        let low = self.needed_word("]}")?;
        let to = self.needed_word("]}")?;
        if !to.is_keyword("to") {
            return Err(QueryError::new("a range is written with TO", to.span)
                .hint("for example pid:[100 TO 200] or time:[2026-11-21 TO *]"));
        }
        let high = self.needed_word("]}")?;
        self.cursor.skip_blanks();
        let high_end = if self.cursor.eat(']') {
            End::Included
        } else if self.cursor.eat('}') {
            End::Excluded
        } else {
            return Err(QueryError::new("this range is never closed", [start, start + 1])
                .hint("add ] to include the end, } to leave it out"));
        };
        let open = |word: Word, end| (!word.is_any()).then_some((word, end));
        let span = [start, self.cursor.at()];
        self.ranged(fields, [open(low, low_end), open(high, high_end)], span)
    }

    fn ranged(
        &mut self,
        fields: &Fields,
        [low, high]: [Option<(Word, End)>; 2],
        span: [usize; 2],
    ) -> Result<Predicate, QueryError> {
        let tests = fields
            .iter()
            .map(|spec| range_tests(spec, low.as_ref(), high.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        self.counted(joined(tests, Predicate::Or), span)
    }

    fn counted(&mut self, predicate: Predicate, span: [usize; 2]) -> Result<Predicate, QueryError> {
        self.tests += count(&predicate);
        if self.tests > MAX_TESTS {
            return Err(QueryError::new(
                format!("the query holds more than {MAX_TESTS} tests"),
                span,
            )
            .hint("split it into several queries"));
        }
        Ok(predicate)
    }
}

type Fields = [&'static metsuke_event::FieldSpec];

fn count(predicate: &Predicate) -> usize {
    match predicate {
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().map(count).sum(),
        _ => 1,
    }
}

/// One part stands for itself.
pub(crate) fn joined(
    mut parts: Vec<Predicate>,
    join: fn(Vec<Predicate>) -> Predicate,
) -> Predicate {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            join(parts)
        }
        (_, None) => join(parts),
    }
}
