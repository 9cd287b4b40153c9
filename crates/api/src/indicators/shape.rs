//! The shapes of indicators: what is sent. What is asked stands in `asked`.

use std::collections::BTreeMap;

use metsuke_catalog as catalog;
use metsuke_event::Timestamp;
use metsuke_intel::problem::Weight;
use metsuke_intel::{Action, Problem as Said};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::hosts::Hosts;
use crate::shape::{Level, Time};

/// The list an indicator stands on: what is to be done when it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IndicatorList {
    /// Told, and stopped where the policy's mode is block.
    Block,
    /// Known good: wins over everything else.
    Allow,
    /// Told.
    Watch,
}

impl From<Action> for IndicatorList {
    fn from(action: Action) -> Self {
        match action {
            Action::Block => Self::Block,
            Action::Allow => Self::Allow,
            Action::Alert => Self::Watch,
        }
    }
}

impl From<IndicatorList> for Action {
    fn from(list: IndicatorList) -> Self {
        match list {
            IndicatorList::Block => Self::Block,
            IndicatorList::Allow => Self::Allow,
            IndicatorList::Watch => Self::Alert,
        }
    }
}

/// One indicator: what one source says of one value.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Indicator {
    /// Its identity.
    pub id: String,
    /// `sha256`, `sha1`, `md5`, `ipv4`, `ipv6`, `cidr`, `domain`, `url`, `path`, `ja3`, `ja4`,
    /// `certificate`, `name` or `email`.
    pub kind: String,
    /// The value, in its canonical form.
    pub value: String,
    /// The list it stands on.
    pub list: IndicatorList,
    /// Who says so.
    pub source: String,
    /// How sure the source is, 0 to 100; null when it does not say.
    pub confidence: Option<u8>,
    /// How bad it is.
    pub severity: Level,
    /// When it first came.
    pub created: Time,
    /// When it last came or was changed.
    pub updated: Time,
    /// From when on it no longer holds; null: until it is taken away.
    pub expires: Option<Time>,
    /// It no longer holds.
    pub expired: bool,
    /// Words the source put to it.
    pub labels: Vec<String>,
    /// What people here wrote to it.
    pub note: Option<String>,
    /// Sightings stored.
    pub sightings: u64,
    /// When it was last seen.
    pub last_sighted: Option<Time>,
}

impl Indicator {
    pub(super) fn new(record: catalog::IndicatorRecord, now: Timestamp) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.name().to_owned(),
            list: record.action.into(),
            confidence: record.confidence,
            severity: level(record.severity),
            created: record.created.into(),
            updated: record.updated.into(),
            expires: record.expires.map(Time),
            expired: record.is_expired(now),
            labels: record.labels.iter().map(ToString::to_string).collect(),
            sightings: record.sightings,
            last_sighted: record.last_sighted.map(Time),
            value: record.value,
            source: record.source,
            note: record.note,
        }
    }
}

fn level(severity: metsuke_intel::Severity) -> Level {
    use metsuke_intel::Severity;
    match severity {
        Severity::Informational => Level::Informational,
        Severity::Low => Level::Low,
        Severity::Medium => Level::Medium,
        Severity::High => Level::High,
        Severity::Critical => Level::Critical,
    }
}

/// Where an indicator comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Provenance {
    /// Who says so.
    pub source: String,
    /// The document it stood in; null when it was entered by hand.
    pub document: Option<String>,
    /// Where in the document.
    pub place: Option<String>,
    /// When it was taken in.
    pub imported: Time,
    /// By whom.
    pub actor: String,
}

/// The activity of a sighting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SightingEvent {
    /// Identity of the activity.
    pub id: String,
    /// The process that acted.
    pub process: Option<String>,
}

/// Where and when an indicator was met; those of one value, endpoint and hour are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Sighting {
    /// Its identity.
    pub id: String,
    /// The indicator, also when it has been removed since.
    pub indicator: String,
    /// The indicator's kind.
    pub kind: String,
    /// The indicator's value: the value seen, or the domain or network it lies in.
    pub indicator_value: String,
    /// Who says so.
    pub source: String,
    /// The list it stood on then.
    pub list: IndicatorList,
    /// When first within the hour. Of a file of an inventory: when the server first heard of it.
    pub time: Time,
    /// When last within the hour.
    pub last: Time,
    /// How often.
    pub count: u64,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// The field the value stood in.
    pub field: String,
    /// The value that was seen.
    pub value: String,
    /// The first activity; null for a file of an inventory.
    pub event: Option<SightingEvent>,
    /// The file, for one of an inventory.
    pub path: Option<String>,
    /// `stream` (as it came), `history` (it had come before the indicator) or `inventory` (a file on a
    /// host; it need not have run).
    #[serde(rename = "where")]
    pub place: String,
}

impl Sighting {
    pub(super) fn new(record: catalog::SightingRecord, hosts: &Hosts) -> Self {
        let (event, path) = match record.event {
            Some(event) => {
                (Some(SightingEvent { id: event.to_string(), process: record.process }), None)
            }
            None => (None, record.process),
        };
        Self {
            id: record.id.to_string(),
            indicator: record.indicator.to_string(),
            kind: record.kind.name().to_owned(),
            indicator_value: record.value,
            source: record.source,
            list: record.action.into(),
            time: record.first.into(),
            last: record.last.into(),
            count: record.count,
            endpoint: record.endpoint.to_string(),
            host: hosts.of(record.endpoint),
            field: record.field,
            value: record.seen,
            event,
            path,
            place: record.place.name().to_owned(),
        }
    }
}

