//! One page of an answer.
//!
//! First the times of the events it will hold, from narrow columns: files and batches of the tail
//! are looked at in the order of their times, some at once, until the page is full and what is left
//! lies behind its end. What is left is not opened, not even for its bloom filters. Then the events
//! themselves, from that stretch of time alone. So a page in the middle of an answer costs what the
//! first one costs, or less.
//!
//! Invariant: the stretch holds every event of the page. Times before the cursor's are counted
//! strictly: events at the cursor's own time can only make the stretch longer than it need be.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::SessionContext;
use metsuke_event::Event;
use metsuke_event::field::meta;

use crate::compile::{ORDER, behind, column, predicate, time_range};
use crate::engine::{collect, events_of, filtered, ordered};
use crate::error::LakeError;
use crate::provider::{EventsTable, Span};
use crate::prune::pruned;
use crate::request::{Order, SearchRequest};

/// Rows looked at in the first round: a query costs something even over few.
const FIRST_ROUND_ROWS: u64 = 10_000;
/// How much larger each round is than the one before, so that a long search has few rounds.
const ROUND_GROWTH: u64 = 4;

/// Events in order, and how many rows were read to find them. (Those read again to fetch the
/// events are not counted twice.)
pub(crate) struct Page {
    pub(crate) events: Vec<Event>,
    pub(crate) scanned_rows: u64,
}

/// The first `most` events of `table` that `request` asks for, behind its cursor.
pub(crate) async fn page(
    session: &SessionContext,
    request: &SearchRequest,
    most: usize,
    table: &EventsTable,
) -> Result<Page, LakeError> {
    let Stretch { span, held_in, scanned_rows } =
        Box::pin(stretch(session, request, most, table)).await?;
    let Some((low, high)) = span else {
        return Ok(Page { events: Vec::new(), scanned_rows });
    };
    let filters = [
        time_range(request.range),
        Some(column(meta::TIME).gt_eq(lit(low)).and(column(meta::TIME).lt_eq(lit(high)))),
        predicate(&request.query.predicate),
        request.cursor.as_ref().map(|cursor| behind(cursor, request.order)),
    ];
    let held_in = pruned(&held_in, &request.query.predicate).await?;
    let frame = filtered(session, Arc::new(held_in), filters)?;
    let frame = ordered(frame, &ORDER, request.order)?.limit(0, Some(most))?;
    let (batches, _) = collect(frame).await?;
    Ok(Page { events: events_of(&batches)?, scanned_rows })
}

/// Where the page's events lie.
struct Stretch {
    /// From when to when, both included; `None` when there are none.
    span: Option<Span>,
    /// What may hold them, as far as it was looked into without what cannot.
    held_in: EventsTable,
    /// Rows read to find that out.
    scanned_rows: u64,
}

async fn stretch(
    session: &SessionContext,
    request: &SearchRequest,
    most: usize,
    table: &EventsTable,
) -> Result<Stretch, LakeError> {
    let order = request.order;
    let cursor = request.cursor.map(|cursor| cursor.time.as_nanos());
    let mut times: Vec<i64> = Vec::new();
    let mut scanned_rows = 0;
    let mut held_in = EventsTable::default();
    let mut rounds = rounds(table, order, cursor).into_iter().peekable();
    loop {
        let full = if times.len() < most { None } else { times.last().copied() };
        let wanted =
            |(best, _): &(i64, _)| full.is_none_or(|last| comes_before(order, *best, last));
        let Some((_, round)) = rounds.next_if(wanted) else { break };
        let round = pruned(&round, &request.query.predicate).await?;
        held_in.join(round.clone());
        if round.is_empty() {
            continue;
        }
        let filters = [
            time_range(request.range),
            cursor.map(|cursor| later(order, cursor)),
            full.map(|last| later(opposite(order), last)),
            predicate(&request.query.predicate),
        ];
        scanned_rows += round.tail_rows();
        let frame = filtered(session, Arc::new(round), filters)?.select([column(meta::TIME)])?;
        let frame = ordered(frame, &[meta::TIME], order)?.limit(0, Some(most))?;
        let (batches, rows) = collect(frame).await?;
        scanned_rows += rows;
        add_times(&batches, &mut times);
        times.sort_unstable();
        if order == Order::NewestFirst {
            times.reverse();
        }
        times.truncate(most);
    }
    // What was not looked at can still hold events of the page's last moment.
    rounds.for_each(|(_, round)| held_in.join(round));
    let ends = cursor.or(times.first().copied()).zip(times.last().copied().or(cursor));
    let span = ends.map(|(first, last)| (first.min(last), first.max(last)));
    let held_in = span.map(|span| held_in.between(span)).unwrap_or_default();
    Ok(Stretch { span, held_in, scanned_rows })
}

