//! The shapes of detections.

use metsuke_catalog::DayCount;
use metsuke_control::library::{self, Fault, InForce, Sample};
use metsuke_detect::Meta;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::ports::Cost;
use crate::shape::{DetectionRef, Level, Time};

/// Where a detection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DetectionOrigin)]
pub enum Origin {
    /// It came with the server.
    Shipped,
    /// It was written here.
    Own,
    /// It was taken from a set of others.
    Imported,
}

/// What is said of a detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tuning {
    /// For which group of endpoints; null: everywhere.
    pub group: Option<String>,
    /// Whether it is in force; null: as it is without.
    pub enabled: Option<bool>,
    /// Its level; null: as it is without.
    pub level: Option<Level>,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub actor: String,
    /// When.
    pub time: Time,
}

/// What people found alerts to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FindingCounts {
    /// Real attacks.
    #[serde(rename = "true")]
    pub real: u64,
    /// As described, and allowed.
    pub benign: u64,
    /// Wrong.
    #[serde(rename = "false")]
    pub wrong: u64,
}

/// How a detection did lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DetectionStats {
    /// Hits of the last 24 hours that no exception hid.
    pub hits_24h: u64,
    /// Of the last seven days.
    pub hits_7d: u64,
    /// Endpoints they were on.
    pub hosts_7d: u64,
    /// Hits of the last seven days that an exception hid.
    pub excepted_7d: u64,
    /// Alerts of the last seven days that stand on it.
    pub alerts_7d: u64,
    /// What people found alerts to be that stand on it.
    pub findings: FindingCounts,
    /// Whether it costs more than it tells.
    pub noisy: bool,
    /// Why; null when it does not.
    pub noisy_why: Option<String>,
}

/// One detection.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Detection {
    /// Identity and class, as its document says.
    #[serde(flatten)]
    pub detection: DetectionRef,
    /// Its page, as markdown; empty when it has none.
    pub page: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Who wrote it, where that is known.
    pub author: Option<String>,
    /// Under which licence, where that is known.
    pub licence: Option<String>,
    /// Path of its document, for people.
    pub path: String,
    /// Whether it is in force where no group says otherwise.
    pub enabled: bool,
    /// Its level where no group says otherwise.
    pub level_in_force: Level,
    /// What is said of it, everywhere first.
    pub tuning: Vec<Tuning>,
    /// Kinds of activity it says it needs, beside what its log source or what it stands on needs.
    pub needs: Vec<String>,
    /// How it did lately.
    pub stats: DetectionStats,
    /// What it costs.
    pub cost: DetectionCost,
    /// Whether it was put to sleep for what it costs, until the content changes.
    pub asleep: bool,
}

/// A document that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedDocument {
    /// Where it stands.
    pub path: String,
    /// Why, and where in it.
    pub reason: String,
}

/// The detections in force.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DetectionList {
    /// In force: filters, rules, models.
    pub items: Vec<Detection>,
    /// Refused.
    pub refused: Vec<RefusedDocument>,
    /// Version of the content in force.
    pub content_version: String,
}

/// Hits of one day (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DayHits {
    /// Its start.
    pub day: Time,
    /// Hits that no exception hid.
    pub hits: u64,
    /// Hits that one hid.
    pub excepted: u64,
}

impl From<DayCount> for DayHits {
    fn from(count: DayCount) -> Self {
        Self { day: count.day.into(), hits: count.hits, excepted: count.excepted }
    }
}

/// What a sample shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestKind {
    /// The detection strikes.
    Fires,
    /// It does not.
    Quiet,
}

/// A sample that a detection is tested with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DetectionTest {
    /// Name of the file.
    pub name: String,
    /// What it shows.
    pub kind: TestKind,
}

impl From<&Sample> for DetectionTest {
    fn from(sample: &Sample) -> Self {
        let kind = if sample.fires { TestKind::Fires } else { TestKind::Quiet };
        Self { name: sample.name.clone(), kind }
    }
}

/// What a detection costs; null where it was not measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct DetectionCost {
    /// CPU time per activity, in nanoseconds.
    pub nanos_per_event: Option<f64>,
    /// Its share of what all of them cost, 0 to 1.
    pub share: Option<f64>,
}

