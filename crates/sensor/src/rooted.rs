//! Files below a root that somebody else may have filled: an image, a chroot, another host's disk.
//!
//! Invariant: nothing outside of the root is read, written or removed. Every folder is resolved by
//! the kernel within the root (`openat2(2)`, `RESOLVE_IN_ROOT`: a link to `/etc` means the root's own
//! `/etc`), and the last part of a path is never followed.
//! Invariant: a file has its mode before it has its content.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Largest file read to see whether it is the one to be written, in bytes: a sensor with symbols.
const READ_MAX: u64 = 1 << 30;
/// What is behind the name of a file until it is complete.
const FRESH: &str = ".metsuke-new";

/// The root.
#[derive(Debug)]
pub(crate) struct Rooted {
    top: OwnedFd,
    is_own: bool,
}

/// A folder below the root, held open: no name has to be resolved again.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// A path that means this folder as long as it is held, wherever its names lead by then.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

impl Rooted {
    /// The root at `path`, which has to be there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { top, is_own: path == Path::new("/") })
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match rustix::fs::openat2(&self.top, path, flags, Mode::empty(), within) {
            // Before Linux 5.6. Below the host's own root there is nothing to leave.
            Err(Errno::NOSYS) if self.is_own => {
                Ok(rustix::fs::openat(&self.top, path, flags, Mode::empty())?)
            }
            Err(Errno::NOSYS) => Err(io::Error::other(
                "this kernel cannot keep to a root (openat2, Linux 5.6); install from within it",
            )),
            opened => Ok(opened?),
        }
    }

    /// The folder at `path`, relative to the root.
    pub(crate) fn folder(&self, path: &Path) -> io::Result<Folder> {
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY).map(Folder)
    }

    /// As [`Self::folder`]; it and its parents are made when they are missing, the new ones with
    /// `mode`.
    pub(crate) fn make(&self, path: &Path, mode: u32) -> io::Result<Folder> {
        let mut reached = PathBuf::new();
        let mut folder = self.folder(&reached)?;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            match rustix::fs::mkdirat(&folder.0, name, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            reached.push(name);
            folder = self.folder(&reached)?;
        }
        Ok(folder)
    }

    /// The folder that holds `path`, and its name there.
    fn holder<'a>(&self, path: &'a Path) -> io::Result<(Folder, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Whether something is at `path`, links followed within the root.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.resolve(path, OFlags::PATH).is_ok()
    }

    /// What is at `path` itself; a link is not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let (folder, name) = self.holder(path)?;
        folder.stat(name)
    }

    /// Permission bits of the file or folder at `path` itself.
    pub(crate) fn mode(&self, path: &Path) -> io::Result<u32> {
        self.stat(path).map(|stat| stat.st_mode & 0o7777)
    }

    /// The target of the link at `path`.
    pub(crate) fn link(&self, path: &Path) -> io::Result<PathBuf> {
        let (folder, name) = self.holder(path)?;
        let target = rustix::fs::readlinkat(&folder.0, name, Vec::new())?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// Whether a plain file at `path` has this content.
    fn holds(&self, path: &Path, content: &[u8]) -> io::Result<bool> {
        let (folder, name) = self.holder(path)?;
        let stat = folder.stat(name)?;
        let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || length != content.len() as u64 || length > READ_MAX {
            return Ok(false);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&folder.0, name, flags, Mode::empty())?);
        let mut there = Vec::with_capacity(content.len());
        file.take(length).read_to_end(&mut there)?;
        Ok(there == content)
    }

    /// Writes `content` beside `path` and renames it, so that a running program keeps its own and a
    /// link there is replaced, not followed. False when it was there already, with this mode.
    pub(crate) fn put(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
        let is_there = self.holds(path, content).unwrap_or(false);
        if is_there && self.mode(path).is_ok_and(|there| there == mode) {
            return Ok(false);
        }
        self.make(path.parent().unwrap_or(Path::new("")), 0o755)?;
        let (folder, name) = self.holder(path)?;
        let mut fresh = name.to_owned();
        fresh.push(FRESH);
        unlink(&folder, &fresh)?;
        let written = write(&folder, &fresh, content, mode)
            .and_then(|()| Ok(rustix::fs::renameat(&folder.0, &fresh, &folder.0, name)?));
        if written.is_err() {
            // The error that counts is the first.
            let _ = unlink(&folder, &fresh);
        }
        written.map(|()| true)
    }

    /// Makes the link `path` to `target`. False when it was there already.
    pub(crate) fn put_link(&self, target: &Path, path: &Path) -> io::Result<bool> {
        if self.link(path).is_ok_and(|there| there == target) {
            return Ok(false);
        }
        self.make(path.parent().unwrap_or(Path::new("")), 0o755)?;
        let (folder, name) = self.holder(path)?;
        unlink(&folder, name)?;
        rustix::fs::symlinkat(target, &folder.0, name)?;
        Ok(true)
    }

    /// Makes the folder `path` its owner's alone. False when it was so already.
    pub(crate) fn put_private(&self, path: &Path) -> io::Result<bool> {
        if self.stat(path).is_ok_and(|stat| stat.st_mode & 0o7777 == 0o700) {
            return Ok(false);
        }
        self.make(path.parent().unwrap_or(Path::new("")), 0o755)?;
        let (folder, name) = self.holder(path)?;
        match rustix::fs::mkdirat(&folder.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        // A link to a folder is none: its owner would decide where private things go.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own = rustix::fs::openat(&folder.0, name, flags, Mode::empty())?;
        rustix::fs::fchmod(own, Mode::RWXU)?;
        Ok(true)
    }

    /// Removes the file or link at `path`. False when there is none.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<bool> {
        match self.holder(path) {
            Ok((folder, name)) => unlink(&folder, name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the folder at `path` with all in it; of a link only the link. False when there is
    /// none.
    pub(crate) fn remove_all(&self, path: &Path) -> io::Result<bool> {
        let (folder, name) = match self.holder(path) {
            Ok(holder) => holder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // Relative to the held folder; the library follows no link on its way down.
        match fs::remove_dir_all(folder.path().join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => self.remove(path),
            Err(error) => Err(error),
        }
    }
}

fn unlink(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(&folder.0, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn write(folder: &Folder, name: &OsStr, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // What is to be private is so from its first moment; more is added once it is complete.
    let first = Mode::from_raw_mode(mode & 0o700);
    let mut file = File::from(rustix::fs::openat(&folder.0, name, flags, first)?);
    file.write_all(content)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    file.sync_all()
}
