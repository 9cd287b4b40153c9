//! One deed by direct system calls; ends with the error's number, 0 for done.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Does the deed named first.
pub(crate) fn main(arguments: &[String]) -> u8 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["open", path] => File::open(path).map(drop),
        ["map", path] => map(path),
        ["protect", path] => protect(Some(path)),
        ["protect-anonymous"] => protect(None),
        ["start", path] => start(path),
        ["memfd", path] => memfd(path),
        ["connect", to] => TcpStream::connect(to).map(drop),
        ["send", to] => send(to),
        ["module", path] => module(path),
        ["module-compressed", path] => module_compressed(path),
        ["module-and-away", path] => module(path).and_then(|()| unload("dummy")),
        ["module-from-memory", path] => module_from_memory(path),
        ["ptrace", pid] => ptrace(pid.parse().unwrap_or(0)),
        ["bpf"] => bpf(),
        ["wait"] => wait(),
        ["write", path, text] => std::fs::write(path, text),
        ["append", path, text] => append(path, text),
        ["remove", path] => std::fs::remove_file(path),
        ["audit", user, address] => audit(user, address),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            let number = error.raw_os_error().and_then(|number| u8::try_from(number).ok());
            number.unwrap_or(255)
        }
    }
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Waits for the end of standard input.
fn wait() -> io::Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

fn append(path: &str, text: &str) -> io::Result<()> {
    std::fs::OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())
}

/// Tells the audit subsystem, as sshd does, that `user` was refused (netlink(7), linux/audit.h).
fn audit(user: &str, address: &str) -> io::Result<()> {
    const NETLINK_AUDIT: libc::c_int = 9;
    const USER_LOGIN: u16 = 1112;
    const REQUEST: u16 = 1;
    const HEADER: usize = 16;
    let text = format!(
        "op=login acct=\"{user}\" exe=\"/usr/sbin/sshd\" hostname=? addr={address} \
         terminal=ssh res=failed\0"
    );
    let length = u32::try_from(HEADER + text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(USER_LOGIN.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(text.as_bytes());
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: plain system call; the result is checked before use.
    let fd = checked(unsafe { libc::socket(libc::AF_NETLINK, kind, NETLINK_AUDIT) }.into())?;
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a buffer of the length given that outlives the call.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
    checked(i64::try_from(sent).unwrap_or(-1)).map(drop)
}

fn map(path: &str) -> io::Result<()> {
    let file = File::open(path)?;
    let (access, kind) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
    // SAFETY: a new private mapping of a file that is open, where the kernel chooses; not used.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Maps without the right to execute, a file or memory of no file, and takes that right later.
fn protect(path: Option<&str>) -> io::Result<()> {
    let file = path.map(File::open).transpose()?;
    let (fd, kind) = match &file {
        Some(file) => (file.as_raw_fd(), libc::MAP_PRIVATE),
        None => (-1, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS),
    };
    // SAFETY: a new private mapping where the kernel chooses; nothing else uses it.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, kind, fd, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping made above, whole.
    checked(unsafe { libc::mprotect(at, 4096, libc::PROT_READ | libc::PROT_EXEC) }.into()).map(drop)
}

/// Has another process do something: execute this file.
fn start(path: &str) -> io::Result<()> {
    std::process::Command::new(path).status().map(drop)
}

/// Executes a copy that lives in memory only.
fn memfd(path: &str) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let name = CString::new("copy")?;
    // SAFETY: a string that ends with NUL and outlives the call.
    let fd = checked(unsafe { libc::memfd_create(name.as_ptr(), 0) }.into())?;
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(&bytes)?;
    // A descriptor for writing would make it busy.
    let reading = File::open(format!("/proc/self/fd/{fd}"))?;
    drop(file);
    let arguments = [name.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null()];
    // SAFETY: both lists end with NULL, their strings with NUL; all outlive the call.
    unsafe { libc::fexecve(reading.as_raw_fd(), arguments.as_ptr(), environment.as_ptr()) };
    Err(io::Error::last_os_error())
}

fn send(to: &str) -> io::Result<()> {
    let local = if to.starts_with('[') { "[::1]:0" } else { "127.0.0.1:0" };
    UdpSocket::bind(local)?.send_to(b"x", to).map(drop)
}

fn module(path: &str) -> io::Result<()> {
    load(path, 0)
}

/// Leaves the decompressing to the kernel (`MODULE_INIT_COMPRESSED_FILE`, Linux 5.17).
fn module_compressed(path: &str) -> io::Result<()> {
    load(path, 4)
}

fn load(path: &str, flags: libc::c_int) -> io::Result<()> {
    let file = File::open(path)?;
    let nothing = CString::default();
    // SAFETY: an open file, and a string that ends with NUL.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), nothing.as_ptr(), flags) };
    checked(result).map(drop)
}

fn module_from_memory(path: &str) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let nothing = CString::default();
    // SAFETY: the bytes and their length, and a string that ends with NUL.
    let result = unsafe {
        libc::syscall(libc::SYS_init_module, bytes.as_ptr(), bytes.len(), nothing.as_ptr())
    };
    checked(result).map(drop)
}

/// Removes a module.
pub(crate) fn unload(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: a string that ends with NUL.
    let result = unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) };
    checked(result).map(drop)
}

fn ptrace(pid: i32) -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: attaching touches no memory of ours.
    checked(unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid, nothing, nothing) })?;
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
    // SAFETY: as above.
    checked(unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, nothing, nothing) }).map(drop)
}

/// `union bpf_attr` as far as loading a program uses it (linux/bpf.h).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    rest: [u64; 13],
}

/// Loads a program that returns 0.
fn bpf() -> io::Result<()> {
    const PROG_LOAD: libc::c_int = 5;
    /// `r0 = 0; exit`.
    const PROGRAM: [u64; 2] = [0xb7, 0x95];
    let license = CString::new("GPL")?;
    let attributes = Attributes {
        kind: 1, // socket filter
        count: 2,
        instructions: PROGRAM.as_ptr() as u64,
        license: license.as_ptr() as u64,
        rest: [0; 13],
    };
    // SAFETY: the attributes with their size; what they point to outlives the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attributes, size_of::<Attributes>())
    };
    checked(result).map(drop)
}
