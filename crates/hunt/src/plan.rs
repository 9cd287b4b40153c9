//! The logical plan: a tree of tests on fields, free of syntax and of any store.
//!
//! Invariants: two-valued logic (a test on a field that is not set is false, so its negation is
//! true); every field number is one of the field table; the values' types are their fields' types.

use std::net::IpAddr;

use metsuke_event::{FieldId, Value};

use crate::pattern::Pattern;

/// A query, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The text it was read from.
    pub text: String,
    /// What an activity must fulfil.
    pub predicate: Predicate,
}

/// What an activity must fulfil.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Every activity.
    All,
    /// All of these; empty means every activity.
    And(Vec<Predicate>),
    /// One of these at least; empty means none.
    Or(Vec<Predicate>),
    /// Not this.
    Not(Box<Predicate>),
    /// One test on one field.
    Field(FieldId, Test),
}

/// A test on one field's value; false when the field is not set.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The field is set.
    Exists,
    /// The value is exactly this.
    Equals(Value),
    /// The text is like this, letter case apart.
    Like(Pattern),
    /// The value lies in this range.
    Within(Range),
    /// The address lies in this network.
    Network {
        /// An address of the network.
        base: IpAddr,
        /// How many leading bits are the network's.
        prefix: u8,
    },
}

/// A range of values; an end that is `None` is open. Text compares by code point, addresses
/// only with addresses of the same family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Lower end and whether it belongs to the range.
    pub low: Option<(Value, End)>,
    /// Upper end and whether it belongs to the range.
    pub high: Option<(Value, End)>,
}

/// Whether a range's end belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It does.
    Included,
    /// It does not.
    Excluded,
}

impl Query {
    /// The query that every activity fulfils.
    pub fn all() -> Self {
        Self { text: String::new(), predicate: Predicate::All }
    }

    /// A query from a predicate built by a program.
    pub fn from_predicate(predicate: Predicate) -> Self {
        Self { text: String::new(), predicate }
    }
}
