//! Indicators met: which sightings a rule strikes at. What is an indicator, others know.

/// A value of an activity that an indicator names, as whoever looked it up says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighted {
    /// The indicator's kind, for example `sha256` or `domain`.
    pub kind: String,
    /// The value.
    pub value: String,
    /// The field it stood in.
    pub field: String,
    /// The list it is on: `block`, `watch` or `allow`.
    pub list: String,
    /// Who says so.
    pub source: String,
    /// How sure the source is, 0 to 100.
    pub confidence: u8,
}

/// Which sightings are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Kinds; empty: any.
    pub(crate) kinds: Vec<String>,
    pub(crate) lists: Vec<String>,
    /// Sources; empty: any.
    pub(crate) sources: Vec<String>,
    /// At least so sure.
    pub(crate) confidence: u8,
}

impl Asked {
    /// Whether `sighted` is meant. What an allow list names is never.
    pub(crate) fn means(&self, sighted: &Sighted) -> bool {
        let among =
            |names: &[String], name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        sighted.list != "allow"
            && among(&self.lists, &sighted.list)
            && (self.kinds.is_empty() || among(&self.kinds, &sighted.kind))
            && (self.sources.is_empty() || among(&self.sources, &sighted.source))
            && sighted.confidence >= self.confidence
    }
}

impl Sighted {
    /// As a reason of a hit.
    pub(crate) fn shown(&self) -> String {
        let Self { kind, list, source, confidence, .. } = self;
        format!("indicator-match: {kind} of list {list}, {source}, confidence {confidence}")
    }
}
