//! Files by fanotify, notification only: who made, changed, renamed or removed what.
//!
//! Invariant: no permission event is ever asked for, so nothing waits for us.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use metsuke_event::activity::FileActivity;

/// Bytes read at once.
const BUFFER: usize = 64 * 1024;

/// Reads in one round, so that other sources get their turn.
const ROUND: usize = 64;

/// File systems watched at most.
const MAX_MOUNTS: usize = 64;

/// File systems whose content is made when read, or that are no place for files.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

const EVENTS: u64 = libc::FAN_CREATE
    | libc::FAN_DELETE
    | libc::FAN_MOVED_FROM
    | libc::FAN_MOVED_TO
    | libc::FAN_CLOSE_WRITE
    | libc::FAN_ONDIR;

/// One thing that happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) pid: u32,
    pub(super) what: FileActivity,
    pub(super) path: String,
    pub(super) old_path: Option<String>,
}

/// What one round of reading found.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) touched: Vec<Touched>,
    /// The kernel's queue overflowed: an unknown number of events is lost.
    pub(super) overflowed: Option<()>,
}

/// Names of files in folders, by file system.
#[derive(Debug)]
pub(super) struct Names {
    group: OwnedFd,
    /// A descriptor on each file system, by its id: handles are opened through it.
    mounts: Vec<([u8; 8], File)>,
}

/// Opens of sensitive files, which are watched one by one.
#[derive(Debug)]
pub(super) struct Reads {
    group: OwnedFd,
}

