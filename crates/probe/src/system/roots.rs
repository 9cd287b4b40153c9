//! Files as the process that touched them sees them: through its own root, also when it lives in
//! another mount namespace, and for a while after its end.
//!
//! Invariant: no name is followed out of the root it is looked up in, and no device, pipe or
//! socket is ever opened.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use metsuke_event::Process;

use crate::procfs;
use crate::system::snapshots::{Content, Whole};

/// Roots of other mount namespaces held open at most; a held root keeps its file systems alive.
const MAX_HELD: usize = 32;

/// How long one is held after it was last of use, in nanoseconds: the kernel's records arrive
/// within milliseconds, sums of writes within a second.
const HELD_NANOS: u64 = 3_000_000_000;

/// Names read from one folder at most: spools and unit folders hold hundreds.
const MAX_ENTRIES: usize = 4_096;

/// Which files a path means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// This host's.
    Host,
    /// Those below another root folder, by its device and inode: a container's.
    Root(u64, u64),
    /// Those of a mount namespace that shares the host's root but has something else mounted here.
    Namespace(u64),
}

/// An open root folder.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// The roots known.
#[derive(Debug)]
pub(super) struct Roots {
    host: Option<Arc<Root>>,
    host_id: Option<(u64, u64)>,
    own: Option<u64>,
    held: HashMap<u64, (u64, Arc<Root>)>,
}

impl Roots {
    pub(super) fn new() -> Self {
        let host = Root::open("/").map(Arc::new);
        Self {
            host_id: host.as_ref().and_then(|root| root.identity("/")),
            host,
            own: fs::metadata("/proc/self/ns/mnt").ok().map(|meta| meta.ino()),
            held: HashMap::new(),
        }
    }

    /// This host's own root.
    pub(super) fn host(&self) -> Option<Arc<Root>> {
        self.host.clone()
    }

    /// Lets go of what was held long enough.
    pub(super) fn release(&mut self, now: u64) {
        self.held.retain(|_, (until, _)| *until > now);
    }

    /// A process runs in a mount namespace: holds its root, should it be another than ours. Gives
    /// the place and root the first time this root is met.
    pub(super) fn hold(&mut self, process: &Process, now: u64) -> Option<(Place, Arc<Root>)> {
        let namespace = process.mount_namespace?;
        if self.own.is_none_or(|own| own == namespace) {
            return None;
        }
        let (namespace, root) = self.fresh(process, now)?;
        let id = root.identity("/")?;
        (Some(id) != self.host_id && self.own != Some(namespace))
            .then_some((Place::Root(id.0, id.1), root))
    }

    /// The root of a running process in another mount namespace, opened now and held from now on.
    fn fresh(&mut self, process: &Process, now: u64) -> Option<(u64, Arc<Root>)> {
        let pid = u32::try_from(process.pid?).ok()?;
        let root = Root::open(&format!("/proc/{pid}/root"))?;
        let namespace = fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?.ino();
        // Asked last: the number had not been given to another process until here.
        if !runs(process, pid) {
            return None;
        }
        let root = Arc::new(root);
        if self.own == Some(namespace) {
            return Some((namespace, root));
        }
        if self.held.len() >= MAX_HELD && !self.held.contains_key(&namespace) {
            let oldest = self.held.iter().min_by_key(|(_, (until, _))| *until).map(|(ns, _)| *ns);
            oldest.and_then(|namespace| self.held.remove(&namespace));
        }
        self.held.insert(namespace, (now + HELD_NANOS, Arc::clone(&root)));
        Some((namespace, root))
    }

    /// The same at the very start of an executable, when the namespace just told is still right.
    pub(super) fn at_start(
        &mut self,
        process: &Process,
        path: &str,
        now: u64,
    ) -> Option<Arc<Root>> {
        if self.own.is_some() && process.mount_namespace == self.own {
            return self.host.clone();
        }
        self.of(process, path, now).map(|(_, root)| root)
    }

    /// Where `process` finds `path`, an absolute path as its mount namespace has it. `None` when
    /// its root cannot be had any more.
    pub(super) fn of(
        &mut self,
        process: &Process,
        path: &str,
        now: u64,
    ) -> Option<(Place, Arc<Root>)> {
        let host = self.host.clone()?;
        let (namespace, root) = match self.fresh(process, now) {
            Some(found) => found,
            None => match process.mount_namespace.filter(|id| self.own != Some(*id)) {
                Some(namespace) => {
                    let (until, root) = self.held.get_mut(&namespace)?;
                    *until = now + HELD_NANOS;
                    (namespace, Arc::clone(root))
                }
                None => return Some((Place::Host, host)),
            },
        };
        if self.own == Some(namespace) {
            return Some((Place::Host, host));
        }
        let id = root.identity("/")?;
        if Some(id) != self.host_id {
            return Some((Place::Root(id.0, id.1), root));
        }
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let same = root.identity(folder).is_some_and(|id| host.identity(folder) == Some(id));
        if same { Some((Place::Host, host)) } else { Some((Place::Namespace(namespace), root)) }
    }
}

/// Whether `process` still has the number `pid`.
fn runs(process: &Process, pid: u32) -> bool {
    let Some(uid) = process.uid.as_deref() else { return false };
    let Some(stat) = procfs::stat(pid) else { return false };
    let end = format!("-{pid}-{}", stat.start_ticks);
    uid.ends_with(&end)
}

