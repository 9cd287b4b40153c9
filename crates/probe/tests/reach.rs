//! Processes that reach into others: ptrace, foreign memory, descriptors taken, signals. Done by
//! direct system calls in a control group of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only for system calls without a wrapper"
)]

mod support;

use std::fs;

use metsuke_event::{Activity, Event, Kind, Target};
use support::actor::{Actor, Victim, call, fd};
use support::{Group, Shown, Table, Watch, pid_is, row};

fn target(event: &Event) -> &Target {
    match &event.activity {
        Activity::Target(_, target) => target,
        other => panic!("{other:?}"),
    }
}

fn called(name: &str) -> impl Fn(&Event) -> bool + '_ {
    move |event| target(event).call.as_deref() == Some(name)
}

fn u(value: impl TryInto<u64>) -> u64 {
    value.try_into().ok().unwrap()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from(u32::from_ne_bytes(bytes.try_into().unwrap()))
}

/// The target is the actor's child: the same executable, by its identity.
fn assert_target(event: &Event, actor: &Actor, victim: u64) {
    assert!(pid_is(event, actor.pid()), "{event:?}");
    let me = std::env::current_exe().unwrap();
    assert_eq!(event.process.exe.as_deref(), me.to_str(), "the actor is described");
    let target = target(event);
    assert_eq!(target.pid, Some(victim));
    assert_eq!(target.exe.as_deref(), me.to_str(), "and so is the target");
    assert!(target.uid.as_deref().unwrap().contains(&format!("-{victim}-")));
    assert_eq!(target.user_id, Some(0));
}

static WORD: u64 = 0x1122_3344_5566_7788;

#[test]
fn ptrace_is_told() {
    let test = "ptrace_is_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let victim = Victim::fork(|| ());
        let pid = u(victim.pid);
        let ptrace = |request: u64, address: u64, data: u64| {
            let done = call(libc::SYS_ptrace, [request, pid, address, data, 0, 0]);
            assert_eq!(done, 0, "request {request}");
        };
        ptrace(u(libc::PTRACE_ATTACH), 0, 0);
        // SAFETY: our own child; its status is not asked for.
        unsafe { libc::waitpid(victim.pid, std::ptr::null_mut(), 0) };
        let address = (&raw const WORD) as u64;
        for _ in 0..50 {
            ptrace(u(libc::PTRACE_POKEDATA), address, WORD + 1);
        }
        let mut registers = [0_u64; 27];
        ptrace(u(libc::PTRACE_GETREGS), 0, registers.as_mut_ptr() as u64);
        ptrace(u(libc::PTRACE_SETREGS), 0, registers.as_ptr() as u64);
        ptrace(u(libc::PTRACE_DETACH), 0, 0);
        victim.pid.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let victim = number(&actor.act());
    let event = watch.of(Kind::ProcessAccess, "the attachment", called("ptrace_attach"));
    assert_target(&event, &actor, victim);
    let event = watch.of(Kind::ProcessInject, "the registers", called("ptrace_setregs"));
    assert_target(&event, &actor, victim);
    let event = watch.of(Kind::ProcessInject, "the first word", called("ptrace_poke"));
    assert_target(&event, &actor, victim);
    assert_eq!(target(&event).bytes, Some(8));
    let rest = watch.of(Kind::ProcessInject, "the other words", |event| {
        called("ptrace_poke")(event) && target(event).operations.is_some()
    });
    assert_eq!((target(&rest).operations, target(&rest).bytes), (Some(49), Some(49 * 8)));
    actor.end();
    row(
        Table::Coverage,
        "Process Tampering",
        Shown::Seen,
        "process.inject by ptrace: target, bytes",
    );
    row(Table::Evasion, "ptrace injection", Shown::Seen, "process.access and process.inject");
}

#[test]
fn foreign_memory_is_told() {
    let test = "foreign_memory_is_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let victim = Victim::fork(|| ());
        let mut place = [0_u8; 16];
        let mine = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: 16 };
        let theirs = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: 16 };
        let (mine, theirs) = ((&raw const mine) as u64, (&raw const theirs) as u64);
        let arguments = [u(victim.pid), mine, 1, theirs, 1, 0];
        assert_eq!(call(libc::SYS_process_vm_readv, arguments), 16);
        assert_eq!(call(libc::SYS_process_vm_writev, arguments), 16);
        let path = format!("/proc/{}/mem\0", victim.pid);
        let at = i64::from(libc::AT_FDCWD).cast_unsigned();
        let flags = u(libc::O_RDWR);
        let mem = call(libc::SYS_openat, [at, path.as_ptr() as u64, flags, 0, 0, 0]);
        assert!(mem >= 0);
        let address = (&raw const place) as u64;
        let bytes = place.as_ptr() as u64;
        assert_eq!(call(libc::SYS_pwrite64, [u(mem), bytes, 5, address, 0, 0]), 5);
        // One's own memory is nobody else's.
        let own = c"/proc/self/mem".as_ptr() as u64;
        let own = call(libc::SYS_openat, [at, own, flags, 0, 0, 0]);
        assert_eq!(call(libc::SYS_pwrite64, [u(own), bytes, 3, address, 0, 0]), 3);
        victim.pid.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let victim = number(&actor.act());
    for (kind, name, bytes) in [
        (Kind::ProcessAccess, "process_vm_readv", Some(16)),
        (Kind::ProcessInject, "process_vm_writev", Some(16)),
        (Kind::ProcessAccess, "proc_mem", None),
        (Kind::ProcessInject, "proc_mem", Some(5)),
    ] {
        let event = watch.of(kind, name, called(name));
        assert_target(&event, &actor, victim);
        assert_eq!(target(&event).bytes, bytes, "{name}");
    }
    actor.end();
    let all = watch.stop();
    let mut told = all.iter().filter(|event| pid_is(event, actor.pid()));
    let of_memory = |event: &&Event| match &event.activity {
        Activity::File(_, file) => file.path.as_deref().is_some_and(|path| path.ends_with("/mem")),
        _ => false,
    };
    assert!(told.all(|event| !of_memory(&event)), "told once, not as a file too");
    row(Table::Coverage, "Process Access", Shown::Seen, "process.access: target, call, bytes");
    row(Table::Evasion, "/proc/PID/mem written", Shown::Seen, "process.inject, proc_mem");
}

