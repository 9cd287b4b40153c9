//! Readers of others' formats: bytes in, indicators and problems out.
//!
//! Every reader takes an [`Origin`], which says what holds where the document is silent. Invariant:
//! no bytes make a reader panic; its time and memory are bounded by the constants here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use metsuke_event::{Text, Timestamp};

use crate::indicator::{Action, Context, Indicator, Kind, Severity};
use crate::normalise::{Refusal, shown};
use crate::problem::{Problem, Reason, Weight};

mod csv;
mod expression;
mod guess;
mod list;
mod misp;
mod openioc;
mod report;
mod stix;
mod stix_pattern;

pub use csv::read as csv;
pub use guess::guess;
pub use list::read as list;
pub use misp::read as misp;
pub use openioc::read as openioc;
pub use report::{Finding, findings, read as report};
pub use stix::read as stix;

/// Largest document that is read at once: a tree of JSON takes about ten times that in memory.
/// Larger feeds come as lists, which are given piece by piece.
pub const MAX_DOCUMENT_BYTES: usize = 128 << 20;
/// Most indicators of one document; at about 200 bytes each this is 400 MB.
pub const MAX_INDICATORS: usize = 2_000_000;
/// Most problems that are told one by one; the rest is counted in one last line.
pub const MAX_PROBLEMS: usize = 1_000;
/// Most labels of one indicator, and longest label in bytes: feeds put whole sentences there.
pub const MAX_LABELS: (usize, usize) = (64, 256);

/// What holds where a document is silent.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Name of the feed or list.
    pub source: Text,
    /// Name of the document.
    pub document: Option<Text>,
    /// How sure the source is, 0 to 100.
    pub confidence: Option<u8>,
    /// How bad it is.
    pub severity: Severity,
    /// What is to be done.
    pub action: Action,
    /// Who answers for it here.
    pub owner: Option<Text>,
    /// Labels for all of them.
    pub labels: Vec<Text>,
    /// From when on they no longer hold.
    pub expires: Option<Timestamp>,
}

/// The formats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A STIX 2.1 bundle.
    Stix,
    /// MISP events or attributes in JSON.
    Misp,
    /// OpenIOC 1.0 or 1.1.
    OpenIoc,
    /// A table.
    Csv,
    /// One value a line.
    List,
    /// Free text.
    Report,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("stix", Self::Stix),
        ("misp", Self::Misp),
        ("openioc", Self::OpenIoc),
        ("csv", Self::Csv),
        ("list", Self::List),
        ("report", Self::Report),
    ];

    /// What `bytes` look like, from their beginning; `csv` and `list` are told apart by commas.
    pub fn guess(bytes: &[u8]) -> Self {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        let start = head.trim_start_matches('\u{feff}').trim_start();
        if start.starts_with('<') {
            return Self::OpenIoc;
        }
        if start.starts_with('{') || start.starts_with('[') && start.contains('{') {
            let is_stix = ["\"spec_version\"", "\"bundle\"", "\"indicator--"];
            let found = is_stix.iter().any(|sign| start.contains(sign));
            return if found { Self::Stix } else { Self::Misp };
        }
        let mut lines = start.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let first: Vec<_> = lines.by_ref().take(5).collect();
        let all = |test: fn(&&str) -> bool| !first.is_empty() && first.iter().all(test);
        if all(|line| line.contains([',', ';', '\t'])) {
            Self::Csv
        } else if all(|line| line.split_whitespace().count() <= 2) {
            Self::List
        } else {
            Self::Report
        }
    }

    /// Reads `bytes` in this format.
    pub fn read(self, bytes: &[u8], origin: &Origin) -> (Vec<Indicator>, Vec<Problem>) {
        match self {
            Self::Stix => stix(bytes, origin),
            Self::Misp => misp(bytes, origin),
            Self::OpenIoc => openioc(bytes, origin),
            Self::Csv => csv(bytes, origin),
            Self::List => list(bytes, origin),
            Self::Report => report(bytes, origin),
        }
    }
}

/// What one entry of a document says beside its value; what is unset is the origin's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) confidence: Option<u8>,
    pub(crate) severity: Option<Severity>,
    pub(crate) action: Option<Action>,
    pub(crate) labels: Vec<Text>,
    pub(crate) object: Option<Text>,
    pub(crate) first_seen: Option<Timestamp>,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

impl Said {
    pub(crate) fn label(&mut self, label: &str) {
        let label = label.trim();
        let room = self.labels.len() < MAX_LABELS.0;
        if room && !label.is_empty() && !self.labels.iter().any(|known| &**known == label) {
            let end = label.floor_char_boundary(MAX_LABELS.1);
            self.labels.push(label[..end].into());
        }
    }
}

