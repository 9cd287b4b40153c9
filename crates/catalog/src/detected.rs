//! Storing what detection found, with the watermark up to where it has seen.
//!
//! Invariant: findings and watermark are stored in one transaction; storing the same findings
//! again changes nothing (hits are unique by detection and activity, an alert is replaced only by
//! one that knows more). Invariant: a watermark never moves back. Invariant: of each endpoint at most
//! [`MAX_BOOTS`] are known.

use std::collections::{BTreeMap, BTreeSet};

use metsuke_event::finding::{Alert, DetectionRef, Highlight, Hit};
use metsuke_event::{BootId, EndpointId, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::alert::{AlertContext, AlertRecord, AlertTriage, Status, add_history};
use crate::schema::{alert, watermark};
use crate::sighting::NewSighting;
use crate::{Catalog, Change, Result, database, from_text};

/// Most processes of an alert whose names are kept.
const MAX_CONTEXT_PROCESSES: usize = 400;
/// Most steps kept of an alert; the vocabulary's bound.
const MAX_HIGHLIGHTS: usize = 200;
/// Boots of one endpoint whose watermarks are kept, those heard last: a new boot costs a sensor
/// nothing, and detection does not go back to one after so many others.
pub const MAX_BOOTS: usize = 64;

/// Up to where detection has seen the activities of one boot of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The boot.
    pub boot: BootId,
    /// The last sequence number seen.
    pub seq: u64,
    /// When the server took that activity in, by the server's clock: a sensor's own may be wrong,
    /// and must not decide which boots are known.
    pub received: Timestamp,
}

/// What detection found in some activities, and up to where it has seen them.
#[derive(Clone, Debug, Default)]
pub struct Detected {
    /// Hits.
    pub hits: Vec<Hit>,
    /// Hits on activities seen before, of sequences that waited for what did not come: the watermark
    /// may have passed them, and does not hold them back.
    pub late: Vec<Hit>,
    /// What exceptions kept from models, counted for the exception and the model, and not stored.
    pub withheld: Vec<Hit>,
    /// Alerts, new or grown, with the names they speak of.
    pub alerts: Vec<(Alert, AlertContext)>,
    /// Watermarks to move forward.
    pub watermarks: Vec<Watermark>,
    /// Indicators that were met.
    pub sightings: Vec<NewSighting>,
}

impl Detected {
    /// Whether there is nothing to store.
    pub const fn is_empty(&self) -> bool {
        self.hits.is_empty()
            && self.late.is_empty()
            && self.withheld.is_empty()
            && self.alerts.is_empty()
            && self.watermarks.is_empty()
            && self.sightings.is_empty()
    }
}

/// What came of storing what detection found.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The alerts that are new or grew.
    pub changed: Vec<AlertRecord>,
    /// The boots whose watermarks were forgotten.
    pub forgotten: Vec<(EndpointId, BootId)>,
}

/// Whether `new` knows more than what is stored.
fn knows_more(new: &Alert, stored: &Alert) -> bool {
    new.last > stored.last
        || new.highlights.len() > stored.highlights.len()
        || new.score > stored.score
        || (new.revision > stored.revision && new.first >= stored.first && new != stored)
}

/// Keeps what an engine that started anew could no longer know: earlier steps, a higher score.
fn merge(alert: &mut Alert, stored: Alert) {
    alert.revision = alert.revision.max(stored.revision.saturating_add(1));
    alert.first = alert.first.min(stored.first);
    alert.last = alert.last.max(stored.last);
    let models: Vec<DetectionRef> = stored.models().chain(alert.models()).cloned().collect();
    if stored.score > alert.score {
        alert.score = stored.score;
        alert.parts = stored.parts;
        alert.detection = stored.detection;
    }
    // Who leads goes with the score; the others are named once each.
    alert.also = Vec::new();
    for model in models {
        if alert.models().all(|known| known.id != model.id) {
            alert.also.push(model);
        }
    }
    for step in stored.highlights {
        let same = |known: &Highlight| {
            known.detection.id == step.detection.id
                && (known.process == step.process || known.events.first() == step.events.first())
        };
        if !alert.highlights.iter().any(same) {
            alert.highlights.push(step);
        }
    }
    alert.highlights.sort_by_key(|step| step.time);
    alert.highlights.truncate(MAX_HIGHLIGHTS);
}

