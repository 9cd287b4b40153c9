//! Ingest's door for recordings as the API's.

use async_trait::async_trait;
use metsuke_api::ports::{RecordingError, RecordingStep, Recordings};
use metsuke_event::Event;
use metsuke_event::finding::Level;
use metsuke_ingest as ingest;

/// Ingest's recordings behind the API's trait.
#[derive(Clone, Debug)]
pub(crate) struct IngestRecordings(pub(crate) ingest::Recordings);

fn error(error: ingest::RecordingError) -> RecordingError {
    match error {
        ingest::RecordingError::Unknown => RecordingError::Unknown,
        ingest::RecordingError::Invalid(why) => RecordingError::Invalid(why),
        ingest::RecordingError::Busy => RecordingError::Busy,
        ingest::RecordingError::Store(ingest::StoreError::Later(why)) => RecordingError::Later(why),
        other => RecordingError::Failed(Box::new(other)),
    }
}

#[async_trait]
impl Recordings for IngestRecordings {
    async fn take(
        &self,
        name: &str,
        actor: &str,
        events: Vec<Event>,
    ) -> Result<(u64, u64), RecordingError> {
        let taken = self.0.take(name, actor, events).await.map_err(error)?;
        Ok((taken.taken, taken.known))
    }

    async fn remove(&self, name: &str, actor: &str) -> Result<(), RecordingError> {
        self.0.remove(name, actor).await.map_err(error)
    }

    async fn detect(
        &self,
        name: &str,
        actor: &str,
        stop_at: Option<Level>,
    ) -> Result<RecordingStep, RecordingError> {
        let slice = self.0.detect(name, actor, stop_at).await.map_err(error)?;
        let report = slice.report.map(|report| serde_json::to_value(&report)).transpose();
        let report = report.map_err(|error| RecordingError::Failed(Box::new(error)))?;
        Ok(RecordingStep { events: slice.events, total: slice.total, report })
    }
}
