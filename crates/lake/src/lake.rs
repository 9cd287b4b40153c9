//! The lake's face. For the moment events are held in memory only; the API is final.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use metsuke_event::{Activity, BootId, EndpointId, Event, FieldId, LossInterval, Timestamp};

use crate::config::LakeConfig;
use crate::error::LakeError;
use crate::request::{
    Bucket, Cursor, Events, Facet, LakeStats, MAX_FACET_VALUES, MAX_LIMIT, Order, SearchAnswer,
    SearchRequest, TimeRange, ValueCount,
};

/// The highest sequence number stored, per endpoint and boot.
pub type HighWater = HashMap<(EndpointId, BootId), u64>;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Events moved from the tail to the table.
    pub rows: u64,
    /// Bytes of Parquet written.
    pub bytes: u64,
}

/// The event store. Cheap to clone; all clones are one lake.
#[derive(Clone, Debug)]
pub struct Lake {
    events: Arc<RwLock<Vec<Event>>>,
}

#[expect(clippy::unused_async, reason = "the store behind it will wait")]
impl Lake {
    /// Opens the lake, or makes it; recovers what a crash left.
    pub async fn open(_config: LakeConfig) -> Result<Self, LakeError> {
        Ok(Self { events: Arc::default() })
    }

    /// Stores events; returns once they are on disk, from when on searches find them.
    pub async fn append(&self, events: Vec<Event>) -> Result<(), LakeError> {
        self.events.write().unwrap_or_else(PoisonError::into_inner).extend(events);
        Ok(())
    }

    /// The highest sequence number on disk, per endpoint and boot.
    pub fn high_water(&self) -> HighWater {
        let mut marks = HighWater::new();
        for event in self.events.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let mark = marks.entry((event.id.endpoint, event.id.boot)).or_default();
            *mark = event.id.seq.max(*mark);
        }
        marks
    }

    /// Moves the tail to the table now.
    pub async fn flush(&self) -> Result<FlushReport, LakeError> {
        Ok(FlushReport::default())
    }

    /// Stops the background work, moves the tail to the table and waits for it.
    pub async fn close(&self) -> Result<(), LakeError> {
        Ok(())
    }

    /// Figures for health and metrics.
    pub fn stats(&self) -> LakeStats {
        LakeStats::default()
    }

    fn sorted(&self, keep: impl Fn(&Event) -> bool) -> Vec<Event> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Event> = events.iter().filter(|event| keep(event)).cloned().collect();
        found.sort_by_key(|event| (event.time, event.id));
        found
    }

    /// Finds events.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchAnswer, LakeError> {
        let begun = Instant::now();
        let mut found =
            self.sorted(|event| request.range.contains(event.time) && request.query.matches(event));
        if request.order == Order::NewestFirst {
            found.reverse();
        }
        let total = found.len() as u64;
        let mut facets = Vec::new();
        for field in &request.facets {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for value in found.iter().filter_map(|event| event.get_owned(*field)) {
                *counts.entry(value.as_ref().to_text().into_owned()).or_default() += 1;
            }
            let mut values: Vec<_> =
                counts.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
            values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            values.truncate(MAX_FACET_VALUES);
            facets.push(Facet { field: *field, values });
        }
        let mut page: Vec<Event> = match request.cursor {
            None => found,
            Some(cursor) => found
                .into_iter()
                .filter(|event| {
                    let here = (event.time, event.id);
                    let there = (cursor.time, cursor.id);
                    if request.order == Order::NewestFirst { here < there } else { here > there }
                })
                .collect(),
        };
        let limit = request.limit.min(MAX_LIMIT);
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|e| Cursor { time: e.time, id: e.id });
        Ok(SearchAnswer {
            events: page,
            next,
            total: Some(total),
            histogram: Vec::<Bucket>::new(),
            facets,
            loss: self.loss(request.range),
            scanned_rows: total,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            complete: true,
        })
    }

    /// What the process trees need: on `endpoint`, in `range`, the events of the process or
    /// storyline `uid` (its own, its children's, and its storyline's), oldest first.
    pub async fn process_events(
        &self,
        endpoint: EndpointId,
        uid: &str,
        range: TimeRange,
    ) -> Result<Events, LakeError> {
        let is = |value: &Option<metsuke_event::Text>| value.as_deref() == Some(uid);
        let events = self.sorted(|event| {
            event.id.endpoint == endpoint
                && range.contains(event.time)
                && (is(&event.process.uid)
                    || is(&event.process.parent_uid)
                    || is(&event.process.storyline))
        });
        Ok(Events { events, truncated: false, loss: self.loss(range) })
    }

    /// The events of one process alone, oldest first.
    pub async fn by_process(
        &self,
        endpoint: EndpointId,
        uid: &str,
        range: TimeRange,
    ) -> Result<Events, LakeError> {
        let events = self.sorted(|event| {
            event.id.endpoint == endpoint
                && range.contains(event.time)
                && event.process.uid.as_deref() == Some(uid)
        });
        Ok(Events { events, truncated: false, loss: self.loss(range) })
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
        let mut events = self.sorted(|event| {
            event.id.endpoint == endpoint && event.id.boot == boot && event.id.seq > seq
        });
        events.sort_by_key(|event| event.id.seq);
        events.truncate(limit);
        Ok(events)
    }

    /// Where something was not seen in `range`: the sensors' words and the lake's own.
    pub fn loss(&self, range: TimeRange) -> Vec<LossInterval> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        events
            .iter()
            .filter_map(|event| match &event.activity {
                Activity::Health(health) => Some(LossInterval {
                    endpoint: event.id.endpoint,
                    from: health.from?,
                    to: health.to?,
                    part: health.part.as_deref().unwrap_or("sensor").to_owned(),
                    reason: health.reason.as_deref().unwrap_or("unknown").to_owned(),
                    lost: health.lost,
                }),
                _ => None,
            })
            .filter(|loss| loss.overlaps(range.from, range.to))
            .collect()
    }

    /// The most frequent values of `field` that begin with `prefix` (letter case apart) among the
    /// newest events, for completion.
    pub async fn field_values(
        &self,
        field: FieldId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<ValueCount>, LakeError> {
        let prefix = prefix.to_lowercase();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for event in self.events.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(value) = event.get_owned(field) {
                let text = value.as_ref().to_text().into_owned();
                if text.to_lowercase().starts_with(&prefix) {
                    *counts.entry(text).or_default() += 1;
                }
            }
        }
        let mut values: Vec<_> =
            counts.into_iter().map(|(value, count)| ValueCount { value, count }).collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        values.truncate(limit);
        Ok(values)
    }

    /// The time of the newest event the lake holds, by the endpoints' clocks.
    pub fn newest(&self) -> Option<Timestamp> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|event| event.time).max()
    }
}
