//! Modifiers: what `Field|modifier|modifier: value` asks.
//!
//! Placeholders are put in first, then values are turned from left to right (encodings, dashes,
//! wildcards), and the modifier that compares says how the result is compared. Modifiers that
//! would do nothing together are refused, not passed over.

use crate::bounds;
use crate::calendar::TimePart;
use crate::document::Reason;
use crate::expression::{Expression, Flags};
use crate::predicate::{Comparison, Op, Relation, Test};
use crate::sigma::pattern::Part;
use crate::sigma::placeholder::{self, Form, Placeholders};
use crate::sigma::value::{self, Step};
use crate::yaml::{Node, cut};

/// A key, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Modifiers {
    pub(crate) field: String,
    /// All values have to match, not one of them.
    pub(crate) all: bool,
    /// None of the values may match (with `all`: not all of them).
    pub(crate) negated: bool,
    steps: Vec<Step>,
    compare: Compare,
    /// A part of a time is compared, not the value.
    part: Option<TimePart>,
    against: Against,
    case: Case,
    placeholders: Expand,
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
}

/// What the value is: itself, or the name of another field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Against {
    #[default]
    Value,
    Field,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Case {
    #[default]
    Folded,
    Kept,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expand {
    #[default]
    No,
    Yes,
}

/// What a value asks: the comparison with its name among those of the field, or another field.
pub(crate) enum Asked {
    Op(String, Op),
    Field(String, Other),
}

/// How another field's value is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Other {
    Folded(Relation),
    Cased(Relation),
    Number(Comparison),
}

/// A reason, and at which character of the key it lies.
pub(crate) type Fault = (Reason, usize);

/// Reads the key of a search's entry.
pub(crate) fn parse(key: &str) -> Result<Modifiers, Fault> {
    let mut names = key.split('|');
    let field = names.next().unwrap_or_default().to_owned();
    let mut at = field.chars().count() + 1;
    let mut found = Modifiers { field, ..Modifiers::default() };
    for name in names {
        found.add(name).and_then(|()| found.agree(name)).map_err(|reason| (reason, at))?;
        at += name.chars().count() + 1;
    }
    Ok(found)
}

/// What a regular expression may take, in bytes, from ordinary to the largest.
const REGEX_LIMITS: [usize; 3] = [64 * 1024, 1024 * 1024, bounds::REGEX_BYTES];

fn bad(name: &str, why: &str) -> Reason {
    Reason::BadModifier(name.to_owned(), why.to_owned())
}

impl Modifiers {
    fn add(&mut self, name: &str) -> Result<(), Reason> {
        if let Some(step) = Step::by_name(name) {
            self.steps.push(step);
            return Ok(());
        }
        if let Some(part) = TimePart::by_name(name) {
            if self.part.replace(part).is_some() {
                return Err(bad(name, "beside another part of a time"));
            }
            return Ok(());
        }
        match name {
            "all" => self.all = true,
            "neq" => self.negated = true,
            "cased" => self.case = Case::Kept,
            "expand" => self.placeholders = Expand::Yes,
            "fieldref" => self.against = Against::Field,
            "i" | "m" | "s" => return self.flag(name),
            _ => return self.compare(name),
        }
        Ok(())
    }

    fn flag(&mut self, name: &str) -> Result<(), Reason> {
        let Compare::Regex { ignore_case, multi_line, dot_all } = &mut self.compare else {
            return Err(bad(name, "but after `re`"));
        };
        let flag = match name {
            "i" => ignore_case,
            "m" => multi_line,
            _ => dot_all,
        };
        *flag = true;
        Ok(())
    }

    fn compare(&mut self, name: &str) -> Result<(), Reason> {
        let compare = match name {
            "re" => Compare::Regex { ignore_case: false, multi_line: false, dot_all: false },
            "cidr" => Compare::Cidr,
            "lt" => Compare::Number(Comparison::Less),
            "lte" => Compare::Number(Comparison::LessOrEqual),
            "gt" => Compare::Number(Comparison::Greater),
            "gte" => Compare::Number(Comparison::GreaterOrEqual),
            "exists" => Compare::Exists,
            _ => return Err(Reason::UnknownModifier(cut(name))),
        };
        if self.compare != Compare::Pattern {
            return Err(bad(name, "beside another modifier that compares"));
        }
        self.compare = compare;
        Ok(())
    }

