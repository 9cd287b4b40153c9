//! Modifiers: what `Field|modifier|modifier: value` asks.
//!
//! Values are turned from left to right (encodings, dashes, wildcards), then the last of them
//! says how the result is compared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::RegexBuilder;

use crate::bounds;
use crate::document::Reason;
use crate::predicate::{Comparison, Op, Relation, Test};
use crate::sigma::encode::{Endian, dashes, offsets, wide};
use crate::sigma::necessary;
use crate::sigma::pattern::{Part, Pattern};
use crate::yaml::{Node, cut};

/// A key, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Modifiers {
    pub(crate) field: String,
    /// All values have to match, not one of them.
    pub(crate) all: bool,
    /// None of the values may match.
    pub(crate) negated: bool,
    steps: Vec<Step>,
    compare: Compare,
    cased: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Contains,
    StartsWith,
    EndsWith,
    WinDash,
    Wide(Endian),
    Base64,
    Base64Offset,
    Expand,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Compare {
    #[default]
    Pattern,
    Regex {
        ignore_case: bool,
        multi_line: bool,
        dot_all: bool,
    },
    Cidr,
    Number(Comparison),
    Exists,
    Field,
}

/// What a value asks: the comparison with its name among those of the field, or another field.
pub(crate) enum Asked {
    Op(String, Op),
    Field(String, Relation),
}

/// Reads the key of a search's entry.
pub(crate) fn parse(key: &str) -> Result<Modifiers, Reason> {
    let mut names = key.split('|');
    let field = names.next().unwrap_or_default().to_owned();
    let mut found = Modifiers { field, ..Modifiers::default() };
    for name in names {
        found.add(name)?;
    }
    Ok(found)
}

impl Modifiers {
    fn add(&mut self, name: &str) -> Result<(), Reason> {
        let bad = |why: &str| Reason::BadModifier(name.to_owned(), why.to_owned());
        if let (Compare::Regex { ignore_case, multi_line, dot_all }, "i" | "m" | "s") =
            (&mut self.compare, name)
        {
            let flag = match name {
                "i" => ignore_case,
                "m" => multi_line,
                _ => dot_all,
            };
            *flag = true;
            return Ok(());
        }
        let step = match name {
            "contains" => Step::Contains,
            "startswith" => Step::StartsWith,
            "endswith" => Step::EndsWith,
            "windash" => Step::WinDash,
            "wide" | "utf16le" => Step::Wide(Endian::Little),
            "utf16be" => Step::Wide(Endian::Big),
            "utf16" => Step::Wide(Endian::Marked),
            "base64" => Step::Base64,
            "base64offset" => Step::Base64Offset,
            "expand" => Step::Expand,
            _ => return self.add_comparison(name),
        };
        if !matches!(self.compare, Compare::Pattern | Compare::Field) {
            return Err(bad("after a modifier that compares in another way"));
        }
        self.steps.push(step);
        Ok(())
    }

    fn add_comparison(&mut self, name: &str) -> Result<(), Reason> {
        let compare = match name {
            "all" => {
                self.all = true;
                return Ok(());
            }
            "neq" => {
                self.negated = true;
                return Ok(());
            }
            "cased" => {
                self.cased = true;
                return Ok(());
            }
            "re" => Compare::Regex { ignore_case: false, multi_line: false, dot_all: false },
            "cidr" => Compare::Cidr,
            "lt" => Compare::Number(Comparison::Less),
            "lte" => Compare::Number(Comparison::LessOrEqual),
            "gt" => Compare::Number(Comparison::Greater),
            "gte" => Compare::Number(Comparison::GreaterOrEqual),
            "exists" => Compare::Exists,
            "fieldref" => Compare::Field,
            "i" | "m" | "s" => {
                return Err(Reason::BadModifier(name.to_owned(), "but after `re`".to_owned()));
            }
            _ => return Err(Reason::UnknownModifier(cut(name))),
        };
        if self.compare != Compare::Pattern {
            let why = "beside another modifier that compares".to_owned();
            return Err(Reason::BadModifier(name.to_owned(), why));
        }
        self.compare = compare;
        Ok(())
    }

    /// Whether a value without wildcards is to be found anywhere in the text (keywords).
    pub(crate) fn keyword(&mut self) {
        if self.compare == Compare::Pattern {
            self.steps.push(Step::Contains);
        }
    }

