//! Who touches the sensor's files: fanotify on their folders, whatever the scope of the probe.
//!
//! Notification only: nobody waits for us. The kernel names the process that did it; one that has
//! ended by then is named by its id alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::protected::Protected;
use crate::sys;

/// Bytes read at once.
const BUFFER: usize = 16 * 1024;
/// Reads in one round.
const ROUND: usize = 16;
/// Folders watched at most.
const FOLDERS_MAX: usize = 64;

const MASK: u64 = libc::FAN_CREATE
    | libc::FAN_DELETE
    | libc::FAN_DELETE_SELF
    | libc::FAN_MOVED_FROM
    | libc::FAN_MOVED_TO
    | libc::FAN_MOVE_SELF
    | libc::FAN_CLOSE_WRITE
    | libc::FAN_ATTRIB;

/// One touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The process that did it.
    pub pid: u32,
    /// How: `created`, `deleted`, `renamed`, `modified` or `attributes`.
    pub reason: &'static str,
    /// What it did it to.
    pub path: PathBuf,
}

/// What one round found.
#[derive(Debug, Default)]
pub struct Round {
    /// Touches, in order.
    pub touched: Vec<Touched>,
    /// The kernel's queue overflowed: some are not told.
    pub overflowed: bool,
}

/// The watch.
#[derive(Debug)]
pub struct Watch {
    group: File,
    folders: BTreeMap<Vec<u8>, PathBuf>,
    protected: Protected,
}

impl Watch {
    /// Watches what is protected: the folders of its files, and its folders with those in them.
    /// The second part names folders that cannot be watched, and why.
    ///
    /// # Errors
    /// Without the privilege, or the kernel's support (Linux 5.9).
    pub fn open(protected: Protected) -> io::Result<(Self, Vec<String>)> {
        let group: OwnedFd = sys::fanotify()?;
        let mut folders = BTreeMap::new();
        let mut refused = Vec::new();
        for folder in folders_of(&protected) {
            let marked = sys::mark(group.as_fd(), MASK, &folder);
            match marked.and_then(|()| sys::handle(&folder)) {
                Ok(handle) => {
                    folders.insert(handle, folder);
                }
                Err(error) => refused.push(format!("{}: {error}", folder.display())),
            }
        }
        Ok((Self { group: File::from(group), folders, protected }, refused))
    }

    /// Waits until something was touched, or `timeout_ms` is over.
    pub fn wait(&self, timeout_ms: i32) {
        sys::wait_readable(&[self.group.as_fd()], timeout_ms);
    }

    /// What was touched since the last round by others than the sensor itself.
    pub fn round(&mut self) -> Round {
        let mut round = Round::default();
        let mut bytes = vec![0; BUFFER];
        for _ in 0..ROUND {
            let Ok(length @ 1..) = self.group.read(&mut bytes) else { break };
            let mut rest = &bytes[..length];
            // struct fanotify_event_metadata: event_len, vers, reserved, metadata_len, mask, fd, pid.
            while let Some(size) = word(rest, 0).and_then(|size| usize::try_from(size).ok()) {
                let Some((event, after)) = rest.split_at_checked(size).filter(|_| size >= 24)
                else {
                    break;
                };
                rest = after;
                self.take(event, &mut round);
            }
        }
        round
    }

    fn take(&self, event: &[u8], round: &mut Round) {
        let (Some(low), Some(high), Some(pid)) = (word(event, 8), word(event, 12), word(event, 20))
        else {
            return;
        };
        let mask = u64::from(low) | u64::from(high) << 32;
        if mask & libc::FAN_Q_OVERFLOW != 0 {
            round.overflowed = true;
            return;
        }
        if self.protected.is_own(u64::from(pid)) {
            return;
        }
        let Some(path) = self.path(&event[24..]) else { return };
        if !self.protected.holds(&path) {
            return;
        }
        for (bits, reason) in [
            (libc::FAN_CREATE, "created"),
            (libc::FAN_MOVED_FROM | libc::FAN_MOVED_TO | libc::FAN_MOVE_SELF, "renamed"),
            (libc::FAN_CLOSE_WRITE, "modified"),
            (libc::FAN_ATTRIB, "attributes"),
            (libc::FAN_DELETE | libc::FAN_DELETE_SELF, "deleted"),
        ] {
            if mask & bits != 0 {
                round.touched.push(Touched { pid, reason, path: path.clone() });
            }
        }
    }

    /// The path in an information record: the folder's handle, then the name in it (fanotify(7),
    /// `struct fanotify_event_info_fid`: type, pad, length, file system, handle, name).
    fn path(&self, record: &[u8]) -> Option<PathBuf> {
        let bytes = usize::try_from(word(record, 12)?).ok()?;
        let handle = record.get(16..20 + bytes)?;
        let folder = self.folders.get(handle)?;
        let name = record.get(20 + bytes..)?.split(|byte| *byte == 0).next()?;
        let name = String::from_utf8_lossy(name);
        Some(if name.is_empty() || name == "." { folder.clone() } else { folder.join(&*name) })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn folders_of(protected: &Protected) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        protected.files.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
    for folder in &protected.folders {
        folders.push(folder.clone());
        let within = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let within = within.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(within.map(|entry| entry.path()));
    }
    folders.sort_unstable();
    folders.dedup();
    folders.truncate(FOLDERS_MAX);
    folders
}
