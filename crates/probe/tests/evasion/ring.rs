//! Operations through an `io_uring`, which make no system call of their own.

use std::ffi::CStr;
use std::fs;

use metsuke_event::{Activity, Event, Kind};

use crate::support::actor::{Actor, call};
use crate::support::{Group, Shown, Table, Watch, path_is, pid_is, row};

/// `IORING_OP_OPENAT`, `IORING_OP_UNLINKAT` (`linux/io_uring.h`).
const OPEN: u8 = 18;
const UNLINK: u8 = 36;

/// Makes a ring, does one operation on `path` by it, and gives its result.
fn by_ring(operation: u8, path: &CStr) -> Result<i32, i64> {
    /// `struct io_uring_params` as numbers: 10, then the places of both rings, 10 each.
    const WORDS: usize = 30;
    const SQ_TAIL: usize = 11;
    const SQ_ARRAY: usize = 16;
    const CQ_ENTRIES: usize = 25;
    let mut parameters = [0_u32; WORDS];
    let ring = call(libc::SYS_io_uring_setup, [4, parameters.as_mut_ptr() as u64, 0, 0, 0, 0]);
    let Ok(descriptor) = u32::try_from(ring).map(u32::cast_signed) else { return Err(ring) };
    let map = |offset: i64| {
        let both = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of the ring, larger than which it is not.
        let place = unsafe {
            let shared = libc::MAP_SHARED | libc::MAP_POPULATE;
            libc::mmap(std::ptr::null_mut(), 4_096, both, shared, descriptor, offset)
        };
        assert_ne!(place, libc::MAP_FAILED);
        place
    };
    let (submit, entries, complete) = (map(0), map(0x1000_0000), map(0x800_0000));
    let mut entry = [0_u8; 64];
    entry[0] = operation;
    entry[4..8].copy_from_slice(&libc::AT_FDCWD.to_ne_bytes());
    entry[16..24].copy_from_slice(&(path.as_ptr() as u64).to_ne_bytes());
    // SAFETY: the places are within the mappings, as the kernel has said; nobody else uses them.
    unsafe {
        entries.cast::<[u8; 64]>().write_volatile(entry);
        submit.byte_add(parameters[SQ_ARRAY] as usize).cast::<u32>().write_volatile(0);
        submit.byte_add(parameters[SQ_TAIL] as usize).cast::<u32>().write_volatile(1);
    }
    let done = call(libc::SYS_io_uring_enter, [ring.cast_unsigned(), 1, 1, 1, 0, 0]);
    if done < 0 {
        return Err(done);
    }
    // SAFETY: the first completion, which the kernel has written; its result stands behind 8 bytes.
    Ok(unsafe {
        complete.byte_add(parameters[CQ_ENTRIES] as usize + 8).cast::<i32>().read_volatile()
    })
}

/// What the actor answers: the result, or the refusal of rings.
fn told(result: Result<i32, i64>) -> Vec<u8> {
    match result {
        Ok(result) => result.to_ne_bytes().to_vec(),
        Err(error) => error.to_ne_bytes().to_vec(),
    }
}

/// Whether rings can be used here; a NOT RUN line when not.
fn ran(test: &str, answer: &[u8]) -> bool {
    let Ok(result) = <[u8; 4]>::try_from(answer) else {
        eprintln!("NOT RUN: {test}: no io_uring here: {answer:?}");
        return false;
    };
    assert!(i32::from_ne_bytes(result) >= 0, "the operation failed: {result:?}");
    true
}

/// Whether `wanted` came before the end of the actor did.
fn before_the_end(watch: &mut Watch, pid: u32, wanted: impl Fn(&Event) -> bool) -> bool {
    watch.of(Kind::ProcessExit, "its end", |event| pid_is(event, pid));
    watch.seen.iter().any(wanted)
}

fn row_of(name: &str, watch: &Watch, is_seen: bool, seen: &str) {
    if is_seen {
        row(Table::Evasion, name, Shown::Seen, seen);
        return;
    }
    let blind = watch.coverage().blind;
    let said = blind.iter().find(|spot| spot.code == "io_uring").expect("what is not seen is said");
    let reason = format!("the ring is told (kernel.io_uring); not the operation: {}", said.reason);
    row(Table::Evasion, name, Shown::Partly, &reason);
}

#[test]
fn a_key_is_read_by_io_uring() {
    let test = "a_key_is_read_by_io_uring";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir(base.join(".ssh")).unwrap();
    let key = base.join(".ssh/id_test");
    fs::write(&key, "key").unwrap();
    let path = crate::program::c(&key);
    let mut actor = Actor::fork(&group, || told(by_ring(OPEN, &path)));
    let pid = actor.pid();
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    if !ran(test, &actor.act()) {
        return;
    }
    actor.end();
    watch.of(Kind::KernelRing, "the ring", |event| pid_is(event, pid));
    let is_read = |event: &Event| {
        matches!(event.activity, Activity::File(..)) && path_is(event, &key) && pid_is(event, pid)
    };
    let seen = before_the_end(&mut watch, pid, is_read);
    row_of("key read by io_uring", &watch, seen, "kernel.io_uring, and file.read like any other");
}

#[test]
fn a_file_is_removed_by_io_uring() {
    let test = "a_file_is_removed_by_io_uring";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = fs::canonicalize(dir.path()).unwrap().join("log");
    fs::write(&file, "line").unwrap();
    let path = crate::program::c(&file);
    let mut actor = Actor::fork(&group, || told(by_ring(UNLINK, &path)));
    let pid = actor.pid();
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    if !ran(test, &actor.act()) {
        return;
    }
    assert!(!file.exists());
    actor.end();
    watch.of(Kind::KernelRing, "the ring", |event| pid_is(event, pid));
    let is_removed =
        |event: &Event| event.activity.kind() == Kind::FileDelete && path_is(event, &file);
    let seen = before_the_end(&mut watch, pid, is_removed);
    row_of("file removed by io_uring", &watch, seen, "kernel.io_uring, and file.delete as ever");
}
