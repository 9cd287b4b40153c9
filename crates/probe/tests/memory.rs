//! Memory that becomes executable, files made of memory, libraries mapped. Done by direct system
//! calls in a control group of the test's own.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only for system calls without a wrapper"
)]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;

use metsuke_event::{Activity, Event, Kind, Memory, Module};
use support::actor::{Actor, call, fd};
use support::{Group, Shown, Table, Watch, pid_is, row};

const PAGE: u64 = 4_096;
const READ: u64 = 1;
const WRITE: u64 = 2;
const EXEC: u64 = 4;
const NONE: u64 = u64::MAX;

fn memory(event: &Event) -> &Memory {
    match &event.activity {
        Activity::Memory(_, memory) => memory,
        other => panic!("{other:?}"),
    }
}

fn image(event: &Event) -> Option<&Module> {
    match &event.activity {
        Activity::Module(_, module) if event.activity.kind() == Kind::ImageLoad => Some(module),
        _ => None,
    }
}

fn backed<'a>(call: &'a str, backing: &'a str) -> impl Fn(&Event) -> bool + 'a {
    move |event| {
        let memory = memory(event);
        (memory.call.as_deref(), memory.backing.as_deref()) == (Some(call), Some(backing))
    }
}

fn u(value: impl TryInto<u64>) -> u64 {
    value.try_into().ok().unwrap()
}

/// Maps `pages` of `file`, or of nothing.
fn map(pages: u64, protection: u64, file: u64) -> u64 {
    let anonymous = if file == NONE { libc::MAP_ANONYMOUS } else { 0 };
    let flags = u(libc::MAP_PRIVATE | anonymous);
    let at = call(libc::SYS_mmap, [0, pages * PAGE, protection, flags, file, 0]);
    assert!(at > 0, "{at}");
    u(at)
}

fn protect(address: u64, protection: u64) {
    assert_eq!(call(libc::SYS_mprotect, [address, PAGE, protection, 0, 0, 0]), 0);
}

/// A page of the first thread's stack.
fn stack() -> u64 {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
    let end = line.split(['-', ' ']).nth(1).unwrap();
    u64::from_str_radix(end, 16).unwrap() - PAGE
}

#[test]
fn executable_memory_is_told_and_summed_up() {
    const ROUNDS: u64 = 200;
    let test = "executable_memory_is_told_and_summed_up";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        map(1, READ | WRITE, NONE);
        let first = map(3, READ | WRITE | EXEC, NONE);
        // What a program that compiles while it runs does.
        let place = map(1, READ | WRITE, NONE);
        for _ in 0..ROUNDS {
            protect(place, READ | WRITE);
            protect(place, READ | EXEC);
        }
        protect(stack(), READ | WRITE | EXEC);
        first.to_ne_bytes().to_vec()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let first = u64::from_ne_bytes(actor.act().try_into().unwrap());
    let event = watch.of(Kind::MemoryMap, "the mapping", backed("mmap", "anonymous"));
    assert!(pid_is(&event, actor.pid()));
    let told = memory(&event);
    assert_eq!((told.address, told.length), (Some(first), Some(3 * PAGE)));
    assert_eq!(told.protection.as_deref(), Some("rwx"));
    let stack = watch.of(Kind::MemoryProtect, "the stack", backed("mprotect", "stack"));
    assert!(pid_is(&stack, actor.pid()));
    actor.end();
    let all = watch.stop();
    let compiled: Vec<&Memory> = all
        .iter()
        .filter(|event| event.activity.kind() == Kind::MemoryProtect)
        .filter(|event| backed("mprotect", "anonymous")(event))
        .map(memory)
        .collect();
    let [first, rest] = compiled[..] else { panic!("{compiled:?}") };
    assert_eq!((first.operations, first.protection.as_deref()), (Some(1), Some("r-x")));
    assert_eq!((rest.operations, rest.length), (Some(ROUNDS - 1), Some((ROUNDS - 1) * PAGE)));
    row(Table::Coverage, "Process Tampering", Shown::Seen, "memory.map, memory.protect");
}

