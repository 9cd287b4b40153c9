//! Tuning of detections, and the groups of endpoints it may hold for.

use std::collections::BTreeMap;

use metsuke_event::finding::Level;
use metsuke_event::{EndpointId, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, QueryOrder, Set};

use crate::audit::{Deed, append};
use crate::hit::read_level;
use crate::schema::content::{endpoint_group, tuning};
use crate::schema::setting;
use crate::{Catalog, CatalogError, Change, Result, database, from_json, from_text, to_json};

/// The group of endpoints that were not put into one.
pub const DEFAULT_GROUP: &str = "default";
/// The setting that says what hosts of groups are worth, as JSON.
const IMPORTANCE: &str = "importance_of_groups";
/// Longest name of a group, in bytes.
const MAX_GROUP_BYTES: usize = 64;

/// What a site says of one detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuningRecord {
    /// The detection.
    pub detection: String,
    /// For which group; `None`: everywhere.
    pub group: Option<String>,
    /// Whether it is in force; `None`: as it is without.
    pub enabled: Option<bool>,
    /// Its level; `None`: as it is without.
    pub level: Option<Level>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// When.
    pub time: Timestamp,
}

impl TryFrom<tuning::Model> for TuningRecord {
    type Error = CatalogError;

    fn try_from(row: tuning::Model) -> Result<Self> {
        Ok(Self {
            detection: row.detection,
            group: Some(row.scope).filter(|scope| !scope.is_empty()),
            enabled: row.enabled,
            level: row.level.map(read_level).transpose()?,
            reason: row.reason,
            actor: row.actor,
            time: Timestamp::from_nanos(row.time),
        })
    }
}

impl Catalog {
    /// All tuning, by detection; what holds everywhere comes before what holds for groups.
    pub async fn tunings(&self) -> Result<Vec<TuningRecord>> {
        let rows = tuning::Entity::find()
            .order_by_asc(tuning::Column::Detection)
            .order_by_asc(tuning::Column::Scope)
            .all(&self.read)
            .await;
        rows.map_err(database("read tuning"))?.into_iter().map(TryInto::try_into).collect()
    }

    /// Stores what is said of a detection in place of what was said of it for the same group; when
    /// nothing is said any more, it is forgotten.
    pub async fn tune(&self, record: &TuningRecord) -> Result<()> {
        let tx = self.begin().await?;
        let scope = record.group.clone().unwrap_or_default();
        if record.enabled.is_none() && record.level.is_none() {
            tuning::Entity::delete_by_id((record.detection.clone(), scope))
                .exec(&tx)
                .await
                .map_err(database("store tuning"))?;
        } else {
            let row = tuning::ActiveModel {
                detection: Set(record.detection.clone()),
                scope: Set(scope),
                enabled: Set(record.enabled),
                level: Set(record.level.map(|level| level as i32)),
                reason: Set(record.reason.clone()),
                actor: Set(record.actor.clone()),
                time: Set(record.time.as_nanos()),
            };
            let columns = [
                tuning::Column::Enabled,
                tuning::Column::Level,
                tuning::Column::Reason,
                tuning::Column::Actor,
                tuning::Column::Time,
            ];
            let key = [tuning::Column::Detection, tuning::Column::Scope];
            let replace = OnConflict::columns(key).update_columns(columns).to_owned();
            tuning::Entity::insert(row)
                .on_conflict(replace)
                .exec_without_returning(&tx)
                .await
                .map_err(database("store tuning"))?;
        }
        let where_to =
            record.group.as_deref().map_or("everywhere".to_owned(), |name| format!("group {name}"));
        let enabled = record.enabled.map_or("", |on| if on { ", enabled" } else { ", disabled" });
        let level = record.level.map(|level| format!(", level {level:?}").to_lowercase());
        let detail = format!("{where_to}{enabled}{}: {}", level.unwrap_or_default(), record.reason);
        let deed = Deed {
            actor: &record.actor,
            action: "detection.tune",
            target: &record.detection,
            detail: &detail,
        };
        append(&tx, record.time, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }

    /// The groups of endpoints that were put into one.
    pub async fn groups(&self) -> Result<BTreeMap<EndpointId, String>> {
        let rows = endpoint_group::Entity::find().all(&self.read).await;
        rows.map_err(database("read groups"))?
            .into_iter()
            .map(|row| Ok((from_text("group", &row.endpoint)?, row.name)))
            .collect()
    }

    /// What hosts are worth, by group.
    pub async fn importance(&self) -> Result<BTreeMap<String, f64>> {
        let text = self.setting(IMPORTANCE).await?;
        text.map_or(Ok(BTreeMap::new()), |text| from_json("importance", &text))
    }

    /// Stores what hosts are worth, of which `actor` changed that of one group.
    pub async fn set_importance(
        &self,
        now: Timestamp,
        actor: &str,
        (group, importance): (&str, f64),
        all: &BTreeMap<String, f64>,
    ) -> Result<()> {
        let value = to_json("importance", all)?;
        let tx = self.begin().await?;
        let row = setting::ActiveModel { name: Set(IMPORTANCE.to_owned()), value: Set(value) };
        let replace = OnConflict::column(setting::Column::Name)
            .update_column(setting::Column::Value)
            .to_owned();
        setting::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&tx)
            .await
            .map_err(database("store a group"))?;
        let detail = format!("importance {importance}");
        let deed = Deed { actor, action: "group.importance", target: group, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }

    /// Puts `endpoint` into the group `name`.
    ///
    /// # Errors
    /// When the endpoint is not enrolled, or the name is none.
    pub async fn set_group(
        &self,
        now: Timestamp,
        actor: &str,
        endpoint: EndpointId,
        name: &str,
    ) -> Result<()> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_GROUP_BYTES || !name.bytes().all(fine) {
            return Err(CatalogError::Invalid(format!(
                "a group's name is 1 to {MAX_GROUP_BYTES} letters, digits, `.`, `_` or `-`"
            )));
        }
        if self.endpoint(endpoint).await?.is_none() {
            return Err(CatalogError::NotFound("endpoint"));
        }
        let tx = self.begin().await?;
        let target = endpoint.to_string();
        let row = endpoint_group::ActiveModel {
            endpoint: Set(target.clone()),
            name: Set(name.to_owned()),
        };
        let replace = OnConflict::column(endpoint_group::Column::Endpoint)
            .update_column(endpoint_group::Column::Name)
            .to_owned();
        endpoint_group::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&tx)
            .await
            .map_err(database("store a group"))?;
        let deed = Deed { actor, action: "endpoint.group", target: &target, detail: name };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Endpoint(endpoint));
        Ok(())
    }
}
