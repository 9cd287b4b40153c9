//! Searches: a view's files and tail through one plan of the query engine.

use std::sync::Arc;
use std::time::Instant;

use datafusion::logical_expr::Expr;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::TryStreamExt as _;
use metsuke_event::field::{by_name, meta};
use metsuke_event::{BootId, EndpointId, Event, FieldId, Value};
use metsuke_hunt::{End, Pattern, Piece, Predicate, Range, Test};

use crate::compile::{ORDER, column, predicate, time_range};
use crate::counts::Counter;
use crate::engine::{events_of, filtered, ordered, rows_read, stream};
use crate::error::LakeError;
use crate::lake::{HighWater, Lake};
use crate::losses::LossBook;
use crate::page::page;
use crate::provider::EventsTable;
use crate::prune::pruned;
use crate::recover::{batch_losses, raise_marks};
use crate::request::{
    Cursor, Events, Facet, MAX_BUCKETS, MAX_FACET_VALUES, MAX_FACETS, MAX_LIMIT, Order,
    SearchAnswer, SearchRequest, TimeRange, ValueCount,
};
use crate::schema::{conform, index_of};
use crate::view::View;

/// Most events one answer about a process may hold.
pub const MAX_EVENTS: usize = 50_000;
/// Rows looked at for completion, newest files first.
const COMPLETION_ROWS: u64 = 2_000_000;

/// The highest sequence numbers in the table, from the events themselves.
pub(crate) async fn marks(session: &SessionContext, view: &View) -> Result<HighWater, LakeError> {
    let table = Arc::new(EventsTable::new(view, TimeRange::ALL));
    let columns = [meta::ENDPOINT, meta::BOOT, meta::SEQ].map(column);
    let mut stream = session.read_table(table)?.select(columns.to_vec())?.execute_stream().await?;
    let mut marks = HighWater::new();
    while let Some(batch) = stream.try_next().await? {
        let batch = conform(&batch).map_err(LakeError::arrow("read marks"))?;
        raise_marks(&batch, &mut marks);
    }
    Ok(marks)
}

/// The losses that the health events in the table speak of.
pub(crate) async fn stated_losses(
    session: &SessionContext,
    view: &View,
) -> Result<LossBook, LakeError> {
    let table = Arc::new(EventsTable::new(view, TimeRange::ALL));
    let exists = |name: &str| by_name(name).map(|spec| column(spec.id).is_not_null());
    let stated = [exists("sensor.from"), exists("sensor.lost")].into_iter().flatten();
    let frame = filtered(session, table, [stated.reduce(Expr::or)])?;
    let mut losses = LossBook::default();
    let mut stream = frame.execute_stream().await?;
    while let Some(batch) = stream.try_next().await? {
        let batch = conform(&batch).map_err(LakeError::arrow("read health events"))?;
        for loss in batch_losses(&batch)? {
            losses.add(loss);
        }
    }
    Ok(losses)
}

