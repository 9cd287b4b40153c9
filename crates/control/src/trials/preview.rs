//! What an exception would have hidden: the engine's own judgement over stored hits and their
//! activities.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use metsuke_catalog::{
    AlertFilter, AlertOrder, CatalogError, ExceptionRecord, HitFilter, HitRecord,
};
use metsuke_detect::Engine;
use metsuke_event::finding::{Alert, Highlight, Hit, Layer};
use metsuke_event::{AlertId, EndpointId, EventId, Timestamp};

use super::{Breadth, EXAMPLES, Trials};
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

impl TouchedAlert {
    fn of(alert: &Alert, after: u8) -> Self {
        let title = alert.detection.title.clone();
        Self { id: alert.id, title, before: alert.score, after }
    }
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
    /// How much of what happens meets it, where it names no detection.
    pub breadth: Option<Breadth>,
}

impl Preview {
    /// A step of an alert that a model would not have weighed.
    fn add_step(&mut self, alert: &Alert, step: &Highlight) {
        let count = u64::from(step.count);
        self.hidden += count;
        *self.hosts.entry(alert.endpoint).or_default() += count;
        let day = step.time.as_nanos().div_euclid(DAY_NANOS) * DAY_NANOS;
        *self.per_day.entry(Timestamp::from_nanos(day)).or_default() += count;
        let Some(event) = step.events.last().filter(|_| self.examples.len() < EXAMPLES) else {
            return;
        };
        self.examples.push(Hit {
            detection: step.detection.clone(),
            event: *event,
            time: step.time,
            process: step.process.clone(),
            storyline: alert.storyline.clone(),
            matched: step.matched.clone(),
            excepted: None,
        });
    }
}

/// What a step is known by: its detection and the last activity it stands on.
fn last(step: &Highlight) -> Option<(String, EventId)> {
    Some((step.detection.id.clone(), *step.events.last()?))
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
        let _turn = self.library.turn().await?;
        let (overlay, _) = crate::library::overlay((&[], one), &force.groups, force.weights());
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
        self.of_models(record, range, &mut engine, &mut preview).await?;
        preview.breadth = self.breadth(record).await?;
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
        // Said twice, it is about the same hits.
        let names: BTreeSet<&String> = record.detections.iter().collect();
        let mut wanted: Vec<Option<String>> = names.into_iter().cloned().map(Some).collect();
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

    /// Adds what the models that `record` names would not have weighed: the steps of their alerts in
    /// `range` that meet it, as far as their activities are still there.
    async fn of_models(
        &self,
        record: &ExceptionRecord,
        range: (Timestamp, Timestamp),
        engine: &mut Engine,
        preview: &mut Preview,
    ) -> Result<(), ChangeError> {
        let force = self.library.in_force();
        let names: BTreeSet<&String> = record.detections.iter().collect();
        let is_model =
            |id: &&String| force.meta(id).is_some_and(|meta| meta.detection.layer == Layer::Model);
        for id in names.into_iter().filter(is_model) {
            let filter = AlertFilter { detection: Some(id.clone()), ..AlertFilter::default() };
            let place = (None, ALERTS_LOOKED_AT);
            let alerts = self.catalog.alerts(&filter, AlertOrder::Score, place).await?;
            preview.complete &= alerts.total <= ALERTS_LOOKED_AT;
            for alert in alerts.items.iter().map(|record| &record.alert) {
                if alert.detection.id != *id || alert.last < range.0 || alert.first >= range.1 {
                    continue;
                }
                let mut hidden = HashSet::new();
                for step in &alert.highlights {
                    preview.looked_at += u64::from(step.count);
                    match self.meets(step, id, engine).await? {
                        None => preview.complete = false,
                        Some(false) => {}
                        Some(true) => {
                            hidden.extend(last(step));
                            preview.add_step(alert, step);
                        }
                    }
                }
                let after = score_without(alert, &hidden);
                let room = preview.alerts.len() < ALERTS_TOLD;
                if let Some(after) = after.filter(|_| room) {
                    preview.alerts.push(TouchedAlert::of(alert, after));
                }
            }
        }
        Ok(())
    }

    /// Whether the activity of a step meets the exception that `engine` has, for the model `id`;
    /// `None` when it is no longer there.
    async fn meets(
        &self,
        step: &Highlight,
        id: &str,
        engine: &mut Engine,
    ) -> Result<Option<bool>, ChangeError> {
        let Some(first) = step.events.first() else { return Ok(None) };
        let event = self.history.event(*first, step.time).await.map_err(ChangeError::Invalid)?;
        Ok(event.map(|event| engine.exception_for(&event, id).is_some()))
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
                Some(TouchedAlert::of(&record.alert, after))
            }));
        }
        touched.truncate(ALERTS_TOLD);
        Ok(touched)
    }
}

/// The score without the parts of detections all of whose steps would be hidden; `None` when no step
/// would be.
fn score_without(alert: &Alert, hidden: &HashSet<(String, EventId)>) -> Option<u8> {
    let is_hidden = |step: &Highlight| last(step).is_some_and(|step| hidden.contains(&step));
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
