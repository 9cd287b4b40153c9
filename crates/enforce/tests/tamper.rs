//! Who reaches for the sensor's own objects in the kernel is found out, and what was done is mended:
//! without LSM (tier 2), by direct system calls. What looks after tier 1's hooks is the same, and runs in
//! virtual machines (`crates/vm/src/tamper.rs`).

#![allow(unsafe_code, reason = "tampering is system calls; each block says why it is sound")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails by panicking, as they do"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::{DenyList, Entry, Found, Guard, Mode, Operations, Subject};
use metsuke_event::Timestamp;
use metsuke_event::coverage::Tier;
use metsuke_testkit::Cgroup;
use support::{nothing, reach, run};

/// The tests reach into their own process: one at a time, also where they are threads of one.
static ALONE: Mutex<()> = Mutex::new(());

/// How long the kernel may take to let go of a control group that was removed.
const LETS_GO: Duration = Duration::from_secs(60);

/// Commands of bpf(2).
mod command {
    pub(super) const LOOKUP: i64 = 1;
    pub(super) const UPDATE: i64 = 2;
    pub(super) const DELETE: i64 = 3;
    pub(super) const NEXT_KEY: i64 = 4;
    pub(super) const PROGRAM_BY_ID: i64 = 13;
    pub(super) const MAP_BY_ID: i64 = 14;
    pub(super) const LINK_UPDATE: i64 = 29;
    pub(super) const LINK_BY_ID: i64 = 30;
    pub(super) const LINK_DETACH: i64 = 34;
}

/// Types of attachment, as fdinfo tells them.
const CONNECT4: &str = "10";
const SENDMSG4: &str = "14";

/// Type of a table, as fdinfo tells it: an array for each processor.
const PER_CPU: &str = "6";

fn bpf(command: i64, attribute: &[u64]) -> io::Result<i32> {
    let bytes = std::mem::size_of_val(attribute);
    // SAFETY: the attribute has the length that is given; what it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attribute.as_ptr(), bytes) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap()) }
}

/// The object with this id, as anybody with the right may have it.
fn by_id(command: i64, id: &str) -> OwnedFd {
    let fd = bpf(command, &[id.parse().unwrap(), 0]).unwrap();
    // SAFETY: the kernel just gave us this descriptor, nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn low(fd: &OwnedFd) -> u64 {
    u64::try_from(fd.as_raw_fd()).unwrap()
}

/// What fdinfo tells of a descriptor.
type Facts = BTreeMap<String, String>;

/// The descriptors of this process that are of the BPF `kind`: `bpf-map`, `bpf_link`.
fn own(kind: &str) -> BTreeMap<i32, Facts> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let of_kind = entries.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains(kind))
    });
    let numbers = of_kind.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let facts = |number: i32| {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
    };
    numbers.map(|number| (number, facts(number))).collect()
}

/// More than any table takes.
const FILLERS_MAX: u64 = 100_000;

struct World {
    guard: Guard,
    inside: Cgroup,
    parent: Cgroup,
    listener: TcpListener,
    /// When all was last known to be well.
    well: Timestamp,
    links: BTreeMap<i32, Facts>,
    maps: BTreeMap<i32, Facts>,
    _alone: MutexGuard<'static, ()>,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap())
}

/// A guard of tier 2 that denies one destination, and has not looked after anything; `None`, and
/// why, where none works.
fn world(test: &str) -> Option<World> {
    let mut world = bare(test)?;
    world.guard.apply(world.list(&[])).unwrap();
    assert!(world.is_denied());
    world.well = now();
    Some(world)
}

