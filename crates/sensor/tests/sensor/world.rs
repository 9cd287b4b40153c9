//! A server that takes everything, and a sensor's process.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use metsuke_event::inventory::{Delta, Item};
use metsuke_event::{BootId, EndpointId, Event, ProcessKey, Timestamp};
use metsuke_link::artifact::{ArtifactAnswer, ArtifactPart};
use metsuke_link::ca::Authority;
use metsuke_link::message::{Downstream, EnrolFacts, Heartbeat, Hello, PlanUpdate};
use metsuke_link::server::{EnrolError, Handler, HandlerError, ServerConfig, serve};
use metsuke_respond::plan::Draft;
use metsuke_respond::{Plan, PlanId, State, Verb};
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::process::Running;
use metsuke_testkit::{small_disk, wait};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What the server got.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) hellos: Mutex<Vec<Hello>>,
    pub(crate) heartbeats: Mutex<Vec<Heartbeat>>,
    pub(crate) updates: Mutex<Vec<PlanUpdate>>,
    pub(crate) inventory: Mutex<Vec<Item>>,
    /// Bytes of the artifacts that came whole.
    pub(crate) artifacts: Mutex<HashMap<PlanId, (u64, Vec<u8>)>>,
    /// Whether it keeps nothing.
    pub(crate) away: AtomicBool,
    orders: Mutex<Vec<Downstream>>,
    down: Mutex<Option<mpsc::Sender<Downstream>>>,
}

impl Memory {
    /// Sends an order, now and on each later session.
    pub(crate) fn order(&self, order: Downstream) {
        self.orders.lock().unwrap().push(order.clone());
        if let Some(down) = &*self.down.lock().unwrap() {
            // A sensor that is away gets it when it comes.
            let _ = down.try_send(order);
        }
    }

    /// Later sessions are sent nothing of what was ordered.
    pub(crate) fn forget_orders(&self) {
        self.orders.lock().unwrap().clear();
    }

    /// The newest state of a plan.
    pub(crate) fn newest(&self, plan: PlanId) -> Option<PlanUpdate> {
        let updates = self.updates.lock().unwrap();
        updates.iter().filter(|u| u.plan == plan).max_by_key(|u| u.revision).cloned()
    }
}

struct Recorder(Arc<Memory>);

#[async_trait::async_trait]
impl Handler for Recorder {
    async fn enrol(&self, token: &str, _facts: EnrolFacts) -> Result<EndpointId, EnrolError> {
        if token == "good" { Ok(EndpointId::from_u128(1)) } else { Err(EnrolError::UnknownToken) }
    }

    async fn hello(&self, _endpoint: EndpointId, hello: Hello) -> Result<(), HandlerError> {
        self.0.hellos.lock().unwrap().push(hello);
        Ok(())
    }

    async fn batch(
        &self,
        _endpoint: EndpointId,
        boot: BootId,
        events: Vec<Event>,
    ) -> Result<u64, HandlerError> {
        if self.0.away.load(Ordering::Acquire) {
            return Err(HandlerError::Unavailable("it keeps nothing just now".to_owned()));
        }
        let mut known = self.0.events.lock().unwrap();
        let high = known.iter().filter(|e| e.id.boot == boot).map(|e| e.id.seq).max();
        known.extend(events.into_iter().filter(|e| high.is_none_or(|high| e.id.seq > high)));
        Ok(known.iter().map(|e| e.id.seq).max().unwrap_or(0))
    }

    async fn heartbeat(&self, _: EndpointId, heartbeat: Heartbeat) -> Result<(), HandlerError> {
        self.0.heartbeats.lock().unwrap().push(heartbeat);
        Ok(())
    }

    async fn inventory(&self, _: EndpointId, delta: Delta) -> Result<u64, HandlerError> {
        self.0.inventory.lock().unwrap().extend(delta.set);
        Ok(delta.generation)
    }

    async fn plan_update(&self, _: EndpointId, update: PlanUpdate) -> Result<(), HandlerError> {
        self.0.updates.lock().unwrap().push(update);
        Ok(())
    }

