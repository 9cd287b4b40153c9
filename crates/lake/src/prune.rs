//! Which row groups can hold what is asked for, by their bloom filters.
//!
//! The engine uses bloom filters only for tests on one column; what is asked is mostly "this hash,
//! whether of a file or of a process". Invariant: a row group that is passed over holds no event
//! that fulfils the predicate. What cannot be read here is not passed over: reading it later says
//! what is wrong with it.

use std::collections::HashMap;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use metsuke_event::FieldId;
use metsuke_event::field::by_name;
use metsuke_hunt::{Predicate, Test};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};

use crate::error::LakeError;
use crate::lake::blocking;
use crate::provider::{EventsTable, Part};
use crate::schema::{BLOOM_FIELDS, column_of};

/// `table` without the files and row groups that cannot hold what `predicate` asks for. It opens
/// each file that no one has looked into before: give it only what is going to be read.
pub(crate) async fn pruned(
    table: &EventsTable,
    predicate: &Predicate,
) -> Result<EventsTable, LakeError> {
    if !decidable(predicate) || table.parts().iter().all(|part| part.groups.is_some()) {
        return Ok(table.clone());
    }
    let (parts, predicate) = (table.parts().to_vec(), predicate.clone());
    let parts = blocking(move || {
        Ok(parts.into_iter().filter_map(|part| prune(part, &predicate)).collect())
    })
    .await?;
    Ok(table.with_parts(parts))
}

/// Whether bloom filters can refute it.
fn decidable(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::And(parts) => parts.iter().any(decidable),
        Predicate::Or(parts) => parts.iter().all(decidable),
        Predicate::Field(id, Test::Equals(_)) => has_bloom(*id),
        Predicate::All | Predicate::Not(_) | Predicate::Field(..) => false,
    }
}

fn has_bloom(id: FieldId) -> bool {
    BLOOM_FIELDS.iter().any(|name| by_name(name).is_some_and(|spec| spec.id == id))
}

/// `None` when no row group can hold it.
fn prune(part: Part, predicate: &Predicate) -> Option<Part> {
    if part.groups.is_some() {
        return Some(part);
    }
    #[cfg(test)]
    tests::opened(&part.file.local);
    // A reader that panics over a damaged file has failed, no more.
    let held = std::panic::catch_unwind(AssertUnwindSafe(|| groups(&part.file.local, predicate)));
    match held {
        Ok(Ok(groups)) if !groups.contains(&true) => None,
        Ok(Ok(groups)) => Some(Part { groups: Some(groups), ..part }),
        Ok(Err(_)) | Err(_) => Some(part),
    }
}

/// For each row group whether it may hold an event that fulfils `predicate`.
fn groups(path: &Path, predicate: &Predicate) -> Result<Vec<bool>, ParquetError> {
    let file = File::open(path)?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
    let groups = metadata.row_groups().iter();
    groups
        .map(|group| {
            Group { file: &file, metadata: group, filters: HashMap::new() }.holds(predicate)
        })
        .collect()
}

struct Group<'a> {
    file: &'a File,
    metadata: &'a RowGroupMetaData,
    filters: HashMap<FieldId, Option<Sbbf>>,
}

impl Group<'_> {
    fn holds(&mut self, predicate: &Predicate) -> Result<bool, ParquetError> {
        match predicate {
            Predicate::And(parts) => {
                for part in parts {
                    if !self.holds(part)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Predicate::Or(parts) => {
                for part in parts {
                    if self.holds(part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Predicate::Field(id, Test::Equals(value)) if has_bloom(*id) => {
                let text = value.as_ref().to_text().into_owned();
                Ok(self.filter(*id)?.is_none_or(|filter| filter.check(text.as_str())))
            }
            Predicate::All | Predicate::Not(_) | Predicate::Field(..) => Ok(true),
        }
    }

    /// `None` when the row group has none for the field.
    fn filter(&mut self, id: FieldId) -> Result<Option<&Sbbf>, ParquetError> {
        if !self.filters.contains_key(&id) {
            let name = column_of(id).unwrap_or_default();
            let mut columns = self.metadata.columns().iter();
            let filter = match columns.find(|column| column.column_path().string() == name) {
                Some(column) => Sbbf::read_from_column_chunk(column, self.file)?,
                None => None,
            };
            self.filters.insert(id, filter);
        }
        Ok(self.filters.get(&id).and_then(Option::as_ref))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    static OPENED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(super) fn opened(path: &Path) {
        OPENED.lock().unwrap().push(path.to_owned());
    }

    /// How many files under `dir` were looked into since this was last asked.
    pub(crate) fn files_opened(dir: &Path) -> usize {
        OPENED.lock().unwrap().extract_if(.., |path| path.starts_with(dir)).count()
    }
}
