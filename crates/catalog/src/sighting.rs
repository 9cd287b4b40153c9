//! Sightings: where and when an indicator was met, one row for each indicator, endpoint, value and
//! hour. An indicator also keeps when and where it was met first, which outlives the rows.
//!
//! Invariant: what is told twice (a replay, a look back over what the stream has seen) makes no second
//! row. Invariant: a sighting whose indicator is not, or no longer, in the catalog is not stored: the
//! structure that values are looked up in may be wrong about a text once in 2^40 times.

use metsuke_event::{EndpointId, EventId, Text, Timestamp};
use metsuke_intel::{Action, Kind};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::indicator::{read_kind, read_list};
use crate::schema::indicator_row as indicator;
use crate::schema::sighting::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Result, database, from_text};

/// An hour.
const HOUR_NANOS: i64 = 3_600 * 1_000_000_000;
/// Most sightings kept of one indicator: a noisy one (a network, a popular domain) must not push out
/// the rare ones. Beyond it only its last sighting is noted.
pub const SIGHTINGS_OF_INDICATOR: u64 = 10_000;
/// Longest value and process kept, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// Where an indicator was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In an activity as it came.
    Stream,
    /// In an activity that had come before the indicator.
    History,
    /// On a host, among its files: it need not have run.
    Inventory,
}

impl Place {
    const ALL: [Self; 3] = [Self::Stream, Self::History, Self::Inventory];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::History => "history",
            Self::Inventory => "inventory",
        }
    }

    pub(crate) fn read(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|place| place.name() == name);
        found.ok_or_else(|| CatalogError::Corrupt {
            what: "sighting",
            detail: format!("place {name}"),
        })
    }
}

/// A sighting to store; those of one key within a moment together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSighting {
    /// Kind of the indicator.
    pub kind: Kind,
    /// The indicator, canonical.
    pub indicator: Text,
    /// Whose it is.
    pub source: Text,
    /// The value that was seen.
    pub seen: Text,
    /// The field it stood in.
    pub field: Text,
    /// Where it was met.
    pub place: Place,
    /// On which endpoint.
    pub endpoint: EndpointId,
    /// In which activity first; none in an inventory.
    pub event: Option<EventId>,
    /// The process that acted, or the file's path in an inventory.
    pub process: Option<Text>,
    /// When first.
    pub first: Timestamp,
    /// When last.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
}

impl NewSighting {
    /// The hour it falls into.
    pub const fn hour(&self) -> i64 {
        self.first.as_nanos().div_euclid(HOUR_NANOS)
    }
}

/// One stored sighting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SightingRecord {
    /// Grows with every sighting; a cursor.
    pub id: i64,
    /// The indicator, also when it has been removed since.
    pub indicator: i64,
    /// Its kind.
    pub kind: Kind,
    /// Its value.
    pub value: String,
    /// Whose it was.
    pub source: String,
    /// The list it stood on.
    pub action: Action,
    /// Where.
    pub endpoint: EndpointId,
    /// The value that was seen.
    pub seen: String,
    /// The field it stood in.
    pub field: String,
    /// Where it was met.
    pub place: Place,
    /// In which activity first.
    pub event: Option<EventId>,
    /// The process that acted, or the file's path in an inventory.
    pub process: Option<String>,
    /// When first within the hour.
    pub first: Timestamp,
    /// When last within the hour.
    pub last: Timestamp,
    /// How often.
    pub count: u64,
    /// When it was stored.
    pub stored: Timestamp,
}

impl TryFrom<Model> for SightingRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        let endpoint = from_text("sighting", &row.endpoint)?;
        let event = match (&row.boot, row.seq) {
            (Some(boot), Some(seq)) => Some(EventId {
                endpoint,
                boot: from_text("sighting", boot)?,
                seq: seq.cast_unsigned(),
                ..EventId::default()
            }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            indicator: row.indicator,
            kind: read_kind(row.kind)?,
            value: row.value,
            source: row.source,
            action: read_list(&row.list)?,
            endpoint,
            seen: row.seen,
            field: row.field,
            place: Place::read(&row.place)?,
            event,
            process: row.process,
            first: Timestamp::from_nanos(row.first),
            last: Timestamp::from_nanos(row.last),
            count: row.count.cast_unsigned(),
            stored: Timestamp::from_nanos(row.stored),
        })
    }
}

