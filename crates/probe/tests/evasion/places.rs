//! Executables under other names and in other places: links, renames, mounts, other roots.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use metsuke_event::Kind;

use crate::program::{answer, answered, bytes, c, exec, executed, install, pid, run, sha256, tiny};
use crate::support::actor::Actor;
use crate::support::{Group, Shown, Table, Watch, path_is, pid_is, row};

/// A program under some name, run by that name; the watch that saw it, and what it told.
fn told(test: &str, prepare: impl FnOnce(&Path) -> String, expect: &str) -> bool {
    let Some(group) = Group::make(test) else { return false };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    install(&base.join("program"), &tiny());
    let program = c(&base.join(prepare(&base)));
    let mut actor = Actor::fork(&group, || bytes(run(|| exec(&program, &[c"innocent"], &[]))));
    let Some(mut watch) = Watch::tracing(&group, test) else { return false };
    let event = executed(&mut watch, pid(&actor.act()));
    assert_eq!(event.process.exe.as_deref(), base.join(expect).to_str());
    assert_eq!(event.process.sha256.as_deref(), Some(sha256(&tiny()).as_str()));
    actor.end();
    true
}

#[test]
fn symbolic_link() {
    let prepare = |base: &Path| {
        symlink(base.join("program"), base.join("ls")).unwrap();
        "ls".to_owned()
    };
    if told("symbolic_link", prepare, "program") {
        row(Table::Evasion, "symbolic link", Shown::Seen, "process.exec with the file it leads to");
    }
}

#[test]
fn hard_link() {
    let prepare = |base: &Path| {
        fs::hard_link(base.join("program"), base.join("ls")).unwrap();
        "ls".to_owned()
    };
    if told("hard_link", prepare, "ls") {
        let reason = "process.exec with the name used, and the hash of the file";
        row(Table::Evasion, "hard link", Shown::Seen, reason);
    }
}

#[test]
fn renamed_program() {
    let prepare = |base: &Path| {
        fs::rename(base.join("program"), base.join("sshd")).unwrap();
        "sshd".to_owned()
    };
    if told("renamed_program", prepare, "sshd") {
        let reason = "process.exec with the hash, which the name does not change";
        row(Table::Evasion, "renamed program", Shown::Seen, reason);
    }
}

#[test]
fn renamed_busybox() {
    let test = "renamed_busybox";
    let Some(busybox) =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists())
    else {
        eprintln!("NOT RUN: {test}: there is no busybox here");
        return;
    };
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("update");
    install(&path, &fs::read(busybox).unwrap());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || bytes(run(|| exec(&program, &[c"true"], &[]))));
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let event = executed(&mut watch, pid(&actor.act()));
    assert_eq!(event.process.exe.as_deref(), path.to_str());
    let hash = sha256(&fs::read(busybox).unwrap());
    assert_eq!(event.process.sha256.as_deref(), Some(hash.as_str()));
    actor.end();
    let reason = "process.exec with the hash of busybox and the applet in its arguments";
    row(Table::Evasion, "renamed busybox", Shown::Seen, reason);
}

