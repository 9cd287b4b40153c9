//! `metsuke-server` as a child process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::api::Api;
use crate::process::Running;
use crate::{binaries, small_disk, wait};

/// How long a server may take to listen, on a busy machine with a log to replay.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long a server may take to drain and flush.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its data folder; must exist.
    pub data: PathBuf,
    /// Address of console and API; port 0 for any.
    pub http: String,
    /// Address of the link; port 0 for any.
    pub link: String,
    /// Bytes of a tmpfs to put the data folder on; `None` for the disk it lies on.
    pub small_disk: Option<u64>,
}

impl ServerOptions {
    /// On free ports, with its data in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            http: "127.0.0.1:0".into(),
            link: "127.0.0.1:0".into(),
            small_disk: None,
        }
    }
}

/// What the server writes when it listens.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// Where the console is.
    pub console_url: String,
    /// Where sensors connect.
    pub link_addr: String,
    /// What sensors pin.
    pub ca_fingerprint: String,
    /// The first administrator, once.
    pub first_admin: Option<FirstAdmin>,
    /// A one-time token for one sensor.
    pub enrolment_token: Option<String>,
    /// A bearer token of an administrator.
    pub api_token: Option<String>,
    /// The server's process.
    pub pid: u32,
}

/// The first administrator's one-time password.
#[derive(Clone, Debug, Deserialize)]
pub struct FirstAdmin {
    /// Name.
    pub user: String,
    /// Password; to be changed at the first sign-in.
    pub password: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    running: Running,
    ready: Ready,
    first_admin: Option<FirstAdmin>,
}

impl Server {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it is not built, ends early, or does not listen in time; its log is in the message.
    pub fn start(mut options: ServerOptions) -> Result<Self> {
        let (running, ready) = launch(&options)?;
        // The same ports after a restart: sensors and bookmarks know them.
        address_of(&ready.console_url).clone_into(&mut options.http);
        options.link.clone_from(&ready.link_addr);
        let first_admin = ready.first_admin.clone();
        Ok(Self { options, running, ready, first_admin })
    }

    /// Starts it again with the same data and ports, after it ended.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> Result<()> {
        (self.running, self.ready) = launch(&self.options)?;
        Ok(())
    }

    /// What it wrote when it began to listen.
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The first administrator, when this server made one.
    pub const fn first_admin(&self) -> Option<&FirstAdmin> {
        self.first_admin.as_ref()
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Its data folder, as it sees it: also on a small disk that only it has mounted.
    pub fn data(&self) -> PathBuf {
        seen(&self.options, self.running.pid())
    }

    /// A client with an administrator's token.
    pub fn api(&self) -> Api {
        Api::new(&self.ready.console_url, self.ready.api_token.as_deref())
    }

    /// A new one-time enrolment token.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn enrolment_token(&self) -> Result<String> {
        let answer =
            self.api().post("/api/v1/enrolment-tokens", &serde_json::json!({ "ttl_s": 600 }))?;
        Ok(answer["token"].as_str().context("an answer without a token")?.to_owned())
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

fn address_of(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

fn seen(options: &ServerOptions, pid: u32) -> PathBuf {
    match options.small_disk {
        Some(_) => small_disk::seen_by(pid, &options.data),
        None => options.data.clone(),
    }
}

fn launch(options: &ServerOptions) -> Result<(Running, Ready)> {
    let binary = binaries::binary("metsuke-server")?;
    let mut command = match options.small_disk {
        Some(bytes) => small_disk::command(&options.data, bytes, None, &binary),
        None => Command::new(&binary),
    };
    command.arg("run").arg("--data").arg(&options.data);
    command.args(["--http", &options.http, "--link", &options.link, "--bootstrap"]);
    let log = options.data.with_extension("log");
    let mut running = Running::start("metsuke-server", &mut command, &log)?;
    let file = seen(options, running.pid()).join("ready.json");
    let pid = running.pid();
    let what = format!("the server to listen; its log is {}", log.display());
    let ready = wait::until(&what, READY_LIMIT, || {
        running.must_run()?;
        Ok(read_ready(&file).filter(|ready| ready.pid == pid))
    })?;
    Ok((running, ready))
}

fn read_ready(file: &Path) -> Option<Ready> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
