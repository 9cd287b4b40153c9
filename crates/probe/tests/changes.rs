//! What processes change about themselves, and what an execution and an end tell. Done by direct
//! system calls in a control group of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only for system calls without a wrapper"
)]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use metsuke_event::{Activity, Event, Kind, Transition};
use support::actor::{Actor, call, fd};
use support::{Group, Shown, Table, Watch, pid_is, row};

/// "Leave it as it is", for ids.
const KEEP: u64 = 0xffff_ffff;
const NOBODY: u64 = 65_534;

fn transition(event: &Event) -> &Transition {
    match &event.activity {
        Activity::Transition(_, transition) => transition,
        other => panic!("{other:?}"),
    }
}

fn u(value: impl TryInto<u64>) -> u64 {
    value.try_into().ok().unwrap()
}

#[test]
fn users_and_capabilities_are_told_when_they_change() {
    const SYS_TIME: u32 = 1 << 25;
    let test = "users_and_capabilities_are_told_when_they_change";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        assert_eq!(call(libc::SYS_setresuid, [KEEP, KEEP, KEEP, 0, 0, 0]), 0, "no change");
        assert_eq!(call(libc::SYS_setresgid, [KEEP, NOBODY, KEEP, 0, 0, 0]), 0);
        assert_eq!(call(libc::SYS_setresuid, [KEEP, NOBODY, KEEP, 0, 0, 0]), 0);
        assert_eq!(call(libc::SYS_setresuid, [KEEP, 0, KEEP, 0, 0, 0]), 0);
        let header = [0x2008_0522_u32, 0];
        let mut sets = [0_u32; 6];
        let on = |number, sets: &mut [u32; 6]| {
            call(number, [header.as_ptr() as u64, sets.as_mut_ptr() as u64, 0, 0, 0, 0])
        };
        assert_eq!(on(libc::SYS_capget, &mut sets), 0);
        assert_eq!(on(libc::SYS_capset, &mut sets), 0, "no change");
        sets[0] &= !SYS_TIME;
        assert_eq!(on(libc::SYS_capset, &mut sets), 0);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let last = watch.of(Kind::ProcessSetUser, "capset", |event| {
        transition(event).call.as_deref() == Some("capset")
    });
    let pid = actor.pid();
    assert!(pid_is(&last, pid));
    let told = transition(&last);
    let lost = told.old_capabilities.unwrap() & !told.capabilities.unwrap();
    assert_eq!(lost, u64::from(SYS_TIME), "one capability went");
    actor.end();
    let all = watch.stop();
    let seen: Vec<&Event> =
        all.iter().filter(|event| event.activity.kind() == Kind::ProcessSetUser).collect();
    let calls: Vec<_> = seen.iter().map(|e| transition(e).call.as_deref().unwrap()).collect();
    assert_eq!(calls, ["setresgid", "setresuid", "setresuid", "capset"], "each change once");
    assert_eq!(transition(seen[0]).effective_group_id, Some(NOBODY));
    let down = transition(seen[1]);
    assert_eq!((down.old_effective_user_id, down.effective_user_id), (Some(0), Some(NOBODY)));
    assert_eq!((down.user_id, down.capabilities), (Some(0), Some(0)));
    assert_eq!(seen[1].process.effective_user_id, Some(NOBODY), "known from then on");
    assert_eq!(transition(seen[2]).old_effective_user_id, Some(NOBODY));
}

