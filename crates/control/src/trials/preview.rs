//! What an exception would have hidden: the engine's own judgement over stored hits and their
//! activities.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use metsuke_catalog::{
    AlertFilter, AlertOrder, CatalogError, ExceptionRecord, HitFilter, HitRecord,
};
use metsuke_detect::Engine;
use metsuke_event::finding::{Alert, Hit};
use metsuke_event::{AlertId, EndpointId, EventId, Timestamp};

use super::{EXAMPLES, Trials};
use crate::library::{ChangeError, Fault};

/// Most hits looked at, the newest: each costs a look into the store.
const HITS_MAX: u64 = 500;
/// Most alerts looked at, and told.
const ALERTS_LOOKED_AT: u64 = 200;
const ALERTS_TOLD: usize = 20;
const DAY_NANOS: i64 = 24 * 3_600 * 1_000_000_000;

/// An alert that would have had another score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TouchedAlert {
    /// The alert.
    pub id: AlertId,
    /// Its title.
    pub title: String,
    /// Its score.
    pub before: u8,
    /// Its score without what would be hidden.
    pub after: u8,
}

/// What an exception would have hidden.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// What is wrong with it; then nothing was looked at.
    pub faults: Vec<Fault>,
    /// Hits it would have hidden.
    pub hidden: u64,
    /// Hits that were looked at.
    pub looked_at: u64,
    /// Alerts it would have touched.
    pub alerts: Vec<TouchedAlert>,
    /// Hidden hits by endpoint.
    pub hosts: BTreeMap<EndpointId, u64>,
    /// Hidden hits by day (UTC).
    pub per_day: BTreeMap<Timestamp, u64>,
    /// Some of them.
    pub examples: Vec<Hit>,
    /// False when there are more hits than were looked at, or some activity is no longer there.
    pub complete: bool,
}

impl Trials {
    /// What `record` would have hidden of the hits of `range` that nothing hides yet.
    ///
    /// # Errors
    /// When catalog or history cannot be read.
    pub async fn preview(
        &self,
        record: &ExceptionRecord,
        range: (Timestamp, Timestamp),
    ) -> Result<Preview, ChangeError> {
        let faults = self.library.judge(record);
        if !faults.is_empty() {
            return Ok(Preview { faults, ..Preview::default() });
        }
        let force = self.library.in_force();
        let one = std::slice::from_ref(record);
        let (overlay, _) = crate::library::overlay((&[], one), &force.groups, &force.findings);
        let mut engine = Engine::new(Arc::clone(&force.rules));
        engine.lay(overlay);
        let (hits, mut complete) = self.hits(record, range).await?;
        let mut preview = Preview { looked_at: hits.len() as u64, ..Preview::default() };
        let mut hidden: HashSet<(String, EventId)> = HashSet::new();
        for HitRecord { hit, .. } in hits {
            let event = self.history.event(hit.event, hit.time).await;
            let Some(event) = event.map_err(ChangeError::Invalid)? else {
                complete = false;
                continue;
            };
            if engine.exception_for(&event, &hit.detection.id).is_none() {
                continue;
            }
            preview.hidden += 1;
            *preview.hosts.entry(hit.event.endpoint).or_default() += 1;
            let day = hit.time.as_nanos().div_euclid(DAY_NANOS) * DAY_NANOS;
            *preview.per_day.entry(Timestamp::from_nanos(day)).or_default() += 1;
            hidden.insert((hit.detection.id.clone(), hit.event));
            if preview.examples.len() < EXAMPLES {
                preview.examples.push(hit);
            }
        }
        preview.complete = complete;
        preview.alerts = self.touched(&preview.hosts, &hidden).await?;
        Ok(preview)
    }

    /// The newest hits that the exception may be about, and whether these are all.
    async fn hits(
        &self,
        record: &ExceptionRecord,
        range: (Timestamp, Timestamp),
    ) -> Result<(Vec<HitRecord>, bool), CatalogError> {
        let filter = |detection: Option<String>| HitFilter {
            detection,
            excepted: Some(false),
            range: Some(range),
            ..HitFilter::default()
        };
        let mut wanted: Vec<Option<String>> = record.detections.iter().cloned().map(Some).collect();
        if wanted.is_empty() {
            wanted.push(None);
        }
        let mut hits = Vec::new();
        for detection in wanted {
            hits.extend(self.catalog.hits(&filter(detection), HITS_MAX + 1).await?);
        }
        hits.sort_by_key(|record| std::cmp::Reverse(record.id));
        let most = usize::try_from(HITS_MAX).unwrap_or(usize::MAX);
        let complete = hits.len() <= most;
        hits.truncate(most);
        Ok((hits, complete))
    }

    /// Alerts on `hosts` that stand on what would be hidden.
    async fn touched(
        &self,
        hosts: &BTreeMap<EndpointId, u64>,
        hidden: &HashSet<(String, EventId)>,
    ) -> Result<Vec<TouchedAlert>, CatalogError> {
        let mut touched = Vec::new();
        for endpoint in hosts.keys().take(ALERTS_TOLD) {
            let filter = AlertFilter { endpoint: Some(*endpoint), ..AlertFilter::default() };
            let place = (None, ALERTS_LOOKED_AT);
            let alerts = self.catalog.alerts(&filter, AlertOrder::Score, place).await?;
            touched.extend(alerts.items.iter().filter_map(|record| {
                let after = score_without(&record.alert, hidden)?;
                Some(TouchedAlert {
                    id: record.alert.id,
                    title: record.alert.detection.title.clone(),
                    before: record.alert.score,
                    after,
                })
            }));
        }
        touched.truncate(ALERTS_TOLD);
        Ok(touched)
    }
}

/// The score without the parts of detections all of whose steps would be hidden; `None` when no step
/// would be.
fn score_without(alert: &Alert, hidden: &HashSet<(String, EventId)>) -> Option<u8> {
    let is_hidden = |step: &metsuke_event::finding::Highlight| {
        let last = step.events.last();
        last.is_some_and(|event| hidden.contains(&(step.detection.id.clone(), *event)))
    };
    if !alert.highlights.iter().any(is_hidden) {
        return None;
    }
    let stays =
        |id: &str| alert.highlights.iter().any(|step| step.detection.id == id && !is_hidden(step));
    let parts = alert.parts.iter();
    let points: f64 = parts
        .filter(|part| part.detection.as_deref().is_none_or(stays))
        .map(|part| part.points)
        .sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 99")]
    let score = points.round().clamp(0.0, 99.0) as u8;
    Some(score.min(alert.score))
}
