//! The gate on a file system of memory that only the test sees: executions and openings by direct
//! system calls, of copies that nobody has seen before.
//!
//! Each test runs in a process of its own, in a mount namespace of its own, which an outside
//! process ends when it takes too long; the holder is a third, which its keeper ends.

#![expect(clippy::panic, reason = "a helper of tests fails by panicking, as they do")]
#![expect(unsafe_code, reason = "deeds are system calls; each block says why it is sound")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::{Decision, DenyList, Disposition, Entry, Mode, Operations, Subject};
use metsuke_enforce::gate::{self, GateSpec, Keeper, KeeperConfig, News, OwnProcess};
use metsuke_testkit::{Cgroup, needs, not_run, small_disk};
use sha2::{Digest, Sha256};

/// Who a process of this binary is to be.
const ROLE: &str = "METSUKE_GATE_ROLE";
/// The mount.
const PLACE: &str = "METSUKE_GATE_PLACE";
/// For a holder: scope, list, own process, milliseconds to wait.
const SCOPE: &str = "METSUKE_GATE_SCOPE";
const LIST: &str = "METSUKE_GATE_LIST";
const OWN: &str = "METSUKE_GATE_OWN";
const WAIT: &str = "METSUKE_GATE_WAIT";

/// How long news may take on a busy machine.
const TOLD: Duration = Duration::from_secs(40);
/// How often the gate may be in time although it is given none.
const TRIES: u32 = 10;
/// After this the outside ends a test: several times what it takes.
const OUTSIDE: Duration = Duration::from_secs(150);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Runs `role` in a mount namespace of its own.
fn in_a_room(test: &str, role: &str) -> anyhow::Result<()> {
    needs!(test, Root, Cgroup, PrivateMounts);
    if let Err(error) = gate::trial() {
        not_run::not_run(test, &format!("the kernel does not ask: {error}"));
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut room = small_disk::command(folder.path(), 256 << 20, None, std::env::current_exe()?);
    room.args(["--exact", "helper", "--nocapture", "--test-threads=1"]);
    room.env(ROLE, role).env(PLACE, folder.path());
    let mut room = room.spawn()?;
    let end = Instant::now() + OUTSIDE;
    let status = loop {
        if let Some(status) = room.try_wait()? {
            break status;
        }
        if Instant::now() >= end {
            room.kill()?;
            room.wait()?;
            anyhow::bail!("the outside ended {test}");
        }
        // Not a wait for something to be so: only how often is looked.
        std::thread::park_timeout(Duration::from_millis(50));
    };
    anyhow::ensure!(status.success(), "{role}: {status}");
    Ok(())
}

/// Not a test of its own: what the tests below and their holders run.
#[test]
fn helper() {
    match variable(ROLE).as_str() {
        "holder" => holder(),
        "unseen" => unseen(&mut Room::new()),
        "opening" => opening(&mut Room::new()),
        "own" => own(&mut Room::new()),
        "hung" => hung(&mut Room::new()),
        "late" => late(&mut Room::new()),
        _ => {}
    }
}

#[test]
fn a_copy_nobody_has_seen_is_not_executed() -> anyhow::Result<()> {
    in_a_room("a_copy_nobody_has_seen_is_not_executed", "unseen")
}

#[test]
fn a_file_nobody_has_seen_is_not_opened() -> anyhow::Result<()> {
    in_a_room("a_file_nobody_has_seen_is_not_opened", "opening")
}

#[test]
fn the_sensors_own_processes_are_never_asked() -> anyhow::Result<()> {
    in_a_room("the_sensors_own_processes_are_never_asked", "own")
}

#[test]
fn a_holder_that_hangs_is_ended_and_everything_goes_on() -> anyhow::Result<()> {
    in_a_room("a_holder_that_hangs_is_ended_and_everything_goes_on", "hung")
}

#[test]
fn what_takes_too_long_is_allowed_and_counted() -> anyhow::Result<()> {
    in_a_room("what_takes_too_long_is_allowed_and_counted", "late")
}

/// Entries as text: SHA-256, operation, mode; one a line.
fn list(text: &str) -> DenyList {
    let mut list = DenyList::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [hash, operation, mode] = words.as_slice() else { panic!("{line}") };
        let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().expect("digits");
        let subject = Subject::Sha256(bytes.try_into().expect("32 bytes"));
        let operations = Operations::named(operation).expect("an operation");
        let mode = if *mode == "deny" { Mode::Deny } else { Mode::Observe };
        list.add(Entry { subject, operations, mode }).expect("an entry");
    }
    list
}

fn holder() {
    let spec = GateSpec {
        mounts: vec![variable(PLACE).into()],
        private: vec![std::env::current_exe().expect("a path")],
        scope: EnforceScope::cgroup(Path::new(&variable(SCOPE))).expect("a scope"),
        list: list(&variable(LIST)),
        own: variable(OWN).parse().into_iter().collect(),
        wait: Duration::from_millis(variable(WAIT).parse().expect("a number")),
    };
    gate::holder(spec, io::stdin().as_fd()).expect("held");
}