#[test]
fn ids_for_files_and_other_groups_are_told() {
    let test = "ids_for_files_and_other_groups_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let set = |groups: &[u32]| {
            let (count, at) = (u(groups.len()), groups.as_ptr() as u64);
            assert_eq!(call(libc::SYS_setgroups, [count, at, 0, 0, 0, 0]), 0);
        };
        set(&[4, 27]);
        set(&std::array::from_fn::<u32, 20, _>(|id| u32::try_from(id).unwrap()));
        set(&[]);
        assert_eq!(call(libc::SYS_setfsgid, [NOBODY, 0, 0, 0, 0, 0]), 0, "the one before");
        assert_eq!(call(libc::SYS_setfsuid, [KEEP, 0, 0, 0, 0, 0]), 0, "no change");
        assert_eq!(call(libc::SYS_setfsuid, [NOBODY, 0, 0, 0, 0, 0]), 0);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let last = watch.of(Kind::ProcessSetUser, "setfsuid", |event| {
        transition(event).call.as_deref() == Some("setfsuid")
    });
    assert!(pid_is(&last, actor.pid()));
    actor.end();
    let all = watch.stop();
    let seen: Vec<&Transition> = all
        .iter()
        .filter(|event| event.activity.kind() == Kind::ProcessSetUser)
        .map(transition)
        .collect();
    let calls: Vec<_> = seen.iter().map(|told| told.call.as_deref().unwrap()).collect();
    assert_eq!(calls, ["setgroups", "setgroups", "setgroups", "setfsgid", "setfsuid"]);
    assert_eq!(seen[0].groups.as_deref(), Some("4 27"));
    let many = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 and 4 more";
    assert_eq!(seen[1].groups.as_deref(), Some(many));
    assert_eq!(seen[2].groups.as_deref(), Some(""), "none are left");
    assert_eq!((seen[3].fs_group_id, seen[3].fs_user_id), (Some(NOBODY), None));
    assert_eq!((seen[4].fs_user_id, seen[4].effective_user_id), (Some(NOBODY), Some(0)));
    assert!(seen[4].capabilities < seen[4].old_capabilities, "those over files went with it");
}

#[test]
fn ids_for_files_are_told_where_they_have_other_numbers() {
    let test = "ids_for_files_are_told_where_they_have_other_numbers";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        own_numbers(b"0 1000 1\n1000 0 1\n");
        // The host's 0 is 1000 here, and 0 here the host's 1000.
        assert_eq!(call(libc::SYS_setfsuid, [0, 0, 0, 0, 0, 0]), 1_000, "the one before");
        assert_eq!(call(libc::SYS_setfsuid, [KEEP, 0, 0, 0, 0, 0]), 0, "it was set");
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    actor.end();
    let pid = actor.pid();
    watch.of(Kind::ProcessExit, "its end", |event| pid_is(event, pid));
    let all = watch.stop();
    let set = all.iter().filter(|event| event.activity.kind() == Kind::ProcessSetUser);
    let set: Vec<_> = set.map(transition).filter(|told| told.fs_user_id.is_some()).collect();
    // Whether the second changed anything is not known in the kernel's program.
    assert_eq!(set.len(), 2, "{set:?}");
    assert!(set.iter().all(|told| told.fs_user_id == Some(1_000)), "{set:?}");
}

/// Goes into a user namespace with these numbers of users, which a child left outside writes.
fn own_numbers(map: &[u8]) {
    let file = format!("/proc/{}/uid_map\0", std::process::id());
    let mut ends = [0_i32; 2];
    // SAFETY: room for two descriptors; the child does plain system calls on what was made before the
    // fork, and ends.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            libc::close(ends[1]);
            libc::read(ends[0], [0_u8].as_mut_ptr().cast(), 1);
            let fd = libc::open(file.as_ptr().cast(), libc::O_WRONLY);
            let written = libc::write(fd, map.as_ptr().cast(), map.len());
            libc::_exit(i32::from(written != map.len().cast_signed()));
        }
        libc::close(ends[0]);
        assert_eq!(libc::unshare(libc::CLONE_NEWUSER), 0);
        libc::close(ends[1]);
        let mut status = -1;
        assert!(child > 0 && libc::waitpid(child, &raw mut status, 0) == child && status == 0);
    }
}

#[test]
fn other_names_are_told() {
    let test = "other_names_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let prctl = |name: &std::ffi::CStr| {
            let name = name.as_ptr() as u64;
            assert_eq!(call(libc::SYS_prctl, [u(libc::PR_SET_NAME), name, 0, 0, 0, 0]), 0);
        };
        prctl(c"first");
        prctl(c"first");
        fs::write("/proc/self/comm", "second").unwrap();
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let shell = group.shell("exit 0", Path::new("/"));
    let second = watch.of(Kind::ProcessRename, "by its file", |event| {
        transition(event).name.as_deref() == Some("second")
    });
    assert!(pid_is(&second, actor.pid()));
    assert_eq!(transition(&second).old_name.as_deref(), Some("first"));
    assert_eq!(transition(&second).call.as_deref(), Some("write"));
    assert_eq!(second.process.name.as_deref(), Some("second"));
    watch.of(Kind::ProcessExit, "the shell's exit", |event| pid_is(event, shell));
    actor.end();
    let all = watch.stop();
    let renames: Vec<_> =
        all.iter().filter(|event| event.activity.kind() == Kind::ProcessRename).collect();
    assert_eq!(renames.len(), 2, "the same name again is none, an execution neither");
    assert_eq!(transition(renames[0]).call.as_deref(), Some("prctl"));
}

