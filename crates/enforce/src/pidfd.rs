//! A handle on one process that no other can take the place of (`pidfd_open(2)`, Linux 5.3).
#![expect(
    unsafe_code,
    reason = "the system calls have no safe wrapper in std; each block says why it is sound"
)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End at once.
    Kill,
    /// Hold still.
    Stop,
    /// Go on.
    Continue,
}

/// The handle.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// Opens the process that has `pid` now.
    ///
    /// # Errors
    /// `ESRCH` when there is none; `EMFILE` when no descriptor is left.
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends `signal` to the process, and to no other.
    ///
    /// # Errors
    /// `ESRCH` when it has ended.
    pub fn send(&self, signal: Signal) -> io::Result<()> {
        let number = match signal {
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open as long as self lives; a null siginfo is allowed.
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), number, info, 0)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until the process has ended; false when it has not within `limit`.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, and we say one.
        match unsafe { libc::poll(&raw mut poll, 1, timeout) } {
            result if result < 0 => Err(io::Error::last_os_error()),
            result => Ok(result > 0),
        }
    }
}