struct Room {
    place: PathBuf,
    group: Cgroup,
    outside: Cgroup,
}

struct Gate {
    keeper: Keeper,
    news: Receiver<News>,
}

impl Room {
    fn new() -> Self {
        let group = |name| Cgroup::create(name).expect("a group");
        let (group, outside) = (group("gate"), group("gate-outside"));
        Self { place: variable(PLACE).into(), group, outside }
    }

    /// A gate with this list; returns when it is there.
    fn gate(&self, text: &str, own: Option<OwnProcess>, wait_ms: u32) -> Gate {
        let me = std::env::current_exe().expect("a path");
        let variables = [
            (ROLE, "holder".to_owned()),
            (SCOPE, self.group.path().display().to_string()),
            (LIST, text.to_owned()),
            (OWN, own.map_or_else(String::new, |own| own.to_string())),
            (WAIT, wait_ms.to_string()),
        ];
        let command = move || {
            let mut command = Command::new(&me);
            command.args(["--exact", "helper", "--nocapture", "--test-threads=1"]);
            command.envs(variables.iter().map(|(name, value)| (*name, value)));
            command.stdout(Stdio::null());
            command
        };
        let (sender, news) = channel();
        let tell = move |one| drop(sender.send(one));
        let config =
            KeeperConfig { pause: Duration::ZERO, ..KeeperConfig::new(command, list(text), tell) };
        let gate = Gate { keeper: Keeper::start(config).expect("a thread"), news };
        assert_eq!(gate.next("it holds"), News::Holds(1));
        gate
    }

    /// A copy of true(1) that nobody else has, of at least `size` bytes, and its hash in digits.
    fn copy(&self, name: &str, size: usize) -> (PathBuf, String) {
        let mut bytes = fs::read("/bin/true").expect("true");
        bytes.extend(format!("\n{name} {}\n", std::process::id()).as_bytes());
        bytes.resize(bytes.len().max(size), b'.');
        let path = self.place.join(name);
        fs::write(&path, &bytes).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        (path, Subject::Sha256(hash).to_string())
    }
}

impl Gate {
    fn next(&self, what: &str) -> News {
        self.until(what, |_| true)
    }

    fn until(&self, what: &str, is_it: impl Fn(&News) -> bool) -> News {
        let end = Instant::now() + TOLD;
        let mut others = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.news.recv_timeout(left) {
                Ok(one) if is_it(&one) => return one,
                Ok(other) => others.push(other),
                Err(_) => break,
            }
        }
        panic!("{what}: not told, but {others:?}")
    }

    fn met(&self) -> Decision {
        match self.until("a decision", |one| matches!(one, News::Met(_))) {
            News::Met(decision) => *decision,
            other => panic!("{other:?}"),
        }
    }
}

const EPERM: Result<(), Option<i32>> = Err(Some(libc::EPERM));

