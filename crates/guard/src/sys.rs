//! The system calls of this crate that have no safe wrapper in std. All `unsafe` stands here.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn pid_of(pid: u32) -> io::Result<libc::pid_t> {
    libc::pid_t::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Takes leave of a child that has ended; `None` when it runs.
///
/// # Errors
/// `ECHILD` when it is no child of ours.
pub(crate) fn reap(pid: u32) -> io::Result<Option<End>> {
    let mut status = 0;
    // SAFETY: `status` is a valid int that outlives the call.
    let found = checked(unsafe { libc::waitpid(pid_of(pid)?, &raw mut status, libc::WNOHANG) })?;
    if found == 0 {
        return Ok(None);
    }
    Ok(Some(if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Code(libc::WEXITSTATUS(status))
    }))
}

/// Sends a signal to a child that was not reaped yet, whose pid is therefore still its own.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn signal_child(pid: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    checked(unsafe { libc::kill(pid_of(pid)?, signal) }).map(drop)
}

/// Sends SIGHUP to the process that has `pid` now, if `is_it` says so of it: it cannot be another
/// one's by then.
///
/// # Errors
/// `ESRCH` when there is none, or it is not the one that is meant.
pub fn hang_up(pid: u32, is_it: impl FnOnce() -> bool) -> io::Result<()> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid_of(pid)?, 0) };
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    let fd = checked(fd)?;
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if !is_it() {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), libc::SIGHUP, info, 0)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs `note` with the sender's process id (0: the kernel) whenever `signal` comes, besides what
/// else is done about it.
///
/// # Errors
/// When the signal cannot be handled.
pub(crate) fn on_signal(
    signal: libc::c_int,
    note: impl Fn(u32) + Send + Sync + 'static,
) -> io::Result<()> {
    let action = move |info: &libc::siginfo_t| {
        // SAFETY: for a signal that a process sent the kernel fills this member; for others it is
        // a number without meaning, told apart by the code.
        let pid = if info.si_code <= 0 { unsafe { info.si_pid() } } else { 0 };
        note(u32::try_from(pid).unwrap_or(0));
    };
    // SAFETY: `note` stores into atomics only (see `senders`), which a handler may do.
    unsafe { signal_hook_registry::register_sigaction(signal, action) }.map(drop)
}

/// Waits until one of `fds` can be read or was hung up, a signal came, or `timeout_ms` is over;
/// tells which can be read.
pub(crate) fn wait_readable(fds: &[BorrowedFd<'_>], timeout_ms: i32) -> Vec<bool> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
    // SAFETY: `polled` is an array of `count` pollfds that outlives the call. An error (a signal)
    // leaves revents at 0: nothing can be read.
    let _ = unsafe { libc::poll(polled.as_mut_ptr(), count, timeout_ms) };
    polled.iter().map(|fd| fd.revents != 0).collect()
}

/// Makes reads of `fd` return at once when there is nothing.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl on an open descriptor with integer arguments.
    let flags = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })
        .map(drop)
}

/// Lets `fd` survive an exec of this process.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn keep_over_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl on an open descriptor with integer arguments.
    checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }).map(drop)
}

/// A descriptor that was handed over by number; closed on exec from now on.
///
/// # Errors
/// When there is no such descriptor.
pub(crate) fn adopt(fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on a number; a wrong one is refused.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: it is open, and was named to us as ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Moves a standard descriptor (0 or 1) to one of our own, and puts `/dev/null` in its place, so
/// that no child inherits it.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn take_standard(fd: i32) -> io::Result<OwnedFd> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: fcntl on a number; a closed one is refused.
    let own = checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    let own = unsafe { OwnedFd::from_raw_fd(own) };
    // SAFETY: both are open descriptors; std's own handles of 0 and 1 are numbers that stay valid.
    checked(unsafe { libc::dup2(null.as_raw_fd(), fd) })?;
    Ok(own)
}

