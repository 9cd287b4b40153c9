//! What ingest needs of an event store.

use std::collections::HashMap;

use async_trait::async_trait;
use metsuke_event::{BootId, EndpointId, Event};

/// The highest sequence number on disk, per endpoint and boot.
pub type HighWater = HashMap<(EndpointId, BootId), u64>;

/// Why the store did not do it. Nothing of the call was stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The same call may succeed later: the disk is full, the store is behind.
    #[error("the store cannot take it now: {0}")]
    Later(String),
    /// It will not get better by itself.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// An event store: durable append, and what detection needs to catch up.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores `events`; returns once they are on disk.
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError>;

    /// The highest sequence number on disk, per endpoint and boot.
    fn high_water(&self) -> HighWater;

    /// The events of one boot behind `seq`, in the order of their numbers, at most `limit`.
    async fn events_after(
        &self,
        boot: (EndpointId, BootId),
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;
}
