//! What readers give back: records, and what is wrong with the rest.

use std::fmt;
use std::sync::Arc;

use metsuke_event::Event;
use metsuke_event::logsource::LogSource;

/// The log sources of a record; shared, for many records have the same.
pub type Sources = Arc<[LogSource<'static>]>;

/// One activity out of a file.
#[derive(Clone, Debug)]
pub struct Record {
    /// The activity. Its identity is not set but where the format has one of ours.
    pub event: Event,
    /// What a rule may ask for to be tried on it.
    pub sources: Sources,
    /// Where it stands: the record's number in EVTX, the line's in text (from 1).
    pub number: u64,
}

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The whole file.
    File,
    /// A line, from 1.
    Line(u64),
    /// A record, by its own number.
    Record(u64),
    /// An offset in bytes from the start of the file.
    Offset(u64),
}

/// Something that could not be read. The rest goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Why, for people.
    pub reason: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Record(number) => write!(f, "record {number}"),
            Self::Offset(offset) => write!(f, "offset {offset}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// What a call of a reader found. Whoever calls empties it; one call adds at most what one chunk
/// or one line holds.
#[derive(Debug, Default)]
pub struct Output {
    /// Records, in the order of the file.
    pub records: Vec<Record>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Output {
    pub(crate) fn problem(&mut self, place: Place, reason: impl Into<String>) {
        self.problems.push(Problem { place, reason: reason.into() });
    }
}
