//! A server, and what a test needs around it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use metsuke_testkit::binaries::binary;
use metsuke_testkit::{Api, Cgroup, Sensor, SensorOptions, Server, ServerOptions};
use serde_json::Value;

/// A folder and, when it is its turn, a server in it.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub server: Server,
    folder: tempfile::TempDir,
    _turn: File,
}

impl Stage {
    /// Waits for its turn and starts a server on the disk of the temporary folder.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn new() -> Result<Self> {
        Self::with_disk(None)
    }

    /// As [`Stage::new`], with the server's data on a disk of `bytes` of its own.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn with_disk(bytes: Option<u64>) -> Result<Self> {
        Self::start("127.0.0.1:0", bytes)
    }

    /// As [`Stage::new`], with the link at `address`, where another server was before.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn at(address: &str) -> Result<Self> {
        Self::start(address, None)
    }

    fn start(link: &str, bytes: Option<u64>) -> Result<Self> {
        let turn = turn()?;
        let folder = tempfile::Builder::new().prefix("metsuke-e2e-").tempdir()?;
        let data = folder.path().join("server");
        std::fs::create_dir(&data)?;
        let mut options = ServerOptions::new(data);
        options.small_disk = bytes;
        link.clone_into(&mut options.link);
        let server = Server::start(options)?;
        Ok(Self { server, folder, _turn: turn })
    }

    /// A folder of the test, made when needed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// How a sensor called `name` over `scope` would be started.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn sensor_options(&self, name: &str, scope: &Cgroup) -> Result<SensorOptions> {
        Ok(SensorOptions::new(self.folder(name)?, Some(scope.path().to_owned())))
    }

    /// An enrolled, running sensor called `name` over `scope`.
    ///
    /// # Errors
    /// When it does not come online.
    pub fn sensor(&self, name: &str, scope: &Cgroup) -> Result<Sensor> {
        Sensor::start(&self.server, self.sensor_options(name, scope)?)
    }

    /// A client with an administrator's token.
    pub fn api(&self) -> Api {
        self.server.api()
    }

    /// Runs the `metsuke` command line as an administrator.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn metsuke(&self, arguments: &[&str]) -> Result<Output> {
        let ready = self.server.ready();
        Command::new(binary("metsuke")?)
            .args(arguments)
            .env("METSUKE_URL", &ready.console_url)
            .env("METSUKE_TOKEN", ready.api_token.as_deref().unwrap_or_default())
            .env("XDG_CONFIG_HOME", self.folder("config")?)
            .output()
            .context("running metsuke")
    }

    /// Runs `metsuke --json` and reads its answer; the exit code stands beside it.
    ///
    /// # Errors
    /// When it prints no JSON.
    pub fn metsuke_json(&self, arguments: &[&str]) -> Result<(Option<i32>, Value)> {
        let output = self.metsuke(&[&["--json"], arguments].concat())?;
        let answer = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("metsuke {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((output.status.code(), answer))
    }
}

/// Waits until no other test, in this or another program, has a server; the turn ends when the
/// file is closed.
fn turn() -> Result<File> {
    let path = std::env::temp_dir().join("metsuke-e2e.turn");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    file.lock().with_context(|| format!("waiting for {}", path.display()))?;
    Ok(file)
}
