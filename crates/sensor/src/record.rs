//! `metsuke-sensor record`: what happens in a scope, written to a file of JSON lines; needs no
//! server and no enrolment.
//!
//! Invariant: sequence numbers begin at 1 and have no gaps; what was lost stands in the file as
//! `sensor.health`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use metsuke_event::{Event, Value, ocsf};
use metsuke_probe::{ProbeConfig, ProbeEnd, SINK_BATCHES, Scope, start};
use serde_json::{Map, Value as Json};

use crate::probe_cmd::tier;

/// How often the file is flushed and the end is looked for.
const BEAT: Duration = Duration::from_millis(200);

/// Form of the lines.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OCSF 1.4 objects.
    Ocsf,
    /// One flat object per activity, by the canonical names of the field table.
    Native,
}

/// Arguments of `metsuke-sensor record`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// The control group (v2) to watch; nothing outside is recorded.
    #[arg(long, value_name = "PATH")]
    pub scope_cgroup: PathBuf,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Form of the lines.
    #[arg(long, value_enum, default_value = "ocsf")]
    pub format: Format,
    /// End after this many seconds; without it, at SIGINT or SIGTERM.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// The best tier to try: 1, 2 or 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub max_tier: Option<u8>,
}

/// Records until told to end.
///
/// # Errors
/// When the scope is none, or the file cannot be made or written.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let name = args.output.display().to_string();
    let file = File::create_new(&args.output)
        .with_context(|| format!("cannot make {name}; name a file that does not exist yet"))?;
    let config = ProbeConfig {
        max_tier: args.max_tier.map(tier),
        ..ProbeConfig::new(Scope::Cgroup(args.scope_cgroup))
    };
    let ends = ends_on_signal()?;
    let (sink, events) = sync_channel(SINK_BATCHES);
    let probe = start(config, sink)?;
    let mut recorder =
        Recorder { output: BufWriter::new(file), format: args.format, seq: 0, events };
    eprintln!("recording to {name} in tier {}", probe.coverage().tier.number());
    let deadline = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let over =
        || ends.has_changed().unwrap_or(true) || deadline.is_some_and(|d| Instant::now() >= d);
    let failed = |error| Err(error).with_context(|| format!("cannot write {name}"));
    while !over() {
        if let Err(error) = recorder.beat() {
            return failed(error);
        }
    }
    // It hands over what it holds as long as somebody reads.
    let stopping =
        std::thread::Builder::new().name("metsuke-stop".to_owned()).spawn(move || probe.stop())?;
    if let Err(error) = recorder.rest() {
        return failed(error);
    }
    let end = stopping.join().unwrap_or(ProbeEnd::ByItself);
    if end == ProbeEnd::ByItself {
        anyhow::bail!("the probe broke down while it stopped; the end of {name} is missing");
    }
    eprintln!("recorded {} activities", recorder.seq);
    Ok(ExitCode::SUCCESS)
}

/// A value that changes at SIGINT or SIGTERM.
fn ends_on_signal() -> anyhow::Result<tokio::sync::watch::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, receiver) = tokio::sync::watch::channel(());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("metsuke-signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
        });
        sender.send_replace(());
    })?;
    Ok(receiver)
}

struct Recorder {
    output: BufWriter<File>,
    format: Format,
    seq: u64,
    events: Receiver<Vec<Event>>,
}

impl Recorder {
    /// Writes what comes within a beat.
    fn beat(&mut self) -> std::io::Result<()> {
        let until = Instant::now() + BEAT;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(batch) => self.write(batch)?,
                Err(RecvTimeoutError::Timeout) => return self.output.flush(),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(std::io::Error::other("the probe ended by itself"));
                }
            }
        }
    }

    /// Writes what still comes, until the probe has ended.
    fn rest(&mut self) -> std::io::Result<()> {
        while let Ok(batch) = self.events.recv() {
            self.write(batch)?;
        }
        self.output.flush()?;
        self.output.get_ref().sync_all()
    }

    fn write(&mut self, batch: Vec<Event>) -> std::io::Result<()> {
        for mut event in batch {
            self.seq += 1;
            event.id.seq = self.seq;
            let line = match self.format {
                Format::Ocsf => ocsf::to_ocsf(&event),
                Format::Native => native(&event),
            };
            serde_json::to_writer(&mut self.output, &line)?;
            self.output.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// One flat object by canonical names.
fn native(event: &Event) -> Json {
    let fields = event.fields().map(|(spec, value)| {
        let value = match value {
            Value::U64(number) => Json::from(number),
            Value::I64(number) => Json::from(number),
            Value::Bool(flag) => Json::from(flag),
            other => Json::from(other.as_ref().to_text()),
        };
        (spec.name.to_owned(), value)
    });
    Json::Object(fields.collect::<Map<_, _>>())
}
