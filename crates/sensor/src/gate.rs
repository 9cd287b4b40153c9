//! The gate in the sensor: a holder that is this program once more, its keeper, and what they tell.
//!
//! Invariant: there is a gate only where a list denies, on mounts that the configuration names.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::Context;
use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::{Decision, DenyList};
use metsuke_enforce::gate::{self, GateSpec, Keeper, KeeperConfig, News, OwnProcess, Passed};
use metsuke_event::coverage::{HookTrial, Outcome, Tier};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::{denials, own};

/// News that wait to be told at most; a look takes them every 50 ms.
const NEWS_MAX: usize = 1_024;
/// Longest that a process may be made to wait, in milliseconds: far below what ends a holder.
const WAIT_MAX_MS: u64 = 5_000;
/// The program that runs, also when another lies where it was by now.
const OWN: &str = "/proc/self/exe";

/// What the configuration says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Mount points whose files are looked at before they are executed or opened.
    pub(crate) mounts: Vec<PathBuf>,
    /// How long one may be made to wait, in milliseconds; then it is allowed.
    pub(crate) wait_ms: Option<u64>,
}

/// Arguments of the holder, which the sensor starts itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sensor's configuration.
    #[arg(long)]
    config: PathBuf,
    /// The sensor's state.
    #[arg(long)]
    state: PathBuf,
    /// The control group it acts in; the whole host without one.
    #[arg(long)]
    scope_cgroup: Option<PathBuf>,
    /// The sensor, and its guard: PID:START.
    #[arg(long)]
    own: Vec<OwnProcess>,
    /// What the sensor read in its configuration (see [`mark`]).
    #[arg(long)]
    mark: String,
}

/// Tells one configured gate, with its list, from another.
fn mark(list: &DenyList, settings: &Settings) -> String {
    format!("{:x}", Sha256::digest(format!("{list:?} {settings:?}")))
}

/// Holds the gate until the sensor ends.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    crate::log_to_stderr();
    let channel = io::stdin();
    match spec(args) {
        Ok(spec) => gate::holder(spec, channel.as_fd())?,
        Err(error) => {
            gate::refuse(&format!("{error:#}"), channel.as_fd())?;
            return Err(error);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn spec(args: &Args) -> anyhow::Result<GateSpec> {
    let config = Config::load(Some(&args.config))?;
    let list = denials::list(&config.deny)?;
    anyhow::ensure!(
        mark(&list, &config.gate) == args.mark,
        "`deny` or `gate` of the configuration are not those that the sensor began with; restart it"
    );
    let scope =
        args.scope_cgroup.as_deref().map_or(Ok(EnforceScope::Host), EnforceScope::cgroup)?;
    let program = own::program().context("this program's own path is not known")?;
    let wait = config.gate.wait_ms.map(|wait| Duration::from_millis(wait.min(WAIT_MAX_MS)));
    Ok(GateSpec {
        list,
        mounts: config.gate.mounts,
        private: vec![program, OWN.into(), args.state.clone(), args.config.clone()],
        scope,
        own: args.own.clone(),
        wait: wait.unwrap_or(gate::WAIT),
    })
}

/// What is needed to start a gate.
pub(crate) struct Plan {
    pub(crate) config: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) state: PathBuf,
    pub(crate) scope: EnforceScope,
    pub(crate) guard: Option<u32>,
}

/// A gate, and what it tells.
pub(crate) struct Gate {
    _keeper: Keeper,
    news: Receiver<News>,
    untold: Arc<AtomicU64>,
    passed: Passed,
    earlier: u64,
}

/// What is to be said of it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) decisions: Vec<Decision>,
    /// How it ended, and why.
    pub(crate) ended: Option<(&'static str, String)>,
}

impl Gate {
    /// Starts the keeper, which starts the holder.
    ///
    /// # Errors
    /// When this program's path is not known, or no thread can be started.
    pub(crate) fn start(plan: &Plan, list: DenyList) -> anyhow::Result<Self> {
        let program = own::program().context("this program's own path is not known")?;
        let mut words =
            vec!["gate".into(), "--config".into(), plan.config.clone().into_os_string()];
        words.extend(["--state".into(), plan.state.clone().into_os_string()]);
        if let Some(folder) = plan.scope.directory() {
            words.extend(["--scope-cgroup".into(), folder.as_os_str().to_owned()]);
        }
        let own = [Some(std::process::id()), plan.guard].into_iter().flatten();
        for own in own.filter_map(OwnProcess::look) {
            words.extend(["--own".into(), own.to_string().into()]);
        }
        words.extend(["--mark".into(), mark(&list, &plan.settings).into()]);
        let command = move || {
            // Not what lies at its path by now: both must be the same program.
            let mut command = Command::new(OWN);
            command.arg0(&program).args(&words).stdout(std::process::Stdio::null());
            command
        };
        let (sender, news) = sync_channel(NEWS_MAX);
        let untold = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&untold);
        let tell = move |one| {
            if sender.try_send(one).is_err() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let keeper = Keeper::start(KeeperConfig::new(command, list, tell))
            .context("the keeper of the gate cannot be started")?;
        let passed = Passed::default();
        Ok(Self { _keeper: keeper, news, untold, passed, earlier: 0 })
    }

    /// Takes what was told.
    pub(crate) fn heard(&mut self) -> Heard {
        let mut heard = Heard::default();
        for one in self.news.try_iter().take(NEWS_MAX) {
            match one {
                News::Met(decision) => heard.decisions.push(*decision),
                News::Holds(mounts) => tracing::info!(mounts, "the gate holds"),
                News::Passed(passed) => self.passed = passed,
                News::Ended(code, why) => {
                    // The next one counts from nothing.
                    self.earlier += std::mem::take(&mut self.passed).untold;
                    heard.ended = Some((code, why));
                }
            }
        }
        heard
    }

    /// Decisions that were carried out and not told, since the start.
    pub(crate) fn untold(&self) -> u64 {
        self.earlier + self.passed.untold + self.untold.load(Ordering::Relaxed)
    }

    /// What was let pass without being looked at.
    pub(crate) const fn passed(&self) -> Passed {
        self.passed
    }
}

/// Whether the kernel asks before executions; for the report of what can be done here.
pub(crate) fn trial() -> HookTrial {
    let outcome = match gate::trial() {
        Ok(()) => Outcome::Works,
        Err(error) => Outcome::Refused {
            reason: format!(
                "{error}; run as root, on a kernel with CONFIG_FANOTIFY_ACCESS_PERMISSIONS"
            ),
        },
    };
    HookTrial {
        tier: Tier::Interfaces,
        hook: "fanotify/open_exec_perm".to_owned(),
        purpose: "look at unseen copies before they are executed, on mounts that are named"
            .to_owned(),
        outcome,
    }
}