/// One detection, whole.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DetectionDetail {
    /// As in the list.
    #[serde(flatten)]
    pub item: Detection,
    /// Its document, YAML.
    pub document: String,
    /// Its hits on each of the last thirty days, oldest first.
    pub per_day: Vec<DayHits>,
    /// Its samples.
    pub tests: Vec<DetectionTest>,
}

/// A document.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct DocumentRequest {
    /// Its text, YAML.
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TextSeverity {
    /// It cannot be put so.
    Error,
    /// It can.
    Warning,
}

/// Something that is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TextProblem {
    /// How bad it is.
    pub severity: TextSeverity,
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

/// What came of looking at a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckAnswer {
    /// Whether it could be put.
    pub ok: bool,
    /// What is wrong, by place.
    pub problems: Vec<TextProblem>,
    /// What it would be; null when it is none.
    pub detection: Option<DetectionRef>,
}

/// Says something about a detection.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct TuningRequest {
    /// For which group of endpoints; null: everywhere.
    pub group: Option<String>,
    /// Whether it is in force; null takes back what was said, left out leaves it.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<bool>)]
    pub enabled: Option<Option<bool>>,
    /// Its level; null takes back what was said, left out leaves it.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Level>)]
    pub level: Option<Option<Level>>,
    /// Why.
    pub reason: String,
}

/// Tells null from left out.
#[expect(clippy::option_option, reason = "null and left out are different wishes")]
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) fn item(
    force: &InForce,
    meta: &Meta,
    stats: &metsuke_catalog::DetectionStats,
    cost: Option<Cost>,
) -> Detection {
    let id = &meta.detection.id;
    let known = force.documents.get(&meta.path);
    let everywhere = force.tunings_of(id).find(|tuning| tuning.group.is_none());
    let level = everywhere.and_then(|tuning| tuning.level).unwrap_or(meta.detection.level);
    let noisy_why = metsuke_control::noisy(level, stats);
    let tuning = force.tunings_of(id).map(|tuning| Tuning {
        group: tuning.group.clone(),
        enabled: tuning.enabled,
        level: tuning.level.map(Into::into),
        reason: tuning.reason.clone(),
        actor: tuning.actor.clone(),
        time: tuning.time.into(),
    });
    Detection {
        detection: meta.detection.clone().into(),
        page: known.map(|known| known.page.clone()).unwrap_or_default(),
        origin: match known.map(|known| known.origin) {
            Some(library::Origin::Own) => Origin::Own,
            Some(library::Origin::Imported) => Origin::Imported,
            Some(library::Origin::Shipped) | None => Origin::Shipped,
        },
        author: known.and_then(|known| known.author.clone()),
        licence: known.and_then(|known| known.licence.clone()),
        path: meta.path.clone(),
        enabled: everywhere.and_then(|tuning| tuning.enabled).unwrap_or(true),
        level_in_force: level.into(),
        tuning: tuning.collect(),
        needs: meta.needs.iter().map(|kind| kind.name().to_owned()).collect(),
        stats: DetectionStats {
            hits_24h: stats.hits_24h,
            hits_7d: stats.hits_7d,
            hosts_7d: stats.hosts_7d,
            excepted_7d: stats.excepted_7d,
            alerts_7d: stats.alerts_7d,
            findings: FindingCounts {
                real: stats.findings.real,
                benign: stats.findings.benign,
                wrong: stats.findings.wrong,
            },
            noisy: noisy_why.is_some(),
            noisy_why,
        },
        cost: DetectionCost {
            nanos_per_event: cost.map(|cost| cost.nanos_per_event),
            share: cost.map(|cost| cost.share),
        },
        asleep: cost.is_some_and(|cost| cost.asleep),
    }
}

/// As they are shown.
pub(crate) fn problems(faults: Vec<Fault>) -> Vec<TextProblem> {
    let problem = |fault: Fault| TextProblem {
        severity: match fault.severity {
            library::Severity::Error => TextSeverity::Error,
            library::Severity::Warning => TextSeverity::Warning,
        },
        message: fault.message,
        line: fault.line,
        column: fault.column,
        length: fault.length,
        help: fault.help,
    };
    faults.into_iter().map(problem).collect()
}
