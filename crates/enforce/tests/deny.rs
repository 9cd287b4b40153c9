//! The deny list in force without LSM (tier 2), by direct system calls in a control group of the
//! test's own.

#![expect(clippy::panic, reason = "a helper of tests fails by panicking, as they do")]
#![expect(unsafe_code, reason = "deeds are system calls; each block says why it is sound")]

mod support;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::{
    Decision, DenyList, Disposition, Entry, Guard, Learned, Mode, Operations, Own, Subject,
};
use metsuke_event::coverage::Tier;
use metsuke_testkit::Cgroup;
use sha2::{Digest, Sha256};
use support::{nothing, reach, run};

/// How long a decision may take to be told.
const TOLD: Duration = Duration::from_secs(60);

struct World {
    inside: Cgroup,
    guard: Guard,
    folder: tempfile::TempDir,
}

/// A guard of tier 2 in a control group; `None`, and why, where none works.
fn world(test: &str) -> Option<World> {
    let inside = Cgroup::create(test).inspect_err(|e| eprintln!("NOT RUN: {test}: {e:#}")).ok()?;
    let scope = EnforceScope::cgroup(inside.path()).expect("a scope");
    let guard = Guard::attach(&scope, Tier::Tracing);
    if guard.tier() != Some(Tier::Tracing) {
        eprintln!("NOT RUN: {test}: {:?}", guard.trials());
        return None;
    }
    Some(World { inside, guard, folder: tempfile::tempdir().expect("a folder") })
}

impl World {
    fn put(&mut self, entries: &[(Subject, Operations, Mode)]) {
        let mut list = DenyList::default();
        for (subject, operations, mode) in entries.iter().cloned() {
            list.add(Entry { subject, operations, mode }).expect("an entry");
        }
        self.guard.apply(list).expect("in force");
    }

    /// A copy of true(1) that nobody else has, and its hash.
    fn copy(&self, name: &str) -> (PathBuf, [u8; 32]) {
        let mut bytes = fs::read("/bin/true").expect("true");
        bytes.extend(format!("\n{name} {}\n", std::process::id()).as_bytes());
        let path = self.folder.path().join(name);
        fs::write(&path, &bytes).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        (path, Sha256::digest(&bytes).into())
    }

    fn told(&mut self, wanted: Disposition) -> Decision {
        let end = Instant::now() + TOLD;
        while Instant::now() < end {
            let found = self.guard.take(Duration::from_millis(20));
            if let Some(decision) = found.into_iter().find(|one| one.disposition == wanted) {
                return decision;
            }
        }
        panic!("no decision {wanted:?} was told");
    }

    fn silent(&mut self) {
        assert_eq!(self.guard.take(Duration::ZERO), []);
    }
}

fn learn(world: &World, path: &Path, sha256: [u8; 32]) {
    let meta = fs::metadata(path).expect("there");
    world.guard.learn(&Learned {
        device: meta.dev(),
        inode: meta.ino(),
        changed: (meta.ctime(), meta.ctime_nsec()),
        size: meta.len(),
        sha256,
    });
}

fn inode(path: &Path) -> Subject {
    let meta = fs::metadata(path).expect("there");
    Subject::Inode { device: meta.dev(), inode: meta.ino() }
}

#[test]
fn an_execution_is_killed_before_its_first_instruction() {
    let Some(mut world) = world("an_execution_is_killed") else { return };
    let group = world.inside.path().to_owned();
    let (path, _) = world.copy("by-inode");
    let killed = |group: &Path, path: &Path| run(group, path, nothing).expect("starts").signal();
    assert_eq!(killed(&group, &path), None, "nothing is denied yet");
    world.put(&[(inode(&path), Operations::EXEC, Mode::Deny)]);
    assert_eq!(killed(&group, &path), Some(libc::SIGKILL));
    let told = world.told(Disposition::Killed);
    assert_eq!((told.subject_kind, told.hook), ("inode", "tp_btf/sched_process_exec"));
    assert_eq!(told.file.map(|(_, inode)| inode), Some(fs::metadata(&path).unwrap().ino()));
    let (other, _) = world.copy("other");
    assert_eq!(killed(&group, &other), None);
    world.put(&[(inode(&path), Operations::EXEC, Mode::Observe)]);
    assert_eq!(killed(&group, &path), None, "observed");
    world.told(Disposition::WouldDeny);
    world.put(&[(inode(&path), Operations::EXEC, Mode::Deny)]);
    let outside = Command::new(&path).status().unwrap();
    assert!(outside.success(), "outside the scope");
    world.silent();
    // Fail open: with the guard its hooks are gone.
    drop(world.guard);
    let end = Instant::now() + TOLD;
    while killed(&group, &path).is_some() {
        assert!(Instant::now() < end, "still killed without a guard");
    }
}