/// Gathers what a reader finds, within the bounds.
pub(crate) struct Gathered<'a> {
    origin: &'a Origin,
    indicators: Vec<Indicator>,
    seen: HashSet<(Kind, Text, Arc<Context>)>,
    problems: Vec<Problem>,
    untold: usize,
    contexts: HashSet<Arc<Context>>,
    more: usize,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(origin: &'a Origin) -> Self {
        Self {
            origin,
            indicators: Vec::new(),
            seen: HashSet::new(),
            problems: Vec::new(),
            untold: 0,
            contexts: HashSet::new(),
            more: 0,
        }
    }

    /// The document, or `None` with a problem when it is too large.
    pub(crate) fn admit<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            let reason = format!(
                "the document has {} bytes, {MAX_DOCUMENT_BYTES} are read; split it",
                bytes.len()
            );
            let values = [bytes.len(), MAX_DOCUMENT_BYTES];
            self.refuse("document", Reason::new("document-too-large", &values, reason));
            return None;
        }
        Some(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
    }

    pub(crate) fn refuse(&mut self, place: impl Into<String>, reason: impl Into<Reason>) {
        self.problem(place.into(), reason.into(), Weight::Refused);
    }

    pub(crate) fn note(&mut self, place: impl Into<String>, reason: impl Into<Reason>) {
        self.problem(place.into(), reason.into(), Weight::Note);
    }

    fn problem(&mut self, place: String, reason: Reason, weight: Weight) {
        if self.problems.len() < MAX_PROBLEMS {
            let Reason { code, values, text } = reason;
            self.problems.push(Problem { place, reason: text, code, values, weight });
        } else {
            self.untold += 1;
        }
    }

    /// Takes `text` as a value of `kind`, or tells why not.
    pub(crate) fn take(&mut self, place: &str, kind: Kind, text: &str, said: &Said) {
        self.took(place, kind.normalise(text).map(|value| (kind, value)), said);
    }

    /// Takes `text` as whatever it looks like, or tells why not.
    pub(crate) fn take_any(&mut self, place: &str, text: &str, said: &Said) {
        self.took(place, guess(text), said);
    }

    pub(crate) fn took(
        &mut self,
        place: &str,
        value: Result<(Kind, String), Refusal>,
        said: &Said,
    ) {
        match value {
            Ok((kind, value)) => self.keep(kind, value.into(), said),
            Err(refusal) => self.refuse(place, refusal),
        }
    }

    fn keep(&mut self, kind: Kind, value: Text, said: &Said) {
        let context = self.context(said);
        if self.indicators.len() >= MAX_INDICATORS {
            self.more += 1;
            return;
        }
        if !self.seen.insert((kind, Text::clone(&value), Arc::clone(&context))) {
            return;
        }
        self.indicators.push(Indicator {
            kind,
            value,
            context,
            object: said.object.clone(),
            first_seen: said.first_seen,
            last_seen: said.last_seen,
            expires: said.expires.or(self.origin.expires),
        });
    }

    fn context(&mut self, said: &Said) -> Arc<Context> {
        let origin = self.origin;
        let mut labels = origin.labels.clone();
        for label in &said.labels {
            if !labels.contains(label) {
                labels.push(Text::clone(label));
            }
        }
        let context = Context {
            source: Text::clone(&origin.source),
            document: origin.document.clone(),
            confidence: said.confidence.or(origin.confidence),
            severity: said.severity.unwrap_or(origin.severity),
            labels,
            action: said.action.unwrap_or(origin.action),
            owner: origin.owner.clone(),
        };
        if let Some(known) = self.contexts.get(&context) {
            return Arc::clone(known);
        }
        let context = Arc::new(context);
        self.contexts.insert(Arc::clone(&context));
        context
    }

    /// How many indicators there are by now.
    pub(crate) fn count(&self) -> usize {
        self.indicators.len()
    }

    pub(crate) fn finish(mut self) -> (Vec<Indicator>, Vec<Problem>) {
        let mut last = |code, values: &[usize], text: String| {
            let Reason { code, values, text } = Reason::new(code, values, text);
            let place = "document".to_owned();
            self.problems.push(Problem {
                place,
                reason: text,
                code,
                values,
                weight: Weight::Refused,
            });
        };
        if self.more > 0 {
            let text = format!(
                "{} more indicators: {MAX_INDICATORS} of one document are kept; split it",
                self.more
            );
            last("more-indicators", &[self.more, MAX_INDICATORS], text);
        }
        if self.untold > 0 {
            let text = format!("{} more problems are not told one by one", self.untold);
            last("more-problems", &[self.untold], text);
        }
        (self.indicators, self.problems)
    }
}

/// Counts of what was left out by reason, told together at the end.
#[derive(Default)]
pub(crate) struct Tally(HashMap<String, usize>);

impl Tally {
    /// Most reasons that are told apart.
    const MOST: usize = 256;

    pub(crate) fn add(&mut self, reason: &str) {
        let reason = if self.0.len() < Self::MOST { shown(reason) } else { "others".to_owned() };
        *self.0.entry(reason).or_default() += 1;
    }

    pub(crate) fn tell(self, gathered: &mut Gathered<'_>, place: &str) {
        let mut reasons: Vec<_> = self.0.into_iter().collect();
        reasons.sort();
        for (reason, count) in reasons {
            gathered.note(place, format!("{count} × {reason}"));
        }
    }
}

/// Times as feeds write them: RFC 3339, `2026-11-22 10:00:00` (UTC), a date, seconds since 1970.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(found) = text.parse() {
        return Some(found);
    }
    if !text.is_ascii() {
        return None;
    }
    if text.len() >= 9 && text.len() <= 11 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Timestamp::from_millis(text.parse::<i64>().ok()?.checked_mul(1000)?));
    }
    let bare = text.trim_end_matches(" UTC").trim_end_matches('Z');
    let whole = match bare.len() {
        10 => format!("{bare}T00:00:00Z"),
        16 => format!("{}T{}:00Z", &bare[..10], &bare[11..]),
        19.. => format!("{}T{}Z", &bare[..10], &bare[11..]),
        _ => return None,
    };
    whole.parse().ok()
}
