//! Goes through the cases, each in a thread of its name, and tells each one's outcome.

use std::ffi::CString;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use metsuke_enforce::deny::{Disposition, Mode, Operations, Own, Subject};
use metsuke_event::Kind;
use metsuke_event::coverage::{Outcome as Tried, Tier};
use metsuke_probe::{ProbeConfig, SINK_BATCHES, Scope};
use metsuke_testkit::table::{Outcome, Table, row};

use crate::cases::{CASES, COMPRESSED, Case, MODULE, PORT};
use crate::gate;
use crate::role;
use crate::sees;
use crate::tamper;
use crate::tiny::{program, put, sha256};
use crate::world::{Deed, Went, World, act, within};

/// How long the probe may take to tell of a module.
const SEEN: Duration = Duration::from_secs(20);

/// Marks a line with a case's outcome.
pub(crate) fn tell(name: &str, outcome: &Result<()>) {
    let (word, why) = match outcome {
        Ok(()) => ("pass", String::new()),
        Err(error) => ("fail", format!("{error:#}")),
    };
    println!("METSUKE-CASE {}", serde_json::json!({"name": name, "outcome": word, "why": why}));
}

pub(crate) fn main() -> ExitCode {
    let prepared = prepare();
    tell("the machine is ready", &prepared);
    let world = World::new(Tier::Lsm);
    let mut world = match world {
        Ok(world) => world,
        Err(error) => {
            tell("tier 1 is in force", &Err(error));
            return ExitCode::FAILURE;
        }
    };
    tell("tier 1 is in force", &in_force(&world));
    for case in CASES {
        case_of(case.name, |world| stopped(case, world), &mut world);
    }
    if decompresses() {
        for case in COMPRESSED {
            case_of(case.name, |world| stopped(case, world), &mut world);
        }
    } else {
        println!("NOT RUN: compressed modules: this kernel does not decompress them (EOPNOTSUPP)");
    }
    for (name, body) in SPECIAL {
        case_of(name, body, &mut world);
    }
    drop(world);
    // These have guards and probes of their own.
    for (name, body) in ALONE {
        let outcome = named(name, *body);
        tell(name, &outcome);
    }
    ExitCode::SUCCESS
}

fn case_of(
    name: &'static str,
    body: impl FnOnce(&mut World) -> Result<()> + Send,
    world: &mut World,
) {
    let outcome = named(name, || {
        world.clear()?;
        let outcome = body(world);
        world.clear()?;
        outcome
    });
    // Left from a case that failed.
    let _ = role::unload(MODULE);
    tell(name, &outcome);
}

/// Runs `body` in a thread called `name`, which a table's row tells as its test.
pub(crate) fn named(name: &'static str, body: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    std::thread::scope(|scope| {
        let guarded = move || {
            catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| bail!("it panicked; see above"))
        };
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, guarded)?;
        thread.join().unwrap_or_else(|_| bail!("it panicked; see above"))
    })
}

/// Loopback up, an overlay mounted, somebody listening.
fn prepare() -> Result<()> {
    loopback()?;
    for listener in ["127.0.0.1", "[::1]"] {
        let address = format!("{listener}:{PORT}");
        // Kept for good: the suite's process ends with the machine.
        std::mem::forget(TcpListener::bind(&address).with_context(|| address.clone())?);
        std::mem::forget(UdpSocket::bind(&address)?);
    }
    let words = ["module".to_owned(), "/modules/overlay.ko".to_owned()];
    ensure!(role::main(&words) == 0, "the overlay's module is not loaded");
    for part in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(Path::new("/tmp/overlay").join(part))?;
    }
    let kind = CString::new("overlay")?;
    let target = CString::new("/tmp/overlay/merged")?;
    let data = "lowerdir=/tmp/overlay/lower,upperdir=/tmp/overlay/upper,workdir=/tmp/overlay/work";
    let data = CString::new(data)?;
    // SAFETY: strings that end with NUL and outlive the call.
    let result = unsafe {
        libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, data.as_ptr().cast())
    };
    ensure!(result == 0, "overlay: {}", std::io::Error::last_os_error());
    Ok(())
}

fn loopback() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::try_from(*from)?;
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: an open socket and a request that outlives the call.
    let result = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw mut request) };
    ensure!(result == 0, "loopback: {}", std::io::Error::last_os_error());
    Ok(())
}