    /// Whether the modifiers so far, `name` the last, can mean something together.
    fn agree(&self, name: &str) -> Result<(), Reason> {
        let pattern = self.compare == Compare::Pattern;
        let number = matches!(self.compare, Compare::Number(_));
        if !self.steps.is_empty() && (!pattern || self.part.is_some()) {
            return Err(bad(name, "together with one that compares in another way"));
        }
        if self.case == Case::Kept && (!pattern || self.part.is_some()) {
            return Err(bad(name, "together with `cased`: only texts have upper and lower case"));
        }
        if self.part.is_some() && !(pattern || number) {
            return Err(bad(name, "on a part of a time: it is a number"));
        }
        if self.against == Against::Field {
            let plain = self.placeholders == Expand::No && self.part.is_none();
            if !plain || !(pattern || number) || self.relation().is_none() {
                return Err(bad(name, "together with `fieldref`"));
            }
        }
        if self.compare == Compare::Exists && self.placeholders == Expand::Yes {
            return Err(bad(name, "together with `exists`: the value is true or false"));
        }
        Ok(())
    }

    /// How the value is related to another field's; nothing when the modifiers have no such form.
    fn relation(&self) -> Option<Relation> {
        match self.steps.as_slice() {
            [] => Some(Relation::Equal),
            [Step::Contains] => Some(Relation::Contains),
            [Step::StartsWith] => Some(Relation::Prefix),
            [Step::EndsWith] => Some(Relation::Suffix),
            _ => None,
        }
    }

    /// For keywords: a value without wildcards is to be found anywhere in the text.
    pub(crate) fn keyword(&mut self) -> Result<(), Reason> {
        let values = self.against == Against::Value && self.part.is_none();
        match self.compare {
            Compare::Pattern if values => self.steps.push(Step::Contains),
            Compare::Regex { .. } if values => {}
            _ => return Err(bad("on keywords", "but on a field; name one before the `|`")),
        }
        Ok(())
    }

    /// What `value` asks; several when a modifier makes variants of it, of which one has to match.
    /// What its regular expressions may take is taken off `room`, in bytes.
    pub(crate) fn asked(
        &self,
        value: &Node,
        known: &Placeholders,
        room: &mut usize,
    ) -> Result<Vec<Asked>, Reason> {
        let Some(text) = value.text() else {
            return self.asked_of_null(value);
        };
        if self.placeholders == Expand::No {
            return self.asked_of(text, room);
        }
        let form = match self.compare {
            Compare::Regex { .. } => Form::Regex,
            _ => Form::Plain,
        };
        let mut asked = Vec::new();
        for text in placeholder::expand(text, form, known)? {
            asked.extend(self.asked_of(&text, room)?);
        }
        Ok(asked)
    }

    fn asked_of(&self, text: &str, room: &mut usize) -> Result<Vec<Asked>, Reason> {
        if self.against == Against::Field {
            let other = match (self.compare, self.case, self.relation()) {
                (Compare::Number(comparison), ..) => Other::Number(comparison),
                (_, Case::Folded, Some(relation)) => Other::Folded(relation),
                (_, Case::Kept, Some(relation)) => Other::Cased(relation),
                _ => return Err(bad("fieldref", "with these other modifiers")),
            };
            return Ok(vec![Asked::Field(text.to_owned(), other)]);
        }
        if let Some(part) = self.part {
            return self.time_part(part, text).map(|asked| vec![asked]);
        }
        match self.compare {
            Compare::Pattern => self.patterns(text),
            Compare::Regex { .. } => self.regex(text, room).map(|asked| vec![asked]),
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
        }
    }

    fn asked_of_null(&self, value: &Node) -> Result<Vec<Asked>, Reason> {
        if !value.is_null() {
            return Err(self.wrong("a text, a number or a list of them"));
        }
        let bare = self.compare == Compare::Pattern
            && self.steps.is_empty()
            && self.part.is_none()
            && self.against == Against::Value;
        if !bare {
            return Err(self.wrong("a value: null goes with no modifier but `neq`"));
        }
        Ok(vec![Asked::Op("unset".to_owned(), Op::Unset)])
    }

