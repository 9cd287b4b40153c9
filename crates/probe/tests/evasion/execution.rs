//! Executions that look like something else, or like nothing.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use metsuke_event::{Activity, Kind};

use crate::program::{
    answer, answered, bytes, c, exec, executed, install, pid, run, sha256, start, tiny,
};
use crate::support::actor::{Actor, call};
use crate::support::{Group, Shown, Table, Watch, pid_is, row};

const LOADER: &CStr = c"/lib64/ld-linux-x86-64.so.2";

#[test]
fn memfd_and_fexecve() {
    let test = "memfd_and_fexecve";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        bytes(run(|| {
            let fd = call(libc::SYS_memfd_create, [c"".as_ptr() as u64, 0, 0, 0, 0, 0]);
            let program = tiny();
            let fd = fd.cast_unsigned();
            call(libc::SYS_write, [fd, program.as_ptr() as u64, program.len() as u64, 0, 0, 0]);
            let args = [c"[kworker/0:1]".as_ptr(), std::ptr::null()];
            let none = [std::ptr::null::<u8>()];
            let empty = u64::try_from(libc::AT_EMPTY_PATH).unwrap();
            let (args, none) = (args.as_ptr() as u64, none.as_ptr() as u64);
            call(libc::SYS_execveat, [fd, c"".as_ptr() as u64, args, none, empty, 0]);
        }))
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    assert_eq!(event.process.exe_kind.as_deref(), Some("memfd"));
    assert_eq!(event.process.cmd_line.as_deref(), Some("[kworker/0:1]"));
    watch.of(Kind::MemoryFile, "the file in memory", |event| pid_is(event, pid));
    actor.end();
    let reason = "memory.create_file, then process.exec with origin memfd";
    row(Table::Evasion, "memfd and fexecve", Shown::Seen, reason);
}

#[test]
fn loader_called_directly() {
    let test = "loader_called_directly";
    let Some(group) = Group::make(test) else { return };
    if !Path::new(LOADER.to_str().unwrap()).exists() {
        eprintln!("NOT RUN: {test}: there is no {LOADER:?}");
        return;
    }
    let mut actor =
        Actor::fork(&group, || bytes(run(|| exec(LOADER, &[LOADER, c"/bin/true"], &[]))));
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    assert!(event.process.exe.as_deref().unwrap().contains("/ld-linux"), "{event:?}");
    assert!(event.process.cmd_line.as_deref().unwrap().ends_with("/bin/true"), "{event:?}");
    let really = fs::canonicalize("/bin/true").unwrap();
    watch.of(Kind::ImageLoad, "the program as an image", |event| {
        matches!(&event.activity, Activity::Module(_, module)
            if module.path.as_deref() == really.to_str())
    });
    actor.end();
    let reason =
        "process.exec of the loader with the program as its argument, and image.load of it";
    row(Table::Evasion, "direct ld.so", Shown::Seen, reason);
}

#[test]
fn shebang_chain() {
    let test = "shebang_chain";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    install(&base.join("inner"), b"#!/bin/sh\nexit 0\n");
    install(&base.join("outer"), format!("#!{}\n", base.join("inner").display()).as_bytes());
    let outer = c(&base.join("outer"));
    let mut actor = Actor::fork(&group, || bytes(run(|| exec(&outer, &[c"ls"], &[]))));
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    let shell = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(event.process.exe.as_deref(), shell.to_str(), "{event:?}");
    let line = event.process.cmd_line.as_deref().unwrap();
    for script in ["inner", "outer"] {
        assert!(line.contains(base.join(script).to_str().unwrap()), "{line}");
    }
    actor.end();
    let reason = "process.exec of the interpreter, with every script of the chain in its arguments";
    row(Table::Evasion, "shebang chain", Shown::Seen, reason);
}

#[test]
fn static_binary() {
    let test = "static_binary";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("static");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || bytes(run(|| exec(&program, &[c"sshd: x"], &[]))));
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    assert_eq!(event.process.exe.as_deref(), path.to_str());
    assert_eq!(event.process.sha256.as_deref(), Some(sha256(&tiny()).as_str()));
    let exit = watch.of(Kind::ProcessExit, "its end", |event| pid_is(event, pid));
    assert_eq!(exit.process.exit_code, Some(0));
    actor.end();
    let reason = "process.exec with path and hash; no library of the process is involved";
    row(Table::Evasion, "static binary", Shown::Seen, reason);
}

