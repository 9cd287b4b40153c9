//! The pattern language of STIX 2.1 (section 9), as far as single values go.
//!
//! Comparison expressions with `=`, `IN` and `ISSUBSET`, joined by AND and OR, in observations joined
//! by AND, OR and FOLLOWEDBY. Qualifiers (WITHIN, REPEATS, START) are read and told to be left out.

use super::expression::{Expression, Wanted};
use crate::indicator::Kind;
use crate::normalise::shown;

/// Longest pattern in bytes: longer ones hold lists that belong into indicators of their own.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 32;

/// A pattern, read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) expression: Expression,
    /// What of it is left out.
    pub(crate) notes: Vec<&'static str>,
}

/// Reads `pattern`.
///
/// # Errors
/// What is wrong and where.
pub(crate) fn parse(pattern: &str) -> Result<Parsed, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("its pattern has more than {MAX_PATTERN_BYTES} bytes"));
    }
    let mut parser = Parser { text: pattern, at: 0, depth: 0, notes: Vec::new() };
    let expression = parser.observations()?;
    parser.blanks();
    if parser.at < pattern.len() {
        return Err(parser.wrong("the end of the pattern"));
    }
    parser.notes.dedup();
    Ok(Parsed { expression, notes: parser.notes })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    notes: Vec<&'static str>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn wrong(&self, expected: &str) -> String {
        let at = self.text[..self.at].chars().count() + 1;
        let found = self.rest().chars().take(20).collect::<String>();
        let found =
            if found.is_empty() { "the end".to_owned() } else { format!("`{}`", shown(&found)) };
        format!("pattern, character {at}: {expected} expected, {found} found")
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Eats `word` where no letter follows it.
    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        let rest = self.rest();
        let follows = rest.as_bytes().get(word.len());
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && !follows.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if found {
            self.at += word.len();
        }
        found
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("pattern: brackets are nested deeper than {MAX_DEPTH}"));
        }
        Ok(())
    }

    /// Observations joined by OR, AND or FOLLOWEDBY, which bind in this order, loosest last.
    fn observations(&mut self) -> Result<Expression, String> {
        let mut any = Vec::new();
        let mut all = vec![self.observation()?];
        loop {
            if self.word("AND") {
                all.push(self.observation()?);
            } else if self.word("FOLLOWEDBY") {
                self.notes.push("the order of FOLLOWEDBY is not looked at");
                all.push(self.observation()?);
            } else if self.word("OR") {
                any.push(Expression::All(std::mem::take(&mut all)));
                all.push(self.observation()?);
            } else {
                any.push(Expression::All(all));
                return Ok(Expression::Any(any));
            }
        }
    }

    fn observation(&mut self) -> Result<Expression, String> {
        self.deeper()?;
        let expression = if self.eat("(") {
            let expression = self.observations()?;
            self.close(")")?;
            expression
        } else if self.eat("[") {
            let expression = self.comparisons()?;
            self.close("]")?;
            expression
        } else {
            return Err(self.wrong("`[`"));
        };
        self.depth -= 1;
        self.qualifiers()?;
        Ok(expression)
    }

    fn close(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) { Ok(()) } else { Err(self.wrong(&format!("`{sign}`"))) }
    }

    fn qualifiers(&mut self) -> Result<(), String> {
        loop {
            if self.word("WITHIN") {
                self.until_word("SECONDS")?;
            } else if self.word("REPEATS") {
                self.until_word("TIMES")?;
            } else if self.word("START") {
                self.blanks();
                self.eat("t");
                self.literal()?;
                if !self.word("STOP") {
                    return Err(self.wrong("STOP"));
                }
                self.eat("t");
                self.literal()?;
            } else {
                return Ok(());
            }
            self.notes.push("WITHIN, REPEATS and START … STOP are not looked at");
        }
    }

    fn until_word(&mut self, word: &str) -> Result<(), String> {
        self.literal()?;
        if self.word(word) { Ok(()) } else { Err(self.wrong(word)) }
    }

    /// Comparisons joined by OR and, binding tighter, AND.
    fn comparisons(&mut self) -> Result<Expression, String> {
        let mut any = Vec::new();
        let mut all = vec![self.comparison()?];
        loop {
            if self.word("AND") {
                all.push(self.comparison()?);
            } else if self.word("OR") {
                any.push(Expression::All(std::mem::take(&mut all)));
                all.push(self.comparison()?);
            } else {
                any.push(Expression::All(all));
                return Ok(Expression::Any(any));
            }
        }
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        if self.eat("(") {
            self.deeper()?;
            let expression = self.comparisons()?;
            self.depth -= 1;
            self.close(")")?;
            return Ok(expression);
        }
        let start = self.at;
        let negated = self.word("NOT");
        if self.word("EXISTS") {
            self.path()?;
            return Ok(self.not_understood(start));
        }
        let path = self.path()?;
        let negated = self.word("NOT") || negated;
        let mut values = Vec::new();
        let signs = ["!=", "<>", ">=", "<=", ">", "<"];
        let words = ["LIKE", "MATCHES", "ISSUPERSET"];
        let equal = if signs.iter().any(|sign| self.eat(sign))
            || words.iter().any(|word| self.word(word))
        {
            values.push(self.literal()?);
            false
        } else if self.eat("==") || self.eat("=") || self.word("ISSUBSET") {
            values.push(self.literal()?);
            true
        } else if self.word("IN") {
            self.list(&mut values)?;
            true
        } else {
            return Err(self.wrong("a comparison, for example `=`"));
        };
        match wanted(&path) {
            Some(wanted) if equal && !negated => Ok(Expression::Any(
                values.into_iter().map(|value| Expression::Is(wanted, value)).collect(),
            )),
            _ => Ok(self.not_understood(start)),
        }
    }

    fn not_understood(&self, start: usize) -> Expression {
        Expression::NotUnderstood(format!("`{}`", shown(self.text[start..self.at].trim())))
    }

    fn list(&mut self, values: &mut Vec<String>) -> Result<(), String> {
        if !self.eat("(") {
            return Err(self.wrong("`(`"));
        }
        loop {
            values.push(self.literal()?);
            if !self.eat(",") {
                return self.close(")");
            }
        }
    }

    /// An object path: `type:property.property`, with quoted properties and indices.
    fn path(&mut self) -> Result<String, String> {
        self.blanks();
        let start = self.at;
        let mut path = String::new();
        while let Some(c) = self.rest().chars().next() {
            match c {
                '\'' => path.push_str(&self.quoted()?),
                '[' => {
                    let end = self.rest().find(']').ok_or_else(|| self.wrong("`]`"))?;
                    self.at += end + 1;
                }
                c if c.is_ascii_alphanumeric() || "-_.:*\"".contains(c) => {
                    if c != '"' {
                        path.push(c);
                    }
                    self.at += 1;
                }
                _ => break,
            }
        }
        if self.at == start || !path.contains(':') {
            self.at = start;
            return Err(self.wrong("a path such as `file:hashes.'SHA-256'`"));
        }
        Ok(path)
    }

    /// A text in quotes (`\'` and `\\` undone), a number or `true`.
    fn literal(&mut self) -> Result<String, String> {
        self.blanks();
        let rest = self.rest();
        // t'…', h'…' and b'…' are times, hexadecimal and base64: their text is given as it stands.
        if rest.len() > 1 && rest.as_bytes()[1] == b'\'' && rest.starts_with(['t', 'h', 'b']) {
            self.at += 1;
        }
        if self.rest().starts_with('\'') {
            return self.quoted();
        }
        let end = self
            .rest()
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')))
            .unwrap_or(self.rest().len());
        if end == 0 {
            return Err(self.wrong("a value in quotes"));
        }
        let found = self.rest()[..end].to_owned();
        self.at += end;
        Ok(found)
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut value = String::new();
        let mut letters = self.rest().char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\'' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
                letter => value.push(letter),
            }
        }
        Err(self.wrong("a quote that closes"))
    }
}

