//! Tier 3 against real processes in a control group of the test's own. What lives too short for
//! it is not asked for here: that is its known blindness.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only to fork into the group"
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Kind};
use support::{Group, Watch, path_is, pid_is};

fn watch(test: &str, group: &Group) -> Option<Watch> {
    let watch = Watch::start(group, Tier::Interfaces);
    let coverage = watch.coverage();
    assert_eq!(coverage.tier, Tier::Interfaces);
    if coverage.sees.iter().any(|class| class == "process.fork") {
        return Some(watch);
    }
    eprintln!("NOT RUN: {test}: no proc connector here: {:?}", coverage.hooks.first());
    None
}

#[test]
fn processes_are_described() {
    let test = "tier 3: processes_are_described";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = watch(test, &group) else { return };
    let dir = tempfile::tempdir().unwrap();
    // The shell waits for us, so it lives as long as it takes to describe it.
    let mut command = group.command("/bin/sh", &["-c", "read line; exit 7"]);
    let mut child = command.current_dir(dir.path()).stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let exec = watch.of(Kind::ProcessExec, "the shell's exec", |event| pid_is(event, pid));
    let process = &exec.process;
    assert_eq!(process.cmd_line.as_deref(), Some("/bin/sh -c read line; exit 7"));
    assert_eq!(process.exe.as_deref(), fs::canonicalize("/bin/sh").unwrap().to_str());
    assert_eq!(process.cwd.as_deref(), fs::canonicalize(dir.path()).unwrap().to_str());
    assert_eq!(process.user_name.as_deref(), Some("root"));
    assert_eq!(process.parent_pid, Some(u64::from(std::process::id())));
    assert!(process.sha256.is_some() && process.parent_exe.is_some());
    assert_eq!(process.storyline, process.uid);
    assert_eq!(process.stdio.as_deref().unwrap().split('/').next(), Some("pipe"));
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child.wait().unwrap();
    let exit = watch.of(Kind::ProcessExit, "the shell's exit", |event| pid_is(event, pid));
    assert_eq!(exit.process.exit_code, Some(7));
    let mine = u64::from(std::process::id());
    assert!(watch.stop().iter().all(|event| event.process.pid != Some(mine)), "outside the scope");
}

#[test]
fn files_are_seen() {
    let test = "tier 3: files_are_seen";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = watch(test, &group) else { return };
    if !watch.coverage().sees.iter().any(|class| class == "file.modify") {
        eprintln!("NOT RUN: {test}: no fanotify here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    fs::write(base.join("outside"), "x").unwrap();
    let script = "read line; printf abc > a; mv a b; printf x > c; rm c; read line";
    let mut command = group.command("/bin/sh", &["-c", script]);
    let mut child = command.current_dir(&base).stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    watch.of(Kind::ProcessExec, "the shell's exec", |event| pid_is(event, pid));
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    watch.of(Kind::FileCreate, "a made", |event| path_is(event, &base.join("a")));
    watch.of(Kind::FileModify, "a written", |event| path_is(event, &base.join("a")));
    let renamed = watch.of(Kind::FileRename, "a renamed", |e| path_is(e, &base.join("b")));
    let Activity::File(_, file) = &renamed.activity else { unreachable!() };
    assert_eq!(file.old_path.as_deref(), base.join("a").to_str());
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(file.sha256.as_deref(), Some(abc));
    watch.of(Kind::FileDelete, "c removed", |event| path_is(event, &base.join("c")));
    drop(child.stdin.take());
    child.wait().unwrap();
    let all = watch.stop();
    assert!(!all.iter().any(|event| path_is(event, &base.join("outside"))), "outside the scope");
}

#[test]
fn sockets_are_seen() {
    let test = "tier 3: sockets_are_seen";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = watch(test, &group) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read line <&3");
    let Ok(mut child) = group.command("/bin/bash", &["-c", &script]).spawn() else {
        eprintln!("NOT RUN: {test}: no bash to connect with");
        return;
    };
    let (mut stream, _) = listener.accept().unwrap();
    let flow = watch.of(Kind::NetworkConnect, "the connection", |event| {
        matches!(&event.activity, Activity::Network(_, network) if network.dst_port == Some(port.into()))
    });
    assert!(pid_is(&flow, child.id()));
    stream.write_all(b"done\n").unwrap();
    let _ = stream.read(&mut [0; 8]);
    child.wait().unwrap();
}
