//! A search that met a damaged file: find it, set it aside, ask again.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use futures::FutureExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::LakeError;
use crate::lake::{Lake, blocking};
use crate::provider::EventsTable;
use crate::recover::Keeper;
use crate::view::{DataFile, View};

/// Rounds of set-aside-and-ask-again for one search.
const MAX_ROUNDS: usize = 4;

type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, LakeError>> + Send + 'a>>;

impl Lake {
    /// Asks `ask` over what `choose` takes of the present view; when the engine fails because
    /// files are damaged, sets them aside and asks again. The second part says whether that
    /// happened.
    pub(crate) async fn with_repair<'a, T>(
        &'a self,
        choose: impl Fn(View) -> EventsTable,
        ask: impl Fn(Arc<EventsTable>) -> Asking<'a, T>,
    ) -> Result<(T, bool), LakeError> {
        let mut repaired = false;
        for _ in 0..MAX_ROUNDS {
            let table = Arc::new(choose(self.inner.shared.view()));
            match whole(ask(Arc::clone(&table))).await {
                Err(error) if may_be_damage(&error) => {
                    if !self.set_damaged_aside(table.files()).await? {
                        return Err(error);
                    }
                    repaired = true;
                }
                Err(error) => return Err(self.explained(error)),
                Ok(answer) => return Ok((answer, repaired)),
            }
        }
        let table = Arc::new(choose(self.inner.shared.view()));
        Ok((whole(ask(table)).await?, repaired))
    }

    fn explained(&self, error: LakeError) -> LakeError {
        match &error {
            LakeError::Search(source)
                if matches!(source.find_root(), DataFusionError::ResourcesExhausted(_)) =>
            {
                LakeError::TooMany { limit_bytes: self.inner.config.search_memory_bytes }
            }
            _ => error,
        }
    }

    async fn set_damaged_aside(&self, files: Vec<DataFile>) -> Result<bool, LakeError> {
        let damaged = find_damaged(files).await?;
        let any = !damaged.is_empty();
        let mut table = self.inner.table.lock().await;
        for (file, reason) in damaged {
            // Another search may have been here first.
            let view = self.inner.shared.view();
            if view.files.iter().any(|known| known.path == file.path) {
                let keeper = Keeper {
                    folders: &self.inner.folders,
                    shared: &self.inner.shared,
                    losses: &self.inner.losses,
                };
                keeper.set_aside(&mut table, &file, reason).await?;
            }
        }
        Ok(any)
    }
}

/// Whether a search's failure can come from a damaged file.
pub(crate) fn may_be_damage(error: &LakeError) -> bool {
    let LakeError::Search(source) = error else { return false };
    !matches!(source.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// A reader that panics over a damaged file has failed, no more.
async fn whole<T>(asking: Asking<'_, T>) -> Result<T, LakeError> {
    AssertUnwindSafe(asking).catch_unwind().await.unwrap_or_else(|_| {
        let what = "the reader panicked".to_owned();
        Err(LakeError::Search(Box::new(DataFusionError::Execution(what))))
    })
}

/// Those of `files` that cannot be read, with the reason.
pub(crate) async fn find_damaged(
    files: Vec<DataFile>,
) -> Result<Vec<(DataFile, &'static str)>, LakeError> {
    blocking(move || {
        Ok(files.into_iter().filter_map(|file| damage(&file).map(|why| (file, why))).collect())
    })
    .await
}

/// Reads all of `file`; says why it cannot be read. A failure of the system is no damage.
fn damage(file: &DataFile) -> Option<&'static str> {
    let opened = match File::open(&file.local) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some("parquet_missing");
        }
        Err(_) => return None,
    };
    let rows = std::panic::catch_unwind(AssertUnwindSafe(|| count_rows(opened)));
    let whole = matches!(rows, Ok(Some(rows)) if rows == file.rows);
    (!whole).then_some("parquet_corrupt")
}

fn count_rows(file: File) -> Option<u64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).ok()?.build().ok()?;
    let mut rows = 0;
    for batch in reader {
        rows += batch.ok()?.num_rows() as u64;
    }
    Some(rows)
}
