//! What interpreters are given to run: files, arguments, standard input, lines typed at a prompt.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only to fork into the group and to make a terminal"
)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use metsuke_event::{Activity, Event, Kind, Script};
use support::{Group, Shown, Table, Watch, pid_is, row};

fn script(event: &Event) -> Option<&Script> {
    match &event.activity {
        Activity::Script(script) => Some(script),
        _ => None,
    }
}

/// The script that process `pid` was told to run.
fn of_pid(watch: &mut Watch, pid: u32, what: &str) -> Script {
    let found = watch.of(Kind::ScriptExecute, what, |event| pid_is(event, pid));
    script(&found).unwrap().clone()
}

fn run(group: &Group, program: &str, args: &[&str], dir: &Path) -> u32 {
    let mut child = group.command(program, args).current_dir(dir).spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn scripts_are_told_with_their_text() {
    let test = "scripts_are_told_with_their_text";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(folder.path()).unwrap();
    let text = "#!/bin/sh\n: metsuke marker\nexit 0\n";
    let path = base.join("run.sh");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();

    let pid = run(&group, path.to_str().unwrap(), &[], &base);
    let told = of_pid(&mut watch, pid, "a script by its own name");
    assert_eq!((told.source.as_deref(), told.content.as_deref()), (Some("file"), Some(text)));
    assert_eq!((told.path.as_deref(), told.size), (path.to_str(), Some(text.len() as u64)));
    assert!(told.sha256.is_some() && told.truncated.is_none());

    let pid = run(&group, "/bin/sh", &["run.sh"], &base);
    let again = of_pid(&mut watch, pid, "a script by its interpreter");
    assert_eq!((again.path, again.sha256, again.content), (told.path, told.sha256, told.content));

    let pid = run(&group, "/bin/sh", &["-c", "true; : metsuke argument"], &base);
    let told = of_pid(&mut watch, pid, "an argument");
    assert_eq!(told.source.as_deref(), Some("argument"));
    assert_eq!(told.content.as_deref(), Some("true; : metsuke argument"));

    let mut command = group.command("/bin/sh", &[]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"exit 0\n").unwrap();
    child.wait().unwrap();
    let told = of_pid(&mut watch, child.id(), "standard input");
    assert_eq!((told.source.as_deref(), told.content), (Some("stdin"), None));

    let long = format!("exit 0\n{}", "# long\n".repeat(10_000));
    fs::write(base.join("long.sh"), &long).unwrap();
    let pid = run(&group, "/bin/sh", &["long.sh"], &base);
    let told = of_pid(&mut watch, pid, "a long script");
    assert_eq!((told.truncated, told.size), (Some(true), Some(long.len() as u64)));
    assert_eq!(told.content.as_deref(), Some(&long[..16_384]));

    let pid = run(&group, "/bin/true", &[], &base);
    watch.of(Kind::ProcessExit, "no script", |event| pid_is(event, pid));
    let all = watch.stop();
    assert!(!all.iter().any(|event| pid_is(event, pid) && script(event).is_some()));
    row(
        Table::Coverage,
        "Script Content",
        Shown::Seen,
        "script.execute: text of files (16 KiB) and of arguments, and that standard input was run",
    );
}

/// A terminal: our end, and the shell's.
fn terminal() -> (File, File) {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: the two descriptors are written by the call and owned by nobody else; null stands
    // for no name, settings and size.
    unsafe {
        let null = std::ptr::null_mut();
        assert_eq!(
            libc::openpty(&raw mut ours, &raw mut theirs, null, std::ptr::null(), std::ptr::null()),
            0
        );
        (File::from_raw_fd(ours), File::from_raw_fd(theirs))
    }
}

#[test]
fn lines_typed_at_a_prompt_are_told() {
    let test = "lines_typed_at_a_prompt_are_told";
    let Some(group) = Group::make(test) else { return };
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let coverage = watch.coverage();
    let hook = coverage.hooks.iter().find(|hook| hook.hook == "uretprobe/readline").unwrap();
    if hook.outcome != metsuke_event::coverage::Outcome::Works {
        eprintln!("NOT RUN: {test}: {:?}", hook.outcome);
        return;
    }
    // A copy, as a container has its own.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("bash");
    fs::copy("/bin/bash", &copy).unwrap();
    for shell in ["/bin/bash", copy.to_str().unwrap()] {
        let (mut ours, theirs) = terminal();
        let mut command = group.command(shell, &["--norc", "--noprofile", "-i"]);
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap());
        let mut child = command.stderr(theirs).env("HISTFILE", "/dev/null").spawn().unwrap();
        drop(command);
        // Its prompt is there: from now on it reads lines, and the probe knows it.
        watch.of(Kind::ProcessExec, shell, |event| pid_is(event, child.id()));
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"# ") && !seen.ends_with(b"$ ") {
            ours.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        // Typed until it is seen: a copy is watched a moment after it was first run.
        let typed = ": metsuke typed";
        let mut tries = 0;
        while !watch.caught(|event| {
            pid_is(event, child.id())
                && script(event).is_some_and(|told| {
                    told.source.as_deref() == Some("interactive")
                        && told.content.as_deref() == Some(typed)
                })
        }) {
            tries += 1;
            assert!(tries < 200, "{shell}");
            writeln!(ours, "{typed}").unwrap();
        }
        writeln!(ours, "exit 0").unwrap();
        child.wait().unwrap();
    }
}
