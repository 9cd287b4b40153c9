//! A replay into a server's history: the recordings are sent in chunks, then the server detects.
//!
//! Every event gets a boot that follows from its file's content and its number in it, so a replay that
//! broke off is run again, and what is there already is passed over.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use metsuke_event::logsource::{KEPT, to_text};
use metsuke_event::{BootId, EndpointId, Text, Timestamp, ValueRef, ecs};
use metsuke_incident::course::Report;
use metsuke_intake::Record;
use metsuke_lineage::Recorded;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::arguments::Arguments;
use crate::arguments::replay::Replay;
use crate::client::Client;
use crate::command::BAD_NEWS;
use crate::command::detect::content::Content;
use crate::command::detect::files::{Files, Sink};
use crate::command::detect::summary::{Clock, Numbers, Summary};
use crate::command::detect::time;
use crate::failure::Failure;

/// Bytes of one chunk, well below what the server takes.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Slices of detection that are waited for: half a minute each, some days.
const MAX_SLICES: usize = 10_000;

pub(super) fn run(
    arguments: &Arguments,
    client: &Client,
    replay: &Replay,
) -> Result<ExitCode, Failure> {
    let json = super::is_json(arguments, replay);
    let span = (time(replay.since.as_deref())?, time(replay.until.as_deref())?);
    let clock = Clock::start();
    let files = Files::below(&replay.input)?;
    let recording = client.post("/api/v1/recordings", &json!({ "name": replay.name }))?;
    let id = recording["id"].as_str().unwrap_or_default().to_owned();
    let mut summary = Summary::of(&Content::none(), clock);
    let mut sender = Sender::new(client, &id, span);
    let outcome = files.read(replay.format.intake(), &mut sender, &mut summary);
    if let Some(failure) = sender.failure.take() {
        return Err(failure);
    }
    outcome?;
    sender.send()?;
    summary.finish(sender.numbers);
    let report = detect(client, &id, replay)?;
    if json {
        summary.tell(json)?;
    } else {
        let known = sender.known;
        writeln!(
            io::stderr(),
            "{} events sent, {known} were there already",
            sender.numbers.events
        )?;
        summary.tell_problems()?;
    }
    super::tell(&report, json)?;
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

/// Has the server detect until it is done.
fn detect(client: &Client, id: &str, replay: &Replay) -> Result<Report, Failure> {
    let query = replay.stop_at.map(|level| format!("?stop_at={}", super::level(level)));
    let path = format!("/api/v1/recordings/{id}/detect{}", query.unwrap_or_default());
    for _ in 0..MAX_SLICES {
        let mut slice = client.post(&path, &Json::Null)?;
        if slice["done"] == true {
            return serde_json::from_value(slice["report"].take())
                .map_err(|error| Failure::Server(format!("its report cannot be read: {error}")));
        }
    }
    Err(Failure::Server("detection does not come to an end".to_owned()))
}

/// Sends records.
struct Sender<'c> {
    client: &'c Client,
    path: String,
    span: (Option<Timestamp>, Option<Timestamp>),
    recorded: Recorded,
    /// Hash of the file that a zip's files are in, so that it is read once.
    outer: Option<(String, [u8; 32])>,
    boot: BootId,
    seq: u64,
    hosts: HashMap<Text, EndpointId>,
    chunk: Vec<u8>,
    numbers: Numbers,
    /// Events that the server had already.
    known: u64,
    /// Why sending failed, where only an I/O error can be given on.
    failure: Option<Failure>,
}

impl<'c> Sender<'c> {
    fn new(client: &'c Client, id: &str, span: (Option<Timestamp>, Option<Timestamp>)) -> Self {
        Self {
            client,
            path: format!("/api/v1/recordings/{id}/events"),
            span,
            recorded: Recorded::default(),
            outer: None,
            boot: BootId::default(),
            seq: 0,
            hosts: HashMap::new(),
            chunk: Vec::with_capacity(CHUNK_BYTES),
            numbers: Numbers::default(),
            known: 0,
            failure: None,
        }
    }

    /// Sends what is held.
    fn send(&mut self) -> Result<(), Failure> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let answer = self.client.post_bytes(&self.path, "application/x-ndjson", &self.chunk)?;
        self.known += answer["known"].as_u64().unwrap_or_default();
        self.chunk.clear();
        Ok(())
    }

    fn endpoint(&mut self, host: &str) -> EndpointId {
        // Of no meaning but to tell hosts apart here; the server gives its own.
        let next = EndpointId::from_u128(self.hosts.len() as u128 + 1);
        let host: Text = host.to_ascii_lowercase().into();
        *self.hosts.entry(host).or_insert(next)
    }
}

impl Sink for Sender<'_> {
    fn begin(&mut self, path: &str) -> io::Result<()> {
        self.seq = 0;
        let (outer, inner) = match path.split_once('!') {
            Some((outer, inner)) if !std::path::Path::new(path).exists() => (outer, inner),
            _ => (path, ""),
        };
        let known = self.outer.as_ref().filter(|(known, _)| known == outer).map(|(_, hash)| *hash);
        let hash = if let Some(hash) = known {
            hash
        } else {
            let mut hash = Sha256::new();
            io::copy(&mut File::open(outer)?, &mut hash)?;
            hash.finalize().into()
        };
        self.outer = Some((outer.to_owned(), hash));
        let whole = Sha256::new().chain_update(hash).chain_update(inner.as_bytes()).finalize();
        let boot = whole.iter().take(16).fold(0_u128, |id, byte| id << 8 | u128::from(*byte));
        self.boot = BootId::from_u128(boot);
        Ok(())
    }

    fn take(&mut self, _path: &str, mut record: Record) -> io::Result<()> {
        // The number counts what is left out, too: another span must not give other numbers.
        self.seq += 1;
        let time = record.event.time;
        if self.span.0.is_some_and(|since| time < since)
            || self.span.1.is_some_and(|until| time >= until)
        {
            self.numbers.outside += 1;
            return Ok(());
        }
        self.numbers.events += 1;
        let event = &mut record.event;
        event.id.endpoint = self.endpoint(event.host.as_deref().unwrap_or_default());
        event.id.boot = self.boot;
        event.id.seq = self.seq;
        self.recorded.identify(event);
        if event.process.storyline.is_none() {
            // Where nothing is known of the process, the host stands for a storyline.
            let host = event.host.as_deref().unwrap_or("unknown");
            let line: Text = format!("host:{host}").into();
            Arc::make_mut(&mut event.process).storyline = Some(line);
        }
        event.unmapped.push(KEPT, ValueRef::Text(&to_text(&record.sources)));
        serde_json::to_writer(&mut self.chunk, &ecs::to_ecs(event))?;
        self.chunk.push(b'\n');
        if self.chunk.len() >= CHUNK_BYTES {
            self.send().map_err(|failure| {
                self.failure = Some(failure);
                io::Error::other("the server did not take it")
            })?;
        }
        Ok(())
    }
}
