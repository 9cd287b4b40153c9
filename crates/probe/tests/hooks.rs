//! The probe looks after its own programs in the kernel: one that costs too much is taken away and
//! tried again, or only told when nothing could replace it; one that somebody took away is attached
//! again; each is told with the hook's name.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking; descriptors are replaced by hand"
)]

mod support;

use std::fs;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metsuke_event::coverage::Tier;
use metsuke_event::{Activity, Event, Kind};
use metsuke_probe::{HookBudget, ProbeConfig, Scope};
use support::{Group, Watch};

/// The tests reach into their own process: one at a time, also where they are threads of one.
static ALONE: Mutex<()> = Mutex::new(());

const HOUR: Duration = Duration::from_secs(3_600);
const OFTEN: Duration = Duration::from_millis(10);

fn watch(group: &Group, test: &str, hooks: HookBudget) -> Option<Watch> {
    let scope = Scope::Cgroup(group.0.clone());
    let max_tier = Some(Tier::Tracing);
    let watch = Watch::with(ProbeConfig { hooks, max_tier, ..ProbeConfig::new(scope) });
    if watch.coverage().tier == Tier::Tracing {
        return Some(watch);
    }
    eprintln!("NOT RUN: {test}: no tier 2 here");
    None
}

/// Whether `event` says `reason` of `hook`.
fn says(event: &Event, reason: &str, hook: &str) -> bool {
    let (Activity::Health(health) | Activity::Sensor(_, health)) = &event.activity else {
        return false;
    };
    health.reason.as_deref() == Some(reason)
        && health.detail.as_deref().is_some_and(|detail| detail.contains(hook))
}

/// Whether `event` is a loss of unknown size, from something on.
fn is_interval(event: &Event) -> bool {
    let (Activity::Health(health) | Activity::Sensor(_, health)) = &event.activity else {
        return false;
    };
    health.lost.is_none() && health.from < health.to
}

/// Something that makes processes all the time: each execution renames, each end signals.
fn busy(group: &Group) -> Child {
    group.command("/bin/sh", &["-c", "while :; do /bin/true; done"]).spawn().unwrap()
}

fn is_exec_of(event: &Event, pid: u32) -> bool {
    event.activity.kind() == Kind::ProcessExec && event.process.pid == Some(u64::from(pid))
}

#[test]
fn a_hook_over_its_budget_is_taken_away_and_told_by_name() {
    let test = "a_hook_over_its_budget_is_taken_away_and_told_by_name";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { permille: 0, every: OFTEN, look: OFTEN, again: HOUR };
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    // Something to run for, in each window.
    let mut busy = busy(&group);
    let off = watch.find("the end of a hook", |event| says(event, "hook_off", "on_rename "));
    busy.kill().unwrap();
    busy.wait().unwrap();
    let listed = watch.meter().hooks_off();
    let why = listed.iter().find_map(|off| off.strip_prefix("on_rename is off: "));
    assert!(why.is_some_and(|why| why.ends_with("its budget is 0")), "{listed:?}");
    let Activity::Health(health) = off.activity else { panic!("{off:?}") };
    assert_eq!(health.part.as_deref(), Some("probe.hook"));
    assert!(health.detail.unwrap().contains("its budget is 0"));
    let rename = "echo other > /proc/self/comm; exec /bin/true";
    let unseen = group.shell(rename, std::path::Path::new("/"));
    watch.find("an execution after it", |event| is_exec_of(event, unseen));
    let all = watch.stop();
    assert!(!all.iter().any(|event| event.activity.kind() == Kind::ProcessRename), "it is away");
}

#[test]
fn hooks_that_nothing_replaces_stay_whatever_they_cost() {
    let test = "hooks_that_nothing_replaces_stay_whatever_they_cost";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { permille: 0, every: OFTEN, look: OFTEN, again: HOUR };
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let mut busy = busy(&group);
    for hook in ["on_fork ", "on_exec ", "on_exit ", "on_system_call "] {
        watch.find(hook, |event| says(event, "hook_over_budget", hook));
    }
    busy.kill().unwrap();
    busy.wait().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let seen = group.shell("echo > made; exec /bin/true", dir.path());
    watch.find("an execution after it", |event| is_exec_of(event, seen));
    let made = |event: &Event| {
        event.activity.kind() == Kind::FileCreate && event.process.pid == Some(u64::from(seen))
    };
    watch.find("a file after it", made);
    let all = watch.stop();
    for hook in ["on_fork ", "on_exec ", "on_exit ", "on_system_call "] {
        assert!(!all.iter().any(|event| says(event, "hook_off", hook)), "{hook}");
    }
}

