//! What is printed of a match.

use std::io::{self, BufWriter, Stdout, Write};

use metsuke_event::Timestamp;
use metsuke_event::finding::{Alert, DetectionRef, Hit, Layer, Matched};
use metsuke_intake::Record;
use serde_json::{Value as Json, json};

use crate::command::detect::entities::entities;
use crate::output::clean;

/// Clauses printed of an alert; its score has more parts than one screen.
const CLAUSES: usize = 24;
/// Characters of a value in a line for people.
const SHOWN: usize = 100;

/// The event that something was found on.
#[derive(Clone, Debug)]
pub(super) struct Found {
    path: String,
    record: u64,
    host: String,
    entities: Json,
}

impl Found {
    pub(super) fn of(path: &str, record: &Record) -> Self {
        let event = &record.event;
        Self {
            path: path.to_owned(),
            record: record.number,
            host: event.host.as_deref().unwrap_or("-").to_owned(),
            entities: entities(event),
        }
    }
}

/// What is said of a match beside its event.
struct Match<'m> {
    detection: &'m DetectionRef,
    time: Timestamp,
    matched: &'m [Matched],
    alert: Option<&'m Alert>,
}

/// Writes matches to standard output.
pub(super) struct Writer {
    out: BufWriter<Stdout>,
    json: bool,
}

impl Writer {
    pub(super) fn new(json: bool) -> Self {
        Self { out: BufWriter::with_capacity(64 * 1024, io::stdout()), json }
    }

    pub(super) fn hit(&mut self, hit: &Hit, found: &Found) -> io::Result<()> {
        let (detection, time) = (&hit.detection, hit.time);
        self.write(&Match { detection, time, matched: &hit.matched, alert: None }, found)
    }

    pub(super) fn alert(&mut self, alert: &Alert, found: &Found) -> io::Result<()> {
        let why = alert.highlights.iter().flat_map(|highlight| &highlight.matched);
        let mut matched: Vec<Matched> = Vec::new();
        for one in why {
            if matched.len() < CLAUSES && !matched.contains(one) {
                matched.push(one.clone());
            }
        }
        let mut found = found.clone();
        // An alert is of a host or storyline; what one of its events touched is not all of it.
        if let Json::Object(entities) = &mut found.entities {
            entities.insert("storyline".to_owned(), json!(alert.storyline));
        }
        let (detection, time) = (&alert.detection, alert.last);
        self.write(&Match { detection, time, matched: &matched, alert: Some(alert) }, &found)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn write(&mut self, one: &Match<'_>, found: &Found) -> io::Result<()> {
        if !self.json {
            return self.line(one, found);
        }
        let Match { detection, time, matched, alert } = one;
        let mut object = json!({
            "rule_id": detection.id,
            "rule_title": detection.title,
            "kind": kind(detection.layer),
            "level": detection.level,
            "techniques": detection.techniques,
            "time": time,
            "source": { "path": found.path, "record": found.record },
            "matched": matched,
            "entities": found.entities,
        });
        if let (Some(alert), Json::Object(object)) = (alert, &mut object) {
            object.insert("score".to_owned(), json!(alert.score));
            object.insert("first".to_owned(), json!(alert.first));
            object.insert("parts".to_owned(), json!(alert.parts));
        }
        serde_json::to_writer(&mut self.out, &object)?;
        self.out.write_all(b"\n")
    }

    fn line(&mut self, one: &Match<'_>, found: &Found) -> io::Result<()> {
        let Match { detection, time, matched, .. } = one;
        let level = json!(detection.level);
        let why: Vec<String> = matched
            .iter()
            .take(2)
            .map(|one| {
                let value: String = one.value.chars().take(SHOWN).collect();
                format!("{}={}", one.field, clean(&value).replace('\n', "\\n"))
            })
            .collect();
        writeln!(
            self.out,
            "{time}  {:<13}  {:<6}  {}  [{}]  {}  {}:{}  {}",
            level.as_str().unwrap_or_default(),
            kind(detection.layer),
            clean(&detection.title),
            detection.techniques.join(","),
            clean(&found.host),
            clean(&found.path),
            found.record,
            why.join("; ")
        )
    }
}

const fn kind(layer: Layer) -> &'static str {
    match layer {
        Layer::Filter => "filter",
        Layer::Rule => "rule",
        Layer::Model => "model",
    }
}
