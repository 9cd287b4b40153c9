//! `metsuke-sensor` as a child process.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Running;
use crate::server::Server;
use crate::{Api, binaries, small_disk, wait};

/// How long a sensor may take from its start until the server calls it online.
const ONLINE_LIMIT: Duration = Duration::from_mins(1);
/// How long a sensor may take to drain.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How to start a sensor.
#[derive(Clone, Debug)]
pub struct SensorOptions {
    /// Its state folder; must exist.
    pub state: PathBuf,
    /// The control group it watches and acts on; `None` for the host.
    pub scope: Option<PathBuf>,
    /// The best tier it may use.
    pub max_tier: Option<u8>,
    /// Bytes of a tmpfs to put the state folder on; `None` for the disk it lies on.
    pub small_disk: Option<u64>,
    /// More arguments of `run`.
    pub more: Vec<String>,
}

impl SensorOptions {
    /// With its state in `state`, watching `scope`.
    pub fn new(state: impl Into<PathBuf>, scope: Option<PathBuf>) -> Self {
        Self { state: state.into(), scope, max_tier: None, small_disk: None, more: Vec::new() }
    }
}

/// A running, enrolled sensor.
#[derive(Debug)]
pub struct Sensor {
    options: SensorOptions,
    running: Running,
    endpoint: String,
}

/// Enrols the sensor whose state lies in `options.state`, unless it is enrolled already, and
/// returns its endpoint id.
///
/// # Errors
/// When it is not built, or the server refuses; its words are in the message.
pub fn enrol(server: &Server, options: &SensorOptions, token: &str) -> Result<String> {
    if let Ok(endpoint) = endpoint_of(options) {
        return Ok(endpoint);
    }
    let ready = server.ready();
    let output = Command::new(binaries::binary("metsuke-sensor")?)
        .args(["enrol", "--server", &ready.link_addr])
        // An argument could be read by every user of the host.
        .env("METSUKE_ENROL_TOKEN", token)
        .args(["--ca-fingerprint", &ready.ca_fingerprint, "--state"])
        .arg(&options.state)
        .output()?;
    if !output.status.success() {
        bail!("enrolling: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    endpoint_of(options)
}

/// What `metsuke-sensor status --json` says of the sensor with this state folder.
///
/// # Errors
/// When it is not enrolled, or does not answer with JSON.
pub fn status(options: &SensorOptions) -> Result<Value> {
    let output = Command::new(binaries::binary("metsuke-sensor")?)
        .args(["status", "--json", "--state"])
        .arg(&options.state)
        .output()?;
    if !output.status.success() {
        bail!("sensor status: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("reading the sensor's status")
}

fn endpoint_of(options: &SensorOptions) -> Result<String> {
    let status = status(options)?;
    Ok(status["endpoint"].as_str().context("a status without an endpoint")?.to_owned())
}

impl Sensor {
    /// Enrols and starts a sensor, and waits until the server calls it online.
    ///
    /// # Errors
    /// When it is not built, refused, ends early, or does not come online in time.
    pub fn start(server: &Server, options: SensorOptions) -> Result<Self> {
        let token = server.enrolment_token()?;
        let endpoint = enrol(server, &options, &token)?;
        let running = launch(&options)?;
        let mut sensor = Self { options, running, endpoint };
        sensor.wait_online(&server.api())?;
        Ok(sensor)
    }

    /// Starts an enrolled sensor and waits for nothing: for tests in which it cannot come online.
    ///
    /// # Errors
    /// When it is not built, not enrolled, or cannot be started.
    pub fn unwatched(options: SensorOptions) -> Result<Self> {
        let endpoint = endpoint_of(&options)?;
        let running = launch(&options)?;
        Ok(Self { options, running, endpoint })
    }

    /// Starts it again with the same state, after it ended.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.running = launch(&self.options)?;
        Ok(())
    }

    /// Waits until the server calls it online.
    ///
    /// # Errors
    /// When it ends, or does not come online in time; its log is in the message.
    pub fn wait_online(&mut self, api: &Api) -> Result<Value> {
        let what = format!("sensor {} to be online", self.endpoint);
        let endpoint = self.endpoint.clone();
        let running = &mut self.running;
        let mut ended = None;
        let online = wait::until(&what, ONLINE_LIMIT, || {
            ended = running.ended()?;
            if let Some(status) = ended {
                bail!("{}", running.told(status));
            }
            let Ok(seen) = api.endpoint(&endpoint) else { return Ok(None) };
            // A sensor without any probe has no coverage, and says so as a reason to look after it.
            let reasons = seen["degraded"].as_array().is_some_and(|reasons| !reasons.is_empty());
            let ready = seen["status"] == "online" && (!seen["coverage"].is_null() || reasons);
            Ok(ready.then_some(seen))
        });
        match online {
            // Its log is told already.
            Err(error) if ended.is_some() => Err(error),
            online => online.with_context(|| {
                format!("the sensor's log ends with:\n{}", self.running.log_tail())
            }),
        }
    }

    /// Its endpoint id.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How it was started.
    pub const fn options(&self) -> &SensorOptions {
        &self.options
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Its state folder, as it sees it.
    pub fn state(&self) -> PathBuf {
        match self.options.small_disk {
            Some(_) => small_disk::seen_by(self.running.pid(), &self.options.state),
            None => self.options.state.clone(),
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill9(&mut self) -> Result<()> {
        self.running.kill9()
    }

    /// Asks it to drain and end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.running.stop(STOP_LIMIT)
    }
}

fn launch(options: &SensorOptions) -> Result<Running> {
    let binary = binaries::binary("metsuke-sensor")?;
    let mut command = match options.small_disk {
        Some(bytes) => small_disk::command(&options.state, bytes, Some(&options.state), &binary),
        None => Command::new(&binary),
    };
    command.arg("run").arg("--state").arg(&options.state);
    if let Some(scope) = &options.scope {
        command.arg("--scope-cgroup").arg(scope);
    }
    if let Some(tier) = options.max_tier {
        command.args(["--max-tier", &tier.to_string()]);
    }
    command.args(&options.more);
    Running::start("metsuke-sensor", &mut command, &options.state.with_extension("log"))
}
