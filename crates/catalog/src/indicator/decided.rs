//! What people here decided: block and allow lists, without what feeds say.

use metsuke_event::Timestamp;
use metsuke_intel::Action;
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{IndicatorFilter, IndicatorRecord, condition};
use crate::schema::indicator::DECIDED;
use crate::schema::indicator_row::{Column, Entity};
use crate::{Catalog, Result, database};

impl Catalog {
    /// The indicators of a block or allow list that hold, newest first, at most `limit`; and how many
    /// more there are.
    pub async fn indicators_decided(
        &self,
        action: Action,
        now: Timestamp,
        limit: u64,
    ) -> Result<(Vec<IndicatorRecord>, u64)> {
        let filter = IndicatorFilter {
            action: Some(action),
            expired: Some((now, false)),
            ..IndicatorFilter::default()
        };
        let all = Entity::find().filter(condition(&filter)).filter(Expr::cust(DECIDED));
        let rows = all.clone().order_by_desc(Column::Id).limit(limit).all(&self.read).await;
        let rows = rows.map_err(database("read indicators"))?;
        let mut more = 0;
        if rows.len() as u64 == limit {
            let count = all.count(&self.read).await.map_err(database("count indicators"))?;
            more = count.saturating_sub(limit);
        }
        let rows = rows.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
        Ok((rows, more))
    }
}