impl Lake {
    /// Finds events; see [`SearchRequest`].
    ///
    /// # Errors
    /// `Search` when the engine fails. Damaged files are no error: they are set aside, and the
    /// answer says so.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, LakeError> {
        let begun = Instant::now();
        let (mut answer, repaired) = self
            .with_repair(
                |view| EventsTable::new(&view, request.range),
                |table| Box::pin(self.answer(&request, table)),
            )
            .await?;
        answer.loss = self.loss(request.range);
        answer.complete = !repaired;
        answer.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(answer)
    }

    async fn answer(
        &self,
        request: &SearchRequest,
        table: Arc<EventsTable>,
    ) -> Result<SearchAnswer, LakeError> {
        let limit = request.limit.min(MAX_LIMIT);
        let counted = request.histogram_buckets > 0 || !request.facets.is_empty() || limit == 0;
        let mut table = EventsTable::clone(&table);
        let (counts, mut scanned_rows) = if counted {
            // Counting reads everything that may match; the page then knows what that is.
            table = pruned(&table, &request.query.predicate).await?;
            self.count(request, &table).await?
        } else {
            Default::default()
        };
        let mut events = Vec::new();
        if limit > 0 {
            let page = page(&self.inner.session, request, limit + 1, &table).await?;
            scanned_rows = scanned_rows.max(page.scanned_rows);
            events = page.events;
        }
        let more = events.len() > limit;
        events.truncate(limit);
        let next =
            events.last().filter(|_| more).map(|last| Cursor { time: last.time, id: last.id });
        let (total, histogram, facets) = counts.map_or_else(Default::default, |counter| {
            let (total, histogram, facets) = counter.finish(MAX_FACET_VALUES);
            (Some(total), histogram, facets)
        });
        Ok(SearchAnswer {
            events,
            next,
            total,
            histogram,
            facets,
            loss: Vec::new(),
            scanned_rows,
            took_ms: 0,
            complete: true,
        })
    }

    /// Counts every match; the second part is how many rows were read for it.
    async fn count(
        &self,
        request: &SearchRequest,
        table: &EventsTable,
    ) -> Result<(Option<Counter>, u64), LakeError> {
        let facets: Vec<FieldId> = request
            .facets
            .iter()
            .copied()
            .filter(|field| index_of(*field).is_some())
            .take(MAX_FACETS)
            .collect();
        let buckets = request.histogram_buckets.min(MAX_BUCKETS);
        let mut counter = Counter::new(self.narrowed(request.range), buckets, &facets);
        let wanted = [time_range(request.range), predicate(&request.query.predicate)];
        let frame = filtered(&self.inner.session, Arc::new(table.clone()), wanted)?;
        let read = tally(frame, &mut counter).await?;
        Ok((Some(counter), read + table.tail_rows()))
    }

    /// An open range, narrowed to what the lake holds.
    fn narrowed(&self, range: TimeRange) -> TimeRange {
        let Some((oldest, newest)) = self.inner.shared.bounds() else { return range };
        let mut narrowed = range;
        if range.from == TimeRange::ALL.from {
            narrowed.from = oldest;
        }
        if range.to == TimeRange::ALL.to {
            narrowed.to = newest.plus_nanos(1);
        }
        narrowed
    }

    /// What process trees need: on `endpoint`, in `range`, the events of the process or
    /// storyline `uid` (its own, its children's, its storyline's), oldest first.
    pub async fn process_events(
        &self,
        endpoint: EndpointId,
        uid: &str,
        range: TimeRange,
    ) -> Result<Events, LakeError> {
        let names = ["process.uid", "process.parent_process.uid", "process.storyline"];
        let tests = names.iter().filter_map(|name| equals(name, uid)).collect();
        self.narrow(endpoint, Predicate::Or(tests), range).await
    }

    /// The events of one process alone, oldest first.
    pub async fn by_process(
        &self,
        endpoint: EndpointId,
        uid: &str,
        range: TimeRange,
    ) -> Result<Events, LakeError> {
        let tests = equals("process.uid", uid).into_iter().collect();
        self.narrow(endpoint, Predicate::Or(tests), range).await
    }

    async fn narrow(
        &self,
        endpoint: EndpointId,
        test: Predicate,
        range: TimeRange,
    ) -> Result<Events, LakeError> {
        let wanted = Predicate::And(vec![text_equals(meta::ENDPOINT, &endpoint.to_string()), test]);
        let wanted = &wanted;
        let (mut events, _) = self
            .with_repair(
                |view| EventsTable::new(&view, range),
                |table| {
                    Box::pin(async move {
                        let table = Arc::new(pruned(&table, wanted).await?);
                        let filters = [time_range(range), predicate(wanted)];
                        let frame = filtered(&self.inner.session, table, filters)?;
                        let frame = ordered(frame, &ORDER, Order::OldestFirst)?;
                        events_of(&frame.limit(0, Some(MAX_EVENTS + 1))?.collect().await?)
                    })
                },
            )
            .await?;
        let truncated = events.len() > MAX_EVENTS;
        events.truncate(MAX_EVENTS);
        Ok(Events { events, truncated, loss: self.loss(range) })
    }

    /// The events of one boot behind `seq`, in the order of their numbers, at most `limit`: what
    /// detection had not seen before a restart.
    pub async fn events_after(
        &self,
        endpoint: EndpointId,
        boot: BootId,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>, LakeError> {
        let later = Range { low: Some((Value::U64(seq), End::Excluded)), high: None };
        let wanted = Predicate::And(vec![
            text_equals(meta::ENDPOINT, &endpoint.to_string()),
            text_equals(meta::BOOT, &boot.to_string()),
            Predicate::Field(meta::SEQ, Test::Within(later)),
        ]);
        let wanted = &wanted;
        let (events, _) = self
            .with_repair(
                |view| EventsTable::new(&view, TimeRange::ALL),
                |table| {
                    Box::pin(async move {
                        let frame = filtered(&self.inner.session, table, [predicate(wanted)])?;
                        let frame = ordered(frame, &[meta::SEQ], Order::OldestFirst)?;
                        events_of(&frame.limit(0, Some(limit.min(MAX_EVENTS)))?.collect().await?)
                    })
                },
            )
            .await?;
        Ok(events)
    }

    /// The most frequent values of `field` that begin with `prefix` (letter case apart) among the
    /// newest events, for completion.
    pub async fn field_values(
        &self,
        field: FieldId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<ValueCount>, LakeError> {
        let begins = Pattern::new(vec![Piece::Literal(prefix.to_owned()), Piece::Many]);
        let Some(begins) = begins else { return Ok(Vec::new()) };
        if index_of(field).is_none() {
            return Ok(Vec::new());
        }
        let (counter, _) = self
            .with_repair(
                |view| EventsTable::new(&newest(view), TimeRange::ALL),
                |table| {
                    Box::pin(async move {
                        let mut counter = Counter::new(TimeRange::ALL, 0, &[field]);
                        let exists = Some(column(field).is_not_null());
                        let frame = filtered(&self.inner.session, table, [exists])?;
                        tally(frame, &mut counter).await?;
                        Ok(counter)
                    })
                },
            )
            .await?;
        let (_, _, facets) = counter.finish(usize::MAX);
        let values = facets.into_iter().flat_map(|Facet { values, .. }| values);
        Ok(values.filter(|value| begins.matches(&value.value)).take(limit).collect())
    }
}

/// Counts; gives how many rows of files were read for it.
async fn tally(frame: DataFrame, counter: &mut Counter) -> Result<u64, LakeError> {
    let frame = frame.select(counter.fields().map(column).collect::<Vec<Expr>>())?;
    let (plan, mut stream) = stream(frame).await?;
    while let Some(batch) = stream.try_next().await? {
        counter.add(&batch);
    }
    Ok(rows_read(&*plan))
}

/// The tail and the newest files, as many as completion looks at.
fn newest(mut view: View) -> View {
    let mut files = view.files.to_vec();
    files.sort_by_key(|file| std::cmp::Reverse(file.max_time));
    let mut rows = 0;
    files.retain(|file| {
        rows += file.rows;
        rows - file.rows < COMPLETION_ROWS
    });
    view.files = Arc::new(files);
    view
}

fn text_equals(field: FieldId, text: &str) -> Predicate {
    Predicate::Field(field, Test::Equals(Value::Text(text.into())))
}

fn equals(name: &str, text: &str) -> Option<Predicate> {
    by_name(name).map(|spec| text_equals(spec.id, text))
}
