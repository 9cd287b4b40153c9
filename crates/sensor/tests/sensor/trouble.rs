//! The ground taken from under a running sensor: its files unlinked, its CPU withheld.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use anyhow::{Context, Result};
use metsuke_event::activity::{Activity, ProcessActivity};
use metsuke_testkit::needs;
use metsuke_testkit::not_run::not_run;
use metsuke_testkit::table::{Outcome, Table, row};
use rustix::process::Signal;

use crate::selfcare::{guarded_pid, signal, tampered, told};
use crate::world::{Memory, World};

/// Whether an execution with this argument was told.
fn executed(memory: &Memory, argument: &str) -> bool {
    memory.events.lock().unwrap().iter().any(|event| {
        matches!(event.activity, Activity::Process(ProcessActivity::Exec))
            && event
                .process
                .cmd_line
                .as_deref()
                .is_some_and(|text| text.split(' ').next_back() == Some(argument))
    })
}

/// Runs a program in the group and waits until it was told.
fn execute(world: &mut World, argument: &str) -> Result<()> {
    let memory = Arc::clone(&world.memory);
    // In the lowest tier one that ends at once may be missed: it sleeps until it was seen.
    let mut child = world.group.command("/bin/sleep").arg(argument).spawn()?;
    let seen = world.wait(argument, || Ok(executed(&memory, argument)));
    child.kill()?;
    child.wait()?;
    seen
}

/// Another name of the program in `folder`, so that it can be taken away.
fn another_name(folder: &Path) -> Result<PathBuf> {
    let (program, name) = (env!("CARGO_BIN_EXE_metsuke-sensor"), folder.join("metsuke-sensor"));
    if fs::hard_link(program, &name).is_err() {
        fs::copy(program, &name)?;
    }
    Ok(name)
}

#[test]
fn a_sensor_whose_files_are_unlinked_goes_on_and_tells_who_did_it() -> Result<()> {
    needs!("a_sensor_whose_files_are_unlinked_goes_on_and_tells_who_did_it", Root, Cgroup);
    let mut world = World::start()?;
    anyhow::ensure!(world.enrol("good")?.status.success(), "enrols");
    let folder = world.dir.path().canonicalize()?.join("program");
    fs::create_dir(&folder)?;
    let program = another_name(&folder)?;
    let config = folder.join("config.json");
    fs::write(&config, "{}")?;
    let scope = world.group.path().to_owned();
    let words = ["--max-tier".as_ref(), "3".as_ref(), "--scope-cgroup".as_ref(), scope.as_os_str()];
    world.start_by(Command::new(&program), "supervise", &words)?;
    world.wait_for_status()?;
    execute(&mut world, "301")?;
    let memory = Arc::clone(&world.memory);
    let state = world.state().canonicalize()?;
    let segment = fs::read_dir(state.join("spool"))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "seg"))
        .context("a segment of the spool")?;
    let gone = [&program, &segment, &state.join("spool/watch"), &state.join("status.json")];
    let own = u64::from(std::process::id());
    for path in gone {
        fs::remove_file(path)?;
        let name = path.to_str().context("a name")?;
        world.wait(name, || Ok(tampered(&memory, "deleted", name).is_some()))?;
        let event = tampered(&memory, "deleted", name).expect("told");
        assert_eq!(event.process.pid, Some(own), "{name}");
    }
    execute(&mut world, "302")?;
    let reason = "sensor.tamper with the process, for program, spool and state alike; the sensor goes on, \
                  and what happens is told as before. Activities in an unlinked part of the spool that \
                  the server does not have yet are gone at the sensor's end";
    row(Table::Evasion, "sensor's files unlinked", Outcome::Seen, reason);

    // Set once a second: then it has its name again.
    world.wait("the watch to come back", || Ok(state.join("spool/watch").exists()))?;
    // And its program cannot be started again from where it was.
    let first = guarded_pid(&world)?;
    signal(first, Signal::KILL)?;
    world.wait("another sensor", || Ok(tampered(&memory, "restarted", "signal 9").is_some()))?;
    execute(&mut world, "303")?;
    world.wait("the gap", || Ok(!told(&memory, "sensor_down").is_empty()))?;
    let reason = "sensor.tamper and the gap; the guard starts the sensor from the copy that the kernel \
                  keeps of its own program";
    row(Table::Evasion, "sensor's program unlinked, then the sensor killed", Outcome::Seen, reason);
    Ok(())
}

