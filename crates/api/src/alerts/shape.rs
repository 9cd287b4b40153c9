//! What an alert looks like from outside.

use std::collections::BTreeMap;

use metsuke_catalog::{AlertRecord, HistoryEntry, Incidents};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::shape::{
    EventRow, FacetValue, Highlight, Level, Loss, Matched, ProcessRef, ScorePart, Time,
};

/// Where an alert stands in triage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// Nobody looked yet.
    New,
    /// Somebody is at it.
    InProgress,
    /// Done.
    Closed,
}

/// What it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertFinding {
    /// A real attack.
    TruePositive,
    /// It happened as described, and was allowed.
    Benign,
    /// The detection was wrong.
    FalsePositive,
}

/// What the list and the page of an alert have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertCore {
    /// Identity.
    pub id: String,
    /// Title of the model.
    pub title: String,
    /// The model's id.
    pub detection_id: String,
    /// 0 to 99.
    pub score: u8,
    /// Level.
    pub level: Level,
    /// Where it stands.
    pub status: AlertStatus,
    /// What it turned out to be; null while open.
    pub finding: Option<AlertFinding>,
    /// Who is at it.
    pub assignee: Option<String>,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// User, where known.
    pub user: Option<String>,
    /// ATT&CK techniques of all steps.
    pub techniques: Vec<String>,
    /// ATT&CK tactics of all steps.
    pub tactics: Vec<String>,
    /// Time of the first step.
    pub first: Time,
    /// Time of the last step.
    pub last: Time,
    /// When it was first raised.
    pub created: Time,
    /// Identity of the storyline's root process.
    pub storyline: String,
    /// Version of what was detected; grows while the storyline goes on.
    pub revision: u32,
    /// Version of the triage state, for `expected_version`.
    pub version: u32,
    /// The process that matters most.
    pub process: Option<ProcessRef>,
    /// The incident it belongs to; null when it is too old to be put into one.
    pub incident: Option<String>,
}

/// One alert in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertSummary {
    /// What it is.
    #[serde(flatten)]
    pub core: AlertCore,
    /// How many steps.
    pub highlights: u32,
}

/// One entry of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertHistory {
    /// When.
    pub time: Time,
    /// Who; `server` for the server itself.
    pub actor: String,
    /// What, for people.
    pub what: String,
}

/// One alert, explained.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Alert {
    /// What it is.
    #[serde(flatten)]
    pub core: AlertCore,
    /// Names of its techniques by ATT&CK id, of those that have one here.
    pub technique_names: BTreeMap<String, String>,
    /// What the score is made of.
    pub parts: Vec<ScorePart>,
    /// The steps, by time.
    pub highlights: Vec<Highlight>,
    /// The detection's page, as markdown.
    pub page: String,
    /// What was lost on this endpoint around the alert.
    pub loss: Vec<Loss>,
    /// Who did what with it.
    pub history: Vec<AlertHistory>,
}

/// Facets over the filtered alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertFacets {
    /// By status.
    pub status: Vec<FacetValue>,
    /// By level.
    pub level: Vec<FacetValue>,
    /// By host.
    pub host: Vec<FacetValue>,
    /// By tactic.
    pub tactic: Vec<FacetValue>,
    /// By detection id.
    pub detection: Vec<FacetValue>,
    /// By assignee; the empty value stands for nobody.
    pub assignee: Vec<FacetValue>,
}

/// A page of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertPage {
    /// The alerts.
    pub items: Vec<AlertSummary>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many match.
    pub total: u64,
    /// Facets over all that match.
    pub facets: AlertFacets,
}

/// What to list. Lists are comma-separated.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// `new`, `in_progress`, `closed`, or several.
    pub status: Option<String>,
    /// Levels.
    pub level: Option<String>,
    /// Endpoint id.
    pub endpoint: Option<String>,
    /// Host name.
    pub host: Option<String>,
    /// ATT&CK technique; a technique includes its sub-techniques.
    pub technique: Option<String>,
    /// ATT&CK tactic.
    pub tactic: Option<String>,
    /// Detection id.
    pub detection: Option<String>,
    /// Account; `none` for unassigned, `me` for the own.
    pub assignee: Option<String>,
    /// Words that title, host, user or process must hold.
    pub q: Option<String>,
    /// Lowest score.
    pub min_score: Option<u8>,
    /// `score` (default), `created`, `last`.
    pub sort: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 50 by default.
    pub limit: Option<u32>,
}

/// A change in triage. What is left out stays as it is; an empty text clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct AlertPatch {
    /// New status.
    pub status: Option<AlertStatus>,
    /// New finding: `true_positive`, `benign`, `false_positive`, or empty to clear.
    pub finding: Option<String>,
    /// New assignee: an account, `me`, or empty to clear.
    pub assignee: Option<String>,
    /// A note for the history.
    pub note: Option<String>,
    /// The `version` the change is based on.
    pub expected_version: u32,
}