fn in_force(world: &World) -> Result<()> {
    for trial in world.guard.trials() {
        if let Tried::Refused { reason } = &trial.outcome {
            bail!("{}: {reason}", trial.hook);
        }
    }
    ensure!(world.guard.tier() == Some(Tier::Lsm), "{:?}", world.guard.tier());
    row(Table::Support, "Tier 1 (BPF LSM)", Outcome::Stopped, "every hook attached");
    Ok(())
}

/// Whether the kernel takes a module that it has to decompress.
fn decompresses() -> bool {
    let words = ["module-compressed".to_owned(), "/modules/dummy.ko.xz".to_owned()];
    let number = i32::from(role::main(&words));
    // Loaded by that.
    let _ = role::unload(MODULE);
    number == 0
}

/// Without the list it is done; with it, denied and told; observed, done and told; and outside the
/// scope done and not told.
fn stopped(case: &Case, world: &mut World) -> Result<()> {
    let operation = case.operation;
    let run = |world: &mut World, mode: Option<Mode>, inside: bool| -> Result<(Went, Subject)> {
        let prepared = (case.prepare)(world)?;
        world.clear()?;
        if let Some(mode) = mode {
            world.list(&prepared.subject, operation, mode)?;
        }
        let group = if inside { world.inside.clone() } else { world.outside.clone() };
        let went = act(&group, &prepared.deed)?;
        drop(prepared.held);
        if operation == Operations::MODULE_LOAD && went == Went::Done {
            role::unload(MODULE).context("the module stays")?;
        }
        Ok((went, prepared.subject))
    };
    let (went, _) = run(world, None, true)?;
    ensure!(went == Went::Done, "without a list: {went:?}");
    world.nothing_told()?;
    let (went, subject) = run(world, Some(Mode::Deny), true)?;
    ensure!(went == Went::Refused(libc::EPERM), "denied by {subject}: {went:?}");
    let told = world.told(operation, Disposition::Denied)?;
    ensure!(told.subject_kind == subject.kind(), "{told:?}");
    ensure!(told.entry.as_ref().is_some_and(|entry| entry.subject == subject), "{told:?}");
    let hook = told.hook;
    let (went, subject) = run(world, Some(Mode::Observe), true)?;
    ensure!(went == Went::Done, "observed by {subject}: {went:?}");
    let told = world.told(operation, Disposition::WouldDeny)?;
    ensure!(told.subject_kind == subject.kind(), "{told:?}");
    world.clear()?;
    let (went, _) = run(world, Some(Mode::Deny), false)?;
    ensure!(went == Went::Done, "outside the scope: {went:?}");
    world.nothing_told()?;
    let reason =
        format!("EPERM by {hook}, prevention.deny; observed and outside the scope allowed");
    row(Table::Support, case.name, Outcome::Stopped, &reason);
    Ok(())
}

type Body = fn(&mut World) -> Result<()>;

const SPECIAL: &[(&str, Body)] = &[
    ("an entry that is taken away denies no more", |world| {
        let path = Path::new("/tmp/taken");
        let bytes = program();
        put(path, &bytes)?;
        world.list(&Subject::Sha256(sha256(&bytes)), Operations::EXEC, Mode::Deny)?;
        let deed = Deed::Exec(path.to_owned());
        ensure!(act(&world.inside, &deed)? == Went::Refused(libc::EPERM));
        world.list(&Subject::Sha256([2; 32]), Operations::EXEC, Mode::Deny)?;
        ensure!(act(&world.inside, &deed)? == Went::Done);
        Ok(())
    }),
    ("what cannot be hashed is allowed unless the list says otherwise (fail open)", |world| {
        let path = Path::new("/tmp/large");
        put(path, &program())?;
        fs::OpenOptions::new().write(true).open(path)?.set_len((64 << 20) + 1)?;
        world.list(&Subject::Sha256([3; 32]), Operations::EXEC, Mode::Deny)?;
        let before = world.guard.counts();
        ensure!(act(&world.inside, &Deed::Exec(path.to_owned()))? == Went::Done);
        let after = world.guard.counts();
        ensure!(after.too_large > before.too_large, "{after:?} is not more than {before:?}");
        let name = "exec of a file too large to be hashed, without an entry for unknown copies";
        row(Table::Support, name, Outcome::Blind, "allowed, and counted (fail open)");
        Ok(())
    }),
];

type Alone = fn() -> Result<()>;

