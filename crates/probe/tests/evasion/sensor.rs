//! Against the watch itself: its programs detached, tracefs unmounted, its queues flooded, clocks
//! that say something else.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Event, Kind, Tally};
use metsuke_probe::{ProbeConfig, Scope};

use crate::program::{answer, answered, bytes, c, exec, executed, install, pid, run, tiny};
use crate::support::actor::{Actor, call};
use crate::support::{Group, PATIENCE, Shown, Table, Watch, pid_is, row};

/// The links of this test binary's own watches, by the descriptors it has.
fn own_links(pid: libc::pid_t) -> Vec<u32> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let infos = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    infos
        .filter_map(|info| {
            info.lines().find_map(|line| line.strip_prefix("link_id:")?.trim().parse().ok())
        })
        .collect()
}

/// Tries to detach a link by its id, as any program of root can.
fn detach(link: u32) -> i64 {
    /// `BPF_LINK_GET_FD_BY_ID`, `BPF_LINK_DETACH` (linux/bpf.h).
    const BY_ID: u64 = 30;
    const DETACH: u64 = 34;
    let attribute = [link, 0, 0, 0];
    let fd = call(libc::SYS_bpf, [BY_ID, attribute.as_ptr() as u64, 16, 0, 0, 0]);
    let Ok(fd) = u32::try_from(fd) else { return fd };
    let attribute = [fd, 0, 0, 0];
    call(libc::SYS_bpf, [DETACH, attribute.as_ptr() as u64, 4, 0, 0, 0])
}

#[test]
fn bpf_links_detached() {
    let test = "bpf_links_detached";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("after");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || {
        // SAFETY: a plain call.
        let links = own_links(unsafe { libc::getppid() });
        let count = u8::try_from(links.len()).unwrap();
        let detached = links.into_iter().filter(|link| detach(*link) == 0).count();
        let mut told = vec![count, u8::try_from(detached).unwrap()];
        told.extend(bytes(run(|| exec(&program, &[c"after"], &[]))));
        told
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let told = actor.act();
    let (links, detached) = (told[0], told[1]);
    assert!(links > 0, "the watch has links");
    if detached == 0 {
        executed(&mut watch, pid(&told[2..]));
        let reason = "the kernel lets nobody detach these links but by closing the sensor's \
                      descriptors; what came after was seen";
        row(Table::Evasion, "BPF links detached", Shown::Stopped, reason);
    } else {
        let actor = actor.pid();
        watch.of(Kind::BpfDetach, "the detachment", |event| pid_is(event, actor));
        let reason = "bpf.detach tells who detached a link, as the last that is seen by it";
        row(Table::Evasion, "BPF links detached", Shown::Partly, reason);
    }
    actor.end();
}

/// Enters a mount namespace of this thread's own, in which tracefs and bpffs are mounted.
fn with_eyes(places: &[CString; 2]) -> std::io::Result<()> {
    let root = c"/";
    let none = std::ptr::null();
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: plain calls and texts with their NUL; the namespace is this thread's own.
    let alone = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, root.as_ptr(), none, private, none.cast()) == 0
            && places.iter().zip([c"tracefs", c"bpf"]).all(|(place, kind)| {
                libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, none.cast()) == 0
            })
    };
    if alone { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn without_tracefs() {
    let test = "without_tracefs";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("unseen");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || bytes(run(|| exec(&program, &[c"unseen"], &[]))));
    // The probe's thread is this one's child, and sees what this one sees.
    let places = ["/sys/kernel/tracing", "/sys/fs/bpf"].map(|place| c(Path::new(place)));
    if let Err(error) = with_eyes(&places) {
        eprintln!("NOT RUN: {test}: tracefs and bpffs cannot be mounted in a namespace: {error}");
        return;
    }
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    for place in &places {
        // SAFETY: a text with its NUL.
        let gone = unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) };
        assert_eq!(gone, 0, "{place:?}: {}", std::io::Error::last_os_error());
    }
    let pid = pid(&actor.act());
    executed(&mut watch, pid);
    actor.end();
    let reason = "process.exec as before: tier 2 holds its programs by descriptors and asks neither \
                  file system; both were mounted when the watch began and unmounted under it, in its \
                  own mount namespace";
    row(Table::Evasion, "tracefs and bpffs unmounted", Shown::Seen, reason);
}

