//! The compiled content: immutable, shared by engines.

use metsuke_event::finding::DetectionRef;

/// What is known of a detection beside how it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Identity, title, layer, level, techniques, tactics.
    pub detection: DetectionRef,
    /// The document it came from.
    pub path: String,
    /// `description`, as written.
    pub description: String,
    /// `falsepositives`, as written.
    pub false_positives: Vec<String>,
    /// `references`, as written.
    pub references: Vec<String>,
    /// `status`, for example `stable`; empty when not given.
    pub status: String,
    /// Log source `product/category/service` with `*` for what is open; empty but for filters.
    pub log_source: String,
}

/// Compiled filters, rules and models.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(crate) filters: Vec<Meta>,
    pub(crate) rules: Vec<Meta>,
    pub(crate) models: Vec<Meta>,
}

impl RuleSet {
    /// The filters.
    pub fn filters(&self) -> impl ExactSizeIterator<Item = &Meta> {
        self.filters.iter()
    }

    /// The rules.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Meta> {
        self.rules.iter()
    }

    /// The models.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &Meta> {
        self.models.iter()
    }

    /// Every detection: filters, rules, models.
    pub fn all(&self) -> impl Iterator<Item = &Meta> {
        self.filters().chain(self.rules()).chain(self.models())
    }
}