fn init(flags: libc::c_uint) -> io::Result<OwnedFd> {
    let flags = flags | libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
    let mode = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE) as libc::c_uint;
    // SAFETY: plain system call; the result is checked before use.
    let fd = unsafe { libc::fanotify_init(flags, mode) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn mark(group: &OwnedFd, flags: libc::c_uint, mask: u64, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that outlives the call; the group's descriptor is open.
    let result = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD | flags,
            mask,
            libc::AT_FDCWD,
            path.as_ptr(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Names {
    /// Watches every file system that can hold files.
    pub(super) fn open() -> io::Result<Self> {
        let group = init(libc::FAN_REPORT_DFID_NAME)?;
        let mut mounts: Vec<([u8; 8], File)> = Vec::new();
        let mut refused = None;
        for path in places() {
            let Ok(directory) = File::open(&path) else { continue };
            let Some(id) = file_system_id(&directory) else { continue };
            if mounts.iter().any(|(known, _)| *known == id) {
                continue;
            }
            match mark(&group, libc::FAN_MARK_FILESYSTEM, EVENTS, &path) {
                Ok(()) => mounts.push((id, directory)),
                Err(error) => refused = Some(error),
            }
        }
        match (mounts.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            _ => Ok(Self { group, mounts }),
        }
    }

    /// Reads what is queued.
    pub(super) fn round(&self) -> Round {
        let mut round = Round::default();
        let mut moved: Option<(u32, String)> = None;
        read_all(&self.group, |event| {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 {
                round.overflowed = Some(());
                return;
            }
            let Some(path) = self.path(event.rest) else { return };
            let mut tell = |what, old_path| {
                let path = path.clone();
                round.touched.push(Touched { pid: event.pid, what, path, old_path });
            };
            // The kernel merges what happens to one name: the order below is the likely one.
            if event.mask & libc::FAN_CREATE != 0 {
                tell(FileActivity::Create, None);
            }
            if event.mask & libc::FAN_MOVED_FROM != 0 {
                moved = Some((event.pid, path.clone()));
            }
            if event.mask & libc::FAN_MOVED_TO != 0 {
                let from = moved.take().filter(|(pid, _)| *pid == event.pid).map(|(_, old)| old);
                tell(FileActivity::Rename, from);
            }
            if event.mask & libc::FAN_CLOSE_WRITE != 0 {
                tell(FileActivity::Modify, None);
            }
            if event.mask & libc::FAN_DELETE != 0 {
                tell(FileActivity::Delete, None);
            }
        });
        round
    }

    /// The path in an information record: the folder's handle, then the name in it
    /// (fanotify(7), `struct fanotify_event_info_fid`).
    fn path(&self, record: &[u8]) -> Option<String> {
        let kind = *record.first()?;
        if kind != libc::FAN_EVENT_INFO_TYPE_DFID_NAME {
            return None;
        }
        let id: [u8; 8] = record.get(4..12)?.try_into().ok()?;
        let bytes =
            usize::try_from(u32::from_ne_bytes(record.get(12..16)?.try_into().ok()?)).ok()?;
        let handle = record.get(12..20 + bytes)?;
        let name = record.get(20 + bytes..)?.split(|byte| *byte == 0).next()?;
        let (_, mount) = self.mounts.iter().find(|(known, _)| *known == id)?;
        let mut aligned: Vec<u64> = vec![0; handle.len().div_ceil(8)];
        for (word, chunk) in aligned.iter_mut().zip(handle.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(bytes);
        }
        // SAFETY: `aligned` holds a whole struct file_handle as the kernel gave it and outlives
        // the call; `mount` is an open directory of the same file system.
        let fd = unsafe {
            libc::open_by_handle_at(
                mount.as_raw_fd(),
                aligned.as_mut_ptr().cast(),
                libc::O_PATH | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            return None;
        }
        // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
        let folder = unsafe { OwnedFd::from_raw_fd(fd) };
        let folder = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()?;
        let folder = folder.to_string_lossy();
        let folder = folder.trim_end_matches('/');
        Some(format!("{folder}/{}", String::from_utf8_lossy(name)))
    }
}

impl Reads {
    /// Watches `paths`, of which those that do not exist are passed over.
    pub(super) fn open(paths: &[PathBuf]) -> io::Result<Self> {
        let group = init(0)?;
        for path in paths {
            // What cannot be watched does not exist, or is on a file system without marks.
            let _ = mark(&group, 0, libc::FAN_ACCESS, path);
        }
        Ok(Self { group })
    }

    /// Who read what since the last round.
    pub(super) fn round(&self) -> Round {
        let mut round = Round::default();
        read_all(&self.group, |event| {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 {
                round.overflowed = Some(());
            }
            let Some(file) = event.file else { return };
            if let Ok(path) = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
                let path = path.to_string_lossy().into_owned();
                let what = FileActivity::Read;
                round.touched.push(Touched { pid: event.pid, what, path, old_path: None });
            }
        });
        round
    }
}

struct Event<'a> {
    mask: u64,
    pid: u32,
    file: Option<OwnedFd>,
    rest: &'a [u8],
}

fn read_all(group: &OwnedFd, mut take: impl FnMut(Event<'_>)) {
    let mut bytes = vec![0_u8; BUFFER];
    for _ in 0..ROUND {
        // SAFETY: `bytes` is a writable buffer of the length given, for the whole call.
        let got = unsafe { libc::read(group.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(length @ 1..) = usize::try_from(got) else { return };
        let mut rest = &bytes[..length];
        // struct fanotify_event_metadata: event_len, vers, reserved, metadata_len, mask, fd, pid.
        while let Some(head) = rest.first_chunk::<24>() {
            let word = |at: usize| {
                u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let length = usize::try_from(word(0)).unwrap_or(usize::MAX);
            let Some((event, after)) = rest.split_at_checked(length) else { return };
            if length < 24 {
                return;
            }
            let mask = u64::from(word(8)) | u64::from(word(12)) << 32;
            let fd = word(16).cast_signed();
            // SAFETY: a descriptor in an event is new and ours to close.
            let file = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
            take(Event { mask, pid: word(20), file, rest: &event[24..] });
            rest = after;
        }
    }
}

/// Where file systems that can hold files are mounted.
fn places() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let place = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let kind = right.split(' ').next()?;
        (!PSEUDO.contains(&kind)).then(|| left.split(' ').nth(4).map(PathBuf::from)).flatten()
    };
    mounts.lines().filter_map(place).take(MAX_MOUNTS).collect()
}

/// The id by which fanotify names a file system (statfs(2) `f_fsid`).
fn file_system_id(file: &File) -> Option<[u8; 8]> {
    // SAFETY: statfs is plain data for which all zeroes is a value.
    let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `facts` is a valid statfs that outlives the call; the descriptor is open.
    if unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut facts) } != 0 {
        return None;
    }
    // SAFETY: fsid_t is two 32-bit numbers, eight bytes without padding.
    Some(unsafe { std::mem::transmute::<libc::fsid_t, [u8; 8]>(facts.f_fsid) })
}
