//! The lake as the history that content is tried over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use metsuke_control::trials::{History, HistoryPage};
use metsuke_event::{Event, EventId, Timestamp};
use metsuke_ingest::Metrics;
use metsuke_lake::{Lake, LakeError, MAX_LIMIT, Order, SearchRequest, TimeRange};

/// Activities that wait for detection from which others should wait too.
const BUSY: u64 = 20_000;
/// Most activities of one moment that are looked through for one of them.
const SAME_MOMENT: usize = 1_000;

/// The lake behind control's trait.
#[derive(Clone, Debug)]
pub(crate) struct LakePast {
    pub(crate) lake: Lake,
    pub(crate) metrics: Arc<Metrics>,
}

fn told(error: &LakeError) -> String {
    format!("history cannot be read: {error}")
}

impl LakePast {
    async fn search(
        &self,
        (from, to): (Timestamp, Timestamp),
        cursor: Option<String>,
        limit: usize,
    ) -> Result<HistoryPage, String> {
        let query = metsuke_lake::parse("").map_err(|error| error.message)?;
        let cursor = cursor.as_deref().map(str::parse).transpose();
        let request = SearchRequest {
            range: TimeRange { from, to },
            limit,
            cursor: cursor.map_err(|error: LakeError| told(&error))?,
            order: Order::OldestFirst,
            ..SearchRequest::new(query)
        };
        let answer = self.lake.search(request).await.map_err(|error| told(&error))?;
        Ok(HistoryPage {
            events: answer.events,
            next: answer.next.map(|cursor| cursor.to_string()),
            complete: answer.complete,
        })
    }
}

#[async_trait]
impl History for LakePast {
    async fn page(
        &self,
        range: (Timestamp, Timestamp),
        cursor: Option<String>,
    ) -> Result<HistoryPage, String> {
        self.search(range, cursor, MAX_LIMIT).await
    }

    async fn event(&self, id: EventId, time: Timestamp) -> Result<Option<Event>, String> {
        let page = self.search((time, time.plus_nanos(1)), None, SAME_MOMENT).await?;
        let is_it = |event: &Event| {
            (event.id.endpoint, event.id.boot, event.id.seq) == (id.endpoint, id.boot, id.seq)
        };
        Ok(page.events.into_iter().find(is_it))
    }

    fn is_busy(&self) -> bool {
        self.metrics.detect_waiting.load(Ordering::Relaxed) > BUSY
    }
}