    async fn artifact(
        &self,
        _: EndpointId,
        part: ArtifactPart,
    ) -> Result<ArtifactAnswer, HandlerError> {
        let plan = part.plan();
        let mut artifacts = self.0.artifacts.lock().unwrap();
        let (size, bytes) = artifacts.entry(plan).or_default();
        match part {
            ArtifactPart::Offer(offer) => *size = offer.size,
            ArtifactPart::Chunk { offset, data, .. } if offset == bytes.len() as u64 => {
                bytes.extend_from_slice(&data);
            }
            ArtifactPart::Chunk { .. } => {}
        }
        let offset = bytes.len() as u64;
        let is_whole = offset >= *size;
        Ok(if is_whole {
            ArtifactAnswer::Stored { plan }
        } else {
            ArtifactAnswer::Wanted { plan, offset }
        })
    }

    async fn downstream(&self, _endpoint: EndpointId) -> mpsc::Receiver<Downstream> {
        let (sender, receiver) = mpsc::channel(64);
        for order in self.0.orders.lock().unwrap().iter() {
            sender.try_send(order.clone()).expect("room");
        }
        *self.0.down.lock().unwrap() = Some(sender);
        receiver
    }

    async fn gone(&self, _endpoint: EndpointId) {}
}

/// Dropped in this order: the sensor, then its group, then the server.
pub(crate) struct World {
    pub(crate) sensor: Option<Running>,
    pub(crate) group: Cgroup,
    pub(crate) memory: Arc<Memory>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) address: String,
    pub(crate) fingerprint: String,
    pub(crate) authority: Arc<Authority>,
    _runtime: Runtime,
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let authority = Arc::new(Authority::open(&dir.path().join("ca"))?);
        let memory: Arc<Memory> = Arc::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?.to_string();
        let fingerprint = authority.fingerprint();
        let config =
            ServerConfig { heartbeat: Duration::from_millis(200), ..ServerConfig::default() };
        let handler = Arc::new(Recorder(Arc::clone(&memory)));
        let serving =
            serve(listener, Arc::clone(&authority), handler, config, CancellationToken::new());
        runtime.spawn(async move { serving.await.expect("serves") });
        let group = Cgroup::create("sensor")?;
        Ok(Self {
            sensor: None,
            group,
            memory,
            dir,
            address,
            fingerprint,
            authority,
            _runtime: runtime,
        })
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metsuke-sensor"));
        command.env("RUST_BACKTRACE", "0");
        command
    }

    pub(crate) fn enrol(&self, token: &str) -> Result<std::process::Output> {
        let mut command = Self::command();
        command.env("METSUKE_ENROL_TOKEN", token).args(["enrol", "--server", &self.address]);
        command.args(["--ca-fingerprint", &self.fingerprint, "--state"]).arg(self.state());
        Ok(command.output()?)
    }

    /// Enrols and runs a sensor in the lowest tier, which every machine has.
    pub(crate) fn with_sensor() -> Result<Self> {
        let mut world = Self::start()?;
        let output = world.enrol("good")?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        world.run()?;
        Ok(world)
    }

    /// Runs the sensor and waits until it is welcome.
    pub(crate) fn run(&mut self) -> Result<()> {
        let scope = self.group.path().to_owned();
        self.run_with(&["--scope-cgroup".as_ref(), scope.as_os_str()])
    }

    /// The same for one that watches the whole host and may act nowhere.
    pub(crate) fn run_unscoped(&mut self) -> Result<()> {
        self.run_with(&[])
    }

    /// Runs a scoped sensor in the best tier up to 2, with this configuration.
    pub(crate) fn run_configured(&mut self, config: &str) -> Result<()> {
        let path = self.dir.path().join("config.json");
        std::fs::write(&path, config)?;
        let scope = self.group.path().to_owned();
        let words = ["--max-tier", "2", "--config"].map(OsStr::new);
        let scoped = [path.as_os_str(), "--scope-cgroup".as_ref(), scope.as_os_str()];
        self.start_as("run", &[&words[..], &scoped[..]].concat())
    }

    /// The same with a file system of memory at `place` that only the sensor sees mounted.
    pub(crate) fn run_with_disk(&mut self, place: &Path, config: &str) -> Result<()> {
        let path = self.dir.path().join("config.json");
        std::fs::write(&path, config)?;
        let program = env!("CARGO_BIN_EXE_metsuke-sensor");
        let mut start = small_disk::command(place, 64 << 20, None, program);
        start.args(["run", "--max-tier", "2", "--state"]).arg(self.state());
        start.arg("--config").arg(path).arg("--scope-cgroup").arg(self.group.path());
        self.begin(start)
    }

    fn run_with(&mut self, more: &[&OsStr]) -> Result<()> {
        let mut args: Vec<&OsStr> = vec!["--max-tier".as_ref(), "3".as_ref()];
        args.extend(more);
        self.start_as("run", &args)
    }

    /// Runs `metsuke-sensor COMMAND` with these arguments and waits until it is welcome.
    pub(crate) fn start_as(&mut self, command: &str, more: &[&OsStr]) -> Result<()> {
        self.start_by(Self::command(), command, more)
    }

    /// The same by another name of the program.
    pub(crate) fn start_by(
        &mut self,
        mut start: Command,
        command: &str,
        more: &[&OsStr],
    ) -> Result<()> {
        start.arg(command).arg("--state").arg(self.state()).args(more);
        self.begin(start)
    }

    /// Runs, in the lowest tier and scoped, the sensor that was installed below `root`.
    pub(crate) fn run_installed(&mut self, root: &Path) -> Result<()> {
        let mut start = Command::new(root.join("usr/bin/metsuke-sensor"));
        start.args(["run", "--max-tier", "3", "--scope-cgroup"]).arg(self.group.path());
        start.arg("--state").arg(root.join("var/lib/metsuke"));
        start.arg("--config").arg(root.join("etc/metsuke/sensor.json"));
        self.begin(start)
    }

    fn begin(&mut self, mut start: Command) -> Result<()> {
        let before = self.memory.hellos.lock().unwrap().len();
        let log = self.dir.path().join("sensor.log");
        self.sensor = Some(Running::start("metsuke-sensor", &mut start, &log)?);
        let memory = Arc::clone(&self.memory);
        self.wait("the sensor's hello", || Ok(memory.hellos.lock().unwrap().len() > before))
    }

    /// Waits until the sensor has written its status.
    pub(crate) fn wait_for_status(&mut self) -> Result<()> {
        let file = self.state().join("status.json");
        self.wait("the status", || Ok(file.exists()))
    }

    pub(crate) fn sensor(&mut self) -> &mut Running {
        self.sensor.as_mut().expect("runs")
    }

    pub(crate) fn wait(
        &mut self,
        what: &str,
        mut look: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let sensor = self.sensor.as_mut().expect("runs");
        wait::until_true(what, LIMIT, || {
            sensor.must_run()?;
            look()
        })
        .with_context(|| sensor.log_tail())
    }

    /// Waits until a plan has ended, and says how.
    pub(crate) fn ended(&mut self, plan: PlanId) -> Result<PlanUpdate> {
        let memory = Arc::clone(&self.memory);
        let newest = || memory.newest(plan).filter(|update| update.update.state.is_end());
        self.wait("the plan's end", || Ok(newest().is_some()))?;
        newest().context("it was there")
    }
}