/// The same without a list.
fn bare(test: &str) -> Option<World> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let parent = Cgroup::create(test).inspect_err(|e| eprintln!("NOT RUN: {test}: {e:#}")).ok()?;
    let inside = parent.child("scope").unwrap();
    let scope = EnforceScope::cgroup(inside.path()).unwrap();
    let before = [own("bpf_link"), own("bpf-map")];
    let guard = Guard::attach(&scope, Tier::Tracing);
    if guard.tier() != Some(Tier::Tracing) || guard.hooks() < 5 {
        eprintln!("NOT RUN: {test}: {:?}", guard.trials());
        return None;
    }
    let [mut links, mut maps] = [own("bpf_link"), own("bpf-map")];
    links.retain(|number, _| !before[0].contains_key(number));
    maps.retain(|number, _| !before[1].contains_key(number));
    let (listener, well) = (TcpListener::bind("127.0.0.1:0").unwrap(), now());
    Some(World { guard, inside, parent, listener, well, links, maps, _alone: alone })
}

fn destination(port: u16) -> Entry {
    let (address, port) = (Ipv4Addr::LOCALHOST.into(), Some(port));
    let subject = Subject::Destination { address, bits: 32, port };
    Entry { subject, operations: Operations::CONNECT, mode: Mode::Deny }
}

fn pointer(value: &[u8]) -> u64 {
    value.as_ptr() as u64
}

/// Writes an entry into a table, as anybody with the right may.
fn write(map: &OwnedFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    bpf(command::UPDATE, &[low(map), pointer(key), pointer(value), 0]).map(drop)
}

fn delete(map: &OwnedFd, key: &[u8]) {
    bpf(command::DELETE, &[low(map), pointer(key)]).unwrap();
}

/// The first entry of the table of destinations.
fn first(endpoints: &OwnedFd) -> ([u8; 20], [u8; 8]) {
    let (mut key, mut value) = ([0_u8; 20], [0_u8; 8]);
    bpf(command::NEXT_KEY, &[low(endpoints), 0, key.as_mut_ptr() as u64]).unwrap();
    let attribute = [low(endpoints), pointer(&key), value.as_mut_ptr() as u64, 0];
    bpf(command::LOOKUP, &attribute).unwrap();
    (key, value)
}