const ALONE: &[(&str, Alone)] = &[
    ("no list stops the sensor's own processes", spared),
    ("a copy never seen is not executed from a gated mount", gate::unseen),
    ("hooks of tier 1 that somebody took are attached again", tamper::taken),
    ("when the sensor is killed nothing is denied any more (fail open)", killed),
    ("a driver that is loaded and removed is seen", driver),
    ("tier 2 is taken whole, and tells paths, variables and flows whole", sees::whole),
];

/// Everything is denied, and yet the sensor's child does as it wants; what that starts does not.
fn spared() -> Result<()> {
    let path = Path::new("/tmp/spared");
    put(path, &program())?;
    let mut world = World::new(Tier::Lsm)?;
    let deed = Deed::Exec(path.to_owned());
    world.list(&Subject::Everything, Operations::ALL, Mode::Deny)?;
    ensure!(act(&world.inside, &deed)? == Went::Refused(libc::EPERM), "before that is said");
    world.guard.spare(Own::default())?;
    ensure!(act(&world.inside, &deed)? == Went::Done, "a child executes");
    let local = format!("127.0.0.1:{PORT}");
    for words in [&["open", "/tmp/spared"][..], &["connect", &local], &["bpf"], &["map", "/guest"]]
    {
        let went = act(&world.inside, &Deed::role(words))?;
        ensure!(went == Went::Done, "{words:?}: {went:?}");
    }
    let went = act(&world.inside, &Deed::role(&["start", "/tmp/spared"]))?;
    ensure!(went == Went::Refused(libc::EPERM), "what a child starts: {went:?}");
    let name = "a list that denies everything, to the sensor's own processes";
    row(Table::Support, name, Outcome::Blind, "spared: they execute, open, connect and load BPF");
    Ok(())
}

/// Another process holds the guard, and is killed.
fn killed() -> Result<()> {
    let path = Path::new("/tmp/killed");
    put(path, &program())?;
    let mut child = Command::new("/guest")
        .args(["hold", "/tmp/killed"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().context("no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)?;
    ensure!(line.trim() == "held", "the guard is not in force: {line}");
    let inside = metsuke_enforce::scope::hierarchy().context("cgroup v2")?.join("inside");
    let deed = Deed::Exec(path.to_owned());
    let denied = act(&inside, &deed)?;
    child.kill()?;
    child.wait()?;
    ensure!(denied == Went::Refused(libc::EPERM), "while it lived: {denied:?}");
    // The kernel takes the hooks away once the last descriptor's grace period is over.
    let end = Instant::now() + SEEN;
    while act(&inside, &deed)? != Went::Done {
        ensure!(Instant::now() < end, "still denied after the guard was killed");
    }
    row(
        Table::Support,
        "the sensor is killed",
        Outcome::Blind,
        "nothing is denied any more (fail open)",
    );
    Ok(())
}

/// Holds a guard that denies a file, until killed.
pub(crate) fn hold(path: &str) -> Result<()> {
    let mut world = World::new(Tier::Lsm)?;
    world.list(&Subject::Sha256(sha256(&fs::read(path)?)), Operations::EXEC, Mode::Deny)?;
    println!("held");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn driver() -> Result<()> {
    let inside = metsuke_enforce::scope::hierarchy().context("cgroup v2")?.join("inside");
    let (sink, events) = sync_channel(SINK_BATCHES);
    let probe = metsuke_probe::start(ProbeConfig::new(Scope::Cgroup(inside.clone())), sink)?;
    let sees = probe.coverage().sees;
    ensure!(sees.iter().any(|kind| kind == "module.load"), "sees {sees:?}");
    let mut child = within(&inside, Path::new("/guest"))?
        .args(["role", "module-and-away", "/modules/dummy.ko"])
        .spawn()?;
    let status = child.wait()?;
    ensure!(status.success(), "the deed: {status}");
    let mut wanted = vec![Kind::ModuleLoad, Kind::ModuleUnload];
    let end = Instant::now() + SEEN;
    while !wanted.is_empty() {
        ensure!(Instant::now() < end, "not seen: {wanted:?}");
        let batch = events.recv_timeout(Duration::from_millis(100)).unwrap_or_default();
        for event in batch.iter().filter(|e| e.process.pid == Some(u64::from(child.id()))) {
            wanted.retain(|kind| *kind != event.activity.kind());
        }
    }
    probe.stop();
    row(
        Table::Coverage,
        "Driver Load",
        Outcome::Seen,
        "module.load and module.unload of the process that did it",
    );
    row(
        Table::Support,
        "a driver is loaded and removed",
        Outcome::Seen,
        "module.load, module.unload",
    );
    Ok(())
}
