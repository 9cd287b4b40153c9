//! Opening a file, or every file of a folder, without being led astray.
//!
//! Invariant: what is opened for reading was looked at first (`O_PATH`) and is a regular file that
//! lies on a disk or in memory, not in a device, a pipe, or a file system that programs answer for
//! (FUSE, `/proc`): reading those may hang, or change something.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, open, openat2};

use crate::reach::{Reach, ReachError};

/// Most files of a folder that are looked at.
pub const FILES_MAX: usize = 100_000;
/// Most folders that wait to be looked at, so that a tree of folders alone has a bound, too.
pub const FOLDERS_MAX: usize = 100_000;
/// Deepest folder that is looked at, counted from the one asked for.
pub const DEPTH_MAX: usize = 64;

/// File systems that are answered by programs or by the kernel itself (`statfs(2)`).
const NOT_READ: [(u64, &str); 12] = [
    (0x6573_5546, "FUSE"),
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x6467_6e2d, "debugfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x6367_7270, "cgroup2"),
    (0x0027_e0eb, "cgroup"),
    (0xcafe_4a11, "bpf"),
    (0x1cd1, "devpts"),
    (0x6e73_6673, "nsfs"),
    (0x7363_6673, "securityfs"),
];

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It may not be.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// It cannot be opened.
    #[error("{path} cannot be opened: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A link.
    #[error("{path} is a link to {target}; ask for that, if it is what you mean")]
    Link {
        /// Which.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// Something else.
    #[error("{path} is no regular file but {kind}; only regular files are read")]
    NoFile {
        /// Which.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// On a file system that is not read.
    #[error(
        "{path} lies on a file system ({kind}) that is not read, for reading it may hang or act"
    )]
    FileSystem {
        /// Which.
        path: PathBuf,
        /// Its file system.
        kind: &'static str,
    },
}

/// An open file as it was when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: File,
    /// Its metadata.
    pub stat: Stat,
}

impl Reach {
    /// Opens the regular file at `path` (absolute).
    ///
    /// # Errors
    /// Why it is not read.
    pub fn file(&self, path: &Path) -> Result<Opened, FileError> {
        let seen = self.look(path)?;
        let failed = |source: io::Error| FileError::Open { path: path.to_owned(), source };
        let stat = fstat(&seen).map_err(|error| failed(error.into()))?;
        let none = |kind| Err(FileError::NoFile { path: path.to_owned(), kind });
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => {
                let target = fs::read_link(path).unwrap_or_default();
                return Err(FileError::Link { path: path.to_owned(), target });
            }
            FileType::Directory => return none("a folder"),
            FileType::Fifo => return none("a pipe"),
            FileType::Socket => return none("a socket"),
            _ => return none("a device"),
        }
        let kind = fstatfs(&seen).map_err(|error| failed(error.into()))?.f_type;
        if let Some((_, kind)) = NOT_READ.iter().find(|(magic, _)| *magic == kind.cast_unsigned()) {
            return Err(FileError::FileSystem { path: path.to_owned(), kind });
        }
        if self.private.iter().any(|path| is_at(path, &stat)) {
            let why = "a file with the sensor's keys";
            return Err(ReachError::Protected(why).into());
        }
        // The very file that was looked at, whatever stands at its path by now.
        let file = File::open(format!("/proc/self/fd/{}", seen.as_raw_fd())).map_err(failed)?;
        Ok(Opened { file, stat })
    }

    /// Looks at what is at `path`, without opening it and without leaving what may be read.
    fn look(&self, path: &Path) -> Result<rustix::fd::OwnedFd, FileError> {
        let root = match &self.roots {
            None => Path::new("/"),
            Some(roots) => roots
                .iter()
                .find(|root| path.starts_with(root))
                .ok_or_else(|| ReachError::OutsideRoots(path.to_owned()))?,
        };
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failed = |error: rustix::io::Errno| FileError::Open {
            path: path.to_owned(),
            source: error.into(),
        };
        let below = path.strip_prefix(root).unwrap_or(path);
        let root = open(root, folder, Mode::empty()).map_err(failed)?;
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let resolve = match &self.roots {
            // Links on the way are followed, but not those of /proc/PID/fd and the like.
            None => ResolveFlags::NO_MAGICLINKS,
            Some(_) => ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH,
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&root, below, flags, Mode::empty(), resolve).map_err(|error| match error {
            rustix::io::Errno::XDEV => ReachError::OutsideRoots(path.to_owned()).into(),
            error => failed(error),
        })
    }

    /// Whether `path` is a folder that may be read.
    ///
    /// # Errors
    /// Why it cannot be looked at.
    pub fn is_folder(&self, path: &Path) -> Result<bool, FileError> {
        let seen = self.look(path)?;
        let stat = fstat(&seen)
            .map_err(|error| FileError::Open { path: path.to_owned(), source: error.into() })?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }
}

/// Whether the file at `path` is the one of `stat`.
fn is_at(path: &Path, stat: &Stat) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|facts| (facts.dev(), facts.ino()) == (stat.st_dev, stat.st_ino))
}

/// The regular files of `folder`, deepest last, at most [`FILES_MAX`] of at most [`FOLDERS_MAX`]
/// folders; `gap` hears of what is left out. Links are not followed, other file systems not entered.
pub fn files_of(folder: &Path, gap: &mut dyn FnMut(&Path, &str)) -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let mut files = Vec::new();
    let mut waiting = vec![(folder.to_owned(), 0)];
    let device = fs::metadata(folder).map(|facts| facts.dev()).unwrap_or_default();
    while let Some((folder, depth)) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                gap(&folder, &format!("the folder cannot be read: {error}"));
                continue;
            }
        };
        for entry in entries {
            let Ok(entry) = entry else {
                gap(&folder, "the folder cannot be read to its end");
                break;
            };
            let path = entry.path();
            // It was removed meanwhile.
            let Ok(facts) = fs::symlink_metadata(&path) else { continue };
            if facts.is_dir() && facts.dev() != device {
                gap(&path, "another file system begins here");
            } else if facts.is_dir() && depth >= DEPTH_MAX {
                gap(&path, "deeper folders are not looked at");
            } else if facts.is_dir() && waiting.len() >= FOLDERS_MAX {
                gap(&path, "more folders than are looked at in one scan");
            } else if facts.is_dir() {
                waiting.push((path, depth + 1));
            } else if facts.is_file() && files.len() >= FILES_MAX {
                gap(&folder, "more files than are looked at in one scan");
                return files;
            } else if facts.is_file() {
                files.push(path);
            }
        }
    }
    files
}
