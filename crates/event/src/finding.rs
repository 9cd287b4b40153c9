//! What detection says of activities: hits with their reasons, alerts with their score in parts.

use serde::{Deserialize, Serialize};

use crate::id::{AlertId, EndpointId, EventId};
use crate::time::Timestamp;

/// Severity, in Sigma's five levels.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    #[default]
    Informational,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

/// Which layer found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// One activity matched.
    Filter,
    /// Several hits correlated.
    Rule,
    /// Hits weighed together.
    Model,
}

/// One reason why a filter matched: this clause, on this field, with this value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Matched {
    /// The field, by the name the rule uses (Sigma), or `keyword`.
    pub field: String,
    /// The value the activity had, cut at 1,024 bytes.
    pub value: String,
    /// The clause, as the rule writes it, for example `selection_img: Image|endswith '/curl'`.
    pub clause: String,
}

/// Identity and class of one detection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DetectionRef {
    /// The document's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its layer.
    pub layer: Layer,
    /// Its level.
    pub level: Level,
    /// ATT&CK technique ids, for example `T1059.004`.
    pub techniques: Vec<String>,
    /// ATT&CK tactic short names, for example `credential-access`.
    pub tactics: Vec<String>,
}

/// A filter's hit on one activity: an observed technique.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The detection.
    pub detection: DetectionRef,
    /// The activity.
    pub event: EventId,
    /// The activity's time.
    pub time: Timestamp,
    /// The process that acted (`process.uid`).
    pub process: String,
    /// The storyline's root (`process.storyline`).
    pub storyline: String,
    /// Why.
    pub matched: Vec<Matched>,
    /// The exception that hides it: it is collected, and nothing is alerted for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excepted: Option<String>,
}

/// One step of an alert, in order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Highlight {
    /// What was detected.
    pub detection: DetectionRef,
    /// The activities it stands on: one for a filter, several for a rule.
    pub events: Vec<EventId>,
    /// Time of the first of them.
    pub time: Timestamp,
    /// The process that acted in the last of them.
    pub process: String,
    /// Why.
    pub matched: Vec<Matched>,
    /// How often the same detection struck for the same process; at least 1.
    pub count: u32,
}

/// One part of a score; the parts add up to the score before it is capped at 99.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorePart {
    /// What the points are for, for example a detection's title.
    pub label: String,
    /// The detection, when the points are for one.
    pub detection: Option<String>,
    /// Points.
    pub points: f64,
    /// How they came about, for people: `weight 20 × high 1.5`.
    pub why: String,
}

/// What a model concluded about a storyline. It grows while the storyline goes on: a later
/// version of the same alert has the same id and a higher `revision`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identity: derived from (endpoint, storyline, model that led it first), so that a replay finds
    /// the same one.
    pub id: AlertId,
    /// Counts its versions, from 1.
    pub revision: u32,
    /// The model; of several that stand on the same steps the one with the highest score. The level
    /// is the highest of them.
    pub detection: DetectionRef,
    /// The others of them, strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<DetectionRef>,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The storyline's root (`process.storyline`).
    pub storyline: String,
    /// 0 to 99.
    pub score: u8,
    /// What the score is made of.
    pub parts: Vec<ScorePart>,
    /// The steps, by time; at most 200.
    pub highlights: Vec<Highlight>,
    /// Time of the first highlight.
    pub first: Timestamp,
    /// Time of the last highlight.
    pub last: Timestamp,
}

impl Alert {
    /// The models it stands for, the one that leads first.
    pub fn models(&self) -> impl Iterator<Item = &DetectionRef> {
        std::iter::once(&self.detection).chain(&self.also)
    }
}
