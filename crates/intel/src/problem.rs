//! What a reader has to say beside the indicators: what it left out and why, what it decided.

use std::fmt;

use serde::Serialize;

use crate::normalise::{MAX_VALUE_BYTES, Refusal};

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
    /// What, as a name that does not change, for those who say it in another language: that of a
    /// [`Refusal`], `document-too-large`, `no-json`, `nothing-found`, `caution`, `more-indicators`,
    /// `more-problems`, or `other`.
    pub code: &'static str,
    /// What the code speaks of, in its order.
    pub values: Vec<String>,
    /// How much it weighs.
    pub weight: Weight,
}

/// A reason with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) values: Vec<String>,
    pub(crate) text: String,
}

impl Reason {
    pub(crate) fn new<V: ToString>(code: &'static str, values: &[V], text: String) -> Self {
        Self { code, values: values.iter().map(ToString::to_string).collect(), text }
    }

    pub(crate) fn no_json(error: &serde_json::Error) -> Self {
        Self::new("no-json", &[error], format!("is no JSON: {error}"))
    }

    /// The document was understood and holds nothing of use.
    pub(crate) fn nothing_found(text: &str) -> Self {
        Self { code: "nothing-found", values: Vec::new(), text: text.to_owned() }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self { code: "other", values: Vec::new(), text }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        let values = match &refusal {
            Refusal::Form { kind, value, .. } => vec![value.clone(), kind.name().to_owned()],
            Refusal::TooWide { value, .. } | Refusal::Unknown(value) => vec![value.clone()],
            Refusal::TooLong(bytes) => vec![bytes.to_string(), MAX_VALUE_BYTES.to_string()],
        };
        Self { code: refusal.code(), values, text: refusal.to_string() }
    }
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