impl Root {
    pub(super) fn open(path: &str) -> Option<Self> {
        let path = CString::new(path).ok()?;
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: `path` is a C string that outlives the call; the result is checked before use.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        (fd >= 0).then(|| Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Opens `path` below this root without touching what it names.
    fn locate(&self, path: &str) -> io::Result<File> {
        let relative = CString::new(path.trim_start_matches('/'))?;
        let name = if relative.is_empty() { c"." } else { relative.as_c_str() };
        // SAFETY: open_how is plain data for which all zeroes is a value.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = u64::from((libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC).cast_unsigned());
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        // SAFETY: `name` and `how` outlive the call and `how` has the size given; our descriptor
        // is open.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                self.0.as_raw_fd(),
                name.as_ptr(),
                &raw const how,
                size_of::<libc::open_how>(),
            )
        };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        Ok(unsafe { File::from_raw_fd(fd) })
    }

    /// Device and inode of what `path` names.
    pub(super) fn identity(&self, path: &str) -> Option<(u64, u64)> {
        let meta = self.locate(path).ok()?.metadata().ok()?;
        Some((meta.dev(), meta.ino()))
    }

    /// `path` with the links in its folder followed, as the kernel names open files. In another
    /// root only the usual links of the first folder are.
    pub(super) fn resolved(&self, path: &str, host: bool) -> String {
        let Some((folder, name)) = path.rsplit_once('/') else { return path.to_owned() };
        if host
            && let Ok(file) = self.locate(folder)
            && let Ok(meta) = file.metadata()
        {
            // A link itself was found: follow it by its name, in our own root.
            let found = if meta.is_symlink() {
                fs::canonicalize(folder)
            } else {
                fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
            };
            if let Ok(found) = found {
                return format!("{}/{name}", found.to_string_lossy().trim_end_matches('/'));
            }
        }
        for alias in ["/lib", "/lib64", "/var/run"] {
            if let Some(rest) = path.strip_prefix(alias)
                && rest.starts_with('/')
                && let Content::Link(target) = self.read(alias, 0)
            {
                return format!("/{}{rest}", target.trim_start_matches('/'));
            }
        }
        path.to_owned()
    }

    /// The content of the file at `path`, of which at most `limit` bytes are read.
    pub(super) fn read(&self, path: &str, limit: u64) -> Content {
        let file = match self.locate(path) {
            Ok(file) => file,
            Err(error) => {
                return match error.raw_os_error() {
                    Some(libc::ENOENT | libc::ENOTDIR) => Content::Absent,
                    _ => Content::Unreadable,
                };
            }
        };
        let Ok(meta) = file.metadata() else { return Content::Unreadable };
        let held = format!("/proc/self/fd/{}", file.as_raw_fd());
        if meta.is_symlink() {
            return link(&file).map_or(Content::Unreadable, Content::Link);
        }
        if !meta.is_file() {
            return Content::Unreadable;
        }
        // Opened anew by its descriptor: the same file, whatever its name means by now.
        let mut bytes = Vec::new();
        let read = File::open(&held).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Content::File(Whole { bytes, size: meta.len(), limit }),
            Err(_) => Content::Unreadable,
        }
    }

    /// Bytes from `from` on of the file at `path`, at most `limit`, with the file's size.
    pub(super) fn read_from(&self, path: &str, from: u64, limit: u64) -> Option<(Vec<u8>, u64)> {
        let file = self.locate(path).ok()?;
        let meta = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let mut opened = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        opened.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        opened.take(limit).read_to_end(&mut bytes).ok()?;
        Some((bytes, meta.len()))
    }

    /// What changes when the file at `path` does: device, inode, size and time of change.
    pub(super) fn version(&self, path: &str) -> Option<(u64, u64, u64, i64)> {
        let meta = self.locate(path).ok()?.metadata().ok().filter(fs::Metadata::is_file)?;
        let changed = meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec());
        Some((meta.dev(), meta.ino(), meta.size(), changed))
    }

    /// The names in the folder at `path`, each with whether it is a folder.
    pub(super) fn list(&self, path: &str) -> Vec<(String, bool)> {
        let Ok(folder) = self.locate(path) else { return Vec::new() };
        if !folder.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Vec::new();
        }
        let entries = fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        entries
            .into_iter()
            .flatten()
            .flatten()
            .take(MAX_ENTRIES)
            .filter_map(|entry| {
                let is_folder = entry.file_type().ok()?.is_dir();
                Some((entry.file_name().to_str()?.to_owned(), is_folder))
            })
            .collect()
    }
}

/// What a link, opened as itself, points to.
fn link(file: &File) -> Option<String> {
    let mut target = vec![0_u8; 4_096];
    // SAFETY: an empty name means the descriptor itself (readlinkat(2)); `target` is a writable
    // buffer of the length given.
    let length = unsafe {
        libc::readlinkat(file.as_raw_fd(), c"".as_ptr(), target.as_mut_ptr().cast(), target.len())
    };
    target.truncate(usize::try_from(length).ok()?);
    Some(String::from_utf8_lossy(&target).into_owned())
}
