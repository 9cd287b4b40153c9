//! The condition grammar: `and`, `or`, `not`, brackets, `1 of x*`, `all of them`.
//!
//! From loose to tight: `or`, `and`, `not`, `of`. Words of the grammar may be written in any case,
//! names of searches as they stand. `them` is every search whose name does not begin with `_`.

use crate::bounds;
use crate::document::Reason;

/// A condition over the searches of one filter, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Search(usize),
    Not(Box<Condition>),
    All(Vec<Condition>),
    /// At least so many of these.
    Some(usize, Vec<Condition>),
}

/// A reason, and at which character of the condition it lies.
pub(crate) type Fault = (Reason, usize);

/// A word or sign, and at which character it begins.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    at: usize,
}

/// Reads `text` over searches called `names`.
pub(crate) fn parse(text: &str, names: &[String]) -> Result<Condition, Fault> {
    if text.len() > bounds::CONDITION_BYTES {
        return Err((Reason::TooLarge("bytes of a condition"), 0));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, next: 0, end: text.chars().count(), names };
    let condition = reader.any(0)?;
    match reader.peek() {
        None => Ok(condition),
        Some(token) => Err(unexpected(token)),
    }
}

fn unexpected(token: Token<'_>) -> Fault {
    (Reason::Condition(format!("`{}` was not expected here", token.text)), token.at)
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '*' | '?' | '-' | '.');
        let end = match first {
            c if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                at += 1;
                continue;
            }
            '|' => {
                let aggregation = rest[1..].split_whitespace().collect::<Vec<_>>().join(" ");
                return Err((Reason::Aggregation(aggregation), at));
            }
            '(' | ')' => 1,
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => {
                let why = format!("character `{c}` has no meaning");
                return Err((Reason::Condition(why), at));
            }
        };
        tokens.push(Token { text: &rest[..end], at });
        at += rest[..end].chars().count();
        rest = &rest[end..];
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    /// Characters of the whole.
    end: usize,
    names: &'a [String],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut parts = vec![self.all(depth)?];
        while self.eat("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() > 1 { Condition::Some(1, parts) } else { parts.remove(0) })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, Fault> {
        let mut parts = vec![self.not(depth)?];
        while self.eat("and") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() > 1 { Condition::All(parts) } else { parts.remove(0) })
    }

    fn not(&mut self, depth: usize) -> Result<Condition, Fault> {
        let Some(token) = self.peek() else {
            return Err((Reason::Condition("it ends too early".to_owned()), self.end));
        };
        if depth > bounds::CONDITION_DEPTH {
            return Err((Reason::TooLarge("nesting of a condition"), token.at));
        }
        if self.eat("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.eat("(") {
            let inner = self.any(depth + 1)?;
            if self.eat(")") {
                return Ok(inner);
            }
            return Err(match self.peek() {
                Some(other) => unexpected(other),
                None => (Reason::Condition("this bracket is not closed".to_owned()), token.at),
            });
        }
        self.next += 1;
        if self.eat("of") {
            return self.of(token);
        }
        if let Some(index) = self.names.iter().position(|name| name == token.text) {
            return Ok(Condition::Search(index));
        }
        if matches!(token.text, ")" | "and" | "or" | "of" | "AND" | "OR" | "OF") {
            return Err(unexpected(token));
        }
        let why = format!("`{}` is no search of this document", token.text);
        Err((Reason::Condition(why), token.at))
    }

    /// `QUANTITY of PATTERN`, after `of`.
    fn of(&mut self, quantity: Token<'_>) -> Result<Condition, Fault> {
        let Some(pattern) = self.peek() else {
            return Err((Reason::Condition("`of` lacks what it is of".to_owned()), self.end));
        };
        self.next += 1;
        let wanted: Vec<Condition> = self
            .names
            .iter()
            .enumerate()
            .filter(|(_, name)| {
                if pattern.text.eq_ignore_ascii_case("them") {
                    !name.starts_with('_')
                } else {
                    glob(pattern.text, name)
                }
            })
            .map(|(index, _)| Condition::Search(index))
            .collect();
        if wanted.is_empty() {
            let why = format!("no search is called `{}`", pattern.text);
            return Err((Reason::Condition(why), pattern.at));
        }
        if quantity.text.eq_ignore_ascii_case("all") {
            return Ok(Condition::All(wanted));
        }
        let number = match quantity.text {
            any if any.eq_ignore_ascii_case("any") => Some(1),
            number => number.parse().ok(),
        };
        match number {
            Some(number) if (1..=wanted.len()).contains(&number) => {
                Ok(Condition::Some(number, wanted))
            }
            Some(_) => {
                let why = format!(
                    "`{} of {}` cannot be met: {} searches are meant",
                    quantity.text,
                    pattern.text,
                    wanted.len()
                );
                Err((Reason::Condition(why), quantity.at))
            }
            None => {
                let why = format!("`{}` is no quantity: write a number, any or all", quantity.text);
                Err((Reason::Condition(why), quantity.at))
            }
        }
    }
}

