//! What ingest counts, since the server started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use metsuke_detect::{Cost, Counters, Evicted, Profile};
use metsuke_event::EndpointId;
use metsuke_link::message::Evictions;

use crate::refusal::Refusals;

/// Most that one heartbeat adds to a count: far more than a sensor lets go between two, and little
/// enough that a wrong one does not fill the sum.
const MAX_STEP: u64 = 1_000_000_000;

/// The counters. All only grow, but for those called gauges.
#[derive(Debug, Default)]
pub struct Metrics {
    /// What detections cost, as last measured.
    pub(crate) profile: Mutex<Option<Profile>>,
    /// Activities stored.
    pub events: AtomicU64,
    /// Activities that came again and were passed over.
    pub duplicates: AtomicU64,
    /// Batches taken in.
    pub batches: AtomicU64,
    /// Batches the store could not take.
    pub append_failures: AtomicU64,
    /// Batches not taken because their endpoint brought too many boots.
    pub boots_refused: AtomicU64,
    /// Batches that had to wait because detection was behind.
    pub waits: AtomicU64,
    /// Activities stored that detection has not yet seen (a gauge).
    pub detect_waiting: AtomicU64,
    /// Activities detection has seen.
    pub detected: AtomicU64,
    /// Activities detection saw anew after a restart.
    pub replayed: AtomicU64,
    /// Hits stored.
    pub hits: AtomicU64,
    /// Alerts raised or grown.
    pub alerts: AtomicU64,
    /// Times the catalog could not take findings; they are tried again.
    pub store_retries: AtomicU64,
    /// Hits that exceptions hid.
    pub excepted: AtomicU64,
    /// Hits not given because their detection is switched off there.
    pub switched_off: AtomicU64,
    /// What the engine dropped because it held as much as it may: correlation keys,
    pub evicted_keys: AtomicU64,
    /// hits of a key,
    pub evicted_hits: AtomicU64,
    /// values of first-seen rules,
    pub evicted_values: AtomicU64,
    /// processes' parents,
    pub evicted_processes: AtomicU64,
    /// storylines,
    pub evicted_storylines: AtomicU64,
    /// hosts that show a detection.
    pub evicted_fleet: AtomicU64,
    /// Checkpoints of detection written.
    pub checkpoints: AtomicU64,
    /// Checkpoints that could not be written.
    pub checkpoint_failures: AtomicU64,
    /// Bytes of the last checkpoint (a gauge).
    pub checkpoint_bytes: AtomicU64,
    /// Whether the store refuses what comes.
    pub refusals: Refusals,
    sensors: Mutex<Sensors>,
}

/// What sensors' tables let go, over all endpoints.
#[derive(Debug, Default)]
struct Sensors {
    /// What each said last; bounded by the endpoints that are enrolled.
    said: HashMap<EndpointId, Evictions>,
    total: Evictions,
}

pub(crate) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}

pub(crate) fn sub(counter: &AtomicU64, less: usize) {
    let less = u64::try_from(less).unwrap_or(u64::MAX);
    // Relaxed and saturating: it is a gauge for people.
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |value| {
        Some(value.saturating_sub(less))
    });
}

/// What somebody else counted.
pub(crate) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}

/// The value of a counter.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn bounded(step: Evictions) -> Evictions {
    // Every field is named, so that a new one cannot be left out.
    let Evictions { processes, hashes, storylines, detection_keys, detection_storylines, spool } =
        step;
    Evictions {
        processes: processes.min(MAX_STEP),
        hashes: hashes.min(MAX_STEP),
        storylines: storylines.min(MAX_STEP),
        detection_keys: detection_keys.min(MAX_STEP),
        detection_storylines: detection_storylines.min(MAX_STEP),
        spool: spool.min(MAX_STEP),
    }
}

/// What one detection costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionCost {
    /// CPU time per activity, in nanoseconds.
    pub nanos_per_event: f64,
    /// Its share of what filters, rules and models cost together, 0 to 1.
    pub share: f64,
    /// Whether it was put to sleep for what it costs.
    pub asleep: bool,
}

