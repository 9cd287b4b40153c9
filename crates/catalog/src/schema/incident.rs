//! Tables of incidents and recordings. Which alert is in which incident is computed, not stored: only
//! what people changed by hand is.

use sea_orm::ConnectionTrait;

use super::{create_table, index};
use crate::{Result, database};

table!(edit, "incident_edits", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub time: i64,
    pub actor: String,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    pub undone: Option<i64>,
    pub undone_by: Option<String>,
});

table!(recording, "recordings", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub actor: String,
    pub created: i64,
    pub state: String,
    pub events: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub report: Option<String>,
});

table!(recorded_endpoint, "recorded_endpoints", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    pub recording: String,
    pub host: String,
});

table!(reach, "incident_reach", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub value: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub since: i64,
    pub fleet: i64,
    pub had_before: i64,
    pub had_during: i64,
    pub has_history: bool,
    pub asked: i64,
});

/// Creates the table of how common values are, which came later.
pub(crate) async fn create_reach(db: &impl ConnectionTrait) -> Result<()> {
    create_table(reach::Entity, db).await?;
    let by_since = index("reach_by_since", reach::Entity, &["since"]);
    db.execute(&by_since).await.map_err(database("create its indexes"))?;
    Ok(())
}

/// Creates them.
pub(crate) async fn create(db: &impl ConnectionTrait) -> Result<()> {
    create_table(edit::Entity, db).await?;
    create_table(recording::Entity, db).await?;
    create_table(recorded_endpoint::Entity, db).await?;
    let statements = [index("recorded_by_recording", recorded_endpoint::Entity, &["recording"])];
    for statement in statements {
        db.execute(&statement).await.map_err(database("create its indexes"))?;
    }
    Ok(())
}
