//! Against the watch itself: its programs detached, tracefs unmounted, its queues flooded, clocks
//! that say something else.

use std::fs;

use metsuke_event::{Activity, Kind};

use crate::program::{answer, answered, bytes, c, exec, executed, install, pid, run, tiny};
use crate::support::actor::{Actor, call};
use crate::support::{Group, Shown, Table, Watch, pid_is, row};

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

#[test]
fn without_tracefs() {
    let test = "without_tracefs";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("unseen");
    install(&path, &tiny());
    let program = c(&path);
    let mut actor = Actor::fork(&group, || {
        // SAFETY: plain calls and texts with their NUL; the namespace is this process's own.
        let alone = unsafe {
            let alone = libc::unshare(libc::CLONE_NEWNS) == 0;
            let none = std::ptr::null();
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let alone = alone && libc::mount(none, c"/".as_ptr(), none, private, none.cast()) == 0;
            if alone {
                for place in [c"/sys/kernel/tracing", c"/sys/kernel/debug/tracing", c"/sys/fs/bpf"]
                {
                    libc::umount2(place.as_ptr(), libc::MNT_DETACH);
                }
            }
            alone
        };
        answer(if alone {
            Ok(run(|| exec(&program, &[c"unseen"], &[])))
        } else {
            Err(std::io::Error::last_os_error())
        })
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let Some(pid) = answered(test, &actor.act()) else { return };
    executed(&mut watch, pid);
    actor.end();
    // Where nothing was mounted nothing was unmounted, and no row may say so.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    if !mounts.contains(" tracefs ") && !mounts.contains(" bpf ") {
        eprintln!("NOT RUN: {test}: neither tracefs nor bpffs is mounted here (no row)");
        return;
    }
    let reason = "tier 2 takes typed tracepoints from the kernel's own descriptors and needs no tracefs; \
                  unmounted in the actor's mount namespace";
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
        let mut attack = 0;
        for number in 0..FILES {
            let path = c(&base.join(format!("f{number}")));
            let at = i64::from(libc::AT_FDCWD).cast_unsigned();
            let name = path.as_ptr() as u64;
            let flags = u64::try_from(libc::O_CREAT | libc::O_WRONLY).unwrap();
            let fd = call(libc::SYS_openat, [at, name, flags, 0o600, 0, 0]);
            assert!(fd >= 0);
            call(libc::SYS_close, [fd.cast_unsigned(), 0, 0, 0, 0, 0]);
            call(libc::SYS_unlinkat, [at, name, 0, 0, 0, 0]);
            if number == FILES / 2 {
                attack = run(|| exec(&program, &[c"attack"], &[]));
            }
        }
        bytes(attack)
    });
    let flood = actor.pid();
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let attack = pid(&actor.act());
    actor.end();
    executed(&mut watch, attack);
    watch.of(Kind::ProcessExit, "the flood's end", |event| pid_is(event, flood));
    let all = watch.stop();
    let lost: u64 = all
        .iter()
        .filter_map(|event| match &event.activity {
            Activity::Health(health) => health.lost,
            _ => None,
        })
        .sum();
    let told = |kind| {
        let of_flood =
            |event: &&metsuke_event::Event| event.activity.kind() == kind && pid_is(event, flood);
        all.iter().filter(of_flood).count() as u64
    };
    let (made, removed) = (told(Kind::FileCreate), told(Kind::FileDelete));
    assert!(made + removed + lost >= 2 * FILES, "{made} made, {removed} removed, {lost} lost");
    let reason = format!(
        "process.exec inside {} file operations; {lost} activities lost, all counted",
        4 * FILES
    );
    row(Table::Evasion, "attack inside a flood of files", Shown::Seen, &reason);
}