fn add_times(batches: &[RecordBatch], times: &mut Vec<i64>) {
    for batch in batches {
        let found = batch.columns().first().and_then(|array| array.as_primitive_opt::<Int64Type>());
        times.extend(found.into_iter().flatten().flatten());
    }
}

/// What may hold events behind the cursor, what may come first first, in rounds that grow; with
/// each the best time it may hold.
fn rounds(table: &EventsTable, order: Order, cursor: Option<i64>) -> Vec<(i64, EventsTable)> {
    let behind = match (order, cursor) {
        (_, None) => (i64::MIN, i64::MAX),
        (Order::NewestFirst, Some(cursor)) => (i64::MIN, cursor),
        (Order::OldestFirst, Some(cursor)) => (cursor, i64::MAX),
    };
    let best = |(low, high): Span| if order == Order::NewestFirst { high } else { low };
    let mut pieces = table.between(behind).pieces();
    pieces.sort_by_key(|(span, _, _)| best(*span));
    if order == Order::NewestFirst {
        pieces.reverse();
    }
    let mut rounds: Vec<(i64, EventsTable)> = Vec::new();
    let (mut rows, mut most) = (0, FIRST_ROUND_ROWS);
    for (span, count, piece) in pieces {
        match rounds.last_mut() {
            Some((_, round)) if rows < most => round.join(piece),
            _ => {
                most = if rounds.is_empty() { most } else { most.saturating_mul(ROUND_GROWTH) };
                rounds.push((best(span), piece));
                rows = 0;
            }
        }
        rows += count;
    }
    rounds
}

fn comes_before(order: Order, time: i64, other: i64) -> bool {
    match order {
        Order::NewestFirst => time > other,
        Order::OldestFirst => time < other,
    }
}

const fn opposite(order: Order) -> Order {
    match order {
        Order::NewestFirst => Order::OldestFirst,
        Order::OldestFirst => Order::NewestFirst,
    }
}

/// Times that come after `time` in `order`, strictly.
fn later(order: Order, time: i64) -> Expr {
    match order {
        Order::NewestFirst => column(meta::TIME).lt(lit(time)),
        Order::OldestFirst => column(meta::TIME).gt(lit(time)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::{Process, Timestamp};

    use crate::prune::tests::files_opened;
    use crate::support::{Maker, config};
    use crate::{Lake, Order, SearchRequest, parse};

    /// Files of a whole first round each, one behind another in time.
    const FILES: i64 = 3;
    const FILE: i64 = 10_000;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_page_opens_no_file_behind_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(config(dir.path())).await.unwrap();
        let hash = "5eed".repeat(16);
        let mut template = Maker::new(4).event();
        template.process = Arc::new(Process {
            sha256: Some(hash.as_str().into()),
            ..Process::clone(&template.process)
        });
        for file in 0..FILES {
            let events = (file * FILE..(file + 1) * FILE).map(|second| {
                let mut event = template.clone();
                event.id.seq = second.cast_unsigned() + 1;
                event.time = Timestamp::from_nanos(second * 1_000_000_000);
                event
            });
            lake.append(events.collect()).await.unwrap();
            lake.flush().await.unwrap();
        }
        let opened = || files_opened(&dir.path().canonicalize().unwrap());
        let request = SearchRequest { limit: 10, ..SearchRequest::new(parse(&hash).unwrap()) };
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut request = SearchRequest { order, ..request.clone() };
            for page in 0..3 {
                let answer = lake.search(request.clone()).await.unwrap();
                assert_eq!((answer.events.len(), opened()), (10, 1), "{order:?}, page {page}");
                request.cursor = answer.next;
            }
        }
        let counted = SearchRequest { histogram_buckets: 2, ..request };
        assert_eq!(lake.search(counted).await.unwrap().total, Some((FILES * FILE).cast_unsigned()));
        assert_eq!(opened(), 3, "counting looks everywhere, and its page not once more");
        let absent = parse(&"7777".repeat(16)).unwrap();
        let answer = lake.search(SearchRequest::new(absent)).await.unwrap();
        assert_eq!((answer.events.len(), answer.scanned_rows, opened()), (0, 0, 3));
    }
}
