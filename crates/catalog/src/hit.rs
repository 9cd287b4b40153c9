//! Hits: what filters and rules found, one row per detection and activity.

use std::collections::BTreeSet;

use metsuke_event::finding::{DetectionRef, Hit, Layer, Level};
use metsuke_event::{EndpointId, EventId, Timestamp};
use sea_orm::sea_query::{LikeExpr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::schema::hit::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Result, database, from_json, from_text, to_json};

/// Rows per statement: 14 values each stay well below SQLite's 32,766 per statement.
const INSERT_CHUNK: usize = 500;

/// One stored hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitRecord {
    /// Grows with every hit; a cursor.
    pub id: i64,
    /// The hit.
    pub hit: Hit,
}

/// Which hits.
#[derive(Clone, Debug, Default)]
pub struct HitFilter {
    /// ATT&CK technique, sub-techniques included.
    pub technique: Option<String>,
    /// Endpoint and storyline.
    pub storyline: Option<(EndpointId, String)>,
    /// Endpoint and processes.
    pub processes: Option<(EndpointId, Vec<String>)>,
    /// The detection.
    pub detection: Option<String>,
    /// Only those an exception hid, or that none did.
    pub excepted: Option<bool>,
    /// When the activities happened: from, and before.
    pub range: Option<(Timestamp, Timestamp)>,
    /// Only hits before this cursor.
    pub before: Option<i64>,
}

/// Hits of one detection on one endpoint, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitGroup {
    /// The detection.
    pub detection: DetectionRef,
    /// The endpoint.
    pub endpoint: String,
    /// How many.
    pub count: u64,
    /// The last of them.
    pub last: Timestamp,
}

const fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Filter => "filter",
        Layer::Rule => "rule",
        Layer::Model => "model",
    }
}

fn read_layer(name: &str) -> Result<Layer> {
    match name {
        "filter" => Ok(Layer::Filter),
        "rule" => Ok(Layer::Rule),
        "model" => Ok(Layer::Model),
        other => Err(CatalogError::Corrupt { what: "hit", detail: format!("layer {other}") }),
    }
}

pub(crate) fn read_level(number: i32) -> Result<Level> {
    [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical]
        .into_iter()
        .find(|level| *level as i32 == number)
        .ok_or_else(|| CatalogError::Corrupt { what: "hit", detail: format!("level {number}") })
}

fn row(hit: &Hit) -> Result<ActiveModel> {
    Ok(ActiveModel {
        detection_id: Set(hit.detection.id.clone()),
        title: Set(hit.detection.title.clone()),
        layer: Set(layer_name(hit.detection.layer).to_owned()),
        level: Set(hit.detection.level as i32),
        techniques: Set(to_json("hit", &hit.detection.techniques)?),
        tactics: Set(to_json("hit", &hit.detection.tactics)?),
        endpoint: Set(hit.event.endpoint.to_string()),
        boot: Set(hit.event.boot.to_string()),
        seq: Set(hit.event.seq.cast_signed()),
        time: Set(hit.time.as_nanos()),
        process: Set(hit.process.clone()),
        storyline: Set(hit.storyline.clone()),
        matched: Set(to_json("hit", &hit.matched)?),
        excepted: Set(hit.excepted.clone()),
        ..Default::default()
    })
}

impl TryFrom<Model> for HitRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            hit: Hit {
                detection: DetectionRef {
                    id: row.detection_id,
                    title: row.title,
                    layer: read_layer(&row.layer)?,
                    level: read_level(row.level)?,
                    techniques: from_json("hit", &row.techniques)?,
                    tactics: from_json("hit", &row.tactics)?,
                },
                event: EventId {
                    endpoint: from_text("hit", &row.endpoint)?,
                    boot: from_text("hit", &row.boot)?,
                    seq: row.seq.cast_unsigned(),
                    ..EventId::default()
                },
                time: Timestamp::from_nanos(row.time),
                process: row.process,
                storyline: row.storyline,
                matched: from_json("hit", &row.matched)?,
                excepted: row.excepted,
            },
        })
    }
}

/// Those of `hits` that are not stored yet, each detection and activity once.
async fn new(tx: &impl ConnectionTrait, hits: &[Hit]) -> Result<Vec<Hit>> {
    let mut known: BTreeSet<(String, EventId)> = BTreeSet::new();
    let mut new = Vec::new();
    for hit in hits {
        if !known.insert((hit.detection.id.clone(), hit.event)) {
            continue;
        }
        let stored = Entity::find()
            .filter(Column::DetectionId.eq(hit.detection.id.as_str()))
            .filter(Column::Endpoint.eq(hit.event.endpoint.to_string()))
            .filter(Column::Boot.eq(hit.event.boot.to_string()))
            .filter(Column::Seq.eq(hit.event.seq.cast_signed()))
            .count(tx)
            .await
            .map_err(database("read hits"))?;
        if stored == 0 {
            new.push(hit.clone());
        }
    }
    Ok(new)
}

