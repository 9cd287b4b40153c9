//! The lake as ingest's store.

use async_trait::async_trait;
use metsuke_event::{BootId, EndpointId, Event};
use metsuke_ingest::{HighWater, Store, StoreError};
use metsuke_lake::{Lake, LakeError};

/// The lake behind ingest's trait.
#[derive(Clone, Debug)]
pub(crate) struct LakeStore(pub(crate) Lake);

fn error(error: &LakeError) -> StoreError {
    let later = error.is_transient();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    if later { StoreError::Later(text) } else { StoreError::Failed(text) }
}

#[async_trait]
impl Store for LakeStore {
    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.0.append(events).await.map_err(|failed| error(&failed))
    }

    fn high_water(&self) -> HighWater {
        self.0.high_water()
    }

    async fn events_after(
        &self,
        (endpoint, boot): (EndpointId, BootId),
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.0.events_after(endpoint, boot, seq, limit).await.map_err(|failed| error(&failed))
    }
}
