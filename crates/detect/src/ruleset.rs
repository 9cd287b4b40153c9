//! The compiled content: immutable, shared by engines.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use foldhash::HashMap;
use metsuke_event::finding::{DetectionRef, Layer};
use metsuke_event::logsource::{self, LogSource};
use metsuke_event::{Event, FieldId, Kind, NameNumber};

use crate::bounds;
use crate::class::Class;
use crate::correlate::Rule;
use crate::demand::Responses;
use crate::filter::Filter;
use crate::predicate::{FieldIx, FieldKey, Predicates};
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
    /// Kinds of activity it says it needs, all of them; what else it needs follows from its log
    /// source or from what it stands on.
    pub needs: Vec<Kind>,
    /// What it calls for.
    pub responses: Responses,
}

/// One class for each kind of activity, built when first asked for.
#[derive(Debug)]
pub(crate) struct Classes([OnceLock<Arc<Class>>; Kind::ALL.len()]);

impl Default for Classes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| OnceLock::new()))
    }
}

/// The fields that rules ask for by the names that imported events use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By the name's number.
    numbers: Vec<Box<[FieldIx]>>,
    texts: HashMap<Box<str>, Box<[FieldIx]>>,
    /// By the number of the field table's row.
    rows: Vec<Box<[FieldIx]>>,
}

impl Names {
    /// The names of `fields`.
    pub(crate) fn of(fields: &[FieldKey]) -> Self {
        let mut by_text: HashMap<Box<str>, Vec<FieldIx>> = HashMap::default();
        for (index, key) in (0..).zip(fields).filter(|(_, key)| !key.name.is_empty()) {
            by_text.entry(key.name.clone()).or_default().push(FieldIx(index));
        }
        let mut by_number = Vec::new();
        for (name, fields) in &by_text {
            let Some(number) = NameNumber::wanted(name) else { continue };
            let number = number.index();
            if by_number.len() <= number {
                by_number.resize(number + 1, Box::default());
            }
            by_number[number] = fields.as_slice().into();
        }
        let mut by_row: Vec<Vec<FieldIx>> = Vec::new();
        for (index, key) in (0..).zip(fields) {
            let Some(FieldId(row)) = key.id else { continue };
            by_row.resize_with(by_row.len().max(usize::from(row) + 1), Vec::new);
            by_row[usize::from(row)].push(FieldIx(index));
        }
        let by_row = by_row.into_iter().map(Vec::into_boxed_slice).collect();
        let by_text = by_text.into_iter().map(|(name, fields)| (name, fields.into())).collect();
        Self { numbers: by_number, texts: by_text, rows: by_row }
    }

    /// The fields that `name` is asked for by.
    pub(crate) fn fields(&self, name: NameNumber) -> &[FieldIx] {
        self.numbers.get(name.index()).map(|fields| &**fields).unwrap_or_default()
    }

    /// The fields that ask for the row `id` of the field table.
    pub(crate) fn rows(&self, id: FieldId) -> &[FieldIx] {
        self.rows.get(usize::from(id.0)).map(|fields| &**fields).unwrap_or_default()
    }

    /// The same for a name without number.
    pub(crate) fn fields_of(&self, name: &str) -> &[FieldIx] {
        self.texts.get(name).map(|fields| &**fields).unwrap_or_default()
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
    /// Rules that strike at sightings of indicators.
    pub(crate) indicators: Vec<usize>,
    /// Whether a sequence asks for processes' kinship.
    pub(crate) asks_kinship: bool,
    pub(crate) predicates: Predicates,
    /// Fields by the name that imported events may use.
    pub(crate) names: Names,
    /// Classes by kind of activity, built when first asked for.
    pub(crate) classes: Classes,
    /// Classes of imported events.
    pub(crate) imported: RwLock<HashMap<Vec<Source>, Arc<Class>>>,
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

    /// A filter that leads to hits of filter or rule number `index`: itself, or the first of what it
    /// stands on. For a model there is none; then it is the number of no filter.
    pub(crate) fn first_filter(&self, mut index: usize) -> usize {
        while let Some(rule) = index.checked_sub(self.filters.len()) {
            let first = self.correlations.get(rule).and_then(|rule| rule.stands_on.first());
            match first {
                // A rule stands on rules before it, so this ends.
                Some((Layer::Rule, before)) => index = self.filters.len() + before,
                Some((_, filter)) => index = *filter,
                None => return usize::MAX,
            }
        }
        index
    }

    /// The class of `event` by its kind.
    pub(crate) fn class(&self, event: &Event) -> Arc<Class> {
        let kind = event.activity.kind();
        let sources = || logsource::of_kind(kind).iter().map(Source::of).collect();
        let build = || Arc::new(Class::new(self, sources()));
        Arc::clone(self.classes.0[kind as usize].get_or_init(build))
    }

    /// The class of imported events of `sources`.
    pub(crate) fn class_of(&self, sources: &[LogSource<'_>]) -> Arc<Class> {
        let key: Vec<Source> = sources.iter().map(Source::of).collect();
        let read = self.imported.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(class) = read.get(&key) {
            return Arc::clone(class);
        }
        drop(read);
        let class = Arc::new(Class::new(self, key.clone()));
        let mut write = self.imported.write().unwrap_or_else(PoisonError::into_inner);
        if write.len() < bounds::IMPORTED_PLANS {
            write.insert(key, Arc::clone(&class));
        }
        class
    }
}