/// A command that joins `group` before it becomes `program`.
fn within(group: &Cgroup, program: &Path) -> Command {
    let procs = group.path().join("cgroup.procs");
    let procs = CString::new(procs.to_str().expect("text")).expect("no NUL");
    let mut command = Command::new(program);
    let join = move || {
        // SAFETY: a string that ends with NUL, one byte that is there, our own descriptor.
        let written = unsafe {
            let fd = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            let written = libc::write(fd, b"0".as_ptr().cast(), 1);
            libc::close(fd);
            written
        };
        if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: only system calls between fork and exec.
    unsafe { command.pre_exec(join) };
    command
}

fn exec(group: &Cgroup, program: &Path) -> Result<(), Option<i32>> {
    ended(within(group, program).status())
}

fn ended(status: io::Result<std::process::ExitStatus>) -> Result<(), Option<i32>> {
    match status {
        Ok(status) => status.success().then_some(()).ok_or(status.code()),
        Err(error) => Err(error.raw_os_error()),
    }
}

fn open(group: &Cgroup, path: &Path) -> Result<(), Option<i32>> {
    let path = CString::new(path.to_str().expect("text")).expect("no NUL");
    let mut command = within(group, Path::new("/bin/true"));
    let open = move || {
        // SAFETY: a string that ends with NUL; the descriptor goes with the process.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: one system call between fork and exec.
    unsafe { command.pre_exec(open) };
    ended(command.status())
}

fn unseen(room: &mut Room) {
    let (denied, hash) = room.copy("denied", 0);
    let (allowed, _) = room.copy("allowed", 0);
    assert_eq!(exec(&room.group, &denied), Ok(()), "without a gate");
    let gate = room.gate(&format!("{hash} exec deny"), None, 30_000);
    assert_eq!(exec(&room.group, &allowed), Ok(()), "not on the list");
    assert_eq!(exec(&room.group, &denied), EPERM);
    let told = gate.met();
    assert_eq!(told.disposition, Disposition::Denied);
    assert_eq!((told.operation, told.hook), (Operations::EXEC, "fanotify/open_exec_perm"));
    assert_eq!((told.sha256, told.subject_kind), (Some(hash.clone()), "sha256"));
    assert!(told.object.ends_with("/denied"), "{}", told.object);
    // As the file of the same content that was never there before, by another name, by a link.
    let (again, linked) = (room.place.join("again"), room.place.join("linked"));
    fs::copy(&denied, &again).expect("copied");
    fs::hard_link(&again, &linked).expect("linked");
    assert_eq!(exec(&room.group, &again), EPERM, "a copy");
    assert_eq!(exec(&room.group, &linked), EPERM, "a hard link");
    assert_eq!(exec(&room.outside, &denied), Ok(()), "outside the scope");
    // Other bytes in the same file.
    let mut bytes = fs::read("/bin/true").expect("true");
    bytes.extend(b"\nharmless\n");
    fs::write(&again, &bytes).expect("written");
    assert_eq!(exec(&room.group, &again), Ok(()), "its content changed");
    drop(gate);
    assert_eq!(exec(&room.group, &denied), Ok(()), "no gate any more");
    let gate = room.gate(&format!("{hash} exec observe"), None, 30_000);
    assert_eq!(exec(&room.group, &denied), Ok(()), "observed");
    assert_eq!(gate.met().disposition, Disposition::WouldDeny);
}

fn opening(room: &mut Room) {
    let (denied, hash) = room.copy("denied", 0);
    let (allowed, _) = room.copy("allowed", 0);
    let gate = room.gate(&format!("{hash} open deny"), None, 30_000);
    assert_eq!(open(&room.group, &allowed), Ok(()));
    assert_eq!(open(&room.group, &denied), EPERM);
    let told = gate.met();
    assert_eq!((told.operation, told.hook), (Operations::OPEN, "fanotify/open_perm"));
    assert_eq!(open(&room.outside, &denied), Ok(()), "outside the scope");
}

fn own(room: &mut Room) {
    let (denied, hash) = room.copy("denied", 0);
    let list = format!("{hash} exec deny");
    let me = OwnProcess::look(std::process::id()).expect("that is us");
    let gate = room.gate(&list, Some(me), 30_000);
    assert_eq!(exec(&room.group, &denied), Ok(()), "a child of the sensor");
    let mut command = within(&room.group, Path::new("/bin/sh"));
    let status = command.args(["-c", r#""$0"; exit $?"#]).arg(&denied).stderr(Stdio::null());
    // What sh(1) says of a program that it may not execute.
    assert_eq!(ended(status.status()), Err(Some(126)), "what that starts");
    drop(gate);
    let text = me.to_string();
    let (pid, start) = text.split_once(':').expect("two numbers");
    let start: u64 = start.parse().expect("a number");
    let earlier = format!("{pid}:{}", start - 1).parse().expect("a process");
    let _gate = room.gate(&list, Some(earlier), 30_000);
    assert_eq!(exec(&room.group, &denied), EPERM, "who had our number before");
}

fn hung(room: &mut Room) {
    let (denied, hash) = room.copy("denied", 0);
    let (allowed, _) = room.copy("allowed", 0);
    let gate = room.gate(&format!("{hash} exec deny"), None, 30_000);
    assert_eq!(exec(&room.group, &denied), EPERM);
    let holder = gate.keeper.holder().and_then(|pid| i32::try_from(pid).ok()).expect("a holder");
    // SAFETY: plain system call; the holder is a child that was not reaped.
    assert_eq!(unsafe { libc::kill(holder, libc::SIGSTOP) }, 0);
    // Waits for an answer that does not come, until the holder is ended.
    assert_eq!(exec(&room.group, &allowed), Ok(()), "it goes on");
    let ended = gate.until("the end", |one| matches!(one, News::Ended(..)));
    assert!(matches!(ended, News::Ended("holder_hung", _)), "{ended:?}");
    // Another holds it now.
    gate.until("the next", |one| matches!(one, News::Holds(1)));
    assert_eq!(exec(&room.group, &denied), EPERM);
}

fn late(room: &mut Room) {
    // Far more to read than no time at all is enough for; but where many processes want to run,
    // the reader may be the only one of the holder's threads that does.
    let (denied, hash) = room.copy("denied", 60 << 20);
    let gate = room.gate(&format!("{hash} exec deny"), None, 0);
    let allowed = (0..TRIES).any(|_| {
        // What was read before is not known of a file that has changed.
        fs::set_permissions(&denied, fs::Permissions::from_mode(0o755)).expect("executable");
        exec(&room.group, &denied) == Ok(())
    });
    assert!(allowed, "for it took too long");
    let late = |one: &News| matches!(one, News::Passed(passed) if passed.late >= 1);
    gate.until("the count", late);
}
