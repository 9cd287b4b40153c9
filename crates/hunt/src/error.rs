//! Why a query was refused: where, and what to write instead.

use serde::Serialize;

/// A query that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong, for people.
    pub message: String,
    /// Where: byte offsets `[start, end)` in the query as given; `start == end` means "here".
    pub span: [usize; 2],
    /// What to write instead, where it can be guessed.
    pub hint: Option<String>,
}

impl QueryError {
    pub(crate) fn new(message: impl Into<String>, span: [usize; 2]) -> Self {
        Self { message: message.into(), span, hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
