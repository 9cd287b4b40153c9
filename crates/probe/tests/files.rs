//! What is done to files beside their content: links, attributes, mounts, exchanges, devices; and the
//! facts of their content. Done by direct system calls in a control group of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "a test; unsafe only for system calls without a wrapper, whose arguments are words"
)]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use metsuke_event::{Activity, Event, File, Kind};
use support::actor::{Actor, call, fd};
use support::{Group, Shown, Table, Watch, path_is, pid_is, row};

const AT_FDCWD: u64 = libc::AT_FDCWD as u64;

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn at(text: &CString) -> u64 {
    text.as_ptr() as u64
}

/// A system call that must not fail.
fn done(what: &str, number: libc::c_long, arguments: [u64; 6]) -> u64 {
    let result = call(number, arguments);
    assert!(result >= 0, "{what}: {}", std::io::Error::from_raw_os_error(-result as i32));
    result.cast_unsigned()
}

fn file(event: &Event) -> &File {
    match &event.activity {
        Activity::File(_, file) => file,
        other => panic!("{other:?}"),
    }
}

/// A folder of the test's own with a file `a` in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    fs::write(base.join("a"), "content of a").unwrap();
    (dir, base)
}

/// An event of `kind` at `path` by `actor`.
fn told(watch: &mut Watch, actor: &Actor, kind: Kind, path: &Path) -> File {
    let what = format!("{} of {}", kind.name(), path.display());
    let event = watch.of(kind, &what, |event| path_is(event, path));
    assert!(pid_is(&event, actor.pid()), "{event:?}");
    assert!(event.process.exe.is_some(), "its process is described");
    file(&event).clone()
}

/// The change of `attribute` of `path`.
fn change(watch: &mut Watch, actor: &Actor, attribute: &str, path: &Path) -> File {
    let event = watch.of(Kind::FileAttributes, attribute, |event| {
        path_is(event, path) && file(event).attribute.as_deref() == Some(attribute)
    });
    assert!(pid_is(&event, actor.pid()));
    file(&event).clone()
}

