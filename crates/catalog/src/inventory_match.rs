//! Which hosts have any of many files: by hash and by path, hosts that are off and files that never
//! ran included.

use metsuke_event::TenantId;
use metsuke_event::inventory::ItemKind;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::inventory::InventoryRecord;
use crate::schema::inventory_item::{Column, Entity};
use crate::{Catalog, Result, database};

/// Most hashes, and most paths, of one question: values of one statement.
pub const FILES_ASKED: usize = 1_000;

impl Catalog {
    /// Things on hosts whose content has one of `hashes` (SHA-256, lower-case), and executables at
    /// one of `paths`; what went is among them. At most [`FILES_ASKED`] of each are asked for, and at
    /// most `limit` come back, those first seen earliest first.
    pub async fn inventory_with(
        &self,
        (hashes, paths): (&[&str], &[&str]),
        limit: u64,
    ) -> Result<Vec<InventoryRecord>> {
        let mut any = Condition::any();
        if !hashes.is_empty() {
            any = any.add(Column::Sha256.is_in(hashes.iter().take(FILES_ASKED).copied()));
        }
        if !paths.is_empty() {
            let at = Condition::all()
                .add(Column::Kind.eq(ItemKind::Executable.name()))
                .add(Column::Key.is_in(paths.iter().take(FILES_ASKED).copied()));
            any = any.add(at);
        }
        if hashes.is_empty() && paths.is_empty() {
            return Ok(Vec::new());
        }
        let rows = Entity::find()
            .filter(Column::Tenant.eq(i64::from(TenantId::default().0)))
            .filter(any)
            .order_by_asc(Column::FirstSeen)
            .limit(limit)
            .all(&self.read)
            .await
            .map_err(database("read inventories"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
