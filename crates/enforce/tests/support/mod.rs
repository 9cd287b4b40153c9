//! Deeds by direct system calls, done by processes of a control group.

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Runs `program` after `deed` was done in it, as a process of `group`.
pub(crate) fn run(
    group: &Path,
    program: &Path,
    deed: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<std::process::ExitStatus> {
    let procs = CString::new(group.join("cgroup.procs").to_str().expect("text")).expect("no NUL");
    let mut command = Command::new(program);
    let join = move || {
        // SAFETY: a string that ends with NUL, one byte that is there, our own descriptor.
        let written = unsafe {
            let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            let written = libc::write(fd, b"0".as_ptr().cast(), 1);
            libc::close(fd);
            written
        };
        if written == 1 { deed() } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: only system calls between fork and exec.
    unsafe { command.pre_exec(join) };
    command.status()
}

/// A deed that is none.
#[expect(clippy::unnecessary_wraps, reason = "a deed that is none")]
pub(crate) fn nothing() -> io::Result<()> {
    Ok(())
}

fn socket(kind: libc::c_int) -> io::Result<libc::c_int> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

fn address(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("small"),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    }
}

/// Connects a stream (`SOCK_STREAM`), or sends a datagram without a connect.
pub(crate) fn reach(kind: libc::c_int, port: u16) -> io::Result<()> {
    let (fd, to) = (socket(kind)?, address(port));
    let (at, size) = ((&raw const to).cast(), 16);
    // SAFETY: our own descriptor, an address of 16 bytes and one byte that outlive the calls.
    let result = unsafe {
        if kind == libc::SOCK_STREAM {
            isize::try_from(libc::connect(fd, at, size)).unwrap_or(-1)
        } else {
            libc::sendto(fd, b"x".as_ptr().cast(), 1, 0, at, size)
        }
    };
    let error = io::Error::last_os_error();
    // SAFETY: our own descriptor, not used again.
    unsafe { libc::close(fd) };
    if result < 0 { Err(error) } else { Ok(()) }
}
