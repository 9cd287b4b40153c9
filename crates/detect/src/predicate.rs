//! Predicates: one question about one field. Equal questions of many filters are one predicate.

use std::collections::HashMap;
use std::net::IpAddr;

use memchr::memmem::Finder;
use metsuke_event::FieldId;

use crate::calendar::TimePart;
use crate::expression::Expression;
use crate::sigma::pattern::{Part, Pattern};

/// Number of a field among those any detection asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FieldIx(pub(crate) u32);

/// The field all text of an activity stands in, for keywords.
pub(crate) const ANY_TEXT: FieldIx = FieldIx(0);

/// Number of a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PredIx(pub(crate) u32);

/// A field as rules ask for it: a row of the field table, or a name of an imported event, or both
/// (the row first).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FieldKey {
    pub(crate) id: Option<FieldId>,
    pub(crate) name: Box<str>,
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How a text is compared with a literal. The literal and, but for `cased`, the text are lower-case.
#[derive(Debug)]
pub(crate) enum Test {
    Equal(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<Finder<'static>>),
    Glob(Pattern),
}

/// The question.
#[derive(Debug)]
pub(crate) enum Op {
    /// On the lower-cased value.
    Text(Test),
    /// On the value as it is.
    Cased(Test),
    Regex(Box<Expression>),
    /// Address and number of leading bits.
    Cidr(IpAddr, u8),
    Number(Comparison, f64),
    /// The value is unset.
    Unset,
    /// The value is set.
    Set,
    /// A part of the value, which is a time.
    Part(TimePart, Comparison, f64),
    /// It relates to another field's value, both lower-cased.
    Field(FieldIx, Relation),
    /// The same, both as they are.
    FieldCased(FieldIx, Relation),
    /// It is a number that compares so with another field's.
    FieldNumber(FieldIx, Comparison),
}

impl Op {
    /// The substring that the lower-cased value is asked for.
    pub(crate) fn substring(&self) -> Option<&str> {
        let Self::Text(Test::Contains(finder)) = self else { return None };
        std::str::from_utf8(finder.needle()).ok().filter(|text| !text.is_empty())
    }
}

/// How a value relates to another field's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Prefix,
    Suffix,
    Contains,
}

/// One question about one field.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub(crate) field: FieldIx,
    pub(crate) op: Op,
}

impl Predicate {
    /// What it costs to answer, as a number to compare: text from its ends, numbers, searches,
    /// regular expressions.
    pub(crate) const fn cost(&self) -> u32 {
        let of = match &self.op {
            Op::Set | Op::Unset => 1,
            Op::Text(Test::Equal(_) | Test::Prefix(_) | Test::Suffix(_)) => 2,
            Op::Cased(Test::Equal(_) | Test::Prefix(_) | Test::Suffix(_)) => 3,
            Op::Number(..) | Op::Cidr(..) => 4,
            Op::Field(..) | Op::FieldCased(..) | Op::FieldNumber(..) | Op::Part(..) => 8,
            Op::Text(Test::Contains(_)) | Op::Cased(Test::Contains(_)) => 10,
            Op::Text(Test::Glob(_)) | Op::Cased(Test::Glob(_)) => 40,
            Op::Regex(..) => 80,
        };
        if self.field.0 == ANY_TEXT.0 { of * 20 } else { of }
    }
}

impl Test {
    /// The test that `pattern` stands for, and a text that names it.
    pub(crate) fn of(pattern: &Pattern) -> Self {
        match pattern.0.as_slice() {
            [] => Self::Equal("".into()),
            [Part::Text(text)] => Self::Equal(text.as_str().into()),
            [Part::Text(text), Part::Any] => Self::Prefix(text.as_str().into()),
            [Part::Any, Part::Text(text)] => Self::Suffix(text.as_str().into()),
            [Part::Any, Part::Text(text), Part::Any] => {
                Self::Contains(Box::new(Finder::new(text.as_bytes()).into_owned()))
            }
            _ => Self::Glob(pattern.clone()),
        }
    }

    /// Whether `text` passes.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equal(literal) => **literal == *text,
            Self::Prefix(literal) => text.starts_with(&**literal),
            Self::Suffix(literal) => text.ends_with(&**literal),
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::Glob(pattern) => pattern.matches(text),
        }
    }
}

impl Relation {
    pub(crate) fn holds(self, text: &str, other: &str) -> bool {
        match self {
            Self::Equal => text == other,
            Self::Prefix => text.starts_with(other),
            Self::Suffix => text.ends_with(other),
            Self::Contains => text.contains(other),
        }
    }
}

impl Comparison {
    pub(crate) fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Equal => value.total_cmp(&bound).is_eq(),
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Greater => value > bound,
            Self::GreaterOrEqual => value >= bound,
        }
    }
}

/// Whether `address` lies in the network of the first `bits` bits of `network`.
pub(crate) fn in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shift = |width: u8| u32::from(width.saturating_sub(bits));
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let difference = address.to_bits() ^ network.to_bits();
            difference.checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let difference = address.to_bits() ^ network.to_bits();
            difference.checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// All predicates and the fields they ask for, each once.
#[derive(Debug)]
pub(crate) struct Predicates {
    pub(crate) fields: Vec<FieldKey>,
    pub(crate) list: Vec<Predicate>,
    fields_by_key: HashMap<FieldKey, FieldIx>,
    by_key: HashMap<(FieldIx, String), PredIx>,
}

impl Default for Predicates {
    fn default() -> Self {
        let mut predicates = Self {
            fields: Vec::new(),
            list: Vec::new(),
            fields_by_key: HashMap::new(),
            by_key: HashMap::new(),
        };
        predicates.field(FieldKey { id: None, name: "".into() });
        predicates
    }
}

impl Predicates {
    /// The number of the field `key`.
    pub(crate) fn field(&mut self, key: FieldKey) -> FieldIx {
        if let Some(index) = self.fields_by_key.get(&key) {
            return *index;
        }
        let index = FieldIx(u32::try_from(self.fields.len()).unwrap_or(u32::MAX));
        self.fields.push(key.clone());
        self.fields_by_key.insert(key, index);
        index
    }

    /// The number of the predicate `op` on `field`, which `key` names among those of the field.
    pub(crate) fn predicate(&mut self, field: FieldIx, key: String, op: Op) -> PredIx {
        let next = PredIx(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let index = *self.by_key.entry((field, key)).or_insert(next);
        if index == next {
            self.list.push(Predicate { field, op });
        }
        index
    }

    /// Drops what only compiling needs.
    pub(crate) fn seal(&mut self) {
        self.fields_by_key = HashMap::new();
        self.by_key = HashMap::new();
    }

    pub(crate) fn get(&self, index: PredIx) -> &Predicate {
        &self.list[index.0 as usize]
    }
}
