//! Questions to the lake and its answers.

use metsuke_event::{EndpointId, Event, EventId, FieldId, LossInterval, Timestamp};
use metsuke_hunt::Query;
use serde::{Deserialize, Serialize};

/// Most events one answer may hold.
pub const MAX_LIMIT: usize = 10_000;
/// Most buckets of a histogram.
pub const MAX_BUCKETS: usize = 1_000;
/// Most fields counted as facets in one search.
pub const MAX_FACETS: usize = 16;
/// Most values given for one facet.
pub const MAX_FACET_VALUES: usize = 50;

/// A half-open range of event time `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self =
        Self { from: Timestamp::from_nanos(i64::MIN), to: Timestamp::from_nanos(i64::MAX) };

    /// Whether `time` lies in it.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

/// Which events come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// Where a page ended: the next begins behind it. Text form: [`Cursor::to_string`] and `parse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Time of the last event given.
    pub time: Timestamp,
    /// Its identity.
    pub id: EventId,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Which events; see `metsuke_hunt::parse`.
    pub query: Query,
    /// When they happened.
    pub range: TimeRange,
    /// How many at most (bounded by [`MAX_LIMIT`]); 0 gives none, only counts.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// Which come first.
    pub order: Order,
    /// Buckets of the time histogram; 0 for none. An open range is first narrowed to the events
    /// the lake holds.
    pub histogram_buckets: usize,
    /// Fields whose most frequent values are wanted.
    pub facets: Vec<FieldId>,
}

impl SearchRequest {
    /// The newest 100 events that fulfil `query`, of any time, without counts.
    pub fn new(query: Query) -> Self {
        Self {
            query,
            range: TimeRange::ALL,
            limit: 100,
            cursor: None,
            order: Order::NewestFirst,
            histogram_buckets: 0,
            facets: Vec::new(),
        }
    }
}

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Events in it.
    pub count: u64,
}

/// A value with its number of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueCount {
    /// The value as text.
    pub value: String,
    /// Events with it.
    pub count: u64,
}

/// The most frequent values of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The field.
    pub field: FieldId,
    /// Its values, most frequent first, at most [`MAX_FACET_VALUES`].
    pub values: Vec<ValueCount>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct SearchAnswer {
    /// The events of this page.
    pub events: Vec<Event>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
    /// Events that fulfil the query, all pages together; counted only when a histogram or facets
    /// are asked for, or the limit is 0.
    pub total: Option<u64>,
    /// The histogram, when asked for.
    pub histogram: Vec<Bucket>,
    /// The facets, when asked for, in the order asked.
    pub facets: Vec<Facet>,
    /// Where something was not seen within the range asked: the answer is only as good.
    pub loss: Vec<LossInterval>,
    /// Rows of the files and of the tail that were read to find and count what matches. Rows that
    /// files' times, bloom filters, statistics and the page index passed over are not among them;
    /// rows read again, to count or to fetch the page's events, are counted once.
    pub scanned_rows: u64,
    /// Wall time, milliseconds.
    pub took_ms: u64,
    /// False when part of the store could not be read (see `loss`).
    pub complete: bool,
}

/// Events with what qualifies them: the answer to the narrow questions.
#[derive(Clone, Debug)]
pub struct Events {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// Whether more exist than the bound allowed.
    pub truncated: bool,
    /// Where something was not seen.
    pub loss: Vec<LossInterval>,
}

/// Figures for the health page and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LakeStats {
    /// Events in the table.
    pub table_rows: u64,
    /// Files of the table.
    pub table_files: u64,
    /// Bytes of these files.
    pub table_bytes: u64,
    /// Events in the hot tail.
    pub tail_rows: u64,
    /// Bytes of the hot tail in memory.
    pub tail_bytes: u64,
    /// Bytes of write-ahead segments.
    pub wal_bytes: u64,
    /// Files set aside as unreadable since the lake was opened.
    pub quarantined: u64,
    /// Flushes that failed in a row; 0 when the last one succeeded.
    pub failed_flushes: u64,
    /// Loss intervals at hand.
    pub loss_intervals: u64,
    /// Loss intervals joined into another one of their endpoint since the lake was opened, because
    /// it had more than the lake keeps at hand.
    pub losses_joined: u64,
}

/// The endpoint that stands for "all of them" in a loss interval of the lake's own: a damaged
/// file holds events of many.
pub const ALL_ENDPOINTS: EndpointId = EndpointId::from_u128(0);
