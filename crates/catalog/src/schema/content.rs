//! Tables of version 5: documents of the site, tuning, groups, exceptions, and counters of what
//! struck.

use sea_orm::sea_query::{Alias, ColumnDef, Expr, Query, Table};
use sea_orm::{ConnectionTrait, EntityTrait, ExprTrait, QueryOrder, QuerySelect};

use super::{alert, create_table, hit, index};
use crate::count::HOUR_NANOS;
use crate::{AlertRecord, Result, database};

/// Alerts read at once when the detections they stand on are noted.
const CHUNK: u64 = 200;

table!(document, "documents", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub origin: String,
    #[sea_orm(column_type = "Text")]
    pub path: String,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub author: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub licence: Option<String>,
    pub actor: String,
    pub created: i64,
    pub updated: i64,
});

table!(tuning, "detection_tuning", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub detection: String,
    /// Empty: everywhere.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    pub enabled: Option<bool>,
    pub level: Option<i32>,
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    pub actor: String,
    pub time: i64,
});

table!(endpoint_group, "endpoint_groups", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    pub name: String,
});

table!(exception, "exceptions", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub title: String,
    #[sea_orm(column_type = "Text")]
    pub detections: String,
    #[sea_orm(column_type = "Text")]
    pub groups: String,
    #[sea_orm(column_type = "Text")]
    pub endpoints: String,
    #[sea_orm(column_type = "Text")]
    pub condition: String,
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    pub owner: String,
    pub created: i64,
    pub expires: i64,
    pub hidden: i64,
    pub last: Option<i64>,
});

table!(hit_count, "hit_counts", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub detection: String,
    /// The exception that hid them; empty: none did.
    #[sea_orm(primary_key, auto_increment = false)]
    pub excepted: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
    pub hits: i64,
});

table!(hit_host, "hit_hosts", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub detection: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    pub hour: i64,
});

table!(alert_detection, "alert_detections", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub alert: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub detection: String,
    pub time: i64,
    pub finding: Option<String>,
});

/// The column that tables of hits from before version 5 do not have.
pub(crate) async fn hits_may_be_excepted(db: &impl ConnectionTrait) -> Result<()> {
    let mut column = ColumnDef::new(Alias::new("excepted"));
    column.string().null();
    let statement = Table::alter().table(hit::Entity).add_column(column).to_owned();
    db.execute(&statement).await.map_err(database("change its tables"))?;
    Ok(())
}

/// Creates the tables, and counts what is there already.
pub(crate) async fn create(db: &impl ConnectionTrait) -> Result<()> {
    create_table(document::Entity, db).await?;
    create_table(tuning::Entity, db).await?;
    create_table(endpoint_group::Entity, db).await?;
    create_table(exception::Entity, db).await?;
    create_table(hit_count::Entity, db).await?;
    create_table(hit_host::Entity, db).await?;
    create_table(alert_detection::Entity, db).await?;
    let statements = [
        index("hit_counts_by_hour", hit_count::Entity, &["hour"]),
        index("hit_hosts_by_hour", hit_host::Entity, &["hour"]),
        index("alert_detections_by_time", alert_detection::Entity, &["time"]),
        index("alert_detections_by_finding", alert_detection::Entity, &["finding"]),
        index("hits_by_exception", hit::Entity, &["excepted"]),
    ];
    for statement in statements {
        db.execute(&statement).await.map_err(database("create its indexes"))?;
    }
    count_hits(db).await?;
    note_alerts(db).await
}

/// The hour of a hit since 1970. Hits before 1970 do not happen, so dividing needs no care.
fn hour() -> Expr {
    Expr::col(hit::Column::Time).div(HOUR_NANOS)
}

async fn count_hits(db: &impl ConnectionTrait) -> Result<()> {
    let counts = Query::select()
        .column(hit::Column::DetectionId)
        .expr(Expr::val(""))
        .expr(hour())
        .expr(Expr::col(hit::Column::Id).count())
        .from(hit::Entity)
        .add_group_by([Expr::col(hit::Column::DetectionId), hour()])
        .to_owned();
    let hosts = Query::select()
        .columns([hit::Column::DetectionId, hit::Column::Endpoint])
        .expr(Expr::col(hit::Column::Time).max().div(HOUR_NANOS))
        .from(hit::Entity)
        .group_by_columns([hit::Column::DetectionId, hit::Column::Endpoint])
        .to_owned();
    let mut into_counts = Query::insert();
    into_counts.into_table(hit_count::Entity).columns([
        hit_count::Column::Detection,
        hit_count::Column::Excepted,
        hit_count::Column::Hour,
        hit_count::Column::Hits,
    ]);
    let mut into_hosts = Query::insert();
    into_hosts.into_table(hit_host::Entity).columns([
        hit_host::Column::Detection,
        hit_host::Column::Endpoint,
        hit_host::Column::Hour,
    ]);
    for (statement, rows) in [(&mut into_counts, counts), (&mut into_hosts, hosts)] {
        // It fails only when the columns are not as many as the values: they are.
        if statement.select_from(rows).is_ok() {
            db.execute(&*statement).await.map_err(database("count hits"))?;
        }
    }
    Ok(())
}

async fn note_alerts(db: &impl ConnectionTrait) -> Result<()> {
    let mut offset = 0;
    loop {
        let rows = alert::Entity::find()
            .order_by_asc(alert::Column::Id)
            .offset(offset)
            .limit(CHUNK)
            .all(db)
            .await
            .map_err(database("read alerts"))?;
        if rows.is_empty() {
            return Ok(());
        }
        offset += CHUNK;
        for row in rows {
            // One that cannot be read is said where it is shown.
            if let Ok(record) = AlertRecord::try_from(row) {
                crate::count::note_alert(db, &record).await?;
            }
        }
    }
}