#[test]
fn content_is_known_once_it_was_learned_and_forgotten_when_it_changes() {
    let Some(mut world) = world("content_is_known") else { return };
    let group = world.inside.path().to_owned();
    let (path, hash) = world.copy("by-content");
    world.put(&[(Subject::Sha256(hash), Operations::EXEC, Mode::Deny)]);
    assert!(world.guard.gaps().iter().any(|gap| gap.code == "first_use_of_unseen_copy"));
    assert!(run(&group, &path, nothing).unwrap().success(), "nobody has hashed it yet");
    learn(&world, &path, hash);
    assert_eq!(run(&group, &path, nothing).unwrap().signal(), Some(libc::SIGKILL));
    let told = world.told(Disposition::Killed);
    assert_eq!(told.sha256, Some(Subject::Sha256(hash).to_string()));
    let renamed = path.with_extension("renamed");
    fs::rename(&path, &renamed).unwrap();
    learn(&world, &renamed, hash);
    assert_eq!(run(&group, &renamed, nothing).unwrap().signal(), Some(libc::SIGKILL));
    // Another content in the same file: what was learned is about what it was.
    let mut bytes = fs::read("/bin/true").unwrap();
    bytes.extend(b"\nharmless\n");
    fs::write(&renamed, &bytes).unwrap();
    assert!(run(&group, &renamed, nothing).unwrap().success());
}

#[test]
fn what_nobody_knows_can_be_stopped_too() {
    let Some(mut world) = world("what_nobody_knows") else { return };
    let group = world.inside.path().to_owned();
    let (path, hash) = world.copy("unknown");
    world.put(&[(Subject::UnknownCopy, Operations::EXEC, Mode::Deny)]);
    assert_eq!(run(&group, &path, nothing).unwrap().signal(), Some(libc::SIGKILL));
    assert_eq!(world.told(Disposition::Killed).subject_kind, "unknown_copy");
    learn(&world, &path, hash);
    assert!(run(&group, &path, nothing).unwrap().success(), "known, and not on the list");
}

/// A process of `group` that starts `program` once it is told to, and ends as that ended.
fn starter(group: &Path, program: &Path) -> std::process::Child {
    let procs = group.join("cgroup.procs");
    let script = r#"echo $$ > "$0" && read -r go && "$1"; exit $?"#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).arg(procs).arg(program).stdin(std::process::Stdio::piped());
    command.spawn().expect("starts")
}

#[test]
fn no_list_stops_what_is_the_sensors_own() {
    const KILLED: Option<i32> = Some(128 + libc::SIGKILL);
    let Some(mut world) = world("no_list_stops") else { return };
    let group = world.inside.path().to_owned();
    let (path, _) = world.copy("own");
    let direct = |group: &Path, path: &Path| run(group, path, nothing).expect("starts").signal();
    // The guard of this sensor, were it one; it starts what is no child of this process.
    let mut outcome = |own: Option<bool>| {
        let mut starter = starter(&group, &path);
        if let Some(is_guard) = own {
            let guard = is_guard.then(|| starter.id());
            world.guard.spare(Own { guard }).expect("settled");
        }
        world.put(&[(Subject::Everything, Operations::EXEC, Mode::Deny)]);
        let child = direct(&group, &path);
        drop(starter.stdin.take().map(|mut input| std::io::Write::write_all(&mut input, b"go\n")));
        let grandchild = starter.wait().expect("ends").code();
        world.put(&[]);
        (child, grandchild)
    };
    assert_eq!(outcome(None), (Some(libc::SIGKILL), KILLED), "nobody is spared but this process");
    assert_eq!(
        outcome(Some(false)),
        (None, KILLED),
        "what this process starts, not what that does"
    );
    assert_eq!(outcome(Some(true)), (None, Some(0)), "what the guard starts");
    assert_eq!(outcome(Some(false)), (None, KILLED), "no longer the guard");
}

#[test]
fn destinations_are_denied() {
    let Some(mut world) = world("destinations_are_denied") else { return };
    let group = world.inside.path().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = Ipv4Addr::LOCALHOST.into();
    let port = |address: io::Result<SocketAddr>| address.unwrap().port();
    for (kind, port) in [
        (libc::SOCK_STREAM, port(listener.local_addr())),
        (libc::SOCK_DGRAM, port(datagrams.local_addr())),
    ] {
        let go = |group: &Path| {
            let result = run(group, Path::new("/bin/true"), move || reach(kind, port));
            result.map(|status| status.success()).map_err(|error| error.raw_os_error())
        };
        world.put(&[]);
        assert_eq!(go(&group), Ok(true));
        for (bits, only) in [(32, Some(port)), (32, None), (8, None)] {
            let subject = Subject::Destination { address: local, bits, port: only };
            world.put(&[(subject.clone(), Operations::CONNECT, Mode::Deny)]);
            assert_eq!(go(&group), Err(Some(libc::EPERM)), "{subject}");
            let told = world.told(Disposition::Denied);
            assert_eq!(told.object, format!("127.0.0.1:{port}"));
            assert_eq!(told.entry.map(|entry| entry.subject), Some(subject.clone()));
            world.put(&[(subject, Operations::CONNECT, Mode::Observe)]);
            assert_eq!(go(&group), Ok(true), "observed");
            world.told(Disposition::WouldDeny);
        }
        let other = Subject::Destination { address: local, bits: 32, port: Some(port ^ 1) };
        world.put(&[(other, Operations::CONNECT, Mode::Deny)]);
        assert_eq!(go(&group), Ok(true), "another port");
        world.silent();
    }
}
