//! One page of an answer.
//!
//! First the times of the events it will hold, from narrow columns: files and batches of the tail
//! are looked at in the order of their times, some at once, until the page is full and what is left
//! lies behind its end. Then the events themselves, from that stretch of time alone. So a page in
//! the middle of an answer costs what the first one costs, or less.
//!
//! Invariant: the stretch holds every event of the page. Times before the cursor's are counted
//! strictly: events at the cursor's own time can only make the stretch longer than it need be.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::SessionContext;
use metsuke_event::Event;
use metsuke_event::field::meta;

use crate::compile::{ORDER, behind, column, predicate, time_range};
use crate::engine::{collect, events_of, filtered, ordered};
use crate::error::LakeError;
use crate::provider::{EventsTable, Span};
use crate::request::{Order, SearchRequest};

/// Rows looked at in the first round: a query costs something even over few.
const FIRST_ROUND_ROWS: u64 = 10_000;
/// How much larger each round is than the one before, so that a long search has few rounds.
const ROUND_GROWTH: u64 = 4;

/// Events in order, and how many rows were read to find them.
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
    let (stretch, scanned_rows) = Box::pin(stretch(session, request, most, table)).await?;
    let Some((low, high)) = stretch else {
        return Ok(Page { events: Vec::new(), scanned_rows });
    };
    let filters = [
        time_range(request.range),
        Some(column(meta::TIME).gt_eq(lit(low)).and(column(meta::TIME).lt_eq(lit(high)))),
        predicate(&request.query.predicate),
        request.cursor.as_ref().map(|cursor| behind(cursor, request.order)),
    ];
    let frame = filtered(session, Arc::new(table.between((low, high))), filters)?;
    let frame = ordered(frame, &ORDER, request.order)?.limit(0, Some(most))?;
    let (batches, _) = collect(frame).await?;
    Ok(Page { events: events_of(&batches)?, scanned_rows })
}

/// The stretch of time that the page's events lie in, both ends included; `None` when there are
/// none.
async fn stretch(
    session: &SessionContext,
    request: &SearchRequest,
    most: usize,
    table: &EventsTable,
) -> Result<(Option<Span>, u64), LakeError> {
    let order = request.order;
    let cursor = request.cursor.map(|cursor| cursor.time.as_nanos());
    let mut times: Vec<i64> = Vec::new();
    let mut read = 0;
    for (best, round) in rounds(table, order, cursor) {
        let full = if times.len() < most { None } else { times.last().copied() };
        if full.is_some_and(|last| !comes_before(order, best, last)) {
            break;
        }
        let filters = [
            time_range(request.range),
            cursor.map(|cursor| later(order, cursor)),
            full.map(|last| later(opposite(order), last)),
            predicate(&request.query.predicate),
        ];
        read += round.tail_rows();
        let frame = filtered(session, Arc::new(round), filters)?.select([column(meta::TIME)])?;
        let frame = ordered(frame, &[meta::TIME], order)?.limit(0, Some(most))?;
        let (batches, rows) = collect(frame).await?;
        read += rows;
        for batch in &batches {
            let found =
                batch.columns().first().and_then(|array| array.as_primitive_opt::<Int64Type>());
            times.extend(found.into_iter().flatten().flatten());
        }
        times.sort_unstable();
        if order == Order::NewestFirst {
            times.reverse();
        }
        times.truncate(most);
    }
    let ends = cursor.or(times.first().copied()).zip(times.last().copied().or(cursor));
    Ok((ends.map(|(first, last)| (first.min(last), first.max(last))), read))
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
