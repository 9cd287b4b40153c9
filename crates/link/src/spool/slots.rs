//! A small file that is overwritten in place and never torn: two slots, written in turn, each with
//! a generation and a checksum; the newest intact one counts. No space is allocated after the file
//! was made, so it can be written on a full disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::SpoolError;

/// Bytes one slot carries for its owner.
const VALUE_BYTES: usize = 48;
/// Generation (8), value, checksum (4), padding (4).
const SLOT_BYTES: usize = 64;
const CHECKSUM_AT: usize = 8 + VALUE_BYTES;

/// What a slot carries.
pub(super) type Value = [u8; VALUE_BYTES];

/// The file.
#[derive(Debug)]
pub(super) struct Slots {
    file: File,
    path: PathBuf,
    generation: u64,
    value: Option<Value>,
}

impl Slots {
    /// Opens the file, or makes it with room for both slots.
    pub(super) fn open(path: &Path) -> Result<Self, SpoolError> {
        let failed = |what| move |source| SpoolError::new(what, path, source);
        let file = open(path).map_err(failed("open"))?;
        let mut bytes = [0; 2 * SLOT_BYTES];
        let mut newest = None;
        if file.read_exact_at(&mut bytes, 0).is_ok() {
            newest = bytes.chunks(SLOT_BYTES).filter_map(intact).max_by_key(|(gen_, _)| *gen_);
        } else {
            file.write_all_at(&[0; 2 * SLOT_BYTES], 0).map_err(failed("write"))?;
        }
        let generation = newest.map_or(0, |(generation, _)| generation);
        let value = newest.map(|(_, value)| value);
        Ok(Self { file, path: path.to_owned(), generation, value })
    }

    /// The newest value; `None` when none was ever set (or both slots are damaged).
    pub(super) const fn value(&self) -> Option<Value> {
        self.value
    }

    /// Sets the value. A process killed meanwhile leaves the old or the new one.
    pub(super) fn set(&mut self, value: Value) -> Result<(), SpoolError> {
        let generation = self.generation + 1;
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&generation.to_le_bytes());
        slot[8..CHECKSUM_AT].copy_from_slice(&value);
        let checksum = crc32fast::hash(&slot[..CHECKSUM_AT]);
        slot[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        let offset = (generation % 2) * SLOT_BYTES as u64;
        self.come_back();
        self.file
            .write_all_at(&slot, offset)
            .map_err(|source: io::Error| SpoolError::new("write", &self.path, source))?;
        self.generation = generation;
        self.value = Some(value);
        Ok(())
    }

    /// Makes the file again when somebody unlinked it: what is written to one without a name is
    /// gone with this process. On a full disk that has to wait for the next time.
    fn come_back(&mut self) {
        if self.file.metadata().is_ok_and(|facts| facts.nlink() > 0) {
            return;
        }
        let made = open(&self.path)
            .and_then(|file| file.write_all_at(&[0; 2 * SLOT_BYTES], 0).map(|()| file));
        match made {
            Ok(file) => self.file = file,
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "a file of the spool is gone");
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn intact(slot: &[u8]) -> Option<(u64, Value)> {
    let checksum = u32::from_le_bytes(slot.get(CHECKSUM_AT..CHECKSUM_AT + 4)?.try_into().ok()?);
    let generation = u64::from_le_bytes(slot.get(..8)?.try_into().ok()?);
    let value = slot.get(8..CHECKSUM_AT)?.try_into().ok()?;
    (generation > 0 && crc32fast::hash(&slot[..CHECKSUM_AT]) == checksum)
        .then_some((generation, value))
}

/// The `index`th 64-bit word of a value, from 0.
pub(super) fn word(value: &Value, index: usize) -> u64 {
    let bytes = value.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// A value made of at most six words.
pub(super) fn words(words: &[u64]) -> Value {
    let mut value = [0; VALUE_BYTES];
    for (place, word) in value.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    value
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::{SLOT_BYTES, Slots, words};

    #[test]
    fn a_file_that_was_unlinked_comes_back_with_the_next_value() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("slots");
        let mut slots = Slots::open(&path).expect("made");
        slots.set(words(&[1])).expect("written");
        std::fs::remove_file(&path).expect("there");
        slots.set(words(&[2])).expect("written");
        slots.set(words(&[3])).expect("written");
        assert_eq!(Slots::open(&path).expect("opened").value(), Some(words(&[3])));
    }

    #[test]
    fn a_torn_slot_leaves_the_value_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("slots");
        let mut slots = Slots::open(&path).expect("made");
        assert_eq!(slots.value(), None);
        for number in 1..=5 {
            slots.set(words(&[number])).expect("written");
        }
        assert_eq!(Slots::open(&path).expect("opened").value(), Some(words(&[5])));
        // Generation 5 lies in slot 1; a torn write there leaves 4.
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
        file.write_all_at(&[0xff; 9], SLOT_BYTES as u64 + 4).expect("torn");
        let mut slots = Slots::open(&path).expect("opened");
        assert_eq!(slots.value(), Some(words(&[4])));
        slots.set(words(&[6])).expect("written");
        assert_eq!(Slots::open(&path).expect("opened").value(), Some(words(&[6])));
    }
}