/// Fills the table of destinations with what is none, to the last place; what it was filled with.
fn fill(endpoints: &OwnedFd) -> Vec<[u8; 20]> {
    let mut fillers = Vec::new();
    for number in 0..FILLERS_MAX {
        let mut key = [0xff_u8; 20];
        key[..8].copy_from_slice(&number.to_ne_bytes());
        match write(endpoints, &key, &[0; 8]) {
            Ok(()) => fillers.push(key),
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => return fillers,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it takes everything");
}

impl World {
    /// Whether a process of the scope is kept from connecting.
    fn is_denied(&mut self) -> bool {
        let port = self.listener.local_addr().unwrap().port();
        let deed = move || reach(libc::SOCK_STREAM, port);
        let ran = run(self.inside.path(), Path::new("/bin/true"), deed);
        // What was told of it is not what is asked here.
        self.guard.take(Duration::ZERO);
        match ran {
            Ok(status) if status.success() => false,
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => true,
            other => panic!("{other:?}"),
        }
    }

    /// A list with the listener, and other ports of its host.
    fn list(&self, ports: &[u16]) -> DenyList {
        let mut list = DenyList::default();
        list.add(destination(self.listener.local_addr().unwrap().port())).unwrap();
        for port in ports {
            list.add(destination(*port)).unwrap();
        }
        list
    }

    /// Somebody takes the descriptors of the tables that are `of` some kind.
    fn take(&self, of: impl Fn(&Facts) -> bool) {
        let null = fs::File::open("/dev/null").unwrap();
        let numbers: Vec<i32> =
            self.maps.iter().filter(|(_, facts)| of(facts)).map(|(number, _)| *number).collect();
        assert!(!numbers.is_empty(), "{:?}", self.maps);
        for number in numbers {
            // SAFETY: both are open; who reaches into a sensor can do no less.
            assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), number) }, number);
        }
    }

    /// What the looks find until it is as much as `count`.
    fn found_at_last(&mut self, count: usize) -> Vec<Found> {
        let end = Instant::now() + LETS_GO;
        let mut found = Vec::new();
        while found.len() < count {
            found.extend(self.guard.look(now()));
            assert!(Instant::now() < end, "{found:?}");
            std::thread::yield_now();
        }
        found
    }

    /// Removes the scope, once the kernel has let go of the last process that ended in it.
    fn remove_scope(&self) {
        let end = Instant::now() + LETS_GO;
        while let Err(error) = fs::remove_dir(self.inside.path()) {
            let is_busy = error.raw_os_error() == Some(libc::EBUSY);
            assert!(is_busy && Instant::now() < end, "{error}");
            std::thread::yield_now();
        }
    }

    fn links_of(&self, attached: &str) -> Vec<i32> {
        let of = |facts: &Facts| facts.get("attach_type").is_some_and(|kind| kind == attached);
        self.links.iter().filter(|(_, facts)| of(facts)).map(|(number, _)| *number).collect()
    }

    /// The table with keys of this size and values of that.
    fn map(&self, key: &str, value: &str) -> OwnedFd {
        let is = |facts: &&Facts| facts["key_size"] == key && facts["value_size"] == value;
        let facts = self.maps.values().find(is).unwrap_or_else(|| panic!("{:?}", self.maps));
        by_id(command::MAP_BY_ID, &facts["map_id"])
    }

    /// What a look finds, which is all put right by it.
    fn finds(&mut self) -> Vec<Found> {
        let found = self.guard.look(now());
        assert_eq!(self.guard.off(), [] as [&str; 0], "{found:?}");
        // Since before it was done: what somebody did began after all was well.
        let began = |one: &Found| one.from <= self.well && one.from > Timestamp::from_nanos(0);
        assert!(found.iter().all(began), "{found:?} {:?}", self.well);
        assert_eq!(self.guard.look(now()), [], "it is told once");
        self.well = now();
        found
    }
}

fn is(found: &Found, tampered: &'static str, reason: &str, what: &str) -> bool {
    found.tampered == Some(tampered) && found.reason == reason && found.detail.contains(what)
}

#[test]
fn what_nobody_touched_is_not_told() {
    let Some(mut world) = bare("untouched") else { return };
    assert_eq!(world.guard.look(now()), [], "nothing is known to be in the tables yet");
    assert_eq!(world.guard.off(), [] as [&str; 0], "no list was given");
    world.guard.apply(world.list(&[])).unwrap();
    assert!(world.is_denied());
    assert_eq!(world.guard.look(now()), [], "all is well");
    assert_eq!(world.guard.off(), [] as [&str; 0]);
}

#[test]
fn hooks_that_somebody_detached_are_attached_again() {
    let Some(mut world) = world("hooks-detached") else { return };
    let detached = world.links.values().filter(|facts| {
        let link = by_id(command::LINK_BY_ID, &facts["link_id"]);
        bpf(command::LINK_DETACH, &[low(&link)]).is_ok()
    });
    let detached = detached.count();
    assert!(detached >= 4, "those of control groups can be: {detached}");
    assert!(!world.is_denied(), "they are gone");
    let found = world.finds();
    assert_eq!(found.len(), detached, "{found:?}");
    for hook in ["on_connect4", "on_connect6", "on_sendmsg4", "on_sendmsg6"] {
        let told = |one: &&Found| is(one, "bpf_link", "hook_detached", hook);
        assert_eq!(found.iter().filter(told).count(), 1, "{hook} in {found:?}");
    }
    assert!(world.is_denied());
    let left = own("bpf_link").len();
    assert_eq!(left, world.links.len(), "no descriptor is left of those that were detached");
}