/// The user at the other end of a local socket.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn peer_user(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut who = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: `who` is a ucred and `size` its size; both outlive the call.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut who).cast(),
            &raw mut size,
        )
    })?;
    Ok(who.uid)
}

/// This process's effective user.
pub fn own_user() -> u32 {
    // SAFETY: geteuid always succeeds and touches no memory.
    unsafe { libc::geteuid() }
}

/// Nanoseconds since boot, suspension included (`CLOCK_BOOTTIME`).
pub fn since_boot_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } != 0 {
        return 0;
    }
    let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}

/// `struct __user_cap_header_struct` and `__user_cap_data_struct` (capget(2)).
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words of 32.
const CAP_VERSION: u32 = 0x2008_0522;

/// Effective and permitted capabilities of the calling thread.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn capabilities() -> io::Result<(u64, u64)> {
    let mut header = CapHeader { version: CAP_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and two words of data, as version 3 asks for; both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((join(data[0].effective, data[1].effective), join(data[0].permitted, data[1].permitted)))
}

/// Sets effective and permitted capabilities of the calling thread to `set`, inheritable to none.
///
/// # Errors
/// When the kernel refuses: nothing can be gained.
pub(crate) fn set_capabilities(set: u64) -> io::Result<()> {
    let mut header = CapHeader { version: CAP_VERSION, pid: 0 };
    let word = |shift: u32| {
        let bits = u32::try_from(set >> shift & u64::from(u32::MAX)).unwrap_or(0);
        CapData { effective: bits, permitted: bits, inheritable: 0 }
    };
    let data = [word(0), word(32)];
    // SAFETY: as in `capabilities`; the kernel only reads the data.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes one capability out of the bounding set of the calling thread.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`; `EINVAL` when the kernel has no such capability.
pub(crate) fn drop_bound(capability: u32) -> io::Result<()> {
    // SAFETY: prctl with integers only.
    checked(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) })
        .map(drop)
}

/// No program that is run from here on gains privileges by its file.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: prctl with integers only.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as libc::c_ulong, 0, 0, 0) })
        .map(drop)
}

/// A fanotify group that names folders and files, without a right to permit anything.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`.
pub(crate) fn fanotify() -> io::Result<OwnedFd> {
    let flags =
        libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME;
    // SAFETY: plain system call; the result is checked before use.
    let fd = checked(unsafe { libc::fanotify_init(flags, libc::O_RDONLY.cast_unsigned()) })?;
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Watches the folder `path` and what lies directly in it.
///
/// # Errors
/// When it does not exist, or its file system has no handles.
pub(crate) fn mark(group: BorrowedFd<'_>, mask: u64, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that outlives the call; the group's descriptor is open.
    checked(unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD,
            mask | libc::FAN_EVENT_ON_CHILD | libc::FAN_ONDIR,
            libc::AT_FDCWD,
            path.as_ptr(),
        )
    })
    .map(drop)
}

/// The kernel's handle of a folder: type and bytes, as fanotify reports it.
///
/// # Errors
/// When it does not exist, or its file system has no handles.
pub(crate) fn handle(path: &Path) -> io::Result<Vec<u8>> {
    const MAX: u64 = 128;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut aligned = [0_u64; 17];
    // struct file_handle begins with the room behind it; 16 words follow the head.
    aligned[0] = MAX;
    let mut mount = 0;
    // SAFETY: `aligned` is a file_handle with MAX bytes of room; `path` and `mount` outlive the call.
    checked(unsafe {
        libc::name_to_handle_at(
            libc::AT_FDCWD,
            path.as_ptr(),
            aligned.as_mut_ptr().cast(),
            &raw mut mount,
            0,
        )
    })?;
    let bytes: Vec<u8> = aligned.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let size = bytes.first_chunk::<4>().map_or(0, |size| u32::from_ne_bytes(*size));
    let end = 8 + usize::try_from(size).unwrap_or(0);
    bytes.get(4..end).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
