//! The lake as the history that new indicators are looked for in.

use async_trait::async_trait;
use metsuke_event::Timestamp;
use metsuke_indicators::{Events, History, HistoryError, Wanted};
use metsuke_lake::{Lake, Scan, TimeRange};

/// The lake behind the trait of looking back.
#[derive(Clone, Debug)]
pub(crate) struct LakeHistory(pub(crate) Lake);

#[async_trait]
impl History for LakeHistory {
    fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        self.0.bounds()
    }

    async fn scan(
        &self,
        wanted: &Wanted,
        (from, to): (Timestamp, Timestamp),
        each: Events<'_>,
    ) -> Result<bool, HistoryError> {
        let which = match wanted {
            Wanted::Matching(predicate) => Scan::Matching(predicate.clone()),
            Wanted::Unmapped => Scan::Unmapped,
        };
        let scanned = self.0.scan(&which, TimeRange { from, to }, each).await;
        scanned.map_err(|error| HistoryError(Box::new(error)))
    }
}