#[test]
fn a_hook_that_was_taken_away_is_tried_again() {
    let test = "a_hook_that_was_taken_away_is_tried_again";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { permille: 0, every: OFTEN, look: OFTEN, again: OFTEN };
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let mut busy = busy(&group);
    watch.find("its end", |event| says(event, "hook_off", "on_rename "));
    let on = watch.find("its return", |event| says(event, "hook_on", "on_rename "));
    // Anybody's renames may have it taken away again.
    let meter = watch.meter();
    watch.until("it to be off no more", |_| {
        !meter.hooks_off().iter().any(|off| off.starts_with("on_rename "))
    });
    busy.kill().unwrap();
    busy.wait().unwrap();
    assert!(is_interval(&on), "what it did not see: {on:?}");
}

/// The descriptors of this process that are of this BPF kind: `bpf_link`, `bpf-map`.
fn descriptors(kind: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_one = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains(kind))
    };
    entries.filter(is_one).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn links() -> Vec<i32> {
    descriptors("bpf_link")
}

#[test]
fn hooks_that_somebody_took_away_are_attached_again_and_it_is_told() {
    let test = "hooks_that_somebody_took_away_are_attached_again_and_it_is_told";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { look: OFTEN, every: HOUR, ..HookBudget::default() };
    let before = links();
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let null = fs::File::open("/dev/null").unwrap();
    let own: Vec<i32> = links().into_iter().filter(|link| !before.contains(link)).collect();
    assert!(own.len() >= 8, "{own:?}");
    for link in own {
        // SAFETY: both are open; who reaches into a sensor can do no less. The link's last
        // descriptor is gone by this, and the kernel detaches its program.
        let replaced = unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), link) };
        assert_eq!(replaced, link);
    }
    for hook in ["on_fork", "on_exec", "on_exit", "on_move", "on_system_call"] {
        let tampered = |event: &Event| {
            event.activity.kind() == Kind::SensorTamper
                && says(event, "hook_detached", &format!("took {hook} away"))
        };
        let event = watch.find(hook, tampered);
        assert!(is_interval(&event), "{event:?}");
    }
    let seen = group.shell("exec /bin/true", std::path::Path::new("/"));
    watch.find("an execution after it", |event| is_exec_of(event, seen));
}

#[test]
fn a_hook_whose_link_became_another_s_is_attached_again() {
    let test = "a_hook_whose_link_became_another_s_is_attached_again";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { look: OFTEN, every: HOUR, ..HookBudget::default() };
    let before = links();
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let own: Vec<i32> = links().into_iter().filter(|link| !before.contains(link)).collect();
    // SAFETY: both are open, as above.
    assert_eq!(unsafe { libc::dup2(own[0], own[1]) }, own[1]);
    watch.find("the hook that lost its own", |event| {
        event.activity.kind() == Kind::SensorTamper && says(event, "hook_detached", "took ")
    });
    let seen = group.shell("exec /bin/true", std::path::Path::new("/"));
    watch.find("an execution after it", |event| is_exec_of(event, seen));
}

/// bpf(2) on a map, with key and next key.
fn on_map(command: u64, map: i32, key: *const u8, next: *mut u8) -> i64 {
    let attribute = [u64::try_from(map).unwrap(), key as u64, next as u64, 0];
    let at = attribute.as_ptr() as u64;
    support::actor::call(libc::SYS_bpf, [command, at, 32, 0, 0, 0])
}

/// The keys of the table of names (`struct name_key` of `bpf/file.h`).
fn names(map: i32) -> Vec<[u8; 36]> {
    const NEXT_KEY: u64 = 4;
    let mut keys: Vec<[u8; 36]> = Vec::new();
    loop {
        let before = keys.last().map_or(std::ptr::null(), |key| key.as_ptr());
        let mut next = [0; 36];
        if on_map(NEXT_KEY, map, before, next.as_mut_ptr()) != 0 {
            return keys;
        }
        keys.push(next);
    }
}

#[test]
fn names_that_somebody_took_from_the_table_are_written_again() {
    const DELETE: u64 = 3;
    let test = "names_that_somebody_took_from_the_table_are_written_again";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { look: OFTEN, every: HOUR, ..HookBudget::default() };
    let before = descriptors("bpf-map");
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let own = descriptors("bpf-map").into_iter().filter(|map| !before.contains(map));
    let has = |map: &i32, fact: &str| {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{map}")).unwrap_or_default();
        text.lines().any(|line| line == fact)
    };
    let mut own = own.filter(|map| has(map, "key_size:\t36") && has(map, "value_size:\t1"));
    let map = own.next().expect("the table of names");
    let written = names(map);
    assert!(written.len() > 10, "{}", written.len());
    for key in &written {
        // One that is written again meanwhile, or was taken before, is no failure.
        on_map(DELETE, map, key.as_ptr(), std::ptr::null_mut());
    }
    let event = watch.find("the tampering", |event| {
        event.activity.kind() == Kind::SensorTamper
            && says(event, "names_changed", "table `sensitive`; they are written again")
    });
    let Activity::Sensor(_, health) = &event.activity else { panic!("{event:?}") };
    assert_eq!(health.object.as_deref(), Some("bpf_map"));
    assert!(is_interval(&event), "{event:?}");
    let all = |_: &metsuke_probe::Stats| {
        let now = names(map);
        written.iter().all(|key| now.contains(key))
    };
    watch.until("all of them to be there again", all);
}

