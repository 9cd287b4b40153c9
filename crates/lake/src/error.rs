//! What can go wrong in the lake: the intention that failed, its source, and what to do next.

use std::path::{Path, PathBuf};

use deltalake_core::DeltaTableError;
use metsuke_hunt::QueryError;

/// A failed intention of the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The disk (or quota) is full: nothing of this call was stored; try again later.
    #[error("no space left for `{path}`; free some space, then send the events again")]
    NoSpace {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Events wait in memory because they cannot be moved to the table: nothing of this call was
    /// stored; try again later.
    #[error(
        "{waiting_bytes} bytes of events wait for the table, and the limit is {limit_bytes}; \
         last failure of a flush: {last_failure}"
    )]
    Backlog {
        /// Bytes in the hot tail.
        waiting_bytes: usize,
        /// The configured bound.
        limit_bytes: usize,
        /// Why the last flush failed, as text.
        last_failure: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the lake open.
    #[error("`{path}` is in use by another process; stop it first, or use another folder")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The query cannot be read.
    #[error("the query cannot be read: {0}")]
    Query(#[from] QueryError),
    /// The cursor is not one that this lake gave.
    #[error("the cursor is not valid; start again without one")]
    Cursor,
    /// The Delta table refused.
    #[error("the table failed to {action}")]
    Table {
        /// What was tried.
        action: &'static str,
        /// What the table said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Arrow data could not be made or read.
    #[error("cannot {action}")]
    Arrow {
        /// What was tried.
        action: &'static str,
        /// What Arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A Parquet file could not be made.
    #[error("cannot write the Parquet file `{path}`")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The query engine failed.
    #[error("the search failed")]
    Search(#[source] Box<datafusion::error::DataFusionError>),
    /// A search needs more memory than searches may use.
    #[error(
        "the search needs more than {limit_bytes} bytes of memory; narrow the time range or the query"
    )]
    TooMany {
        /// The bound.
        limit_bytes: usize,
    },
    /// The lake has been closed, or its writer has died.
    #[error("the lake is closed; open it again")]
    Closed,
}

impl LakeError {
    /// Whether the same call may succeed later without anything changed by the caller.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::Backlog { .. } | Self::Io { .. })
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::StorageFull
            || source.kind() == std::io::ErrorKind::QuotaExceeded
        {
            return Self::NoSpace { path: path.to_owned(), source };
        }
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn table(action: &'static str) -> impl FnOnce(DeltaTableError) -> Self {
        move |source| Self::Table { action, source: Box::new(source) }
    }

    pub(crate) fn arrow(action: &'static str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Arrow { action, source }
    }
}

impl From<datafusion::error::DataFusionError> for LakeError {
    fn from(source: datafusion::error::DataFusionError) -> Self {
        Self::Search(Box::new(source))
    }
}