/// A group of the CPU controller that has a thousandth of a CPU for itself and two that never
/// wait; removed at the end, when nobody is in it any more.
struct Quota {
    folder: PathBuf,
    /// Those that use up what the group has.
    busy: Vec<Child>,
    /// The file that limits, what it says to limit to a thousandth, and what not to.
    limit: (&'static str, &'static str, &'static str),
}

impl Quota {
    /// `None` where the controller cannot be used.
    fn make() -> Option<Self> {
        let name = format!("metsuke-test-quota-{}", std::process::id());
        let first = Path::new("/sys/fs/cgroup/cpu");
        let (folder, limit) = if first.join("cpu.cfs_quota_us").exists() {
            (first.join(name), ("cpu.cfs_quota_us", "1000", "-1"))
        } else {
            let root = metsuke_testkit::cgroup::mounted().ok()?;
            let controllers = fs::read_to_string(root.join("cgroup.subtree_control")).ok()?;
            controllers.split_ascii_whitespace().find(|controller| *controller == "cpu")?;
            (root.join(name), ("cpu.max", "1000 1000000", "max"))
        };
        fs::create_dir(&folder).ok()?;
        let mut quota = Self { folder, busy: Vec::new(), limit };
        // A second, the longest there is: of the version 2 it stands in the limit itself.
        let _ = fs::write(quota.folder.join("cpu.cfs_period_us"), "1000000");
        fs::write(quota.folder.join(limit.0), limit.1).ok()?;
        for _ in 0..2 {
            let child = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn().ok()?;
            let pid = child.id().to_string();
            quota.busy.push(child);
            fs::write(quota.folder.join("cgroup.procs"), pid).ok()?;
        }
        Some(quota)
    }

    fn limit(&self, pid: u32) -> Result<()> {
        Ok(fs::write(self.folder.join("cgroup.procs"), pid.to_string())?)
    }

    fn let_go(&mut self) -> Result<()> {
        for mut child in self.busy.drain(..) {
            child.kill()?;
            child.wait()?;
        }
        Ok(fs::write(self.folder.join(self.limit.0), self.limit.2)?)
    }

    /// Periods in which somebody had to wait.
    fn throttled(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("cpu.stat")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        line.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = self.let_go();
        // Whoever is left goes back to the root of the hierarchy.
        let root = self.folder.parent().map(|root| root.join("cgroup.procs"));
        let pids = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines() {
            let _ = root.as_ref().map(|root| fs::write(root, pid));
        }
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn a_starved_sensor_says_so_and_tells_what_happened_meanwhile() -> Result<()> {
    let test = "a_starved_sensor_says_so_and_tells_what_happened_meanwhile";
    needs!(test, Root, Cgroup);
    let Some(mut quota) = Quota::make() else {
        not_run(test, "no CPU controller of control groups can be used here");
        return Ok(());
    };
    let mut world = World::start()?;
    anyhow::ensure!(world.enrol("good")?.status.success(), "enrols");
    world.run_configured("{}")?;
    world.wait_for_status()?;
    let memory = Arc::clone(&world.memory);
    execute(&mut world, "304")?;
    let pid = world.sensor().pid();
    quota.limit(pid)?;
    // A thousandth of a CPU, which two others of the group use up.
    let child =
        world.group.command("/bin/sh").args(["-c", "exit 0", "metsuke-starved"]).status()?;
    assert!(child.success());
    world.wait("it to be starved for long", || Ok(quota.throttled() > 8))?;
    quota.let_go()?;
    world.wait("the stall", || {
        Ok(["starved", "held_still"].iter().any(|reason| !told(&memory, reason).is_empty()))
    })?;
    world.wait("the move", || Ok(tampered(&memory, "moved", "metsuke-test-quota").is_some()))?;
    let tier = memory.hellos.lock().unwrap()[0].coverage.as_ref().map(|c| c.tier.number());
    if tier == Some(3) {
        not_run(test, "tier 3 misses short-lived processes by itself (no row)");
        return Ok(());
    }
    world.wait("what happened meanwhile", || Ok(executed(&memory, "metsuke-starved")))?;
    let reason = "sensor.tamper when it is moved to another control group, and sensor.health with how \
                  long it stood; what happened meanwhile waited in the kernel's queue and is told";
    row(Table::Evasion, "sensor starved of CPU by a quota", Outcome::Seen, reason);
    Ok(())
}
