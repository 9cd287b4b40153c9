//! What an incident looks like from outside.

use metsuke_catalog as catalog;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::alerts::{AlertHistory, AlertStatus, AlertSummary};
use crate::shape::{Level, Time};

/// A reason why alerts of an incident are together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentReason {
    /// What they share: `hand` (people said so), `recording`, `storyline`, `process`, `hash`, `address`,
    /// `domain`, `user`, `host-time`.
    pub kind: String,
    /// The value they share; empty for `hand`.
    pub value: String,
    /// The alerts that share it, two or more.
    pub alerts: Vec<String>,
}

/// What the list and the page of an incident have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentCore {
    /// Identity: that of its first alert.
    pub id: String,
    /// Title of its alert with the highest score; of a recording its name.
    pub title: String,
    /// The highest score of its alerts.
    pub score: u8,
    /// The highest level of its alerts.
    pub level: Level,
    /// Closed when all its alerts are, new when nobody looked at any.
    pub status: AlertStatus,
    /// Host names.
    pub hosts: Vec<String>,
    /// Users.
    pub users: Vec<String>,
    /// ATT&CK tactics.
    pub tactics: Vec<String>,
    /// The recording that it is, by name; null for what is live.
    pub recording: Option<String>,
    /// First step of all.
    pub first: Time,
    /// Last step of all.
    pub last: Time,
    /// When one of its alerts last grew or was changed.
    pub updated: Time,
    /// Why its alerts are together, the strongest reasons first.
    pub why: Vec<IncidentReason>,
}

/// One incident in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Incident {
    /// What it is.
    #[serde(flatten)]
    pub core: IncidentCore,
    /// How many alerts it has.
    pub alerts: u64,
}

/// One incident with its alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentDetail {
    /// What it is.
    #[serde(flatten)]
    pub core: IncidentCore,
    /// Its alerts, by first step; at most 500.
    pub alerts: Vec<AlertSummary>,
    /// What people changed about it by hand, oldest first.
    pub history: Vec<AlertHistory>,
}

/// A page of incidents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentPage {
    /// The incidents.
    pub items: Vec<Incident>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many match.
    pub total: u64,
    /// Alerts that are too old to be put into incidents.
    pub left_out: u64,
}

/// Incidents after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentList {
    /// The incidents that the alerts concerned are in now.
    pub items: Vec<Incident>,
}

/// What to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// `new`, `in_progress`, `closed`, or several, comma-separated.
    pub status: Option<String>,
    /// Host name.
    pub host: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 50 by default.
    pub limit: Option<u32>,
}

/// Which alerts to take out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct IncidentSplitRequest {
    /// Alerts of the incident, not all of them.
    pub alerts: Vec<String>,
}

/// Which incidents to make one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct IncidentMergeRequest {
    /// Two incidents or more.
    pub incidents: Vec<String>,
}

impl From<&catalog::Incident> for IncidentCore {
    fn from(one: &catalog::Incident) -> Self {
        let texts = |all: &std::collections::BTreeSet<String>| all.iter().cloned().collect();
        let why = one.reasons.iter().map(|reason| IncidentReason {
            kind: reason.kind.name().to_owned(),
            value: reason.value.clone(),
            alerts: reason.alerts.iter().map(ToString::to_string).collect(),
        });
        Self {
            id: one.id.to_string(),
            title: one.title.clone(),
            score: one.score,
            level: one.level.into(),
            status: one.status.into(),
            hosts: texts(&one.hosts),
            users: texts(&one.users),
            tactics: texts(&one.tactics),
            recording: one.recording.clone(),
            first: one.first.into(),
            last: one.last.into(),
            updated: one.updated.into(),
            why: why.collect(),
        }
    }
}

impl From<&catalog::Incident> for Incident {
    fn from(one: &catalog::Incident) -> Self {
        Self { core: one.into(), alerts: one.alerts.len() as u64 }
    }
}

impl From<catalog::IncidentEntry> for AlertHistory {
    fn from(entry: catalog::IncidentEntry) -> Self {
        Self { time: entry.time.into(), actor: entry.actor, what: entry.what }
    }
}