#[test]
fn unlinked_after_execution() {
    let test = "unlinked_after_execution";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("once");
    install(&path, &fs::read("/bin/sleep").unwrap());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || {
        let child = crate::program::start(|| exec(&program, &[c"once", c"600"], &[]));
        // SAFETY: our own child, a text with its NUL, and plain calls.
        unsafe {
            let mut link = [0_u8; 256];
            let exe = std::ffi::CString::new(format!("/proc/{child}/exe")).unwrap();
            let runs = |link: &mut [u8; 256]| {
                let length = libc::readlink(exe.as_ptr(), link.as_mut_ptr().cast(), 256);
                link[..usize::try_from(length).unwrap_or(0)] == *program.as_bytes()
            };
            while !runs(&mut link) {
                libc::sched_yield();
            }
            assert_eq!(libc::unlink(program.as_ptr()), 0);
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        bytes(child)
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let pid = pid(&actor.act());
    let event = executed(&mut watch, pid);
    assert_eq!(event.process.exe.as_deref(), path.to_str());
    let hash = event.process.sha256.as_deref();
    let whole = sha256(&fs::read("/bin/sleep").unwrap());
    assert!(hash.is_none_or(|hash| hash == whole), "{hash:?}");
    watch.of(Kind::FileDelete, "the removal", |event| path_is(event, &path));
    let exit = watch.of(Kind::ProcessExit, "its end", |event| pid_is(event, pid));
    assert_eq!(exit.process.exe.as_deref(), path.to_str(), "it keeps the path it had");
    actor.end();
    let reason = "process.exec with the path, which it keeps to its end, and file.delete; a hash only \
                  where the file could be read in time";
    row(Table::Evasion, "unlinked after exec", Shown::Seen, reason);
}

/// Mounts, for the calling process alone.
fn mount(source: &CStr, goal: &Path, kind: &CStr, flags: u64, data: &CStr) -> io::Result<()> {
    let goal = c(goal);
    // SAFETY: every text has its NUL and outlives the call.
    let done = unsafe {
        libc::mount(source.as_ptr(), goal.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A mount namespace for the calling process, from which nothing gets out.
fn alone() -> io::Result<()> {
    // SAFETY: a plain call.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(c"none", Path::new("/"), c"none", libc::MS_REC | libc::MS_PRIVATE, c"")
}

#[test]
fn bind_mount() {
    let test = "bind_mount";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    install(&base.join("program"), &tiny());
    install(&base.join("innocent"), b"#!/bin/sh\n");
    let (from, over) = (c(&base.join("program")), base.join("innocent"));
    let mut actor = Actor::fork(&group, || {
        answer(alone().and_then(|()| {
            mount(&from, &over, c"none", libc::MS_BIND, c"")?;
            Ok(run(|| exec(&c(&over), &[c"innocent"], &[])))
        }))
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Some(pid) = answered(test, &actor.act()) else { return };
    let event = executed(&mut watch, pid);
    assert_eq!(event.process.exe.as_deref(), base.join("innocent").to_str());
    let (hash, whole) = (event.process.sha256.as_deref(), sha256(&tiny()));
    assert!(hash.is_none_or(|hash| hash == whole), "never of what lies below: {hash:?}");
    actor.end();
    let name = "bind mount over an innocent file";
    if hash.is_some() {
        let reason = "process.exec with the path used, and the hash of the file mounted there";
        row(Table::Evasion, name, Shown::Seen, reason);
    } else {
        let reason = "process.exec with the path used; no hash when the process and its mount \
                      namespace end before the file is read, and never that of the file below";
        row(Table::Evasion, name, Shown::Partly, reason);
    }
}

#[test]
fn overlay() {
    let test = "overlay";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let mut actor = Actor::fork(&group, || {
        answer(alone().and_then(|()| {
            mount(c"none", &base, c"tmpfs", 0, c"")?;
            for name in ["lower", "upper", "work", "merged"] {
                fs::create_dir(base.join(name))?;
            }
            install(&base.join("lower/program"), &tiny());
            let b = base.display();
            let data = format!("lowerdir={b}/lower,upperdir={b}/upper,workdir={b}/work\0");
            let data = CStr::from_bytes_with_nul(data.as_bytes()).unwrap();
            mount(c"none", &base.join("merged"), c"overlay", 0, data)?;
            install(&base.join("merged/new"), &tiny());
            run(|| exec(&c(&base.join("merged/program")), &[c"lower"], &[]));
            Ok(run(|| exec(&c(&base.join("merged/new")), &[c"upper"], &[])))
        }))
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Some(_) = answered(test, &actor.act()) else { return };
    for (layer, name) in [("lower", "program"), ("upper", "new")] {
        let event = watch
            .of(Kind::ProcessExec, layer, |event| event.process.cmd_line.as_deref() == Some(layer));
        assert_eq!(event.process.exe_layer.as_deref(), Some(layer), "{event:?}");
        let exe = event.process.exe.as_deref().unwrap();
        assert!(exe.ends_with(&format!("merged/{name}")), "{exe}");
    }
    actor.end();
    let reason = "process.exec with the path and the layer: upper is new since the image";
    row(Table::Evasion, "copy in an overlay", Shown::Seen, reason);
}

#[test]
fn another_root_in_another_mount_namespace() {
    let test = "another_root_in_another_mount_namespace";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir(base.join("bin")).unwrap();
    install(&base.join("bin/ls"), &tiny());
    let root = c(&base);
    let mut actor = Actor::fork(&group, || {
        answer(alone().map(|()| {
            run(|| {
                // SAFETY: texts with their NUL.
                unsafe {
                    assert_eq!(libc::chroot(root.as_ptr()), 0);
                    assert_eq!(libc::chdir(c"/".as_ptr()), 0);
                }
                exec(c"/bin/ls", &[c"ls"], &[]);
            })
        }))
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Some(pid) = answered(test, &actor.act()) else { return };
    let event = executed(&mut watch, pid);
    assert_eq!(event.process.exe.as_deref(), base.join("bin/ls").to_str(), "by the host's root");
    watch.of(Kind::ProcessNamespace, "the new mount namespace", |event| pid_is(event, actor.pid()));
    actor.end();
    let reason = "process.exec with the path from the host's root; process.namespace";
    row(Table::Evasion, "chroot in another mount namespace", Shown::Seen, reason);
}
