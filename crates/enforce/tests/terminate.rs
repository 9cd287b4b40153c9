//! Ending real processes in a control group of the test's own.
#![expect(
    unsafe_code,
    reason = "clone3 with a chosen pid is the only way to reuse one for certain"
)]

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use metsuke_enforce::host::{self, Seen};
use metsuke_enforce::{EnforceScope, TerminateError, Terminator};
use metsuke_event::{BootId, ProcessKey};
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::process::Running;
use metsuke_testkit::{needs, wait};

const LIMIT: Duration = Duration::from_secs(60);

fn boot() -> BootId {
    host::boot_id().expect("Linux has one")
}

fn terminator(group: &Cgroup) -> Terminator {
    Terminator::new(EnforceScope::cgroup(group.path()).expect("a group"), boot())
}

fn key(pid: u32) -> ProcessKey {
    Seen::look(pid).expect("runs").key(boot())
}

/// `sleep` in `group`, once it is `sleep`.
fn sleeper(group: &Cgroup, dir: &Path) -> anyhow::Result<Running> {
    let running = Running::start("sleeper", group.command("sleep").arg("600"), &dir.join("log"))?;
    wait::until_true("the sleeper", LIMIT, || Ok(host::cmd_line(running.pid()) == "sleep 600"))?;
    Ok(running)
}

