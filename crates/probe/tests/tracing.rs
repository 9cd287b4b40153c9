//! Tier 2 against real processes in a control group of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only to fork into the group"
)]

mod support;

use std::fs;
use std::path::Path;

use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Kind, ProcessKey};
use metsuke_probe::{ProbeConfig, Scope, Sensitive};
use support::{Group, Watch, path_is, pid_is};

#[test]
fn processes_are_described() {
    let Some(group) = Group::make("processes_are_described") else { return };
    let Some(mut watch) = Watch::tracing(&group, "processes_are_described") else { return };
    let dir = tempfile::tempdir().unwrap();
    let outside = std::process::Command::new("/bin/true").arg("outside").spawn().unwrap();
    let outside_pid = outside.id();
    outside.wait_with_output().unwrap();
    let shell = group.shell("/bin/echo one 'two three' > /dev/null; (exit 3); exit 7", dir.path());

    let exec = watch.of(Kind::ProcessExec, "the shell's exec", |event| pid_is(event, shell));
    let sh = fs::canonicalize("/bin/sh").unwrap();
    let process = &exec.process;
    assert_eq!(process.exe.as_deref(), sh.to_str());
    assert_eq!(process.exe_kind.as_deref(), Some("disk"));
    assert_eq!(process.name.as_deref(), Some("sh"));
    assert!(process.cmd_line.as_deref().unwrap().starts_with("/bin/sh -c /bin/echo one"));
    assert_eq!(process.cwd.as_deref(), fs::canonicalize(dir.path()).unwrap().to_str());
    assert_eq!(process.user_id, Some(0));
    assert_eq!(process.user_name.as_deref(), Some("root"));
    assert_eq!(process.parent_pid, Some(u64::from(std::process::id())));
    let me = std::env::current_exe().unwrap();
    assert_eq!(process.parent_exe.as_deref(), me.to_str());
    assert_eq!(process.storyline, process.uid, "its parent is outside, so it begins a storyline");
    let name = group.0.file_name().unwrap().to_str().unwrap();
    assert_eq!(process.cgroup.as_deref(), Some(format!("/{name}").as_str()));
    let key: ProcessKey = process.uid.as_deref().unwrap().parse().unwrap();
    assert_eq!((key.pid, key.boot), (shell, metsuke_probe::boot_id().unwrap()));

    let echo = watch.of(Kind::ProcessExec, "echo's exec", |event| {
        event.process.cmd_line.as_deref() == Some("/bin/echo one two three")
    });
    assert_eq!(echo.process.parent_uid, process.uid);
    assert_eq!(echo.process.parent_exe, process.exe);
    assert_eq!(echo.process.storyline, process.uid);
    assert_eq!(echo.process.stdio.as_deref().unwrap().split('/').nth(1), Some("null"));
    let hash = echo.process.sha256.as_deref().expect("hashed");
    assert_eq!(hash, support::sha256(Path::new("/bin/echo")));
    let pid = echo.process.pid;
    watch.of(Kind::ProcessFork, "echo's fork", |event| event.process.pid == pid);
    let exit = watch.of(Kind::ProcessExit, "echo's exit", |event| event.process.pid == pid);
    assert_eq!(exit.process.exit_code, Some(0));
    watch.of(Kind::ProcessExit, "the subshell's exit", |event| event.process.exit_code == Some(3));
    let exit = watch.of(Kind::ProcessExit, "the shell's exit", |event| pid_is(event, shell));
    assert_eq!(exit.process.exit_code, Some(7));

    let all = watch.stop();
    assert!(all.iter().all(|event| !pid_is(event, outside_pid)), "outside the scope");
    let mine = u64::from(std::process::id());
    assert!(all.iter().all(|event| event.process.pid != Some(mine)), "outside the scope");
}

