//! The package that `./x dist` made: installed by dpkg over this host's own root, enrolled, used,
//! renewed, removed.
//!
//! The root is an overlay in a mount namespace of the test's own, and all that runs in it stands in
//! a control group that is emptied at the end: the host keeps nothing of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use metsuke_event::EndpointId;
use metsuke_event::activity::{Activity, SensorActivity};
use metsuke_link::message::Downstream;
use metsuke_respond::{PlanId, ScanTarget, State, Verb};
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::not_run::not_run;
use metsuke_testkit::process::Running;
use metsuke_testkit::small_disk::seen_by;
use metsuke_testkit::{needs, wait};

use crate::world::{LIMIT, World, key, now, plan};

/// Names the package to be tried.
const PACKAGE: &str = "METSUKE_PACKAGE";
const PROGRAM: &str = "/usr/bin/metsuke-sensor";
const STATE: &str = "/var/lib/metsuke";
const CONFIG: &str = "/etc/metsuke/sensor.json";
/// The sensor's log where no systemd keeps it.
const LOG: &str = "/var/log/metsuke-sensor.log";
/// What stands in the room once it can be used.
const READY: &str = "/run/metsuke-room";

/// An overlay over the root, in a mount namespace of its own, and who runs there.
struct Room {
    keeper: Running,
    group: Cgroup,
    _layers: tempfile::TempDir,
}

impl Room {
    /// `shared` is seen inside as it is outside.
    fn open(shared: &Path) -> Result<Self> {
        const SCRIPT: &str = r#"
            set -e
            mount -t tmpfs -o mode=755 metsuke-layers "$0"
            mkdir "$0/upper" "$0/work" "$0/root"
            mount -t overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" metsuke-root "$0/root"
            for folder in /proc /sys /dev "$1"; do
                mkdir -p "$0/root$folder"
                mount --rbind "$folder" "$0/root$folder"
            done
            mount -t tmpfs -o mode=755 metsuke-run "$0/root/run"
            exec chroot "$0/root" /bin/sh -c ": > $2; exec sleep 3600""#;
        let (group, layers) = (Cgroup::create("package")?, tempfile::tempdir()?);
        let mut command = group.command("unshare");
        command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c", SCRIPT]);
        command.arg(layers.path()).arg(shared).arg(READY);
        let keeper = Running::start("the room's keeper", &mut command, &shared.join("room.log"))?;
        let mut room = Self { keeper, group, _layers: layers };
        wait::until_true("a root of its own", LIMIT, || {
            room.keeper.must_run()?;
            Ok(room.path(READY).exists())
        })?;
        Ok(room)
    }

    /// `path` of the room, from outside.
    fn path(&self, path: &str) -> PathBuf {
        seen_by(self.keeper.pid(), Path::new(path))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.group.command("nsenter");
        command.args(["--target", &self.keeper.pid().to_string(), "--mount", "--root", "--"]);
        command.args(words);
        command
    }

    /// Whether it succeeded, and what it said.
    fn run(&self, words: &[&str]) -> Result<(bool, String)> {
        let output = self.command(words).output()?;
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    fn must(&self, words: &[&str]) -> Result<String> {
        let (ok, said) = self.run(words)?;
        ensure!(ok, "{words:?}: {said}{}", self.log());
        Ok(said)
    }

    /// The end of what the installed sensor wrote.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.path(LOG)).unwrap_or_default();
        let from = text.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
        text[from..].to_owned()
    }

    fn wait(&self, what: &str, look: impl FnMut() -> Result<bool>) -> Result<()> {
        wait::until_true(what, LIMIT, look).with_context(|| self.log())
    }

    /// The processes of the installed sensor: guard, sensor and what they started.
    fn installed(&self) -> Result<Vec<u32>> {
        let mut pids = self.group.processes()?;
        pids.retain(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            program.to_string_lossy().contains(PROGRAM)
        });
        Ok(pids)
    }
}

/// Why nothing can be tried here.
fn lacking() -> Option<&'static str> {
    if std::env::var_os(PACKAGE).is_none() {
        return Some("there is no package to try; `./x dist` makes one and tries it");
    }
    if !Path::new("/usr/bin/dpkg").exists() {
        return Some("dpkg is not installed");
    }
    // What is installed below the overlay would be taken for what is to be tried.
    let there = [PROGRAM, STATE, CONFIG].iter().any(|path| Path::new(path).exists());
    there.then_some("a sensor is installed on this host")
}

#[test]
fn the_package_is_installed_used_and_removed() -> Result<()> {
    let test = "the_package_is_installed_used_and_removed";
    if let Some(reason) = lacking() {
        not_run(test, reason);
        return Ok(());
    }
    needs!(test, Root, Cgroup, PrivateMounts);
    let world = World::start()?;
    let room = Room::open(world.dir.path())?;
    install(&world, &room)?;
    watches(&world, &room)?;
    scans(&world, &room)?;
    renews(&world, &room)?;
    leaves(&world, &room)?;
    room.must(&["dpkg", "--purge", "metsuke-sensor"])?;
    let unit = "/lib/systemd/system/metsuke-sensor.service";
    for gone in [PROGRAM, "/usr/bin/metsuke-yara", STATE, "/etc/metsuke", unit] {
        ensure!(fs::symlink_metadata(room.path(gone)).is_err(), "{gone} is left");
    }
    ensure!(!Path::new(PROGRAM).exists(), "the host's own root was written to");
    Ok(())
}

