//! System calls made by hand: what no library stands between.
//!
//! Invariant: nothing here goes through libc's `readdir`, so a library loaded into this process
//! could not hide a name from it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes of names read at a time.
const NAMES_BUFFER: usize = 64 * 1_024;

/// Names of one directory at most: more than any directory of a sane host has.
pub(crate) const MAX_NAMES: usize = 262_144;

/// Offset of `d_name` in `struct linux_dirent64` (getdents64(2)).
const NAME_AT: usize = 19;

/// The names in a directory as the kernel lists them, but for `.` and `..`.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    let folder = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(directory)?;
    let mut buffer = vec![0_u8; NAMES_BUFFER];
    let mut names = Vec::new();
    loop {
        // SAFETY: the buffer outlives the call and its true length is given.
        let length = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                folder.as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
        let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
        if length == 0 {
            return Ok(names);
        }
        names.extend(entries(&buffer[..length.min(buffer.len())]));
        if names.len() > MAX_NAMES {
            return Err(io::Error::other(format!("it has more than {MAX_NAMES} names")));
        }
    }
}

/// Reads a buffer of `struct linux_dirent64`.
fn entries(mut buffer: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    while buffer.len() > NAME_AT {
        let length = usize::from(u16::from_ne_bytes([buffer[16], buffer[17]]));
        if length <= NAME_AT || length > buffer.len() {
            break;
        }
        let name = &buffer[NAME_AT..length];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = &name[..end];
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
        buffer = &buffer[length..];
    }
    names
}

/// Whether a thread-group leader with this pid exists (`pidfd_open(2)`).
pub(crate) fn has_process(pid: u32) -> io::Result<bool> {
    // SAFETY: a plain system call without pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if let Ok(fd) = i32::try_from(fd)
        && fd >= 0
    {
        // SAFETY: the kernel has just given this descriptor to us alone.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Threads that lead no group: EINVAL up to 6.8, ENOENT later.
        Some(libc::ESRCH | libc::EINVAL | libc::ENOENT) => Ok(false),
        _ => Err(error),
    }
}

/// Moves the calling thread into the network namespace `namespace` (an open `…/ns/net`).
pub(crate) fn enter_network(namespace: &File) -> io::Result<()> {
    // SAFETY: a plain system call; only the calling thread is moved.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What kinds of BPF objects have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BpfKind {
    Program,
    Map,
    Link,
}

impl BpfKind {
    pub(crate) const ALL: [Self; 3] = [Self::Program, Self::Map, Self::Link];

    /// How an identity begins.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Map => "map",
            Self::Link => "link",
        }
    }

    /// Every id, by `BPF_*_GET_NEXT_ID` (bpf(2)).
    pub(crate) fn ids(self) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut id = 0;
        while ids.len() < MAX_IDS {
            let mut next = 0;
            // SAFETY: `next` is a valid place for the answer.
            let result = unsafe {
                match self {
                    Self::Program => libbpf_sys::bpf_prog_get_next_id(id, &raw mut next),
                    Self::Map => libbpf_sys::bpf_map_get_next_id(id, &raw mut next),
                    Self::Link => libbpf_sys::bpf_link_get_next_id(id, &raw mut next),
                }
            };
            if result != 0 {
                let error = io::Error::last_os_error();
                return match error.raw_os_error() {
                    Some(libc::ENOENT) => Ok(ids),
                    _ => Err(error),
                };
            }
            ids.push(next);
            id = next;
        }
        Err(io::Error::other(format!("there are more than {MAX_IDS}")))
    }

    /// The object with an id; `None` when it is gone or may not be had.
    pub(crate) fn open(self, id: u32) -> Option<OwnedFd> {
        // SAFETY: plain calls; a descriptor they give is ours alone.
        unsafe {
            let fd = match self {
                Self::Program => libbpf_sys::bpf_prog_get_fd_by_id(id),
                Self::Map => libbpf_sys::bpf_map_get_fd_by_id(id),
                Self::Link => libbpf_sys::bpf_link_get_fd_by_id(id),
            };
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    }
}

/// Objects of one kind at most.
const MAX_IDS: usize = 65_536;

/// The object pinned at `path` (`BPF_OBJ_GET`).
pub(crate) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the text ends with a NUL and outlives the call.
    let fd = unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The BPF program of another process's perf event (`BPF_TASK_FD_QUERY`).
pub(crate) fn program_of_event(pid: u32, fd: u32) -> Option<u32> {
    let mut name = [0_u8; 256];
    let mut length = u32::try_from(name.len()).ok()?;
    let (mut program, mut kind) = (0_u32, 0_u32);
    let (mut offset, mut address) = (0_u64, 0_u64);
    // SAFETY: every pointer is to a local that outlives the call; the name's length is given.
    let result = unsafe {
        libbpf_sys::bpf_task_fd_query(
            i32::try_from(pid).ok()?,
            i32::try_from(fd).ok()?,
            0,
            name.as_mut_ptr().cast(),
            &raw mut length,
            &raw mut program,
            &raw mut kind,
            &raw mut offset,
            &raw mut address,
        )
    };
    (result == 0 && program != 0).then_some(program)
}

/// CPU time of this process, in milliseconds.
pub(crate) fn cpu_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place that outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    if result != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec * 1_000 + time.tv_nsec / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{entries, has_process, names};

    #[test]
    fn a_directory_is_listed_without_a_library() {
        let folder = tempfile::tempdir().unwrap();
        let expect: BTreeSet<Vec<u8>> =
            (0..3_000).map(|n| format!("a file's rather long name {n}").into_bytes()).collect();
        for name in &expect {
            std::fs::write(folder.path().join(str::from_utf8(name).unwrap()), "").unwrap();
        }
        assert_eq!(names(folder.path()).unwrap().into_iter().collect::<BTreeSet<_>>(), expect);
    }

    #[test]
    fn broken_entries_end_the_list() {
        assert!(entries(&[0; 40]).is_empty());
        assert!(entries(&[255; 40]).is_empty());
    }

    #[test]
    fn the_own_process_exists() {
        assert!(has_process(std::process::id()).unwrap());
    }
}