impl Metrics {
    /// What detections cost, by id. Models are not among them, for these are measured together;
    /// nothing is before anything came.
    #[expect(clippy::cast_precision_loss, reason = "a rate and a share for people")]
    pub fn costs(&self) -> HashMap<String, DetectionCost> {
        let held = self.profile.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(profile) = held.as_ref().filter(|profile| profile.measured > 0) else {
            return HashMap::new();
        };
        let each: u64 = profile.costs.iter().map(|cost| cost.nanos).sum();
        let all = each + profile.shared_nanos + profile.models_nanos;
        let cost = |cost: &Cost| DetectionCost {
            nanos_per_event: cost.nanos as f64 / profile.measured as f64,
            share: cost.nanos as f64 / all.max(1) as f64,
            asleep: cost.asleep,
        };
        let named = profile.costs.iter().map(|one| (one.detection.id.clone(), cost(one)));
        named.collect()
    }

    /// Adds what an enrolled sensor let go since it said so last, at most [`MAX_STEP`] of each kind.
    /// What it says counts from its own start, which may lie between. What it says first is where
    /// the count begins and adds nothing, for the server may have been started anew and have counted
    /// that before; so what a sensor let go before this server heard of it is left out.
    pub(crate) fn let_go(&self, endpoint: EndpointId, evictions: Evictions) {
        let mut sensors = self.sensors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = sensors.said.insert(endpoint, evictions) {
            sensors.total = sensors.total.plus(&bounded(evictions.since(&before)));
        }
    }

    /// What the engine counted.
    pub(crate) fn engine(&self, counters: &Counters) {
        set(&self.excepted, counters.excepted);
        set(&self.switched_off, counters.switched_off);
        let Evicted { keys, hits, values, kin, storylines, fleet } = counters.evicted;
        set(&self.evicted_keys, keys);
        set(&self.evicted_hits, hits);
        set(&self.evicted_values, values);
        set(&self.evicted_processes, kin);
        set(&self.evicted_storylines, storylines);
        set(&self.evicted_fleet, fleet);
    }

    /// What all sensors let go.
    fn evictions(&self) -> Evictions {
        self.sensors.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// Every counter with its name and one line of help, in the manner of Prometheus.
    pub fn list(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut list = vec![
            ("events_total", "Activities stored.", read(&self.events)),
            ("duplicates_total", "Activities that came again.", read(&self.duplicates)),
            ("batches_total", "Batches taken in.", read(&self.batches)),
            ("append_failures_total", "Batches not stored.", read(&self.append_failures)),
            ("boots_refused_total", "Batches of too many boots.", read(&self.boots_refused)),
            ("backpressure_waits_total", "Batches that waited.", read(&self.waits)),
            ("detect_waiting", "Stored, not yet detected on.", read(&self.detect_waiting)),
            ("detected_total", "Activities detected on.", read(&self.detected)),
            ("replayed_total", "Activities replayed at start.", read(&self.replayed)),
            ("hits_total", "Hits stored.", read(&self.hits)),
            ("alerts_total", "Alerts raised or grown.", read(&self.alerts)),
            ("store_retries_total", "Findings stored late.", read(&self.store_retries)),
            ("excepted_total", "Hits that exceptions hid.", read(&self.excepted)),
            ("switched_off_total", "Hits of what is switched off.", read(&self.switched_off)),
            ("evicted_keys_total", "Keys of rules dropped.", read(&self.evicted_keys)),
            ("evicted_hits_total", "Hits of keys dropped.", read(&self.evicted_hits)),
            ("evicted_values_total", "First-seen values dropped.", read(&self.evicted_values)),
            ("evicted_processes_total", "Parents dropped.", read(&self.evicted_processes)),
            ("evicted_storylines_total", "Storylines dropped.", read(&self.evicted_storylines)),
            ("evicted_fleet_total", "Hosts of detections dropped.", read(&self.evicted_fleet)),
            ("checkpoints_total", "Checkpoints written.", read(&self.checkpoints)),
            ("checkpoint_failures_total", "Not written.", read(&self.checkpoint_failures)),
            ("checkpoint_bytes", "Bytes of the last one.", read(&self.checkpoint_bytes)),
        ];
        list.extend(self.evictions().list());
        list
    }
}
