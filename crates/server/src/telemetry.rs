//! The lake as the API's event store.

use async_trait::async_trait;
use metsuke_api::ports::{Answer, Question, Range, Story, Telemetry, TelemetryError, TimeOrder};
use metsuke_event::{EndpointId, FieldId, LossInterval};
use metsuke_lake::{Lake, LakeError, Order, QueryError, SearchRequest, TimeRange};

/// The lake behind the API's trait.
#[derive(Clone, Debug)]
pub(crate) struct LakeTelemetry(pub(crate) Lake);

fn query_error(error: QueryError) -> TelemetryError {
    TelemetryError::Query { message: error.message, span: error.span, hint: error.hint }
}

fn error(error: LakeError) -> TelemetryError {
    match error {
        LakeError::Query(error) => query_error(error),
        LakeError::Cursor => TelemetryError::Cursor,
        LakeError::TooMany { .. } => TelemetryError::TooMany(error.to_string()),
        other => TelemetryError::Failed(Box::new(other)),
    }
}

const fn range(range: Range) -> TimeRange {
    TimeRange { from: range.from, to: range.to }
}

#[async_trait]
impl Telemetry for LakeTelemetry {
    async fn search(&self, question: Question) -> Result<Answer, TelemetryError> {
        let query = metsuke_lake::parse(&question.query).map_err(query_error)?;
        let cursor = question.cursor.as_deref().map(str::parse).transpose().map_err(error)?;
        let request = SearchRequest {
            query,
            range: range(question.range),
            limit: question.limit,
            cursor,
            order: match question.order {
                TimeOrder::NewestFirst => Order::NewestFirst,
                TimeOrder::OldestFirst => Order::OldestFirst,
            },
            histogram_buckets: question.buckets,
            facets: question.facets,
        };
        let answer = self.0.search(request).await.map_err(error)?;
        let bucket = |bucket: metsuke_lake::Bucket| {
            (Range { from: bucket.from, to: bucket.to }, bucket.count)
        };
        let facet = |facet: metsuke_lake::Facet| {
            let values = facet.values.into_iter().map(|value| (value.value, value.count));
            (facet.field, values.collect())
        };
        Ok(Answer {
            events: answer.events,
            next: answer.next.map(|cursor| cursor.to_string()),
            total: answer.total,
            histogram: answer.histogram.into_iter().map(bucket).collect(),
            facets: answer.facets.into_iter().map(facet).collect(),
            loss: answer.loss,
            scanned_rows: answer.scanned_rows,
            complete: answer.complete,
        })
    }

    async fn story(
        &self,
        endpoint: EndpointId,
        uid: &str,
        when: Range,
    ) -> Result<Story, TelemetryError> {
        let found = self.0.process_events(endpoint, uid, range(when)).await.map_err(error)?;
        Ok(Story { events: found.events, truncated: found.truncated, loss: found.loss })
    }

    fn loss(&self, when: Range) -> Vec<LossInterval> {
        self.0.loss(range(when))
    }

    async fn values(
        &self,
        field: FieldId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, TelemetryError> {
        let values = self.0.field_values(field, prefix, limit).await.map_err(error)?;
        Ok(values.into_iter().map(|value| (value.value, value.count)).collect())
    }
}