/// What the kernel says of this process's descriptor `map`: `map_id`, `map_type`.
fn fact(map: i32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{map}")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().parse().ok()
}

#[test]
fn the_programs_of_system_calls_cannot_be_taken_away() {
    const PROG_ARRAY: u64 = 3;
    const DELETE: u64 = 3;
    const FROM_ID: u64 = 14;
    let test = "the_programs_of_system_calls_cannot_be_taken_away";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { look: OFTEN, every: HOUR, ..HookBudget::default() };
    let before = descriptors("bpf-map");
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let mut own = descriptors("bpf-map").into_iter().filter(|map| !before.contains(map));
    let groups = own.find(|map| fact(*map, "map_type") == Some(PROG_ARRAY)).expect("a table");
    // As anybody who may use BPF gets it.
    let attribute = [fact(groups, "map_id").unwrap(), 0];
    let at = attribute.as_ptr() as u64;
    let foreign = support::actor::call(libc::SYS_bpf, [FROM_ID, at, 16, 0, 0, 0]);
    let foreign = i32::try_from(foreign).unwrap();
    assert!(foreign >= 0, "{foreign}");
    // All that hold a program (`enum group` of `bpf/calls.h`).
    for slot in 2..=9_u32 {
        let key = slot.to_ne_bytes();
        let refused = on_map(DELETE, foreign, key.as_ptr(), std::ptr::null_mut());
        assert_eq!(refused, -i64::from(libc::EPERM), "{slot}");
    }
    // SAFETY: the kernel gave it to this test, which uses it no more.
    unsafe { libc::close(foreign) };
    let dir = tempfile::tempdir().unwrap();
    group.shell("echo > made; rm made", dir.path());
    watch.of(Kind::FileDelete, "what a group's program tells", |_| true);
}

/// The descriptor through which the sensor uses and looks at the table with keys and entries of these
/// numbers, among `own`: the one beside libbpf's own, which is older.
fn in_use(own: &[i32], key_size: u64, max_entries: u64) -> i32 {
    let is = |map: &&i32| {
        let numbers = (fact(**map, "key_size"), fact(**map, "max_entries"));
        numbers == (Some(key_size), Some(max_entries))
    };
    let mut found: Vec<i32> = own.iter().filter(is).copied().collect();
    found.sort_unstable();
    assert_eq!(found.len(), 2, "{found:?}");
    found[1]
}

#[test]
fn a_table_of_names_that_became_another_s_is_told_and_left_alone() {
    let test = "a_table_of_names_that_became_another_s_is_told_and_left_alone";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { look: OFTEN, every: HOUR, ..HookBudget::default() };
    let before = descriptors("bpf-map");
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let own: Vec<i32> =
        descriptors("bpf-map").into_iter().filter(|map| !before.contains(map)).collect();
    // Of values as large, `known_executables`: a look that is under way now does no harm.
    let (names, other) = (in_use(&own, 36, 256), in_use(&own, 32, 4_096));
    // SAFETY: both are open; who reaches into a sensor can do no less.
    assert_eq!(unsafe { libc::dup2(other, names) }, names);
    watch.find("the tampering", |event| {
        event.activity.kind() == Kind::SensorTamper && says(event, "table_lost", "`sensitive`")
    });
    // Looked at some times more.
    for _ in 0..3 {
        let seen = group.shell("exec /bin/true", std::path::Path::new("/"));
        watch.find("an execution after it", |event| is_exec_of(event, seen));
    }
    let off = watch.meter().hooks_off();
    assert_eq!(off, ["the table `sensitive` was taken away"]);
    let all = watch.stop();
    let changed = |event: &&Event| says(event, "names_changed", "");
    assert_eq!(all.iter().filter(changed).count(), 0, "nobody changed names");
}

#[test]
fn a_table_that_somebody_took_is_told_and_listed() {
    let test = "a_table_that_somebody_took_is_told_and_listed";
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = Group::make(test) else { return };
    let hooks = HookBudget { look: OFTEN, every: HOUR, ..HookBudget::default() };
    let before = descriptors("bpf-map");
    let Some(mut watch) = watch(&group, test, hooks) else { return };
    let null = fs::File::open("/dev/null").unwrap();
    let own: Vec<i32> =
        descriptors("bpf-map").into_iter().filter(|map| !before.contains(map)).collect();
    let files = in_use(&own, 24, 32_768);
    // SAFETY: both are open; who reaches into a sensor can do no less.
    assert_eq!(unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), files) }, files);
    watch.find("the tampering", |event| {
        event.activity.kind() == Kind::SensorTamper && says(event, "table_lost", "`files`")
    });
    let off = watch.meter().hooks_off();
    assert!(off.iter().any(|off| off == "the table `files` was taken away"), "{off:?}");
}