    /// What `value` asks; several when a modifier makes variants of it, of which one has to match.
    pub(crate) fn asked(&self, value: &Node) -> Result<Vec<Asked>, Reason> {
        let Some(text) = value.text() else {
            return self.asked_of_null(value);
        };
        match self.compare {
            Compare::Pattern => self.patterns(text),
            Compare::Regex { .. } => self.regex(text).map(|asked| vec![asked]),
            Compare::Cidr => network(text).map(|asked| vec![asked]),
            Compare::Number(comparison) => {
                let number: f64 = text.parse().map_err(|_| self.wrong("a number"))?;
                let key = format!("{comparison:?} {number}");
                Ok(vec![Asked::Op(key, Op::Number(comparison, number))])
            }
            Compare::Exists => match text {
                "true" | "True" | "yes" => Ok(vec![Asked::Op("set".to_owned(), Op::Set)]),
                "false" | "False" | "no" => Ok(vec![Asked::Op("unset".to_owned(), Op::Unset)]),
                _ => Err(self.wrong("true or false")),
            },
            Compare::Field => {
                let relation = match self.steps.as_slice() {
                    [] => Relation::Equal,
                    [Step::Contains] => Relation::Contains,
                    [Step::StartsWith] => Relation::Prefix,
                    [Step::EndsWith] => Relation::Suffix,
                    _ => {
                        let why = "with these other modifiers".to_owned();
                        return Err(Reason::BadModifier("fieldref".to_owned(), why));
                    }
                };
                Ok(vec![Asked::Field(text.to_owned(), relation)])
            }
        }
    }

    fn asked_of_null(&self, value: &Node) -> Result<Vec<Asked>, Reason> {
        if !value.is_null() {
            return Err(self.wrong("a text, a number or a list of them"));
        }
        if self.compare != Compare::Pattern || !self.steps.is_empty() {
            return Err(self.wrong("a value: null goes with no modifier"));
        }
        Ok(vec![Asked::Op("unset".to_owned(), Op::Unset)])
    }

    fn wrong(&self, expected: &'static str) -> Reason {
        Reason::WrongType { field: cut(&self.field), expected }
    }

    fn patterns(&self, text: &str) -> Result<Vec<Asked>, Reason> {
        let mut values = vec![Value::Pattern(Pattern::parse(text))];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in values {
                value.turn(*step, &mut next)?;
            }
            values = next;
        }
        let asked = |value: Value| {
            let pattern = value.into_pattern()?;
            if self.cased {
                return Ok(Asked::Op(format!("cased {pattern:?}"), Op::Cased(Test::of(&pattern))));
            }
            let pattern = pattern.lowered();
            if pattern.0 == [Part::Any] {
                return Ok(Asked::Op("set".to_owned(), Op::Set));
            }
            Ok(Asked::Op(format!("{pattern:?}"), Op::Text(Test::of(&pattern))))
        };
        values.into_iter().map(asked).collect()
    }

    fn regex(&self, text: &str) -> Result<Asked, Reason> {
        let Compare::Regex { ignore_case, multi_line, dot_all } = self.compare else {
            return Err(self.wrong("a regular expression"));
        };
        let regex = RegexBuilder::new(text)
            .case_insensitive(ignore_case)
            .multi_line(multi_line)
            .dot_matches_new_line(dot_all)
            .size_limit(bounds::REGEX_BYTES)
            .build()
            .map_err(|error| Reason::Regex {
                pattern: cut(text),
                error: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            })?;
        let key = format!("re {ignore_case}{multi_line}{dot_all} {text}");
        let literals = necessary::literals(text, |builder| {
            builder
                .case_insensitive(ignore_case)
                .multi_line(multi_line)
                .dot_matches_new_line(dot_all);
        });
        Ok(Asked::Op(key, Op::Regex(Box::new(regex), literals)))
    }
}

/// A value on its way through the modifiers.
enum Value {
    Pattern(Pattern),
    Bytes(Vec<u8>),
}

impl Value {
    fn turn(self, step: Step, out: &mut Vec<Self>) -> Result<(), Reason> {
        match step {
            Step::Contains | Step::StartsWith | Step::EndsWith => {
                let mut pattern = self.into_pattern()?;
                if step != Step::StartsWith {
                    pattern.push_any_front();
                }
                if step != Step::EndsWith {
                    pattern.push_any();
                }
                out.push(Self::Pattern(pattern));
            }
            Step::WinDash => {
                out.extend(dashes(&self.into_pattern()?)?.into_iter().map(Self::Pattern));
            }
            Step::Wide(endian) => {
                let text = String::from_utf8(self.into_bytes("wide")?).map_err(|_| {
                    Reason::BadModifier("wide".to_owned(), "after another encoding".to_owned())
                })?;
                out.push(Self::Bytes(wide(&text, endian)));
            }
            Step::Base64 => {
                let bytes = self.into_bytes("base64")?;
                let text = STANDARD.encode(bytes);
                out.push(Self::Pattern(Pattern::literal(&text)));
            }
            Step::Base64Offset => {
                let bytes = self.into_bytes("base64offset")?;
                for text in offsets(&bytes) {
                    out.push(Self::Pattern(Pattern::literal(&text)));
                }
            }
            Step::Expand => {
                let pattern = self.into_pattern()?;
                if let Some(name) = placeholder(&pattern) {
                    return Err(Reason::Placeholder(name));
                }
                out.push(Self::Pattern(pattern));
            }
        }
        Ok(())
    }