#[test]
fn double_fork() {
    let test = "double_fork";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("daemon");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: the descriptor is new and ours alone.
        let mut told = fs::File::from(unsafe { OwnedFd::from_raw_fd(ends[0]) });
        let middle = start(|| {
            // SAFETY: plain calls.
            let parent = unsafe {
                libc::setsid();
                libc::getpid()
            };
            start(|| {
                // SAFETY: plain calls, and a buffer of the length given.
                unsafe {
                    let me = libc::getpid().to_ne_bytes();
                    while libc::getppid() == parent {
                        libc::sched_yield();
                    }
                    libc::write(ends[1], me.as_ptr().cast(), me.len());
                }
                exec(&program, &[c"daemon"], &[]);
            });
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(0) };
        });
        // SAFETY: our own child; and a descriptor that is used no more.
        unsafe {
            libc::waitpid(middle, std::ptr::null_mut(), 0);
            libc::close(ends[1]);
        }
        let mut daemon = Vec::new();
        told.read_to_end(&mut daemon).unwrap();
        [bytes(middle), daemon].concat()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let answer = actor.act();
    let (middle, daemon) = (pid(&answer[..4]), pid(&answer[4..]));
    let fork = watch.of(Kind::ProcessFork, "the first fork", |event| pid_is(event, middle));
    let event = executed(&mut watch, daemon);
    assert_eq!(event.process.parent_pid, Some(u64::from(middle)), "not the one that adopted it");
    assert!(event.process.storyline.is_some());
    assert_eq!(event.process.storyline, fork.process.storyline);
    actor.end();
    let reason = "process.exec with the parent it had, on the storyline of who began it";
    row(Table::Evasion, "double fork", Shown::Seen, reason);
}

/// `struct clone_args`, up to the pid that is asked for.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
}

/// Ticks since boot, as starts of processes are counted.
fn ticks() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec * 100 + time.tv_nsec / 10_000_000
}

/// Two processes with one pid; another process may take the pid in between, so it tries again.
fn twice(program: &CStr) -> std::io::Result<libc::pid_t> {
    const TRIES: usize = 50;
    let mut last = 0;
    for _ in 0..TRIES {
        let first = run(|| exec(program, &[c"first"], &[]));
        let then = ticks();
        while ticks() < then + 2 {
            // SAFETY: a plain call.
            unsafe { libc::sched_yield() };
        }
        let set = [first];
        let arguments = CloneArgs {
            exit_signal: u64::try_from(libc::SIGCHLD).unwrap(),
            set_tid: set.as_ptr() as u64,
            set_tid_size: 1,
            ..CloneArgs::default()
        };
        let size = size_of::<CloneArgs>() as u64;
        let arguments = (&raw const arguments) as u64;
        let second = call(libc::SYS_clone3, [arguments, size, 0, 0, 0, 0]);
        match second {
            0 => {
                exec(program, &[c"second"], &[]);
                // SAFETY: ends this process at once.
                unsafe { libc::_exit(99) };
            }
            1.. => {
                // SAFETY: our own child.
                unsafe { libc::waitpid(first, std::ptr::null_mut(), 0) };
                return Ok(first);
            }
            error => last = i32::try_from(-error).unwrap(),
        }
        if last != libc::EEXIST {
            break;
        }
    }
    Err(std::io::Error::from_raw_os_error(last))
}

#[test]
fn pid_reuse() {
    let test = "pid_reuse";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("again");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || answer(twice(&program)));
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Some(pid) = answered(test, &actor.act()) else { return };
    let mut named = |name: &str| {
        watch.of(Kind::ProcessExec, name, |event| {
            pid_is(event, pid) && event.process.cmd_line.as_deref() == Some(name)
        })
    };
    let (first, second) = (named("first"), named("second"));
    assert_ne!(first.process.uid, second.process.uid);
    assert!(first.process.start_time < second.process.start_time);
    actor.end();
    let reason = "two identities: boot, pid and start; only two starts within one clock tick \
                  (10 ms) would share one";
    row(Table::Evasion, "pid reuse", Shown::Seen, reason);
}

#[test]
fn preload_in_the_environment() {
    let test = "preload_in_the_environment";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        bytes(run(|| exec(c"/bin/true", &[c"true"], &[c"LD_PRELOAD=libm.so.6", c"A=1"])))
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    assert_eq!(event.process.environment.as_deref(), Some("LD_PRELOAD=libm.so.6"));
    watch.of(Kind::ImageLoad, "the library", |event| {
        matches!(&event.activity, Activity::Module(_, module)
            if module.path.as_deref().is_some_and(|path| path.contains("/libm.so")))
    });
    actor.end();
    let reason = "process.exec with the LD_ variables, and image.load of the library";
    row(Table::Evasion, "LD_PRELOAD", Shown::Seen, reason);
}

#[test]
fn preload_behind_a_long_environment() {
    let test = "preload_behind_a_long_environment";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        bytes(run(|| {
            let long = CString::new(format!("A={}", "x".repeat(64 << 10))).unwrap();
            exec(c"/bin/true", &[c"true"], &[&long, c"LD_PRELOAD=libm.so.6"]);
        }))
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    watch.of(Kind::ImageLoad, "the library", |event| {
        matches!(&event.activity, Activity::Module(_, module)
            if module.path.as_deref().is_some_and(|path| path.contains("/libm.so")))
    });
    actor.end();
    assert_eq!(event.process.environment.as_deref(), Some("LD_PRELOAD=libm.so.6"));
    let name = "LD_PRELOAD behind a long environment";
    row(Table::Evasion, name, Shown::Seen, "process.exec with the variable, and image.load");
}

