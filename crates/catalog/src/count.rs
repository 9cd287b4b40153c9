//! Counters of what struck: hits per detection and hour, the hosts they were on, the alerts that
//! stand on a detection and what people found those to be.
//!
//! Invariant: they are counted with the findings, in one transaction, so a request counts no rows
//! of hits. What was recorded elsewhere is not counted. Kept for [`KEPT_HOURS`]; what an exception hid in all stands beside the exception.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use metsuke_event::finding::Hit;
use metsuke_event::{EventId, Timestamp};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, Set,
};

use crate::schema::content::{alert_detection, exception, hit_count, hit_host};
use crate::{AlertRecord, Catalog, Result, database};

/// An hour.
pub(crate) const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;
const DAY_HOURS: i64 = 24;
const WEEK_HOURS: i64 = 7 * DAY_HOURS;
/// How long counters are kept, in hours: thirty days, and the one that begins.
const KEPT_HOURS: i64 = 31 * DAY_HOURS;

/// How one detection did lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectionStats {
    /// Hits of the last 24 hours that no exception hid.
    pub hits_24h: u64,
    /// Of the last seven days.
    pub hits_7d: u64,
    /// Endpoints they were on.
    pub hosts_7d: u64,
    /// Hits of the last seven days that an exception hid.
    pub excepted_7d: u64,
    /// Alerts of the last seven days that stand on it.
    pub alerts_7d: u64,
    /// What people found alerts to be that stand on it.
    pub findings: Findings,
}

/// What people found alerts to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Real attacks.
    pub real: u64,
    /// As described, and allowed.
    pub benign: u64,
    /// Wrong.
    pub wrong: u64,
}

/// Hits of one day (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayCount {
    /// Its start.
    pub day: Timestamp,
    /// Hits that no exception hid.
    pub hits: u64,
    /// Hits that one hid.
    pub excepted: u64,
}

const fn hour(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(HOUR_NANOS)
}