    fn into_pattern(self) -> Result<Pattern, Reason> {
        match self {
            Self::Pattern(pattern) => Ok(pattern),
            // UTF-16 of ASCII is valid UTF-8 with zero bytes; other text is not and cannot stand
            // in a field of text.
            Self::Bytes(bytes) => {
                String::from_utf8(bytes).map(|text| Pattern::literal(&text)).map_err(|_| {
                    let why = "on this value without `base64` or `base64offset` after it";
                    Reason::BadModifier("wide".to_owned(), why.to_owned())
                })
            }
        }
    }

    fn into_bytes(self, modifier: &str) -> Result<Vec<u8>, Reason> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Pattern(pattern) => match pattern.as_literal() {
                Some(text) => Ok(text.as_bytes().to_vec()),
                None => Err(Reason::BadModifier(
                    modifier.to_owned(),
                    "on a value with wildcards".to_owned(),
                )),
            },
        }
    }
}

fn placeholder(pattern: &Pattern) -> Option<String> {
    pattern.0.iter().find_map(|part| match part {
        Part::Text(text) => {
            let (_, rest) = text.split_once('%')?;
            let (name, _) = rest.split_once('%')?;
            Some(name.to_owned())
        }
        _ => None,
    })
}

fn network(text: &str) -> Result<Asked, Reason> {
    let refuse = || Reason::Cidr(cut(text));
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: std::net::IpAddr = address.parse().map_err(|_| refuse())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.map_or(Ok(width), str::parse).map_err(|_| refuse())?;
    if bits > width {
        return Err(refuse());
    }
    Ok(Asked::Op(format!("cidr {address}/{bits}"), Op::Cidr(address, bits)))
}

#[cfg(test)]
mod tests {
    use super::{Asked, parse};
    use crate::predicate::Op;
    use crate::yaml;

    fn check(key: &str, value: &str, subject: &str, expected: bool) {
        let node = yaml::parse(&format!("v: {value}")).expect("valid");
        let modifiers = parse(key).expect("known");
        let asked = modifiers.asked(node[0].get("v").expect("v")).expect("right");
        let found = asked.iter().any(|asked| match asked {
            Asked::Op(_, Op::Text(test)) => test.matches(&subject.to_lowercase()),
            Asked::Op(_, Op::Cased(test)) => test.matches(subject),
            Asked::Op(_, Op::Regex(regex, _)) => regex.is_match(subject),
            Asked::Op(_, Op::Cidr(network, bits)) => subject
                .parse()
                .is_ok_and(|address| crate::predicate::in_network(address, *network, *bits)),
            _ => false,
        });
        assert_eq!(found, expected, "{key}: {value} on {subject}");
    }

    #[test]
    fn comparisons() {
        check("F", "Abc", "aBC", true);
        check("F|cased", "Abc", "aBC", false);
        check("F|contains", "b", "ABC", true);
        check("F|startswith", "ab", "ABC", true);
        check("F|endswith", "bc", "ABC", true);
        check("F|endswith", "ab", "ABC", false);
        check("F|contains", "'a*c'", "xxabcxx", true);
        check("F|re", "'^a.c$'", "abc", true);
        check("F|re", "'^A.c$'", "abc", false);
        check("F|re|i", "'^A.c$'", "abc", true);
        check("F|cidr", "10.0.0.0/8", "10.9.8.7", true);
        check("F|cidr", "10.0.0.0/8", "11.9.8.7", false);
        check("F|cidr", "0.0.0.0/0", "11.9.8.7", true);
        check("F|cidr", "'::1/128'", "::1", true);
        check("F|cidr", "'fe80::/10'", "fe80::7", true);
        check("F|contains|windash", "' -enc '", "x /enc y", true);
        check("F|contains|windash", "' -enc '", "x —enc y", true);
        check("F|base64offset|contains", "foobar", "xxZm9vYmFyxx", true);
        check("F|base64offset|contains", "foobar", "IGZvb2Jhci", true);
        check("F|wide|base64offset|contains", "foo", "ZgBvAG8A", true);
        check("F|base64", "foobar", "Zm9vYmFy", true);
    }

    #[test]
    fn refusals() {
        for (key, code) in [
            ("F|nonsense", "unknown_modifier"),
            ("F|re|contains", "bad_modifier"),
            ("F|i", "bad_modifier"),
            ("F|cidr|re", "bad_modifier"),
        ] {
            assert_eq!(parse(key).expect_err(key).code(), code, "{key}");
        }
        let refuse = |key: &str, value: &str| {
            let node = yaml::parse(&format!("v: {value}")).expect("valid");
            let asked = parse(key).expect("known").asked(node[0].get("v").expect("v"));
            asked.err().map_or("", |reason| reason.code())
        };
        assert_eq!(refuse("F|re", "'('"), "regex");
        assert_eq!(refuse("F|cidr", "10.0.0.0/40"), "cidr");
        assert_eq!(refuse("F|base64", "'a*'"), "bad_modifier");
        assert_eq!(refuse("F|expand", "'%hosts%'"), "placeholder");
        assert_eq!(refuse("F|lt", "many"), "wrong_type");
        assert_eq!(refuse("F", "{a: b}"), "wrong_type");
    }
}