async fn store_alert(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    (mut alert, mut context): (Alert, AlertContext),
) -> Result<Option<AlertRecord>> {
    let stored = alert::Entity::find_by_id(alert.id.to_string()).one(tx).await;
    let stored = stored.map_err(database("read alerts"))?.map(AlertRecord::try_from).transpose()?;
    let Some(stored) = stored else {
        let triage = AlertTriage { status: Status::New, finding: None, assignee: None, version: 1 };
        let record = AlertRecord { alert, context, triage, created: now, updated: now };
        alert::Entity::insert(alert::ActiveModel::from(record.row()?).reset_all())
            .exec_without_returning(tx)
            .await
            .map_err(database("store an alert"))?;
        crate::count::note_live_alert(tx, &record).await?;
        return Ok(Some(record));
    };
    if !knows_more(&alert, &stored.alert) {
        return Ok(None);
    }
    merge(&mut alert, stored.alert);
    for (uid, process) in stored.context.processes {
        if context.processes.len() < MAX_CONTEXT_PROCESSES {
            context.processes.entry(uid).or_insert(process);
        }
    }
    for observable in stored.context.observables {
        if context.observables.len() < metsuke_incident::bounds::OBSERVABLES {
            context.observables.insert(observable);
        }
    }
    context.host = context.host.or(stored.context.host);
    let record = AlertRecord { alert, context, updated: now, ..stored };
    alert::ActiveModel::from(record.row()?)
        .reset_all()
        .update(tx)
        .await
        .map_err(database("store an alert"))?;
    crate::count::note_live_alert(tx, &record).await?;
    Ok(Some(record))
}

/// Stores the watermarks, and forgets those of each endpoint's oldest boots beyond [`MAX_BOOTS`];
/// returns which.
async fn store_watermarks(
    tx: &impl ConnectionTrait,
    marks: &[Watermark],
) -> Result<Vec<(EndpointId, BootId)>> {
    for mark in marks {
        let row = watermark::ActiveModel {
            endpoint: Set(mark.endpoint.to_string()),
            boot: Set(mark.boot.to_string()),
            seq: Set(mark.seq.cast_signed()),
            time: Set(mark.received.as_nanos()),
        };
        let key = [watermark::Column::Endpoint, watermark::Column::Boot];
        let values = [watermark::Column::Seq, watermark::Column::Time];
        // What is read again after a restart lies behind the mark.
        let forward = watermark::Column::Seq.lt(mark.seq.cast_signed());
        let forward =
            OnConflict::columns(key).update_columns(values).action_and_where(forward).to_owned();
        watermark::Entity::insert(row)
            .on_conflict(forward)
            .exec_without_returning(tx)
            .await
            .map_err(database("store the detect watermark"))?;
    }
    let endpoints: BTreeSet<EndpointId> = marks.iter().map(|mark| mark.endpoint).collect();
    let mut forgotten = Vec::new();
    for endpoint in endpoints {
        let now: Vec<_> = marks.iter().filter(|mark| mark.endpoint == endpoint).collect();
        let boots = forget_boots(tx, endpoint, &now).await?;
        forgotten.extend(boots.into_iter().map(|boot| (endpoint, boot)));
    }
    Ok(forgotten)
}

