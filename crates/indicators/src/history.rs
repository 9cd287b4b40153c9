//! What looking back needs of an event store.

use async_trait::async_trait;
use metsuke_event::{Event, Timestamp};
use metsuke_hunt::Predicate;

/// Takes events, some thousand at once.
pub type Events<'a> = &'a (dyn Fn(Vec<Event>) + Send + Sync);

/// Which activities are asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Those that fulfil a predicate.
    Matching(Predicate),
    /// Imported ones with fields that the field table has no row for.
    Unmapped,
}

/// The event store did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the event store could not be read; the server's log says why")]
pub struct HistoryError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// An event store that can be gone through.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// The times of the oldest and the newest activity; `None` when there is none.
    fn bounds(&self) -> Option<(Timestamp, Timestamp)>;

    /// Gives every activity in `[from, to)` that is wanted to `each`, in no order, perhaps one twice.
    /// Returns false when a part of the store could not be read.
    async fn scan(
        &self,
        wanted: &Wanted,
        range: (Timestamp, Timestamp),
        each: Events<'_>,
    ) -> Result<bool, HistoryError>;
}
