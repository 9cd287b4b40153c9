//! The condition grammar: `and`, `or`, `not`, brackets, `1 of x*`, `all of them`.

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

/// Reads `text` over searches called `names`.
pub(crate) fn parse(text: &str, names: &[String]) -> Result<Condition, Reason> {
    if text.len() > bounds::CONDITION_BYTES {
        return Err(Reason::TooLarge("bytes of a condition"));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, at: 0, names };
    let condition = reader.any(0)?;
    match reader.peek() {
        None => Ok(condition),
        Some("|") => Err(Reason::Aggregation(tokens[reader.at + 1..].join(" "))),
        Some(token) => Err(Reason::Condition(format!("`{token}` was not expected here"))),
    }
}

fn tokens(text: &str) -> Result<Vec<&str>, Reason> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '*' | '?' | '-' | '.');
        let end = match first {
            '(' | ')' | '|' | '<' | '>' | '=' | ',' => 1,
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            c => return Err(Reason::Condition(format!("character `{c}` has no meaning"))),
        };
        tokens.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    at: usize,
    names: &'a [String],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Condition, Reason> {
        let mut parts = vec![self.all(depth)?];
        while self.eat("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() > 1 { Condition::Some(1, parts) } else { parts.remove(0) })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, Reason> {
        let mut parts = vec![self.not(depth)?];
        while self.eat("and") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() > 1 { Condition::All(parts) } else { parts.remove(0) })
    }

    fn not(&mut self, depth: usize) -> Result<Condition, Reason> {
        if depth > bounds::CONDITION_DEPTH {
            return Err(Reason::TooLarge("nesting of a condition"));
        }
        if self.eat("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.eat("(") {
            let inner = self.any(depth + 1)?;
            if !self.eat(")") {
                return Err(Reason::Condition("a bracket is not closed".to_owned()));
            }
            return Ok(inner);
        }
        let Some(token) = self.peek() else {
            return Err(Reason::Condition("it ends too early".to_owned()));
        };
        self.at += 1;
        if self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of")) {
            return self.of(token);
        }
        match self.names.iter().position(|name| name == token) {
            Some(index) => Ok(Condition::Search(index)),
            None => Err(Reason::Condition(format!("`{token}` is no search of this document"))),
        }
    }

    /// `QUANTITY of PATTERN`; the cursor stands on `of`.
    fn of(&mut self, quantity: &str) -> Result<Condition, Reason> {
        self.at += 1;
        let Some(pattern) = self.peek() else {
            return Err(Reason::Condition("`of` lacks what it is of".to_owned()));
        };
        self.at += 1;
        let wanted: Vec<Condition> =
            self.names
                .iter()
                .enumerate()
                .filter(|(_, name)| {
                    if pattern == "them" { !name.starts_with('_') } else { glob(pattern, name) }
                })
                .map(|(index, _)| Condition::Search(index))
                .collect();
        if wanted.is_empty() {
            return Err(Reason::Condition(format!("no search is called `{pattern}`")));
        }
        match quantity {
            "all" => Ok(Condition::All(wanted)),
            "any" => Ok(Condition::Some(1, wanted)),
            number => match number.parse() {
                Ok(number) if (1..=wanted.len()).contains(&number) => {
                    Ok(Condition::Some(number, wanted))
                }
                _ => Err(Reason::Condition(format!("`{number} of {pattern}` cannot be met"))),
            },
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
            Err(reason) => reason.code().to_owned(),
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
    fn refusals() {
        for text in ["", "sel_a and", "(sel_a", "sel_a)", "nothing", "1 of x*", "3 of sel_*", "&"] {
            check(text, "condition");
        }
        check("sel_a | count() > 5", "aggregation");
        check(&"(".repeat(200), "too_large");
        check(&"not ".repeat(200), "too_large");
    }
}
