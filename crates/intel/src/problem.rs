//! What a reader has to say beside the indicators: what it left out and why, what it decided.

use std::fmt;

use serde::Serialize;

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Something was decided that the reader of the list should know; nothing is missing.
    Note,
    /// Something was left out.
    Refused,
}

/// One thing a reader has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: a line, an object's id, a column.
    pub place: String,
    /// What, and what could be done.
    pub reason: String,
    /// How much it weighs.
    pub weight: Weight,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.weight {
            Weight::Note => "note",
            Weight::Refused => "left out",
        };
        write!(f, "{}: {word}: {}", self.place, self.reason)
    }
}
