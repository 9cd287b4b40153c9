//! Documents that indicators came in, how they are taken in bulk, and how far the look back for them
//! has come.
//!
//! Invariant: taking the same indicators again changes no row's identity, so an import that broke off
//! is simply done again. Rows go in by chunks, each its own transaction: detection writes in between.

use std::collections::HashSet;

use metsuke_event::Timestamp;
use metsuke_intel::{Action, Indicator};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Set,
};

use super::{changed, labels_text, read_list};
use crate::audit::{Deed, append};
use crate::schema::import::{ActiveModel, Column, Entity, Model};
use crate::schema::indicator_row as indicator;
use crate::schema::indicator_row::Column as C;
use crate::{Catalog, CatalogError, Result, database};

/// Rows per statement: 15 values each stay well below SQLite's 32,766 per statement.
const INSERT_CHUNK: usize = 1_000;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportState {
    /// Its indicators are being stored.
    Taking,
    /// They are looked for in history and inventories.
    Looking,
    /// Everything is done.
    Done,
    /// It broke off.
    Failed,
}

impl ImportState {
    const ALL: [Self; 4] = [Self::Taking, Self::Looking, Self::Done, Self::Failed];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taking => "taking",
            Self::Looking => "looking",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRecord {
    /// Its number.
    pub id: i64,
    /// Whose indicators they are.
    pub source: String,
    /// Its name; `None` for what was entered by hand.
    pub document: Option<String>,
    /// How it was read.
    pub format: String,
    /// The list where the document was silent.
    pub action: Action,
    /// Who brought it.
    pub actor: String,
    /// When.
    pub time: Timestamp,
    /// Indicators in it.
    pub total: u64,
    /// Those that were new.
    pub fresh: u64,
    /// Those that were known.
    pub known: u64,
    /// Values that were refused.
    pub refused: u64,
    /// How far it is.
    pub state: ImportState,
    /// Why it failed.
    pub error: Option<String>,
    /// What came of looking back.
    pub look: LookBack,
}

/// What came, and comes, of looking back for the indicators of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookBack {
    /// How much is done, in thousandths.
    pub progress: u16,
    /// From when on activities are looked at; `None` while there are none, or it has not begun.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
    /// Sightings found.
    pub sightings: u64,
    /// On how many hosts.
    pub hosts: u64,
    /// Why the answer is not whole.
    pub incomplete: Option<String>,
}

/// A document that comes.
#[derive(Clone, Debug)]
pub struct NewImport {
    /// Whose indicators they are.
    pub source: String,
    /// Its name; `None` for what is entered by hand.
    pub document: Option<String>,
    /// How it was read.
    pub format: String,
    /// The list where the document is silent.
    pub action: Action,
    /// Who brings it.
    pub actor: String,
    /// Indicators in it.
    pub total: u64,
    /// Values that were refused.
    pub refused: u64,
}

/// How many indicators were new, and how many known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// New ones.
    pub fresh: u64,
    /// Known ones.
    pub known: u64,
}

impl TryFrom<Model> for ImportRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        let state = ImportState::ALL.into_iter().find(|state| state.name() == row.state);
        let state = state.ok_or_else(|| CatalogError::Corrupt {
            what: "import",
            detail: format!("state {}", row.state),
        })?;
        Ok(Self {
            id: row.id,
            source: row.source,
            document: row.document,
            format: row.format,
            action: read_list(&row.list)?,
            actor: row.actor,
            time: Timestamp::from_nanos(row.time),
            total: row.total.cast_unsigned(),
            fresh: row.fresh.cast_unsigned(),
            known: row.known.cast_unsigned(),
            refused: row.refused.cast_unsigned(),
            state,
            error: row.error,
            look: LookBack {
                progress: u16::try_from(row.progress).unwrap_or(0),
                from: row.looked_from.map(Timestamp::from_nanos),
                to: row.looked_to.map(Timestamp::from_nanos),
                sightings: row.sightings.cast_unsigned(),
                hosts: row.hosts.cast_unsigned(),
                incomplete: row.incomplete,
            },
        })
    }
}

fn new_row(
    now: Timestamp,
    import: i64,
    one: &Indicator,
    note: Option<&str>,
) -> Result<indicator::ActiveModel> {
    let context = &one.context;
    Ok(indicator::ActiveModel {
        kind: Set(one.kind as i32),
        value: Set(one.value.to_string()),
        source: Set(context.source.to_string()),
        list: Set(context.action.list().to_owned()),
        confidence: Set(context.confidence.map(i32::from)),
        severity: Set(context.severity as i32),
        labels: Set(labels_text(&context.labels)?),
        note: Set(note.map(str::to_owned)),
        expires: Set(one.expires.map(Timestamp::as_nanos)),
        created: Set(now.as_nanos()),
        updated: Set(now.as_nanos()),
        first_import: Set(import),
        last_import: Set(import),
        place: Set(one.object.as_deref().map(str::to_owned)),
        sightings: Set(0),
        ..Default::default()
    })
}

/// Which of `chunk` the catalog knows.
async fn known(
    tx: &impl ConnectionTrait,
    chunk: &[&Indicator],
) -> Result<HashSet<(i32, String, String)>> {
    let values = chunk.iter().map(|one| &*one.value);
    let found: Vec<(i32, String, String)> = indicator::Entity::find()
        .filter(indicator::Column::Value.is_in(values))
        .select_only()
        .columns([indicator::Column::Kind, indicator::Column::Value, indicator::Column::Source])
        .into_tuple()
        .all(tx)
        .await
        .map_err(database("read indicators"))?;
    Ok(found.into_iter().collect())
}

