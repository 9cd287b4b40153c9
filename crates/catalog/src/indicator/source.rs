//! Sources: whose indicators there are, how many, and how to be rid of them.

use std::collections::HashMap;

use metsuke_event::Timestamp;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::changed;
use crate::audit::{Deed, append};
use crate::schema::indicator_row::{Column, Entity};
use crate::schema::{import, sighting};
use crate::{Catalog, CatalogError, Result, database};

/// Rows removed per transaction: detection writes in between.
const REMOVE_CHUNK: u64 = 10_000;

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// Its name.
    pub source: String,
    /// Its indicators.
    pub count: u64,
    /// Those that hold.
    pub active: u64,
    /// Sightings of them that are stored.
    pub sightings: u64,
    /// When something last came from it.
    pub last_import: Option<Timestamp>,
}

impl Catalog {
    /// Every source that has indicators, by name. With millions of indicators this takes a second.
    pub async fn indicator_sources(&self, now: Timestamp) -> Result<Vec<SourceRecord>> {
        let read = || database("count indicators");
        let over = Expr::col(Column::Expires).lte(now.as_nanos());
        let over = Expr::expr(Expr::case(over, 1).finally(0)).sum();
        let counts: Vec<(String, i64, i64)> = Entity::find()
            .select_only()
            .column(Column::Source)
            .column_as(Column::Source.count(), "count")
            .column_as(over, "expired")
            .group_by(Column::Source)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(read())?;
        let seen: Vec<(String, i64)> = sighting::Entity::find()
            .select_only()
            .column(sighting::Column::Source)
            .column_as(sighting::Column::Source.count(), "count")
            .group_by(sighting::Column::Source)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(read())?;
        let last: Vec<(String, i64)> = import::Entity::find()
            .select_only()
            .column(import::Column::Source)
            .column_as(import::Column::Time.max(), "last")
            .group_by(import::Column::Source)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(read())?;
        let seen: HashMap<_, _> = seen.into_iter().collect();
        let last: HashMap<_, _> = last.into_iter().collect();
        let one = |(source, count, expired): (String, i64, i64)| SourceRecord {
            count: count.cast_unsigned(),
            active: (count - expired).cast_unsigned(),
            sightings: seen.get(&source).copied().unwrap_or(0).cast_unsigned(),
            last_import: last.get(&source).copied().map(Timestamp::from_nanos),
            source,
        };
        let mut sources: Vec<_> = counts.into_iter().map(one).collect();
        sources.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(sources)
    }

    /// Removes every indicator of a source, and logs it; their sightings stay. Returns how many.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it has none.
    pub async fn remove_indicator_source(
        &self,
        now: Timestamp,
        actor: &str,
        source: &str,
    ) -> Result<u64> {
        let mut removed = 0;
        loop {
            let tx = self.begin().await?;
            let ids: Vec<i64> = Entity::find()
                .filter(Column::Source.eq(source))
                .limit(REMOVE_CHUNK)
                .select_only()
                .column(Column::Id)
                .into_tuple()
                .all(&tx)
                .await
                .map_err(database("read indicators"))?;
            let Some(more) = u64::try_from(ids.len()).ok().filter(|count| *count > 0) else {
                break;
            };
            if removed == 0 {
                let action = "indicators.source_remove";
                let detail = "every indicator of it";
                append(&tx, now, Deed { actor, action, target: source, detail }).await?;
            }
            Entity::delete_many()
                .filter(Column::Id.is_in(ids))
                .exec(&tx)
                .await
                .map_err(database("remove indicators"))?;
            changed(&tx).await?;
            tx.commit().await.map_err(database("commit"))?;
            removed += more;
        }
        if removed == 0 { Err(CatalogError::NotFound("source")) } else { Ok(removed) }
    }
}
