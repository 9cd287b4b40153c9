//! SHA-256 and, for comparing with package lists, MD5 of a file, in one pass.
//!
//! Invariant: there is a hash only of a content that did not change while it was read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::pace::Pace;

/// Read in pieces of this many bytes; between two the thread may sleep.
const PIECE: usize = 256 * 1024;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Change time: seconds and nanoseconds.
    pub(crate) ctime: (i64, i64),
    pub(crate) size: u64,
}

impl From<&Metadata> for Identity {
    fn from(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            ctime: (meta.ctime(), meta.ctime_nsec()),
            size: meta.size(),
        }
    }
}

/// Both digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) sha256: [u8; 32],
    pub(crate) md5: [u8; 16],
}

/// Opens a regular file to read; never follows a link, never blocks on a pipe or a device.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let quiet = OpenOptions::new().read(true).custom_flags(flags | libc::O_NOATIME).open(path);
    let file = match quiet {
        // O_NOATIME is for the owner and root only.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            OpenOptions::new().read(true).custom_flags(flags).open(path)?
        }
        other => other?,
    };
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Hashes the rest of `file`, whose first bytes were `head`; `None` when it changed meanwhile.
pub(crate) fn digests(
    file: &mut File,
    head: &[u8],
    before: Identity,
    pace: &mut Pace,
) -> io::Result<Option<Digests>> {
    let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
    sha256.update(head);
    md5.update(head);
    let mut total = head.len() as u64;
    let mut piece = vec![0; PIECE];
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total += count as u64;
        if total > before.size || pace.stopped() {
            return Ok(None);
        }
        sha256.update(&piece[..count]);
        md5.update(&piece[..count]);
        pace.step(count as u64);
    }
    let same = total == before.size && Identity::from(&file.metadata()?) == before;
    Ok(same.then(|| Digests { sha256: sha256.finalize().into(), md5: md5.finalize().into() }))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}