impl Catalog {
    /// Notes that a document is being taken, and logs it.
    pub async fn begin_import(&self, now: Timestamp, new: &NewImport) -> Result<i64> {
        let tx = self.begin().await?;
        let row = ActiveModel {
            source: Set(new.source.clone()),
            document: Set(new.document.clone()),
            format: Set(new.format.clone()),
            list: Set(new.action.list().to_owned()),
            actor: Set(new.actor.clone()),
            time: Set(now.as_nanos()),
            total: Set(new.total.cast_signed()),
            fresh: Set(0),
            known: Set(0),
            refused: Set(new.refused.cast_signed()),
            state: Set(ImportState::Taking.name().to_owned()),
            progress: Set(0),
            sightings: Set(0),
            hosts: Set(0),
            ..Default::default()
        };
        let row = row.insert(&tx).await.map_err(database("note an import"))?;
        let by_hand = new.document.is_none();
        let detail = format!(
            "{}, {} indicators ({}), {} values refused, list {}",
            new.document.as_deref().unwrap_or("by hand"),
            new.total,
            new.format,
            new.refused,
            new.action.list()
        );
        let action = if by_hand { "indicator.create" } else { "indicators.import" };
        append(&tx, now, Deed { actor: &new.actor, action, target: &new.source, detail: &detail })
            .await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(row.id)
    }

    /// Stores indicators of an import; of those that are known what the document says now holds, and
    /// a note of people stays. Give some thousands at once.
    pub async fn add_indicators(
        &self,
        now: Timestamp,
        import: i64,
        indicators: &[Indicator],
        note: Option<&str>,
    ) -> Result<Added> {
        let mut added = Added::default();
        for chunk in indicators.chunks(INSERT_CHUNK) {
            // The same said twice in one chunk is one row.
            let mut seen = HashSet::new();
            let chunk: Vec<&Indicator> = chunk
                .iter()
                .filter(|one| seen.insert((one.kind, &one.value, &one.context.source)))
                .collect();
            let tx = self.begin().await?;
            let known = known(&tx, &chunk).await?;
            let is_known = |one: &&&Indicator| {
                let source = one.context.source.to_string();
                known.contains(&(one.kind as i32, one.value.to_string(), source))
            };
            let count = chunk.iter().filter(is_known).count() as u64;
            let rows = chunk.iter().map(|one| new_row(now, import, one, note));
            let rows = rows.collect::<Result<Vec<_>>>()?;
            let said_anew = OnConflict::columns([C::Value, C::Kind, C::Source])
                .update_columns([
                    C::List,
                    C::Confidence,
                    C::Severity,
                    C::Labels,
                    C::Expires,
                    C::Updated,
                    C::LastImport,
                    C::Place,
                ])
                .to_owned();
            indicator::Entity::insert_many(rows)
                .on_conflict(said_anew)
                .exec_without_returning(&tx)
                .await
                .map_err(database("store indicators"))?;
            changed(&tx).await?;
            tx.commit().await.map_err(database("commit"))?;
            added.known += count;
            added.fresh += chunk.len() as u64 - count;
        }
        Ok(added)
    }

    async fn change_import(
        &self,
        id: i64,
        change: impl FnOnce(&mut ActiveModel) + Send,
    ) -> Result<()> {
        let row =
            Entity::find_by_id(id).one(&self.write).await.map_err(database("read imports"))?;
        let mut row = row.ok_or(CatalogError::NotFound("import"))?.into_active_model();
        change(&mut row);
        row.update(&self.write).await.map_err(database("note an import"))?;
        Ok(())
    }

    /// Notes that the indicators of an import are stored: now they are looked for.
    pub async fn import_taken(&self, id: i64, added: Added) -> Result<()> {
        self.change_import(id, |row| {
            row.fresh = Set(added.fresh.cast_signed());
            row.known = Set(added.known.cast_signed());
            row.state = Set(ImportState::Looking.name().to_owned());
        })
        .await
    }

    /// Notes how far the look back of an import has come; `end` ends it, well or with what went wrong.
    pub async fn import_looked(
        &self,
        id: i64,
        look: LookBack,
        end: Option<std::result::Result<(), String>>,
    ) -> Result<()> {
        self.change_import(id, |row| {
            row.progress = Set(look.progress.into());
            row.looked_from = Set(look.from.map(Timestamp::as_nanos));
            row.looked_to = Set(look.to.map(Timestamp::as_nanos));
            row.sightings = Set(look.sightings.cast_signed());
            row.hosts = Set(look.hosts.cast_signed());
            row.incomplete = Set(look.incomplete);
            match end {
                None => {}
                Some(Ok(())) => row.state = Set(ImportState::Done.name().to_owned()),
                Some(Err(why)) => {
                    row.state = Set(ImportState::Failed.name().to_owned());
                    row.error = Set(Some(why));
                }
            }
        })
        .await
    }

    /// The import `id`.
    pub async fn import(&self, id: i64) -> Result<Option<ImportRecord>> {
        let row = Entity::find_by_id(id).one(&self.read).await;
        row.map_err(database("read imports"))?.map(TryInto::try_into).transpose()
    }

    /// Imports that have not ended, oldest first: a server that was stopped goes on with them.
    pub async fn open_imports(&self) -> Result<Vec<ImportRecord>> {
        let open = [ImportState::Taking, ImportState::Looking].map(ImportState::name);
        let rows = Entity::find().filter(Column::State.is_in(open)).order_by_asc(Column::Id);
        let rows = rows.all(&self.read).await.map_err(database("read imports"))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Notes that an import broke off before its indicators were stored.
    pub async fn import_failed(&self, id: i64, why: &str) -> Result<()> {
        self.change_import(id, |row| {
            row.state = Set(ImportState::Failed.name().to_owned());
            row.error = Set(Some(why.to_owned()));
        })
        .await
    }
}