    fn wrong(&self, expected: &'static str) -> Reason {
        Reason::WrongType { field: cut(&self.field), expected }
    }

    fn time_part(&self, part: TimePart, text: &str) -> Result<Asked, Reason> {
        let comparison = match self.compare {
            Compare::Number(comparison) => comparison,
            _ => Comparison::Equal,
        };
        let number: i64 = text.parse().map_err(|_| self.wrong("a whole number"))?;
        let (least, most) = part.range();
        let bound = i32::try_from(number).ok().filter(|_| (least..=most).contains(&number));
        let bound = bound.ok_or_else(|| Reason::WrongType {
            field: cut(&self.field),
            expected: match part {
                TimePart::Minute => "a minute, 0 to 59",
                TimePart::Hour => "an hour, 0 to 23",
                TimePart::Day => "a day, 1 to 31",
                TimePart::Week => "a week, 1 to 53",
                TimePart::Month => "a month, 1 to 12",
                TimePart::Year => "a year of four digits",
            },
        })?;
        let key = format!("{part:?} {comparison:?} {bound}");
        Ok(Asked::Op(key, Op::Part(part, comparison, f64::from(bound))))
    }

    fn patterns(&self, text: &str) -> Result<Vec<Asked>, Reason> {
        let asked = |pattern: crate::sigma::pattern::Pattern| {
            if self.case == Case::Kept {
                return Asked::Op(format!("cased {pattern:?}"), Op::Cased(Test::of(&pattern)));
            }
            let pattern = pattern.lowered();
            if pattern.0 == [Part::Any] {
                return Asked::Op("set".to_owned(), Op::Set);
            }
            Asked::Op(format!("{pattern:?}"), Op::Text(Test::of(&pattern)))
        };
        Ok(value::patterns(text, &self.steps)?.into_iter().map(asked).collect())
    }

    fn regex(&self, text: &str, room: &mut usize) -> Result<Asked, Reason> {
        let Compare::Regex { ignore_case, multi_line, dot_all } = self.compare else {
            return Err(self.wrong("a regular expression"));
        };
        let flags = Flags { ignore_case, multi_line, dot_all };
        let build = |limit: usize| Expression::new(text, flags, limit);
        // How much one takes is not told: the first limit that is enough is what it is held to.
        let mut tried = REGEX_LIMITS.iter().map(|limit| (*limit, build(*limit)));
        let too_big = |error: &regex::Error| matches!(error, regex::Error::CompiledTooBig(_));
        let found = tried.find(|(_, built)| !built.as_ref().is_err_and(too_big));
        let (limit, built) = found.unwrap_or_else(|| (0, build(bounds::REGEX_BYTES)));
        let regex = built.map_err(|error| Reason::Regex {
            pattern: cut(text),
            error: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        })?;
        *room = room
            .checked_sub(limit)
            .ok_or(Reason::TooLarge("memory of a document's regular expressions"))?;
        let key = format!("re {ignore_case}{multi_line}{dot_all} {text}");
        Ok(Asked::Op(key, Op::Regex(Box::new(regex))))
    }
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
    use metsuke_event::ValueRef;

    use super::{Asked, parse};
    use crate::predicate::Op;
    use crate::sigma::placeholder::Placeholders;
    use crate::yaml;

    fn known() -> Placeholders {
        Placeholders::from([("site".to_owned(), vec!["dc1".to_owned(), "srv*".to_owned()])])
    }