fn glob(pattern: &str, name: &str) -> bool {
    super::pattern::Pattern::parse(pattern).matches(name)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: &str) {
        let names: Vec<String> = ["sel_a", "sel_b", "filter", "_own"].map(str::to_owned).to_vec();
        let found = match parse(text, &names) {
            Ok(condition) => format!("{condition:?}"),
            Err((reason, _)) => reason.code().to_owned(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn grammar() {
        check("sel_a", "Search(0)");
        check(
            "sel_a or sel_b and not filter",
            "Some(1, [Search(0), All([Search(1), Not(Search(2))])])",
        );
        check("(sel_a or sel_b) and filter", "All([Some(1, [Search(0), Search(1)]), Search(2)])");
        check("1 of sel_*", "Some(1, [Search(0), Search(1)])");
        check("all of them", "All([Search(0), Search(1), Search(2)])");
        check("2 of sel_*", "Some(2, [Search(0), Search(1)])");
        check("not 1 of filter*", "Not(Some(1, [Search(2)]))");
    }

    #[test]
    fn words_in_any_case_and_nests() {
        check("1 OF Them", "Some(1, [Search(0), Search(1), Search(2)])");
        check(
            "ANY of sel_* AND NOT filter",
            "All([Some(1, [Search(0), Search(1)]), Not(Search(2))])",
        );
        check(
            "not (sel_a or (sel_b and _own))",
            "Not(Some(1, [Search(0), All([Search(1), Search(3)])]))",
        );
        check("not not sel_a", "Not(Not(Search(0)))");
        check(
            "not 1 of sel_* or filter",
            "Some(1, [Not(Some(1, [Search(0), Search(1)])), Search(2)])",
        );
        check("all of *e*", "All([Search(0), Search(1), Search(2)])");
        check("1 of filter", "Some(1, [Search(2)])");
        check("1 of _*", "Some(1, [Search(3)])");
        check("((((sel_a))))", "Search(0)");
    }

    /// Code, message (its beginning) and character of each refusal.
    #[test]
    fn refusals() {
        let names: Vec<String> = ["sel_a", "sel_b", "filter", "_own"].map(str::to_owned).to_vec();
        for (text, code, why, at) in [
            ("", "condition", "it ends too early", 0),
            ("sel_a and", "condition", "it ends too early", 9),
            ("sel_a and or sel_b", "condition", "`or` was not", 10),
            ("(sel_a", "condition", "this bracket", 0),
            ("(sel_a sel_b)", "condition", "`sel_b` was not", 7),
            ("sel_a)", "condition", "`)` was not", 5),
            ("sel_a  and nothing", "condition", "`nothing` is no search", 11),
            ("sel_a or 1 of x*", "condition", "no search is called `x*`", 14),
            ("1 of", "condition", "`of` lacks", 4),
            ("3 of sel_*", "condition", "`3 of sel_*` cannot", 0),
            ("sel_a and 0 of sel_*", "condition", "`0 of sel_*` cannot", 10),
            ("some of sel_*", "condition", "`some` is no quantity", 0),
            ("sel_a & sel_b", "condition", "character `&`", 6),
            ("sel_a | count() by x > 5", "aggregation", "the condition uses", 6),
            ("sel_a | near sel_b", "aggregation", "the condition uses", 6),
        ] {
            let (reason, found) = parse(text, &names).expect_err(text);
            assert_eq!((reason.code(), found), (code, at), "{text}");
            assert!(reason.to_string().contains(why), "{text}: {reason}");
        }
        check(&"(".repeat(200), "too_large");
        check(&"not ".repeat(20), "condition");
        check(&format!("{}sel_a", "not ".repeat(200)), "too_large");
    }
}