#[test]
fn files_of_memory_are_told() {
    let test = "files_of_memory_are_told";
    let Some(group) = Group::make(test) else { return };
    let mut actor = Actor::fork(&group, || {
        let name = c"of-memory".as_ptr() as u64;
        let made = call(libc::SYS_memfd_create, [name, 0, 0, 0, 0, 0]);
        assert!(made >= 0);
        assert_eq!(call(libc::SYS_ftruncate, [u(made), PAGE, 0, 0, 0, 0]), 0);
        map(1, READ | EXEC, u(made));
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let made = watch.of(Kind::MemoryFile, "the file", |event| {
        memory(event).path.as_deref() == Some("/memfd:of-memory")
    });
    assert!(pid_is(&made, actor.pid()));
    let mapped = watch.of(Kind::MemoryMap, "its mapping", backed("mmap", "memfd"));
    assert_eq!(memory(&mapped).inode, memory(&made).inode);
    assert_eq!(memory(&mapped).path, memory(&made).path);
    assert_eq!(memory(&mapped).protection.as_deref(), Some("r-x"));
    row(Table::Coverage, "Memory-Backed File", Shown::Seen, "memory.create_file, memory.map");
}

#[test]
fn written_code_is_told() {
    let test = "written_code_is_told";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let fresh = dir.path().join("fresh");
    let other = dir.path().join("other");
    fs::write(&other, vec![0x90; 4_096]).unwrap();
    let mut actor = Actor::fork(&group, || {
        let mut file = fs::File::create_new(&fresh).unwrap();
        file.write_all(&[0x90; 4_096]).unwrap();
        map(1, READ | EXEC, fd(&fs::File::open(&fresh).unwrap()));
        let file = fs::File::open(&other).unwrap();
        let at = map(1, READ | WRITE, fd(&file));
        // SAFETY: a page that was mapped for this.
        unsafe { std::ptr::write_volatile(at as *mut u8, 0xc3) };
        protect(at, READ | EXEC);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    for (kind, call, path) in
        [(Kind::MemoryMap, "mmap", &fresh), (Kind::MemoryProtect, "mprotect", &other)]
    {
        let event = watch.of(kind, call, backed(call, "written_file"));
        assert!(pid_is(&event, actor.pid()));
        assert_eq!(memory(&event).path.as_deref(), fs::canonicalize(path).unwrap().to_str());
    }
}

#[test]
fn libraries_are_told_once_for_each_executable() {
    let test = "libraries_are_told_once_for_each_executable";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let library = fs::canonicalize(dir.path()).unwrap().join("libnothing.so");
    fs::write(&library, vec![0x90; 8_192]).unwrap();
    let mut actor = Actor::fork(&group, || {
        let file = fs::File::open(&library).unwrap();
        map(1, READ, fd(&file));
        for _ in 0..3 {
            map(2, READ | EXEC, fd(&file));
        }
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    let is = |event: &Event| {
        image(event).is_some_and(|module| module.path.as_deref() == library.to_str())
    };
    let event = watch.find("the library", is);
    assert!(pid_is(&event, actor.pid()));
    let told = image(&event).unwrap();
    assert_eq!(told.name.as_deref(), Some("libnothing.so"));
    assert_eq!((told.origin.as_deref(), told.operations), (Some("disk"), Some(1)));
    assert!(told.inode.is_some() && told.device.is_some());
    let hash = support::sha256(&library);
    assert_eq!(told.sha256.as_deref(), Some(&*hash));
    // The loader of an ordinary program does the same.
    let shells = [group.shell("exit 0", Path::new("/")), group.shell("exit 0", Path::new("/"))];
    let of_shell = |event: &Event| {
        image(event).is_some_and(|m| m.name.as_deref().is_some_and(|name| name.starts_with("libc")))
    };
    let event = watch.find("the shell's library", of_shell);
    assert!(pid_is(&event, shells[0]));
    actor.end();
    let all = watch.stop();
    assert_eq!(all.iter().filter(|event| is(event)).count(), 1);
    assert_eq!(all.iter().filter(|event| of_shell(event)).count(), 1, "the same pair again");
    row(
        Table::Coverage,
        "Image Load",
        Shown::Seen,
        "image.load: path, SHA-256, once per executable",
    );
}