#[test]
fn namespaces_entered_are_told() {
    let test = "namespaces_entered_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let before = fs::File::open("/proc/self/ns/uts").unwrap();
        let kinds = u(libc::CLONE_NEWUTS | libc::CLONE_NEWIPC);
        assert_eq!(call(libc::SYS_unshare, [kinds, 0, 0, 0, 0, 0]), 0);
        assert_eq!(call(libc::SYS_setns, [fd(&before), 0, 0, 0, 0, 0]), 0);
        assert_eq!(call(libc::SYS_setns, [fd(&before), 0, 0, 0, 0, 0]), 0, "already there");
        let flags = u(libc::CLONE_NEWNET | libc::SIGCHLD);
        let child = call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]);
        if child == 0 {
            // SAFETY: the copy ends at once.
            unsafe { libc::_exit(0) }
        }
        assert!(child > 0);
        child.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let child = i64::from_ne_bytes(actor.act().try_into().unwrap());
    let cloned = watch.of(Kind::ProcessNamespace, "the clone", |event| {
        transition(event).call.as_deref() == Some("clone")
    });
    assert!(pid_is(&cloned, u32::try_from(child).unwrap()));
    assert_eq!(transition(&cloned).namespace.as_deref(), Some("net"));
    assert_eq!(cloned.process.parent_pid, Some(u64::from(actor.pid())));
    actor.end();
    let all = watch.stop();
    let seen: Vec<_> = all
        .iter()
        .filter(|event| event.activity.kind() == Kind::ProcessNamespace)
        .filter(|event| pid_is(event, actor.pid()))
        .map(|event| (transition(event).call.as_deref().unwrap(), event))
        .collect();
    assert_eq!(seen.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["unshare", "setns"]);
    assert_eq!(transition(seen[0].1).namespace.as_deref(), Some("uts ipc"));
    assert_eq!(transition(seen[1].1).namespace.as_deref(), Some("uts"));
    assert_ne!(seen[0].1.process.uts_namespace, seen[1].1.process.uts_namespace);
}

/// Forks a child that does `before`, then runs `program`; waits for its end.
fn run(program: &Path, argument: &str, before: impl FnOnce()) {
    let program = CString::new(program.as_os_str().as_bytes()).unwrap();
    let argument = CString::new(argument).unwrap();
    // SAFETY: the child makes system calls and ends; the arguments outlive them.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            before();
            let arguments = [program.as_ptr(), argument.as_ptr(), std::ptr::null()];
            let nothing: [*const libc::c_char; 1] = [std::ptr::null()];
            libc::execve(program.as_ptr(), arguments.as_ptr(), nothing.as_ptr());
            libc::_exit(1);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        assert_eq!(status, 0, "{program:?}");
    }
}

/// Puts the caller under a filter that allows everything.
fn filtered() {
    let instructions = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }];
    let filter = libc::sock_fprog { len: 1, filter: instructions.as_ptr().cast_mut() };
    let arguments = [u(libc::SECCOMP_SET_MODE_FILTER), 0, (&raw const filter) as u64, 0, 0, 0];
    assert_eq!(call(libc::SYS_prctl, [u(libc::PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0, 0]), 0);
    assert_eq!(call(libc::SYS_seccomp, arguments), 0);
}

