//! `./x e2e`: the console in Debian's Chromium, against a real server and sensor with the demo's
//! alerts in them.
//!
//! The browser's part is `console/e2e/`. The product is started here in a temporary folder, the
//! sensor scoped to a control group made for it; where none can be made (no root), the browser
//! meets the recorded answers of the fixture server, and that is said.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metsuke_testkit::{Cgroup, Sensor, SensorOptions, Server, ServerOptions, wait};
use serde_json::json;

use crate::tally::Tally;
use crate::{build, node, place, steps};

/// How long the demo's alerts may take to stand in the API.
const ALERTS: Duration = Duration::from_secs(30);
/// The demo's draw; any will do, one makes the pictures comparable.
const SEED: &str = "7";

/// Runs the command.
pub(crate) fn main() -> Result<ExitCode> {
    build::product()?;
    let tally = browser();
    println!("{}", tally.closing());
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The browser tests, counted.
pub(crate) fn browser() -> Tally {
    let mut tally = Tally::default();
    let chromium = Command::new("chromium").arg("--version").output();
    if !chromium.is_ok_and(|output| output.status.success()) {
        tally.not_run("browser tests", "chromium is not installed (Debian package chromium)");
        return tally;
    }
    if let Err(error) = against_product(&mut tally) {
        eprintln!("x: {error:#}");
        tally.fail("browser tests");
    }
    tally
}

fn against_product(tally: &mut Tally) -> Result<()> {
    node::ensure_modules()?;
    let folder = tempfile::Builder::new().prefix("metsuke-e2e-").tempdir()?;
    let group = match Cgroup::create("e2e") {
        Ok(group) => group,
        Err(error) => {
            tally.not_run("browser tests against a real server", &format!("{error:#}"));
            return play(tally, &[]);
        }
    };
    let (server_data, sensor_data) = (folder.path().join("server"), folder.path().join("sensor"));
    for path in [&server_data, &sensor_data] {
        std::fs::create_dir(path)?;
    }
    steps::say("starting server and sensor for the browser");
    let mut server = Server::start(ServerOptions::new(server_data))?;
    // What a scoped sensor may hand out: the demo's own program is asked for.
    let config = folder.path().join("sensor.json");
    std::fs::write(&config, json!({ "evidence_roots": [place::binaries()] }).to_string())?;
    let mut options = SensorOptions::new(sensor_data, Some(group.path().to_owned()));
    options.more = vec!["--config".to_owned(), config.display().to_string()];
    let mut sensor = Sensor::start(&server, options)?;
    sensor.wait_online(&server.api())?;
    let played = demo(&group).and_then(|()| {
        wait::until_true("the demo's alerts in the API", ALERTS, || {
            Ok(!server.api().all("/api/v1/alerts")?.is_empty())
        })
    });
    let outcome = played.and_then(|()| {
        let ready = server.ready();
        let admin =
            ready.first_admin.as_ref().context("the server names no first administrator")?;
        let url = ready.console_url.clone();
        play(
            tally,
            &[
                ("METSUKE_URL", &url),
                ("METSUKE_USER", &admin.user),
                ("METSUKE_PASSWORD", &admin.password),
                ("METSUKE_CGROUP", &group.path().to_string_lossy()),
                ("METSUKE_EVIDENCE", &place::binaries().to_string_lossy()),
            ],
        )
    });
    sensor.stop()?;
    server.stop()?;
    outcome
}

fn demo(group: &Cgroup) -> Result<()> {
    let inside = group.child("intrusion")?;
    let output = Command::new(place::binaries().join("metsuke-demo"))
        .args(["intrusion", "--seed", SEED, "--cgroup"])
        .arg(inside.path())
        .output()
        .context("cannot start metsuke-demo")?;
    if !output.status.success() {
        bail!("the demo failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Runs the browser's part; its lines are counted as node's test runner prints them.
fn play(tally: &mut Tally, environment: &[(&str, &str)]) -> Result<()> {
    let files = tests()?;
    let mut command = Command::new("node");
    if let Some(path) =
        node::npm()?.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path)
    {
        command.env("PATH", path);
    }
    command
        .args(["--test", "--test-concurrency=1", "--test-reporter=tap"])
        .args(files)
        .envs(environment.iter().copied())
        .env("METSUKE_SHOTS", shots())
        .current_dir(place::root().join("console"));
    let mut counts = Counts::default();
    let (status, log, _) = steps::follow("run the browser tests", &mut command, |line| {
        tally.heard(line);
        counts.heard(line);
        if line.trim_start().starts_with("not ok") {
            eprintln!("{line}");
        }
    })?;
    tally.passed += counts.passed;
    tally.skipped += counts.skipped;
    if counts.failed > 0 || counts.passed == 0 || !status.success() {
        tally.fail(&format!("browser tests (the whole output is in {})", log.display()));
        tally.failed += counts.failed.saturating_sub(1);
    }
    steps::say(&format!("pictures for a person to look at: {}", shots().display()));
    Ok(())
}

fn shots() -> PathBuf {
    place::log("browser").with_extension("shots")
}

fn tests() -> Result<Vec<String>> {
    let mut files: Vec<_> = std::fs::read_dir(place::root().join("console/e2e"))
        .context("console/e2e is missing")?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test.mjs"))
        .map(|name| format!("e2e/{name}"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("console/e2e holds no *.test.mjs");
    }
    Ok(files)
}

/// The closing lines of node's TAP reporter: `# pass 12`, `# fail 0`, `# skipped 1`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    fn heard(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if words.next() != Some("#") {
            return;
        }
        let (name, count) = (words.next(), words.next().and_then(|word| word.parse().ok()));
        match (name, count) {
            (Some("pass"), Some(count)) => self.passed = count,
            (Some("fail" | "cancelled"), Some(count)) => self.failed += count,
            (Some("skipped" | "todo"), Some(count)) => self.skipped += count,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn closing_lines_are_read() {
        let mut counts = Counts::default();
        for line in [
            "ok 1 - sign in",
            "# tests 14",
            "# pass 12",
            "# fail 1",
            "# cancelled 0",
            "# skipped 1",
            "# todo 0",
        ] {
            counts.heard(line);
        }
        assert_eq!(counts, Counts { passed: 12, failed: 1, skipped: 1 });
    }
}
