//! A search that met a damaged file: find it, set it aside, ask again.

use std::pin::Pin;
use std::sync::Arc;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::LakeError;
use crate::lake::{Lake, blocking};
use crate::provider::EventsTable;
use crate::recover::set_aside;
use crate::request::TimeRange;
use crate::view::DataFile;

/// Rounds of set-aside-and-ask-again for one search.
const MAX_ROUNDS: usize = 4;

type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, LakeError>> + Send + 'a>>;

impl Lake {
    /// Asks `ask` over what may lie in `range`; when the engine fails because files are damaged,
    /// sets them aside and asks again. The second part says whether that happened.
    pub(crate) async fn with_repair<'a, T>(
        &'a self,
        range: TimeRange,
        ask: impl Fn(Arc<EventsTable>) -> Asking<'a, T>,
    ) -> Result<(T, bool), LakeError> {
        let mut repaired = false;
        for _ in 0..MAX_ROUNDS {
            let table = Arc::new(EventsTable::new(&self.inner.shared.view(), range));
            match ask(Arc::clone(&table)).await {
                Ok(answer) => return Ok((answer, repaired)),
                Err(error @ LakeError::Search(_)) => {
                    if !self.set_damaged_aside(table.files()).await? {
                        return Err(error);
                    }
                    repaired = true;
                }
                Err(error) => return Err(error),
            }
        }
        let table = Arc::new(EventsTable::new(&self.inner.shared.view(), range));
        Ok((ask(table).await?, repaired))
    }

    async fn set_damaged_aside(&self, files: &[DataFile]) -> Result<bool, LakeError> {
        let candidates = files.to_vec();
        let damaged = blocking(move || {
            Ok(candidates
                .into_iter()
                .filter_map(|file| damage(&file).map(|reason| (file, reason)))
                .collect::<Vec<_>>())
        })
        .await?;
        let mut any = false;
        let mut table = self.inner.table.lock().await;
        for (file, reason) in damaged {
            any = true;
            // Another search may have been here first.
            let view = self.inner.shared.view();
            if view.files.iter().any(|known| known.path == file.path) {
                let inner = &self.inner;
                set_aside(&inner.folders, &mut table, &inner.shared, &inner.losses, &file, reason)
                    .await?;
            }
        }
        Ok(any)
    }
}

/// Reads all of `file`; says why it cannot be read. A failure of the system is no damage.
fn damage(file: &DataFile) -> Option<&'static str> {
    let opened = match std::fs::File::open(&file.local) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some("parquet_missing");
        }
        Err(_) => return None,
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened).and_then(|it| it.build());
    let Ok(reader) = reader else { return Some("parquet_corrupt") };
    let mut rows = 0;
    for batch in reader {
        let Ok(batch) = batch else { return Some("parquet_corrupt") };
        rows += batch.num_rows() as u64;
    }
    (rows != file.rows).then_some("parquet_corrupt")
}
