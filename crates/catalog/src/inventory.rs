//! What is on each host, as its sensor keeps it: a copy brought up to date by deltas
//! (docs/spec/link.md, "Inventory"). Who has a file is answered from here, also for hosts that are
//! off and files that never ran.
//!
//! Invariant: a delta is applied whole or not at all, and only on the generation it builds on.
//! Invariant: what went stays for [`GONE_NANOS`], marked, so that "it was there until" can be said.

use std::collections::BTreeMap;

use metsuke_event::inventory::{Delta, Item, ItemKind, Survey};
use metsuke_event::{EndpointId, TenantId, Timestamp};
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::schema::inventory_item::{ActiveModel, Column, Entity, Model};
use crate::schema::{endpoint, inventory_state as state};
use crate::{Catalog, CatalogError, Change, Result, database, from_json, from_text, to_json};

/// Rows per statement: 10 values each stay well below SQLite's 32,766 per statement.
const INSERT_CHUNK: usize = 1_000;
/// Keys per statement.
const KEYS_CHUNK: usize = 1_000;
/// Most items kept of one endpoint, gone ones included: five times what a sensor keeps by default,
/// and a bound on what a hostile one can store (usual ones: some 100 MB; none is over 64 KiB).
const ITEMS_MAX: u64 = 200_000;
/// How long what went is still known: three months.
const GONE_NANOS: i64 = 90 * 24 * 3_600 * 1_000_000_000;

/// One thing on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryRecord {
    /// The host.
    pub endpoint: EndpointId,
    /// The thing.
    pub item: Item,
    /// When the server first heard of it.
    pub first_seen: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it went; `None` while it is there.
    pub gone: Option<Timestamp>,
}

/// How far a host's inventory is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryState {
    /// The host.
    pub endpoint: EndpointId,
    /// When the sensor last said something of it.
    pub updated: Timestamp,
    /// Whether a whole inventory has come; not so while the first is on its way.
    pub whole: bool,
    /// How far each kind was looked at.
    pub surveys: Vec<Survey>,
}

/// Which things of a host.
#[derive(Clone, Debug, Default)]
pub struct InventoryFilter {
    /// Only those whose key or content holds this text, in lower or upper case.
    pub text: Option<String>,
    /// Also what went.
    pub gone: bool,
}

/// Which files of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFilter {
    /// With this SHA-256, in lower-case hexadecimal.
    Sha256(String),
    /// At this path; `*` stands for anything.
    Path(String),
}

/// The one tenant of a server that has not been divided.
fn tenant() -> i64 {
    i64::from(TenantId::default().0)
}

fn of(id: EndpointId) -> Condition {
    Condition::all().add(Column::Tenant.eq(tenant())).add(Column::Endpoint.eq(id.to_string()))
}

fn row(id: &str, item: &Item, now: Timestamp, generation: u64) -> Result<ActiveModel> {
    Ok(ActiveModel {
        tenant: Set(tenant()),
        endpoint: Set(id.to_owned()),
        kind: Set(item.kind().name().to_owned()),
        key: Set(item.key()),
        sha256: Set(item.sha256().map(str::to_owned)),
        body: Set(to_json("inventory item", item)?),
        first_seen: Set(now.as_nanos()),
        updated: Set(now.as_nanos()),
        generation: Set(generation.cast_signed()),
        gone: Set(None),
    })
}

impl TryFrom<Model> for InventoryRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            endpoint: from_text("inventory item", &row.endpoint)?,
            item: from_json("inventory item", &row.body)?,
            first_seen: Timestamp::from_nanos(row.first_seen),
            updated: Timestamp::from_nanos(row.updated),
            gone: row.gone.map(Timestamp::from_nanos),
        })
    }
}

impl TryFrom<state::Model> for InventoryState {
    type Error = CatalogError;

    fn try_from(row: state::Model) -> Result<Self> {
        Ok(Self {
            endpoint: from_text("inventory", &row.endpoint)?,
            updated: Timestamp::from_nanos(row.updated),
            whole: row.whole_since.is_none(),
            surveys: from_json("inventory", &row.surveys)?,
        })
    }
}

