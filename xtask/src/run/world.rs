//! Server and sensor of one run, and the folders and control groups they live in.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use metsuke_testkit::process::Running;
use metsuke_testkit::{Api, Cgroup, Sensor, SensorOptions, Server, ServerOptions};
use serde_json::Value;

use super::Options;
use crate::steps;

/// Port of console and API when nobody says otherwise; the link takes the next.
const DEFAULT_PORT: u16 = 7680;

/// Everything that runs. Fields are dropped in this order: sensor before server before groups.
#[derive(Debug)]
pub(crate) struct World {
    sensor: Sensor,
    server: Server,
    /// What the sensor says it can see, as the server knows it.
    pub(crate) endpoint: Value,
    /// The control group of the demo; `None` where none can be made.
    pub(crate) demo_group: Option<Cgroup>,
    /// What the sensor watches; `None` for the host.
    pub(crate) scope: Option<PathBuf>,
    /// Where the sensor may act, in its own words: a control group, `host`, or why nowhere.
    pub(crate) enforcement: Option<String>,
    _blind: Option<Cgroup>,
    _temporary: Option<tempfile::TempDir>,
}

impl World {
    /// Starts everything, unless `stop` is set meanwhile.
    ///
    /// # Errors
    /// When something cannot be started; what was is stopped again.
    pub(crate) fn start(options: &Options, stop: &AtomicBool) -> Result<Self> {
        let (data, temporary) = folder(options)?;
        let demo_group = if options.demo { demo_group(options) } else { None };
        let mut scope = options.scope_cgroup.clone();
        if scope.is_none() {
            scope = demo_group.as_ref().map(|group| group.path().to_owned());
        }
        let blind = if options.no_probes { Some(Cgroup::create("nothing")?) } else { None };
        if let Some(blind) = &blind {
            scope = Some(blind.path().to_owned());
        }
        steps::say("starting the server");
        let mut sensor_options = SensorOptions::new(made(data.join("sensor"))?, scope.clone());
        sensor_options.max_tier = options.max_tier;
        let server = Server::start(server_options(options, &data, &sensor_options)?)
            .context("no server; --port chooses other ports, --data another folder")?;
        if stop.load(Ordering::Acquire) {
            bail!("stopped before the sensor was started");
        }
        steps::say("enrolling and starting the sensor");
        let mut sensor = Sensor::start(&server, sensor_options)?;
        let endpoint = sensor.wait_online(&server.api())?;
        let status = metsuke_testkit::sensor::status(sensor.options())?;
        let enforcement = status["status"]["enforcement"].as_str().map(str::to_owned);
        Ok(Self {
            sensor,
            server,
            endpoint,
            demo_group,
            scope,
            enforcement,
            _blind: blind,
            _temporary: temporary,
        })
    }

    pub(crate) fn api(&self) -> Api {
        self.server.api()
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn endpoint_id(&self) -> &str {
        self.sensor.endpoint()
    }

    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.server.process().must_run()?;
        self.sensor.process().must_run()
    }

    /// Stops in order: the sensor drains, then the server flushes, whatever became of the sensor.
    ///
    /// # Errors
    /// When one of them does not end in its time, or ends badly.
    pub(crate) fn stop(mut self) -> Result<()> {
        steps::say("stopping the sensor, which first sends what it still has");
        let sensor = ended(self.sensor.stop(), self.sensor.process());
        steps::say("stopping the server, which first writes what it still has");
        let server = ended(self.server.stop(), self.server.process());
        match (sensor, server) {
            (Err(first), Err(second)) => Err(anyhow::anyhow!("{first:#}; {second:#}")),
            (first, second) => first.and(second),
        }
    }
}

fn ended(outcome: Result<ExitStatus>, process: &Running) -> Result<()> {
    let status = outcome.with_context(|| format!("its log is {}", process.log().display()))?;
    ensure!(status.success(), "{}", process.told(status));
    Ok(())
}

fn folder(options: &Options) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(data) = &options.data {
        let data = std::path::absolute(made(data.clone())?)?;
        return Ok((data, None));
    }
    if options.once {
        let temporary = tempfile::Builder::new().prefix("metsuke-run-").tempdir()?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    }
    let state = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty());
    let base =
        state.map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".local/state")));
    let base = base.context("no home folder is known; give --data DIR")?;
    Ok((made(base.join("metsuke"))?, None))
}

fn made(folder: PathBuf) -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

fn server_options(options: &Options, data: &Path, sensor: &SensorOptions) -> Result<ServerOptions> {
    let mut server = ServerOptions::new(made(data.join("server"))?);
    let port = options.port.or((!options.once).then_some(DEFAULT_PORT));
    if let Some(port) = port {
        server.http = format!("127.0.0.1:{port}");
        if !options.once {
            server.link = format!("127.0.0.1:{}", port.checked_add(1).unwrap_or(0));
        }
    }
    // A sensor that was enrolled in an earlier run looks for its server where it was then, so the
    // link stays there wherever the console moves.
    if let Some(address) = metsuke_testkit::sensor::status(sensor)
        .ok()
        .and_then(|status| Some(status["server"].as_str()?.to_owned()))
    {
        server.link = address;
    }
    Ok(server)
}

/// A group for the demo, within the scope when one was given. Without one the demo still runs,
/// only unscoped, which is said.
fn demo_group(options: &Options) -> Option<Cgroup> {
    let made = match &options.scope_cgroup {
        Some(scope) => Cgroup::create_in(scope, "demo"),
        None => Cgroup::create("demo"),
    };
    match made {
        Ok(group) => Some(group),
        Err(error) => {
            let meaning = match options.scope_cgroup {
                Some(_) => "it runs outside the scope, where the sensor does not look",
                None => "it runs unscoped",
            };
            steps::say(&format!("no control group for the demo, so {meaning}: {error:#}"));
            None
        }
    }
}