#[test]
fn executions_tell_how_they_are_confined() {
    let test = "executions_tell_how_they_are_confined";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let path = fs::canonicalize(&script).unwrap();
    let long = "x".repeat(5_000);
    let mut actor = Actor::fork(&group, || {
        run(&script, "as-script", || ());
        run(Path::new("/bin/true"), "filtered", filtered);
        run(Path::new("/bin/true"), &long, || ());
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let ends = |what: &'static str| {
        move |event: &Event| event.process.cmd_line.as_deref().is_some_and(|l| l.ends_with(what))
    };
    let event = watch.of(Kind::ProcessExec, "the script", ends("as-script"));
    let sh = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(event.process.interpreter.as_deref(), sh.to_str());
    assert_eq!(event.process.script.as_deref(), path.to_str());
    assert_eq!(event.process.seccomp, Some(0));
    assert_eq!(event.process.exe_layer, None);
    let own = |kind: &str| {
        let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let text = link.to_str().unwrap().split_once('[').unwrap().1.trim_end_matches(']');
        Some(text.parse::<u64>().unwrap())
    };
    let process = &event.process;
    for (kind, inode) in [
        ("user", process.user_namespace),
        ("cgroup", process.cgroup_namespace),
        ("uts", process.uts_namespace),
        ("ipc", process.ipc_namespace),
        ("pid", process.pid_namespace),
        ("mnt", process.mount_namespace),
        ("net", process.network_namespace),
    ] {
        assert_eq!(inode, own(kind), "{kind}");
    }
    let event = watch.of(Kind::ProcessExec, "the filtered one", ends("filtered"));
    assert_eq!((event.process.seccomp, event.process.interpreter.as_deref()), (Some(2), None));
    assert_eq!(event.process.cmd_line_truncated, None);
    let event = watch.of(Kind::ProcessExec, "the long one", |event| {
        event.process.cmd_line_truncated == Some(true)
    });
    assert_eq!(event.process.cmd_line.as_deref().unwrap().len(), 4_096);
    actor.end();
    let reason = "process.exec: arguments (4 KiB, and whether they were cut), interpreter and script, \
                  seccomp, the seven namespaces";
    row(Table::Coverage, "Process Creation", Shown::Seen, reason);
}

#[test]
fn the_layer_of_an_overlay_is_told() {
    let test = "the_layer_of_an_overlay_is_told";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let mut actor = Actor::fork(&group, || {
        assert_eq!(call(libc::SYS_unshare, [u(libc::CLONE_NEWNS), 0, 0, 0, 0, 0]), 0);
        let mount = |kind: &str, at: &Path, flags: libc::c_ulong, data: &str| {
            let text = |text: &str| CString::new(text).unwrap();
            let (kind, data) = (text(kind), text(data));
            let at = CString::new(at.as_os_str().as_bytes()).unwrap();
            let pointers = [kind.as_ptr() as u64, at.as_ptr() as u64];
            let arguments = [pointers[0], pointers[1], pointers[0], flags, data.as_ptr() as u64, 0];
            assert_eq!(call(libc::SYS_mount, arguments), 0, "{kind:?}");
        };
        mount("none", Path::new("/"), libc::MS_REC | libc::MS_PRIVATE, "");
        mount("tmpfs", base, 0, "");
        for name in ["lower", "upper", "work", "whole"] {
            fs::create_dir(base.join(name)).unwrap();
        }
        fs::copy("/bin/true", base.join("lower/shipped")).unwrap();
        let at = base.display();
        let data = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work");
        mount("overlay", &base.join("whole"), 0, &data);
        fs::copy("/bin/true", base.join("whole/dropped")).unwrap();
        run(&base.join("whole/shipped"), "", || ());
        run(&base.join("whole/dropped"), "", || ());
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    for (name, layer) in [("shipped", "lower"), ("dropped", "upper")] {
        let event = watch.of(Kind::ProcessExec, name, |event| {
            event.process.exe.as_deref().is_some_and(|exe| exe.ends_with(name))
        });
        assert_eq!(event.process.exe_layer.as_deref(), Some(layer), "{name}");
    }
    actor.end();
}

#[test]
fn an_end_tells_what_was_used() {
    const MEMORY: usize = 24 << 20;
    const CPU_MS: u64 = 60;
    let test = "an_end_tells_what_was_used";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let memory = vec![1_u8; MEMORY];
        let used = || {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: a valid timespec that outlives the call.
            unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
            u(time.tv_sec) * 1_000 + u(time.tv_nsec) / 1_000_000
        };
        while used() < CPU_MS {
            std::hint::black_box(&memory);
        }
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    actor.end();
    let pid = actor.pid();
    let exit = watch.of(Kind::ProcessExit, "its end", |event| pid_is(event, pid));
    assert!(exit.process.rss_peak.unwrap() >= u(MEMORY), "{:?}", exit.process.rss_peak);
    assert!(exit.process.cpu_ms.unwrap() >= CPU_MS, "{:?}", exit.process.cpu_ms);
    assert_eq!(exit.process.exit_code, Some(0));
    let reason = "process.exit: code, CPU time, most memory";
    row(Table::Coverage, "Process Termination", Shown::Seen, reason);
}
