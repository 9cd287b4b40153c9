//! One file as an artifact, with what is known of it beside.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use metsuke_event::Timestamp;
use metsuke_respond::{Artifact, ArtifactKind, Evidence};
use metsuke_scan::{Digester, Fuzzy};
use rustix::fs::{Stat, fstat};
use serde::Serialize;

use crate::artifact::ArtifactFile;
use crate::files::{FileError, Opened};
use crate::pace::Pace;
use crate::reach::Reach;

/// Bytes read at once.
const BLOCK: usize = 256 << 10;
/// Most extended attributes told, and most bytes of one.
const XATTRS_MAX: usize = 64;
const XATTR_BYTES_MAX: usize = 1 << 10;
/// Most bytes of the list of their names.
const XATTR_NAMES_MAX: usize = 64 << 10;

/// How to read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// At most so many bytes.
    pub max_bytes: u64,
    /// Share of a CPU, in percent.
    pub cpu_percent: u32,
    /// At most so long.
    pub limit: Duration,
}

/// What is known of a collected file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Where it was asked for.
    pub path: String,
    /// When reading began.
    pub taken: Timestamp,
    /// Size when it was opened.
    pub size: u64,
    /// Device and inode.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Type and permissions, as `stat(2)` has them.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names it has.
    pub links: u64,
    /// Last access.
    pub accessed: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
    /// Last change of metadata.
    pub changed: Timestamp,
    /// Extended attributes, values in hexadecimal.
    pub xattrs: Vec<(String, String)>,
    /// SHA-256 of what was read.
    pub sha256: String,
    /// SHA-1 of what was read.
    pub sha1: String,
    /// MD5 of what was read.
    pub md5: String,
    /// TLSH of what was read, where it has one.
    pub tlsh: Option<String>,
    /// Entropy of what was read, in thousandths of a bit per byte.
    pub entropy: u64,
    /// Its type by its first bytes.
    pub content_type: String,
    /// Whether it was written to while it was read: what was read may be no state it ever had.
    pub changed_while_read: bool,
    /// Whether it is longer than what was read.
    pub cut: bool,
}

/// Why a file was not collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It is not read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be read, or the artifact cannot be written.
    #[error("it cannot be read or kept: {0}")]
    Io(#[from] io::Error),
}

/// Copies the file at `path` to a new file `to`.
///
/// # Errors
/// Why not; nothing is left at `to` then.
pub fn collect(
    reach: &Reach,
    path: &Path,
    to: &Path,
    reading: Reading,
    now: Timestamp,
) -> Result<(Evidence, Facts), CollectError> {
    let opened = reach.file(path)?;
    copy(opened, path, to, reading, now)
}

fn copy(
    Opened { mut file, stat }: Opened,
    path: &Path,
    to: &Path,
    reading: Reading,
    now: Timestamp,
) -> Result<(Evidence, Facts), CollectError> {
    let mut out = ArtifactFile::create(to, reading.max_bytes)?;
    let mut digester = Digester::new(Fuzzy::Wanted);
    let mut pace = Pace::new(reading.cpu_percent, reading.limit);
    let mut buffer = vec![0; BLOCK];
    let (mut gap, mut ended) = (None, false);
    while !ended {
        let left = reading.max_bytes - out.size();
        let room = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        if room == 0 {
            ended = file.read(&mut buffer[..1])? == 0;
            gap = (!ended).then_some("the bound of bytes was reached");
            break;
        }
        let count = file.read(&mut buffer[..room])?;
        ended = count == 0;
        out.write_all(&buffer[..count])?;
        digester.update(&buffer[..count]);
        if !pace.rest() {
            gap = Some("the time was over");
            break;
        }
    }
    let after = fstat(&file).map_err(io::Error::from)?;
    let size = out.size();
    let written = out.finish()?;
    let content = digester.finish();
    let was_changed = written_to(&stat) != written_to(&after) || (ended && size != length(&stat));
    let name = path.to_string_lossy().into_owned();
    let (size, sha256) = (written.size, written.sha256.clone());
    let mut evidence =
        Evidence::new(Artifact { kind: ArtifactKind::File, name: name.clone(), size, sha256 });
    if let Some(gap) = gap {
        evidence.miss(&format!("{size} of {} bytes were read: {gap}", length(&after)));
    }
    if was_changed {
        evidence.miss("the file was changed while it was read");
    }
    let facts = Facts {
        path: name,
        taken: now,
        size: length(&stat),
        device: stat.st_dev,
        inode: stat.st_ino,
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink,
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
        xattrs: xattrs(&file),
        sha256: written.sha256,
        sha1: content.sha1().to_string(),
        md5: content.md5().to_string(),
        tlsh: content.tlsh().map(|tlsh| tlsh.to_string()),
        entropy: content.entropy(),
        content_type: content.kind().name().to_owned(),
        changed_while_read: was_changed,
        cut: gap.is_some(),
    };
    Ok((evidence, facts))
}

fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What differs once a file was written to.
fn written_to(stat: &Stat) -> (i64, i64, u64, i64) {
    let nsec = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    (stat.st_size, stat.st_mtime, stat.st_ino, nsec)
}

fn time(seconds: i64, nanos: u64) -> Timestamp {
    let nanos = i64::try_from(nanos).unwrap_or(0);
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

fn xattrs(file: &std::fs::File) -> Vec<(String, String)> {
    let mut names = vec![0_u8; XATTR_NAMES_MAX];
    let Ok(count) = rustix::fs::flistxattr(file, &mut names[..]) else { return Vec::new() };
    let names = names[..count].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .take(XATTRS_MAX)
        .map(|name| {
            let mut value = vec![0_u8; XATTR_BYTES_MAX];
            let name = String::from_utf8_lossy(name).into_owned();
            let value = match rustix::fs::fgetxattr(file, name.as_str(), &mut value[..]) {
                Ok(count) => hex::encode(&value[..count]),
                Err(error) => format!("not read: {error}"),
            };
            (name, value)
        })
        .collect()
}