/// Stores new and changed items. What is there already keeps when it was first seen; a whole
/// inventory that says it again does not make it younger.
async fn set(tx: &impl ConnectionTrait, id: &str, delta: &Delta, now: Timestamp) -> Result<()> {
    // Two of one name in one message: the later one counts, as one after another would have it.
    let items: BTreeMap<_, _> =
        delta.set.iter().map(|item| ((item.kind(), item.key()), item)).collect();
    let items: Vec<&Item> = items.into_values().collect();
    for chunk in items.chunks(INSERT_CHUNK) {
        let rows = chunk.iter().map(|item| row(id, item, now, delta.generation));
        let key = [Column::Tenant, Column::Endpoint, Column::Kind, Column::Key];
        let same =
            Expr::cust("inventory_items.body = excluded.body AND inventory_items.gone IS NULL");
        let mut replace = OnConflict::columns(key);
        replace
            .update_columns([Column::Sha256, Column::Body, Column::Generation, Column::Gone])
            .value(
                Column::Updated,
                Expr::case(same, Expr::cust("inventory_items.updated"))
                    .finally(Expr::cust("excluded.updated")),
            );
        Entity::insert_many(rows.collect::<Result<Vec<_>>>()?)
            .on_conflict(replace)
            .exec_without_returning(tx)
            .await
            .map_err(database("store an inventory"))?;
    }
    Ok(())
}

async fn mark_gone(tx: &impl ConnectionTrait, which: Condition, now: Timestamp) -> Result<()> {
    let marked = Entity::update_many()
        .col_expr(Column::Gone, Expr::value(now.as_nanos()))
        .filter(which.add(Column::Gone.is_null()))
        .exec(tx)
        .await;
    marked.map_err(database("store an inventory")).map(drop)
}

async fn removed(
    tx: &impl ConnectionTrait,
    id: EndpointId,
    delta: &Delta,
    now: Timestamp,
) -> Result<()> {
    for kind in ItemKind::ALL {
        let keys: Vec<&str> = delta
            .removed
            .iter()
            .filter(|name| name.0 == kind)
            .map(|name| name.1.as_str())
            .collect();
        for chunk in keys.chunks(KEYS_CHUNK) {
            let which = of(id).add(Column::Kind.eq(kind.name()));
            mark_gone(tx, which.add(Column::Key.is_in(chunk.iter().copied())), now).await?;
        }
    }
    Ok(())
}

async fn forget_old(tx: &impl ConnectionTrait, id: EndpointId, now: Timestamp) -> Result<()> {
    let old = of(id).add(Column::Gone.lt(now.as_nanos().saturating_sub(GONE_NANOS)));
    let forgotten = Entity::delete_many().filter(old).exec(tx).await;
    forgotten.map_err(database("forget old inventory")).map(drop)
}

/// Removes all that is known of a host.
pub(crate) async fn remove(tx: &impl ConnectionTrait, id: EndpointId) -> Result<()> {
    let items = Entity::delete_many().filter(of(id)).exec(tx).await;
    items.map_err(database("remove an inventory"))?;
    let state = state::Entity::delete_by_id((tenant(), id.to_string())).exec(tx).await;
    state.map_err(database("remove an inventory")).map(drop)
}

/// The surveys after those of a delta came.
fn merge(held: Vec<Survey>, new: &[Survey]) -> Vec<Survey> {
    let mut all: BTreeMap<ItemKind, Survey> =
        held.into_iter().map(|survey| (survey.kind, survey)).collect();
    all.extend(new.iter().map(|survey| (survey.kind, survey.clone())));
    all.into_values().collect()
}