#[test]
fn a_descriptor_taken_is_told() {
    let test = "a_descriptor_taken_is_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let victim = Victim::fork(|| ());
        let pidfd = call(libc::SYS_pidfd_open, [u(victim.pid), 0, 0, 0, 0, 0]);
        assert!(pidfd >= 0);
        assert!(call(libc::SYS_pidfd_getfd, [u(pidfd), 0, 0, 0, 0, 0]) >= 0);
        victim.pid.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let victim = number(&actor.act());
    let event = watch.of(Kind::ProcessAccess, "pidfd_getfd", called("pidfd_getfd"));
    assert_target(&event, &actor, victim);
}

/// Of signals only those to other users, and deadly ones to strangers, are told.
#[test]
fn signals_to_others_are_told() {
    const OTHER: u64 = 65_534;
    let test = "signals_to_others_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let kin = Victim::fork(|| ());
        let stranger = Victim::fork(|| assert!(call(libc::SYS_setsid, [0; 6]) > 0));
        let other = Victim::fork(|| {
            assert_eq!(call(libc::SYS_setresuid, [OTHER, OTHER, OTHER, 0, 0, 0]), 0);
        });
        let kill = |victim: &Victim, signal: libc::c_int| {
            assert_eq!(call(libc::SYS_kill, [u(victim.pid), u(signal), 0, 0, 0, 0]), 0);
        };
        // Not told: within the session, or harmless to a stranger of the same user.
        kill(&kin, libc::SIGTERM);
        kill(&stranger, libc::SIGWINCH);
        for _ in 0..4 {
            kill(&other, libc::SIGCONT);
        }
        let pidfd = call(libc::SYS_pidfd_open, [u(stranger.pid), 0, 0, 0, 0, 0]);
        let signal = u(libc::SIGKILL);
        assert_eq!(call(libc::SYS_pidfd_send_signal, [u(pidfd), signal, 0, 0, 0, 0]), 0);
        [kin.pid, stranger.pid, other.pid].into_iter().flat_map(i32::to_ne_bytes).collect()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pids = actor.act();
    let [kin, stranger, other] = [0, 4, 8].map(|at| number(&pids[at..at + 4]));
    let told = |pid: u64| move |event: &Event| target(event).pid == Some(pid);
    let event = watch.of(Kind::ProcessSignal, "to another user", told(other));
    assert!(pid_is(&event, actor.pid()));
    let seen = target(&event);
    assert_eq!((seen.signal, seen.call.as_deref()), (Some(18), Some("kill")));
    assert_eq!(seen.user_id, Some(OTHER));
    let rest = watch.of(Kind::ProcessSignal, "the others to it", |event| {
        told(other)(event) && target(event).operations == Some(3)
    });
    assert!(pid_is(&rest, actor.pid()));
    let event = watch.of(Kind::ProcessSignal, "to a stranger", told(stranger));
    let seen = target(&event);
    assert_eq!((seen.signal, seen.call.as_deref()), (Some(9), Some("pidfd_send_signal")));
    actor.end();
    let all = watch.stop();
    let mut signals = all.iter().filter(|event| event.activity.kind() == Kind::ProcessSignal);
    let winch = Some(u64::from(libc::SIGWINCH.cast_unsigned()));
    assert!(signals.clone().all(|event| target(event).signal != winch), "harmless");
    assert!(signals.all(|event| !told(kin)(event)), "a session's own affairs");
}

/// The mapping of files of procfs to processes holds also for threads' folders.
#[test]
fn the_memory_of_a_thread_is_its_process() {
    let test = "the_memory_of_a_thread_is_its_process";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let victim = Victim::fork(|| ());
        fs::File::open(format!("/proc/{0}/task/{0}/mem", victim.pid))
            .map(|file| fd(&file))
            .unwrap();
        victim.pid.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let victim = number(&actor.act());
    let event = watch.of(Kind::ProcessAccess, "the thread's memory", called("proc_mem"));
    assert_target(&event, &actor, victim);
}

/// Numbers are those of the caller's pid namespace; the target is told by the host's.
#[test]
fn a_target_in_a_pid_namespace_is_found() {
    let test = "a_target_in_a_pid_namespace_is_found";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        assert_eq!(call(libc::SYS_unshare, [u(libc::CLONE_NEWPID), 0, 0, 0, 0, 0]), 0);
        Victim::fork(|| {
            let victim = Victim::fork(|| ());
            assert_eq!(victim.pid, 2, "the second of its namespace");
            let mut place = [0_u8; 16];
            let part = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: 16 };
            let part = (&raw const part) as u64;
            assert_eq!(call(libc::SYS_process_vm_readv, [2, part, 1, part, 1, 0]), 16);
        });
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let event = watch.of(Kind::ProcessAccess, "the reading", called("process_vm_readv"));
    assert_eq!(event.process.parent_pid, Some(u64::from(actor.pid())));
    let seen = target(&event);
    assert_ne!(seen.pid, Some(2));
    let me = std::env::current_exe().unwrap();
    assert_eq!((seen.exe.as_deref(), seen.user_id), (me.to_str(), Some(0)));
}
