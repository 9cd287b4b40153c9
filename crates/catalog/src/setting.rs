//! Settings: a few named texts the server keeps for itself.

use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, Set};

use crate::schema::setting::{ActiveModel, Column, Entity};
use crate::{Catalog, Result, database};

impl Catalog {
    /// The setting `name`.
    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let row = Entity::find_by_id(name).one(&self.read).await;
        Ok(row.map_err(database("read settings"))?.map(|row| row.value))
    }

    /// Stores the setting `name`.
    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let row = ActiveModel { name: Set(name.to_owned()), value: Set(value.to_owned()) };
        Entity::insert(row)
            .on_conflict(OnConflict::column(Column::Name).update_column(Column::Value).to_owned())
            .exec_without_returning(&self.write)
            .await
            .map_err(database("store a setting"))?;
        Ok(())
    }
}
