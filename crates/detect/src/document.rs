//! What goes in, and what is said of what cannot be taken.

use std::fmt;

/// One file of content: YAML, holding one or more detections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it came from, for people; never opened.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A place in a document, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A reason, and where in the document when it is known.
pub(crate) type Refusal = (Reason, Option<Position>);

/// A document that was not compiled, with the reason. The others are not affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The document's path.
    pub path: String,
    /// Its `id`, when it could be read.
    pub id: Option<String>,
    /// Why.
    pub reason: Reason,
    /// Where in the document, when it is known.
    pub position: Option<Position>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(position) = self.position {
            write!(f, ":{position}")?;
        }
        write!(f, ": {} [{}]", self.reason, self.reason.code())
    }
}

/// Why a document is refused. Each says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it means")]
pub enum Reason {
    #[error("it is no YAML: {0}; correct the syntax")]
    Yaml(String),
    #[error("it is larger than a bound ({0}); split it")]
    TooLarge(&'static str),
    #[error("`{0}` is missing; add it")]
    Missing(&'static str),
    #[error("`{field}` should be {expected}")]
    WrongType { field: String, expected: &'static str },
    #[error("modifier `{0}` is not known; correct it or leave it out")]
    UnknownModifier(String),
    #[error("modifier `{0}` does not work {1}")]
    BadModifier(String, String),
    #[error("regular expression `{pattern}` cannot be compiled: {error}")]
    Regex { pattern: String, error: String },
    #[error("`{0}` is no CIDR network; write address/bits")]
    Cidr(String),
    #[error("taxonomy `{0}` is not known here; write the rule in the taxonomy `sigma`")]
    Taxonomy(String),
    #[error("placeholder %{0}% has no values here; the site has to define it")]
    Placeholder(String),
    #[error("condition: {0}")]
    Condition(String),
    #[error(
        "the condition uses an aggregation (`| {0}`), which Sigma has replaced by correlations"
    )]
    Aggregation(String),
    #[error(
        "correlation type `{0}` is not known; use event_count, value_count, value_sum, value_avg, value_percentile, value_median, temporal or temporal_ordered"
    )]
    CorrelationType(String),
    #[error(
        "`{filter}` asks for another log source than this document, so it cannot narrow it; leave it out"
    )]
    OtherSource { filter: String },
    #[error("`{0}` is a rule; a Sigma filter narrows single filters")]
    NotAFilter(String),
    #[error("alias `{0}` needs one field for each of the rules, and for no other")]
    Alias(String),
    #[error("it refers to `{0}`, which is not among the compiled detections")]
    UnknownReference(String),
    #[error(
        "`{0}` strikes when something has not come, and no rule can stand on that; let a model weigh it"
    )]
    Waits(String),
    #[error("it stands on itself by way of `{0}`")]
    Cycle(String),
    #[error("id `{0}` is taken by an earlier document; give it one of its own")]
    DuplicateId(String),
    #[error("`{0}` is no duration; write a number and s, m, h or d")]
    Duration(String),
    #[error(
        "it is no detection: it has none of `detection`, `filter`, `correlation`, `sequence`, `first-seen`, `threshold`, `indicator-match` and `model`"
    )]
    UnknownKind,
    #[error("`{0}` is not known here; correct the name or leave it out")]
    UnknownKey(String),
}

impl Reason {
    /// A stable short name, for counting and for tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Yaml(_) => "yaml",
            Self::TooLarge(_) => "too_large",
            Self::Missing(_) => "missing",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownModifier(_) => "unknown_modifier",
            Self::BadModifier(..) => "bad_modifier",
            Self::Regex { .. } => "regex",
            Self::Cidr(_) => "cidr",
            Self::Taxonomy(_) => "taxonomy",
            Self::Placeholder(_) => "placeholder",
            Self::Condition(_) => "condition",
            Self::Aggregation(_) => "aggregation",
            Self::CorrelationType(_) => "correlation_type",
            Self::OtherSource { .. } => "other_source",
            Self::NotAFilter(_) => "not_a_filter",
            Self::Alias(_) => "alias",
            Self::UnknownReference(_) => "unknown_reference",
            Self::Waits(_) => "waits",
            Self::Cycle(_) => "cycle",
            Self::DuplicateId(_) => "duplicate_id",
            Self::Duration(_) => "duration",
            Self::UnknownKind => "unknown_kind",
            Self::UnknownKey(_) => "unknown_key",
        }
    }
}
