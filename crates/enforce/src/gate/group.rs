//! The kernel's side: a fanotify group that asks, and questions (fanotify(7), Linux 5.0 for
//! executions).
//!
//! Invariant: every question is answered once, at the latest when it is dropped, and then by "yes".
#![expect(
    unsafe_code,
    reason = "the system calls have no safe wrapper in std; each block says why it is sound"
)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::deny::Operations;

/// `struct fanotify_event_metadata` (linux/fanotify.h), version 3.
const METADATA_BYTES: usize = 24;
const VERSION: u8 = 3;
/// Bytes read at once.
const BUFFER: usize = 4_096;
/// Questions read at once at most, each with an open file.
pub(super) const READ_MAX: usize = BUFFER / METADATA_BYTES;
/// Files that a holder wants to have open at most: far more than its questions need.
const FILES: libc::rlim_t = 4_096;

/// The group.
#[derive(Debug)]
pub(super) struct Group(OwnedFd);

/// Somebody waits to open or execute a file.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) file: File,
    pub(super) pid: u32,
    pub(super) operation: Operations,
    group: Arc<Group>,
    answered: AtomicBool,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    Deny,
}

impl Question {
    /// Whether it was answered.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// Answers; false when that was done before.
    pub(super) fn answer(&self, answer: Answer) -> bool {
        self.answer_after(answer, || ())
    }

    /// Answers after `before`, which must not wait: nobody else can answer from then on. False,
    /// and `before` is not done, when it was answered already.
    pub(super) fn answer_after(&self, answer: Answer, before: impl FnOnce()) -> bool {
        if self.answered.swap(true, Ordering::AcqRel) {
            return false;
        }
        before();
        let response = match answer {
            Answer::Allow => libc::FAN_ALLOW,
            Answer::Deny => libc::FAN_DENY,
        };
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.file.as_raw_fd().to_ne_bytes());
        bytes[4..].copy_from_slice(&response.to_ne_bytes());
        // SAFETY: eight bytes that are there, and a descriptor that is open as long as `group` is.
        let written = unsafe { libc::write(self.group.0.as_raw_fd(), bytes.as_ptr().cast(), 8) };
        if written != 8 {
            // Who waited has been killed: there is nobody to be answered.
            tracing::debug!(error = %io::Error::last_os_error(), "an answer of the gate");
        }
        true
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.answer(Answer::Allow);
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Group {
    pub(super) fn open() -> io::Result<Self> {
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let mode = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE | libc::O_NOATIME;
        let mode = libc::c_uint::try_from(mode).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: plain system call; the result is checked before use.
        let fd = unsafe { libc::fanotify_init(flags, mode) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Asks about the whole file system behind `path` from now on.
    pub(super) fn ask_about(&self, path: &Path, operations: Operations) -> io::Result<()> {
        let mut mask = 0;
        if operations.contains(Operations::EXEC) {
            mask |= libc::FAN_OPEN_EXEC_PERM;
        }
        if operations.contains(Operations::OPEN) {
            mask |= libc::FAN_OPEN_PERM;
        }
        self.mark(libc::FAN_MARK_FILESYSTEM, mask, path)
    }

    fn mark(&self, flags: libc::c_uint, mask: u64, path: &Path) -> io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: `path` is a C string that outlives the call; the group's descriptor is open.
        let result = unsafe {
            let flags = libc::FAN_MARK_ADD | flags;
            libc::fanotify_mark(self.0.as_raw_fd(), flags, mask, libc::AT_FDCWD, path.as_ptr())
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes the questions that wait; `None` when the kernel could not open the file of one, and
    /// has denied it itself.
    pub(super) fn questions(self: &Arc<Self>) -> io::Result<Option<Vec<Question>>> {
        let mut bytes = [0_u8; BUFFER];
        // SAFETY: the buffer and its size; the descriptor is open as long as self lives.
        let read =
            unsafe { libc::read(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(read) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(Some(Vec::new())),
                // What is wrong with the group or the call; all else is about one file.
                Some(libc::EBADF | libc::EFAULT | libc::EINVAL) => Err(error),
                _ => {
                    tracing::debug!(%error, "a file that the gate was to look at");
                    Ok(None)
                }
            };
        };
        let mut rest = &bytes[..read];
        let mut questions = Vec::new();
        while let Some((question, length)) = self.question(rest)? {
            questions.extend(question);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(Some(questions))
    }

    /// The first of what was read, and its length.
    fn question(self: &Arc<Self>, bytes: &[u8]) -> io::Result<Option<(Option<Question>, usize)>> {
        let Some(bytes) = bytes.first_chunk::<METADATA_BYTES>() else { return Ok(None) };
        if bytes[4] != VERSION {
            return Err(io::Error::other("this kernel's fanotify speaks another version"));
        }
        let int = |at: usize| bytes[at..].first_chunk().map_or(-1, |b| i32::from_ne_bytes(*b));
        let mask = bytes[8..].first_chunk().map_or(0, |b| u64::from_ne_bytes(*b));
        let (length, fd, pid) = (int(0), int(16), int(20));
        let length = usize::try_from(length).unwrap_or(0).max(METADATA_BYTES);
        if fd < 0 {
            // The queue overflowed: that is not about any file, and nobody waits.
            return Ok(Some((None, length)));
        }
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let operation =
            if mask & libc::FAN_OPEN_EXEC_PERM != 0 { Operations::EXEC } else { Operations::OPEN };
        let (pid, group) = (u32::try_from(pid).unwrap_or(0), Arc::clone(self));
        let answered = AtomicBool::new(false);
        Ok(Some((Some(Question { file, pid, operation, group, answered }), length)))
    }
}

/// Asks about a file in memory that only this process can reach.
pub(super) fn trial() -> io::Result<()> {
    let group = Group::open()?;
    let name = c"metsuke-gate";
    // SAFETY: a string that ends with NUL and outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    group.mark(0, libc::FAN_OPEN_EXEC_PERM, Path::new(&path))
}

/// Waits until one of `fds` can be read, at most `timeout_ms`; tells of each whether it can.
pub(super) fn wait_readable(fds: [BorrowedFd<'_>; 2], timeout_ms: i32) -> [bool; 2] {
    let mut polls =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // SAFETY: two pollfds, and we say two.
    let ready = unsafe { libc::poll(polls.as_mut_ptr(), 2, timeout_ms) };
    polls.map(|poll| ready > 0 && poll.revents != 0)
}

/// Nanoseconds since boot, as the kernel's records tell them.
pub(super) fn boot_nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one timespec of ours, which outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000) + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Lets this process have as many files open as it wants, as far as it may.
pub(super) fn room_for_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one rlimit of ours, which outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_cur.max(FILES.min(limit.rlim_max));
    // SAFETY: one rlimit of ours, which outlives the call.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel end this process when the thread that started it ends.
pub(super) fn end_with_parent() -> io::Result<()> {
    // SAFETY: plain system call with integers.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