/// Stores hits, and counts those on endpoints that are `live`: what was recorded elsewhere says nothing
/// of how a detection does here. Those that are there already are neither stored nor counted again.
pub(crate) async fn insert(
    tx: &impl ConnectionTrait,
    hits: &[Hit],
    live: impl Fn(EndpointId) -> bool,
) -> Result<()> {
    let mut hits = new(tx, hits).await?;
    for chunk in hits.chunks(INSERT_CHUNK) {
        let rows = chunk.iter().map(row).collect::<Result<Vec<_>>>()?;
        let key = [Column::DetectionId, Column::Endpoint, Column::Boot, Column::Seq];
        Entity::insert_many(rows)
            .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
            .try_insert()
            .exec_without_returning(tx)
            .await
            .map_err(database("store hits"))?;
    }
    hits.retain(|hit| live(hit.event.endpoint));
    crate::count::count_hits(tx, &hits).await
}

impl Catalog {
    /// Hits that match, newest first, at most `limit`.
    pub async fn hits(&self, filter: &HitFilter, limit: u64) -> Result<Vec<HitRecord>> {
        let mut all = Condition::all();
        if let Some(technique) = &filter.technique {
            let plain: String =
                technique.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
            let exactly = Column::Techniques.like(LikeExpr::new(format!("%\"{plain}\"%")));
            let below = Column::Techniques.like(LikeExpr::new(format!("%\"{plain}.%")));
            all = all.add(Condition::any().add(exactly).add(below));
        }
        if let Some((endpoint, storyline)) = &filter.storyline {
            all = all.add(Column::Endpoint.eq(endpoint.to_string()));
            all = all.add(Column::Storyline.eq(storyline.as_str()));
        }
        if let Some((endpoint, processes)) = &filter.processes {
            all = all.add(Column::Endpoint.eq(endpoint.to_string()));
            all = all.add(Column::Process.is_in(processes.iter().map(String::as_str)));
        }
        if let Some(detection) = &filter.detection {
            all = all.add(Column::DetectionId.eq(detection.as_str()));
        }
        all = match filter.excepted {
            Some(true) => all.add(Column::Excepted.is_not_null()),
            Some(false) => all.add(Column::Excepted.is_null()),
            None => all,
        };
        if let Some((from, to)) = filter.range {
            all = all.add(Column::Time.gte(from.as_nanos())).add(Column::Time.lt(to.as_nanos()));
        }
        if let Some(before) = filter.before {
            all = all.add(Column::Id.lt(before));
        }
        let rows = Entity::find()
            .filter(all)
            .order_by_desc(Column::Id)
            .limit(limit)
            .all(&self.read)
            .await
            .map_err(database("read hits"))?;
        rows.into_iter().map(HitRecord::try_from).collect()
    }

    /// Hits in `[from, to)` that no exception hid, counted by detection and endpoint.
    pub async fn hit_groups(&self, from: Timestamp, to: Timestamp) -> Result<Vec<HitGroup>> {
        type Row = (String, String, String, i32, String, String, String, i64, i64);
        let rows: Vec<Row> = Entity::find()
            .filter(Column::Time.gte(from.as_nanos()))
            .filter(Column::Time.lt(to.as_nanos()))
            .filter(Column::Excepted.is_null())
            .select_only()
            .columns([
                Column::DetectionId,
                Column::Title,
                Column::Layer,
                Column::Level,
                Column::Techniques,
                Column::Tactics,
                Column::Endpoint,
            ])
            .column_as(Column::Id.count(), "count")
            .column_as(Column::Time.max(), "last")
            .group_by(Column::DetectionId)
            .group_by(Column::Title)
            .group_by(Column::Layer)
            .group_by(Column::Level)
            .group_by(Column::Techniques)
            .group_by(Column::Tactics)
            .group_by(Column::Endpoint)
            .into_tuple()
            .all(&self.read)
            .await
            .map_err(database("count hits"))?;
        rows.into_iter()
            .map(|(id, title, layer, level, techniques, tactics, endpoint, count, last)| {
                Ok(HitGroup {
                    detection: DetectionRef {
                        id,
                        title,
                        layer: read_layer(&layer)?,
                        level: read_level(level)?,
                        techniques: from_json("hit", &techniques)?,
                        tactics: from_json("hit", &tactics)?,
                    },
                    endpoint,
                    count: count.cast_unsigned(),
                    last: Timestamp::from_nanos(last),
                })
            })
            .collect()
    }

    /// Forgets the oldest hits beyond `keep`; returns how many.
    pub async fn prune_hits(&self, keep: u64) -> Result<u64> {
        let count = Entity::find().count(&self.read).await.map_err(database("count hits"))?;
        if count <= keep {
            return Ok(0);
        }
        let first_kept = Entity::find()
            .order_by_desc(Column::Id)
            .offset(keep)
            .one(&self.read)
            .await
            .map_err(database("read hits"))?;
        let Some(row) = first_kept else {
            return Ok(0);
        };
        let gone = Entity::delete_many()
            .filter(Column::Id.lte(row.id))
            .exec(&self.write)
            .await
            .map_err(database("forget old hits"))?;
        Ok(gone.rows_affected)
    }
}
