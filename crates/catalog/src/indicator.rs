//! Indicators as rows: one for each value of a kind that a source speaks of.
//!
//! The rows are the truth; what values are looked up in is made from them. Invariant: whatever changes
//! an indicator moves [`Catalog::indicator_serial`] on in the same transaction, so that a snapshot of
//! an older state is known as such. Leaves to others: documents ([`crate::ImportRecord`]), sightings
//! ([`crate::SightingRecord`]), matching (`intel`).

use std::sync::Arc;

use metsuke_event::{EndpointId, Text, Timestamp};
use metsuke_intel::{Action, Context, Indicator, Kind, Severity};
use sea_orm::sea_query::{Expr, LikeExpr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::audit::{Deed, append};
use crate::schema::indicator_row::{ActiveModel, Column, Entity, Model};
use crate::schema::setting;
use crate::sighting::Place;
use crate::{Catalog, CatalogError, Result, database, from_json, from_text, to_json};

mod decided;
mod import;
mod source;

pub use import::{Added, ImportRecord, ImportState, LookBack, NewImport};
pub use source::SourceRecord;

/// The setting that counts changes of indicators.
const SERIAL: &str = "indicator_serial";
/// Longest note, in bytes.
const MAX_NOTE_BYTES: usize = 4_096;

/// Where something was seen first, of all sightings that were ever stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earliest {
    /// When.
    pub time: Timestamp,
    /// On which endpoint.
    pub endpoint: EndpointId,
    /// Where it was met.
    pub place: Place,
}

/// One indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorRecord {
    /// Grows with every indicator; a cursor.
    pub id: i64,
    /// What kind of value.
    pub kind: Kind,
    /// The value, canonical.
    pub value: String,
    /// Who says so.
    pub source: String,
    /// What is to be done: on which list it stands.
    pub action: Action,
    /// How sure the source is, 0 to 100; unset when it does not say.
    pub confidence: Option<u8>,
    /// How bad it is.
    pub severity: Severity,
    /// Words the source put to it.
    pub labels: Vec<Text>,
    /// What people here wrote to it.
    pub note: Option<String>,
    /// From when on it no longer holds.
    pub expires: Option<Timestamp>,
    /// When it first came.
    pub created: Timestamp,
    /// When it last came or was changed.
    pub updated: Timestamp,
    /// The document it first came in.
    pub first_import: i64,
    /// The document it last came in.
    pub last_import: i64,
    /// Where in that document.
    pub place: Option<String>,
    /// Sightings stored.
    pub sightings: u64,
    /// When it was last seen.
    pub last_sighted: Option<Timestamp>,
    /// When and where it was seen first.
    pub earliest: Option<Earliest>,
}

impl IndicatorRecord {
    /// Whether it no longer holds.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// As what is looked up.
    pub fn indicator(&self) -> Indicator {
        let context = Context {
            source: self.source.as_str().into(),
            document: None,
            confidence: self.confidence,
            severity: self.severity,
            labels: self.labels.clone(),
            action: self.action,
            owner: None,
        };
        Indicator {
            kind: self.kind,
            value: self.value.as_str().into(),
            context: Arc::new(context),
            object: self.place.as_deref().map(Text::from),
            first_seen: None,
            last_seen: None,
            expires: self.expires,
        }
    }
}

/// Which indicators.
#[derive(Clone, Debug, Default)]
pub struct IndicatorFilter {
    /// Kind.
    pub kind: Option<Kind>,
    /// The value, whole.
    pub value: Option<String>,
    /// Part of the value, in lower or upper case.
    pub part: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// List.
    pub action: Option<Action>,
    /// Those that hold at a time, or no longer do.
    pub expired: Option<(Timestamp, bool)>,
    /// The document they last came in.
    pub import: Option<i64>,
    /// Only those before this cursor.
    pub before: Option<i64>,
}

/// What people change of an indicator; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct IndicatorPatch {
    /// List.
    pub action: Option<Action>,
    /// Confidence.
    pub confidence: Option<u8>,
    /// End; `Some(None)` takes it away.
    pub expires: Option<Option<Timestamp>>,
    /// Note.
    pub note: Option<String>,
}