/// Which sightings.
#[derive(Clone, Copy, Debug, Default)]
pub struct SightingFilter {
    /// Of this indicator.
    pub indicator: Option<i64>,
    /// On this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those before this cursor.
    pub before: Option<i64>,
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

fn new_row(now: Timestamp, of: &indicator::Model, new: &NewSighting) -> ActiveModel {
    ActiveModel {
        indicator: Set(of.id),
        kind: Set(of.kind),
        value: Set(of.value.clone()),
        source: Set(of.source.clone()),
        list: Set(of.list.clone()),
        endpoint: Set(new.endpoint.to_string()),
        seen: Set(cut(&new.seen)),
        hour: Set(new.hour()),
        field: Set(new.field.to_string()),
        place: Set(new.place.name().to_owned()),
        boot: Set(new.event.map(|event| event.boot.to_string())),
        seq: Set(new.event.map(|event| event.seq.cast_signed())),
        process: Set(new.process.as_deref().map(cut)),
        first: Set(new.first.as_nanos()),
        last: Set(new.last.as_nanos()),
        count: Set(new.count.cast_signed()),
        stored: Set(now.as_nanos()),
        ..Default::default()
    }
}

/// The row of the same hour, with what `new` says added: more of the stream, or an earlier beginning.
fn grown(row: Model, new: &NewSighting) -> Option<ActiveModel> {
    let earlier = new.first.as_nanos() < row.first;
    let streamed = new.place == Place::Stream;
    if !earlier && !streamed {
        return None;
    }
    let (count, last) = (row.count, row.last);
    let mut row = ActiveModel::from(row);
    if streamed {
        row.count = Set(count.saturating_add(new.count.cast_signed()));
        row.last = Set(last.max(new.last.as_nanos()));
    }
    if earlier {
        row.first = Set(new.first.as_nanos());
        row.boot = Set(new.event.map(|event| event.boot.to_string()));
        row.seq = Set(new.event.map(|event| event.seq.cast_signed()));
        row.field = Set(new.field.to_string());
        row.place = Set(new.place.name().to_owned());
        row.process = Set(new.process.as_deref().map(cut));
    }
    Some(row)
}

/// What the indicator itself keeps: how often, when last, when and where first.
async fn note(
    tx: &impl ConnectionTrait,
    of: indicator::Model,
    new: &NewSighting,
    fresh: bool,
) -> Result<()> {
    let later = of.last_sighted.is_none_or(|last| last < new.last.as_nanos());
    let earlier = of.earliest.is_none_or(|first| first > new.first.as_nanos());
    if !fresh && !later && !earlier {
        return Ok(());
    }
    let sightings = of.sightings + i64::from(fresh);
    let mut row = indicator::ActiveModel::from(of);
    row.sightings = Set(sightings);
    if later {
        row.last_sighted = Set(Some(new.last.as_nanos()));
    }
    if earlier {
        row.earliest = Set(Some(new.first.as_nanos()));
        row.earliest_endpoint = Set(Some(new.endpoint.to_string()));
        row.earliest_place = Set(Some(new.place.name().to_owned()));
    }
    row.update(tx).await.map_err(database("note a sighting"))?;
    Ok(())
}

/// Stores sightings within the transaction of what they came with. Returns how many rows are new.
pub(crate) async fn insert(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    sightings: &[NewSighting],
) -> Result<u64> {
    let read = || database("read sightings");
    let mut fresh = 0;
    for new in sightings {
        let of = indicator::Entity::find()
            .filter(indicator::Column::Value.eq(&*new.indicator))
            .filter(indicator::Column::Kind.eq(new.kind as i32))
            .filter(indicator::Column::Source.eq(&*new.source));
        let Some(of) = of.one(tx).await.map_err(read())? else { continue };
        let known = Entity::find()
            .filter(Column::Indicator.eq(of.id))
            .filter(Column::Endpoint.eq(new.endpoint.to_string()))
            .filter(Column::Hour.eq(new.hour()))
            .filter(Column::Seen.eq(cut(&new.seen)));
        let known = known.one(tx).await.map_err(read())?;
        let mut is_new = false;
        match known {
            Some(row) => {
                if let Some(row) = grown(row, new) {
                    row.update(tx).await.map_err(database("store a sighting"))?;
                }
            }
            None if of.sightings.cast_unsigned() < SIGHTINGS_OF_INDICATOR => {
                Entity::insert(new_row(now, &of, new))
                    .exec_without_returning(tx)
                    .await
                    .map_err(database("store a sighting"))?;
                is_new = true;
            }
            None => {}
        }
        note(tx, of, new, is_new).await?;
        fresh += u64::from(is_new);
    }
    Ok(fresh)
}

impl Catalog {
    /// Stores sightings that came from no activity as it came; returns how many rows are new.
    pub async fn store_sightings(&self, now: Timestamp, sightings: &[NewSighting]) -> Result<u64> {
        if sightings.is_empty() {
            return Ok(0);
        }
        let tx = self.begin().await?;
        let fresh = insert(&tx, now, sightings).await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(fresh)
    }

    /// Sightings that match, those stored last first, at most `limit`.
    pub async fn sightings(
        &self,
        filter: &SightingFilter,
        limit: u64,
    ) -> Result<Vec<SightingRecord>> {
        let mut all = Condition::all();
        if let Some(indicator) = filter.indicator {
            all = all.add(Column::Indicator.eq(indicator));
        }
        if let Some(endpoint) = filter.endpoint {
            all = all.add(Column::Endpoint.eq(endpoint.to_string()));
        }
        if let Some(before) = filter.before {
            all = all.add(Column::Id.lt(before));
        }
        let rows = Entity::find().filter(all).order_by_desc(Column::Id).limit(limit);
        let rows = rows.all(&self.read).await.map_err(database("read sightings"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Forgets the oldest sightings beyond `keep`; returns how many.
    pub async fn prune_sightings(&self, keep: u64) -> Result<u64> {
        let count = Entity::find().count(&self.read).await.map_err(database("count sightings"))?;
        if count <= keep {
            return Ok(0);
        }
        let last: Option<i64> = Entity::find()
            .select_only()
            .column(Column::Id)
            .order_by_desc(Column::Id)
            .offset(keep)
            .into_tuple()
            .one(&self.read)
            .await
            .map_err(database("read sightings"))?;
        let Some(last) = last else { return Ok(0) };
        let gone = Entity::delete_many()
            .filter(Column::Id.lte(last))
            .exec(&self.write)
            .await
            .map_err(database("forget old sightings"))?;
        Ok(gone.rows_affected)
    }
}
