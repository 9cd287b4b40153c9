//! Fields of imported events that the field table has no row for, under their source's names.
//!
//! All values of one event stand as text in one buffer, one behind the other, so that whoever
//! compares them reads memory in order; names that many events share are numbered, so that whoever
//! looks for some of them compares numbers.
//! Invariant: the text of a field is `Value::to_text` of its value, from which the value is read.

use std::collections::HashMap;
use std::fmt;
use std::sync::{OnceLock, PoisonError, RwLock};

use crate::time::Timestamp;
use crate::value::{Text, Value, ValueRef};

/// Names that events may have numbered; those of the public recordings together are below 4,000.
/// What comes later is kept without a number, which costs time, never a match.
const EVENT_NAMES: usize = 32_768;
/// Names that may be numbered altogether, those that detections ask for included.
const ALL_NAMES: usize = 4 * EVENT_NAMES;
/// Stands behind each value in the buffer.
const SEPARATOR: char = '\0';

/// The numbered names of this process.
#[derive(Default)]
struct Names {
    numbers: HashMap<Text, u32>,
    /// By number, less one.
    texts: Vec<Text>,
}

static NAMES: OnceLock<RwLock<Names>> = OnceLock::new();

fn names() -> &'static RwLock<Names> {
    NAMES.get_or_init(RwLock::default)
}

/// The number of a name, in this process; equal names have equal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameNumber(u32);

impl NameNumber {
    /// The number of the name `text`, for one that is looked for; `None` when there are too many.
    pub fn wanted(text: &str) -> Option<Self> {
        Self::with_room(text, ALL_NAMES)
    }

    fn with_room(text: &str, room: usize) -> Option<Self> {
        let known = |names: &Names| names.numbers.get(text).copied().map(Self);
        if let Some(number) = known(&names().read().unwrap_or_else(PoisonError::into_inner)) {
            return Some(number);
        }
        let mut names = names().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known(&names) {
            return Some(number);
        }
        if names.texts.len() >= room {
            return None;
        }
        let owned = Text::from(text);
        names.texts.push(Text::clone(&owned));
        let number = u32::try_from(names.texts.len()).ok()?;
        names.numbers.insert(owned, number);
        Some(Self(number))
    }

    fn text(self) -> Text {
        let names = names().read().unwrap_or_else(PoisonError::into_inner);
        names.texts.get(self.0 as usize - 1).map_or_else(|| "".into(), Text::clone)
    }

    /// As an index, from 1 on.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a value is, beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Text,
    U64,
    I64,
    Bool,
    Ip,
    Time,
}

/// One field: 16 bytes, since a recorded event has dozens and they are read one after the other.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// 0 when the name has none: then it stands in `others`.
    number: u32,
    start: u32,
    end: u32,
    held: Held,
}

/// A field's place in [`SourceFields::buffer`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The number of its name; `None` for a name that came when there were too many.
    pub name: Option<NameNumber>,
    /// Where its text begins.
    pub start: usize,
    /// Where its text ends.
    pub end: usize,
}

/// The fields, in the order they came. A name may come more than once.
#[derive(Clone, Default)]
pub struct SourceFields {
    entries: Vec<Entry>,
    buffer: String,
    /// Names without a number, with the index of their entry.
    others: Vec<(u32, Text)>,
    /// Times, whose text is too coarse, with the index of their entry.
    times: Vec<(u32, Timestamp)>,
}

impl SourceFields {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes room for so many fields more.
    pub fn reserve(&mut self, fields: usize) {
        self.entries.reserve(fields);
    }

    /// Adds a field. What would make the buffer larger than 4 GiB is left out: a bound far above
    /// that of any reader.
    pub fn push(&mut self, name: &str, value: ValueRef<'_>) {
        let (start, index) = (self.buffer.len(), self.entries.len());
        let text = value.to_text();
        let (Ok(begin), Ok(end), Ok(index)) =
            (u32::try_from(start), u32::try_from(start + text.len()), u32::try_from(index))
        else {
            return;
        };
        self.buffer.push_str(&text);
        self.buffer.push(SEPARATOR);
        let held = match value {
            ValueRef::Text(_) => Held::Text,
            ValueRef::U64(_) => Held::U64,
            ValueRef::I64(_) => Held::I64,
            ValueRef::Bool(_) => Held::Bool,
            ValueRef::Ip(_) => Held::Ip,
            ValueRef::Time(time) => {
                self.times.push((index, time));
                Held::Time
            }
        };
        let number = NameNumber::with_room(name, EVENT_NAMES).map_or(0, |number| number.0);
        if number == 0 {
            self.others.push((index, name.into()));
        }
        self.entries.push(Entry { number, start: begin, end, held });
    }