pub(crate) fn read_kind(number: i32) -> Result<Kind> {
    u8::try_from(number).ok().and_then(Kind::from_number).ok_or_else(|| CatalogError::Corrupt {
        what: "indicator",
        detail: format!("kind {number}"),
    })
}

pub(crate) fn read_list(name: &str) -> Result<Action> {
    Action::of_list(name)
        .ok_or_else(|| CatalogError::Corrupt { what: "indicator", detail: format!("list {name}") })
}

fn read_severity(number: i32) -> Result<Severity> {
    usize::try_from(number).ok().and_then(|index| Severity::ALL.get(index).copied()).ok_or_else(
        || CatalogError::Corrupt { what: "indicator", detail: format!("severity {number}") },
    )
}

impl TryFrom<Model> for IndicatorRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        let earliest = match (row.earliest, row.earliest_endpoint, row.earliest_place) {
            (Some(time), Some(endpoint), Some(place)) => Some(Earliest {
                time: Timestamp::from_nanos(time),
                endpoint: from_text("indicator", &endpoint)?,
                place: Place::read(&place)?,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            kind: read_kind(row.kind)?,
            value: row.value,
            source: row.source,
            action: read_list(&row.list)?,
            confidence: row.confidence.and_then(|number| u8::try_from(number).ok()),
            severity: read_severity(row.severity)?,
            labels: from_json("indicator", &row.labels)?,
            note: row.note,
            expires: row.expires.map(Timestamp::from_nanos),
            created: Timestamp::from_nanos(row.created),
            updated: Timestamp::from_nanos(row.updated),
            first_import: row.first_import,
            last_import: row.last_import,
            place: row.place,
            sightings: row.sightings.cast_unsigned(),
            last_sighted: row.last_sighted.map(Timestamp::from_nanos),
            earliest,
        })
    }
}

fn condition(filter: &IndicatorFilter) -> Condition {
    let mut all = Condition::all();
    if let Some(kind) = filter.kind {
        all = all.add(Column::Kind.eq(kind as i32));
    }
    if let Some(value) = &filter.value {
        all = all.add(Column::Value.eq(value.as_str()));
    }
    if let Some(part) = &filter.part {
        let part = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let like = LikeExpr::new(format!("%{part}%")).escape('\\');
        all = all.add(sea_orm::sea_query::ExprTrait::like(Expr::col(Column::Value), like));
    }
    if let Some(source) = &filter.source {
        all = all.add(Column::Source.eq(source.as_str()));
    }
    if let Some(action) = filter.action {
        all = all.add(Column::List.eq(action.list()));
    }
    if let Some(import) = filter.import {
        all = all.add(Column::LastImport.eq(import));
    }
    if let Some((now, expired)) = filter.expired {
        let over = Column::Expires.lte(now.as_nanos());
        all = all.add(if expired {
            Condition::all().add(over)
        } else {
            let later = Column::Expires.gt(now.as_nanos());
            Condition::any().add(Column::Expires.is_null()).add(later)
        });
    }
    if let Some(before) = filter.before {
        all = all.add(Column::Id.lt(before));
    }
    all
}

/// Moves the serial on: what was made of the indicators before is out of date.
pub(crate) async fn changed(tx: &impl ConnectionTrait) -> Result<()> {
    let row = setting::ActiveModel { name: Set(SERIAL.to_owned()), value: Set("1".to_owned()) };
    let more = Expr::cust("CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT)");
    let moved =
        OnConflict::column(setting::Column::Name).value(setting::Column::Value, more).to_owned();
    setting::Entity::insert(row)
        .on_conflict(moved)
        .exec_without_returning(tx)
        .await
        .map_err(database("count a change of indicators"))?;
    Ok(())
}

async fn row(tx: &impl ConnectionTrait, id: i64) -> Result<Model> {
    let found = Entity::find_by_id(id).one(tx).await.map_err(database("read indicators"))?;
    found.ok_or(CatalogError::NotFound("indicator"))
}

