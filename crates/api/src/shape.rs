//! Shapes that several nouns share: time, level, detection, hit, highlight, loss, event row.
//!
//! Invariant: every property is always present (`null` when unknown), times are RFC 3339, 64-bit
//! identities are text. Leaves to others: which noun shows which shape.

use std::borrow::Cow;
use std::collections::BTreeMap;

use metsuke_event::finding;
use metsuke_event::{Event, LossInterval, Timestamp, ValueRef};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// Largest whole number JavaScript keeps exactly (2^53 − 1); larger ones travel as text.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// A point in time as RFC 3339 text in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

impl PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC"))
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

/// Severity, in Sigma's five levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
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

impl From<finding::Level> for Level {
    fn from(level: finding::Level) -> Self {
        match level {
            finding::Level::Informational => Self::Informational,
            finding::Level::Low => Self::Low,
            finding::Level::Medium => Self::Medium,
            finding::Level::High => Self::High,
            finding::Level::Critical => Self::Critical,
        }
    }
}

impl From<Level> for finding::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Informational => Self::Informational,
            Level::Low => Self::Low,
            Level::Medium => Self::Medium,
            Level::High => Self::High,
            Level::Critical => Self::Critical,
        }
    }
}

/// Which layer found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// One activity matched.
    Filter,
    /// Several hits correlated.
    Rule,
    /// Hits weighed together.
    Model,
}

impl From<finding::Layer> for Layer {
    fn from(layer: finding::Layer) -> Self {
        match layer {
            finding::Layer::Filter => Self::Filter,
            finding::Layer::Rule => Self::Rule,
            finding::Layer::Model => Self::Model,
        }
    }
}

/// Identity and class of one detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DetectionRef {
    /// The document's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its layer.
    pub layer: Layer,
    /// Its level.
    pub level: Level,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// ATT&CK tactic short names.
    pub tactics: Vec<String>,
}

impl From<finding::DetectionRef> for DetectionRef {
    fn from(detection: finding::DetectionRef) -> Self {
        Self {
            id: detection.id,
            title: detection.title,
            layer: detection.layer.into(),
            level: detection.level.into(),
            techniques: detection.techniques,
            tactics: detection.tactics,
        }
    }
}

/// One reason why a filter matched: this clause, on this field, with this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matched {
    /// The field, by the name the rule uses, or `keyword`.
    pub field: String,
    /// The value the activity had.
    pub value: String,
    /// The clause, as the rule writes it.
    pub clause: String,
}

impl From<finding::Matched> for Matched {
    fn from(matched: finding::Matched) -> Self {
        Self { field: matched.field, value: matched.value, clause: matched.clause }
    }
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScorePart {
    /// What the points are for.
    pub label: String,
    /// The detection, when the points are for one.
    pub detection: Option<String>,
    /// Points.
    pub points: f64,
    /// How they came about.
    pub why: String,
}

impl From<finding::ScorePart> for ScorePart {
    fn from(part: finding::ScorePart) -> Self {
        Self { label: part.label, detection: part.detection, points: part.points, why: part.why }
    }
}

/// One step of an alert, in order of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Highlight {
    /// Stable key within the alert: highlight, tree and timeline share it as selection.
    pub key: String,
    /// What was detected.
    pub detection: DetectionRef,
    /// Identities of the activities it stands on.
    pub events: Vec<String>,
    /// Time of the first of them.
    pub time: Time,
    /// Process that acted in the last of them.
    pub process_uid: String,
    /// Its short name, where known.
    pub process_name: Option<String>,
    /// Why.
    pub matched: Vec<Matched>,
    /// How often the same detection struck for the same process.
    pub count: u32,
}

/// An interval of one endpoint in which observations are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Loss {
    /// The endpoint.
    pub endpoint: String,
    /// Its host name, where known.
    pub host: Option<String>,
    /// Start, inclusive.
    pub from: Time,
    /// End, exclusive.
    pub to: Time,
    /// Which bounded part lost it.
    pub part: String,
    /// Why.
    pub reason: String,
    /// How many observations; null when nobody can know.
    pub lost: Option<u64>,
}

impl Loss {
    /// The interval, with the endpoint's host name where the caller knows it.
    pub fn new(loss: LossInterval, host: Option<String>) -> Self {
        Self {
            endpoint: loss.endpoint.to_string(),
            host,
            from: loss.from.into(),
            to: loss.to.into(),
            part: loss.part,
            reason: loss.reason,
            lost: loss.lost,
        }
    }
}

/// A process by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessRef {
    /// Identity BOOT-PID-TICKS.
    pub uid: String,
    /// Short name, where known.
    pub name: Option<String>,
    /// Executable, where known.
    pub exe: Option<String>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum FieldValue {
    /// True or false.
    Bool(bool),
    /// A whole number that JavaScript keeps exactly.
    Number(i64),
    /// Text, address, time, or a number beyond 2^53.
    Text(String),
}

impl From<ValueRef<'_>> for FieldValue {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Bool(flag) => Self::Bool(flag),
            ValueRef::U64(number) if number <= MAX_EXACT => Self::Number(number.cast_signed()),
            ValueRef::I64(number) if number.unsigned_abs() <= MAX_EXACT => Self::Number(number),
            other => Self::Text(other.to_text().into_owned()),
        }
    }
}

/// One activity as a row: its set fields by canonical name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventRow {
    /// Identity ENDPOINT:BOOT:SEQ.
    pub id: String,
    /// Event time.
    pub time: Time,
    /// Class, for example `process.exec`.
    pub class: String,
    /// Endpoint.
    pub endpoint: String,
    /// Host name, where known.
    pub host: Option<String>,
    /// Every set field by canonical name.
    pub fields: BTreeMap<String, FieldValue>,
}

impl From<&Event> for EventRow {
    fn from(event: &Event) -> Self {
        let mut fields: BTreeMap<String, FieldValue> = event
            .fields()
            .map(|(spec, value)| (spec.name.to_owned(), value.as_ref().into()))
            .collect();
        for (name, value) in event.unmapped.iter() {
            fields.entry(name.to_string()).or_insert_with(|| value.into());
        }
        Self {
            id: event.id.to_string(),
            time: event.time.into(),
            class: event.activity.kind().name().to_owned(),
            endpoint: event.id.endpoint.to_string(),
            host: event.host.as_deref().map(str::to_owned),
            fields,
        }
    }
}

/// One value of a facet and how many carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FacetValue {
    /// The value.
    pub value: String,
    /// How many carry it.
    pub count: u64,
}