/// As an administrator does, on a host without systemd.
fn install(world: &World, room: &Room) -> Result<()> {
    let package = world.dir.path().join("metsuke-sensor.deb");
    fs::copy(std::env::var_os(PACKAGE).context("it was looked at")?, &package)?;
    room.must(&["dpkg", "--install", &package.display().to_string()])?;
    for (path, mode) in [(PROGRAM, 0o755), (STATE, 0o700), ("/etc/metsuke", 0o700), (CONFIG, 0o600)]
    {
        let found = fs::metadata(room.path(path))?.permissions().mode() & 0o7777;
        ensure!(found == mode, "{path} has mode {found:o}");
    }
    let said = room.must(&[PROGRAM, "install"])?;
    ensure!(said.contains("not enrolled, hence not started"), "{said}");
    // Never more than a group of this test's own.
    let config = serde_json::json!({
        "scope": world.group.path(),
        "evidence_roots": [world.dir.path()],
        "evidence_cpu_percent": 100,
    });
    fs::write(room.path(CONFIG), config.to_string())?;
    let token = world.dir.path().join("token");
    fs::write(&token, "good\n")?;
    let enrol = ["--server", &world.address, "--ca-fingerprint", &world.fingerprint];
    let install = [PROGRAM, "install", "--token-file", &token.display().to_string()];
    let said = room.must(&[&install[..], &enrol[..]].concat())?;
    ensure!(said.contains("enrolled as endpoint") && said.contains("started"), "{said}");
    Ok(())
}

fn hellos(world: &World) -> usize {
    world.memory.hellos.lock().unwrap().len()
}

fn watches(world: &World, room: &Room) -> Result<()> {
    room.wait("the installed sensor's hello", || Ok(hellos(world) > 0))?;
    let hello = world.memory.hellos.lock().unwrap()[0].clone();
    ensure!(hello.scope == world.group.path().display().to_string(), "scope {}", hello.scope);
    let tier = hello.coverage.context("a report")?.tier;
    eprintln!("the installed sensor: {} processes, {tier:?}", room.installed()?.len());
    let pid = u64::from(started(world)?.pid());
    room.wait("what happened in its scope", || {
        let events = world.memory.events.lock().unwrap();
        Ok(events.iter().any(|event| event.process.pid == Some(pid)))
    })
}

/// A shell in the watched group that has read the word to be found, so that it is in its memory.
fn started(world: &World) -> Result<Running> {
    let dir = world.dir.path();
    let (word, ready) = (dir.join("scanned/file"), dir.join("ready"));
    fs::create_dir_all(dir.join("scanned"))?;
    fs::write(&word, "needle-to-be-found\n")?;
    let _ = fs::remove_file(&ready);
    let script = "read -r kept < \"$1\"; : > \"$2\"; sleep 3600; echo \"$kept\"";
    let mut command = world.group.command("/bin/sh");
    command.args(["-c", script, "holder"]).arg(&word).arg(&ready);
    let running = Running::start("holder", &mut command, &dir.join("holder.log"))?;
    wait::until_true("the word to be read", LIMIT, || Ok(ready.exists()))?;
    Ok(running)
}

/// A folder and a process's memory, by the packaged scanner.
fn scans(world: &World, room: &Room) -> Result<()> {
    let holder = started(world)?;
    let path = world.dir.path().join("scanned").display().to_string();
    let targets = [ScanTarget::Path { path }, ScanTarget::Process { target: key(holder.pid()) }];
    for (number, what) in (1..).zip(targets) {
        let rules = "rule hit { strings: $a = /needle-to-be-f.und/ condition: $a }".to_owned();
        world.memory.order(Downstream::Plan(plan(number, Verb::Scan { what, rules })));
        let id = PlanId::from_u128(number);
        let newest = || world.memory.newest(id).filter(|update| update.update.state.is_end());
        room.wait("the scan's end", || Ok(newest().is_some()))?;
        let end = newest().context("it was there")?;
        ensure!(end.update.state == State::Done, "{end:?}{}", room.log());
        let (_, matches) = world.memory.artifacts.lock().unwrap()[&id].clone();
        let matches = String::from_utf8(matches)?;
        ensure!(matches.contains(r#""rule":"hit""#), "{matches}");
        ensure!(matches.contains("peak_bytes"), "the scanner came to its end: {matches}");
    }
    Ok(())
}

/// The program on disk takes over from the one that runs.
fn renews(world: &World, room: &Room) -> Result<()> {
    let before = hellos(world);
    room.must(&[PROGRAM, "upgrade", "--state", STATE])?;
    room.wait("the successor's hello", || Ok(hellos(world) > before))
}

/// With the server's leave, and not without.
fn leaves(world: &World, room: &Room) -> Result<()> {
    let file = world.dir.path().join("leave");
    let signing = world.authority.signing();
    let until = u64::try_from(now().as_nanos() / 1_000_000_000)? + 600;
    let uninstall = [PROGRAM, "uninstall", "--token-file", &file.display().to_string()];
    let leave = |endpoint| signing.uninstall_token(EndpointId::from_u128(endpoint), until);
    fs::write(&file, leave(2))?;
    let (ok, said) = room.run(&uninstall)?;
    ensure!(!ok && said.contains("not signed"), "{said}");
    ensure!(!room.installed()?.is_empty(), "it goes on: {}", room.log());
    fs::write(&file, leave(1))?;
    let said = room.must(&uninstall)?;
    ensure!(said.contains("with the server's leave"), "{said}");
    room.wait("nothing of it to run", || Ok(room.installed()?.is_empty()))?;
    let memory = Arc::clone(&world.memory);
    room.wait("its last word", || {
        let events = memory.events.lock().unwrap();
        Ok(events.iter().any(|event| match &event.activity {
            Activity::Sensor(SensorActivity::Stop, health) => {
                health.reason.as_deref() == Some("uninstalled")
            }
            _ => false,
        }))
    })
}
