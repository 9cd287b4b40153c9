//! Programs to run, and running them, by system calls alone.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use metsuke_event::{Event, Kind};

use crate::support::{Watch, pid_is};

/// The whole of a statically linked program that ends with status 0: ELF header, one segment, and
/// `mov eax, 60; xor edi, edi; syscall`.
pub(crate) fn tiny() -> Vec<u8> {
    const START: u64 = 0x40_0000;
    const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    const HEADERS: u64 = 64 + 56;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_EXEC, x86-64, version 1.
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    elf.extend((START + HEADERS).to_le_bytes());
    elf.extend(64_u64.to_le_bytes());
    elf.extend([0; 12]);
    // Sizes of this header and of the one segment's; no sections.
    elf.extend([64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable, the whole file.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = HEADERS + CODE.len() as u64;
    for number in [0, START, START, size, size, 0x1000] {
        elf.extend(number.to_le_bytes());
    }
    elf.extend(CODE);
    elf
}

/// Writes an executable file.
pub(crate) fn install(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// Becomes `path`; comes back only when that is refused.
pub(crate) fn exec(path: &CStr, args: &[&CStr], environment: &[&CStr]) {
    let ended = |texts: &[&CStr]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, environment) = (ended(args), ended(environment));
    // SAFETY: texts with their NUL, and lists of them that end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), environment.as_ptr()) };
}

/// Forks a child that does `body`, which ends in an execution, and waits for its end.
pub(crate) fn run(body: impl FnOnce()) -> libc::pid_t {
    let pid = start(body);
    let mut status = 0;
    // SAFETY: our own child and a valid place.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert!(ended == pid && status == 0, "status {status:#x}");
    pid
}

/// Forks a child that does `body`, which ends in an execution.
pub(crate) fn start(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: within an actor, which has one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        body();
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(99) };
    }
    pid
}

/// A pid as an actor answers it, and read again.
pub(crate) fn bytes(pid: libc::pid_t) -> Vec<u8> {
    pid.to_ne_bytes().to_vec()
}

pub(crate) fn pid(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes.try_into().unwrap())
}

/// The execution that the process `pid` did last.
pub(crate) fn executed(watch: &mut Watch, pid: u32) -> Event {
    watch.of(Kind::ProcessExec, "the execution", |event| pid_is(event, pid))
}

/// By another program's reckoning.
pub(crate) fn sha256(content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, content).unwrap();
    let output = Command::new("sha256sum").arg(&path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

/// Runs what needs privileges that this machine may refuse; the refusal is the actor's answer.
pub(crate) fn answer(result: std::io::Result<libc::pid_t>) -> Vec<u8> {
    match result {
        Ok(pid) => bytes(pid),
        Err(error) => format!("refused: {error}").into_bytes(),
    }
}

/// The pid in an actor's answer; without one a NOT RUN line.
pub(crate) fn answered(test: &str, answer: &[u8]) -> Option<u32> {
    if answer.len() == 4 {
        return Some(pid(answer));
    }
    eprintln!("NOT RUN: {test}: {}", String::from_utf8_lossy(answer));
    None
}
