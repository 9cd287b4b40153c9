//! Plays the twin, then the intrusion, beside a bystander, and judges what the product says.
//!
//! The twin comes first: detection sees an endpoint's activities in order, so when the intrusion's
//! alerts stand, everything the twin did has been through detection too.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use metsuke_demo::truth::Truth;
use metsuke_testkit::binaries::binary;
use metsuke_testkit::judge::{Caught, Judge};
use metsuke_testkit::process::Running;

use super::Options;
use super::show::plain;
use super::world::World;
use crate::steps;

/// Promise: every expected alert stands in the API this long after the demo's last step.
const ALERT_DEADLINE: Duration = Duration::from_secs(2);
/// How long to look for what is late, so that the verdict can say how late it was.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn play(world: &mut World, options: &Options, stop: &AtomicBool) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(fresh_seed);
    steps::say(&format!("demo with --seed {seed}"));
    let mut bystander = bystander(seed)?;
    let twin = perform(world, "twin", seed)?;
    go_on(stop)?;
    let intrusion = perform(world, "intrusion", seed)?;
    go_on(stop)?;
    let bystander_pid = bystander.pid();
    let judge = Judge::new(world.api(), world.endpoint_id());
    let mut failures: Vec<String> = Vec::new();
    for truth in [&twin, &intrusion] {
        failures.extend(truth.problems.iter().map(|problem| format!("the demo itself: {problem}")));
    }
    match judge.caught(&intrusion, PATIENCE) {
        Ok(caught) => {
            show_alerts(world, &caught);
            failures.extend(alert_failures(&caught));
        }
        Err(error) => failures.push(format!("no alert can be expected: {error:#}")),
    }
    go_on(stop)?;
    match judge.tree_problems(&intrusion, PATIENCE) {
        Ok(problems) if problems.is_empty() => {
            let count = intrusion.processes().count();
            steps::say(&format!(
                "tree: all {count} processes with parent, arguments, user, cwd and hash"
            ));
        }
        Ok(problems) => failures.extend(problems.into_iter().map(|p| format!("tree: {p}"))),
        Err(error) => failures.push(format!("tree: {error:#}")),
    }
    go_on(stop)?;
    failures.extend(twin_failures(&judge, &twin));
    failures.extend(bystander_failures(world, &judge, &intrusion, seed, bystander_pid)?);
    bystander.kill9()?;
    let verdict = verdict(&failures);
    if !failures.is_empty() && world.endpoint["tier"].as_u64().is_none_or(|tier| tier > 2) {
        steps::line(
            "  The sensor is not at tier 2: what it was blind to, listed above, is part of this.",
        );
    }
    Ok(verdict)
}

/// Between two parts: an error when somebody wants this to end.
fn go_on(stop: &AtomicBool) -> Result<()> {
    ensure!(!stop.load(Ordering::Acquire), "the demo was stopped before its end");
    Ok(())
}

fn fresh_seed() -> u64 {
    metsuke_demo::truth::now().as_nanos().unsigned_abs() / 1_000 % 1_000_000
}

/// A process outside the scope, busy while the demo plays.
fn bystander(seed: u64) -> Result<Running> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "while :; do id; sleep 0.2; done", &marker(seed)]);
    let log = std::env::temp_dir().join(format!("metsuke-bystander-{}.log", std::process::id()));
    let running = Running::start("bystander", &mut command, &log)?;
    std::fs::remove_file(log)?;
    Ok(running)
}

fn marker(seed: u64) -> String {
    format!("bystander-{seed}-{}", std::process::id())
}

fn perform(world: &World, scenario: &str, seed: u64) -> Result<Truth> {
    let begun = Instant::now();
    let mut command = Command::new(binary("metsuke-demo")?);
    command.args([scenario, "--seed", &seed.to_string()]);
    let group = world.demo_group.as_ref().map(|group| group.child(scenario)).transpose()?;
    if let Some(group) = &group {
        command.arg("--cgroup").arg(group.path());
    }
    // In a process group of its own: a Ctrl-C stops us, and lets the demo clean up after itself.
    let output = command.process_group(0).output().context("starting metsuke-demo")?;
    let truth: Truth = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("the {scenario} told nothing: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let processes = truth.processes().count();
    steps::say(&format!(
        "{scenario}: {} steps, {processes} processes, {seconds:.1} s",
        truth.steps.len()
    ));
    Ok(truth)
}

fn show_alerts(world: &World, caught: &Caught) {
    steps::line("");
    for alert in &caught.alerts {
        let tactics: Vec<&str> = alert.tactics.iter().map(String::as_str).collect();
        steps::line(&format!(
            "  {:>2} {:<8} {}  ({} highlights: {})",
            alert.score,
            alert.level,
            plain(&alert.title.as_str().into()),
            alert.highlights,
            tactics.join(", ")
        ));
        let console = world.server().ready().console_url.trim_end_matches('/');
        steps::line(&format!("     {console}/alerts/{}", alert.id));
    }
    steps::line("");
    for met in &caught.met {
        let by = met.by.as_deref().unwrap_or("MISSING");
        steps::line(&format!("  {:<20} {}", met.expected.step, plain(&by.into())));
    }
    steps::line("");
}

fn alert_failures(caught: &Caught) -> Vec<String> {
    let mut failures: Vec<String> = caught
        .missing()
        .map(|one| format!("no alert says {} ({})", one.step, one.tactics.join(" or ")))
        .collect();
    if caught.alerts.is_empty() {
        failures.push("no alert on the demo's storyline".to_owned());
    }
    if failures.is_empty() {
        steps::say(&format!(
            "alerts: complete {:.1} s after the last step (promised: {} s)",
            caught.took.as_secs_f64(),
            ALERT_DEADLINE.as_secs()
        ));
        if caught.took > ALERT_DEADLINE {
            failures.push(format!(
                "the alerts came {:.1} s after the last step",
                caught.took.as_secs_f64()
            ));
        }
    }
    failures
}

fn twin_failures(judge: &Judge, twin: &Truth) -> Vec<String> {
    let quiet = match judge.noise(twin, PATIENCE) {
        Ok(quiet) => quiet,
        Err(error) => return vec![format!("twin: {error:#}")],
    };
    let raised = if quiet.noise.is_empty() { "raised nothing" } else { "was not quiet" };
    steps::say(&format!("twin: {raised} ({} hits of low level)", quiet.low));
    quiet.noise.into_iter().map(|one| format!("twin: {one}")).collect()
}

fn bystander_failures(
    world: &World,
    judge: &Judge,
    during: &Truth,
    seed: u64,
    pid: u32,
) -> Result<Vec<String>> {
    if world.scope.is_none() {
        steps::say("bystander: not looked for, for the sensor watches the whole host");
        return Ok(Vec::new());
    }
    let rows = judge.rows_about(during, &marker(seed), pid)?;
    if rows.is_empty() {
        // That it was not seen means something only where something was.
        let own = during.root.pid.unwrap_or(pid);
        let blind = judge.rows_about(during, &marker(seed), own)?.is_empty();
        steps::say(if blind {
            "bystander: nothing can be said of it, for the demo beside it was not seen either"
        } else {
            "bystander: not seen, as it should be"
        });
    }
    Ok(rows.iter().take(3).map(|row| format!("bystander was seen: {row}")).collect())
}

fn verdict(failures: &[String]) -> ExitCode {
    if failures.is_empty() {
        steps::line("DEMO OK");
        return ExitCode::SUCCESS;
    }
    steps::line("DEMO FAILED");
    for failure in failures {
        steps::line(&format!("  - {}", plain(&failure.as_str().into())));
    }
    ExitCode::FAILURE
}