/// Forgets the boots of `endpoint` that were heard longest ago, beyond [`MAX_BOOTS`], but none of
/// `stored_now` (of these the newest, when they are more): the server's clock may have been set back
/// since the others.
async fn forget_boots(
    tx: &impl ConnectionTrait,
    endpoint: EndpointId,
    stored_now: &[&Watermark],
) -> Result<Vec<BootId>> {
    let boots: Vec<String> = watermark::Entity::find()
        .filter(watermark::Column::Endpoint.eq(endpoint.to_string()))
        .order_by_desc(watermark::Column::Time)
        .order_by_asc(watermark::Column::Boot)
        .select_only()
        .column(watermark::Column::Boot)
        .into_tuple()
        .all(tx)
        .await
        .map_err(database("read the detect watermark"))?;
    let mut stored_now = stored_now.to_vec();
    stored_now.sort_by_key(|mark| std::cmp::Reverse(mark.received));
    let newest = stored_now.iter().take(MAX_BOOTS);
    let stored_now: BTreeSet<_> = newest.map(|mark| mark.boot.to_string()).collect();
    let old: Vec<_> =
        boots.into_iter().skip(MAX_BOOTS).filter(|boot| !stored_now.contains(boot)).collect();
    if old.is_empty() {
        return Ok(Vec::new());
    }
    let forgotten = old.iter().map(|boot| from_text("watermark", boot)).collect::<Result<_>>()?;
    watermark::Entity::delete_many()
        .filter(watermark::Column::Endpoint.eq(endpoint.to_string()))
        .filter(watermark::Column::Boot.is_in(old))
        .exec(tx)
        .await
        .map_err(database("forget old boots"))?;
    Ok(forgotten)
}

/// Those of `hits` that lie behind no watermark: the others were stored with it, and counted.
async fn unseen(tx: &impl ConnectionTrait, hits: Vec<Hit>) -> Result<Vec<Hit>> {
    let boots: BTreeSet<_> = hits.iter().map(|hit| (hit.event.endpoint, hit.event.boot)).collect();
    let mut marks = BTreeMap::new();
    for (endpoint, boot) in boots {
        let key = (endpoint.to_string(), boot.to_string());
        let row = watermark::Entity::find_by_id(key).one(tx).await;
        if let Some(row) = row.map_err(database("read the detect watermark"))? {
            marks.insert((endpoint, boot), row.seq.cast_unsigned());
        }
    }
    let is_new = |hit: &Hit| {
        let mark = marks.get(&(hit.event.endpoint, hit.event.boot));
        mark.is_none_or(|mark| hit.event.seq > *mark)
    };
    Ok(hits.into_iter().filter(is_new).collect())
}

impl Catalog {
    /// Stores what detection found; hits on activities behind the watermark are passed over,
    /// but for the late ones; none is stored or counted twice.
    ///
    /// # Errors
    /// When the catalog cannot be written; then nothing of it was stored.
    pub async fn store_detected(&self, now: Timestamp, found: Detected) -> Result<Stored> {
        let tx = self.begin().await?;
        crate::sighting::insert(&tx, now, &found.sightings).await?;
        let mut hits = unseen(&tx, found.hits).await?;
        hits.extend(found.late);
        let recorded = crate::recording::among(&tx, hits.iter().map(|hit| hit.event.endpoint));
        let recorded = recorded.await?;
        crate::hit::insert(&tx, &hits, |endpoint| !recorded.contains(&endpoint)).await?;
        crate::count::count_hits(&tx, &unseen(&tx, found.withheld).await?).await?;
        let mut changed = Vec::new();
        for alert in found.alerts {
            if let Some(record) = store_alert(&tx, now, alert).await? {
                let what = if record.created == now {
                    format!("raised with score {}", record.alert.score)
                } else {
                    format!("grew to score {}", record.alert.score)
                };
                let id = record.alert.id.to_string();
                add_history(&tx, now, &id, ("server", &what)).await?;
                changed.push(record);
            }
        }
        let forgotten = store_watermarks(&tx, &found.watermarks).await?;
        tx.commit().await.map_err(database("commit"))?;
        if !forgotten.is_empty() {
            tracing::info!(
                forgotten = forgotten.len(),
                kept = MAX_BOOTS,
                "watermarks of the oldest boots were forgotten"
            );
        }
        for record in &changed {
            self.tell(Change::Alert(record.alert.id));
        }
        Ok(Stored { changed, forgotten })
    }