/// Where an indicator was met first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EarliestSeen {
    /// When.
    pub time: Time,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// `stream`, `history` or `inventory`.
    #[serde(rename = "where")]
    pub place: String,
}

/// One indicator with where it comes from and where it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IndicatorDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub indicator: Indicator,
    /// What every source said of the value, oldest first.
    pub provenance: Vec<Provenance>,
    /// The newest sightings; at most 100.
    pub sighted: Vec<Sighting>,
    /// When and where it was met first, of all sightings there ever were.
    pub earliest_seen: Option<EarliestSeen>,
}

/// A page of indicators.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IndicatorPage {
    /// Newest first.
    pub items: Vec<Indicator>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// A page of sightings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SightingPage {
    /// Newest first.
    pub items: Vec<Sighting>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// A source of indicators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndicatorSource {
    /// Its name.
    pub source: String,
    /// Its indicators.
    pub count: u64,
    /// Those that hold.
    pub active: u64,
    /// Sightings of them that are stored.
    pub sightings: u64,
    /// When something last came from it.
    pub last_import: Option<Time>,
}

/// Every source of indicators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndicatorSourceList {
    /// By name.
    pub items: Vec<IndicatorSource>,
}

/// Something a reader left out or decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentProblem {
    /// Where: a line, an object's id, a column.
    pub place: String,
    /// What, and what could be done.
    pub reason: String,
    /// What, as a name that does not change: `form`, `too-wide`, `too-long`, `unknown`,
    /// `document-too-large`, `no-json`, `nothing-found`, `caution`, `more-indicators`, `more-problems`,
    /// `other`.
    pub code: String,
    /// What the code speaks of, in its order.
    pub values: Vec<String>,
}

/// Problems of one weight.
pub(super) fn problems(all: &[Said], weight: Weight) -> Vec<DocumentProblem> {
    let some = all.iter().filter(|one| one.weight == weight);
    some.map(|one| DocumentProblem {
        place: one.place.clone(),
        reason: one.reason.clone(),
        code: one.code.to_owned(),
        values: one.values.clone(),
    })
    .collect()
}

/// A value of a document that people should look at twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndicatorConflict {
    /// The value.
    pub value: String,
    /// Its kind.
    pub kind: String,
    /// Why.
    pub why: String,
    /// Why, as a name that does not change: `known-good`, `believed-bad`, `caution`, `other`.
    pub code: String,
    /// Who says otherwise, or what to be careful of.
    pub by: Option<String>,
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndicatorSample {
    /// Its kind.
    pub kind: String,
    /// Its canonical form.
    pub value: String,
    /// How it stands in the document, where it is defanged there.
    pub defanged_from: Option<String>,
}

/// What a document would bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndicatorPreview {
    /// How it was read: `stix`, `misp`, `openioc`, `csv`, `list` or `report`.
    pub format: String,
    /// Indicators by kind.
    pub counts: BTreeMap<String, u64>,
    /// Indicators.
    pub total: u64,
    /// Those nobody speaks of yet.
    pub new: u64,
    /// Those somebody speaks of.
    pub known: u64,
    /// Those that are known good here: they will not be told.
    pub allowed: u64,
    /// Values to look at twice; at most 200.
    pub conflicts: Vec<IndicatorConflict>,
    /// What would be left out.
    pub refused: Vec<DocumentProblem>,
    /// What the reader decided.
    pub notes: Vec<DocumentProblem>,
    /// The first values; at most 50.
    pub sample: Vec<IndicatorSample>,
}

/// The look back that an import began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetroRef {
    /// Its identity.
    pub id: String,
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IndicatorImport {
    /// Indicators that were new.
    pub imported: u64,
    /// Indicators that were known; what the document says of them now holds.
    pub known: u64,
    /// What was left out.
    pub refused: Vec<DocumentProblem>,
    /// The look through inventories and history.
    pub retro: RetroRef,
}

/// How far a look back is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetroState {
    /// It goes on.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

/// A look through inventories and history for what an import brought.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Retro {
    /// Its identity.
    pub id: String,
    /// How far it is.
    pub state: RetroState,
    /// How much is done, 0 to 1.
    pub progress: f64,
    /// From when on activities are looked at; null while there are none.
    pub looked_from: Option<Time>,
    /// Until when.
    pub looked_to: Option<Time>,
    /// Sightings found.
    pub sightings: u64,
    /// On how many hosts.
    pub hosts: u64,
    /// Why the answer is not whole; null when it is.
    pub incomplete: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl From<catalog::ImportRecord> for Retro {
    fn from(record: catalog::ImportRecord) -> Self {
        use catalog::ImportState;
        let look = record.look;
        Self {
            id: record.id.to_string(),
            state: match record.state {
                ImportState::Taking | ImportState::Looking => RetroState::Running,
                ImportState::Done => RetroState::Done,
                ImportState::Failed => RetroState::Failed,
            },
            progress: f64::from(look.progress) / 1_000.0,
            looked_from: look.from.map(Time),
            looked_to: look.to.map(Time),
            sightings: look.sightings,
            hosts: look.hosts,
            incomplete: look.incomplete,
            error: record.error,
        }
    }
}
