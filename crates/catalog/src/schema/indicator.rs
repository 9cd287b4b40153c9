//! The tables of indicators: what is believed bad or known good, the documents it came in, and where
//! it was seen. Ten million rows are meant to be possible, so a row repeats nothing that its
//! document's row says, and every list that pages has an index to page by.

use sea_orm::ConnectionTrait;

use super::{create_table, index};
use crate::{Result, database};

table!(indicator, "indicators", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: i32,
    #[sea_orm(column_type = "Text")]
    pub value: String,
    pub source: String,
    pub list: String,
    pub confidence: Option<i32>,
    pub severity: i32,
    #[sea_orm(column_type = "Text")]
    pub labels: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub note: Option<String>,
    pub expires: Option<i64>,
    pub created: i64,
    pub updated: i64,
    pub first_import: i64,
    pub last_import: i64,
    pub place: Option<String>,
    pub sightings: i64,
    pub last_sighted: Option<i64>,
    pub earliest: Option<i64>,
    pub earliest_endpoint: Option<String>,
    pub earliest_place: Option<String>,
});

table!(import, "indicator_imports", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub source: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub document: Option<String>,
    pub format: String,
    pub list: String,
    pub actor: String,
    pub time: i64,
    pub total: i64,
    pub fresh: i64,
    pub known: i64,
    pub refused: i64,
    pub state: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    pub progress: i32,
    pub looked_from: Option<i64>,
    pub looked_to: Option<i64>,
    pub sightings: i64,
    pub hosts: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub incomplete: Option<String>,
});

table!(sighting, "sightings", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub indicator: i64,
    pub kind: i32,
    #[sea_orm(column_type = "Text")]
    pub value: String,
    pub source: String,
    pub list: String,
    pub endpoint: String,
    #[sea_orm(column_type = "Text")]
    pub seen: String,
    pub hour: i64,
    pub field: String,
    pub place: String,
    pub boot: Option<String>,
    pub seq: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub process: Option<String>,
    pub first: i64,
    pub last: i64,
    pub count: i64,
    pub stored: i64,
});

/// What the index of decided indicators is about; whoever asks it says so in these words.
pub(crate) const DECIDED: &str = "list <> 'watch'";

/// Creates them.
pub(super) async fn create(db: &impl ConnectionTrait) -> Result<()> {
    create_table(indicator::Entity, db).await?;
    create_table(import::Entity, db).await?;
    create_table(sighting::Entity, db).await?;
    let mut once = index("indicators_once", indicator::Entity, &["value", "kind", "source"]);
    once.unique();
    let mut seen_once =
        index("sightings_once", sighting::Entity, &["indicator", "endpoint", "hour", "seen"]);
    seen_once.unique();
    let statements = [
        once,
        index("indicators_by_source", indicator::Entity, &["source", "expires"]),
        index("indicators_by_import", indicator::Entity, &["last_import", "id"]),
        index("imports_by_source", import::Entity, &["source"]),
        seen_once,
        index("sightings_by_source", sighting::Entity, &["source"]),
    ];
    for statement in statements {
        db.execute(&statement).await.map_err(database("create its indexes"))?;
    }
    // What people decided is little beside what feeds say: it is found without them.
    let decided = format!(
        "CREATE INDEX IF NOT EXISTS indicators_decided ON indicators (list, id) WHERE {DECIDED}"
    );
    db.execute_unprepared(&decided).await.map_err(database("create its indexes"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, EntityTrait};

    use crate::Catalog;

    #[tokio::test]
    async fn a_catalog_from_before_gets_the_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let catalog = Catalog::open(&path).await.unwrap();
        let before = "DROP TABLE indicators; DROP TABLE indicator_imports; DROP TABLE sightings; \
                      DROP INDEX hits_by_exception; ALTER TABLE hits DROP COLUMN excepted; \
                      UPDATE settings SET value = '4' WHERE name = 'schema_version';";
        catalog.write.execute_unprepared(before).await.unwrap();
        catalog.close().await;
        let catalog = Catalog::open(&path).await.unwrap();
        assert_eq!(super::sighting::Entity::find().all(&catalog.read).await.unwrap(), []);
        assert_eq!(catalog.indicator_count().await.unwrap(), 0);
        assert_eq!(catalog.setting("schema_version").await.unwrap().as_deref(), Some("6"));
    }
}