#[test]
fn a_process_in_scope_is_ended_and_described() -> anyhow::Result<()> {
    needs!("a_process_in_scope_is_ended_and_described", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("enforce")?;
    let inner = group.child("inner")?;
    let mut target = sleeper(&inner, dir.path())?;
    let mut bystander = sleeper(&group, dir.path())?;
    let ended = terminator(&group).terminate(key(target.pid()))?;
    assert_eq!(ended.cmd_line, "sleep 600");
    assert!(ended.exe.ends_with("/sleep") && ended.cgroup.ends_with("/inner"), "{ended:?}");
    wait::until_true("its end", LIMIT, || Ok(target.ended()?.is_some()))?;
    bystander.must_run()?;
    Ok(())
}

#[test]
fn what_is_outside_the_scope_is_left_alone() -> anyhow::Result<()> {
    needs!("what_is_outside_the_scope_is_left_alone", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("enforce")?;
    let neighbour = Cgroup::create("enforce")?;
    let mut beside = sleeper(&neighbour, dir.path())?;
    let mut nowhere =
        Running::start("nowhere", Command::new("sleep").arg("600"), &dir.path().join("log"))?;
    for running in [&mut beside, &mut nowhere] {
        let refused = terminator(&group).terminate(key(running.pid()));
        assert!(matches!(refused, Err(TerminateError::OutsideScope { .. })), "{refused:?}");
        running.must_run()?;
    }
    Ok(())
}

#[test]
fn what_is_never_ended() -> anyhow::Result<()> {
    let everywhere = Terminator::new(EnforceScope::Host, boot());
    let refused = |key: ProcessKey| everywhere.terminate(key).expect_err("refused").to_string();
    assert!(refused(key(std::process::id())).contains("the sensor itself"));
    assert!(refused(ProcessKey { pid: 1, ..key(std::process::id()) }).contains("process 1"));
    assert!(refused(ProcessKey { pid: 0, ..key(std::process::id()) }).contains("process 1"));
    if let Some(kernel) = host::all().into_iter().find(Seen::is_kernel) {
        assert!(refused(kernel.key(boot())).contains("kernel thread"));
    }
    let dir = tempfile::tempdir()?;
    let mut running =
        Running::start("sleeper", Command::new("sleep").arg("600"), &dir.path().join("log"))?;
    let other = ProcessKey { boot: BootId::from_u128(5), ..key(running.pid()) };
    assert_eq!(everywhere.terminate(other), Err(TerminateError::OtherBoot));
    running.must_run()?;
    let gone = key(running.pid());
    running.kill9()?;
    let refused = everywhere.terminate(gone);
    assert!(
        matches!(refused, Err(TerminateError::Gone | TerminateError::Reused { .. })),
        "{refused:?}"
    );
    Ok(())
}

/// Starts a process that does nothing and has exactly this pid (clone3(2), `set_tid`).
fn with_pid(pid: u32) -> std::io::Result<()> {
    let wanted = [libc::pid_t::try_from(pid).expect("small")];
    // SAFETY: all fields of clone_args are integers, for which zero is valid.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.exit_signal = u64::try_from(libc::SIGCHLD).expect("positive");
    arguments.set_tid = wanted.as_ptr() as u64;
    arguments.set_tid_size = 1;
    // SAFETY: without CLONE_VM this is fork: the child has its own copy of memory, and it calls
    // nothing but pause, which is async-signal-safe.
    let child = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    if child == 0 {
        loop {
            // SAFETY: pause takes nothing and touches nothing.
            unsafe { libc::pause() };
        }
    }
    if child < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

#[test]
fn a_reused_pid_is_refused() -> anyhow::Result<()> {
    needs!("a_reused_pid_is_refused", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("enforce")?;
    let mut first = sleeper(&group, dir.path())?;
    let meant = key(first.pid());
    first.kill9()?;
    // The two must not have started within one clock tick.
    wait::until_true("another tick", LIMIT, || {
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        // `SECONDS.HUNDREDTHS IDLE`: without the point these are clock ticks.
        let ticks: u64 = uptime.split(' ').next().unwrap_or("0").replace('.', "").parse()?;
        Ok(ticks > meant.start_ticks + 2)
    })?;
    with_pid(meant.pid)?;
    std::fs::write(group.path().join("cgroup.procs"), meant.pid.to_string())?;
    let refused = terminator(&group).terminate(meant);
    assert!(matches!(refused, Err(TerminateError::Reused { .. })), "{refused:?}");
    let now = key(meant.pid);
    assert!(!Seen::look(meant.pid).expect("there").is_dead(), "the other process lives");
    terminator(&group).terminate(now)?;
    let pid = libc::pid_t::try_from(meant.pid)?;
    // SAFETY: waits for our own child; a null status is allowed.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    Ok(())
}

#[test]
fn a_storyline_that_keeps_forking_is_ended_whole() -> anyhow::Result<()> {
    needs!("a_storyline_that_keeps_forking_is_ended_whole", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("enforce")?;
    let outside = Cgroup::create("enforce")?;
    let mut bystander = sleeper(&group, dir.path())?;
    let mut script = group.command("/bin/sh");
    // A grandchild escapes to another group; children come without end.
    script.args([
        "-c",
        "(echo 0 > \"$0/cgroup.procs\"; exec sleep 601) & \
         while :; do (sleep 602 & sleep 603) & sleep 0.02; done",
    ]);
    let mut root = Running::start("root", script.arg(outside.path()), &dir.path().join("log"))?;
    wait::until_true("a family", LIMIT, || {
        Ok(group.processes()?.len() > 40 && outside.processes()?.len() == 1)
    })?;
    let terminator = terminator(&group);
    let target = key(root.pid());
    let Ok(held) = terminator.hold::<Infallible>(&|| vec![target], &mut |_| Ok(()));
    let swept = terminator.sweep(&held);
    assert!(swept.ended.len() > 30, "{swept:?}");
    wait::until_true("its end", LIMIT, || Ok(root.ended()?.is_some()))?;
    wait::until_true("only the bystander", LIMIT, || Ok(group.processes()? == [bystander.pid()]))?;
    bystander.must_run()?;
    // The one that escaped is told, not silently left out.
    assert_eq!(swept.spared.len(), 1, "{:?}", swept.spared);
    assert!(swept.spared[0].reason.contains("outside this sensor's scope"));
    assert_eq!(outside.processes()?.len(), 1);
    Ok(())
}

#[test]
fn what_was_held_and_not_ended_goes_on() -> anyhow::Result<()> {
    needs!("what_was_held_and_not_ended_goes_on", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("enforce")?;
    let mut running = sleeper(&group, dir.path())?;
    let target = key(running.pid());
    let terminator = terminator(&group);
    let Ok(held) = terminator.hold::<Infallible>(&|| vec![target], &mut |_| Ok(()));
    assert_eq!(held.members(), [target]);
    let state = || Seen::look(target.pid).map(|seen| seen.state);
    wait::until_true("it to be held", LIMIT, || Ok(state() == Some('T')))?;
    terminator.release(held.members());
    wait::until_true("it to go on", LIMIT, || Ok(state() == Some('S')))?;
    running.must_run()?;
    Ok(())
}

#[test]
fn who_is_held_is_noted_before_and_let_go_when_that_fails() -> anyhow::Result<()> {
    needs!("who_is_held_is_noted_before_and_let_go_when_that_fails", Root, Cgroup);
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("enforce")?;
    let mut script = group.command("/bin/sh");
    script.args(["-c", "(sleep 601; :) & sleep 602; :"]);
    let mut root = Running::start("root", &mut script, &dir.path().join("log"))?;
    wait::until_true("a family", LIMIT, || Ok(group.processes()?.len() == 4))?;
    let target = key(root.pid());
    let stopped = |key: &ProcessKey| Seen::look(key.pid).is_some_and(|seen| seen.state == 'T');
    let mut rounds: Vec<Vec<ProcessKey>> = Vec::new();
    let outcome = terminator(&group).hold(&|| vec![target], &mut |noted: &[ProcessKey]| {
        let known = rounds.last().map_or(0, Vec::len);
        assert!(!noted[known..].iter().any(stopped), "noted before it is held");
        rounds.push(noted.to_vec());
        if rounds.len() < 3 { Ok(()) } else { Err("no room") }
    });
    assert_eq!(outcome.err(), Some("no room"));
    assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [1, 3, 4]);
    wait::until_true("all to go on", LIMIT, || Ok(!rounds[2].iter().any(stopped)))?;
    root.must_run()?;
    Ok(())
}
