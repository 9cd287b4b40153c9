//! Lists and counts of alerts.

use std::collections::BTreeMap;

use metsuke_event::{AlertId, EndpointId, Timestamp};
use sea_orm::sea_query::{Expr, LikeExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::alert::{AlertRecord, Status};
use crate::schema::alert::{Column, Entity};
use crate::{Catalog, Result, behind, database, from_json};

/// Most alerts over which facets are counted; beyond it the newest are counted.
const MAX_FACET_ROWS: u64 = 100_000;
const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;

/// By what a list is ordered; always highest or newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertOrder {
    /// Score, then last step.
    #[default]
    Score,
    /// When it was raised.
    Created,
    /// Its last step.
    Last,
}

impl AlertOrder {
    /// The columns it looks at, the first one first.
    const fn columns(self) -> &'static [Column] {
        match self {
            Self::Score => &[Column::Score, Column::Last],
            Self::Created => &[Column::Created],
            Self::Last => &[Column::Last],
        }
    }
}

/// Where an alert stands in a list of some [`AlertOrder`]: a page goes on behind the last one of
/// the page before, however many came meanwhile. An alert that grew meanwhile stands elsewhere
/// then, so only [`AlertOrder::Created`] shows every alert once whatever happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertPlace {
    /// What the order looks at: score and last step, or one time in nanoseconds.
    pub keys: Vec<i64>,
    /// The alert; the smaller identity comes first among equals.
    pub id: AlertId,
}

/// Which alerts. An empty list means any.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Statuses.
    pub status: Vec<Status>,
    /// Levels, 0 (informational) to 4 (critical).
    pub level: Vec<i32>,
    /// Endpoint.
    pub endpoint: Option<EndpointId>,
    /// Host name.
    pub host: Option<String>,
    /// ATT&CK technique, sub-techniques included.
    pub technique: Option<String>,
    /// ATT&CK tactic.
    pub tactic: Option<String>,
    /// Detection id.
    pub detection: Option<String>,
    /// Assignee, or nobody.
    pub assignee: Option<Option<String>>,
    /// Words that must occur.
    pub words: Vec<String>,
    /// Lowest score.
    pub min_score: Option<u8>,
}

/// A part of a list with what stands beside it.
#[derive(Clone, Debug)]
pub struct AlertSlice {
    /// The alerts.
    pub items: Vec<AlertRecord>,
    /// How many match in all, on whichever page.
    pub total: u64,
}

/// Counts of alerts that are not closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenCounts {
    /// All.
    pub open: u64,
    /// By level, 0 to 4.
    pub by_level: [u64; 5],
    /// Assigned to the asking account.
    pub mine: u64,
    /// Assigned to nobody.
    pub unassigned: u64,
}

fn like(column: Column, text: &str, (before, after): (&str, &str)) -> Expr {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    column.like(LikeExpr::new(format!("{before}{escaped}{after}")).escape('\\'))
}

fn condition(filter: &AlertFilter) -> Condition {
    let mut all = Condition::all();
    if !filter.status.is_empty() {
        all = all.add(Column::Status.is_in(filter.status.iter().map(|status| status.name())));
    }
    if !filter.level.is_empty() {
        all = all.add(Column::Level.is_in(filter.level.iter().copied()));
    }
    if let Some(endpoint) = filter.endpoint {
        all = all.add(Column::Endpoint.eq(endpoint.to_string()));
    }
    if let Some(host) = &filter.host {
        all = all.add(Column::Host.eq(host.as_str()));
    }
    if let Some(technique) = &filter.technique {
        let exactly = like(Column::Techniques, technique, ("%\"", "\"%"));
        let below = like(Column::Techniques, technique, ("%\"", ".%"));
        all = all.add(Condition::any().add(exactly).add(below));
    }
    if let Some(tactic) = &filter.tactic {
        all = all.add(like(Column::Tactics, tactic, ("%\"", "\"%")));
    }
    if let Some(detection) = &filter.detection {
        all = all.add(Column::DetectionId.eq(detection.as_str()));
    }
    match &filter.assignee {
        Some(Some(name)) => all = all.add(Column::Assignee.eq(name.as_str())),
        Some(None) => all = all.add(Column::Assignee.is_null()),
        None => {}
    }
    for word in &filter.words {
        all = all.add(like(Column::Words, &word.to_lowercase(), ("%", "%")));
    }
    if let Some(score) = filter.min_score {
        all = all.add(Column::Score.gte(i32::from(score)));
    }
    all
}

