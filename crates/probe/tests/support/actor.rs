//! A process that does what a test says, by direct system calls, once the probe knows it.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Group;

/// A process in a group: it waits, acts when told to, and lives on until its end is asked for.
pub(crate) struct Actor {
    pid: libc::pid_t,
    orders: Option<fs::File>,
    answers: fs::File,
}

impl Actor {
    /// Forks one that will do `act`. Start the watch after this, so that the probe knows it from
    /// the beginning. `act` runs in a copy of this process that has one thread: system calls only,
    /// and what it answers is the bytes that `acted` gives.
    pub(crate) fn fork(group: &Group, act: impl FnOnce() -> Vec<u8>) -> Self {
        let procs = CString::new(group.0.join("cgroup.procs").as_os_str().as_bytes()).unwrap();
        let (mut orders, order) = pipe();
        let (answers, mut answer) = pipe();
        // SAFETY: the child does plain system calls and what `act` does, then ends; of the memory
        // it copies it uses only its own stack and what glibc makes whole after a fork.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid != 0 {
            drop((orders, answer));
            let mut actor = Self { pid, orders: Some(order), answers };
            let mut entered = [0];
            actor.answers.read_exact(&mut entered).unwrap();
            return actor;
        }
        drop((order, answers));
        let done = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: a valid path; the descriptor is used and closed here only.
            unsafe {
                let fd = libc::open(procs.as_ptr(), libc::O_WRONLY);
                assert!(fd >= 0 && libc::write(fd, c"0".as_ptr().cast(), 1) == 1);
                libc::close(fd);
            }
            answer.write_all(&[0]).unwrap();
            orders.read_exact(&mut [0]).unwrap();
            let bytes = act();
            answer.write_all(&u32::try_from(bytes.len()).unwrap().to_ne_bytes()).unwrap();
            answer.write_all(&bytes).unwrap();
            orders.read_to_end(&mut Vec::new()).unwrap();
        }));
        // SAFETY: ends this process at once, without what the harness would do at its end.
        unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Lets it act; gives its answer. It lives on.
    pub(crate) fn act(&mut self) -> Vec<u8> {
        self.orders.as_mut().unwrap().write_all(&[0]).unwrap();
        let mut size = [0; 4];
        self.answers.read_exact(&mut size).expect("it acted");
        let mut bytes = vec![0; u32::from_ne_bytes(size) as usize];
        self.answers.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Lets it end.
    pub(crate) fn end(&mut self) {
        if self.orders.take().is_some() {
            let mut status = 0;
            // SAFETY: our own child, and a valid place for its status.
            let ended = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
            assert!(ended == self.pid && status == 0, "the actor: status {status:#x}");
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if self.orders.take().is_some() {
            // SAFETY: our own child, which ends when its orders end; its status is not asked for.
            unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
        }
    }
}

fn pipe() -> (fs::File, fs::File) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are ours alone.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]).into(), OwnedFd::from_raw_fd(ends[1]).into())
    }
}

/// A child of the caller that waits for its end; dropping it ends it. For use within an actor.
pub(crate) struct Victim {
    pub(crate) pid: libc::pid_t,
    _orders: fs::File,
}

impl Victim {
    /// Forks one that first does `before`.
    pub(crate) fn fork(before: impl FnOnce()) -> Self {
        let (mut orders, order) = pipe();
        let (mut answers, mut answer) = pipe();
        // SAFETY: as for actors.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            drop((order, answers));
            before();
            let _ = answer.write_all(&[0]);
            let _ = orders.read_to_end(&mut Vec::new());
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(0) }
        }
        drop((orders, answer));
        answers.read_exact(&mut [0]).unwrap();
        Self { pid, _orders: order }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // SAFETY: a signal to our own child, whose status is then taken.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// The result of a direct system call; the negative error number when it failed.
pub(crate) fn call(number: libc::c_long, arguments: [u64; 6]) -> i64 {
    let of = |index: usize| arguments[index];
    // SAFETY: what the arguments mean and point to is the caller's; every use stands in a test that
    // gives addresses of what outlives the call.
    let result = unsafe { libc::syscall(number, of(0), of(1), of(2), of(3), of(4), of(5)) };
    if result < 0 {
        return -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
    }
    result
}

/// `descriptor` as an argument of a system call.
pub(crate) fn fd(file: &impl AsRawFd) -> u64 {
    u64::from(file.as_raw_fd().cast_unsigned())
}