#[test]
fn a_program_that_somebody_replaced_is_put_back() {
    let Some(mut world) = world("program-replaced") else { return };
    let [connect, send] = [CONNECT4, SENDMSG4].map(|kind| world.links_of(kind)[0]);
    let link = by_id(command::LINK_BY_ID, &world.links[&connect]["link_id"]);
    let program = by_id(command::PROGRAM_BY_ID, &world.links[&send]["prog_id"]);
    bpf(command::LINK_UPDATE, &[low(&link) | low(&program) << 32, 0]).unwrap();
    drop((link, program));
    let found = world.finds();
    assert!(
        found.len() == 1 && is(&found[0], "bpf_link", "hook_detached", "on_connect4"),
        "{found:?}"
    );
    assert!(world.is_denied());
}

#[test]
fn hooks_whose_descriptors_somebody_took_are_attached_again() {
    let Some(mut world) = world("descriptors-taken") else { return };
    let null = fs::File::open("/dev/null").unwrap();
    let numbers: Vec<i32> = world.links.keys().copied().collect();
    // One gets another's link, which is no less a link.
    for (index, number) in numbers.iter().enumerate().skip(1) {
        let other = if index == 1 { numbers[0] } else { null.as_raw_fd() };
        // SAFETY: all are open; who reaches into a sensor can do no less.
        assert_eq!(unsafe { libc::dup2(other, *number) }, *number);
    }
    // SAFETY: as above.
    assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), numbers[0]) }, numbers[0]);
    let found = world.finds();
    assert_eq!(found.len(), numbers.len(), "{found:?}");
    assert!(found.iter().any(|one| is(one, "bpf_link", "hook_detached", "on_executed")));
    assert!(world.is_denied());
    let (group, mut list) = (world.inside.path().to_owned(), DenyList::default());
    let subject = Subject::Everything;
    list.add(Entry { subject, operations: Operations::EXEC, mode: Mode::Deny }).unwrap();
    world.guard.apply(list).unwrap();
    let ran = run(&group, Path::new("/bin/true"), nothing).unwrap();
    assert_eq!(ran.signal(), Some(libc::SIGKILL));
}

#[test]
fn what_somebody_wrote_into_the_tables_is_written_over() {
    let Some(mut world) = world("tables-changed") else { return };
    let settings = world.map("4", "80");
    write(&settings, &[0; 4], &[0; 80]).unwrap();
    assert!(!world.is_denied(), "nobody is asked about any more");
    let found = world.finds();
    assert!(
        found.len() == 1 && is(&found[0], "bpf_map", "list_changed", "`settings`"),
        "{found:?}"
    );
    assert!(world.is_denied());

    let endpoints = world.map("20", "8");
    delete(&endpoints, &first(&endpoints).0);
    assert!(!world.is_denied(), "the list is empty");
    let found = world.finds();
    assert!(
        found.len() == 1 && is(&found[0], "bpf_map", "list_changed", "`endpoints`"),
        "{found:?}"
    );
    assert!(world.is_denied());
}

#[test]
fn a_table_that_somebody_took_is_told_once_and_stays_a_trouble() {
    let Some(mut world) = world("table-taken") else { return };
    world.take(|facts| facts["key_size"] == "4" && facts["value_size"] == "80");
    let found = world.guard.look(now());
    assert!(found.len() == 1 && is(&found[0], "bpf_map", "map_lost", "`settings`"), "{found:?}");
    assert_eq!(world.guard.look(now()), [], "it is told once");
    let off = world.guard.off();
    assert!(off.len() == 1 && off[0].contains("`settings`"), "{off:?}");
    assert!(world.is_denied(), "the kernel goes on");
}