    /// The value of field number `index`.
    pub fn at(&self, index: usize) -> Option<ValueRef<'_>> {
        let entry = self.entries.get(index)?;
        let text = self.buffer.get(entry.start as usize..entry.end as usize).unwrap_or_default();
        let read = match entry.held {
            Held::Text => None,
            Held::U64 => text.parse().ok().map(ValueRef::U64),
            Held::I64 => text.parse().ok().map(ValueRef::I64),
            Held::Bool => text.parse().ok().map(ValueRef::Bool),
            Held::Ip => text.parse().ok().map(ValueRef::Ip),
            Held::Time => {
                let mut times = self.times.iter();
                times.find(|(of, _)| *of as usize == index).map(|(_, time)| ValueRef::Time(*time))
            }
        };
        Some(read.unwrap_or(ValueRef::Text(text)))
    }

    /// The name of field number `index`.
    pub fn name(&self, index: usize) -> Option<Text> {
        let entry = self.entries.get(index)?;
        if entry.number > 0 {
            return Some(NameNumber(entry.number).text());
        }
        let mut others = self.others.iter();
        others.find(|(of, _)| *of as usize == index).map(|(_, text)| Text::clone(text))
    }

    /// The value of the first field called `name`.
    pub fn get(&self, name: &str) -> Option<ValueRef<'_>> {
        let (_, value) = self.iter().find(|(known, _)| **known == *name)?;
        Some(value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (Text, ValueRef<'_>)> {
        (0..self.len()).filter_map(|index| Some((self.name(index)?, self.at(index)?)))
    }

    /// All values as text, one behind the other with a zero byte behind each.
    pub fn buffer(&self) -> &str {
        &self.buffer
    }

    /// Per field its place in the buffer.
    pub fn places(&self) -> impl ExactSizeIterator<Item = Place> {
        let place = |entry: &Entry| Place {
            name: (entry.number > 0).then_some(NameNumber(entry.number)),
            start: entry.start as usize,
            end: entry.end as usize,
        };
        self.entries.iter().map(place)
    }
}

impl PartialEq for SourceFields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SourceFields {}

impl<N: AsRef<str>> Extend<(N, Value)> for SourceFields {
    fn extend<T: IntoIterator<Item = (N, Value)>>(&mut self, fields: T) {
        for (name, value) in fields {
            self.push(name.as_ref(), value.as_ref());
        }
    }
}

impl fmt::Debug for SourceFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: AsRef<str>> FromIterator<(N, Value)> for SourceFields {
    fn from_iter<T: IntoIterator<Item = (N, Value)>>(fields: T) -> Self {
        let mut found = Self::default();
        found.extend(fields);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{NameNumber, SourceFields};
    use crate::time::Timestamp;
    use crate::value::{Value, ValueRef};

    #[test]
    fn what_is_put_in_comes_out() {
        let values = [
            Value::Text("Ä\0b".into()),
            Value::U64(7),
            Value::I64(-7),
            Value::Bool(true),
            Value::Ip("::1".parse().expect("valid")),
            Value::Time(Timestamp::from_nanos(-1)),
        ];
        let names = ["A", "B", "C", "D", "A", ""];
        let fields: SourceFields = names.into_iter().zip(values.clone()).collect();
        let found: Vec<(String, Value)> =
            fields.iter().map(|(name, value)| (name.to_string(), value.to_value())).collect();
        let names = names.into_iter().map(str::to_owned);
        assert_eq!(found, names.zip(values).collect::<Vec<_>>());
        assert_eq!(fields.get("A"), Some(ValueRef::Text("Ä\0b")), "the first of its name");
        for (place, (_, value)) in fields.places().zip(fields.iter()) {
            assert_eq!(fields.buffer()[place.start..place.end], value.to_text());
        }
    }

    #[test]
    fn equal_names_have_equal_numbers() {
        let mut fields = SourceFields::default();
        fields.push("one of many", ValueRef::Bool(true));
        let place = fields.places().next().expect("one");
        assert!(place.name.is_some());
        assert_eq!(place.name, NameNumber::wanted("one of many"));
        assert_ne!(place.name, NameNumber::wanted("another of many"));
    }
}
