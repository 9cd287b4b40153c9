//! What detection holds, on disk: the engine's state, and up to which activity of each boot it goes.
//!
//! Written beside and renamed, so that one is there whole or not at all. It is written only after the
//! findings up to its marks are stored, so it never knows more than the catalog; one that does (the
//! catalog came from a backup) is not used.
//!
//! Layout, version 1: magic, version (2 bytes), number of marks (8), for each endpoint (16), boot
//! (16) and number (8), then the engine's own checkpoint, and a SHA-256 over all before it. Numbers
//! are big-endian.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use metsuke_event::{BootId, EndpointId};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"MTKDTECT";
const VERSION: u16 = 1;
const DIGEST: usize = 32;
const MARK: usize = 16 + 16 + 8;
/// Largest file that is read: far above what the engine's own bounds let it grow to.
const FILE_MAX: u64 = 2 << 30;

/// Up to which activity of each boot.
pub(crate) type Marks = HashMap<(EndpointId, BootId), u64>;

/// State and marks that belong together.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) marks: Marks,
    /// As the engine wrote it.
    pub(crate) engine: Vec<u8>,
}

/// Why a checkpoint is not read. Detection then reads history again instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("it is damaged, or of another version of the server")]
    Damaged,
}

impl Checkpoint {
    /// Writes it in place of the one at `path`; returns its bytes.
    pub(crate) fn write(&self, path: &Path) -> io::Result<usize> {
        let mut bytes = Vec::with_capacity(self.engine.len() + self.marks.len() * MARK + 64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&(self.marks.len() as u64).to_be_bytes());
        for ((endpoint, boot), seq) in &self.marks {
            bytes.extend_from_slice(&endpoint.as_u128().to_be_bytes());
            bytes.extend_from_slice(&boot.as_u128().to_be_bytes());
            bytes.extend_from_slice(&seq.to_be_bytes());
        }
        bytes.extend_from_slice(&self.engine);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        let beside = beside(path);
        let mut file = fs::File::create(&beside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(bytes.len())
    }

    /// The one at `path`; `None` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Unread> {
        let length = match fs::metadata(path) {
            Ok(facts) => facts.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if length > FILE_MAX {
            return Err(Unread::Damaged);
        }
        let bytes = fs::read(path)?;
        Self::parse(&bytes).map(Some).ok_or(Unread::Damaged)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if Sha256::digest(body).as_slice() != digest {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_be_bytes())?;
        let (count, mut rest) = rest.split_at_checked(8)?;
        let count = u64::from_be_bytes(count.try_into().ok()?);
        let mut marks = Marks::new();
        for _ in 0..count {
            let (mark, after) = rest.split_at_checked(MARK)?;
            let number =
                |from: usize| Some(u128::from_be_bytes(mark[from..from + 16].try_into().ok()?));
            let seq = u64::from_be_bytes(mark[32..].try_into().ok()?);
            let (endpoint, boot) = (number(0)?, number(16)?);
            marks.insert((EndpointId::from_u128(endpoint), BootId::from_u128(boot)), seq);
            rest = after;
        }
        Some(Self { marks, engine: rest.to_vec() })
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_not_when_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert!(Checkpoint::read(&path).unwrap().is_none());
        let boot = |n: u128| (EndpointId::from_u128(n), BootId::from_u128(n + 1));
        let marks = Marks::from([(boot(1), 7), (boot(5), u64::MAX)]);
        let written = Checkpoint { marks: marks.clone(), engine: vec![3; 100] };
        written.write(&path).unwrap();
        written.write(&path).unwrap();
        let read = Checkpoint::read(&path).unwrap().unwrap();
        assert_eq!((read.marks, read.engine), (marks, vec![3; 100]));
        let whole = fs::read(&path).unwrap();
        for damage in [0, 9, 20, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[damage] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert!(matches!(Checkpoint::read(&path), Err(Unread::Damaged)), "byte {damage}");
        }
        fs::write(&path, &whole[..40]).unwrap();
        assert!(matches!(Checkpoint::read(&path), Err(Unread::Damaged)), "cut");
    }
}
