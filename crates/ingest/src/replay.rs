//! Catching up at start: what the store holds and detection has not seen, in the order in which it
//! came.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use metsuke_catalog::{MAX_BOOTS, Watermark};
use metsuke_event::{BootId, EndpointId, Event, Timestamp};

use crate::detector::{Detector, DetectorError};
use crate::metrics::add;
use crate::store::{Store, StoreError};

/// Activities observed at once in a replay.
const REPLAY_CHUNK: usize = 5_000;
/// Activities of all boots held while they are brought into order.
const HELD: usize = 200_000;
/// Fewest activities of one boot read at once.
const LEAST_READ: usize = 100;
/// Activities before the watermark that are read again when there is no checkpoint, per boot, so
/// that what spans the restart (correlations, storylines) is seen whole.
const WARM_UP_EVENTS: u64 = 20_000;
/// With a checkpoint, activities before it that are read for the names of processes alone.
const NAMES_EVENTS: u64 = 2_000;

/// Activities of one boot, as far as they are read.
struct Boot {
    of: (EndpointId, BootId),
    from: u64,
    high: u64,
    read: VecDeque<Event>,
}

impl Boot {
    /// Reads on when nothing is held; false at the end.
    async fn fill(&mut self, store: &Arc<dyn Store>, count: usize) -> Result<bool, StoreError> {
        if self.read.is_empty() && self.from < self.high {
            let events = store.events_after(self.of, self.from, count).await?;
            self.from = events.last().map_or(self.high, |event| event.id.seq);
            self.read = events.into();
        }
        Ok(!self.read.is_empty())
    }
}

/// Lets `detector` see what `store` holds and it has not seen: above its checkpoint, or, when there
/// is none, above the watermark and a stretch before it. Activities of several boots are seen in the
/// order in which the server took them in, as they were or would have been before the restart.
/// Returns how many activities above the watermarks were seen.
///
/// # Errors
/// When store or catalog cannot be read.
pub async fn replay(detector: &mut Detector, store: &Arc<dyn Store>) -> Result<u64, DetectorError> {
    let marks: HashMap<_, _> = detector.watermarks().await?;
    detector.met(&marks);
    detector.resume(&marks).await?;
    let mut known: Vec<_> = store.high_water().into_iter().collect();
    known.sort_unstable();
    let is_recorded = detector.is_recorded().await?;
    known.retain(|((endpoint, _), _)| !is_recorded(endpoint));
    let (mut boots, mut forgotten) = (Vec::new(), 0_u64);
    for (boot, high) in known {
        if is_forgotten(store, &marks, (boot, high)).await? {
            forgotten += 1;
            continue;
        }
        let from = if let Some(seen) = detector.seen(boot) {
            seen.saturating_sub(NAMES_EVENTS)
        } else {
            marks.get(&boot).map_or(0, |mark| mark.seq).saturating_sub(WARM_UP_EVENTS)
        };
        boots.push(Boot { of: boot, from, high, read: VecDeque::new() });
    }
    let unseen = in_order(detector, store, boots, &marks).await?;
    if forgotten > 0 {
        tracing::info!(forgotten, "boots whose watermark was forgotten are not detected on again");
    }
    Ok(unseen)
}

async fn in_order(
    detector: &mut Detector,
    store: &Arc<dyn Store>,
    mut boots: Vec<Boot>,
    marks: &HashMap<(EndpointId, BootId), Watermark>,
) -> Result<u64, DetectorError> {
    let count = (HELD / boots.len().max(1)).clamp(LEAST_READ, REPLAY_CHUNK);
    let mut next: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    for (number, boot) in boots.iter_mut().enumerate() {
        if boot.fill(store, count).await? {
            next.extend(boot.read.front().map(|event| Reverse((received(event), number))));
        }
    }
    let (mut unseen, mut chunk) = (0, Vec::new());
    while let Some(Reverse((_, number))) = next.pop() {
        let boot = &mut boots[number];
        let mark = marks.get(&boot.of).map_or(0, |mark| mark.seq);
        if let Some(event) = boot.read.pop_front() {
            unseen += u64::from(event.id.seq > mark);
            chunk.push(event);
        }
        if boot.fill(store, count).await? {
            next.extend(boot.read.front().map(|event| Reverse((received(event), number))));
        }
        if chunk.len() >= REPLAY_CHUNK || next.is_empty() {
            detector.observe(std::mem::take(&mut chunk)).await?;
        }
    }
    add(&detector.metrics().replayed, usize::try_from(unseen).unwrap_or(usize::MAX));
    Ok(unseen)
}

/// When the server took `event` in. Intake stamps every activity, so the sensor's time stands in
/// for nothing that it took.
pub(crate) fn received(event: &Event) -> Timestamp {
    event.received.unwrap_or(event.time)
}

/// Whether the catalog knew `boot` once and forgot it as one of the endpoint's oldest: it has no
/// mark, and all the marks an endpoint may have are of activities that came later. Detection sees
/// activities in the order in which they came, so one that it did not reach came after all those it
/// has marked, whatever the sensor's clock said.
async fn is_forgotten(
    store: &Arc<dyn Store>,
    marks: &HashMap<(EndpointId, BootId), Watermark>,
    (boot, high): ((EndpointId, BootId), u64),
) -> Result<bool, DetectorError> {
    let of_endpoint = || marks.values().filter(|mark| mark.endpoint == boot.0);
    if marks.contains_key(&boot) || of_endpoint().count() < MAX_BOOTS {
        return Ok(false);
    }
    let last = store.events_after(boot, high.saturating_sub(1), 1).await?;
    let oldest = of_endpoint().map(|mark| mark.received).min();
    Ok(last.last().zip(oldest).is_some_and(|(last, oldest)| received(last) < oldest))
}
