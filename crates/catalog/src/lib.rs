#![doc = include_str!("../README.md")]

mod account;
mod alert;
mod alert_list;
mod artifact;
mod audit;
mod change;
pub mod clock;
mod count;
mod detected;
mod document;
mod endpoint;
mod enrolment;
mod exception;
mod health;
mod hit;
mod incident;
mod indicator;
mod inventory;
mod inventory_match;
mod plan;
mod proof;
mod recording;
mod schema;
mod session;
mod setting;
mod sighting;
mod token;
mod tuning;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, Condition, ConnectOptions, Database, DatabaseConnection, DatabaseTransaction,
    DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{Semaphore, broadcast};

pub use account::{ANONYMOUS, Account, PasswordKind, Role, check_account_name, check_password};
pub use alert::{
    AlertContext, AlertRecord, AlertTriage, Finding, HistoryEntry, ProcessBrief, Status,
    TriageChange,
};
pub use alert_list::{AlertFilter, AlertOrder, AlertPlace, AlertSlice, OpenCounts};
pub use artifact::{ArtifactFilter, ArtifactRecord, ArtifactsKept};
pub use audit::{AuditEntry, ChainBroken};
pub use change::Change;
pub use count::{DayCount, DetectionStats, Findings};
pub use detected::{Detected, MAX_BOOTS, Stored, Watermark};
pub use document::{DocumentOrigin, DocumentRecord};
pub use endpoint::{EndpointChange, EndpointRecord};
pub use enrolment::{EnrolmentRecord, TokenRefused};
pub use exception::ExceptionRecord;
pub use health::HealthPoint;
pub use hit::{HitFilter, HitGroup, HitRecord};
pub use incident::{Incident, IncidentEntry, Incidents, Spread};
pub use indicator::{
    Added, Earliest, ImportRecord, ImportState, IndicatorFilter, IndicatorPatch, IndicatorRecord,
    LookBack, NewImport, SourceRecord,
};
pub use inventory::{FileFilter, InventoryFilter, InventoryRecord, InventoryState};
pub use inventory_match::{FILES_ASKED, FilesAsked, FilesCursor};
pub use plan::{PlanChange, PlanFilter, PlanRecord, PlanUpdate};
pub use proof::Proof;
pub use recording::{RECORDED, RecordingRecord, RecordingState};
pub use session::{NewSession, SessionRecord};
pub use sighting::{NewSighting, Place, SIGHTINGS_OF_INDICATOR, SightingFilter, SightingRecord};
pub use token::{BOOTSTRAP_TOKEN, Credential, TokenRecord};
pub use tuning::{DEFAULT_GROUP, TuningRecord};

/// Readers at once. SQLite in WAL mode lets them read beside the one writer.
const READ_CONNECTIONS: u32 = 4;
/// How long a statement waits for another process (`metsuke-server token`) that holds the lock.
const BUSY_TIMEOUT_MS: &str = "10000";
/// Pages a connection may keep, in KiB below zero, as SQLite has it: indices of millions of indicators
/// are larger than the 2 MB it has by itself. They are taken when they are needed.
const CACHE: &str = "-16384";
/// Password hashes computed at once: each takes 19 MiB and tens of milliseconds of a core.
const PASSWORD_HASHES_AT_ONCE: usize = 2;

/// What went wrong in the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database cannot be opened.
    #[error("cannot open the catalog {path}; check that the folder exists and is writable")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: DbErr,
    },
    /// The database was written by a newer server.
    #[error(
        "the catalog has schema version {found}, this server knows {known}; start a newer server"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The version this server writes.
        known: i64,
    },
    /// A statement failed.
    #[error("the catalog could not {what}; check free space and permissions of its folder")]
    Database {
        /// What was tried.
        what: &'static str,
        /// What the database said.
        #[source]
        source: DbErr,
    },
    /// A stored row is not what this server writes.
    #[error("the catalog holds a broken {what} ({detail}); restore it from a backup")]
    Corrupt {
        /// Which kind of row.
        what: &'static str,
        /// Why it is broken.
        detail: String,
    },
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Somebody else changed it meanwhile, or it exists already.
    #[error("{0}")]
    Conflict(String),
    /// A name or password does not meet the rules.
    #[error("{0}")]
    Invalid(String),
    /// Hashing a password failed.
    #[error("cannot hash a password: {0}")]
    Hash(String),
}

