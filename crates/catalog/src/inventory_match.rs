//! Which hosts have any of many files: by hash and by path, hosts that are off and files that never
//! ran included.

use metsuke_event::inventory::ItemKind;
use metsuke_event::{EndpointId, TenantId};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::inventory::InventoryRecord;
use crate::schema::inventory_item::{Column, Entity};
use crate::{Catalog, Result, database};

/// Most hashes, and most paths, of one question: values of one statement.
pub const FILES_ASKED: usize = 1_000;

/// Which files are asked for: those whose content has one of `hashes`, and executables at one of
/// `paths`; what went is among them. At most [`FILES_ASKED`] of each are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesAsked<'a> {
    /// SHA-256, in lower case.
    pub hashes: &'a [&'a str],
    /// Paths, whole.
    pub paths: &'a [&'a str],
    /// Only those of this host.
    pub endpoint: Option<EndpointId>,
}

/// Where a page ended, to go on behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesCursor {
    first_seen: i64,
    endpoint: String,
    kind: &'static str,
    key: String,
}

impl FilesCursor {
    /// Behind `record`.
    pub fn behind(record: &InventoryRecord) -> Self {
        Self {
            first_seen: record.first_seen.as_nanos(),
            endpoint: record.endpoint.to_string(),
            kind: record.item.kind().name(),
            key: record.item.key(),
        }
    }

    /// What comes after it: what was first seen earlier; of the same moment, by host and name.
    fn condition(&self) -> Condition {
        let name = Condition::any().add(Column::Kind.gt(self.kind)).add(
            Condition::all().add(Column::Kind.eq(self.kind)).add(Column::Key.gt(self.key.as_str())),
        );
        let place = Condition::any()
            .add(Column::Endpoint.gt(self.endpoint.as_str()))
            .add(Condition::all().add(Column::Endpoint.eq(self.endpoint.as_str())).add(name));
        Condition::any()
            .add(Column::FirstSeen.lt(self.first_seen))
            .add(Condition::all().add(Column::FirstSeen.eq(self.first_seen)).add(place))
    }
}

impl FilesAsked<'_> {
    /// `None` when nothing is asked for.
    fn condition(&self) -> Option<Condition> {
        if self.hashes.is_empty() && self.paths.is_empty() {
            return None;
        }
        let mut any = Condition::any();
        if !self.hashes.is_empty() {
            any = any.add(Column::Sha256.is_in(self.hashes.iter().take(FILES_ASKED).copied()));
        }
        if !self.paths.is_empty() {
            let at = Condition::all()
                .add(Column::Kind.eq(ItemKind::Executable.name()))
                .add(Column::Key.is_in(self.paths.iter().take(FILES_ASKED).copied()));
            any = any.add(at);
        }
        let mut all =
            Condition::all().add(Column::Tenant.eq(i64::from(TenantId::default().0))).add(any);
        if let Some(endpoint) = self.endpoint {
            all = all.add(Column::Endpoint.eq(endpoint.to_string()));
        }
        Some(all)
    }
}

impl Catalog {
    /// One page of the files that are asked for, those first seen last first; at most `limit`.
    pub async fn inventory_with(
        &self,
        asked: &FilesAsked<'_>,
        after: Option<&FilesCursor>,
        limit: u64,
    ) -> Result<Vec<InventoryRecord>> {
        let Some(condition) = asked.condition() else { return Ok(Vec::new()) };
        let mut rows = Entity::find().filter(condition);
        if let Some(after) = after {
            rows = rows.filter(after.condition());
        }
        let rows = rows
            .order_by_desc(Column::FirstSeen)
            .order_by_asc(Column::Endpoint)
            .order_by_asc(Column::Kind)
            .order_by_asc(Column::Key)
            .limit(limit)
            .all(&self.read)
            .await
            .map_err(database("read inventories"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How many files that are asked for come behind `after`.
    pub async fn inventory_count_with(
        &self,
        asked: &FilesAsked<'_>,
        after: Option<&FilesCursor>,
    ) -> Result<u64> {
        let Some(condition) = asked.condition() else { return Ok(0) };
        let mut rows = Entity::find().filter(condition);
        if let Some(after) = after {
            rows = rows.filter(after.condition());
        }
        rows.count(&self.read).await.map_err(database("count inventories"))
    }
}
