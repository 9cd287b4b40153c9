//! What the API needs of the rest of the server, as traits: the server binary puts lake, control
//! and ingest behind them, tests put small worlds.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use metsuke_catalog::PlanRecord;
use metsuke_event::finding::Level;
use metsuke_event::id::PlanId;
use metsuke_event::{AlertId, EndpointId, Event, FieldId, LossInterval, ProcessKey, Timestamp};

use crate::stream::Stats;

/// A half-open range of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Start, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

/// Which activities come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeOrder {
    /// The newest.
    #[default]
    NewestFirst,
    /// The oldest.
    OldestFirst,
}

/// A question to the event store.
#[derive(Clone, Debug)]
pub struct Question {
    /// The query as people write it; empty matches everything.
    pub query: String,
    /// When.
    pub range: Range,
    /// How many at most.
    pub limit: usize,
    /// Where the page before ended, as the store gave it.
    pub cursor: Option<String>,
    /// Which come first.
    pub order: TimeOrder,
    /// Bars of the histogram; 0 for none.
    pub buckets: usize,
    /// Fields to count values of.
    pub facets: Vec<FieldId>,
}

/// The event store's answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The activities.
    pub events: Vec<Event>,
    /// Cursor of the next page.
    pub next: Option<String>,
    /// How many match, where counted.
    pub total: Option<u64>,
    /// Bars: start, end, count.
    pub histogram: Vec<(Range, u64)>,
    /// Values by field.
    pub facets: BTreeMap<FieldId, Vec<(String, u64)>>,
    /// What was not seen.
    pub loss: Vec<LossInterval>,
    /// Rows read to find and count what matches, each once; not those passed over unread.
    pub scanned_rows: u64,
    /// False when a part could not answer.
    pub complete: bool,
}

/// Activities around one storyline or process.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The activities, oldest first.
    pub events: Vec<Event>,
    /// Whether more exist.
    pub truncated: bool,
    /// What was not seen.
    pub loss: Vec<LossInterval>,
}

/// Why the event store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The query cannot be read.
    #[error("{message}")]
    Query {
        /// What is wrong.
        message: String,
        /// First and last byte (exclusive).
        span: [usize; 2],
        /// What might be meant.
        hint: Option<String>,
    },
    /// The cursor is none of this store's.
    #[error("the cursor is not one this server gave; start the list anew")]
    Cursor,
    /// The question is too wide.
    #[error("{0}")]
    TooMany(String),
    /// The store failed.
    #[error("the event store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The event store.
#[async_trait]
pub trait Telemetry: Send + Sync + 'static {
    /// Answers a question.
    async fn search(&self, question: Question) -> Result<Answer, TelemetryError>;

    /// Activities of a storyline or process with its children.
    async fn story(
        &self,
        endpoint: EndpointId,
        uid: &str,
        range: Range,
    ) -> Result<Story, TelemetryError>;

    /// What was not seen in `range`, on every endpoint.
    fn loss(&self, range: Range) -> Vec<LossInterval>;

    /// The most frequent values of a field.
    async fn values(
        &self,
        field: FieldId,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, TelemetryError>;
}

/// What a response shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// End a process.
    TerminateProcess(ProcessKey),
    /// End everything of the process's storyline.
    TerminateStoryline(ProcessKey),
    /// The proof-of-coverage exercise.
    Poc,
    /// Remove what an exercise left.
    PocCleanup(PlanId),
    /// Take evidence.
    Take(metsuke_respond::Verb),
}

/// Where the bytes of an artifact lie, by their SHA-256.
pub type ArtifactPath = Arc<dyn Fn(&str) -> PathBuf + Send + Sync>;

/// Signs the leave to remove an endpoint's sensor until a time, in seconds since 1970.
pub type UninstallSigner = Arc<dyn Fn(EndpointId, u64) -> String + Send + Sync>;

/// A request for a response.
#[derive(Clone, Debug)]
pub struct ResponseOrder {
    /// What.
    pub action: Action,
    /// Where.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// The alert it answers.
    pub alert: Option<AlertId>,
    /// How long it may wait, in seconds.
    pub ttl_s: u32,
}

/// Why a response was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// The endpoint or plan is not there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The order is no plan.
    #[error("{0}")]
    Invalid(String),
    /// The state does not permit it.
    #[error("{0}")]
    Conflict(String),
    /// It could not be stored.
    #[error("the response could not be stored")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The control plane.
#[async_trait]
pub trait Responses: Send + Sync + 'static {
    /// Makes a plan and sends it when its endpoint is there.
    async fn order(&self, order: ResponseOrder) -> Result<PlanRecord, ResponseError>;

    /// Takes a plan back.
    async fn cancel(&self, id: PlanId, actor: &str) -> Result<PlanRecord, ResponseError>;
}

/// How far detection on a recording got.
#[derive(Clone, Debug)]
pub struct RecordingStep {
    /// Events seen.
    pub events: u64,
    /// Events in all.
    pub total: u64,
    /// What it came to, at the end.
    pub report: Option<serde_json::Value>,
}

/// Why a recording was not taken or detected on.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// There is none of that name.
    #[error("there is no such recording")]
    Unknown,
    /// The events cannot be taken.
    #[error("{0}")]
    Invalid(String),
    /// As many others as can be are being detected on.
    #[error("other recordings are being detected on; try again when one of them is done")]
    Busy,
    /// The same may succeed later.
    #[error("the store cannot take it now: {0}")]
    Later(String),
    /// It failed.
    #[error("the recording failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Recordings of incidents.
#[async_trait]
pub trait Recordings: Send + Sync + 'static {
    /// Takes events of a recording that `actor` brings: how many were stored, and how many were there
    /// already.
    async fn take(
        &self,
        name: &str,
        actor: &str,
        events: Vec<Event>,
    ) -> Result<(u64, u64), RecordingError>;

    /// Takes a recording out.
    async fn remove(&self, name: &str, actor: &str) -> Result<(), RecordingError>;

    /// Detects on it for a while, from where the call before ended.
    async fn detect(
        &self,
        name: &str,
        actor: &str,
        stop_at: Option<Level>,
    ) -> Result<RecordingStep, RecordingError>;
}

/// What a detection costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// CPU time per activity, in nanoseconds.
    pub nanos_per_event: f64,
    /// Its share of what all of them cost, 0 to 1.
    pub share: f64,
    /// Whether it was put to sleep for what it costs.
    pub asleep: bool,
}

/// The server's own state, for people and Prometheus.
pub trait Status: Send + Sync + 'static {
    /// What the console shows.
    fn stats(&self) -> Stats;

    /// What detections cost, by id; what was not measured is left out.
    fn costs(&self) -> HashMap<String, Cost> {
        HashMap::new()
    }

    /// Every counter: name without prefix, help, value.
    fn counters(&self) -> Vec<(&'static str, &'static str, u64)>;
}

/// What the server runs and where sensors find it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Version of the policy in force.
    pub policy_version: String,
    /// Fingerprint of the authority sensors pin.
    pub ca_fingerprint: String,
    /// Where sensors connect to.
    pub link_addr: String,
}
