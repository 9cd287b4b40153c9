//! `metsuke-demo`: plays a scenario and prints the truth about it.
//!
//! The program stands on both sides. The far side (loopback server) stays where it was started,
//! outside the watched control group; a child of it joins the group, executes itself anew there,
//! so that its own start is seen, and acts.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use metsuke_demo::listener::FarSide;
use metsuke_demo::scene::{Ports, Scene, Step};
use metsuke_demo::shell::{OperatorShell, Report, resolve};
use metsuke_demo::truth::{ProcessTruth, Scenario, Truth, now};
use metsuke_demo::{intrusion, twin};

/// A harmless intrusion and its benign twin; both print, as JSON, what they did.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Play,
}

#[derive(Debug, Subcommand)]
enum Play {
    /// Twelve steps over eight tactics, against files of its own and a server of its own.
    Intrusion(Options),
    /// The same tools in ordinary use.
    Twin(Options),
    /// The acting half; started by the two above.
    #[command(hide = true)]
    Act(Act),
}

#[derive(Clone, Debug, clap::Args)]
struct Options {
    /// Draws names, ways and the order of independent steps; drawn from the clock if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// A control group (v2) to act in, as a folder of the mounted hierarchy.
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// Where to make the run's own folder; otherwise a temporary folder (intrusion) or the home.
    #[arg(long)]
    place: Option<PathBuf>,
    /// Milliseconds between steps.
    #[arg(long, default_value_t = 20)]
    pace_ms: u64,
}

#[derive(Clone, Debug, clap::Args)]
struct Act {
    #[command(flatten)]
    options: Options,
    #[arg(long)]
    twin: bool,
    #[arg(long)]
    http: u16,
    #[arg(long)]
    shell: u16,
    #[arg(long)]
    joined: bool,
    /// The stage that was laid out.
    #[arg(long)]
    root: PathBuf,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Play::Intrusion(options) => direct(Scenario::Intrusion, &options),
        Play::Twin(options) => direct(Scenario::Twin, &options),
        Play::Act(act) if !act.joined => join(&act),
        Play::Act(act) => perform(&act),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "metsuke-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the far side and the acting half, and completes its truth with what callers reported.
fn direct(scenario: Scenario, options: &Options) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| now().as_nanos().unsigned_abs() % 1_000_000);
    let far = FarSide::start(intrusion::payload())?;
    let scene = Scene::lay_out(scenario, seed, options.place.as_deref())?;
    let mut command = Command::new(std::env::current_exe()?);
    // What a build tool or test runner put into the environment is no part of the scenario.
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "HOME"));
    command.args(["act", "--seed", &seed.to_string()]);
    command.args(["--http", &far.http.port().to_string()]);
    command.args(["--shell", &far.shell.port().to_string()]);
    command.args(["--pace-ms", &options.pace_ms.to_string()]);
    if scenario == Scenario::Twin {
        command.arg("--twin");
    }
    if let Some(cgroup) = &options.cgroup {
        command.arg("--cgroup").arg(cgroup);
    }
    command.arg("--root").arg(&scene.root);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    scene.remove();
    let output = output.context("starting the acting half")?;
    let uploaded = far.uploaded();
    let heard = far.stop();
    if !output.status.success() {
        bail!("the acting half ended with {}", output.status);
    }
    let mut truth: Truth = serde_json::from_slice(&output.stdout).context("reading its truth")?;
    complete(&mut truth, heard);
    if scenario == Scenario::Intrusion && uploaded == 0 {
        truth.problems.push("upload: nothing arrived at the far side".to_owned());
    }
    let complete = truth.problems.is_empty();
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&truth)?)?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn complete(truth: &mut Truth, heard: Report) {
    if truth.scenario == Scenario::Twin {
        return;
    }
    if heard.processes.is_empty() {
        truth.problems.push("reverse-shell: no shell called back".to_owned());
    }
    truth.problems.extend(heard.failures);
    let Some(step) = truth.steps.iter_mut().find(|step| step.name == "reverse-shell") else {
        return;
    };
    for process in heard.processes {
        // The shell that called back may be the very process that was started for it.
        if !step.processes.iter().any(|known| known.pid == process.pid) {
            step.processes.push(process);
        }
    }
}

/// Joins the control group and executes this program anew in it, away from any terminal: the
/// interactive shell that calls back would take the terminal for its own, or be stopped for trying.
fn join(act: &Act) -> Result<ExitCode> {
    rustix::process::setsid().context("leaving the terminal")?;
    if let Some(cgroup) = &act.options.cgroup {
        let file = cgroup.join("cgroup.procs");
        std::fs::write(&file, "0")
            .with_context(|| format!("joining the control group through {}", file.display()))?;
    }
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    arguments.push("--joined".into());
    let error = Command::new(std::env::current_exe()?).args(arguments).exec();
    Err(error).context("executing the acting half")
}

fn perform(act: &Act) -> Result<ExitCode> {
    let seed = act.options.seed.context("the acting half needs a seed")?;
    let scenario = if act.twin { Scenario::Twin } else { Scenario::Intrusion };
    let (scene, choices) = Scene::at(act.root.clone(), scenario, seed);
    let ports = Ports { http: act.http, shell: act.shell };
    let steps = match scenario {
        Scenario::Intrusion => intrusion::steps(&scene, ports, choices),
        Scenario::Twin => twin::steps(&scene, ports, choices),
    };
    let mut shell = OperatorShell::start(&scene.work, &scene.home)?;
    let mut truth = Truth {
        scenario,
        seed,
        uid: user_id()?,
        cgroup: act.options.cgroup.as_ref().map(|path| path.display().to_string()),
        root: itself()?,
        started: now(),
        ended: now(),
        steps: Vec::new(),
        expected: steps.iter().filter(|s| !s.tactics.is_empty()).map(Step::expectation).collect(),
        problems: Vec::new(),
    };
    for step in &steps {
        let started = now();
        let report = shell.run(&step.script).with_context(|| format!("step {}", step.name))?;
        truth.problems.extend(report.failures.iter().map(|f| format!("{}: {f}", step.name)));
        truth.steps.push(step.truth(started, report.processes));
        std::thread::sleep(Duration::from_millis(act.options.pace_ms));
    }
    if let Some(first) = truth.steps.first_mut() {
        first.processes.insert(0, shell.truth.clone());
    }
    truth.ended = truth.steps.last().map_or(truth.started, |step| step.ended);
    shell.close()?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&truth)?)?;
    Ok(ExitCode::SUCCESS)
}

fn itself() -> Result<ProcessTruth> {
    let exe = std::env::current_exe()?;
    Ok(ProcessTruth {
        pid: Some(std::process::id()),
        parent_pid: std::os::unix::process::parent_id(),
        argv: std::env::args().collect(),
        cwd: std::env::current_dir()?.display().to_string(),
        exe: resolve(&exe.to_string_lossy(), ""),
    })
}

fn user_id() -> Result<u32> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata("/proc/self").context("reading /proc/self")?.uid())
}
