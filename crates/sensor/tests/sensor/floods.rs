//! Each queue of the running sensor flooded while an attack runs: the kernel's while the sensor is
//! stopped, the spool and the link while the server takes nothing. The truth is kept by who floods.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use metsuke_event::activity::{Activity, ProcessActivity};
use metsuke_event::{Event, Kind, Tally};
use metsuke_testkit::needs;
use metsuke_testkit::not_run::not_run;
use metsuke_testkit::table::{Outcome, Table, row};
use rustix::process::Signal;

use crate::selfcare::{health, signal, told};
use crate::world::{Memory, World, now};

/// The folder of a worker, which this program is then.
const FOLDER: &str = "METSUKE_SENSOR_TEST_FOLDER";

/// Not a test of its own: makes and removes files and runs programs, as it is told.
#[test]
fn worker() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (what, with) = line.split_once(' ').unwrap();
        match what {
            "files" => {
                for number in 0..with.parse::<u64>().unwrap() {
                    let path = folder.join(format!("flood-{number}"));
                    drop(fs::File::create_new(&path).unwrap());
                    fs::remove_file(&path).unwrap();
                }
            }
            "run" => assert!(Command::new("/bin/true").arg(with).status().unwrap().success()),
            other => panic!("no step {other}"),
        }
        println!("\ndone");
    }
}

struct Worker {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    folder: PathBuf,
}

