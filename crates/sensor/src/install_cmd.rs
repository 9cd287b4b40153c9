//! `metsuke-sensor install` and `uninstall`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use metsuke_link::Identity;

use crate::enrol_cmd;
use crate::install::{Layout, Manager, Programs, SERVICE};

/// What an uninstalled sensor leaves as its last word, read when it stops.
pub(crate) const LEAVING: &str = "uninstalling";
/// The YARA scanner's file.
pub(crate) const SCANNER: &str = "metsuke-yara";
/// The host's own root; another one is for images and tests, and nothing is started there.
const ROOT: &str = "/";

/// Arguments of `install`.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// The server's link address; enrols this host unless it is enrolled already.
    #[arg(long, value_name = "HOST:PORT", requires_all = ["token_file", "ca_fingerprint"])]
    server: Option<String>,
    /// File with the one-time token, `-` for standard input.
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// SHA-256 of the server's certificate authority, as the server printed it.
    #[arg(long, value_name = "HEX")]
    ca_fingerprint: Option<String>,
    /// Configuration to install; without it the one that is there stays.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Install below this folder and start nothing.
    #[arg(long, value_name = "DIR", default_value = ROOT)]
    root: PathBuf,
    /// Who starts services; found out by default.
    #[arg(long, value_enum)]
    manager: Option<Manager>,
}

/// Arguments of `uninstall`.
#[derive(Debug, clap::Args)]
pub(crate) struct UninstallArgs {
    /// File with the server's leave to uninstall this sensor, `-` for standard input.
    #[arg(long, value_name = "PATH", required_unless_present = "force_offline")]
    token_file: Option<PathBuf>,
    /// Uninstall without the server's leave; its last word to the server says so.
    #[arg(long)]
    force_offline: bool,
    /// Uninstall from below this folder and stop nothing.
    #[arg(long, value_name = "DIR", default_value = ROOT)]
    root: PathBuf,
}

/// Installs, enrols when asked to, and starts.
///
/// # Errors
/// When something cannot be written, the server refuses, or the service does not start.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn install(args: &InstallArgs) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.root)
        .with_context(|| format!("{} cannot be made", args.root.display()))?;
    let layout = Layout::open(&args.root)?;
    let manager = args.manager.unwrap_or_else(|| layout.manager());
    let sensor = std::env::current_exe().context("this program's own path is not known")?;
    let scanner = scanner_beside(&sensor);
    let programs = Programs { sensor: &sensor, scanner: scanner.as_deref() };
    let done = layout.install(programs, args.config.as_deref(), manager)?;
    for line in &done {
        println!("{line}");
    }
    if done.is_empty() {
        println!("everything is in its place already");
    }
    if scanner.is_none() {
        println!(
            "there is no {SCANNER} beside this program: this host cannot be scanned with YARA"
        );
    }
    let state = layout.state().context("the state folder is gone again; install once more")?;
    if !Identity::exists(&state.path()) {
        let (Some(server), Some(token), Some(fingerprint)) =
            (&args.server, &args.token_file, &args.ca_fingerprint)
        else {
            println!(
                "not enrolled, hence not started: give --server, --token-file and --ca-fingerprint"
            );
            return Ok(ExitCode::SUCCESS);
        };
        let identity = enrol_cmd::enrol_with(server, token, fingerprint, &state.path())?;
        println!("enrolled as endpoint {}", identity.endpoint);
    }
    if args.root == Path::new(ROOT) {
        start(manager)?;
        println!("started");
    }
    Ok(ExitCode::SUCCESS)
}

/// The YARA scanner beside the program `sensor`: where the sensor looks for it, too.
pub(crate) fn scanner_beside(sensor: &Path) -> Option<PathBuf> {
    Some(sensor.with_file_name(SCANNER)).filter(|path| path.is_file())
}

fn start(manager: Manager) -> anyhow::Result<()> {
    match manager {
        Manager::Systemd => {
            run(Command::new("systemctl").arg("daemon-reload"))?;
            run(Command::new("systemctl").args(["enable", "--now", SERVICE]))
        }
        Manager::Init => run(Command::new("/etc/init.d/metsuke-sensor").arg("start")),
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = format!("{command:?}");
    let status = command.status().with_context(|| format!("{name} cannot be started"))?;
    anyhow::ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}

/// Stops and removes, with the server's leave or by force.
///
/// # Errors
/// When the leave does not hold, or something cannot be removed.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn uninstall(args: &UninstallArgs) -> anyhow::Result<ExitCode> {
    let layout = Layout::open(&args.root)?;
    let state = layout.state();
    let why = match &args.token_file {
        Some(path) => {
            let state = state.as_ref().context("no sensor is enrolled below this root")?;
            let identity = Identity::load(&state.path())?;
            let token = enrol_cmd::read_token(path)
                .with_context(|| format!("no token can be read from {}", path.display()))?;
            let until = identity.check_uninstall(token.trim())?;
            anyhow::ensure!(now() < until, "the leave to uninstall has expired; ask for another");
            "uninstalled with the server's leave"
        }
        None => "uninstalled by force, without the server's leave",
    };
    if state.is_some() {
        // The running sensor says it as its last word.
        layout.leave_word(LEAVING, why)?;
    }
    if args.root == Path::new(ROOT) {
        let stopped = match layout.manager() {
            Manager::Systemd => run(Command::new("systemctl").args(["disable", "--now", SERVICE])),
            Manager::Init => run(Command::new("/etc/init.d/metsuke-sensor").arg("stop")),
        };
        if let Err(error) = stopped {
            // What does not run need not be stopped; its files are to go all the same.
            println!("{error:#}");
        }
    }
    for line in layout.remove()? {
        println!("{line}");
    }
    println!("{why}");
    Ok(ExitCode::SUCCESS)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