#[test]
fn what_a_lost_table_leaves_is_looked_after() {
    let Some(mut world) = world("other-table-taken") else { return };
    // Of what is counted for each processor there is one table.
    world.take(|facts| facts["map_type"] == PER_CPU);
    let (settings, endpoints) = (world.map("4", "80"), world.map("20", "8"));
    write(&settings, &[0; 4], &[0; 80]).unwrap();
    delete(&endpoints, &first(&endpoints).0);
    assert!(!world.is_denied());
    let found = world.guard.look(now());
    for (reason, table) in
        [("map_lost", "`counts`"), ("list_changed", "`settings`"), ("list_changed", "`endpoints`")]
    {
        assert!(found.iter().any(|one| is(one, "bpf_map", reason, table)), "{table}: {found:?}");
    }
    assert!(found.len() == 3 && found.iter().all(|one| one.from <= world.well), "{found:?}");
    assert!(world.is_denied());
    assert_eq!(world.guard.look(now()), [], "it is told once");
    let off = world.guard.off();
    assert!(off.len() == 1 && off[0].contains("`counts`"), "{off:?}");
}

#[test]
fn an_entry_that_cannot_be_written_is_a_trouble_until_it_is_right() {
    let Some(mut world) = world("table-full") else { return };
    let endpoints = world.map("20", "8");
    let (key, value) = first(&endpoints);
    delete(&endpoints, &key);
    let fillers = fill(&endpoints);
    let found = world.guard.look(now());
    let told = |one: &Found| is(one, "bpf_map", "list_changed", "cannot be written again");
    assert!(found.len() == 1 && told(&found[0]), "{found:?}");
    assert_eq!(world.guard.look(now()), [], "it is told once");
    let off = world.guard.off();
    assert!(off.len() == 1 && off[0].contains("`endpoints`"), "{off:?}");
    // Whoever took it puts it back.
    delete(&endpoints, &fillers[0]);
    write(&endpoints, &key, &value).unwrap();
    assert_eq!(world.guard.look(now()), []);
    assert_eq!(world.guard.off(), [] as [&str; 0]);
    assert!(world.is_denied());
}

#[test]
fn a_list_that_was_not_written_whole_is_a_trouble() {
    let Some(mut world) = world("list-broken-off") else { return };
    let endpoints = world.map("20", "8");
    let fillers = fill(&endpoints);
    let more = world.list(&[1, 2]);
    assert!(world.guard.apply(more.clone()).is_err());
    world.guard.look(now());
    assert_eq!(world.guard.off(), ["the list was not written whole"]);
    for filler in fillers {
        delete(&endpoints, &filler);
    }
    world.guard.apply(more).unwrap();
    assert_eq!(world.guard.off(), [] as [&str; 0]);
    assert_eq!(world.guard.look(now()), []);
    assert!(world.is_denied());
}

#[test]
fn a_scope_that_is_gone_is_no_tampering() {
    let Some(mut world) = world("scope-gone") else { return };
    world.remove_scope();
    let found = world.found_at_last(4);
    let told = |one: &Found| one.tampered.is_none() && one.reason == "hook_off";
    assert!(found.iter().all(told), "{found:?}");
    assert_eq!(world.guard.look(now()), [], "it is told once");
    let off = world.guard.off();
    let why = |one: &String| one.contains("its control group is gone");
    assert!(off.len() == 4 && off.iter().all(why), "{off:?}");
    // Another one of its name is not the scope; the first cause stays told.
    let _again = world.parent.child("scope").unwrap();
    assert_eq!(world.guard.look(now()), []);
    let off = world.guard.off();
    let both = |one: &String| why(one) && one.contains("its control group was replaced");
    assert!(off.len() == 4 && off.iter().all(both), "{off:?}");
}

#[test]
fn a_scope_that_was_replaced_is_no_tampering() {
    let Some(mut world) = world("scope-replaced") else { return };
    world.remove_scope();
    let _again = world.parent.child("scope").unwrap();
    let found = world.found_at_last(4);
    let told = |one: &Found| {
        let why = one.detail.contains("its control group was replaced");
        one.tampered.is_none() && one.reason == "hook_off" && why
    };
    assert!(found.iter().all(told), "{found:?}");
    assert_eq!(world.guard.off().len(), 4, "{:?}", world.guard.off());
}
