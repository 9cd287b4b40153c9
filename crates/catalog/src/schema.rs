//! The one schema, and its creation. Times are nanoseconds since the epoch, identities are text,
//! lists and documents are JSON text: the same on SQLite and PostgreSQL.
//!
//! Invariant: a version is never changed after a release; a new one adds a step to [`create`].

#![allow(
    unreachable_pub,
    missing_docs,
    reason = "the derive asks for public rows; what they mean stands at the records made of them"
)]

use sea_orm::sea_query::{Index, IndexCreateStatement, IntoIden};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, Schema, Set, TransactionTrait,
};

use crate::{CatalogError, Result, database};

/// The version this server writes.
const VERSION: i64 = 6;

macro_rules! table {
    ($module:ident, $table:literal, { $($fields:tt)* }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model { $($fields)* }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

pub(crate) mod indicator;
pub(crate) use indicator::{import, indicator as indicator_row, sighting};
pub(crate) mod content;
pub(crate) mod incident;

table!(setting, "settings", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub value: String,
});

table!(account, "accounts", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub role: String,
    pub password_hash: String,
    pub must_change: bool,
    pub created: i64,
});

table!(session, "sessions", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub account: String,
    pub csrf: String,
    pub created: i64,
    pub used: i64,
});

table!(api_token, "api_tokens", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub account: String,
    pub name: String,
    pub created: i64,
    pub expires: i64,
});

table!(enrolment_token, "enrolment_tokens", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub created: i64,
    pub expires: i64,
    pub used: Option<i64>,
    pub endpoint: Option<String>,
});

table!(endpoint, "endpoints", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub host: String,
    pub os: Option<String>,
    pub kernel: Option<String>,
    pub version: Option<String>,
    pub scope: Option<String>,
    pub policy_version: Option<String>,
    pub content_version: Option<String>,
    pub clock_skew_ms: Option<i64>,
    pub enrolled: i64,
    pub last_seen: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub addresses: String,
    #[sea_orm(column_type = "Text")]
    pub health: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub coverage: Option<String>,
});

table!(alert, "alerts", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub detection_id: String,
    pub title: String,
    pub level: i32,
    pub score: i32,
    pub revision: i32,
    pub endpoint: String,
    pub storyline: String,
    pub host: Option<String>,
    pub user: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub techniques: String,
    #[sea_orm(column_type = "Text")]
    pub tactics: String,
    pub highlights: i32,
    pub first: i64,
    pub last: i64,
    pub created: i64,
    pub updated: i64,
    pub status: String,
    pub finding: Option<String>,
    pub assignee: Option<String>,
    pub version: i32,
    #[sea_orm(column_type = "Text")]
    pub words: String,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    #[sea_orm(column_type = "Text")]
    pub context: String,
});

table!(alert_history, "alert_history", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub alert: String,
    pub time: i64,
    pub actor: String,
    #[sea_orm(column_type = "Text")]
    pub what: String,
});

table!(hit, "hits", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub detection_id: String,
    pub title: String,
    pub layer: String,
    pub level: i32,
    #[sea_orm(column_type = "Text")]
    pub techniques: String,
    #[sea_orm(column_type = "Text")]
    pub tactics: String,
    pub endpoint: String,
    pub boot: String,
    pub seq: i64,
    pub time: i64,
    pub process: String,
    pub storyline: String,
    #[sea_orm(column_type = "Text")]
    pub matched: String,
    /// Since version 5: the exception that hides it.
    pub excepted: Option<String>,
});

table!(watermark, "detect_watermarks", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub boot: String,
    pub seq: i64,
    pub time: i64,
});

table!(plan, "plans", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub endpoint: String,
    pub verb: String,
    pub target: Option<String>,
    pub scope: Option<String>,
    pub alert: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    pub actor: String,
    pub state: String,
    pub created: i64,
    pub expires: i64,
    #[sea_orm(column_type = "Text")]
    pub updates: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub result: Option<String>,
    pub sent: bool,
    #[sea_orm(column_type = "Text")]
    pub body: String,
});

table!(artifact, "artifacts", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub plan: String,
    pub endpoint: String,
    pub kind: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    pub size: i64,
    pub sha256: String,
    pub taken: i64,
    pub stored: i64,
    #[sea_orm(column_type = "Text")]
    pub meta: String,
});

table!(audit, "audit", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub time: i64,
    pub actor: String,
    pub action: String,
    pub target: String,
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    pub hash: String,
});

table!(inventory_item, "inventory_items", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    #[sea_orm(nullable)]
    pub sha256: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    pub first_seen: i64,
    pub updated: i64,
    pub generation: i64,
    pub gone: Option<i64>,
});

table!(inventory_state, "inventory_states", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    pub generation: i64,
    pub whole_since: Option<i64>,
    pub updated: i64,
    #[sea_orm(column_type = "Text")]
    pub surveys: String,
});

table!(endpoint_health, "endpoint_health", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub minute: i64,
    pub cpu_ms: Option<i64>,
    pub rss_bytes: Option<i64>,
    pub lag_ms: Option<i64>,
    pub spool_bytes: Option<i64>,
    pub lost_total: Option<i64>,
    pub events_total: Option<i64>,
    pub degraded: i64,
});