impl Worker {
    fn start(world: &World) -> Result<Self> {
        let folder = world.dir.path().canonicalize()?.join("work");
        fs::create_dir(&folder)?;
        let mut command = world.group.command(std::env::current_exe()?);
        command.args(["--exact", "floods::worker", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, &folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let said = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self { child, said, folder })
    }

    fn step(&mut self, step: &str) -> Result<()> {
        writeln!(self.child.stdin.as_mut().context("a pipe")?, "{step}")?;
        let mut line = String::new();
        while self.said.read_line(&mut line)? > 0 {
            if line.trim_end() == "done" {
                return Ok(());
            }
            line.clear();
        }
        bail!("the worker ended at `{step}`")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends when nobody tells it anything any more.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What was told of the flood, and of losses.
#[derive(Debug)]
struct Account {
    made: u64,
    removed: u64,
    lost: Tally,
}

impl Account {
    fn of(memory: &Memory, folder: &Path) -> Self {
        let folder = folder.to_string_lossy();
        let mut account = Self { made: 0, removed: 0, lost: Tally::default() };
        for event in memory.events.lock().unwrap().iter() {
            match &event.activity {
                Activity::File(_, file) => {
                    let ours = file.path.as_deref().is_some_and(|path| path.starts_with(&*folder));
                    let kind = event.activity.kind();
                    account.made += u64::from(ours && kind == Kind::FileCreate);
                    account.removed += u64::from(ours && kind == Kind::FileDelete);
                }
                Activity::Health(health) => account.lost.merge(&Tally::told(health)),
                _ => {}
            }
        }
        account
    }

    /// Creations and deletions that were told or told as lost.
    fn accounted(&self) -> [u64; 2] {
        [
            self.made + self.lost.get(Kind::FileCreate),
            self.removed + self.lost.get(Kind::FileDelete),
        ]
    }
}

fn ran(memory: &Memory, name: &str) -> bool {
    memory.events.lock().unwrap().iter().any(|event| {
        matches!(event.activity, Activity::Process(ProcessActivity::Exec))
            && event.process.cmd_line.as_deref() == Some(&format!("/bin/true {name}"))
    })
}

/// A sensor of tier 2 with a worker that it knows; `None`, saying so, without tier 2.
fn watched(test: &str, config: &str) -> Result<Option<(World, Worker)>> {
    let mut world = World::start()?;
    anyhow::ensure!(world.enrol("good")?.status.success(), "enrols");
    world.run_configured(config)?;
    let memory = Arc::clone(&world.memory);
    let tier = memory.hellos.lock().unwrap()[0].coverage.as_ref().map(|c| c.tier.number());
    if tier != Some(2) {
        not_run(test, "no tier 2 here, whose queues are meant");
        return Ok(None);
    }
    let mut worker = Worker::start(&world)?;
    worker.step("run before")?;
    world.wait("the worker", || Ok(ran(&memory, "before")))?;
    Ok(Some((world, worker)))
}

#[test]
fn a_full_queue_of_the_kernel_is_told_by_kind() -> Result<()> {
    const FILES: u64 = 40_000;
    let test = "a_full_queue_of_the_kernel_is_told_by_kind";
    needs!(test, Root, Cgroup);
    let Some((mut world, mut worker)) = watched(test, "{}")? else { return Ok(()) };
    let memory = Arc::clone(&world.memory);
    let pid = i32::try_from(world.sensor().pid())?;
    signal(pid, Signal::STOP)?;
    worker.step(&format!("files {FILES}"))?;
    worker.step("run hidden")?;
    signal(pid, Signal::CONT)?;
    let folder = worker.folder.clone();
    let account = || Account::of(&memory, &folder);
    let whole = world.wait("each creation and deletion, told or told as lost", || {
        Ok(account().accounted() == [FILES; 2])
    });
    let account = account();
    whole.with_context(|| format!("{account:?}"))?;
    assert!(account.lost.get(Kind::FileCreate) > 0, "the queue was full: {account:?}");
    let attack = ran(&memory, "hidden");
    assert!(attack || account.lost.get(Kind::ProcessExec) > 0, "{account:?}");
    worker.step("run after")?;
    world.wait("what comes afterwards", || Ok(ran(&memory, "after")))?;
    eprintln!("{} made, {} removed; lost: {}", account.made, account.removed, account.lost);
    let name = "attack while the kernel's queue is full of files";
    if attack {
        let reason = "process.exec: the last quarter of the kernel's queue (4 MiB) is kept for what is no \
                      file; of files what found no room while the sensor was stopped is told as lost, \
                      kind by kind";
        row(Table::Evasion, name, Outcome::Seen, reason);
    } else {
        let reason = "told as lost, as process.exec: it found no room in the kernel's queue (4 MiB), which \
                      nobody empties while the sensor is stopped";
        row(Table::Evasion, name, Outcome::Partly, reason);
    }
    Ok(())
}

#[test]
fn a_full_spool_is_told_by_kind_and_keeps_the_newest() -> Result<()> {
    const FILES: u64 = 20_000;
    let test = "a_full_spool_is_told_by_kind_and_keeps_the_newest";
    needs!(test, Root, Cgroup);
    // Room for a few thousand activities.
    let config = r#"{"spool_max_bytes": 65536}"#;
    let Some((mut world, mut worker)) = watched(test, config)? else { return Ok(()) };
    let memory = Arc::clone(&world.memory);
    memory.away.store(true, Ordering::Release);
    worker.step("run early")?;
    worker.step(&format!("files {FILES}"))?;
    worker.step("run late")?;
    let state = world.state();
    world.wait("the spool to give something up", || {
        let text = fs::read(state.join("status.json"))?;
        let status: serde_json::Value = serde_json::from_slice(&text)?;
        Ok(status["health"]["evictions"]["spool"].as_u64().is_some_and(|lost| lost > 0))
    })?;
    memory.away.store(false, Ordering::Release);
    world.wait("the newest", || Ok(ran(&memory, "late")))?;
    let folder = worker.folder.clone();
    let account = || Account::of(&memory, &folder);
    let whole = world.wait("each creation and deletion, told or told as lost", || {
        Ok(account().accounted().iter().all(|count| *count >= FILES))
    });
    let account = account();
    whole.with_context(|| format!("{account:?}"))?;
    // What was given up while it was on its way may have arrived: told, and told as lost.
    assert!(account.made <= FILES && account.removed <= FILES, "{account:?}");
    assert!(ran(&memory, "early") || account.lost.get(Kind::ProcessExec) > 0, "{account:?}");
    let full = told(&memory, "spool_full");
    assert!(!full.is_empty() && full.iter().all(|event| health(event).is_some()));
    eprintln!("{} made, {} removed; lost: {}", account.made, account.removed, account.lost);
    let reason = "the newest: a spool that is full because the server takes nothing gives up its oldest \
                  activities, and tells as lost how many of each kind; detection on the sensor has seen \
                  them before";
    row(Table::Evasion, "attack while spool and link are full", Outcome::Partly, reason);
    Ok(())
}

/// Events that wait in one fanotify queue at most; a kernel that allows more is not flooded here.
const FANOTIFY_MAX: u64 = 32_768;

#[test]
fn a_full_queue_of_fanotify_is_told() -> Result<()> {
    let test = "a_full_queue_of_fanotify_is_told";
    needs!(test, Root, Cgroup);
    let limit = fs::read_to_string("/proc/sys/fs/fanotify/max_queued_events");
    let limit = limit.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(16_384);
    if limit > FANOTIFY_MAX {
        not_run(test, "fanotify's queues are too long here to be filled");
        return Ok(());
    }
    let mut world = World::with_sensor()?;
    let memory = Arc::clone(&world.memory);
    let hello = memory.hellos.lock().unwrap()[0].coverage.clone().context("a report")?;
    if !hello.sees.iter().any(|class| class == "file.create") {
        not_run(test, "fanotify does not tell names here");
        return Ok(());
    }
    let mut worker = Worker::start(&world)?;
    let pid = i32::try_from(world.sensor().pid())?;
    signal(pid, Signal::STOP)?;
    // A creation and a removal each, of names of their own.
    worker.step(&format!("files {limit}"))?;
    let flooded = now();
    signal(pid, Signal::CONT)?;
    let overflowed = || {
        let full = told(&memory, "queue_full");
        let of = |event: &Event| {
            health(event).is_some_and(|told| told.part.as_deref() == Some("probe.fanotify"))
        };
        full.into_iter().find(of)
    };
    world.wait("the loss", || Ok(overflowed().is_some()))?;
    let event = overflowed().context("told")?;
    let loss = health(&event).context("told")?;
    assert!(loss.lost.is_none(), "{loss:?}");
    let (from, to) = loss.from.zip(loss.to).context("an interval")?;
    assert!(from <= flooded && flooded <= to, "{from} {flooded} {to}");
    let reason = "not what finds no room in fanotify's queue, which nobody empties while the sensor is \
                  stopped: told as a loss without a number, for the kernel says only that it was full";
    row(Table::Evasion, "attack while fanotify's queue is full (tier 3)", Outcome::Partly, reason);
    Ok(())
}