impl Catalog {
    /// Applies a delta, and returns the generation held for the endpoint from now on: the delta's,
    /// or, when it builds on another past, the one held before (nothing is applied then).
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when the endpoint is not enrolled, [`CatalogError::Conflict`] when
    /// it would have too many items.
    pub async fn take_inventory(
        &self,
        now: Timestamp,
        id: EndpointId,
        delta: &Delta,
    ) -> Result<u64> {
        let read = || database("read an inventory");
        let tx = self.begin().await?;
        let endpoint = id.to_string();
        let known = endpoint::Entity::find_by_id(&endpoint).one(&tx).await.map_err(read())?;
        known.ok_or(CatalogError::NotFound("endpoint"))?;
        let held = state::Entity::find_by_id((tenant(), endpoint.clone())).one(&tx).await;
        let held = held.map_err(read())?;
        let generation = held.as_ref().map_or(0, |row| row.generation.cast_unsigned());
        let begins = delta.stage.begins();
        if !begins && (delta.generation == generation || delta.base != generation) {
            return Ok(generation);
        }
        let mut whole_since = held.as_ref().and_then(|row| row.whole_since);
        let surveys = match held {
            Some(row) if !begins => from_json("inventory", &row.surveys)?,
            _ => Vec::new(),
        };
        if begins {
            whole_since = Some(delta.generation.cast_signed());
        }
        set(&tx, &endpoint, delta, now).await?;
        removed(&tx, id, delta, now).await?;
        if let Some(since) = whole_since.take_if(|_| delta.stage.ends()) {
            mark_gone(&tx, of(id).add(Column::Generation.lt(since)), now).await?;
        }
        forget_old(&tx, id, now).await?;
        let count = Entity::find().filter(of(id)).count(&tx).await.map_err(read())?;
        if count > ITEMS_MAX {
            return Err(CatalogError::Conflict(format!(
                "more than {ITEMS_MAX} items of one host; lower the limits of its inventory"
            )));
        }
        let row = state::ActiveModel {
            tenant: Set(tenant()),
            endpoint: Set(endpoint),
            generation: Set(delta.generation.cast_signed()),
            whole_since: Set(whole_since),
            updated: Set(now.as_nanos()),
            surveys: Set(to_json("inventory", &merge(surveys, &delta.surveys))?),
        };
        let replace = OnConflict::columns([state::Column::Tenant, state::Column::Endpoint])
            .update_columns([
                state::Column::Generation,
                state::Column::WholeSince,
                state::Column::Updated,
                state::Column::Surveys,
            ])
            .to_owned();
        let stored = state::Entity::insert(row).on_conflict(replace).exec_without_returning(&tx);
        stored.await.map_err(database("store an inventory"))?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Endpoint(id));
        Ok(delta.generation)
    }

    /// How far each host's inventory is known.
    pub async fn inventory_states(&self) -> Result<Vec<InventoryState>> {
        let rows = state::Entity::find().filter(state::Column::Tenant.eq(tenant()));
        let rows = rows.all(&self.read).await.map_err(database("read inventories"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How far one host's inventory is known; `None` when nothing came.
    pub async fn inventory_state(&self, id: EndpointId) -> Result<Option<InventoryState>> {
        let row = state::Entity::find_by_id((tenant(), id.to_string())).one(&self.read).await;
        row.map_err(database("read inventories"))?.map(TryInto::try_into).transpose()
    }

    /// How many things of each kind there are on a host.
    pub async fn inventory_counts(&self, id: EndpointId) -> Result<BTreeMap<ItemKind, u64>> {
        let mut counts = BTreeMap::new();
        for kind in ItemKind::ALL {
            let rows = Entity::find().filter(of(id)).filter(Column::Kind.eq(kind.name()));
            let count = rows.filter(Column::Gone.is_null()).count(&self.read).await;
            counts.insert(kind, count.map_err(database("read an inventory"))?);
        }
        Ok(counts)
    }

    /// Things of one kind on a host, by key: at most `limit`, behind the key `after`.
    pub async fn inventory(
        &self,
        id: EndpointId,
        kind: ItemKind,
        filter: &InventoryFilter,
        (after, limit): (Option<&str>, u64),
    ) -> Result<Vec<InventoryRecord>> {
        let mut rows = Entity::find().filter(of(id)).filter(Column::Kind.eq(kind.name()));
        if let Some(after) = after {
            rows = rows.filter(Column::Key.gt(after));
        }
        if !filter.gone {
            rows = rows.filter(Column::Gone.is_null());
        }
        if let Some(text) = &filter.text {
            rows = rows.filter(like(Column::Body, &format!("%{}%", escape(text))));
        }
        let rows = rows.order_by_asc(Column::Key).limit(limit).all(&self.read).await;
        let rows = rows.map_err(database("read an inventory"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Files of the whole fleet, what went included, by endpoint and path: at most `limit`, behind
    /// the place `after`.
    pub async fn find_files(
        &self,
        filter: &FileFilter,
        (after, limit): (Option<(EndpointId, &str)>, u64),
    ) -> Result<Vec<InventoryRecord>> {
        let mut rows = Entity::find().filter(Column::Tenant.eq(tenant()));
        rows = rows.filter(Column::Kind.eq(ItemKind::Executable.name()));
        rows = match filter {
            FileFilter::Sha256(hash) => rows.filter(Column::Sha256.eq(hash)),
            FileFilter::Path(path) if path.contains('*') => {
                rows.filter(like(Column::Key, &escape(path).replace('*', "%")))
            }
            FileFilter::Path(path) => rows.filter(Column::Key.eq(path)),
        };
        if let Some((endpoint, key)) = after {
            let endpoint = endpoint.to_string();
            let later =
                Condition::all().add(Column::Endpoint.eq(&endpoint)).add(Column::Key.gt(key));
            rows = rows.filter(Condition::any().add(Column::Endpoint.gt(endpoint)).add(later));
        }
        let rows = rows.order_by_asc(Column::Endpoint).order_by_asc(Column::Key).limit(limit);
        let rows = rows.all(&self.read).await.map_err(database("read inventories"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

fn like(column: Column, pattern: &str) -> sea_orm::sea_query::SimpleExpr {
    Expr::col(column).like(LikeExpr::new(pattern).escape('\\'))
}

/// A text in which nothing means anything to LIKE.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