async fn create_table<E: EntityTrait>(entity: E, db: &impl ConnectionTrait) -> Result<()> {
    let mut statement = Schema::new(db.get_database_backend()).create_table_from_entity(entity);
    statement.if_not_exists();
    db.execute(&statement).await.map_err(database("create its tables"))?;
    Ok(())
}

fn index(name: &str, table: impl IntoIden, columns: &[&'static str]) -> IndexCreateStatement {
    let mut statement = Index::create();
    statement.if_not_exists().name(name).table(table.into_iden());
    for column in columns {
        statement.col(*column);
    }
    statement
}

/// Creates what is not there, in one transaction.
pub(crate) async fn create(db: &DatabaseConnection) -> Result<()> {
    let tx = db.begin().await.map_err(database("begin a transaction"))?;
    create_table(setting::Entity, &tx).await?;
    let found = setting::Entity::find_by_id("schema_version")
        .one(&tx)
        .await
        .map_err(database("read its schema version"))?;
    if let Some(row) = found {
        let found = row.value.parse().unwrap_or(i64::MAX);
        if found > VERSION {
            return Err(CatalogError::Newer { found, known: VERSION });
        }
        if found < 5 {
            content::hits_may_be_excepted(&tx).await?;
        }
        upgrade(&tx, found).await?;
        return tx.commit().await.map_err(database("commit"));
    }
    create_table(account::Entity, &tx).await?;
    create_table(session::Entity, &tx).await?;
    create_table(api_token::Entity, &tx).await?;
    create_table(enrolment_token::Entity, &tx).await?;
    create_table(endpoint::Entity, &tx).await?;
    create_table(alert::Entity, &tx).await?;
    create_table(alert_history::Entity, &tx).await?;
    create_table(hit::Entity, &tx).await?;
    create_table(watermark::Entity, &tx).await?;
    create_table(plan::Entity, &tx).await?;
    create_table(audit::Entity, &tx).await?;
    create_indexes(&tx).await?;
    let version =
        setting::ActiveModel { name: Set("schema_version".into()), value: Set("1".to_owned()) };
    setting::Entity::insert(version)
        .exec_without_returning(&tx)
        .await
        .map_err(database("write its schema version"))?;
    upgrade(&tx, 1).await?;
    tx.commit().await.map_err(database("commit"))
}

/// From version `found` to [`VERSION`], step by step.
async fn upgrade(db: &impl ConnectionTrait, found: i64) -> Result<()> {
    if found >= VERSION {
        return Ok(());
    }
    if found < 2 {
        create_table(artifact::Entity, db).await?;
        let by_endpoint = index("artifacts_by_endpoint", artifact::Entity, &["endpoint", "stored"]);
        db.execute(&by_endpoint).await.map_err(database("create its indexes"))?;
    }
    if found < 3 {
        create_table(inventory_item::Entity, db).await?;
        create_table(inventory_state::Entity, db).await?;
        let item = inventory_item::Entity;
        let statements = [
            index("inventory_by_sha256", item, &["tenant", "sha256"]),
            index("inventory_by_key", item, &["tenant", "kind", "key"]),
        ];
        for statement in statements {
            db.execute(&statement).await.map_err(database("create its indexes"))?;
        }
    }
    if found < 4 {
        create_table(endpoint_health::Entity, db).await?;
        let by_minute = index("health_by_minute", endpoint_health::Entity, &["minute"]);
        db.execute(&by_minute).await.map_err(database("create its indexes"))?;
    }
    if found < 5 {
        indicator::create(db).await?;
        content::create(db).await?;
        incident::create(db).await?;
    }
    if found < 6 {
        incident::create_reach(db).await?;
    }
    let version = setting::ActiveModel {
        name: Set("schema_version".into()),
        value: Set(VERSION.to_string()),
    };
    setting::Entity::update(version)
        .exec(db)
        .await
        .map_err(database("write its schema version"))?;
    Ok(())
}

async fn create_indexes(db: &impl ConnectionTrait) -> Result<()> {
    let mut hit_once =
        index("hits_once", hit::Entity, &["detection_id", "endpoint", "boot", "seq"]);
    hit_once.unique();
    let statements = [
        hit_once,
        index("hits_by_time", hit::Entity, &["time"]),
        index("hits_by_storyline", hit::Entity, &["endpoint", "storyline"]),
        index("alerts_by_score", alert::Entity, &["status", "score"]),
        index("alerts_by_created", alert::Entity, &["created"]),
        index("alert_history_by_alert", alert_history::Entity, &["alert", "time"]),
        index("plans_by_endpoint", plan::Entity, &["endpoint", "state"]),
        index("plans_by_created", plan::Entity, &["created"]),
        index("sessions_by_account", session::Entity, &["account"]),
    ];
    for statement in statements {
        db.execute(&statement).await.map_err(database("create its indexes"))?;
    }
    if db.get_database_backend() == DbBackend::Sqlite {
        for verb in ["UPDATE", "DELETE"] {
            let trigger = format!(
                "CREATE TRIGGER audit_no_{} BEFORE {verb} ON audit \
                 BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
                verb.to_lowercase()
            );
            db.execute_unprepared(&trigger).await.map_err(database("protect the audit log"))?;
        }
    }
    Ok(())
}