#[test]
fn links_tell_what_they_lead_to() {
    let test = "links_tell_what_they_lead_to";
    let Some(group) = Group::make(test) else { return };
    let (_dir, base) = folder();
    let names: Vec<CString> =
        ["a", "hard", "hard2", "soft", "soft2"].map(|n| c(&base.join(n))).into();
    let mut actor = Actor::fork(&group, || {
        done("link", libc::SYS_link, [at(&names[0]), at(&names[1]), 0, 0, 0, 0]);
        let open = [AT_FDCWD, at(&names[0]), libc::O_PATH as u64, 0, 0, 0];
        let held = done("open", libc::SYS_openat, open);
        let empty = CString::default();
        let by = [held, at(&empty), AT_FDCWD, at(&names[2]), libc::AT_EMPTY_PATH as u64, 0];
        done("linkat", libc::SYS_linkat, by);
        let goal = CString::new("../nowhere").unwrap();
        done("symlink", libc::SYS_symlink, [at(&goal), at(&names[3]), 0, 0, 0, 0]);
        done("symlinkat", libc::SYS_symlinkat, [at(&goal), AT_FDCWD, at(&names[4]), 0, 0, 0]);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let inode = fs::metadata(base.join("a")).unwrap().ino();
    for name in ["hard", "hard2"] {
        let file = told(&mut watch, &actor, Kind::FileLink, &base.join(name));
        assert_eq!(file.link_target.as_deref(), base.join("a").to_str());
        assert_eq!(file.inode, Some(inode));
        assert!(file.sha256.is_some());
    }
    for name in ["soft", "soft2"] {
        let file = told(&mut watch, &actor, Kind::FileLink, &base.join(name));
        assert_eq!(file.link_target.as_deref(), Some("../nowhere"));
    }
    row(Table::Evasion, "hard link or symbolic link", Shown::Seen, "file.link with its target");
}

#[test]
fn a_file_without_a_name_is_told_when_it_is_made_and_named() {
    let test = "a_file_without_a_name_is_told_when_it_is_made_and_named";
    let Some(group) = Group::make(test) else { return };
    let (_dir, base) = folder();
    let place = c(&base);
    let names: Vec<CString> = ["by-descriptor", "by-proc"].map(|n| c(&base.join(n))).into();
    let flags = (libc::O_TMPFILE | libc::O_WRONLY) as u64;
    // Which file systems know O_TMPFILE is theirs to say.
    let tried = call(libc::SYS_openat, [AT_FDCWD, at(&place), flags, 0o600, 0, 0]);
    if tried < 0 {
        eprintln!("NOT RUN: {test}: no O_TMPFILE in {}: {tried}", base.display());
        return;
    }
    call(libc::SYS_close, [tried.cast_unsigned(), 0, 0, 0, 0, 0]);
    let mut actor = Actor::fork(&group, || {
        for (number, name) in names.iter().enumerate() {
            let open = [AT_FDCWD, at(&place), flags, 0o600, 0, 0];
            let made = done("openat", libc::SYS_openat, open);
            let text = [b'x'; 8];
            done("write", libc::SYS_write, [made, text.as_ptr() as u64, 8, 0, 0, 0]);
            let empty = CString::default();
            let link = CString::new(format!("/proc/self/fd/{made}")).unwrap();
            let (old, how) = match number {
                0 => (&empty, libc::AT_EMPTY_PATH),
                _ => (&link, libc::AT_SYMLINK_FOLLOW),
            };
            let by = [if number == 0 { made } else { AT_FDCWD }, at(old), AT_FDCWD, at(name)];
            done("linkat", libc::SYS_linkat, [by[0], by[1], by[2], by[3], how as u64, 0]);
        }
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    for name in ["by-descriptor", "by-proc"] {
        let inode = fs::metadata(base.join(name)).unwrap().ino();
        let unnamed = base.join(format!("#{inode}"));
        let made = told(&mut watch, &actor, Kind::FileCreate, &unnamed);
        assert_eq!(made.inode, Some(inode));
        let link = told(&mut watch, &actor, Kind::FileLink, &base.join(name));
        assert_eq!(link.link_target.as_deref(), unnamed.to_str());
        assert_eq!(link.inode, Some(inode), "the same file");
        assert!(link.sha256.is_some());
        let written = told(&mut watch, &actor, Kind::FileModify, &unnamed);
        assert_eq!((written.inode, written.bytes_written), (Some(inode), Some(8)));
        assert_eq!(written.sha256, link.sha256, "read where its process holds it");
    }
    let shown = "file.create as `#` and its inode, file.link with the name it is given";
    row(Table::Evasion, "file without a name (O_TMPFILE)", Shown::Seen, shown);
}

#[test]
fn attributes_tell_what_was_set() {
    let test = "attributes_tell_what_was_set";
    let Some(group) = Group::make(test) else { return };
    let (_dir, base) = folder();
    let path = base.join("a");
    let (name, key) = (c(&path), CString::new("user.note").unwrap());
    let mut actor = Actor::fork(&group, || {
        done("chmod", libc::SYS_chmod, [at(&name), 0o4711, 0, 0, 0, 0]);
        let open = [AT_FDCWD, at(&name), libc::O_RDONLY as u64, 0, 0, 0];
        let held = done("open", libc::SYS_openat, open);
        done("fchown", libc::SYS_fchown, [held, 1234, u64::from(u32::MAX), 0, 0, 0]);
        let value = *b"hello";
        let set = [held, at(&key), value.as_ptr() as u64, value.len() as u64, 0, 0];
        let noted = call(libc::SYS_fsetxattr, set);
        if noted >= 0 {
            done("removexattr", libc::SYS_removexattr, [at(&name), at(&key), 0, 0, 0, 0]);
        }
        // Access time as it is, modification in the year 2001.
        let times = [0_u64, libc::UTIME_OMIT as u64, 1_000_000_000, 500];
        let old = [AT_FDCWD, at(&name), times.as_ptr() as u64, 0, 0, 0];
        done("utimensat", libc::SYS_utimensat, old);
        let (mut flags, append) = (0_u32, 0x20_u32);
        let get = [held, libc::FS_IOC_GETFLAGS, (&raw mut flags) as u64, 0, 0, 0];
        let flagged = call(libc::SYS_ioctl, get) >= 0 && {
            let set = |value: &u32| {
                let address = std::ptr::from_ref(value) as u64;
                call(libc::SYS_ioctl, [held, libc::FS_IOC_SETFLAGS, address, 0, 0, 0]) >= 0
            };
            set(&(flags | append)) && set(&flags)
        };
        vec![u8::from(noted >= 0), u8::from(flagged)]
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let could = actor.act();
    let mode = change(&mut watch, &actor, "mode", &path);
    assert_eq!(mode.value.as_deref(), Some("4711"));
    let owner = change(&mut watch, &actor, "owner", &path);
    assert_eq!((owner.value.as_deref(), owner.owner_id), (Some("1234:"), Some(1234)));
    assert_eq!(owner.inode, Some(fs::metadata(&path).unwrap().ino()));
    let times = change(&mut watch, &actor, "times", &path);
    assert_eq!(times.value.as_deref(), Some("mtime=2001-09-09T01:46:40.000000500Z"));
    if could[0] == 1 {
        let set = change(&mut watch, &actor, "xattr", &path);
        assert_eq!(
            (set.xattr.as_deref(), set.value.as_deref()),
            (Some("user.note"), Some("hello"))
        );
        let gone = change(&mut watch, &actor, "xattr_removed", &path);
        assert_eq!((gone.xattr.as_deref(), gone.value), (Some("user.note"), None));
    } else {
        eprintln!("NOT RUN: {test}: extended attributes: not on this file system");
    }
    if could[1] == 1 {
        let flags = change(&mut watch, &actor, "flags", &path);
        assert!(flags.value.unwrap().split(' ').any(|flag| flag == "append"));
    } else {
        eprintln!("NOT RUN: {test}: file flags: not on this file system");
    }
    row(
        Table::Evasion,
        "times set back",
        Shown::Seen,
        "file.attributes with the times that were set",
    );
}

#[test]
fn mounts_by_both_interfaces() {
    let test = "mounts_by_both_interfaces";
    let Some(group) = Group::make(test) else { return };
    let (_dir, base) = folder();
    let (one, two) = (base.join("one"), base.join("two"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    let names = [c(&one), c(&two)];
    let mut actor = Actor::fork(&group, || {
        let text = |text: &str| CString::new(text).unwrap();
        let (root, tmpfs, source) = (text("/"), text("tmpfs"), text("of the test"));
        done("unshare", libc::SYS_unshare, [libc::CLONE_NEWNS as u64, 0, 0, 0, 0, 0]);
        let private = libc::MS_REC | libc::MS_PRIVATE;
        done("private", libc::SYS_mount, [0, at(&root), 0, private, 0, 0]);
        let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
        let mount = [at(&source), at(&names[0]), at(&tmpfs), flags, 0, 0];
        done("mount", libc::SYS_mount, mount);
        let opened = done("fsopen", libc::SYS_fsopen, [at(&tmpfs), 0, 0, 0, 0, 0]);
        let (key, value) = (text("source"), text("by parts"));
        done("source", libc::SYS_fsconfig, [opened, 1, at(&key), at(&value), 0, 0]);
        done("create", libc::SYS_fsconfig, [opened, 6, 0, 0, 0, 0]);
        let mount = done("fsmount", libc::SYS_fsmount, [opened, 0, 0, 0, 0, 0]);
        let empty = CString::default();
        let moved = [mount, at(&empty), AT_FDCWD, at(&names[1]), 4, 0];
        done("move_mount", libc::SYS_move_mount, moved);
        for descriptor in [mount, opened] {
            done("close", libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]);
        }
        for name in &names {
            done("umount2", libc::SYS_umount2, [at(name), 0, 0, 0, 0, 0]);
        }
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let mounted = told(&mut watch, &actor, Kind::FileMount, &one);
    assert_eq!(mounted.filesystem.as_deref(), Some("tmpfs"));
    assert_eq!(mounted.mount_source.as_deref(), Some("of the test"));
    assert_eq!(mounted.mount_flags.as_deref(), Some("nosuid noexec"));
    let mounted = told(&mut watch, &actor, Kind::FileMount, &two);
    assert_eq!(mounted.filesystem.as_deref(), Some("tmpfs"));
    assert_eq!(mounted.mount_source.as_deref(), Some("by parts"));
    for path in [&one, &two] {
        told(&mut watch, &actor, Kind::FileUnmount, path);
    }
}

#[test]
fn exchanges_and_files_by_handle() {
    let test = "exchanges_and_files_by_handle";
    let Some(group) = Group::make(test) else { return };
    let (_dir, base) = folder();
    fs::write(base.join("b"), "content of b").unwrap();
    let (a, b, folder) = (c(&base.join("a")), c(&base.join("b")), c(&base));
    let mut actor = Actor::fork(&group, || {
        const EXCHANGE: u64 = 2;
        let swap = [AT_FDCWD, at(&a), AT_FDCWD, at(&b), EXCHANGE, 0];
        done("renameat2", libc::SYS_renameat2, swap);
        // A handle: its room, its type, then the bytes.
        let (mut handle, mut mount) = ([0_u32; 34], 0_i32);
        handle[0] = 128;
        let (handle_at, mount_at) = (handle.as_mut_ptr() as u64, (&raw mut mount) as u64);
        let name = [AT_FDCWD, at(&b), handle_at, mount_at, 0, 0];
        if call(libc::SYS_name_to_handle_at, name) < 0 {
            return vec![0];
        }
        let open = [AT_FDCWD, at(&folder), libc::O_RDONLY as u64, 0, 0, 0];
        let held = done("open", libc::SYS_openat, open);
        let by = [held, handle_at, (libc::O_WRONLY | libc::O_TRUNC) as u64, 0, 0, 0];
        let file = done("open_by_handle_at", libc::SYS_open_by_handle_at, by);
        let text = *b"by handle";
        done("write", libc::SYS_write, [file, text.as_ptr() as u64, text.len() as u64, 0, 0, 0]);
        done("close", libc::SYS_close, [file, 0, 0, 0, 0, 0]);
        vec![1]
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let could = actor.act();
    for (from, to) in [("a", "b"), ("b", "a")] {
        let moved = told(&mut watch, &actor, Kind::FileRename, &base.join(to));
        assert_eq!(moved.old_path.as_deref(), base.join(from).to_str());
    }
    if could == [0] {
        eprintln!("NOT RUN: {test}: handles: not on this file system");
        return;
    }
    let written = told(&mut watch, &actor, Kind::FileModify, &base.join("b"));
    assert_eq!((written.bytes_written, written.size), (Some(9), Some(9)));
    row(Table::Evasion, "file opened by handle", Shown::Seen, "file.modify with its path");
}

#[test]
fn devices_past_the_file_system() {
    let test = "devices_past_the_file_system";
    let block = fs::read_dir("/dev").unwrap().flatten().map(|entry| entry.path()).find(|path| {
        let block = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_block_device());
        block && fs::File::open(path).is_ok()
    });
    let Some(block) = block else {
        eprintln!("NOT RUN: {test}: no block device that can be opened");
        return;
    };
    let Some(group) = Group::make(test) else { return };
    let name = c(&block);
    let mut actor = Actor::fork(&group, || {
        let open = [AT_FDCWD, at(&name), libc::O_RDONLY as u64, 0, 0, 0];
        done("open", libc::SYS_openat, open);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let opened = told(&mut watch, &actor, Kind::FileRawAccess, &block);
    assert_eq!(opened.sensitivity.as_deref(), Some("block device"));
    assert_eq!(opened.value.as_deref(), Some("read"));
    assert_eq!(opened.inode, Some(fs::metadata(&block).unwrap().ino()));
    let reason = "file.raw_access when a block device is opened: which, and for reading or writing";
    row(Table::Coverage, "Raw Access Read", Shown::Seen, reason);
}

#[test]
fn facts_of_content_come_with_the_file() {
    let test = "facts_of_content_come_with_the_file";
    let Some(group) = Group::make(test) else { return };
    let (_dir, base) = folder();
    let path = base.join("made");
    let (name, removed) = (c(&path), c(&base.join("a")));
    let mut actor = Actor::fork(&group, || {
        let flags = (libc::O_CREAT | libc::O_WRONLY) as u64;
        let made =
            fs_file(done("open", libc::SYS_openat, [AT_FDCWD, at(&name), flags, 0o644, 0, 0]));
        let text = *b"#!/bin/sh\nabcdefghijklmnopqrstuvwxyz 0123456789 the quick brown fox\n";
        done(
            "write",
            libc::SYS_write,
            [fd(&made), text.as_ptr() as u64, text.len() as u64, 0, 0, 0],
        );
        drop(made);
        done("unlink", libc::SYS_unlink, [at(&removed), 0, 0, 0, 0, 0]);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    told(&mut watch, &actor, Kind::FileCreate, &path);
    told(&mut watch, &actor, Kind::FileDelete, &base.join("a"));
    let told = told(&mut watch, &actor, Kind::FileModify, &path);
    let known = metsuke_scan::of_bytes(&fs::read(&path).unwrap());
    assert_eq!(told.md5, Some(known.md5()));
    assert_eq!(told.sha1, Some(known.sha1()));
    assert_eq!(told.sha256, Some(known.sha256()));
    assert_eq!(told.tlsh, known.tlsh());
    assert!(told.tlsh.is_some());
    assert_eq!(told.entropy, Some(known.entropy()));
    assert_eq!(told.header.as_deref(), Some(&*known.header().unwrap()));
    assert!(told.header.unwrap().starts_with("23212f62696e2f7368"));
    assert_eq!(told.content_type.as_deref(), Some("script"));
    assert_eq!(told.size, Some(fs::metadata(&path).unwrap().len()));
    assert_eq!(told.bytes_written, told.size);
    for (name, reason) in [
        ("File Creation", "file.create with the path"),
        ("File Modification", "file.modify at close, with bytes written"),
        ("File Deletion", "file.delete with the path"),
        ("MD5", "file.hash.md5 of a file made and written, at close"),
        ("SHA", "file.hash.sha1 and file.hash.sha256 of a file made and written, at close"),
        ("Fuzzy Hash", "file.hash.tlsh"),
        ("File Entropy", "file.entropy in thousandths of a bit per byte"),
        ("Header Bytes", "file.header, the first 32 bytes, and file.content_type"),
        ("File Size", "file.size"),
    ] {
        row(Table::Coverage, name, Shown::Seen, reason);
    }
}

fn fs_file(descriptor: u64) -> fs::File {
    // SAFETY: a descriptor that was just opened and is nobody else's.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(i32::try_from(descriptor).unwrap()) }
}
