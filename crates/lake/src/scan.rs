//! Going through everything that fulfils a predicate, batch by batch and in no order: for jobs that
//! look at all of history once, where pages would read it again and again.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::Expr;
use futures::TryStreamExt as _;
use metsuke_event::{Event, Timestamp};
use metsuke_hunt::Predicate;

use crate::compile::{predicate, time_range};
use crate::engine::{events_of, filtered};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::provider::EventsTable;
use crate::prune::pruned;
use crate::request::TimeRange;
use crate::schema::UNMAPPED;

/// Which events a scan gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Scan {
    /// Those that fulfil a predicate.
    Matching(Predicate),
    /// Those with fields that the field table has no row for.
    Unmapped,
}

impl Lake {
    /// The times of the oldest and the newest event, by the endpoints' clocks.
    pub fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        self.inner.shared.bounds()
    }

    /// Gives every event of `range` that `which` asks for to `each`, some thousand at once. Returns
    /// false when a damaged file was set aside on the way: what it held is missing, and what was given
    /// before it was found is given again.
    ///
    /// # Errors
    /// `Search` when the engine fails.
    pub async fn scan(
        &self,
        which: &Scan,
        range: TimeRange,
        each: &(dyn Fn(Vec<Event>) + Send + Sync),
    ) -> Result<bool, LakeError> {
        let ((), repaired) = self
            .with_repair(
                |view| EventsTable::new(&view, range),
                |table| Box::pin(self.scan_once(which, range, (table, each))),
            )
            .await?;
        Ok(!repaired)
    }

    async fn scan_once(
        &self,
        which: &Scan,
        range: TimeRange,
        (table, each): (Arc<EventsTable>, &(dyn Fn(Vec<Event>) + Send + Sync)),
    ) -> Result<(), LakeError> {
        let (table, wanted) = match which {
            Scan::Matching(wanted) => (Arc::new(pruned(&table, wanted).await?), predicate(wanted)),
            Scan::Unmapped => {
                (table, Some(Expr::Column(Column::from_name(UNMAPPED)).is_not_null()))
            }
        };
        let frame = filtered(&self.inner.session, table, [time_range(range), wanted])?;
        let mut stream = frame.execute_stream().await?;
        while let Some(batch) = stream.try_next().await? {
            each(events_of(&[batch])?);
        }
        Ok(())
    }
}