    fn check(key: &str, value: &str, subject: &str, expected: bool) {
        let node = yaml::parse(&format!("v: {value}")).expect("valid");
        let modifiers = parse(key).expect("known");
        let items = node[0].get("v").expect("v").items();
        let asked = items.iter().flat_map(|item| {
            modifiers.asked(item, &known(), &mut usize::MAX.clone()).expect("right")
        });
        let found = asked.collect::<Vec<_>>().iter().any(|asked| match asked {
            Asked::Op(_, Op::Text(test)) => test.matches(&subject.to_lowercase()),
            Asked::Op(_, Op::Cased(test)) => test.matches(subject),
            Asked::Op(_, Op::Regex(regex)) => regex.is_match(subject),
            Asked::Op(_, Op::Cidr(network, bits)) => subject
                .parse()
                .is_ok_and(|address| crate::predicate::in_network(address, *network, *bits)),
            Asked::Op(_, Op::Part(part, comparison, bound)) => {
                part.of(ValueRef::Text(subject)).is_some_and(|part| comparison.holds(part, *bound))
            }
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
        check("F|utf16le|contains", "'a?b'", "xa\0éb\0", true);
        check("F|utf16|base64", "A", "//5BAA==", true);
        check("F|utf16be|base64", "A", "AEE=", true);
        check("F|wide|base64offset|contains", "'a'", "YQA", true);
        check("F|windash|contains", "' –enc '", "x -enc y", true);
        check("F", r"'a\\\*c'", r"a\*c", true);
        check("F", r"'a\\*c'", r"a\bbc", true);
    }

    #[test]
    fn parts_of_times() {
        check("F|hour", "14", "2026-11-22T14:05:06Z", true);
        check("F|hour", "15", "2026-11-22T14:05:06Z", false);
        check("F|hour|gte", "14", "2026-11-22T14:05:06Z", true);
        check("F|lt|hour", "14", "2026-11-22T14:05:06Z", false);
        check("F|week", "[46, 47]", "2026-11-22T14:05:06Z", true);
        check("F|year", "2026", "no time", false);
    }

    #[test]
    fn placeholders() {
        check("F|expand", "'%site%'", "SRV7", true);
        check("F|expand", "'%site%'", "other", false);
        check("F|contains|expand", "'%site%.'", "x.dc1.y", true);
        check("F|expand|endswith", "'%site%'", "my-dc1", true);
        check("F|re|expand", "'^%site%$'", "srv9", true);
        check("F|re|expand", "'^%site%$'", "xsrv9", false);
        check("F", "'%site%'", "%site%", true);
    }

    #[test]
    fn refusals() {
        for (key, code) in [
            ("F|nonsense", "unknown_modifier"),
            ("F|re|contains", "bad_modifier"),
            ("F|i", "bad_modifier"),
            ("F|cidr|re", "bad_modifier"),
            ("F|contains|re", "bad_modifier"),
            ("F|contains|gt", "bad_modifier"),
            ("F|cased|cidr", "bad_modifier"),
            ("F|hour|minute", "bad_modifier"),
            ("F|hour|contains", "bad_modifier"),
            ("F|re|hour", "bad_modifier"),
            ("F|fieldref|base64", "bad_modifier"),
            ("F|fieldref|re", "bad_modifier"),
            ("F|exists|expand", "bad_modifier"),
        ] {
            assert_eq!(parse(key).expect_err(key).0.code(), code, "{key}");
        }
        let refuse = |key: &str, value: &str| {
            let node = yaml::parse(&format!("v: {value}")).expect("valid");
            let asked = parse(key).expect("known").asked(
                node[0].get("v").expect("v"),
                &known(),
                &mut usize::MAX.clone(),
            );
            asked.err().map_or("", |reason| reason.code())
        };
        assert_eq!(refuse("F|re", "'('"), "regex");
        assert_eq!(refuse("F|cidr", "10.0.0.0/40"), "cidr");
        assert_eq!(refuse("F|base64", "'a*'"), "bad_modifier");
        assert_eq!(refuse("F|expand", "'%hosts%'"), "placeholder");
        assert_eq!(refuse("F|lt", "many"), "wrong_type");
        assert_eq!(refuse("F|hour", "24"), "wrong_type");
        assert_eq!(refuse("F|minute", "1.5"), "wrong_type");
        assert_eq!(refuse("F|exists", "perhaps"), "wrong_type");
        assert_eq!(refuse("F|contains", "null"), "wrong_type");
        assert_eq!(refuse("F|fieldref", "null"), "wrong_type");
        assert_eq!(refuse("F", "{a: b}"), "wrong_type");
    }
}