/// The days from `first` to `last`, without a hit.
fn empty_days(first: i64, last: i64) -> Vec<DayCount> {
    let day = |day: i64| DayCount {
        day: Timestamp::from_nanos(day * DAY_HOURS * HOUR_NANOS),
        ..DayCount::default()
    };
    (first..=last).map(day).collect()
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Counts `hits`, each event once for a detection.
pub(crate) async fn count_hits(tx: &impl ConnectionTrait, hits: &[Hit]) -> Result<()> {
    let mut known: BTreeSet<(&str, EventId)> = BTreeSet::new();
    let mut counts: BTreeMap<(&str, &str, i64), i64> = BTreeMap::new();
    let mut hosts: BTreeMap<(&str, String), i64> = BTreeMap::new();
    let mut hidden: BTreeMap<&str, (i64, Timestamp)> = BTreeMap::new();
    for hit in hits {
        let id = hit.detection.id.as_str();
        if !known.insert((id, hit.event)) {
            continue;
        }
        let excepted = hit.excepted.as_deref().unwrap_or_default();
        *counts.entry((id, excepted, hour(hit.time))).or_default() += 1;
        if excepted.is_empty() {
            let last = hosts.entry((id, hit.event.endpoint.to_string())).or_insert(i64::MIN);
            *last = Ord::max(hour(hit.time), *last);
        } else {
            let (more, last) = hidden.entry(excepted).or_insert((0, hit.time));
            *more += 1;
            *last = Ord::max(hit.time, *last);
        }
    }
    for ((detection, excepted, hour), hits) in counts {
        add_count(tx, (detection, excepted, hour), hits).await?;
    }
    for ((detection, endpoint), hour) in hosts {
        note_host(tx, detection, endpoint, hour).await?;
    }
    for (id, (more, last)) in hidden {
        exception::Entity::update_many()
            .col_expr(exception::Column::Hidden, Expr::col(exception::Column::Hidden).add(more))
            .col_expr(exception::Column::Last, Expr::value(last.as_nanos()))
            .filter(exception::Column::Id.eq(id))
            .exec(tx)
            .await
            .map_err(database("count hidden hits"))?;
    }
    Ok(())
}

async fn add_count(
    tx: &impl ConnectionTrait,
    (detection, excepted, hour): (&str, &str, i64),
    hits: i64,
) -> Result<()> {
    let row = hit_count::ActiveModel {
        detection: Set(detection.to_owned()),
        excepted: Set(excepted.to_owned()),
        hour: Set(hour),
        hits: Set(hits),
    };
    let key = [hit_count::Column::Detection, hit_count::Column::Excepted, hit_count::Column::Hour];
    let known = Expr::col((hit_count::Entity, hit_count::Column::Hits));
    let more = OnConflict::columns(key).value(hit_count::Column::Hits, known.add(hits)).to_owned();
    hit_count::Entity::insert(row)
        .on_conflict(more)
        .exec_without_returning(tx)
        .await
        .map_err(database("count hits"))?;
    Ok(())
}

async fn note_host(
    tx: &impl ConnectionTrait,
    detection: &str,
    endpoint: String,
    hour: i64,
) -> Result<()> {
    let row = hit_host::ActiveModel {
        detection: Set(detection.to_owned()),
        endpoint: Set(endpoint),
        hour: Set(hour),
    };
    let key = [hit_host::Column::Detection, hit_host::Column::Endpoint];
    let later = OnConflict::columns(key)
        .update_column(hit_host::Column::Hour)
        .action_and_where(Expr::col((hit_host::Entity, hit_host::Column::Hour)).lt(hour))
        .to_owned();
    hit_host::Entity::insert(row)
        .on_conflict(later)
        .exec_without_returning(tx)
        .await
        .map_err(database("count hosts"))?;
    Ok(())
}

/// [`note_alert`], unless it is of a recording: that says nothing of how detections do here.
pub(crate) async fn note_live_alert(tx: &impl ConnectionTrait, record: &AlertRecord) -> Result<()> {
    let endpoint = record.alert.endpoint;
    let recorded = crate::recording::among(tx, [endpoint]).await?;
    if recorded.is_empty() { note_alert(tx, record).await } else { Ok(()) }
}

/// Notes the detections that an alert stands on, with what it was found to be.
pub(crate) async fn note_alert(tx: &impl ConnectionTrait, record: &AlertRecord) -> Result<()> {
    let alert = &record.alert;
    let steps = alert.highlights.iter().map(|step| step.detection.id.as_str());
    let detections: BTreeSet<&str> =
        steps.chain(alert.models().map(|model| model.id.as_str())).collect();
    let rows = detections.into_iter().map(|detection| alert_detection::ActiveModel {
        alert: Set(alert.id.to_string()),
        detection: Set(detection.to_owned()),
        time: Set(record.created.as_nanos()),
        finding: Set(record.triage.finding.map(|finding| finding.name().to_owned())),
    });
    let key = [alert_detection::Column::Alert, alert_detection::Column::Detection];
    let anew = OnConflict::columns(key).update_column(alert_detection::Column::Finding).to_owned();
    alert_detection::Entity::insert_many(rows)
        .on_conflict(anew)
        .exec_without_returning(tx)
        .await
        .map_err(database("note what an alert stands on"))?;
    Ok(())
}

/// Sums of hits by detection, where `which` holds.
async fn sums(catalog: &Catalog, which: Condition) -> Result<Vec<(String, i64)>> {
    hit_count::Entity::find()
        .filter(which)
        .select_only()
        .column(hit_count::Column::Detection)
        .column_as(hit_count::Column::Hits.sum(), "sum")
        .group_by(hit_count::Column::Detection)
        .into_tuple()
        .all(&catalog.read)
        .await
        .map_err(database("count hits"))
}

impl Catalog {
    /// How every detection did until `now`; one that did nothing is left out.
    pub async fn detection_stats(&self, now: Timestamp) -> Result<HashMap<String, DetectionStats>> {
        let mut stats: HashMap<String, DetectionStats> = HashMap::new();
        let shown = || Condition::all().add(hit_count::Column::Excepted.eq(""));
        let since = |hours: i64| hit_count::Column::Hour.gt(hour(now) - hours);
        for (id, sum) in sums(self, shown().add(since(DAY_HOURS))).await? {
            stats.entry(id).or_default().hits_24h = count(sum);
        }
        for (id, sum) in sums(self, shown().add(since(WEEK_HOURS))).await? {
            stats.entry(id).or_default().hits_7d = count(sum);
        }
        let hidden = Condition::all().add(hit_count::Column::Excepted.ne(""));
        for (id, sum) in sums(self, hidden.add(since(WEEK_HOURS))).await? {
            stats.entry(id).or_default().excepted_7d = count(sum);
        }
        let hosts: Vec<(String, i64)> = hit_host::Entity::find()
            .filter(hit_host::Column::Hour.gt(hour(now) - WEEK_HOURS))
            .select_only()
            .column(hit_host::Column::Detection)
            .column_as(hit_host::Column::Endpoint.count(), "count")
            .group_by(hit_host::Column::Detection)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count hosts"))?;
        for (id, hosts) in hosts {
            stats.entry(id).or_default().hosts_7d = count(hosts);
        }
        let week = now.plus_nanos(-WEEK_HOURS * HOUR_NANOS).as_nanos();
        let alerts: Vec<(String, i64)> = alert_detection::Entity::find()
            .filter(alert_detection::Column::Time.gt(week))
            .select_only()
            .column(alert_detection::Column::Detection)
            .column_as(alert_detection::Column::Alert.count(), "count")
            .group_by(alert_detection::Column::Detection)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count alerts"))?;
        for (id, alerts) in alerts {
            stats.entry(id).or_default().alerts_7d = count(alerts);
        }
        for (id, findings) in self.findings().await? {
            stats.entry(id).or_default().findings = findings;
        }
        Ok(stats)
    }

    /// What people found alerts to be, by the detections these stand on.
    pub async fn findings(&self) -> Result<HashMap<String, Findings>> {
        let rows: Vec<(String, String, i64)> = alert_detection::Entity::find()
            .filter(alert_detection::Column::Finding.is_not_null())
            .select_only()
            .columns([alert_detection::Column::Detection, alert_detection::Column::Finding])
            .column_as(alert_detection::Column::Alert.count(), "count")
            .group_by(alert_detection::Column::Detection)
            .group_by(alert_detection::Column::Finding)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count findings"))?;
        let mut findings: HashMap<String, Findings> = HashMap::new();
        for (id, finding, alerts) in rows {
            let of = findings.entry(id).or_default();
            let counter = match crate::Finding::from_name(&finding) {
                Some(crate::Finding::TruePositive) => &mut of.real,
                Some(crate::Finding::Benign) => &mut of.benign,
                Some(crate::Finding::FalsePositive) => &mut of.wrong,
                None => continue,
            };
            *counter += count(alerts);
        }
        Ok(findings)
    }

    /// Hits of `detection` on each of the last `days` (UTC) until `now`, oldest first; days without
    /// a hit are there too.
    pub async fn hits_per_day(
        &self,
        now: Timestamp,
        detection: &str,
        days: u16,
    ) -> Result<Vec<DayCount>> {
        self.per_day(now, hit_count::Column::Detection.eq(detection), days).await
    }

    /// Hits that each exception hid on each of the last `days` (UTC) until `now`, oldest first, by the
    /// exception's id; one that hid nothing is left out.
    pub async fn hidden_by_exception(
        &self,
        now: Timestamp,
        days: u16,
    ) -> Result<HashMap<String, Vec<DayCount>>> {
        let today = hour(now).div_euclid(DAY_HOURS);
        let first = today - i64::from(days) + 1;
        let rows: Vec<(i64, String, i64)> = hit_count::Entity::find()
            .filter(hit_count::Column::Excepted.ne(""))
            .filter(hit_count::Column::Hour.gte(first * DAY_HOURS))
            .select_only()
            .columns([
                hit_count::Column::Hour,
                hit_count::Column::Excepted,
                hit_count::Column::Hits,
            ])
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count hits"))?;
        let mut counts: HashMap<String, Vec<DayCount>> = HashMap::new();
        for (hour, exception, hits) in rows {
            let of = counts.entry(exception).or_insert_with(|| empty_days(first, today));
            let place = usize::try_from(hour.div_euclid(DAY_HOURS) - first).ok();
            let Some(day) = place.and_then(|place| of.get_mut(place)) else { continue };
            day.excepted += count(hits);
        }
        Ok(counts)
    }

    async fn per_day(&self, now: Timestamp, which: Expr, days: u16) -> Result<Vec<DayCount>> {
        let today = hour(now).div_euclid(DAY_HOURS);
        let first = today - i64::from(days) + 1;
        let rows: Vec<(i64, String, i64)> = hit_count::Entity::find()
            .filter(which)
            .filter(hit_count::Column::Hour.gte(first * DAY_HOURS))
            .select_only()
            .columns([
                hit_count::Column::Hour,
                hit_count::Column::Excepted,
                hit_count::Column::Hits,
            ])
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count hits"))?;
        let mut counts = empty_days(first, today);
        for (hour, excepted, hits) in rows {
            let place = usize::try_from(hour.div_euclid(DAY_HOURS) - first).ok();
            // A clock that is ahead strikes tomorrow; that day has its own turn.
            let Some(of) = place.and_then(|place| counts.get_mut(place)) else { continue };
            let counter = if excepted.is_empty() { &mut of.hits } else { &mut of.excepted };
            *counter += count(hits);
        }
        Ok(counts)
    }

    /// Forgets counters older than thirty days.
    pub async fn prune_counts(&self, now: Timestamp) -> Result<()> {
        let oldest = hour(now) - KEPT_HOURS;
        hit_count::Entity::delete_many()
            .filter(hit_count::Column::Hour.lt(oldest))
            .exec(&self.write)
            .await
            .map_err(database("forget old counts"))?;
        hit_host::Entity::delete_many()
            .filter(hit_host::Column::Hour.lt(oldest))
            .exec(&self.write)
            .await
            .map_err(database("forget old counts"))?;
        Ok(())
    }
}