#[test]
fn another_clock() {
    let test = "another_clock";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("late");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || {
        // A namespace whose clocks are a year ahead, for the children.
        // SAFETY: a plain call.
        let result = if unsafe { libc::unshare(libc::CLONE_NEWTIME) } == 0 {
            fs::write("/proc/self/timens_offsets", "monotonic 31536000 0\nboottime 31536000 0\n")
        } else {
            Err(std::io::Error::last_os_error())
        };
        answer(result.map(|()| run(|| exec(&program, &[c"late"], &[]))))
    });
    let before = std::time::SystemTime::now();
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Some(pid) = answered(test, &actor.act()) else { return };
    let event = executed(&mut watch, pid);
    let since = |time: std::time::SystemTime| {
        let nanos = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        i64::try_from(nanos).unwrap()
    };
    // Two hours are far less than a year and far more than a busy machine takes.
    let hours = 2 * 3_600 * 1_000_000_000_i64;
    let time = event.time.as_nanos();
    assert!((time - since(before)).abs() < hours, "{event:?}");
    let started = event.process.start_time.expect("a start").as_nanos();
    assert!((started - since(before)).abs() < hours, "{event:?}");
    actor.end();
    let reason = "process.exec at the kernel's own time; a process's time namespace changes nothing. \
                  The host's clock itself is not set by a test";
    row(Table::Evasion, "clock changed (time namespace)", Shown::Seen, reason);
}

/// Files made by the flood: more than one batch, less than a minute's work of a busy machine.
const FILES: u64 = 20_000;

/// Files made at a time until the flood is enough.
const MORE: u64 = 1_000;

/// Whether there is such a file.
fn exists(path: &CString) -> bool {
    let at = i64::from(libc::AT_FDCWD).cast_unsigned();
    call(libc::SYS_faccessat, [at, path.as_ptr() as u64, 0, 0, 0, 0]) == 0
}

/// Makes and removes a file for each number.
fn flood(base: &Path, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let path = c(&base.join(format!("f{number}")));
        let at = i64::from(libc::AT_FDCWD).cast_unsigned();
        let name = path.as_ptr() as u64;
        let flags = u64::try_from(libc::O_CREAT | libc::O_WRONLY).unwrap();
        let fd = call(libc::SYS_openat, [at, name, flags, 0o600, 0, 0]);
        assert!(fd >= 0);
        call(libc::SYS_close, [fd.cast_unsigned(), 0, 0, 0, 0, 0]);
        call(libc::SYS_unlinkat, [at, name, 0, 0, 0, 0]);
    }
}

/// Creations and deletions by `pid` that were told, or told as lost; and all that was.
fn account(all: &[Event], pid: u32) -> ([u64; 2], Tally) {
    let mut lost = Tally::default();
    for event in all {
        if let Activity::Health(health) = &event.activity {
            lost.merge(&Tally::told(health));
        }
    }
    let accounted = [Kind::FileCreate, Kind::FileDelete].map(|kind| {
        let told = all.iter().filter(|event| event.activity.kind() == kind && pid_is(event, pid));
        told.count() as u64 + lost.get(kind)
    });
    (accounted, lost)
}

/// Waits until each creation and deletion by `pid` was told, or told as lost; gives what was lost.
fn accounted(watch: &mut Watch, pid: u32, files: u64) -> Tally {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (accounted, lost) = account(&watch.seen, pid);
        if accounted == [files; 2] {
            return lost;
        }
        assert!(Instant::now() < end, "{accounted:?} of {files} each; lost: {lost}");
        watch.caught(|_| false);
    }
}

