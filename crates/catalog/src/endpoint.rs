//! Endpoints, as they last described themselves.

use metsuke_event::coverage::Coverage;
use metsuke_event::{EndpointId, Timestamp};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, QueryOrder, Set};

use crate::audit::{Deed, append};
use crate::schema::endpoint::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Change, Result, database, from_json, from_text, to_json};

/// One endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointRecord {
    /// Identity.
    pub id: EndpointId,
    /// Host name.
    pub host: String,
    /// Operating system.
    pub os: Option<String>,
    /// Kernel.
    pub kernel: Option<String>,
    /// Version of the sensor.
    pub version: Option<String>,
    /// `host`, or a control group's path.
    pub scope: Option<String>,
    /// Policy in force there.
    pub policy_version: Option<String>,
    /// Content in force there.
    pub content_version: Option<String>,
    /// How much its clock is ahead, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// When it was last heard of.
    pub last_seen: Option<Timestamp>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Counters of its health by name, as the sensor sent them.
    pub health: serde_json::Map<String, serde_json::Value>,
    /// What it can see.
    pub coverage: Option<Coverage>,
}

/// What an endpoint said of itself; what is `None` stays as it was.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Host name.
    pub host: Option<String>,
    /// Operating system.
    pub os: Option<String>,
    /// Kernel.
    pub kernel: Option<String>,
    /// Version of the sensor.
    pub version: Option<String>,
    /// What it watches.
    pub scope: Option<String>,
    /// Policy in force there.
    pub policy_version: Option<String>,
    /// Content in force there.
    pub content_version: Option<String>,
    /// How much its clock is ahead, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// Its addresses.
    pub addresses: Option<Vec<String>>,
    /// Counters of its health.
    pub health: Option<serde_json::Map<String, serde_json::Value>>,
    /// What it can see.
    pub coverage: Option<Coverage>,
}

impl EndpointRecord {
    /// An endpoint of which only its name is known.
    pub fn new(id: EndpointId, host: &str, enrolled: Timestamp) -> Self {
        Self {
            id,
            host: host.to_owned(),
            os: None,
            kernel: None,
            version: None,
            scope: None,
            policy_version: None,
            content_version: None,
            clock_skew_ms: None,
            enrolled,
            last_seen: None,
            addresses: Vec::new(),
            health: serde_json::Map::new(),
            coverage: None,
        }
    }
}

impl TryFrom<Model> for EndpointRecord {
    type Error = CatalogError;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: from_text("endpoint", &row.id)?,
            host: row.host,
            os: row.os,
            kernel: row.kernel,
            version: row.version,
            scope: row.scope,
            policy_version: row.policy_version,
            content_version: row.content_version,
            clock_skew_ms: row.clock_skew_ms,
            enrolled: Timestamp::from_nanos(row.enrolled),
            last_seen: row.last_seen.map(Timestamp::from_nanos),
            addresses: from_json("endpoint", &row.addresses)?,
            health: from_json("endpoint", &row.health)?,
            coverage: row.coverage.map(|text| from_json("endpoint", &text)).transpose()?,
        })
    }
}

fn row(record: &EndpointRecord) -> Result<Model> {
    Ok(Model {
        id: record.id.to_string(),
        host: record.host.clone(),
        os: record.os.clone(),
        kernel: record.kernel.clone(),
        version: record.version.clone(),
        scope: record.scope.clone(),
        policy_version: record.policy_version.clone(),
        content_version: record.content_version.clone(),
        clock_skew_ms: record.clock_skew_ms,
        enrolled: record.enrolled.as_nanos(),
        last_seen: record.last_seen.map(Timestamp::as_nanos),
        addresses: to_json("endpoint", &record.addresses)?,
        health: to_json("endpoint", &record.health)?,
        coverage: record.coverage.as_ref().map(|c| to_json("endpoint", c)).transpose()?,
    })
}

pub(crate) async fn insert(tx: &impl ConnectionTrait, record: &EndpointRecord) -> Result<()> {
    Entity::insert(ActiveModel::from(row(record)?).reset_all())
        .exec_without_returning(tx)
        .await
        .map_err(database("store an endpoint"))?;
    Ok(())
}

impl Catalog {
    /// Every endpoint, by host name.
    pub async fn endpoints(&self) -> Result<Vec<EndpointRecord>> {
        let rows = Entity::find()
            .order_by_asc(Column::Host)
            .order_by_asc(Column::Id)
            .all(&self.read)
            .await;
        rows.map_err(database("read endpoints"))?.into_iter().map(TryInto::try_into).collect()
    }

    /// One endpoint.
    pub async fn endpoint(&self, id: EndpointId) -> Result<Option<EndpointRecord>> {
        let row = Entity::find_by_id(id.to_string()).one(&self.read).await;
        row.map_err(database("read endpoints"))?.map(TryInto::try_into).transpose()
    }

    /// Removes an endpoint, so that its sensor is a stranger at its next word. What it reported
    /// stays, but for its inventory, which nobody keeps up to date any more, and its health.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it is not enrolled.
    pub async fn remove_endpoint(&self, now: Timestamp, actor: &str, id: EndpointId) -> Result<()> {
        let tx = self.begin().await?;
        let target = id.to_string();
        let row = Entity::find_by_id(&target).one(&tx).await;
        let row = row.map_err(database("read endpoints"))?;
        let host = row.ok_or(CatalogError::NotFound("endpoint"))?.host;
        let removed = Entity::delete_by_id(&target).exec(&tx).await;
        removed.map_err(database("remove an endpoint"))?;
        crate::inventory::remove(&tx, id).await?;
        crate::health::remove(&tx, id).await?;
        let deed = Deed { actor, action: "endpoint.remove", target: &target, detail: &host };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Endpoint(id));
        Ok(())
    }

    /// Stores what the endpoint said of itself at `now`.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when it is not enrolled.
    pub async fn update_endpoint(
        &self,
        now: Timestamp,
        id: EndpointId,
        change: EndpointChange,
    ) -> Result<EndpointRecord> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(id.to_string()).one(&tx).await;
        let row = row.map_err(database("read endpoints"))?;
        let mut row: ActiveModel = row.ok_or(CatalogError::NotFound("endpoint"))?.into();
        row.last_seen = Set(Some(now.as_nanos()));
        if let Some(host) = change.host {
            row.host = Set(host);
        }
        if let Some(addresses) = change.addresses {
            row.addresses = Set(to_json("endpoint", &addresses)?);
        }
        if let Some(health) = change.health {
            crate::health::note(&tx, now, id, &health).await?;
            row.health = Set(to_json("endpoint", &health)?);
        }
        if let Some(coverage) = change.coverage {
            row.coverage = Set(Some(to_json("endpoint", &coverage)?));
        }
        if let Some(skew) = change.clock_skew_ms {
            row.clock_skew_ms = Set(Some(skew));
        }
        let texts = [
            (&mut row.os, change.os),
            (&mut row.kernel, change.kernel),
            (&mut row.version, change.version),
            (&mut row.scope, change.scope),
            (&mut row.policy_version, change.policy_version),
            (&mut row.content_version, change.content_version),
        ];
        for (column, text) in texts {
            if text.is_some() {
                *column = Set(text);
            }
        }
        let row = row.update(&tx).await.map_err(database("store an endpoint"))?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Endpoint(id));
        row.try_into()
    }
}