/// A plan that holds for an hour.
pub(crate) fn plan(number: u128, verb: Verb) -> Plan {
    let now = now();
    Plan::new(Draft {
        id: PlanId::from_u128(number),
        verb,
        endpoint: EndpointId::from_u128(1),
        reason: "a test".to_owned(),
        actor: "a tester".to_owned(),
        alert: None,
        created: now,
        expires: now.plus_nanos(3_600_000_000_000),
    })
    .expect("valid")
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_nanos(i64::try_from(since.expect("after 1970").as_nanos()).expect("fits"))
}

pub(crate) fn key(pid: u32) -> ProcessKey {
    let boot = metsuke_enforce::host::boot_id().expect("Linux has one");
    metsuke_enforce::host::Seen::look(pid).expect("runs").key(boot)
}

/// `sleep` in the group, once it is `sleep`.
pub(crate) fn sleeper(world: &World) -> Result<Running> {
    let log = world.dir.path().join("sleeper.log");
    let running = Running::start("sleeper", world.group.command("sleep").arg("600"), &log)?;
    wait::until_true("the sleeper", LIMIT, || {
        Ok(metsuke_enforce::host::cmd_line(running.pid()) == "sleep 600")
    })?;
    Ok(running)
}

/// States a plan went through, in order.
pub(crate) fn states(memory: &Memory, plan: PlanId) -> Vec<State> {
    let updates = memory.updates.lock().unwrap();
    let by_revision: HashMap<u32, State> =
        updates.iter().filter(|u| u.plan == plan).map(|u| (u.revision, u.update.state)).collect();
    let mut revisions: Vec<_> = by_revision.into_iter().collect();
    revisions.sort_unstable_by_key(|(revision, _)| *revision);
    revisions.into_iter().map(|(_, state)| state).collect()
}