impl CatalogError {
    /// Whether there was no room left to write: it gets better when space is freed.
    pub fn is_disk_full(&self) -> bool {
        // SQLITE_FULL and ENOSPC; the database's error types keep no code that all of them share.
        let full = |text: String| text.contains("disk is full") || text.contains("No space left");
        matches!(self, Self::Database { source, .. } if full(source.to_string()))
    }
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// The server's relational state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog {
    read: DatabaseConnection,
    write: DatabaseConnection,
    hashing: Arc<Semaphore>,
    changes: broadcast::Sender<Change>,
    incidents: Arc<tokio::sync::Mutex<incident::Held>>,
    stale: Arc<incident::StaleAlerts>,
}

impl Catalog {
    /// Opens the catalog at `path`, creating file and schema when they are not there.
    pub async fn open(path: &Path) -> Result<Self> {
        let open = |source| CatalogError::Open { path: path.to_owned(), source };
        private(path).map_err(|error| open(DbErr::Custom(error.to_string())))?;
        let write = Database::connect(options(path, 1)).await.map_err(open)?;
        schema::create(&write).await?;
        let read = Database::connect(options(path, READ_CONNECTIONS)).await.map_err(open)?;
        let hashing = Arc::new(Semaphore::new(PASSWORD_HASHES_AT_ONCE));
        let (changes, _) = broadcast::channel(change::CHANGES_HELD);
        let (incidents, stale) = (Arc::default(), Arc::default());
        Ok(Self { read, write, hashing, changes, incidents, stale })
    }

    /// Closes the connections; outstanding clones fail from then on.
    pub async fn close(&self) {
        for connection in [&self.read, &self.write] {
            if let Err(error) = connection.clone().close().await {
                tracing::warn!(%error, "closing the catalog");
            }
        }
    }

    /// A transaction that writes: it takes the write lock at once, so it never has to give up
    /// half-way.
    async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.write.begin_with_options(options).await.map_err(database("begin a transaction"))
    }
}

/// Makes the file for its owner only: it holds hashes of passwords and live sessions. SQLite gives
/// the files beside it the same mode.
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

fn options(path: &Path, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("foreign_keys", "ON")
                .pragma("busy_timeout", BUSY_TIMEOUT_MS)
                .pragma("cache_size", CACHE)
        });
    options
}

/// Turns a database error into one that says what was tried.
fn database(what: &'static str) -> impl FnOnce(DbErr) -> CatalogError {
    move |source| CatalogError::Database { what, source }
}

/// Rows behind a place in a list ordered by `keys`, the greatest first, then by `id`, the smallest
/// first. Unlike a count of rows to pass over, it stays true when rows come before it.
fn behind<C: ColumnTrait>(keys: &[(C, i64)], (column, id): (C, &str)) -> Condition {
    let mut any = Condition::any();
    let mut equal = Condition::all();
    for (key, value) in keys {
        any = any.add(equal.clone().add(key.lt(*value)));
        equal = equal.add(key.eq(*value));
    }
    any.add(equal.add(column.gt(id)))
}

/// Reads stored JSON.
fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| CatalogError::Corrupt { what, detail: error.to_string() })
}

/// Writes JSON to store.
fn to_json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| CatalogError::Corrupt { what, detail: error.to_string() })
}

/// Reads a stored identity.
fn from_text<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| CatalogError::Corrupt { what, detail: error.to_string() })
}

/// 32 random bytes in hexadecimal: a secret nobody guesses.
fn secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// What is stored of a secret.
fn hashed(secret: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(secret.as_bytes()))
}
