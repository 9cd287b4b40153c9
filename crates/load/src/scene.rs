//! A server, a sensor and work, put together; and what the server was told, counted.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use metsuke_demo::truth::{Truth, now};
use metsuke_e2e::stage::Stage;
use metsuke_event::{Tally, Timestamp};
use metsuke_testkit::binaries::binary;
use metsuke_testkit::http::escape;
use metsuke_testkit::{Cgroup, Sensor, sensor};
use serde_json::Value;

use crate::account::Told;
use crate::work::{Done, Kind};

/// How long the sensor's spool may take to empty afterwards.
const DRAIN: Duration = Duration::from_secs(1_200);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(500);
/// Around a run, what the clock of an event may differ.
const AROUND_NS: i64 = 2_000_000_000;

/// Everything in place.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) sensor: Sensor,
    pub(crate) group: Cgroup,
    work: PathBuf,
    begun: Timestamp,
}

impl Scene {
    /// Starts server and sensor; the sensor watches a new control group.
    pub(crate) fn new() -> Result<Self> {
        let stage = Stage::new()?;
        let group = Cgroup::create("load")?;
        let sensor = stage.sensor("sensor", &group)?;
        let work = stage.folder("work")?;
        Ok(Self { stage, sensor, group, work, begun: now() })
    }

    /// Starts one worker in the group.
    pub(crate) fn worker(&self, kind: Kind, rate: u64, seconds: u64, name: &str) -> Result<Child> {
        let kind = match kind {
            Kind::Exec => "exec",
            Kind::Files => "files",
            Kind::Mixed => "mixed",
        };
        let mut command = self.group.command(std::env::current_exe()?);
        command.args(["work", kind, "--rate", &rate.to_string()]);
        command.args(["--seconds", &seconds.to_string(), "--folder"]).arg(self.work.join(name));
        command.stdout(Stdio::piped());
        command.spawn().context("cannot start the work")
    }

    /// Waits for a worker and reads its count.
    pub(crate) fn done(child: Child) -> Result<Done> {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("the work failed");
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Plays the harmless intrusion in a group below.
    pub(crate) fn intrusion(&self) -> Result<Truth> {
        let below = self.group.child("intrusion")?;
        let output = Command::new(binary("metsuke-demo")?)
            .args(["intrusion", "--cgroup"])
            .arg(below.path())
            .output()?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What the sensor's status file says of its health.
    pub(crate) fn health(&self) -> Result<Value> {
        let status = sensor::status(self.sensor.options())?;
        let running = &status["status"];
        Ok(running["health"].clone())
    }

    /// Waits until the sensor has handed everything over; gives the seconds it took.
    pub(crate) fn drained(&self) -> Result<f64> {
        let begun = Instant::now();
        let mut quiet = 0;
        while begun.elapsed() < DRAIN {
            let health = self.health()?;
            let waiting = health["spool_events"].as_u64().context("a status without a spool")?;
            quiet = if waiting == 0 { quiet + 1 } else { 0 };
            // The status is written every two seconds: nothing twice over that is nothing.
            if quiet >= 6 {
                return Ok(begun.elapsed().as_secs_f64());
            }
            std::thread::sleep(LOOK);
        }
        bail!("the spool is not empty after {} s", DRAIN.as_secs())
    }

    /// Counts what the server was told since the start.
    pub(crate) fn told(&self, program: &str) -> Result<Told> {
        let folder = self.work.to_string_lossy();
        let of = |query: String| self.count(&query);
        Ok(Told {
            execs: of(format!("class:process.exec AND exe:\"{program}\""))?,
            creates: of(format!("class:file.create AND file.path:{folder}/*/new-*"))?,
            deletes: of(format!("class:file.delete AND file.path:{folder}/*/new-*"))?,
            connects: self.connects()?,
            lost: self.losses()?,
        })
    }

    /// Flows that `network.connect` activities of the work stand for: sums have several.
    fn connects(&self) -> Result<u64> {
        let (from, to) = self.range();
        let query = format!("device.uid:{} AND class:network.connect", self.sensor.endpoint());
        let rows = self.stage.api().search_all(&query, &from, &to)?;
        let own = |row: &&Value| {
            let exe = row["fields"]["process.file.path"].as_str().unwrap_or_default();
            exe.ends_with("/metsuke-load")
        };
        let flows = |row: &Value| match &row["fields"]["traffic.flows"] {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        Ok(rows.iter().filter(own).filter_map(flows).sum())
    }

    /// What the server was told is lost, by kind.
    fn losses(&self) -> Result<Tally> {
        let (from, to) = self.range();
        let query = format!("device.uid:{} AND class:sensor.health", self.sensor.endpoint());
        let mut lost = Tally::default();
        for row in self.stage.api().search_all(&query, &from, &to)? {
            let kinds = row["fields"]["sensor.lost_kinds"].as_str().map(Tally::parse);
            lost.merge(&kinds.unwrap_or_default());
        }
        Ok(lost)
    }

    fn count(&self, query: &str) -> Result<u64> {
        let query = format!("device.uid:{} AND {query}", self.sensor.endpoint());
        let (from, to) = self.range();
        let path = format!(
            "/api/v1/search?q={}&from={}&to={}&limit=1&facets=class",
            escape(&query),
            escape(&from),
            escape(&to)
        );
        let answer = self.stage.api().get(&path)?;
        let values = answer["facets"]["class"].as_array().cloned().unwrap_or_default();
        Ok(values.iter().filter_map(|value| value["count"].as_u64()).sum())
    }

    fn range(&self) -> (String, String) {
        let (from, to) = (self.begun.plus_nanos(-AROUND_NS), now().plus_nanos(AROUND_NS));
        (from.to_string(), to.to_string())
    }
}