/// What kind of value an object path holds; `None` where it is none of ours.
fn wanted(path: &str) -> Option<Wanted> {
    let (object, property) = path.split_once(':')?;
    let lower = property.to_ascii_lowercase();
    if let Some((_, algorithm)) = lower.rsplit_once("hashes.") {
        let kind = match algorithm.replace('-', "").as_str() {
            "sha256" => Kind::Sha256,
            "sha1" => Kind::Sha1,
            "md5" => Kind::Md5,
            _ => return None,
        };
        return Some(Wanted::One(if object == "x509-certificate" {
            Kind::Certificate
        } else {
            kind
        }));
    }
    Some(Wanted::One(match (object, lower.as_str()) {
        ("ipv4-addr", "value") => Kind::Ipv4,
        ("ipv6-addr", "value") => Kind::Ipv6,
        ("domain-name", "value") => Kind::Domain,
        ("url", "value") => Kind::Url,
        ("mutex", "name") => Kind::Name,
        ("email-addr", "value") | ("email-message", "from_ref.value" | "sender_ref.value") => {
            Kind::Email
        }
        ("directory", "path") | ("file", "name" | "x_path" | "path") => Kind::Path,
        ("network-traffic", "dst_ref.value" | "src_ref.value") => return Some(Wanted::Any),
        ("network-traffic", name) if name.ends_with("ja3") || name.ends_with("ja3_hash") => {
            Kind::Ja3
        }
        ("network-traffic", name) if name.ends_with("ja4") => Kind::Ja4,
        _ => return None,
    }))
}