#[test]
fn attack_in_a_flood_of_files() {
    let test = "attack_in_a_flood_of_files";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let path = base.join("attack");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || {
        flood(&base, 0..FILES / 2);
        let attack = run(|| exec(&program, &[c"attack"], &[]));
        flood(&base, FILES / 2..FILES);
        bytes(attack)
    });
    let who = actor.pid();
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let attack = pid(&actor.act());
    let lost = accounted(&mut watch, who, FILES);
    actor.end();
    let all = watch.stop();
    let told = |event: &Event| event.activity.kind() == Kind::ProcessExec && pid_is(event, attack);
    let name = "attack inside a flood of files";
    if all.iter().any(told) {
        let reason = format!(
            "process.exec inside {} file operations in a row; each creation and deletion was told, \
             or told as lost, kind by kind",
            4 * FILES
        );
        row(Table::Evasion, name, Shown::Seen, &reason);
    } else {
        assert!(lost.get(Kind::ProcessExec) > 0, "lost: {lost}");
        let reason =
            "on a machine too busy for the sensor to keep up it was told as lost, as process.exec";
        row(Table::Evasion, name, Shown::Partly, reason);
    }
}

/// A reader that stands still: room for one batch, and nobody takes it while the flood lasts.
#[test]
fn attack_while_nobody_reads() {
    let test = "attack_while_nobody_reads";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let path = base.join("attack");
    install(&path, &tiny());
    let program = c(&path);
    // Beside the folder that is flooded: made when the flood has been enough.
    let beside = tempfile::tempdir().unwrap();
    let enough = c(&beside.path().join("enough"));
    let mut actor = Actor::fork(&group, || {
        flood(&base, 0..FILES / 2);
        let attack = run(|| exec(&program, &[c"attack"], &[]));
        let mut files = FILES / 2;
        while files < FILES || !exists(&enough) {
            flood(&base, files..files + MORE);
            files += MORE;
        }
        [bytes(attack), files.to_ne_bytes().to_vec()].concat()
    });
    let who = actor.pid();
    let scope = Scope::Cgroup(group.0.clone());
    let config = ProbeConfig { max_tier: Some(Tier::Tracing), ..ProbeConfig::new(scope) };
    let mut watch = Watch::with_room(config, 1);
    if watch.coverage().tier != Tier::Tracing {
        eprintln!("NOT RUN: {test}: no tier 2 here");
        return;
    }
    // How many files that takes depends on how often the probe's thread gets its turn.
    let (meter, path) = (watch.meter(), beside.path().join("enough"));
    let judge = std::thread::spawn(move || {
        let deadline = Instant::now() + PATIENCE;
        while meter.stats().shed == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        fs::write(path, "").unwrap();
    });
    let told = actor.act();
    judge.join().unwrap();
    let (attack, files) = told.split_at(size_of::<libc::pid_t>());
    let (attack, files) = (pid(attack), u64::from_ne_bytes(files.try_into().unwrap()));
    watch.until("something is shed", |stats| stats.shed > 0);
    // What comes when somebody reads again tells what found no room.
    let lost = accounted(&mut watch, who, files);
    actor.end();
    let all = watch.stop();
    assert!(lost.get(Kind::FileCreate) > 0, "lost: {lost}");
    let told = |event: &Event| event.activity.kind() == Kind::ProcessExec && pid_is(event, attack);
    assert!(all.iter().any(told) || lost.get(Kind::ProcessExec) > 0, "lost: {lost}");
    let name = "attack while the sensor's queue is full";
    if all.iter().any(told) {
        let reason = "process.exec: of what finds no room files are given up first, and each creation and \
                      deletion of the flood was told or told as lost, kind by kind";
        row(Table::Evasion, name, Shown::Seen, reason);
    } else {
        let reason = "told as lost, as process.exec; each creation and deletion of the flood was told or \
                      told as lost, kind by kind";
        row(Table::Evasion, name, Shown::Partly, reason);
    }
}