impl Catalog {
    /// Counts the changes of indicators there were.
    pub async fn indicator_serial(&self) -> Result<u64> {
        let serial = self.setting(SERIAL).await?;
        Ok(serial.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// How many indicators there are, those that no longer hold included.
    pub async fn indicator_count(&self) -> Result<u64> {
        Entity::find().count(&self.read).await.map_err(database("count indicators"))
    }

    /// Indicators that match, newest first, at most `limit`.
    pub async fn indicators(
        &self,
        filter: &IndicatorFilter,
        limit: u64,
    ) -> Result<Vec<IndicatorRecord>> {
        let rows = Entity::find().filter(condition(filter)).order_by_desc(Column::Id).limit(limit);
        let rows = rows.all(&self.read).await.map_err(database("read indicators"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Indicators that match and whose number is greater than `after`, the smallest first, at most
    /// `limit`: for whoever goes through all of them.
    pub async fn indicators_after(
        &self,
        filter: &IndicatorFilter,
        after: i64,
        limit: u64,
    ) -> Result<Vec<IndicatorRecord>> {
        let rows = Entity::find().filter(condition(filter)).filter(Column::Id.gt(after));
        let rows = rows.order_by_asc(Column::Id).limit(limit).all(&self.read).await;
        let rows = rows.map_err(database("read indicators"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The indicator `id`.
    pub async fn indicator(&self, id: i64) -> Result<Option<IndicatorRecord>> {
        let row = Entity::find_by_id(id).one(&self.read).await;
        row.map_err(database("read indicators"))?.map(TryInto::try_into).transpose()
    }

    /// Changes an indicator, and logs it. Returns it as it is then.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], or [`CatalogError::Invalid`] for a note that is too long.
    pub async fn change_indicator(
        &self,
        now: Timestamp,
        actor: &str,
        id: i64,
        patch: &IndicatorPatch,
    ) -> Result<IndicatorRecord> {
        if patch.note.as_ref().is_some_and(|note| note.len() > MAX_NOTE_BYTES) {
            return Err(CatalogError::Invalid(format!(
                "a note has at most {MAX_NOTE_BYTES} bytes"
            )));
        }
        let tx = self.begin().await?;
        let mut changed_row = ActiveModel::from(row(&tx, id).await?);
        let mut said = Vec::new();
        if let Some(action) = patch.action {
            changed_row.list = Set(action.list().to_owned());
            said.push(format!("list {}", action.list()));
        }
        if let Some(confidence) = patch.confidence {
            changed_row.confidence = Set(Some(confidence.into()));
            said.push(format!("confidence {confidence}"));
        }
        if let Some(expires) = patch.expires {
            changed_row.expires = Set(expires.map(Timestamp::as_nanos));
            said.push(expires.map_or("no end".to_owned(), |end| format!("until {end}")));
        }
        if let Some(note) = &patch.note {
            changed_row.note = Set(Some(note.clone()).filter(|note| !note.is_empty()));
            said.push("note".to_owned());
        }
        changed_row.updated = Set(now.as_nanos());
        let row = changed_row.update(&tx).await.map_err(database("change an indicator"))?;
        changed(&tx).await?;
        let detail = format!("{} of {}: {}", row.value, row.source, said.join(", "));
        let target = id.to_string();
        let deed = Deed { actor, action: "indicator.change", target: &target, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        row.try_into()
    }

    /// Removes an indicator, and logs it; its sightings stay. Returns what it was.
    pub async fn remove_indicator(
        &self,
        now: Timestamp,
        actor: &str,
        id: i64,
    ) -> Result<IndicatorRecord> {
        let tx = self.begin().await?;
        let row = row(&tx, id).await?;
        Entity::delete_by_id(id).exec(&tx).await.map_err(database("remove an indicator"))?;
        changed(&tx).await?;
        let detail = format!("{} of {}, list {}", row.value, row.source, row.list);
        let target = id.to_string();
        let deed = Deed { actor, action: "indicator.remove", target: &target, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        row.try_into()
    }

    /// What every source says of a value: the same value's indicators, oldest first.
    pub async fn indicators_of(&self, kind: Kind, value: &str) -> Result<Vec<IndicatorRecord>> {
        let filter = IndicatorFilter {
            kind: Some(kind),
            value: Some(value.to_owned()),
            ..IndicatorFilter::default()
        };
        self.indicators_after(&filter, 0, SOURCES_OF_VALUE).await
    }
}

/// Most sources told of one value.
const SOURCES_OF_VALUE: u64 = 100;

pub(crate) fn labels_text(labels: &[Text]) -> Result<String> {
    to_json("indicator", &labels)
}