#[test]
fn files_are_told_once_each() {
    let Some(group) = Group::make("files_are_told_once_each") else { return };
    let Some(mut watch) = Watch::tracing(&group, "files_are_told_once_each") else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    fs::write(base.join("log"), "line\n").unwrap();
    fs::create_dir(base.join(".ssh")).unwrap();
    fs::write(base.join(".ssh/id_test"), "key").unwrap();
    fs::write(base.join(".ssh/known_hosts"), "no key").unwrap();
    let script = "printf abc > a; mv a b; mkdir sub; cp b sub/c; : > log; rm b; \
                  cat .ssh/id_test .ssh/known_hosts > /dev/null; ln -s sub/c d";
    group.shell(script, &base);

    let at = |name: &str| base.join(name);
    watch.of(Kind::FileCreate, "a made", |event| path_is(event, &at("a")));
    let written = watch.of(Kind::FileModify, "a written", |event| path_is(event, &at("a")));
    let Activity::File(_, file) = &written.activity else { unreachable!() };
    assert_eq!((file.bytes_written, file.operations, file.size), (Some(3), Some(1), Some(3)));
    let renamed = watch.of(Kind::FileRename, "a renamed", |event| path_is(event, &at("b")));
    let Activity::File(_, file) = &renamed.activity else { unreachable!() };
    assert_eq!(file.old_path.as_deref(), at("a").to_str());
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    // It lives so short that it may be gone before it can be read; then that is said.
    let hash = file.sha256.as_deref().or(file.hash_missing.as_deref());
    assert!(hash == Some(abc) || hash == Some("gone"), "{hash:?}");
    let copied = watch.of(Kind::FileModify, "c written", |event| path_is(event, &at("sub/c")));
    let Activity::File(_, file) = &copied.activity else { unreachable!() };
    assert_eq!(file.sha256.as_deref(), Some(abc));
    assert_eq!(copied.process.name.as_deref(), Some("cp"));
    let emptied = watch.of(Kind::FileModify, "log emptied", |event| path_is(event, &at("log")));
    let Activity::File(_, file) = &emptied.activity else { unreachable!() };
    assert_eq!((file.size, file.bytes_written), (Some(0), Some(0)));
    watch.of(Kind::FileDelete, "b removed", |event| path_is(event, &at("b")));
    let read = watch.of(Kind::FileRead, "key read", |event| path_is(event, &at(".ssh/id_test")));
    let Activity::File(_, file) = &read.activity else { unreachable!() };
    assert_eq!(file.sensitivity.as_deref(), Some("key"));
    watch.of(Kind::FileLink, "link made", |event| path_is(event, &at("d")));
    let all = watch.stop();
    let count = |kind, name: &str| {
        let wanted = at(name);
        all.iter().filter(|e| e.activity.kind() == kind && path_is(e, &wanted)).count()
    };
    assert_eq!(count(Kind::FileRead, ".ssh/known_hosts"), 0);
    for (kind, name) in [
        (Kind::FileCreate, "a"),
        (Kind::FileModify, "a"),
        (Kind::FileRename, "b"),
        (Kind::FileModify, "log"),
        (Kind::FileDelete, "b"),
        (Kind::FileRead, ".ssh/id_test"),
    ] {
        assert_eq!(count(kind, name), 1, "{kind:?} {name}");
    }
}

/// Names of every look that the kernel tells apart.
#[test]
fn sensitive_names_of_any_look_are_seen() {
    let test = "sensitive_names_of_any_look_are_seen";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let long = "a-name-longer-than-what-the-kernel-compares";
    let edges = [30, 31, 32].map(|length| "n".repeat(length));
    let names = ["x", "\u{e4}", "0123456", long].map(str::to_owned).into_iter().chain(edges);
    let names: Vec<String> = names.collect();
    let pattern = |pattern: String| Sensitive { pattern, sensitivity: "secret".to_owned() };
    let mut sensitive: Vec<_> = names.iter().map(|name| pattern(format!("**/{name}"))).collect();
    sensitive.push(pattern(format!("**/in-{long}/*")));
    let mut watch = Watch::with(ProbeConfig {
        sensitive,
        max_tier: Some(Tier::Tracing),
        ..ProbeConfig::new(Scope::Cgroup(group.0.clone()))
    });
    if watch.coverage().tier != Tier::Tracing {
        eprintln!("NOT RUN: {test}: no tier 2 here");
        return;
    }
    fs::create_dir(base.join(format!("in-{long}"))).unwrap();
    let mut paths: Vec<_> = names.iter().map(|name| base.join(name)).collect();
    paths.push(base.join(format!("in-{long}/anything")));
    let others = [base.join("y"), base.join(long.replace("compares", "compared"))];
    for path in paths.iter().chain(&others) {
        fs::write(path, "text").unwrap();
    }
    group.shell("cat * */*", &base);
    for path in &paths {
        watch.of(Kind::FileRead, "a sensitive read", |event| path_is(event, path));
    }
    let all = watch.stop();
    let read =
        |path: &Path| all.iter().any(|e| e.activity.kind() == Kind::FileRead && path_is(e, path));
    assert!(others.iter().all(|path| !read(path)), "other names are not sensitive");
}

#[test]
fn a_scope_that_is_none_is_refused() {
    use metsuke_probe::{ProbeConfig, ProbeError, Scope, start};
    let (sink, _events) = std::sync::mpsc::sync_channel(1);
    for path in ["/nowhere/at/all", "/tmp"] {
        let config = ProbeConfig::new(Scope::Cgroup(Path::new(path).into()));
        assert!(matches!(start(config, sink.clone()), Err(ProbeError::Scope { .. })), "{path}");
    }
}
