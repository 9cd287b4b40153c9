//! What is wrong with a document or an exception, as an editor shows it.

use std::fmt;

use metsuke_catalog::{DEFAULT_GROUP, ExceptionRecord};
use metsuke_detect::{Document, Overlay, Position, Refused, Site};
use metsuke_event::finding::DetectionRef;

use super::force::{InForce, Shipped, engines, ordered};

/// The path of a document that is only looked at.
const PATH: &str = "this document";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot be put so.
    Error,
    /// It can.
    Warning,
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters it is about.
    pub length: usize,
    /// What to do.
    pub help: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl Fault {
    /// Of a document of this text that was refused.
    pub(super) fn of(refused: &Refused, text: &str) -> Self {
        let reason = refused.reason.to_string();
        let (message, help) = match reason.rsplit_once("; ") {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (reason, None),
        };
        let Position { line, column } = refused.position.unwrap_or(Position { line: 1, column: 1 });
        let length = word(text, line, column);
        Self { severity: Severity::Error, message, line, column, length, help }
    }

    /// Of another document that would be refused because of the one that is put or removed.
    pub(super) fn with(refused: &Refused) -> Self {
        Self::plain(
            Severity::Error,
            format!("then `{}` would be refused: {}", refused.path, refused.reason),
        )
    }

    /// Of the document as a whole.
    pub(super) fn of_whole(message: String) -> Self {
        Self::plain(Severity::Error, message)
    }

    fn plain(severity: Severity, message: String) -> Self {
        Self { severity, message, line: 1, column: 1, length: 1, help: None }
    }
}

/// Characters of the word at this place; at least 1.
fn word(text: &str, line: usize, column: usize) -> usize {
    let is_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '*' | '%' | '.');
    let Some(line) = line.checked_sub(1).and_then(|number| text.lines().nth(number)) else {
        return 1;
    };
    line.chars().skip(column.saturating_sub(1)).take_while(is_word).count().max(1)
}

/// What came of looking at a document.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What is wrong, by place.
    pub faults: Vec<Fault>,
    /// What it would be.
    pub detection: Option<DetectionRef>,
}

/// Judges `text` among the documents in force; one of the site's own with its id is left out.
pub(super) fn check(force: &InForce, shipped: &[Shipped], text: String) -> Checked {
    let candidate = Document { path: PATH.to_owned(), text };
    let (alone, wrong) = metsuke_detect::compile([candidate.clone()]);
    let id = alone.all().map(|meta| meta.detection.id.clone()).next();
    let id = id.or_else(|| wrong.iter().find_map(|refused| refused.id.clone()));
    let others = shipped
        .iter()
        .map(|one| Document { path: one.path.clone(), text: one.text.clone() })
        .chain(
            ordered(force.own_documents())
                .filter(|record| Some(&record.id) != id.as_ref())
                .map(|record| Document { path: record.path.clone(), text: record.text.clone() }),
        );
    let (rules, refused) = metsuke_detect::compile(others.chain([candidate.clone()]));
    let mut faults: Vec<Fault> = Vec::new();
    for refused in &refused {
        if refused.path == PATH {
            faults.push(Fault::of(refused, &candidate.text));
        } else if !force.refused.contains(refused) {
            faults.push(Fault::with(refused));
        }
    }
    let mut found = rules.all().filter(|meta| meta.path == PATH);
    let detection = found.next().map(|meta| meta.detection.clone());
    if found.next().is_some() {
        let why = "it holds several detections; put each in a document of its own";
        faults.push(Fault::plain(Severity::Error, why.to_owned()));
    }
    if detection.as_ref().is_some_and(|one| one.techniques.is_empty() && one.tactics.is_empty()) {
        let why = "it names no ATT&CK technique, so it is missing among the observed techniques";
        let mut fault = Fault::plain(Severity::Warning, why.to_owned());
        fault.help = Some("add `tags: [attack.t1059]` with the technique's id".to_owned());
        faults.push(fault);
    }
    faults.sort_by_key(|fault| (fault.line, fault.column));
    Checked { faults, detection }
}

/// What is wrong with an exception.
pub(super) fn exception(force: &InForce, record: &ExceptionRecord) -> Vec<Fault> {
    let site = Site { exceptions: vec![engines(record)], ..Site::default() };
    let (overlay, refused) = Overlay::compile(site);
    let mut faults: Vec<Fault> =
        refused.iter().map(|refused| Fault::of(refused, &record.condition)).collect();
    for id in &record.detections {
        if force.meta(id).is_none() {
            let why = format!("there is no detection `{id}`");
            faults.push(Fault::plain(Severity::Error, why));
        }
    }
    for name in &record.groups {
        if name != DEFAULT_GROUP && !force.groups.values().any(|known| known == name) {
            faults.push(Fault::plain(Severity::Error, super::change::no_group(name)));
        }
    }
    // By what was compiled: a comment or `null` is text, and no condition.
    if record.detections.is_empty() && overlay.unconditional().next().is_some() {
        let why = "it would hide every hit; name detections or a condition";
        faults.push(Fault::plain(Severity::Error, why.to_owned()));
    }
    faults
}