impl AlertRecord {
    /// Where it stands in a list of this order.
    pub fn place(&self, order: AlertOrder) -> AlertPlace {
        let last = self.alert.last.as_nanos();
        let keys = match order {
            AlertOrder::Score => vec![i64::from(self.alert.score), last],
            AlertOrder::Created => vec![self.created.as_nanos()],
            AlertOrder::Last => vec![last],
        };
        AlertPlace { keys, id: self.alert.id }
    }
}

impl Catalog {
    /// Alerts that match, at most `limit` of them, behind `after`. A place of another order is
    /// no place in this one: with fewer keys than the order has columns, the rest is not looked at.
    pub async fn alerts(
        &self,
        filter: &AlertFilter,
        order: AlertOrder,
        (after, limit): (Option<&AlertPlace>, u64),
    ) -> Result<AlertSlice> {
        let query = Entity::find().filter(condition(filter));
        let total = query.clone().count(&self.read).await.map_err(database("count alerts"))?;
        let mut query = query;
        for column in order.columns() {
            query = query.order_by_desc(*column);
        }
        if let Some(AlertPlace { keys, id }) = after {
            let keys: Vec<_> = order.columns().iter().copied().zip(keys.iter().copied()).collect();
            query = query.filter(behind(&keys, (Column::Id, &id.to_string())));
        }
        let rows = query
            .order_by_asc(Column::Id)
            .limit(limit)
            .all(&self.read)
            .await
            .map_err(database("read alerts"))?;
        let items = rows.into_iter().map(AlertRecord::try_from).collect::<Result<_>>()?;
        Ok(AlertSlice { items, total })
    }

    /// How many alerts that match carry each value: by `status`, `level`, `host`, `tactic`,
    /// `detection`, `assignee`.
    pub async fn alert_facets(
        &self,
        filter: &AlertFilter,
    ) -> Result<BTreeMap<&'static str, BTreeMap<String, u64>>> {
        type Row = (String, i32, Option<String>, String, String, Option<String>);
        let rows: Vec<Row> = Entity::find()
            .filter(condition(filter))
            .select_only()
            .columns([
                Column::Status,
                Column::Level,
                Column::Host,
                Column::Tactics,
                Column::DetectionId,
                Column::Assignee,
            ])
            .order_by_desc(Column::Created)
            .limit(MAX_FACET_ROWS)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count alerts"))?;
        let mut facets: BTreeMap<&'static str, BTreeMap<String, u64>> = BTreeMap::new();
        let mut add = |facet, value: String| {
            *facets.entry(facet).or_default().entry(value).or_default() += 1;
        };
        for (status, level, host, tactics, detection, assignee) in rows {
            add("status", status);
            add("level", level.to_string());
            add("host", host.unwrap_or_default());
            add("detection", detection);
            add("assignee", assignee.unwrap_or_default());
            for tactic in from_json::<Vec<String>>("alert", &tactics)? {
                add("tactic", tactic);
            }
        }
        Ok(facets)
    }

    /// Counts of open alerts, as seen by the account `me`.
    pub async fn open_alerts(&self, me: &str) -> Result<OpenCounts> {
        let rows: Vec<(i32, Option<String>, i64)> = Entity::find()
            .filter(Column::Status.ne(Status::Closed.name()))
            .select_only()
            .column(Column::Level)
            .column(Column::Assignee)
            .column_as(Column::Id.count(), "count")
            .group_by(Column::Level)
            .group_by(Column::Assignee)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count alerts"))?;
        let mut counts = OpenCounts::default();
        for (level, assignee, count) in rows {
            let count = count.cast_unsigned();
            counts.open += count;
            if let Some(slot) =
                usize::try_from(level).ok().and_then(|level| counts.by_level.get_mut(level))
            {
                *slot += count;
            }
            match assignee.as_deref() {
                None => counts.unassigned += count,
                Some(name) if name == me => counts.mine += count,
                Some(_) => {}
            }
        }
        Ok(counts)
    }

    /// How many alerts were raised in each hour of `[from, to)`; hours without any are left out.
    pub async fn alerts_per_hour(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<Timestamp, u64>> {
        let created: Vec<i64> = Entity::find()
            .filter(Column::Created.gte(from.as_nanos()))
            .filter(Column::Created.lt(to.as_nanos()))
            .select_only()
            .column(Column::Created)
            .limit(MAX_FACET_ROWS)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count alerts"))?;
        let mut hours = BTreeMap::new();
        for created in created {
            let hour = created.div_euclid(HOUR_NANOS) * HOUR_NANOS;
            *hours.entry(Timestamp::from_nanos(hour)).or_default() += 1;
        }
        Ok(hours)
    }
}
