//! The site's own detections and those it imported: documents beside what ships.

use metsuke_event::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, QueryOrder, Set};

use crate::audit::{Deed, append};
use crate::schema::content::document::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Result, database};

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentOrigin {
    /// Written here.
    Own,
    /// Taken from a set of others.
    Imported,
}

impl DocumentOrigin {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Imported => "imported",
        }
    }

    fn read(name: &str) -> Result<Self> {
        match name {
            "own" => Ok(Self::Own),
            "imported" => Ok(Self::Imported),
            other => {
                Err(CatalogError::Corrupt { what: "document", detail: format!("origin {other}") })
            }
        }
    }
}

/// One document of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRecord {
    /// The id of its detection.
    pub id: String,
    /// Where it comes from.
    pub origin: DocumentOrigin,
    /// Its path, for people.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Who wrote it, of one that was imported.
    pub author: Option<String>,
    /// Under which licence, of one that was imported.
    pub licence: Option<String>,
    /// Who put it here last.
    pub actor: String,
    /// When it was first put here.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl TryFrom<Model> for DocumentRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            origin: DocumentOrigin::read(&row.origin)?,
            id: row.id,
            path: row.path,
            text: row.text,
            author: row.author,
            licence: row.licence,
            actor: row.actor,
            created: Timestamp::from_nanos(row.created),
            updated: Timestamp::from_nanos(row.updated),
        })
    }
}

impl Catalog {
    /// Every document of the site, by id.
    pub async fn documents(&self) -> Result<Vec<DocumentRecord>> {
        let rows = Entity::find().order_by_asc(Column::Id).all(&self.read).await;
        rows.map_err(database("read documents"))?.into_iter().map(TryInto::try_into).collect()
    }

    /// Stores documents, new or in place of those of the same id, all or none.
    pub async fn put_documents(&self, actor: &str, documents: &[DocumentRecord]) -> Result<()> {
        let tx = self.begin().await?;
        for record in documents {
            let row = ActiveModel {
                id: Set(record.id.clone()),
                origin: Set(record.origin.name().to_owned()),
                path: Set(record.path.clone()),
                text: Set(record.text.clone()),
                author: Set(record.author.clone()),
                licence: Set(record.licence.clone()),
                actor: Set(actor.to_owned()),
                created: Set(record.created.as_nanos()),
                updated: Set(record.updated.as_nanos()),
            };
            let columns = [
                Column::Origin,
                Column::Path,
                Column::Text,
                Column::Author,
                Column::Licence,
                Column::Actor,
                Column::Updated,
            ];
            let replace = OnConflict::column(Column::Id).update_columns(columns).to_owned();
            Entity::insert(row)
                .on_conflict(replace)
                .exec_without_returning(&tx)
                .await
                .map_err(database("store a document"))?;
            let hash = crate::hashed(&record.text);
            let detail = format!("{}, SHA-256 {hash}", record.origin.name());
            let deed = Deed { actor, action: "detection.put", target: &record.id, detail: &detail };
            append(&tx, record.updated, deed).await?;
        }
        tx.commit().await.map_err(database("commit"))
    }

    /// Removes the document of detection `id`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it is not there.
    pub async fn remove_document(&self, now: Timestamp, actor: &str, id: &str) -> Result<()> {
        let tx = self.begin().await?;
        let gone = Entity::delete_by_id(id).exec(&tx).await;
        if gone.map_err(database("remove a document"))?.rows_affected == 0 {
            return Err(CatalogError::NotFound("detection"));
        }
        let deed = Deed { actor, action: "detection.remove", target: id, detail: "" };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }
}
