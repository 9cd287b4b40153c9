//! The compiled content: immutable, shared by engines.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use metsuke_event::finding::DetectionRef;
use metsuke_event::logsource::{self, LogSource};
use metsuke_event::{Event, Kind};

use crate::bounds;
use crate::correlate::Rule;
use crate::filter::Filter;
use crate::plan::Plan;
use crate::predicate::{FieldIx, Predicates};
use crate::sigma::header::Source;
use crate::weigh::Model;

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
    /// Ids of the Sigma filter documents that narrow it; empty but for filters.
    pub narrowed_by: Vec<String>,
}

/// One plan for each kind of activity, built when first asked for.
#[derive(Debug)]
pub(crate) struct Plans([OnceLock<Arc<Plan>>; Kind::ALL.len()]);

impl Default for Plans {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}

/// Compiled filters, rules and models.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub(crate) filters: Vec<Meta>,
    pub(crate) rules: Vec<Meta>,
    pub(crate) models: Vec<Meta>,
    /// Sigma filter documents in force.
    pub(crate) narrowings: usize,
    /// Beside `filters`.
    pub(crate) compiled: Vec<Filter>,
    /// Beside `rules`; a rule stands on filters and on rules before it.
    pub(crate) correlations: Vec<Rule>,
    /// Beside `models`.
    pub(crate) weighings: Vec<Model>,
    /// For each filter, then each rule, the rules that stand on it, with their reference to it.
    pub(crate) listeners: Vec<Vec<(usize, usize)>>,
    /// For each filter, then each rule, whether a rule keeps its hits for itself.
    pub(crate) silent: Vec<bool>,
    /// Whether a sequence asks for processes' kinship.
    pub(crate) asks_kinship: bool,
    pub(crate) predicates: Predicates,
    /// Fields by the name that imported events may use.
    pub(crate) fields_named: HashMap<Box<str>, Vec<FieldIx>>,
    /// Plans by kind of activity, built when first asked for.
    pub(crate) plans: Plans,
    /// Plans of imported events.
    pub(crate) imported: RwLock<HashMap<Vec<Source>, Arc<Plan>>>,
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

    /// How many Sigma filter documents (`filter:`) narrow filters; [`Meta::narrowed_by`] says which.
    pub fn narrowings(&self) -> usize {
        self.narrowings
    }

    /// Every detection: filters, rules, models.
    pub fn all(&self) -> impl Iterator<Item = &Meta> {
        self.filters().chain(self.rules()).chain(self.models())
    }

    /// What is known of filter or rule number `index`: filters first, then rules.
    pub(crate) fn hit_meta(&self, index: usize) -> &Meta {
        match index.checked_sub(self.filters.len()) {
            None => &self.filters[index],
            Some(rule) => &self.rules[rule],
        }
    }

    /// The plan for `event` by its kind.
    pub(crate) fn plan(&self, event: &Event) -> Arc<Plan> {
        let kind = event.activity.kind();
        let build =
            || Arc::new(Plan::build(&self.compiled, &self.predicates, logsource::of_kind(kind)));
        Arc::clone(self.plans.0[kind as usize].get_or_init(build))
    }

    /// The plan for imported events of `sources`.
    pub(crate) fn plan_for(&self, sources: &[LogSource<'_>]) -> Arc<Plan> {
        let key: Vec<Source> = sources.iter().map(Source::of).collect();
        let read = self.imported.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = read.get(&key) {
            return Arc::clone(plan);
        }
        drop(read);
        let plan = Arc::new(Plan::build(&self.compiled, &self.predicates, sources));
        let mut write = self.imported.write().unwrap_or_else(PoisonError::into_inner);
        if write.len() < bounds::IMPORTED_PLANS {
            write.insert(key, Arc::clone(&plan));
        }
        plan
    }
}