    /// Up to where detection has seen each boot of each endpoint.
    pub async fn watermarks(&self) -> Result<Vec<Watermark>> {
        let rows = watermark::Entity::find().all(&self.read).await;
        rows.map_err(database("read the detect watermark"))?
            .into_iter()
            .map(|row| {
                Ok(Watermark {
                    endpoint: from_text("watermark", &row.endpoint)?,
                    boot: from_text("watermark", &row.boot)?,
                    seq: row.seq.cast_unsigned(),
                    received: Timestamp::from_nanos(row.time),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watermark_never_moves_back() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let now = Timestamp::from_millis(0);
        // Each: the number stored, and where the mark stands then.
        for (seq, stands) in [(9, 9), (4, 9), (9, 9), (12, 12)] {
            let mark = Watermark {
                endpoint: EndpointId::from_u128(7),
                boot: BootId::from_u128(1),
                seq,
                received: Timestamp::from_millis(i64::try_from(seq).unwrap()),
            };
            let found = Detected { watermarks: vec![mark], ..Detected::default() };
            catalog.store_detected(now, found).await.unwrap();
            let marks = catalog.watermarks().await.unwrap();
            let received = Timestamp::from_millis(i64::try_from(stands).unwrap());
            assert_eq!(marks, [Watermark { seq: stands, received, ..mark }]);
        }
    }

    #[tokio::test]
    async fn a_late_hit_is_stored_behind_the_watermark_and_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let now = Timestamp::from_millis(0);
        let hit = Hit {
            detection: metsuke_event::finding::DetectionRef {
                id: "waits".into(),
                title: "Waits".into(),
                layer: metsuke_event::finding::Layer::Rule,
                level: metsuke_event::finding::Level::High,
                techniques: Vec::new(),
                tactics: Vec::new(),
            },
            event: metsuke_event::EventId { seq: 3, ..metsuke_event::EventId::default() },
            time: now,
            process: String::new(),
            storyline: String::new(),
            matched: Vec::new(),
            excepted: None,
        };
        let (endpoint, boot) = (hit.event.endpoint, hit.event.boot);
        let mark = Watermark { endpoint, boot, seq: 9, received: now };
        let found = Detected { watermarks: vec![mark], ..Detected::default() };
        catalog.store_detected(now, found).await.unwrap();
        let count = async || {
            let stored = catalog.hits(&crate::HitFilter::default(), 10).await.unwrap().len();
            let stats = catalog.detection_stats(now).await.unwrap();
            (stored, stats.get("waits").map_or(0, |one| one.hits_24h))
        };
        // Behind the mark, as read again: nothing.
        let found = Detected { hits: vec![hit.clone()], ..Detected::default() };
        catalog.store_detected(now, found).await.unwrap();
        assert_eq!(count().await, (0, 0));
        for _ in 0..2 {
            let found = Detected { late: vec![hit.clone()], ..Detected::default() };
            catalog.store_detected(now, found).await.unwrap();
            assert_eq!(count().await, (1, 1));
        }
    }

    #[tokio::test]
    async fn the_oldest_boots_of_an_endpoint_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let now = Timestamp::from_millis(0);
        let store = async |endpoint: u128, boot: u128, time: i64| {
            let mark = Watermark {
                endpoint: EndpointId::from_u128(endpoint),
                boot: BootId::from_u128(boot),
                seq: 1,
                received: Timestamp::from_millis(time),
            };
            let found = Detected { watermarks: vec![mark], ..Detected::default() };
            catalog.store_detected(now, found).await.unwrap();
        };
        let boots = async |endpoint: u128| {
            let marks = catalog.watermarks().await.unwrap();
            let mut boots: Vec<u128> = marks
                .iter()
                .filter(|mark| mark.endpoint == EndpointId::from_u128(endpoint))
                .map(|mark| mark.boot.as_u128())
                .collect();
            boots.sort_unstable();
            boots
        };
        store(8, 1, 0).await;
        let most = u128::try_from(MAX_BOOTS).unwrap();
        for boot in 1..=most + 2 {
            store(7, boot, 1_000 + i64::try_from(boot).unwrap()).await;
        }
        assert_eq!(boots(7).await, (3..=most + 2).collect::<Vec<_>>(), "the oldest two went");
        assert_eq!(boots(8).await, [1], "another endpoint's stay");
        // The server's clock was set back: the boot is the oldest by it, yet not forgotten at once.
        store(7, 1_000, 1).await;
        assert!(boots(7).await.contains(&1_000));
        store(7, 1_001, 9_000).await;
        assert!(!boots(7).await.contains(&1_000));
        assert_eq!(boots(7).await.len(), MAX_BOOTS);
    }
}
