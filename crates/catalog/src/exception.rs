//! Exceptions: what is collected and not alerted, with reason, owner and expiry.

use metsuke_event::{EndpointId, Timestamp};
use sea_orm::{EntityTrait, QueryOrder, Set};

use crate::audit::{Deed, append};
use crate::schema::content::exception::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Result, database, from_json, to_json};

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// Identity.
    pub id: String,
    /// Title, for people.
    pub title: String,
    /// Ids of the detections it is about; empty: every one.
    pub detections: Vec<String>,
    /// Groups it holds for.
    pub groups: Vec<String>,
    /// Endpoints it holds on; with no group either: everywhere.
    pub endpoints: Vec<EndpointId>,
    /// What the activity must be like, as a selection of Sigma; empty: whatever.
    pub condition: String,
    /// Why.
    pub reason: String,
    /// Whose it is.
    pub owner: String,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it hides nothing more.
    pub expires: Timestamp,
    /// How many hits it hid.
    pub hidden: u64,
    /// Time of the last of them.
    pub last: Option<Timestamp>,
}

impl TryFrom<Model> for ExceptionRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            title: row.title,
            detections: from_json("exception", &row.detections)?,
            groups: from_json("exception", &row.groups)?,
            endpoints: from_json("exception", &row.endpoints)?,
            condition: row.condition,
            reason: row.reason,
            owner: row.owner,
            created: Timestamp::from_nanos(row.created),
            expires: Timestamp::from_nanos(row.expires),
            hidden: row.hidden.cast_unsigned(),
            last: row.last.map(Timestamp::from_nanos),
        })
    }
}

fn row(record: &ExceptionRecord) -> Result<ActiveModel> {
    Ok(ActiveModel {
        id: Set(record.id.clone()),
        title: Set(record.title.clone()),
        detections: Set(to_json("exception", &record.detections)?),
        groups: Set(to_json("exception", &record.groups)?),
        endpoints: Set(to_json("exception", &record.endpoints)?),
        condition: Set(record.condition.clone()),
        reason: Set(record.reason.clone()),
        owner: Set(record.owner.clone()),
        created: Set(record.created.as_nanos()),
        expires: Set(record.expires.as_nanos()),
        hidden: Set(record.hidden.cast_signed()),
        last: Set(record.last.map(Timestamp::as_nanos)),
    })
}

/// What the audit log keeps of an exception: all that it says.
fn told(record: &ExceptionRecord) -> String {
    format!(
        "{}: detections {:?}, groups {:?}, endpoints {}, condition {:?}, until {}, hid {}: {}",
        record.title,
        record.detections,
        record.groups,
        record.endpoints.len(),
        record.condition,
        record.expires,
        record.hidden,
        record.reason
    )
}

impl Catalog {
    /// Every exception, the newest first.
    pub async fn exceptions(&self) -> Result<Vec<ExceptionRecord>> {
        let rows = Entity::find()
            .order_by_desc(Column::Created)
            .order_by_asc(Column::Id)
            .all(&self.read)
            .await;
        rows.map_err(database("read exceptions"))?.into_iter().map(TryInto::try_into).collect()
    }

    /// Stores a new exception.
    pub async fn create_exception(&self, record: &ExceptionRecord) -> Result<()> {
        let tx = self.begin().await?;
        Entity::insert(row(record)?)
            .exec_without_returning(&tx)
            .await
            .map_err(database("store an exception"))?;
        let detail = told(record);
        let deed = Deed {
            actor: &record.owner,
            action: "exception.create",
            target: &record.id,
            detail: &detail,
        };
        append(&tx, record.created, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }

    /// Removes an exception; the audit log keeps what it said.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it is not there.
    pub async fn remove_exception(&self, now: Timestamp, actor: &str, id: &str) -> Result<()> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(id).one(&tx).await.map_err(database("read exceptions"))?;
        let row = row.ok_or(CatalogError::NotFound("exception"))?;
        let detail = told(&ExceptionRecord::try_from(row)?);
        Entity::delete_by_id(id).exec(&tx).await.map_err(database("remove an exception"))?;
        let deed = Deed { actor, action: "exception.remove", target: id, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }
}