/// Runs a program that lives on with `before` in its environment and then `LD_PRELOAD`; what was told
/// of its environment.
fn preloaded_behind(
    group: &Group,
    test: &str,
    before: impl FnOnce() -> Vec<CString>,
) -> Option<String> {
    let mut actor = Actor::fork(group, || {
        bytes(start(|| {
            let before = before();
            let mut environment: Vec<&CStr> = before.iter().map(CString::as_c_str).collect();
            environment.push(c"LD_PRELOAD=libm.so.6");
            exec(c"/bin/sleep", &[c"sleep", c"600"], &environment);
        }))
    });
    let mut watch = Watch::tracing(group, test)?;
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    watch.of(Kind::ImageLoad, "the library", |event| {
        matches!(&event.activity, Activity::Module(_, module)
            if module.path.as_deref().is_some_and(|path| path.contains("/libm.so")))
    });
    // SAFETY: a plain call; the process is the actor's child, which was told to be there.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) }, 0);
    actor.end();
    Some(event.process.environment.as_deref().unwrap_or_default().to_owned())
}

/// What the kernel's program does not come to is read while the process lives.
#[test]
fn preload_behind_many_variables() {
    let test = "preload_behind_many_variables";
    let Some(group) = Group::make(test) else { return };
    let before = || vec![c"A=1".to_owned(); 2_100];
    let Some(told) = preloaded_behind(&group, test, before) else { return };
    assert_eq!(told, "LD_PRELOAD=libm.so.6 (the rest was read later)");
    let name = "LD_PRELOAD behind 2,100 variables";
    let reason = "process.exec with the variable, which is read from /proc when the kernel's program has \
                  not come to it; of a process that has ended by then, or has gone on to another \
                  program, it says that not all was read; image.load";
    row(Table::Evasion, name, Shown::Seen, reason);
}

#[test]
fn preload_behind_other_variables_of_the_loader() {
    let test = "preload_behind_other_variables_of_the_loader";
    let Some(group) = Group::make(test) else { return };
    let before = || {
        let other = CString::new(format!("LD_X={}", "x".repeat(1_000))).unwrap();
        vec![other; 9]
    };
    let Some(told) = preloaded_behind(&group, test, before) else { return };
    let end = " LD_PRELOAD=libm.so.6 (the rest was read later, not all was kept)";
    assert!(told.starts_with("LD_X=x") && told.ends_with(end), "{told}");
    let name = "LD_PRELOAD behind other LD_ variables";
    let reason = "process.exec with the variable, whatever others there are; image.load";
    row(Table::Evasion, name, Shown::Seen, reason);
}

#[test]
fn other_content_in_a_program_that_is_known() {
    let test = "other_content_in_a_program_that_is_known";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("program");
    let content = |last: u8| [tiny(), vec![last]].concat();
    install(&path, &content(b'a'));
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    for last in [b'a', b'b'] {
        // The same file, as long as it was; at first it is as it was installed, long enough ago.
        if last == b'b' {
            fs::write(&path, content(last)).unwrap();
        }
        let expected = sha256(&content(last));
        for _ in 0..3 {
            let mut child = group.command(path.to_str().unwrap(), &[]).spawn().unwrap();
            assert!(child.wait().unwrap().success());
            let event = executed(&mut watch, child.id());
            assert_eq!(event.process.sha256.as_deref(), Some(expected.as_str()));
        }
    }
    let reason = "process.exec with the hash of what was run, each time";
    row(Table::Evasion, "known program overwritten in place", Shown::Seen, reason);
}

#[test]
fn another_name_by_prctl() {
    let test = "another_name_by_prctl";
    let Some(group) = Group::make(test) else { return };
    let me = std::env::current_exe().unwrap();
    let mut actor = Actor::fork(&group, || {
        let name = c"kworker/0:1".as_ptr() as u64;
        let set = u64::try_from(libc::PR_SET_NAME).unwrap();
        assert_eq!(call(libc::SYS_prctl, [set, name, 0, 0, 0, 0]), 0);
        Vec::new()
    });
    let pid = actor.pid();
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let event = watch.of(Kind::ProcessRename, "the new name", |event| pid_is(event, pid));
    assert_eq!(event.process.exe.as_deref(), me.to_str(), "the executable is what it was");
    actor.end();
    let reason = "process.rename; the path stays that of the execution";
    row(Table::Evasion, "name of a kernel thread taken by prctl", Shown::Seen, reason);
}