/// Activities around an alert, by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Timeline {
    /// The activities.
    pub items: Vec<EventRow>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// What was lost meanwhile.
    pub loss: Vec<Loss>,
    /// Whether the storyline holds more than the pages together: search finds the rest.
    pub truncated: bool,
}

/// Where to go on in a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many.
    pub limit: Option<u32>,
}

impl From<metsuke_catalog::Status> for AlertStatus {
    fn from(status: metsuke_catalog::Status) -> Self {
        match status {
            metsuke_catalog::Status::New => Self::New,
            metsuke_catalog::Status::InProgress => Self::InProgress,
            metsuke_catalog::Status::Closed => Self::Closed,
        }
    }
}

impl From<AlertStatus> for metsuke_catalog::Status {
    fn from(status: AlertStatus) -> Self {
        match status {
            AlertStatus::New => Self::New,
            AlertStatus::InProgress => Self::InProgress,
            AlertStatus::Closed => Self::Closed,
        }
    }
}

impl From<metsuke_catalog::Finding> for AlertFinding {
    fn from(finding: metsuke_catalog::Finding) -> Self {
        match finding {
            metsuke_catalog::Finding::TruePositive => Self::TruePositive,
            metsuke_catalog::Finding::Benign => Self::Benign,
            metsuke_catalog::Finding::FalsePositive => Self::FalsePositive,
        }
    }
}

impl From<HistoryEntry> for AlertHistory {
    fn from(entry: HistoryEntry) -> Self {
        Self { time: entry.time.into(), actor: entry.actor, what: entry.what }
    }
}

/// What the list and the page of an alert have in common.
pub(crate) fn core(record: &AlertRecord, incidents: &Incidents) -> AlertCore {
    let alert = &record.alert;
    let process = record.main_process().map(|(uid, process)| ProcessRef {
        uid: uid.to_owned(),
        name: process.name.clone(),
        exe: process.exe.clone(),
    });
    AlertCore {
        id: alert.id.to_string(),
        title: alert.detection.title.clone(),
        detection_id: alert.detection.id.clone(),
        score: alert.score,
        level: alert.detection.level.into(),
        status: record.triage.status.into(),
        finding: record.triage.finding.map(AlertFinding::from),
        assignee: record.triage.assignee.clone(),
        endpoint: alert.endpoint.to_string(),
        host: record.context.host.clone(),
        user: record.user().map(str::to_owned),
        techniques: record.techniques().into_iter().map(str::to_owned).collect(),
        tactics: record.tactics().into_iter().map(str::to_owned).collect(),
        first: alert.first.into(),
        last: alert.last.into(),
        created: record.created.into(),
        storyline: alert.storyline.clone(),
        revision: alert.revision,
        version: record.triage.version,
        process,
        incident: crate::incidents::of(incidents, alert.id),
    }
}

/// One alert in a list.
pub(crate) fn summary(record: &AlertRecord, incidents: &Incidents) -> AlertSummary {
    let highlights = u32::try_from(record.alert.highlights.len()).unwrap_or(u32::MAX);
    AlertSummary { core: core(record, incidents), highlights }
}

/// The steps, each with a key that does not change while the alert grows.
pub(crate) fn highlights(record: &AlertRecord) -> Vec<Highlight> {
    let step = |step: &metsuke_event::finding::Highlight| {
        let seq = step.events.first().map_or(0, |event| event.seq);
        let process = record.context.processes.get(&step.process);
        Highlight {
            key: format!("{}:{}:{seq}", step.detection.id, step.process),
            detection: step.detection.clone().into(),
            events: step.events.iter().map(ToString::to_string).collect(),
            time: step.time.into(),
            process_uid: step.process.clone(),
            process_name: process.and_then(|process| process.name.clone()),
            matched: step.matched.iter().cloned().map(Matched::from).collect(),
            count: step.count,
        }
    };
    record.alert.highlights.iter().map(step).collect()
}

/// Facets, the most frequent value first.
pub(crate) fn shape_facets(
    mut facets: BTreeMap<&'static str, BTreeMap<String, u64>>,
) -> AlertFacets {
    let mut take = |name: &str| {
        let values = facets.remove(name).unwrap_or_default().into_iter();
        let mut values: Vec<FacetValue> =
            values.map(|(value, count)| FacetValue { value, count }).collect();
        values.sort_by_key(|facet| std::cmp::Reverse(facet.count));
        values
    };
    let mut level = take("level");
    for facet in &mut level {
        let number = facet.value.parse().ok();
        if let Some(name) = number.and_then(|number: usize| LEVELS.get(number)) {
            (*name).clone_into(&mut facet.value);
        }
    }
    AlertFacets {
        status: take("status"),
        level,
        host: take("host"),
        tactic: take("tactic"),
        detection: take("detection"),
        assignee: take("assignee"),
    }
}

/// Names of the levels, by their number in the catalog.
pub(crate) const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
