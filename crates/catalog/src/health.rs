//! How sensors did, minute by minute.
//!
//! Invariant: at most one row an endpoint and minute, the first that was said in it, so that a
//! heartbeat every few seconds costs no more than one a minute.

use metsuke_event::{EndpointId, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::{Map, Value};

use crate::schema::endpoint_health::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, Result, database};

const MINUTE_NANOS: i64 = 60 * 1_000_000_000;
/// Minutes that are kept: a week.
const KEPT_MINUTES: i64 = 7 * 24 * 60;
/// Most points of one answer: a week of minutes, with one for each end.
const MAX_POINTS: u64 = 7 * 24 * 60 + 2;

/// How a sensor did in one minute, as it said itself. What it did not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthPoint {
    /// The minute's beginning, by the server's clock.
    pub time: Timestamp,
    /// CPU time used since the sensor started, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Resident memory in bytes.
    pub rss_bytes: Option<u64>,
    /// Age of the oldest activity not yet acknowledged, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Bytes waiting on its disk.
    pub spool_bytes: Option<u64>,
    /// Activities lost since it started.
    pub lost_total: Option<u64>,
    /// Activities produced since it started.
    pub events_total: Option<u64>,
    /// How many reasons it gave to look after it.
    pub degraded: u64,
}

impl From<Model> for HealthPoint {
    fn from(row: Model) -> Self {
        let number = |value: Option<i64>| value.map(i64::cast_unsigned);
        Self {
            time: Timestamp::from_nanos(row.minute.saturating_mul(MINUTE_NANOS)),
            cpu_ms: number(row.cpu_ms),
            rss_bytes: number(row.rss_bytes),
            lag_ms: number(row.lag_ms),
            spool_bytes: number(row.spool_bytes),
            lost_total: number(row.lost_total),
            events_total: number(row.events_total),
            degraded: row.degraded.cast_unsigned(),
        }
    }
}

const fn minute(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(MINUTE_NANOS)
}

/// Notes what was said at `now`, unless something was said in that minute before.
pub(crate) async fn note(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    id: EndpointId,
    health: &Map<String, Value>,
) -> Result<()> {
    // A number beyond what a column holds is none that a sensor can mean.
    let number = |name: &str| health.get(name).and_then(Value::as_i64).filter(|one| *one >= 0);
    let degraded = health.get("degraded").and_then(Value::as_array).map_or(0, Vec::len);
    let row = ActiveModel {
        endpoint: Set(id.to_string()),
        minute: Set(minute(now)),
        cpu_ms: Set(number("cpu_ms")),
        rss_bytes: Set(number("rss_bytes")),
        lag_ms: Set(number("lag_ms")),
        spool_bytes: Set(number("spool_bytes")),
        lost_total: Set(number("lost_total")),
        events_total: Set(number("events_total")),
        degraded: Set(i64::try_from(degraded).unwrap_or(i64::MAX)),
    };
    let key = [Column::Endpoint, Column::Minute];
    Entity::insert(row)
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .try_insert()
        .exec_without_returning(tx)
        .await
        .map_err(database("store an endpoint's health"))?;
    Ok(())
}

/// Forgets all of one endpoint.
pub(crate) async fn remove(tx: &impl ConnectionTrait, id: EndpointId) -> Result<()> {
    let all = Entity::delete_many().filter(Column::Endpoint.eq(id.to_string())).exec(tx).await;
    all.map_err(database("remove an endpoint's health")).map(drop)
}

impl Catalog {
    /// How an endpoint did in the minutes that begin in `[from, to)`, oldest first; nothing that is
    /// older than a week at `now`.
    pub async fn health(
        &self,
        now: Timestamp,
        id: EndpointId,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<HealthPoint>> {
        let ceiling = |time: Timestamp| {
            time.as_nanos().div_euclid(MINUTE_NANOS)
                + i64::from(time.as_nanos().rem_euclid(MINUTE_NANOS) != 0)
        };
        let first = ceiling(from).max(minute(now) - KEPT_MINUTES);
        let rows = Entity::find()
            .filter(Column::Endpoint.eq(id.to_string()))
            .filter(Column::Minute.gte(first))
            .filter(Column::Minute.lt(ceiling(to)))
            .order_by_asc(Column::Minute)
            .limit(MAX_POINTS)
            .all(&self.read)
            .await
            .map_err(database("read an endpoint's health"))?;
        Ok(rows.into_iter().map(HealthPoint::from).collect())
    }

    /// Forgets what is older than a week at `now`; returns how many minutes of how many endpoints
    /// together.
    pub async fn prune_health(&self, now: Timestamp) -> Result<u64> {
        let gone = Entity::delete_many()
            .filter(Column::Minute.lt(minute(now) - KEPT_MINUTES))
            .exec(&self.write)
            .await
            .map_err(database("forget old health"))?;
        Ok(gone.rows_affected)
    }
}
