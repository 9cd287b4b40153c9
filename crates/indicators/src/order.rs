//! What is asked of the worker, and what it answers.

use bytes::Bytes;
use metsuke_catalog::{CatalogError, IndicatorPatch, IndicatorRecord};
use metsuke_event::Timestamp;
use metsuke_intel::{Kind, Problem, Refusal, read};
use tokio::sync::oneshot;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The catalog did not take it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The value is none.
    #[error(transparent)]
    Value(#[from] Refusal),
    /// Nothing is in the document.
    #[error("the document holds no indicator: {0}")]
    Empty(String),
    /// The server is being stopped, or the worker has ended.
    #[error("the server is stopping; do it again when it is back")]
    Stopping,
}

/// A document to take in.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its bytes.
    pub bytes: Bytes,
    /// How to read it; told by how it begins when unset.
    pub format: Option<read::Format>,
    /// What holds where it is silent.
    pub origin: read::Origin,
    /// Who brings it.
    pub actor: String,
}

/// One indicator entered by hand.
#[derive(Clone, Debug)]
pub struct NewIndicator {
    /// Its kind; told by its form when unset.
    pub kind: Option<Kind>,
    /// The value, defanged or not.
    pub value: String,
    /// Source, list, confidence, end.
    pub origin: read::Origin,
    /// What people write to it.
    pub note: Option<String>,
    /// Who enters it.
    pub actor: String,
}

/// What came of taking a document in.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The import's number; how far the look back has come is asked by it.
    pub import: i64,
    /// Indicators that were new.
    pub fresh: u64,
    /// Indicators that were known.
    pub known: u64,
    /// What was left out, and what was decided.
    pub problems: Vec<Problem>,
}

type Reply<T> = oneshot::Sender<Result<T, ChangeError>>;

/// What the worker does, one after the other.
pub(crate) enum Job {
    Import(Box<Order>, Reply<Imported>),
    Add(Box<NewIndicator>, Reply<IndicatorRecord>),
    Change { id: i64, patch: IndicatorPatch, actor: String, reply: Reply<IndicatorRecord> },
    Remove { id: i64, actor: String, reply: Reply<IndicatorRecord> },
    RemoveSource { source: String, actor: String, reply: Reply<u64> },
}

/// Whether something holds still.
pub(crate) fn holds(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_none_or(|end| end > now)
}
