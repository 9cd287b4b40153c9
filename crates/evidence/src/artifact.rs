//! A file that is written once, from front to back, and hashed on the way.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of them, lower-case hexadecimal.
    pub sha256: String,
}

/// Bytes free for us on the disk of `folder`; `None` when it cannot be said.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The file. Dropped before [`ArtifactFile::finish`] it is removed.
#[derive(Debug)]
pub struct ArtifactFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    hash: Sha256,
    size: u64,
    max: u64,
}

impl ArtifactFile {
    /// Makes the file, for its owner alone; it must not be there. More than `max` bytes are refused
    /// with [`io::ErrorKind::FileTooLarge`].
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path, max: u64) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let file = Some(BufWriter::with_capacity(1 << 16, file));
        Ok(Self { path: path.to_owned(), file, hash: Sha256::new(), size: 0, max })
    }

    /// Bytes written so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When the disk refuses; the file is removed.
    pub fn finish(mut self) -> io::Result<Written> {
        let Some(file) = self.file.as_mut() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        file.flush()?;
        file.get_ref().sync_all()?;
        self.file = None;
        Ok(Written {
            size: self.size,
            sha256: hex::encode(std::mem::take(&mut self.hash).finalize()),
        })
    }
}

impl Write for ArtifactFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size + bytes.len() as u64 > self.max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let Some(file) = self.file.as_mut() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let count = file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for ArtifactFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Half an artifact is none.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
